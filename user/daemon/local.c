// SPDX-License-Identifier: GPL-2.0
/*
 * One consumer at a time, whoever connects first. What it gets:
 *
 *   new      fresh sockets on every queue, entered in the data plane's xskmap;
 *   resume   it has sockets from a daemon before us: they are entered (again),
 *            and descriptors of them kept here for their statistics.
 *
 * A socket lives while anybody has a descriptor of it, and its xskmap entry as
 * long. So the consumer's own keep it alive when we go; and when the consumer
 * goes, we close ours, and with that its packets are dropped with a reason.
 *
 * Making sockets may wait a moment for queues that the last consumer has just
 * left. Nothing else is done meanwhile; packets do not need us.
 */
#include "local.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "handover.h"
#include "listen.h"
#include "log.h"
#include "put.h"

enum {
	PEERS_MAX = 8, /* connections, of which one may be the consumer */
	HELLO_US = 5000 * WM_TIMER_MS,
};

struct peer {
	struct wm_local *local;
	struct peer *next;
	int fd;
	sd_event_source *io;
	struct wm_timer hello; /* until it has said what it wants */
	struct ucred who;
};

struct wm_local {
	struct wm_daemon *daemon;
	struct wm_listen listen;
	sd_event_source *io;
	struct peer *peers;
	size_t n_peers;
	struct peer *consumer; /* one of the peers, or NULL */
	int socket[WM_XSK_QUEUES_MAX];
	uint32_t n_sockets;
	bool any;
};

static const char *device_of(const struct wm_local *local)
{
	return local->daemon->config->interfaces[0];
}

/* --- connections --- */

static void forget_sockets(struct wm_local *local)
{
	wm_handover__close_fds(local->socket, local->n_sockets);
	local->n_sockets = 0;
}

static void drop(struct peer *peer)
{
	struct wm_local *local = peer->local;
	struct peer **link = &local->peers;

	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	local->n_peers--;
	if (local->consumer == peer) {
		local->consumer = NULL;
		forget_sockets(local);
	}
	wm_timer__free(&peer->hello);
	sd_event_source_disable_unref(peer->io);
	close(peer->fd);
	free(peer);
}

static void on_silence(void *arg)
{
	drop(arg);
}

static int refuse(struct peer *peer, int error, const char *text)
{
	struct wm_handover message = {
		.magic = WM_HANDOVER_MAGIC,
		.version = WM_HANDOVER_VERSION,
		.kind = WM_HANDOVER_REFUSE,
		.error = error,
	};

	snprintf(message.text, sizeof(message.text), "%s", text);
	wm_handover__send(peer->fd, &message, NULL, 0);
	return error;
}

/* --- sockets --- */

static int keep_sockets(struct wm_local *local, const int *fds, uint32_t n)
{
	for (local->n_sockets = 0; local->n_sockets < n; local->n_sockets++) {
		local->socket[local->n_sockets] = fcntl(fds[local->n_sockets], F_DUPFD_CLOEXEC, 0);
		if (local->socket[local->n_sockets] < 0) {
			int ret = -errno;

			forget_sockets(local);
			return ret;
		}
	}
	return 0;
}

static int hand_over(struct peer *peer, const struct wm_xsk *xsk, struct wm_err *err)
{
	struct wm_local *local = peer->local;
	int fds[WM_HANDOVER_FDS], ret;
	struct wm_handover message;
	size_t n;

	ret = wm_xsk__enter(xsk, wm_dp__xsks_fd(local->daemon->dp), err);
	if (ret)
		return ret;
	wm_xsk__describe(xsk, WM_HANDOVER_OFFER, &message);
	n = wm_xsk__fds(xsk, fds);
	ret = keep_sockets(local, fds + 1, n - 1);
	if (!ret)
		ret = wm_handover__send(peer->fd, &message, fds, n);
	if (ret)
		return wm_err__sys(err, ret, "cannot hand sockets to process %d", peer->who.pid);
	local->any = wm_xsk__is_any(xsk);
	return 0;
}

static int give_new(struct peer *peer, struct wm_err *err)
{
	const struct wm_xsk_options options = {
		.device = device_of(peer->local),
		/* Without copies the queue's other packets would pass through the
		 * consumer's memory too, and wait for it. */
		.bind = WM_XSK_COPY,
		.ring = peer->local->daemon->config->local.ring,
	};
	struct wm_xsk *xsk;
	int ret;

	ret = wm_xsk__open(&xsk, &options, err);
	if (ret)
		return ret;
	ret = hand_over(peer, xsk, err);
	wm_xsk__close(xsk); /* the descriptors that were sent keep the sockets */
	if (ret)
		forget_sockets(peer->local);
	return ret;
}

