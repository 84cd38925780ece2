// SPDX-License-Identifier: GPL-2.0
/*
 * A link that is deleted takes the program with it: then there is nothing left
 * to serve, and the daemon ends with an error (systemd starts it again, when the
 * device is back). A program that somebody takes off is that person's will: it is
 * said loudly, and left so.
 */
#include "links.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemon.h"
#include "log.h"

int wm_links__open(struct wm_links *links, const struct wm_config *config, struct wm_err *err)
{
	links->ifindex = calloc(config->n_interfaces, sizeof(*links->ifindex));
	if (!links->ifindex)
		return wm_err__sys(err, -ENOMEM, "cannot watch the interfaces");
	for (size_t i = 0; i < config->n_interfaces; i++) {
		links->ifindex[i] = if_nametoindex(config->interfaces[i]);
		if (!links->ifindex[i])
			return wm_err__sys(err, -errno, "interface %s", config->interfaces[i]);
		links->n++;
	}
	return 0;
}

static const char *name_of(const struct wm_daemon *d, int ifindex)
{
	for (size_t i = 0; i < d->links.n; i++)
		if (d->links.ifindex[i] == ifindex)
			return d->config->interfaces[i];
	return NULL;
}

static bool has_program(const struct nlmsghdr *msg)
{
	const struct nlattr *attr, *inner;

	mnl_attr_for_each(attr, msg, sizeof(struct ifinfomsg)) {
		if (mnl_attr_get_type(attr) != IFLA_XDP)
			continue;
		mnl_attr_for_each_nested(inner, attr)
			if (mnl_attr_get_type(inner) == IFLA_XDP_ATTACHED)
				return mnl_attr_get_u8(inner) != XDP_ATTACHED_NONE;
	}
	return true; /* not every message speaks of it */
}

static void end(struct wm_daemon *d, const char *name)
{
	wm_daemon__fail(d, -ENODEV, "interface %s is gone: nothing is left to serve", name);
}

static int hear(const struct nlmsghdr *msg, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(msg);
	struct wm_daemon *d = arg;
	const char *name;

	/* A bridge tells of its ports leaving it in the same words. */
	if (info->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	name = name_of(d, info->ifi_index);
	if (!name)
		return MNL_CB_OK;
	if (msg->nlmsg_type == RTM_DELLINK)
		end(d, name);
	else if (!has_program(msg))
		wm_error("somebody took the program off %s: nothing is balanced there "
			 "(restart waymarkd to attach it again)", name);
	return MNL_CB_OK;
}

/* Whether all are still there, after messages were missed. */
static void look_again(struct wm_daemon *d)
{
	for (size_t i = 0; i < d->links.n; i++) {
		char name[IF_NAMESIZE];

		if (!if_indextoname(d->links.ifindex[i], name))
			end(d, d->config->interfaces[i]);
	}
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct wm_daemon *d = arg;
	char buffer[32768];
	ssize_t got;

	(void)source;
	(void)fd;
	(void)revents;
	while ((got = mnl_socket_recvfrom(d->links.socket, buffer, sizeof(buffer))) > 0)
		mnl_cb_run(buffer, got, 0, 0, hear, d);
	if (got < 0 && errno == ENOBUFS)
		look_again(d);
	return 0;
}

int wm_links__start(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_links *links = &d->links;
	int ret;

	links->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!links->socket || mnl_socket_bind(links->socket, RTMGRP_LINK, MNL_SOCKET_AUTOPID))
		return wm_err__sys(err, -errno, "cannot watch the interfaces");
	ret = sd_event_add_io(d->event, &links->io, mnl_socket_get_fd(links->socket), EPOLLIN,
			      on_readable, d);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot watch the interfaces");
	look_again(d); /* nobody listened between looking up and now */
	return 0;
}

void wm_links__close(struct wm_links *links)
{
	links->io = sd_event_source_disable_unref(links->io);
	if (links->socket)
		mnl_socket_close(links->socket);
	free(links->ifindex);
	*links = (struct wm_links){};
}
