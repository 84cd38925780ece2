/* SPDX-License-Identifier: GPL-2.0 */
/* The network devices of this namespace, as rtnetlink lists them. */
#ifndef WM_NETDEV_H
#define WM_NETDEV_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum wm_netdev_kind {
	WM_NETDEV_OTHER,
	WM_NETDEV_BOND, /* or team */
	WM_NETDEV_BRIDGE,
	WM_NETDEV_MACVLAN, /* or macvtap */
	WM_NETDEV_VLAN,
	WM_NETDEV_VRF,
};

struct wm_netdev {
	int ifindex;
	int master;  /* what it is a part of: a bond, a bridge, a VRF; 0: of nothing */
	int lower;   /* what it sits on, in this namespace; 0: on nothing here */
	uint32_t mtu;
	uint8_t mac[6]; /* zero if it has none of six bytes */
	bool up, running; /* running: it has a carrier, too */
	bool addressed; /* it has an IP address for more than its link; wm_netdev__addresses() */
	enum wm_netdev_kind kind;
	char name[IF_NAMESIZE];
};

/* All of them, to be freed. */
int wm_netdev__list(struct wm_netdev **list, size_t *n, struct wm_err *err);
/* Find out which of them have IP addresses. */
int wm_netdev__addresses(struct wm_netdev *list, size_t n, struct wm_err *err);
/* Both NULL: not in the list. */
const struct wm_netdev *wm_netdev__named(const struct wm_netdev *list, size_t n,
					 const char *name);
const struct wm_netdev *wm_netdev__find(const struct wm_netdev *list, size_t n, int ifindex);

struct nlmsghdr;

/* One device, as a message describes it, without what addresses say. false: the message is of
 * another kind, or cut. */
bool wm_netdev__read(const struct nlmsghdr *msg, struct wm_netdev *dev);
/* The device that a message gives an IP address for more than its link; 0: it gives none. */
int wm_netdev__addressed(const struct nlmsghdr *msg);

#endif
