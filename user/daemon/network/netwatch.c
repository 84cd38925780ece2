// SPDX-License-Identifier: GPL-2.0
/*
 * A router with a full table changes thousands of routes a second. So the socket is read
 * once in SETTLE_US at most, and never more than what it can hold; what did not fit
 * (ENOBUFS) is a change like any other.
 */
#include "netwatch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "netlink.h"

enum {
	SETTLE_US = 50 * WM_TIMER_MS,
	HEAR_MAX = 16, /* times: more than the socket's buffer has messages */
	EVERYTHING = WM_NETWATCH_LINKS | WM_NETWATCH_ADDRESSES | WM_NETWATCH_ROUTES,
};

static const int groups[] = {
	RTNLGRP_LINK,        RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_RULE,   RTNLGRP_IPV6_RULE,   RTNLGRP_NEXTHOP,
};

static unsigned int what_of(uint16_t type)
{
	switch (type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return WM_NETWATCH_LINKS;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return WM_NETWATCH_ADDRESSES;
	}
	return WM_NETWATCH_ROUTES;
}

static void hear(const struct nlmsghdr *msg, void *arg)
{
	struct wm_netwatch *watch = arg;

	watch->heard |= what_of(msg->nlmsg_type);
}

static void drain(struct wm_netwatch *watch)
{
	for (int i = 0; i < HEAR_MAX; i++)
		if (wm_nl__hear(watch->socket, hear, watch))
			watch->heard = EVERYTHING;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct wm_netwatch *watch = arg;

	(void)fd;
	(void)revents;
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	wm_timer__arm(&watch->settle, SETTLE_US);
	return 0;
}

static void on_settled(void *arg)
{
	struct wm_netwatch *watch = arg;
	unsigned int heard;

	drain(watch);
	heard = watch->heard;
	watch->heard = 0;
	sd_event_source_set_enabled(watch->io, SD_EVENT_ON);
	if (heard)
		watch->fn(watch->arg, heard);
}

static int subscribe(struct wm_netwatch *watch)
{
	watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!watch->socket || mnl_socket_bind(watch->socket, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
		int group = groups[i];

		/* A kernel without IPv6 or without nexthops has no such changes. */
		mnl_socket_setsockopt(watch->socket, NETLINK_ADD_MEMBERSHIP, &group,
				      sizeof(group));
	}
	return 0;
}

int wm_netwatch__open(struct wm_netwatch *watch, sd_event *event, wm_netwatch_fn fn, void *arg,
		      struct wm_err *err)
{
	int ret;

	*watch = (struct wm_netwatch){ .fn = fn, .arg = arg };
	ret = subscribe(watch);
	if (!ret)
		ret = wm_timer__init(&watch->settle, event, on_settled, watch);
	if (ret >= 0)
		ret = sd_event_add_io(event, &watch->io, mnl_socket_get_fd(watch->socket), EPOLLIN,
				      on_readable, watch);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot watch links, addresses and routes");
	return 0;
}

void wm_netwatch__close(struct wm_netwatch *watch)
{
	watch->io = sd_event_source_disable_unref(watch->io);
	wm_timer__free(&watch->settle);
	if (watch->socket)
		mnl_socket_close(watch->socket);
	watch->socket = NULL;
}
