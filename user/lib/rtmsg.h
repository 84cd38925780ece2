/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What messages of rtnetlink say. Nothing of a message is believed before its length
 * was looked at: a header may be cut, and an attribute shorter than its type.
 */
#ifndef WM_RTMSG_H
#define WM_RTMSG_H

#include <libmnl/libmnl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "addr.h"

/* All return false for a message that is of another kind, is cut, or contradicts itself. */

struct wm_rtmsg_link {
	int ifindex;
	uint8_t family;         /* AF_UNSPEC: the link itself, not what a bridge says of it */
	char name[IF_NAMESIZE]; /* "": not said */
};

/* RTM_NEWLINK, RTM_DELLINK */
bool wm_rtmsg__link(const struct nlmsghdr *msg, struct wm_rtmsg_link *link);

/* One end of a pair of veth, or another device. */
struct wm_rtmsg_end {
	char name[IF_NAMESIZE]; /* "": not said */
	int peer;     /* index of the other one; 0: not known */
	int netns;    /* that one's namespace, as a number in ours; -1: ours */
	bool veth, program; /* program: an XDP program is attached */
};

/* RTM_NEWLINK */
bool wm_rtmsg__end(const struct nlmsghdr *msg, struct wm_rtmsg_end *end);

struct wm_rtmsg_neighbour {
	struct wm_addr addr;
	int ifindex;
	uint16_t state; /* NUD_... */
	uint8_t mac[6];
	bool has_mac;
};

/* RTM_NEWNEIGH of IPv4 or IPv6, with an address. */
bool wm_rtmsg__neighbour(const struct nlmsghdr *msg, struct wm_rtmsg_neighbour *neighbour);

struct wm_rtmsg_route {
	struct wm_addr via; /* family 0: on the link */
	int ifindex;        /* 0: not said */
	uint8_t type;       /* RTN_... */
	uint32_t mtu;       /* 0: not said */
	bool learned;       /* it expires: an ICMP error said so, nobody configured it */
};

/* RTM_NEWROUTE */
bool wm_rtmsg__route(const struct nlmsghdr *msg, struct wm_rtmsg_route *route);

#endif
