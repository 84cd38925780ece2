// SPDX-License-Identifier: GPL-2.0
/*
 * Two rtnetlink sockets: `ask` for requests, of which one is under way at a
 * time and answered within its call, and `hear` for the neighbour events that
 * the kernel sends by itself. The second never blocks.
 *
 * NTF_USE is what a packet would do to a neighbour entry: it makes one, starts
 * resolution, or has an entry probed that went stale.
 */
#include "neigh.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"
#include "rtmsg.h"

enum {
	HEAR_BUFFER = 4 << 20,      /* thousands of neighbours may move at once */
	USABLE = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE,
};

struct wm_neigh {
	struct wm_nl *ask;
	struct mnl_socket *hear;
	wm_neigh_event event;
	void *arg;
};

static int open_hear(struct wm_neigh *neigh)
{
	int buffer = HEAR_BUFFER;

	neigh->hear = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!neigh->hear || mnl_socket_bind(neigh->hear, RTMGRP_NEIGH, MNL_SOCKET_AUTOPID))
		return -errno;
	/* Without the privilege the default stays: -ENOBUFS is handled anyway. */
	setsockopt(mnl_socket_get_fd(neigh->hear), SOL_SOCKET, SO_RCVBUFFORCE, &buffer,
		   sizeof(buffer));
	return 0;
}

int wm_neigh__open(struct wm_neigh **out, wm_neigh_event event, void *arg, struct wm_err *err)
{
	struct wm_neigh *neigh = calloc(1, sizeof(*neigh));
	int ret;

	*out = NULL;
	if (!neigh)
		return wm_err__sys(err, -ENOMEM, "rtnetlink");
	neigh->event = event;
	neigh->arg = arg;
	ret = wm_nl__open(&neigh->ask, NETLINK_ROUTE, err);
	if (!ret) {
		ret = open_hear(neigh);
		if (ret)
			wm_err__sys(err, ret, "cannot open an rtnetlink socket");
	}
	if (ret) {
		wm_neigh__close(neigh);
		return ret;
	}
	*out = neigh;
	return 0;
}

void wm_neigh__close(struct wm_neigh *neigh)
{
	if (!neigh)
		return;
	wm_nl__close(neigh->ask);
	if (neigh->hear)
		mnl_socket_close(neigh->hear);
	free(neigh);
}

int wm_neigh__fd(const struct wm_neigh *neigh)
{
	return mnl_socket_get_fd(neigh->hear);
}

/* --- messages --- */

static uint8_t to_af(const struct wm_addr *addr)
{
	return addr->family == WM_IPV6 ? AF_INET6 : AF_INET;
}

static size_t addr_len(uint8_t af)
{
	return af == AF_INET6 ? 16 : 4;
}

static void put_addr(struct nlmsghdr *msg, uint16_t type, const struct wm_addr *addr)
{
	mnl_attr_put(msg, type, addr_len(to_af(addr)), addr->word);
}

/* --- route --- */

static int on_route(const struct nlmsghdr *msg, void *arg)
{
	return wm_rtmsg__route(msg, arg) ? MNL_CB_OK : MNL_CB_ERROR;
}

static int ask_route(struct wm_neigh *neigh, const struct wm_addr *to, int ifindex,
		     uint32_t flags, struct wm_rtmsg_route *route)
{
	struct nlmsghdr *msg;
	struct rtmsg *rtm;

	*route = (struct wm_rtmsg_route){};
	wm_nl__begin(neigh->ask);
	msg = wm_nl__add(neigh->ask, RTM_GETROUTE, 0);
	rtm = mnl_nlmsg_put_extra_header(msg, sizeof(*rtm));
	rtm->rtm_family = to_af(to);
	rtm->rtm_dst_len = 8 * addr_len(rtm->rtm_family);
	rtm->rtm_flags = flags;
	put_addr(msg, RTA_DST, to);
	if (ifindex)
		mnl_attr_put_u32(msg, RTA_OIF, ifindex);
	return wm_nl__ask(neigh->ask, on_route, route, NULL);
}

int wm_neigh__route(struct wm_neigh *neigh, const struct wm_addr *to, int ifindex,
		    struct wm_hop *hop)
{
	struct wm_rtmsg_route route;
	int ret = ask_route(neigh, to, ifindex, 0, &route);

