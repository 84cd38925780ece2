/* SPDX-License-Identifier: GPL-2.0 */
/*
 * waymarkd's state, all of it. One sd-event loop on one thread: whatever runs
 * there, runs alone and to its end. What would take long, reading a configuration
 * and planning a change, is a worker's (worker.h), which says when it is done. The
 * rooms below decide (core: what there should be; offload: which flows get
 * rules); this room brings them together.
 */
#ifndef WM_DAEMON_H
#define WM_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "apply.h"
#include "config.h"
#include "dataplane.h"
#include "err.h"
#include "events.h"
#include "hops.h"
#include "links.h"
#include "local.h"
#include "lock.h"
#include "model.h"
#include "nic.h"
#include "queuewatch.h"
#include "reload.h"
#include "retire.h"

struct wm_control;

struct wm_daemon_options {
	const char *config;  /* path */
	const char *control; /* path of the control socket; NULL: as configured */
	enum wm_mode mode;   /* unless mode_given is false: as configured */
	bool mode_given;
	bool detach;         /* take the data plane off at the end */
};

struct wm_daemon {
	const struct wm_daemon_options *options;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	sd_event *event;
	struct wm_lock lock;
	struct wm_config *config; /* what the last good file said */
	struct wm_dp *dp;
	struct wm_hops *hops;     /* towards the reals */
	struct wm_model *model;   /* what the data plane holds */
	struct wm_nic nic;
	struct wm_retire retire;
	struct wm_events events;
	struct wm_links links;
	struct wm_queuewatch queuewatch;
	struct wm_control *control;
	struct wm_apply apply;
	struct wm_local *local;   /* consumers; NULL: none is configured */
	struct wm_reload reload;
	struct wm_err fatal;      /* why the loop ended, if not by a signal */
};

/* Everything up to the notice that we are ready. On failure nothing is left
 * but what wm_daemon__stop() undoes. */
int wm_daemon__start(struct wm_daemon *daemon, const struct wm_daemon_options *options,
		     struct wm_err *err);
/* Until a signal (0) or something fatal (-errno, daemon->fatal says what). */
int wm_daemon__run(struct wm_daemon *daemon);
/* Also after a failed start. With options.detach the data plane goes too. */
void wm_daemon__stop(struct wm_daemon *daemon);

/* End the loop with an error. */
void wm_daemon__fail(struct wm_daemon *daemon, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The template with %i replaced by the first interface. NULL: no memory. */
char *wm_daemon__path(const struct wm_config *config, const char *template);

/* For log and sd_notify's STATUS. */
void wm_daemon__describe(const struct wm_daemon *daemon, char *text, size_t size);

uint64_t wm_now_ns(void); /* CLOCK_MONOTONIC */

#endif
