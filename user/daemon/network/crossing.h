/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Several interfaces, one next hop for each real: a packet leaves by the interface that it
 * came in by, and all carry the same link address. That is right on one link only. Here is
 * found out whether an interface leads to a real's next hop.
 */
#ifndef WM_CROSSING_H
#define WM_CROSSING_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "config.h"
#include "neigh.h"
#include "netdev.h"

enum { WM_PORTS_MAX = 64 }; /* interfaces of a configuration; one bit each below */

/* An interface by which packets come in and leave. */
struct wm_port {
	int ifindex;    /* 0: it is not there */
	int master;     /* the bond or bridge whose routes are its own; 0: none */
	bool addressed; /* it has an IP address: it is on a link of which the machine knows */
	bool running;   /* there is a carrier: without, nobody can be asked there */
	char name[IF_NAMESIZE];
};

/* NULL: it is not there. */
struct wm_port wm_crossing__port(const struct wm_netdev *dev);

/* The port that a route by this interface leads through: itself, or the first that is part of
 * it. NULL: it leads past them. */
const struct wm_port *wm_crossing__port_of(const struct wm_port *port, size_t n, int ifindex);

/* Of one real. */
struct wm_crossing {
	uint64_t same;    /* interfaces where its next hop has the same link address */
	uint64_t against; /* something speaks against it there, perhaps for the moment */
	uint64_t differs; /* its next hop answers there, by another link address */
	uint64_t apart;   /* something has spoken against it for a while */
	uint64_t since_ns; /* against is not 0 since then */
};

/* The neighbours that were looked for; whoever calls has them asked for. */
struct wm_crossing_ask {
	struct wm_hop hop[WM_PORTS_MAX];
	size_t n;
};

/* Look at the other interfaces than the one to which `hop`, with this link address, belongs. */
void wm_crossing__look(struct wm_crossing *c, struct wm_neigh *neigh, const struct wm_port *port,
		       size_t n, const struct wm_addr *real, const struct wm_hop *hop,
		       const uint8_t mac[6], uint64_t now_ns, struct wm_crossing_ask *ask);

enum { WM_CROSSING_TEXT = 160 };
/* "eth1 has no route to it", "by eth1 its next hop is 10.1.0.1, 02:..": why interface i is
 * not on the same link, as far as it is known now. */
void wm_crossing__why(struct wm_neigh *neigh, const struct wm_port *port,
		      const struct wm_addr *real, const struct wm_hop *hop,
		      char text[WM_CROSSING_TEXT]);

/* What can be told of a configuration without asking anybody on a link, on a machine that has
 * these interfaces: `warn` hears what speaks against one of them. -EXDEV: it is sure. */
int wm_crossing__check(const struct wm_config *config, void (*warn)(const char *text, void *arg),
		       void *arg, struct wm_err *err);

#endif
