/* SPDX-License-Identifier: GPL-2.0 */
/* Reading the configuration again, by SIGHUP or by request, while all goes on. */
#ifndef WM_RELOAD_H
#define WM_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "model.h"
#include "timer.h"
#include "worker.h"

struct wm_apply;
struct wm_attached;
struct wm_config;
struct wm_health;
struct wm_hops;
struct wm_links;
struct wm_nic;
struct wm_reading;
struct wm_running;

struct wm_reload_parts {
	struct wm_running *running;
	const char *file; /* the configuration's */
	const struct wm_links *links;
	struct wm_hops *hops;
	struct wm_health *health;
	struct wm_nic *nic;
	struct wm_attached *attached;
	struct wm_apply *apply;
	void (*ended)(void *arg); /* a reload has, well or not */
	void *arg;
};

enum wm_reload_state {
	WM_RELOAD_IDLE, WM_RELOAD_READING, WM_RELOAD_FINDING, WM_RELOAD_CHANGING,
	WM_RELOAD_LEAVING,
};

struct wm_reload {
	struct wm_reload_parts with;
	enum wm_reload_state state;
	bool again;       /* asked for since the file was opened */
	bool force, force_again; /* what is dangerous, too: this one, the next one */
	uint64_t count;   /* attempts that have ended */
	uint64_t last_ns; /* end of the last one; 0: none yet */
	int error;        /* its result */
	char text[sizeof(((struct wm_err *)0)->text)]; /* its summary, or why it failed */
	char *changes;    /* one by one, a line each; NULL: none */

	struct wm_worker *worker;
	struct wm_reading *reading; /* the worker's, while it is busy */
	struct wm_config *config;   /* the new one, while it is not the present one */
	bool moves;                 /* to other queues */
	/* What will be `text` and `changes`, once it has ended. */
	char summary[sizeof(((struct wm_err *)0)->text)];
	char *news;
	struct wm_guard guard;      /* of its plan */
	struct wm_timer timer;
	uint64_t deadline_ns;
};

/* 0 or -errno. */
int wm_reload__init(struct wm_reload *reload, sd_event *event,
		    const struct wm_reload_parts *with);
void wm_reload__free(struct wm_reload *reload);

/*
 * Begin one, or let one more follow the one under way. Returns its number: it has
 * ended when reload.count is that. The outcome is in `reload` then, and in the
 * log and systemd's eyes; an error changes nothing. force: do what would be refused for
 * being dangerous.
 */
uint64_t wm_reload__request(struct wm_reload *reload, bool force);

/* For wm_config__load(): a warning into the log. */
void wm_reload__warn(const char *text, void *arg);

#endif
