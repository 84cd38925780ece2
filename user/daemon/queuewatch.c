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

#include "daemon.h"
#include "log.h"
#include "queue.h"

/* Its place in the configuration; -1: none of ours. */
static int find(const struct wm_daemon *d, int ifindex)
{
	for (size_t i = 0; i < d->links.n; i++)
		if (d->links.ifindex[i] == ifindex)
			return i;
	return -1;
}

static void tell(const struct wm_daemon *d, const char *name, bool whole,
		 const struct wm_queue *now)
{
	if (!whole && now->program != wm_dp__prog_id(d->dp))
		wm_error("somebody took the program off rx queue %u of %s: nothing is balanced "
			 "there (restart waymarkd to attach it again)", now->id, name);
	else if (whole && now->program && now->program != wm_dp__prog_id(d->dp))
		wm_warn("somebody gave rx queue %u of %s a program of its own: nothing is balanced "
			"there", now->id, name);
	if (now->state == WM_QUEUE_STOPPED)
		wm_warn("rx queue %u of %s is stopped: packets for it are lost (waymark queue "
			"start %s %u)", now->id, name, name, now->id);
}

static int hear(const struct nlmsghdr *msg, void *arg)
{
	struct wm_daemon *d = arg;
	struct wm_queue told, now;
	const char *name;
	bool whole;
	int i;

	if (!wm_queue__read(msg, &told) || told.type != WM_QUEUE_RX)
		return MNL_CB_OK;
	i = find(d, told.ifindex);
	if (i < 0)
		return MNL_CB_OK;
	name = d->config->interfaces[i];
	whole = !wm_queueset__count(&d->config->queues[i]);
	if (!whole && !wm_queueset__has(&d->config->queues[i], told.id))
		return MNL_CB_OK;
	if (!wm_queues__get(d->queuewatch.queues, name, told.id, &now, NULL))
		tell(d, name, whole, &now);
	return MNL_CB_OK;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct wm_daemon *d = arg;
	char buffer[32768];
	ssize_t got;

	(void)source;
	(void)fd;
	(void)revents;
	while ((got = mnl_socket_recvfrom(d->queuewatch.socket, buffer, sizeof(buffer))) > 0)
		mnl_cb_run(buffer, got, 0, 0, hear, d);
	return 0;
}

void wm_queuewatch__start(struct wm_daemon *d)
{
	struct wm_queuewatch *watch = &d->queuewatch;
	struct wm_err err;

	if (!wm_queues__open(&watch->queues, &err) &&
	    !wm_queues__listen(watch->queues, &watch->socket, &err) &&
	    sd_event_add_io(d->event, &watch->io, mnl_socket_get_fd(watch->socket), EPOLLIN,
			    on_readable, d) >= 0)
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
