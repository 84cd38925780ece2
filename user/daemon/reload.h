/* SPDX-License-Identifier: GPL-2.0 */
/* Reading the configuration again, by SIGHUP or by request. */
#ifndef WM_RELOAD_H
#define WM_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct wm_daemon;

struct wm_reload {
	uint64_t count;   /* attempts */
	uint64_t last_ns; /* of the last one; 0: none yet */
	bool ok;
	char text[sizeof(((struct wm_err *)0)->text)]; /* its summary, or why it failed */
};

/* An error changes nothing. The outcome is in daemon->reload, the log, and
 * systemd's eyes. */
int wm_reload__now(struct wm_daemon *daemon, struct wm_err *err);

/* For wm_config__load(): a warning into the log. */
void wm_reload__warn(const char *text, void *arg);

#endif