static bool is_xdp_socket(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_XDP;
}

/* A socket whose device went has this error pending, also if another device has
 * the name now. */
static bool lost_its_device(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) && error == ENETDOWN;
}

static int check_sockets(const int *fds, size_t n, const char *device, struct wm_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_xdp_socket(fds[i]))
			return wm_err__set(err, -EBADMSG, "descriptors that are no AF_XDP sockets");
		if (lost_its_device(fds[i]))
			return wm_err__set(err, -ESTALE, "these sockets were for a %s that is "
					   "gone", device);
	}
	return 0;
}

static int enter(const struct wm_local *local, const int *sockets, const struct wm_handover *hello)
{
	int map = wm_dp__xsks_fd(local->daemon->dp);

	for (uint32_t queue = 0; queue < hello->queues; queue++)
		if (bpf_map_update_elem(map, &queue, &sockets[hello->any ? 0 : queue], 0))
			return -errno;
	return 0;
}

static int take_back(struct peer *peer, const struct wm_handover *hello, const int *fds, size_t n,
		     struct wm_err *err)
{
	struct wm_local *local = peer->local;
	struct wm_handover offer = *hello;
	const char *device = device_of(local);
	int ret;

	if (strcmp(hello->device, device) || hello->queues != wm_xsk__queues(device))
		return wm_err__set(err, -ESTALE, "these sockets are for %u queues of %s; it is "
				   "%u of %s now", hello->queues, hello->device,
				   wm_xsk__queues(device), device);
	if (n != hello->sockets + 1 || hello->queues > WM_XSK_QUEUES_MAX ||
	    hello->sockets != (hello->any ? 1 : hello->queues))
		return wm_err__set(err, -EBADMSG, "a number of sockets that makes no sense");
	ret = check_sockets(fds + 1, n - 1, device, err);
	if (ret)
		return ret;
	ret = enter(local, fds + 1, hello);
	if (!ret)
		ret = keep_sockets(local, fds + 1, hello->sockets);
	offer.kind = WM_HANDOVER_OFFER;
	if (!ret)
		ret = wm_handover__send(peer->fd, &offer, NULL, 0);
	if (ret) {
		forget_sockets(local);
		return wm_err__sys(err, ret, "cannot take the sockets back");
	}
	local->any = hello->any;
	return 0;
}

/* --- what a peer says --- */

static int serve(struct peer *peer, const struct wm_handover *hello, const int *fds, size_t n,
		 struct wm_err *err)
{
	struct wm_local *local = peer->local;

	if (local->consumer)
		return wm_err__set(err, -EBUSY, "process %d is the consumer already",
				   local->consumer->who.pid);
	if (hello->kind == WM_HANDOVER_NEW)
		return give_new(peer, err);
	if (hello->kind == WM_HANDOVER_RESUME)
		return take_back(peer, hello, fds, n, err);
	return wm_err__set(err, -EBADMSG, "a message that makes no sense here");
}

static int on_hello(struct peer *peer, const struct wm_handover *hello, const int *fds, size_t n)
{
	struct wm_local *local = peer->local;
	struct wm_err err = { "" };
	int ret;

	ret = serve(peer, hello, fds, n, &err);
	if (ret) {
		wm_warn("local consumer: process %d is refused: %s", peer->who.pid, err.text);
		return refuse(peer, ret, err.text);
	}
	local->consumer = peer;
	wm_timer__free(&peer->hello);
	wm_info("local consumer: process %d of user %u %s %u socket%s on %s", peer->who.pid,
		peer->who.uid, hello->kind == WM_HANDOVER_NEW ? "got" : "goes on with",
		local->n_sockets, local->n_sockets == 1 ? "" : "s", device_of(local));
	return 0;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct peer *peer = arg;
	struct wm_local *local = peer->local;
	int fds[WM_HANDOVER_FDS], ret;
	struct wm_handover message;
	size_t n;

	(void)source;
	(void)revents;
	ret = wm_handover__recv(fd, &message, fds, &n);
	if (ret == -EAGAIN || ret == -EINTR)
		return 0;
	if (!ret && peer != local->consumer) {
		ret = on_hello(peer, &message, fds, n);
		wm_handover__close_fds(fds, n);
		if (!ret)
			return 0;
	} else if (!ret) {
		wm_handover__close_fds(fds, n); /* it has said all that there is to say */
	}
	if (peer == local->consumer)
		wm_info("local consumer: process %d has gone", peer->who.pid);
	drop(peer);
	return 0;
}

