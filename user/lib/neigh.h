/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The next hop towards an address, as the kernel knows it: route, then
 * neighbour. The kernel resolves; this asks, reminds and listens, by rtnetlink.
 */
#ifndef WM_NEIGH_H
#define WM_NEIGH_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "err.h"

/* A neighbour: an address on a link. */
struct wm_hop {
	struct wm_addr via;
	int ifindex;
	uint32_t mtu; /* that the route was given; 0: none */
};

struct wm_neigh;

/* The kernel knows the neighbour's link address, or knows another one now. */
typedef void (*wm_neigh_event)(void *arg, const struct wm_hop *hop, const uint8_t mac[6]);

int wm_neigh__open(struct wm_neigh **neigh, wm_neigh_event event, void *arg, struct wm_err *err);
void wm_neigh__close(struct wm_neigh *neigh);

/* Readable when there is something to hear; wm_neigh__read() then calls the
 * event function. -ENOBUFS: something was missed, ask again. */
int wm_neigh__fd(const struct wm_neigh *neigh);
int wm_neigh__read(struct wm_neigh *neigh);

/*
 * Which neighbour is next on the way to `to`; with `ifindex` only ways through
 * that device. Errors are the kernel's (-ENETUNREACH, -EHOSTUNREACH, ...);
 * -EADDRNOTAVAIL: the address is this machine's own.
 */
int wm_neigh__route(struct wm_neigh *neigh, const struct wm_addr *to, int ifindex,
		    struct wm_hop *hop);

/* The same through this device, if some route leads there. */
int wm_neigh__route_by(struct wm_neigh *neigh, const struct wm_addr *to, int ifindex,
		       struct wm_hop *hop);

/* Its link address. -ENOENT: not known (yet). */
int wm_neigh__find(struct wm_neigh *neigh, const struct wm_hop *hop, uint8_t mac[6]);

/*
 * As if packets went to these neighbours: the kernel resolves those that it does
 * not know and checks those that it has not heard of for a while, so that none
 * expires. Returns at once; outcomes come as events.
 */
int wm_neigh__use(struct wm_neigh *neigh, const struct wm_hop *hops, size_t n);

#endif
