/* SPDX-License-Identifier: GPL-2.0 */
/* Reading the configuration again, by SIGHUP or by request, while all goes on. */
#ifndef WM_RELOAD_H
#define WM_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "timer.h"
#include "worker.h"

struct wm_config;
struct wm_daemon;
struct wm_reading;

enum wm_reload_state { WM_RELOAD_IDLE, WM_RELOAD_READING, WM_RELOAD_FINDING, WM_RELOAD_CHANGING };

struct wm_reload {
	enum wm_reload_state state;
	bool again;       /* asked for since the file was opened */
	uint64_t count;   /* attempts that have ended */
	uint64_t last_ns; /* end of the last one; 0: none yet */
	int error;        /* its result */
	char text[sizeof(((struct wm_err *)0)->text)]; /* its summary, or why it failed */

	struct wm_worker *worker;
	struct wm_reading *reading; /* the worker's, while it is busy */
	struct wm_config *config;   /* the new one, while it is not the present one */
	struct wm_timer timer;
	uint64_t deadline_ns;
};

int wm_reload__init(struct wm_daemon *daemon);
void wm_reload__free(struct wm_reload *reload);

/*
 * Begin one, or let one more follow the one under way. Returns its number: it has
 * ended when reload.count is that. The outcome is in daemon->reload then, and in the
 * log and systemd's eyes; an error changes nothing.
 */
uint64_t wm_reload__request(struct wm_daemon *daemon);
/* One is about to change the data plane. */
bool wm_reload__changes(const struct wm_daemon *daemon);

/* For wm_config__load(): a warning into the log. */
void wm_reload__warn(const char *text, void *arg);

#endif