static int add_peer(struct wm_local *local, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	socklen_t len = sizeof(peer->who);

	if (!peer)
		return -ENOMEM;
	*peer = (struct peer){ .local = local, .next = local->peers, .fd = fd };
	local->peers = peer;
	local->n_peers++;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer->who, &len);
	if (wm_timer__init(&peer->hello, local->daemon->event, on_silence, peer) < 0 ||
	    sd_event_add_io(local->daemon->event, &peer->io, fd, EPOLLIN, on_readable, peer) < 0) {
		drop(peer);
		return 0; /* closed with it */
	}
	wm_timer__arm(&peer->hello, HELLO_US);
	return 0;
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct wm_local *local = arg;

	(void)source;
	(void)revents;
	if (fd >= 0 && (local->n_peers >= PEERS_MAX || add_peer(local, fd)))
		close(fd);
	return 0;
}

/* --- opening and closing --- */

int wm_local__open(struct wm_daemon *daemon, struct wm_local **out, struct wm_err *err)
{
	const struct wm_config *config = daemon->config;
	struct wm_local *local;
	char *path;
	int ret;

	*out = NULL;
	if (!config->local.name)
		return 0;
	local = calloc(1, sizeof(*local));
	path = wm_daemon__path(config, config->local.socket);
	if (!local || !path) {
		free(local);
		free(path);
		return wm_err__sys(err, -ENOMEM, "local consumer");
	}
	local->daemon = daemon;
	ret = wm_listen__open(&local->listen, path, SOCK_SEQPACKET, config->local.mode,
			      config->local.group, err);
	free(path);
	if (!ret) {
		ret = sd_event_add_io(daemon->event, &local->io, local->listen.fd, EPOLLIN,
				      on_connection, local);
		if (ret < 0)
			wm_err__sys(err, ret, "local consumer");
	}
	if (ret < 0) {
		wm_local__close(local);
		return ret;
	}
	*out = local;
	return 0;
}

void wm_local__close(struct wm_local *local)
{
	if (!local)
		return;
	for (struct peer *peer = local->peers, *next; peer; peer = next) {
		next = peer->next;
		drop(peer);
	}
	sd_event_source_disable_unref(local->io);
	wm_listen__close(&local->listen);
	free(local);
}

/* --- telling --- */

static json_t *socket_report(const struct wm_local *local, uint32_t index)
{
	struct wm_xsk_stats stats = {};
	json_t *o = json_object();

	wm_xsk__kernel_stats(local->socket[index], &stats);
	wm_put__count(o, "socket", index);
	wm_put__count(o, "rx_dropped", stats.rx_dropped);
	wm_put__count(o, "rx_ring_full", stats.rx_ring_full);
	wm_put__count(o, "rx_fill_empty", stats.rx_fill_empty);
	wm_put__count(o, "rx_invalid", stats.rx_invalid);
	wm_put__count(o, "tx_invalid", stats.tx_invalid);
	wm_put__count(o, "tx_ring_empty", stats.tx_ring_empty);
	return o;
}

int wm_local__report(struct wm_local *local, json_t **data, struct wm_err *err)
{
	json_t *o, *sockets = json_array();

	if (!local) {
		json_decref(sockets);
		return wm_err__set(err, -ENODEV, "the configuration has no local consumer");
	}
	for (uint32_t i = 0; i < local->n_sockets; i++)
		json_array_append_new(sockets, socket_report(local, i));
	o = json_object();
	wm_put__text(o, "name", local->daemon->config->local.name);
	wm_put__text(o, "path", local->listen.name.sun_path);
	wm_put__text(o, "device", device_of(local));
	wm_put__bool(o, "connected", local->consumer);
	wm_put__count(o, "pid", local->consumer ? local->consumer->who.pid : 0);
	wm_put__count(o, "uid", local->consumer ? local->consumer->who.uid : 0);
	wm_put__bool(o, "one_socket", local->any);
	json_object_set_new(o, "sockets", sockets);
	*data = o;
	return 0;
}
