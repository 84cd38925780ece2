/* SPDX-License-Identifier: GPL-2.0 */
/* One request line to one reply line. */
#ifndef WM_REQUEST_H
#define WM_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"
#include "err.h"

struct wm_daemon;
struct wm_reply;

/* again: the count is there, or failed. */
void wm_request__answer(struct wm_daemon *daemon, const char *line, size_t len, bool again,
			struct wm_answer *answer);
/* The reply to those who asked for the reload that has just ended. */
char *wm_request__reloaded(struct wm_daemon *daemon, size_t *out_len);
/* The reply to whom the change by hand that has just ended is due. */
char *wm_request__changed(struct wm_daemon *daemon, size_t *out_len);
/* Who answers requests of this name; NULL: nobody. */
const struct wm_reply *wm_request__reply(const char *name);
/* The reply that says no. */
char *wm_request__refuse(const char *why, int code, size_t *out_len);

#endif
