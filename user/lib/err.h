/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How functions fail: they return 0 or a negative errno, and where a person
 * will read about it, a text in struct wm_err: what was tried, on which object,
 * the errno's text, and what to try where that is known.
 */
#ifndef WM_ERR_H
#define WM_ERR_H

struct wm_err {
	char text[768]; /* empty: nothing was said */
};

/*
 * Store a message and return `code` (negative errno), so that a failing
 * function can end with `return wm_err__set(err, -EINVAL, ...)`. The errno's
 * text is not added; see wm_err__sys(). `err` may be NULL.
 */
int wm_err__set(struct wm_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with ": " and the text of `code` at the end. */
int wm_err__sys(struct wm_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
