// SPDX-License-Identifier: GPL-2.0
/*
 * What somebody does to a queue is that person's will: it is said, and left so. A
 * notification only says where to look. What it tells may be our own doing, or undone
 * since, so the queue is asked how it is now.
 */
#include "queuewatch.h"

#include <libmnl/libmnl.h>
#include <net/if.h>
#include <sys/epoll.h>

#include "links.h"
#include "log.h"
#include "netlink.h"
#include "queue.h"
#include "running.h"

static void tell(uint32_t program, const char *name, bool whole, const struct wm_queue *now)
{
	if (!whole && now->program != program)
		wm_error("somebody took the program off rx queue %u of %s: nothing is balanced "
			 "there (restart waymarkd to attach it again)", now->id, name);
	else if (whole && now->program && now->program != program)
		wm_warn("somebody gave rx queue %u of %s a program of its own: nothing is balanced "
			"there", now->id, name);
	if (now->state == WM_QUEUE_STOPPED)
		wm_warn("rx queue %u of %s is stopped: packets for it are lost (waymark queue "
			"start %s %u)", now->id, name, name, now->id);
}

static void hear(const struct nlmsghdr *msg, void *arg)
{
	struct wm_queuewatch *watch = arg;
	const struct wm_queueset *queues;
	struct wm_queue told, now;
	const char *name;
	bool whole;
	size_t i;

	if (!wm_queue__read(msg, &told) || told.type != WM_QUEUE_RX)
		return;
	i = wm_links__find(watch->links, told.ifindex);
	if (i == watch->links->n)
		return;
	name = watch->links->name[i];
	queues = &watch->running->config->queues[i];
	whole = !wm_queueset__count(queues);
	if (!whole && !wm_queueset__has(queues, told.id))
		return;
	if (!wm_queues__get(watch->queues, name, told.id, &now, NULL))
		tell(wm_dp__prog_id(watch->running->dp), name, whole, &now);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct wm_queuewatch *watch = arg;

	(void)source;
	(void)fd;
	(void)revents;
	/* What was missed is not asked for again: it is for people to read. */
	wm_nl__hear(watch->socket, hear, watch);
	return 0;
}

static int start(struct wm_queuewatch *watch, sd_event *event, struct wm_err *err)
{
	int ret = wm_queues__open(&watch->queues, err);

	if (!ret)
		ret = wm_queues__listen(watch->queues, &watch->socket, err);
	if (ret)
		return ret;
	ret = sd_event_add_io(event, &watch->io, mnl_socket_get_fd(watch->socket), EPOLLIN,
			      on_readable, watch);
	return ret < 0 ? wm_err__sys(err, ret, "cannot wait for notifications") : 0;
}

void wm_queuewatch__start(struct wm_queuewatch *watch, sd_event *event,
			  const struct wm_links *links, const struct wm_running *running)
{
	struct wm_err err = {};

	watch->links = links;
	watch->running = running;
	if (!start(watch, event, &err))
		return;
	wm_debug("queues are not watched: %s", err.text);
	wm_queuewatch__stop(watch);
}

void wm_queuewatch__stop(struct wm_queuewatch *watch)
{
	watch->io = sd_event_source_disable_unref(watch->io);
	if (watch->socket)
		mnl_socket_close(watch->socket);
	wm_queues__close(watch->queues);
	*watch = (struct wm_queuewatch){};
}
