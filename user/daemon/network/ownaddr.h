/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tells which addresses of vips are this machine's own. Only for these does the stack serve
 * what belongs to no vip: ping, other ports.
 */
#ifndef WM_OWNADDR_H
#define WM_OWNADDR_H

#include <stdbool.h>
#include <stddef.h>

#include "timer.h"

struct wm_hops;
struct wm_running;

struct wm_ownaddr {
	const struct wm_running *running;
	const struct wm_hops *hops;
	struct wm_timer timer;
	size_t next; /* the first vip of the next slice */
	bool again;  /* something changed since this pass began */
};

/* hops: whom to ask; NULL: nobody, and no address is the machine's own. Kept as long as this
 * is. 0 or -errno. */
int wm_ownaddr__init(struct wm_ownaddr *own, sd_event *event, const struct wm_running *running,
		     const struct wm_hops *hops);
void wm_ownaddr__free(struct wm_ownaddr *own);

/* The vips or the addresses have changed: ask the kernel about all of them, a slice at a
 * time from the loop. */
void wm_ownaddr__look(struct wm_ownaddr *own);

#endif
