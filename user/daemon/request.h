/* SPDX-License-Identifier: GPL-2.0 */
/* One request line to one reply line; see waymark/ctl.h. */
#ifndef WM_REQUEST_H
#define WM_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct wm_daemon;

enum wm_argument_type {
	WM_ARGUMENT_TEXT,
	WM_ARGUMENT_COUNT, /* an integer, not negative */
};

enum { WM_ARGUMENTS_MAX = 3 };

struct wm_argument {
	const char *name; /* NULL: none */
	enum wm_argument_type type;
	bool required;
};

struct wm_command {
	const char *name;
	struct wm_argument arguments[WM_ARGUMENTS_MAX];
	/* 0 and the data, or -errno with what is wrong. The arguments that the
	 * request has are of the types above. NULL: a reload. */
	int (*reply)(struct wm_daemon *daemon, const json_t *request, json_t **data,
		     struct wm_err *err);
};

struct wm_answer {
	char *line;      /* with its newline, to be freed by the caller; NULL: no memory, or
			  * later */
	size_t len;
	bool bad;        /* it was no request, and the connection is to be closed */
	uint64_t reload; /* not 0: the reply comes when the reload of this number has ended */
};

void wm_request__answer(struct wm_daemon *daemon, const char *line, size_t len,
			struct wm_answer *answer);
/* The reply to those who asked for the reload that has just ended. */
char *wm_request__reloaded(struct wm_daemon *daemon, size_t *out_len);
/* The reply that says no. */
char *wm_request__refuse(const char *why, int code, size_t *out_len);

#endif
