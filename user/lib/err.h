/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How functions fail: they return 0 or a negative errno, and where a person
 * will read about it, a text in struct wm_err: what was tried, on which object,
 * the errno's text, and what to try where that is known.
 */
#ifndef WM_ERR_H
#define WM_ERR_H

#include <stddef.h>

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

/*
 * A text that others may have a part in (a peer's error, a name, a line of a file), as it may
 * stand on a terminal or in a log. UTF-8 stays; control characters, those that turn the
 * direction of writing, and what is no UTF-8 become \xNN, byte by byte. A line that is not the
 * first is indented, so that it cannot look like one of ours. Cut where `size` ends.
 * Returns the length.
 */
size_t wm_err__plain(char *to, size_t size, const char *from);
/* The same, for what a library of tables escapes, which knows those of ASCII only: bytes of
 * the others become question marks, in place. Returns `text`. */
char *wm_err__mask(char *text);

#endif
