// SPDX-License-Identifier: GPL-2.0
/*
 * A link that is deleted takes the program with it. The others are served on, and
 * so is this one when it comes back under its name (`devlink dev reload` does that).
 * With the last of them there is nothing left to serve, and the daemon ends with an
 * error (systemd starts it again, when the device is back). A program that somebody
 * takes off is that person's will: it is said loudly, and left so.
 */
#include "links.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemon.h"
#include "log.h"
#include "steer.h"

int wm_links__open(struct wm_links *links, const struct wm_config *config, struct wm_err *err)
{
	links->ifindex = calloc(config->n_interfaces, sizeof(*links->ifindex));
	if (!links->ifindex)
		return wm_err__sys(err, -ENOMEM, "cannot watch the interfaces");
	for (size_t i = 0; i < config->n_interfaces; i++) {
		links->ifindex[i] = if_nametoindex(config->interfaces[i]);
		if (!links->ifindex[i])
			return wm_err__set(err, -errno, "interface %s: %s in this network "
					   "namespace", config->interfaces[i], strerror(errno));
		links->n++;
	}
	return 0;
}

/* Position of the interface; links.n: none of ours. */
static size_t position(const struct wm_daemon *d, int ifindex)
{
	size_t i = 0;

	while (i < d->links.n && d->links.ifindex[i] != ifindex)
		i++;
	return i;
}

/* One of ours that is gone, by its name. */
static size_t missing(const struct wm_daemon *d, const char *name)
{
	size_t i = 0;

	while (i < d->links.n && (d->links.ifindex[i] || strcmp(d->config->interfaces[i], name)))
		i++;
	return i;
}

static const char *name_in(const struct nlmsghdr *msg)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, msg, sizeof(struct ifinfomsg))
		if (mnl_attr_get_type(attr) == IFLA_IFNAME &&
		    !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING))
			return mnl_attr_get_str(attr);
	return "";
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

static void lose(struct wm_daemon *d, size_t i)
{
	size_t left = 0;

	d->links.ifindex[i] = 0;
	wm_steer__hold(&d->nic, i, true);
	for (size_t k = 0; k < d->links.n; k++)
		left += d->links.ifindex[k] != 0;
	if (left)
		wm_error("interface %s is gone: it is served again when it comes back, the "
			 "others are served on", d->config->interfaces[i]);
	else
		wm_daemon__fail(d, -ENODEV, "interface %s is gone: nothing is left to serve",
				d->config->interfaces[i]);
}

/* A name is given first and the address later: it is attached at once all the same. */
static void find_again(struct wm_daemon *d, size_t i, int ifindex)
{
	const char *name = d->config->interfaces[i];
	struct wm_err err;
	int ret;

	d->links.ifindex[i] = ifindex;
	ret = wm_dp__attach_again(d->dp, name, &err);
	if (ret)
		wm_error("interface %s is back, and not served: %s", name, err.text);
	else
		wm_info("interface %s is back, and served again", name);
	wm_steer__hold(&d->nic, i, ret);
	wm_local__device_is_back(d);
}

static int hear(const struct nlmsghdr *msg, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(msg);
	struct wm_daemon *d = arg;
	size_t i;

	/* A bridge tells of its ports leaving it in the same words. */
	if (info->ifi_family != AF_UNSPEC)
		return MNL_CB_OK;
	i = position(d, info->ifi_index);
	if (i == d->links.n) {
		i = missing(d, name_in(msg));
		if (i < d->links.n && msg->nlmsg_type == RTM_NEWLINK)
			find_again(d, i, info->ifi_index);
	} else if (msg->nlmsg_type == RTM_DELLINK) {
		lose(d, i);
	} else if (!has_program(msg) && !wm_queueset__count(&d->config->queues[i])) {
		/* of single queues queuewatch.c speaks */
		wm_error("somebody took the program off %s: nothing is balanced there "
			 "(restart waymarkd to attach it again)", d->config->interfaces[i]);
	}
	return MNL_CB_OK;
}

/* Whether all are still there, or there again, after messages were missed. */
static void look_again(struct wm_daemon *d)
{
	char name[IF_NAMESIZE];
	int ifindex;

	for (size_t i = 0; i < d->links.n; i++) {
		if (d->links.ifindex[i] && !if_indextoname(d->links.ifindex[i], name))
			lose(d, i);
		if (d->links.ifindex[i])
			continue;
		ifindex = if_nametoindex(d->config->interfaces[i]);
		if (ifindex)
			find_again(d, i, ifindex);
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
