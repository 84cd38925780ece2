/* SPDX-License-Identifier: GPL-2.0 */
/*
 * waymarkd's state, all of it. One sd-event loop on one thread: whatever runs
 * there, runs alone and to its end. What would take long, reading a configuration
 * and planning a change, is a worker's (worker.h), which says when it is done. The
 * directories below decide (core: what there should be; offload: which flows get
 * rules); this one brings them together. No part knows of it: each has pointers to what it
 * uses, and functions that daemon.c hands in for what is above.
 */
#ifndef WM_DAEMON_H
#define WM_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "admin.h"
#include "apply.h"
#include "attached.h"
#include "byhand.h"
#include "config.h"
#include "dataplane.h"
#include "err.h"
#include "events.h"
#include "health.h"
#include "hops.h"
#include "links.h"
#include "linkwatch.h"
#include "live.h"
#include "local.h"
#include "lock.h"
#include "metrics.h"
#include "model.h"
#include "monotonic.h"
#include "nic.h"
#include "ownaddr.h"
#include "queuewatch.h"
#include "reload.h"
#include "retire.h"
#include "running.h"
#include "uplinks.h"
#include "vlan.h"

struct wm_control;
struct wm_control_ops;

struct wm_daemon_options {
	const char *config;  /* path */
	const char *control; /* path of the control socket; NULL: as configured */
	enum wm_xdp_mode mode;   /* unless mode_given is false: as configured */
	bool mode_given;
	bool new_program;    /* in the place of the one that runs */
	bool detach;         /* take the data plane off at the end */
	bool force;          /* start also where that is dangerous */
	const struct wm_control_ops *answers; /* to what is asked on the control socket */
};

struct wm_daemon {
	const struct wm_daemon_options *options;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	sd_event *event;
	struct wm_lock lock;
	struct wm_running running;
	bool fresh;               /* it has a program that gets packets when all is ready */
	struct wm_hops *hops;     /* towards the reals */
	struct wm_nic nic;
	struct wm_retire retire;
	struct wm_health *health; /* of the reals that are checked */
	struct wm_admin admin;    /* what people said of reals */
	struct wm_byhand byhand;
	struct wm_live live;      /* flows of each destination */
	struct wm_events events;
	struct wm_links links;
	struct wm_linkwatch linkwatch;
	struct wm_attached attached;
	struct wm_uplinks uplinks;
	struct wm_vlan vlan;       /* what was changed so that tags are seen */
	struct wm_ownaddr ownaddr; /* addresses of vips that are the machine's own */
	struct wm_queuewatch queuewatch;
	struct wm_control *control;
	struct wm_apply apply;
	struct wm_local *local;   /* consumers */
	struct wm_reload reload;
	struct wm_metrics *metrics;
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

#endif
