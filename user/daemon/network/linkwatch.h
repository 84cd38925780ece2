/* SPDX-License-Identifier: GPL-2.0 */
/* Watches the interfaces that are served: somebody may delete a link or take its
 * program off. */
#ifndef WM_LINKWATCH_H
#define WM_LINKWATCH_H

#include <systemd/sd-event.h>

#include "err.h"

struct mnl_socket;
struct wm_attached;
struct wm_links;
struct wm_local;
struct wm_lock;
struct wm_nic;
struct wm_running;
struct wm_uplinks;

/* What an interface that goes, or comes back, is told to. */
struct wm_linkwatch_parts {
	const struct wm_running *running;
	struct wm_links *links;
	struct wm_lock *lock;
	struct wm_nic *nic;
	struct wm_attached *attached;
	struct wm_uplinks *uplinks;
	struct wm_local *local;
	void (*none_left)(void *arg, const char *name); /* it was the last, and is gone */
	void *arg;
};

struct wm_linkwatch {
	struct wm_linkwatch_parts with;
	struct mnl_socket *socket;
	sd_event_source *io;
};

/* The program must be attached by then. 0 or -errno. */
int wm_linkwatch__start(struct wm_linkwatch *watch, sd_event *event,
			const struct wm_linkwatch_parts *with, struct wm_err *err);
void wm_linkwatch__stop(struct wm_linkwatch *watch);

#endif
