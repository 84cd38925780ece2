/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Notices that something about links, addresses, routes or rules has changed, and reports it
 * a moment later, once for all changes that came together. It does not say what has changed:
 * whoever needs to know asks the kernel again.
 */
#ifndef WM_NETWATCH_H
#define WM_NETWATCH_H

#include <systemd/sd-event.h>

#include "err.h"
#include "timer.h"

struct mnl_socket;

enum wm_netwatch_what {
	WM_NETWATCH_LINKS = 1 << 0,
	WM_NETWATCH_ADDRESSES = 1 << 1,
	WM_NETWATCH_ROUTES = 1 << 2, /* or rules, or nexthops */
};

typedef void (*wm_netwatch_fn)(void *arg, unsigned int what);

struct wm_netwatch {
	struct mnl_socket *socket;
	sd_event_source *io;
	struct wm_timer settle;
	unsigned int heard; /* and not yet told */
	wm_netwatch_fn fn;
	void *arg;
};

/* Changes from now on are heard, and told once the loop runs. */
int wm_netwatch__open(struct wm_netwatch *watch, sd_event *event, wm_netwatch_fn fn, void *arg,
		      struct wm_err *err);
void wm_netwatch__close(struct wm_netwatch *watch);

#endif