	if (ret)
		return ret;
	if (route.type == RTN_LOCAL)
		return -EADDRNOTAVAIL;
	if (route.type != RTN_UNICAST || !route.ifindex)
		return -EHOSTUNREACH;
	/* Strangers can send errors from which an MTU is learned. */
	*hop = (struct wm_hop){
		.via = route.via.family ? route.via : *to,
		.ifindex = route.ifindex,
		.mtu = route.learned ? 0 : route.mtu,
	};
	return 0;
}

/* Asked for a way through a device, IPv4 takes every address for one of its link where no
 * route says so. Asked for the route, it says that there is none. */
int wm_neigh__route_by(struct wm_neigh *neigh, const struct wm_addr *to, int ifindex,
		       struct wm_hop *hop)
{
	struct wm_rtmsg_route route;
	int ret = 0;

	if (to->family == WM_IPV4)
		ret = ask_route(neigh, to, ifindex, RTM_F_FIB_MATCH, &route);
	if (!ret)
		ret = wm_neigh__route(neigh, to, ifindex, hop);
	if (!ret && hop->ifindex != ifindex)
		ret = -ENETUNREACH;
	return ret;
}

/* --- neighbour --- */

static bool is_usable(const struct wm_rtmsg_neighbour *n)
{
	return n->has_mac && n->state & USABLE;
}

/* The next request, about this neighbour. */
static struct ndmsg *add_neighbour(struct wm_neigh *neigh, uint16_t type, uint16_t flags,
				   const struct wm_hop *hop)
{
	struct nlmsghdr *msg = wm_nl__add(neigh->ask, type, flags);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(msg, sizeof(*ndm));

	ndm->ndm_family = to_af(&hop->via);
	ndm->ndm_ifindex = hop->ifindex;
	put_addr(msg, NDA_DST, &hop->via);
	return ndm;
}

static int on_neighbour(const struct nlmsghdr *msg, void *arg)
{
	return wm_rtmsg__neighbour(msg, arg) ? MNL_CB_OK : MNL_CB_ERROR;
}

static int ask_for(struct wm_neigh *neigh, const struct wm_hop *hop,
		   struct wm_rtmsg_neighbour *found)
{
	*found = (struct wm_rtmsg_neighbour){};
	wm_nl__begin(neigh->ask);
	add_neighbour(neigh, RTM_GETNEIGH, 0, hop);
	return wm_nl__ask(neigh->ask, on_neighbour, found, NULL);
}

int wm_neigh__find(struct wm_neigh *neigh, const struct wm_hop *hop, uint8_t mac[6])
{
	struct wm_rtmsg_neighbour found;
	int ret = ask_for(neigh, hop, &found);

	if (ret)
		return ret;
	if (!is_usable(&found))
		return -ENOENT;
	memcpy(mac, found.mac, sizeof(found.mac));
	return 0;
}

/* What somebody entered by hand. NTF_USE would make it an ordinary entry (since
 * Linux 5.16), so it must not be used. */
static bool is_fixed(struct wm_neigh *neigh, const struct wm_hop *hop)
{
	struct wm_rtmsg_neighbour found;

	return !ask_for(neigh, hop, &found) && found.state & (NUD_PERMANENT | NUD_NOARP);
}

/* That a neighbour cannot be used (its device is down, say) shows by no event coming. */
static void on_used(void *arg, size_t i, int result, const char *words)
{
	(void)arg;
	(void)i;
	(void)result;
	(void)words;
}

int wm_neigh__use(struct wm_neigh *neigh, const struct wm_hop *hops, size_t n)
{
	const struct wm_hop *chosen[WM_NL_BATCH];
	size_t next = 0, count;
	int ret = 0;

	while (next < n && !ret) {
		for (count = 0; next < n && count < WM_NL_BATCH; next++)
			if (!is_fixed(neigh, &hops[next]))
				chosen[count++] = &hops[next];
		wm_nl__begin(neigh->ask);
		for (size_t i = 0; i < count; i++)
			add_neighbour(neigh, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE |
				      NLM_F_ACK, chosen[i])->ndm_flags = NTF_USE;
		ret = wm_nl__run(neigh->ask, on_used, NULL);
	}
	return ret;
}

/* --- events --- */

static void hear(const struct nlmsghdr *msg, void *arg)
{
	struct wm_rtmsg_neighbour found;
	struct wm_neigh *neigh = arg;

	if (!wm_rtmsg__neighbour(msg, &found) || !is_usable(&found))
		return;
	neigh->event(neigh->arg,
		     &(struct wm_hop){ .via = found.addr, .ifindex = found.ifindex },
		     found.mac);
}

int wm_neigh__read(struct wm_neigh *neigh)
{
	return wm_nl__hear(neigh->hear, hear, neigh);
}
