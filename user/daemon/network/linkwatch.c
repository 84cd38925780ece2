// SPDX-License-Identifier: GPL-2.0
/*
 * A link that is deleted takes the program with it. The others are served on, and
 * so is this one when it comes back under its name (`devlink dev reload` does that). One that
 * was not there at the start is waited for in the same way.
 * With the last of them there is nothing left to serve, and the daemon ends with an
 * error (systemd starts it again, when the device is back). What happens to the program
 * on a link that stays: attached.c.
 */
#include "linkwatch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "attached.h"
#include "ifindex.h"
#include "links.h"
#include "local.h"
#include "lock.h"
#include "log.h"
#include "netlink.h"
#include "nic.h"
#include "rtmsg.h"
#include "running.h"
#include "steer.h"
#include "uplinks.h"
#include "veth.h"

static const char *configured(const struct wm_linkwatch *watch, size_t i)
{
	return watch->with.running->config->interfaces[i];
}

/* One of ours that is gone, by its name. */
static size_t missing(const struct wm_linkwatch *watch, const char *name)
{
	const struct wm_links *links = watch->with.links;
	size_t i = 0;

	while (i < links->n && (links->ifindex[i] || strcmp(configured(watch, i), name)))
		i++;
	return i;
}

/* It is the same interface; the configuration's name is for the next one. */
static void rename_link(struct wm_linkwatch *watch, size_t i, const char *name)
{
	char *is = watch->with.links->name[i];

	if (!*name || !strcmp(is, name))
		return;
	wm_warn("interface %s is called %s now: it is served on, and a restart will look for %s",
		is, name, configured(watch, i));
	snprintf(is, IF_NAMESIZE, "%s", name);
	wm_dp__rename(watch->with.running->dp, i, name);
}

static void lose(struct wm_linkwatch *watch, size_t i)
{
	struct wm_links *links = watch->with.links;
	size_t left = 0;

	wm_lock__leave(watch->with.lock, links->ifindex[i]);
	links->ifindex[i] = 0;
	wm_steer__hold(watch->with.nic, i, true);
	wm_attached__check(watch->with.attached, i);
	for (size_t k = 0; k < links->n; k++)
		left += links->ifindex[k] != 0;
	if (left)
		wm_error("interface %s is gone: it is served again when it comes back, the "
			 "others are served on", links->name[i]);
	else
		watch->with.none_left(watch->with.arg, links->name[i]);
	snprintf(links->name[i], IF_NAMESIZE, "%s", configured(watch, i));
}

/* A name is given first and the address later: it is attached at once all the same. */
static void find_again(struct wm_linkwatch *watch, size_t i, int ifindex)
{
	const struct wm_linkwatch_parts *with = &watch->with;
	bool seen = with->links->seen[i];
	const char *name = configured(watch, i), *is = seen ? "back" : "there";
	struct wm_err err = {};
	int ret;

	with->links->ifindex[i] = ifindex;
	wm_uplinks__look_again(with->uplinks); /* whose frames are ours there */
	ret = wm_lock__interface(with->lock, name, &err);
	if (!ret)
		ret = wm_attached__again(with->attached, i, &err);
	if (ret)
		wm_error("interface %s is %s, and not served: %s", name, is, err.text);
	else
		wm_info("interface %s is %s, and served%s", name, is, seen ? " again" : "");
	if (!ret)
		wm_veth__warn(name, !with->attached->port[i].is.generic);
	with->links->seen[i] = true;
	wm_steer__hold(with->nic, i, ret);
	wm_local__device_is_back(with->local);
}

static void hear(const struct nlmsghdr *msg, void *arg)
{
	struct wm_linkwatch *watch = arg;
	struct wm_rtmsg_link link;
	size_t n, i;

	/* A bridge tells of its ports leaving it in the same words. */
	if (!wm_rtmsg__link(msg, &link) || link.family != AF_UNSPEC)
		return;
	n = watch->with.links->n;
	i = wm_links__find(watch->with.links, link.ifindex);
	if (i == n) {
		i = missing(watch, link.name);
		if (i < n && msg->nlmsg_type == RTM_NEWLINK)
			find_again(watch, i, link.ifindex);
	} else if (msg->nlmsg_type == RTM_DELLINK) {
		lose(watch, i);
	} else {
		rename_link(watch, i, link.name);
		wm_attached__check(watch->with.attached, i);
	}
}

/* Whether all are still there, or there again, after messages were missed. */
static void look_again(struct wm_linkwatch *watch)
{
	const struct wm_links *links = watch->with.links;
	char name[IF_NAMESIZE] = "";
	int ifindex;

	for (size_t i = 0; i < links->n; i++) {
		if (links->ifindex[i] && wm_ifindex__name(links->ifindex[i], name) == -ENODEV)
			lose(watch, i);
		if (links->ifindex[i]) {
			rename_link(watch, i, name);
			wm_attached__check(watch->with.attached, i);
			continue;
		}
		ifindex = wm_ifindex__of(configured(watch, i));
		if (ifindex > 0)
			find_again(watch, i, ifindex);
	}
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct wm_linkwatch *watch = arg;

	(void)source;
	(void)fd;
	(void)revents;
	if (wm_nl__hear(watch->socket, hear, watch) == -ENOBUFS)
		look_again(watch);
	return 0;
}

int wm_linkwatch__start(struct wm_linkwatch *watch, sd_event *event,
			const struct wm_linkwatch_parts *with, struct wm_err *err)
{
	int ret;

	watch->with = *with;
	watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!watch->socket || mnl_socket_bind(watch->socket, RTMGRP_LINK, MNL_SOCKET_AUTOPID))
		return wm_err__sys(err, -errno, "cannot watch the interfaces");
	ret = sd_event_add_io(event, &watch->io, mnl_socket_get_fd(watch->socket), EPOLLIN,
			      on_readable, watch);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot watch the interfaces");
	look_again(watch); /* nobody listened between looking up and now */
	return 0;
}

void wm_linkwatch__stop(struct wm_linkwatch *watch)
{
	watch->io = sd_event_source_disable_unref(watch->io);
	if (watch->socket)
		mnl_socket_close(watch->socket);
	*watch = (struct wm_linkwatch){};
}
