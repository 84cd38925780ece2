/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What has to be known of the interfaces that packets come in and leave by, and follows
 * their changes: how long a frame may be there, and which link addresses are ours.
 */
#ifndef WM_UPLINKS_H
#define WM_UPLINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "crossing.h"
#include "err.h"
#include "netdev.h"
#include "netwatch.h"

struct wm_config;
struct wm_links;
struct wm_running;
struct wm_vlan;

struct wm_uplinks_parts {
	const struct wm_running *running;
	const struct wm_links *links;
	struct wm_vlan *vlan;
	void (*mtu_changed)(void *arg);
	/* Links, addresses or routes, whatever it is: for those that follow these. */
	void (*changed)(void *arg);
	void *arg;
};

struct wm_uplinks {
	struct wm_uplinks_parts with;
	struct wm_netwatch watch;
	uint32_t mtu;          /* the smallest of all; 0: none is there */
	char narrow[IF_NAMESIZE]; /* whose that is */
	uint32_t told;         /* the one that the log speaks of */
	int vrf;               /* that the first is in; 0: none */
	bool macvlans;         /* there are some, so that IP addresses matter */
	struct wm_port port[WM_PORTS_MAX]; /* by position in the configuration */
	size_t n_ports;
	bool crowded;          /* more link addresses than the program takes: said so */
};

/* Look at the interfaces, and follow them from then on: both functions are called from the
 * loop, or by wm_uplinks__look_again(). may_refuse: see wm_vlan__look(). 0 or -errno. */
int wm_uplinks__open(struct wm_uplinks *uplinks, sd_event *event,
		     const struct wm_uplinks_parts *with, bool may_refuse, struct wm_err *err);
/* At once, without waiting for the kernel's word: before an interface is served again. */
void wm_uplinks__look_again(struct wm_uplinks *uplinks);
void wm_uplinks__close(struct wm_uplinks *uplinks);

/* In the log: the longest packets that fit, if that was not said before. */
void wm_uplinks__tell(struct wm_uplinks *uplinks);

/* The longest frame, as it comes in, that can go to this real. route: the MTU that its route
 * has; 0: none. */
uint16_t wm_uplinks__max_frame(const struct wm_uplinks *uplinks, const struct wm_addr *real,
			       uint32_t route);
/* The longest IP packet that a header of this family leaves room for, whatever the routes
 * say. */
uint32_t wm_uplinks__fits(const struct wm_uplinks *uplinks, enum wm_family outer);

#endif
