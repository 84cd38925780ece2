// SPDX-License-Identifier: GPL-2.0
/*
 * Local consumers: each has a socket file and its number, its place in the
 * configuration. One process at a time is the consumer, whoever connects first. What
 * it gets:
 *
 *   new      fresh sockets on every queue of every interface, entered in the data
 *            plane's xskmap under the consumer's number;
 *   resume   it has sockets from a daemon before us: they are entered (again),
 *            and descriptors of them kept here for their statistics.
 *
 * A socket lives while anybody has a descriptor of it, and its xskmap entry as
 * long. So the consumer's own keep it alive when we go; and when the consumer
 * goes, we close ours, and with that its packets are dropped with a reason.
 *
 * A queue has one pool of frames, which is one process's. Several consumers need
 * sockets for all queues (XDP_ANY_QUEUE): each holds the queue of its number, and gets
 * its packets from all.
 *
 * Making sockets may wait a moment for queues that the last consumer has just
 * left. Nothing else is done meanwhile; packets do not need us.
 */
#include "local.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <waymark/hash.h>

#include "daemon.h"
#include "handover.h"
#include "listen.h"
#include "log.h"
#include "put.h"

enum {
	PEERS_MAX = 8, /* connections to one consumer's file; one may be the consumer */
	HELLO_US = 5000 * WM_TIMER_MS,
};

struct consumer;

struct peer {
	struct consumer *consumer;
	struct peer *next;
	int fd;
	sd_event_source *io;
	struct wm_timer hello; /* until it has said what it wants */
	struct ucred who;
};

struct consumer {
	struct wm_daemon *daemon;
	uint32_t number;
	struct wm_listen listen;
	sd_event_source *io;
	struct peer *peers;
	size_t n_peers;
	struct peer *owner; /* one of the peers, or NULL */
	int socket[WM_XSK_SOCKETS_MAX];
	uint32_t n_sockets;
	struct wm_xsk_shape shape; /* of these */
};

struct wm_local {
	size_t n;
	struct consumer consumer[WM_LOCALS_MAX];
};

static const struct wm_config_local *config_of(const struct consumer *c)
{
	return &c->daemon->config->locals[c->number];
}

static const char *name_of(const struct consumer *c)
{
	return config_of(c)->name;
}

/* --- connections --- */

static void forget_sockets(struct consumer *c)
{
	wm_handover__close_fds(c->socket, c->n_sockets);
	c->n_sockets = 0;
}

static void drop(struct peer *peer)
{
	struct consumer *c = peer->consumer;
	struct peer **link = &c->peers;

	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	c->n_peers--;
	if (c->owner == peer) {
		c->owner = NULL;
		forget_sockets(c);
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

static int keep_sockets(struct consumer *c, const struct wm_xsk_shape *shape, const int *fds,
			uint32_t n)
{
	for (c->n_sockets = 0; c->n_sockets < n; c->n_sockets++) {
		c->socket[c->n_sockets] = fcntl(fds[c->n_sockets], F_DUPFD_CLOEXEC, 0);
		if (c->socket[c->n_sockets] < 0) {
			int ret = -errno;

			forget_sockets(c);
			return ret;
		}
	}
	c->shape = *shape;
	return 0;
}

static int hand_over(struct peer *peer, const struct wm_xsk *xsk, struct wm_err *err)
{
	struct consumer *c = peer->consumer;
	int fds[WM_HANDOVER_FDS], ret;
	struct wm_handover message;
	size_t n;

	ret = wm_xsk__enter(xsk, wm_dp__xsks_fd(c->daemon->dp), c->number, err);
	if (ret)
		return ret;
	wm_xsk__describe(xsk, WM_HANDOVER_OFFER, &message);
	n = wm_xsk__fds(xsk, fds);
	ret = keep_sockets(c, &message.shape, fds + 1, n - 1);
	if (!ret)
		ret = wm_handover__send(peer->fd, &message, fds, n);
	if (ret)
		return wm_err__sys(err, ret, "cannot hand sockets to process %d", peer->who.pid);
	return 0;
}

/* Copies are the rule: without them the queue's other packets would pass through the
 * consumer's memory too, and wait for it. */
static enum wm_xsk_bind bind_of(const struct wm_config_local *config)
{
	static const enum wm_xsk_bind bind[] = {
		[WM_ZERO_COPY_NEVER] = WM_XSK_COPY,
		[WM_ZERO_COPY_AUTO] = WM_XSK_AUTO,
		[WM_ZERO_COPY_ALWAYS] = WM_XSK_ZEROCOPY,
	};

	return bind[config->zero_copy];
}

/* "auto" is to say what came of it. */
static void tell_copies(const struct consumer *c)
{
	uint32_t first = 0;

	for (uint32_t d = 0; d < c->shape.devices; d++) {
		if (!wm_xsk__zero_copy(c->socket[first]))
			wm_info("local consumer %s: the driver of %s cannot do without copies: "
				"packets are copied", name_of(c), c->shape.device[d].name);
		first += c->shape.any ? 1 : c->shape.device[d].queues;
	}
}

static int give_new(struct peer *peer, struct wm_err *err)
{
	struct consumer *c = peer->consumer;
	const struct wm_config *all = c->daemon->config;
	const struct wm_config_local *config = config_of(c);
	const struct wm_xsk_options options = {
		.devices = (const char *const *)all->interfaces,
		.n_devices = all->n_interfaces,
		.bind = bind_of(config),
		.ring = config->ring,
		.every_socket = config->zero_copy != WM_ZERO_COPY_NEVER,
		.one_socket = all->n_locals > 1,
		.home = c->number,
	};
	struct wm_xsk *xsk;
	int ret;

	ret = wm_xsk__open(&xsk, &options, err);
	if (ret)
		return ret;
	ret = hand_over(peer, xsk, err);
	wm_xsk__close(xsk); /* the descriptors that were sent keep the sockets */
	if (ret)
		forget_sockets(c);
	else if (config->zero_copy == WM_ZERO_COPY_AUTO)
		tell_copies(c);
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

static int check_sockets(const int *fds, size_t n, struct wm_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_xdp_socket(fds[i]))
			return wm_err__set(err, -EBADMSG, "descriptors that are no AF_XDP sockets");
		if (lost_its_device(fds[i]))
			return wm_err__set(err, -ESTALE, "these sockets were for an interface that "
					   "is gone");
	}
	return 0;
}

/* Are these the interfaces of the configuration, with the queues that they have now? */
static int check_shape(const struct wm_config *config, const struct wm_xsk_shape *shape,
		       struct wm_err *err)
{
	if (shape->devices != config->n_interfaces)
		return wm_err__set(err, -ESTALE, "these sockets are for %u interfaces; there are "
				   "%zu now", shape->devices, config->n_interfaces);
	for (uint32_t i = 0; i < shape->devices; i++) {
		const struct wm_xsk_port *port = &shape->device[i];
		const char *device = config->interfaces[i];

		if (strcmp(port->name, device) || port->queues != wm_xsk__queues(device))
			return wm_err__set(err, -ESTALE, "these sockets are for %u queues of %s; "
					   "it is %u of %s now", port->queues, port->name,
					   wm_xsk__queues(device), device);
	}
	return 0;
}

static int take_back(struct peer *peer, const struct wm_handover *hello, const int *fds, size_t n,
		     struct wm_err *err)
{
	struct consumer *c = peer->consumer;
	struct wm_handover offer = *hello;
	int ret;

	if (n < 2 || wm_xsk_shape__sockets(&hello->shape) != n - 1)
		return wm_err__set(err, -EBADMSG, "a number of sockets that makes no sense");
	ret = check_shape(c->daemon->config, &hello->shape, err);
	if (!ret)
		ret = check_sockets(fds + 1, n - 1, err);
	if (!ret)
		ret = wm_xsk_shape__enter(&hello->shape, fds + 1, wm_dp__xsks_fd(c->daemon->dp),
					  c->number, err);
	if (ret)
		return ret;
	ret = keep_sockets(c, &hello->shape, fds + 1, n - 1);
	offer.kind = WM_HANDOVER_OFFER;
	if (!ret)
		ret = wm_handover__send(peer->fd, &offer, NULL, 0);
	if (ret) {
		forget_sockets(c);
		return wm_err__sys(err, ret, "cannot take the sockets back");
	}
	return 0;
}

/* --- what a peer says --- */

static int serve(struct peer *peer, const struct wm_handover *hello, const int *fds, size_t n,
		 struct wm_err *err)
{
	struct consumer *c = peer->consumer;

	if (c->owner)
		return wm_err__set(err, -EBUSY, "process %d is the consumer already",
				   c->owner->who.pid);
	if (hello->kind == WM_HANDOVER_NEW)
		return give_new(peer, err);
	if (hello->kind == WM_HANDOVER_RESUME)
		return take_back(peer, hello, fds, n, err);
	return wm_err__set(err, -EBADMSG, "a message that makes no sense here");
}

/* Its interfaces, separated by blanks. */
static void list_devices(const struct wm_config *config, char *text, size_t size)
{
	size_t len = 0;

	*text = '\0';
	for (size_t i = 0; i < config->n_interfaces && len < size; i++)
		len += snprintf(text + len, size - len, "%s%s", i ? " " : "",
				config->interfaces[i]);
}

static int on_hello(struct peer *peer, const struct wm_handover *hello, const int *fds, size_t n)
{
	char devices[WM_XSK_DEVICES_MAX * IF_NAMESIZE];
	struct consumer *c = peer->consumer;
	struct wm_err err = { "" };
	int ret;

	ret = serve(peer, hello, fds, n, &err);
	if (ret) {
		wm_warn("local consumer %s: process %d is refused: %s", name_of(c), peer->who.pid,
			err.text);
		return refuse(peer, ret, err.text);
	}
	c->owner = peer;
	wm_timer__free(&peer->hello);
	list_devices(c->daemon->config, devices, sizeof(devices));
	wm_info("local consumer %s: process %d of user %u %s %u socket%s on %s", name_of(c),
		peer->who.pid, peer->who.uid,
		hello->kind == WM_HANDOVER_NEW ? "got" : "goes on with", c->n_sockets,
		c->n_sockets == 1 ? "" : "s", devices);
	return 0;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct peer *peer = arg;
	struct consumer *c = peer->consumer;
	int fds[WM_HANDOVER_FDS], ret;
	struct wm_handover message;
	size_t n;

	(void)source;
	(void)revents;
	ret = wm_handover__recv(fd, &message, fds, &n);
	if (ret == -EAGAIN || ret == -EINTR)
		return 0;
	if (!ret && peer != c->owner) {
		ret = on_hello(peer, &message, fds, n);
		wm_handover__close_fds(fds, n);
		if (!ret)
			return 0;
	} else if (!ret) {
		wm_handover__close_fds(fds, n); /* it has said all that there is to say */
	}
	if (peer == c->owner)
		wm_info("local consumer %s: process %d has gone", name_of(c), peer->who.pid);
	drop(peer);
	return 0;
}

static int add_peer(struct consumer *c, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	socklen_t len = sizeof(peer->who);

	if (!peer)
		return -ENOMEM;
	*peer = (struct peer){ .consumer = c, .next = c->peers, .fd = fd };
	c->peers = peer;
	c->n_peers++;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer->who, &len);
	if (wm_timer__init(&peer->hello, c->daemon->event, on_silence, peer) < 0 ||
	    sd_event_add_io(c->daemon->event, &peer->io, fd, EPOLLIN, on_readable, peer) < 0) {
		drop(peer);
		return 0; /* closed with it */
	}
	wm_timer__arm(&peer->hello, HELLO_US);
	return 0;
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *arg)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct consumer *c = arg;

	(void)source;
	(void)revents;
	if (fd >= 0 && (c->n_peers >= PEERS_MAX || add_peer(c, fd)))
		close(fd);
	return 0;
}

/* --- the data plane's side --- */

static uint32_t hash_of(const char *name)
{
	uint32_t words[4] = {};

	strncpy((char *)words, name, WM_LOCAL_NAME - 1);
	return wm_jhash_4words(words, 1) | 1; /* 0 is nobody */
}

/* Sockets of somebody who had this number before are not to get what is not theirs. */
static void clear_sockets(struct wm_dp *dp, uint32_t number)
{
	uint32_t key = wm_xsk_key(number, 0, 0), end = wm_xsk_key(number + 1, 0, 0);

	for (; key < end; key++)
		bpf_map_delete_elem(wm_dp__xsks_fd(dp), &key);
}

static void name_ports(struct wm_daemon *d)
{
	const struct wm_config *config = d->config;

	for (size_t i = 1; i < WM_LOCAL_PORTS_MAX; i++)
		wm_dp__ctl(d->dp)->local_port[i - 1] =
			i < config->n_interfaces ? if_nametoindex(config->interfaces[i]) : 0;
}

int wm_local__prepare(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_config *config = d->config;
	volatile struct wm_ctl *ctl = wm_dp__ctl(d->dp);

	if (config->n_locals > 1 && !wm_xsk__any_queue())
		return wm_err__set(err, -EOPNOTSUPP, "local: %zu consumers: a queue has one "
				   "consumer's memory, unless the kernel has XDP_ANY_QUEUE (see "
				   "kernel-patches/): this one has it not; name one",
				   config->n_locals);
	for (uint32_t i = 0; i < WM_LOCALS_MAX; i++) {
		uint32_t hash = i < config->n_locals ? hash_of(config->locals[i].name) : 0;

		if (ctl->local_name[i] != hash)
			clear_sockets(d->dp, i);
		ctl->local_name[i] = hash;
	}
	name_ports(d);
	return 0;
}

void wm_local__device_is_back(struct wm_daemon *d)
{
	name_ports(d);
	/* Their sockets for it are of no use; they come again, and hear that. */
	for (size_t i = 0; d->local && i < d->local->n; i++)
		if (d->local->consumer[i].owner)
			drop(d->local->consumer[i].owner);
}

/* --- opening and closing --- */

static int open_one(struct consumer *c, struct wm_err *err)
{
	const struct wm_config_local *config = config_of(c);
	char *path = wm_daemon__path(c->daemon->config, config->socket);
	int ret;

	if (!path)
		return wm_err__sys(err, -ENOMEM, "local consumer");
	ret = wm_listen__open(&c->listen, path, SOCK_SEQPACKET, config->mode, config->group, err);
	free(path);
	if (ret)
		return ret;
	ret = sd_event_add_io(c->daemon->event, &c->io, c->listen.fd, EPOLLIN, on_connection, c);
	return ret < 0 ? wm_err__sys(err, ret, "local consumer") : 0;
}

int wm_local__open(struct wm_daemon *daemon, struct wm_local **out, struct wm_err *err)
{
	const struct wm_config *config = daemon->config;
	struct wm_local *local;
	int ret = 0;

	*out = NULL;
	if (!config->n_locals)
		return 0;
	local = calloc(1, sizeof(*local));
	if (!local)
		return wm_err__sys(err, -ENOMEM, "local consumer");
	for (size_t i = 0; i < config->n_locals; i++)
		local->consumer[i] = (struct consumer){ .daemon = daemon, .number = i,
							.listen.fd = -1 };
	for (; local->n < config->n_locals && !ret; local->n++)
		ret = open_one(&local->consumer[local->n], err);
	if (ret) {
		wm_local__close(local);
		return ret;
	}
	*out = local;
	return 0;
}

static void close_one(struct consumer *c)
{
	for (struct peer *peer = c->peers, *next; peer; peer = next) {
		next = peer->next;
		drop(peer);
	}
	sd_event_source_disable_unref(c->io);
	wm_listen__close(&c->listen);
}

void wm_local__close(struct wm_local *local)
{
	if (!local)
		return;
	for (size_t i = 0; i < local->n; i++)
		close_one(&local->consumer[i]);
	free(local);
}

/* --- telling --- */

static json_t *socket_report(const struct consumer *c, uint32_t index, const char *device)
{
	struct wm_xsk_stats stats = {};
	json_t *o = json_object();

	wm_xsk__kernel_stats(c->socket[index], &stats);
	wm_put__count(o, "socket", index);
	wm_put__text(o, "device", device);
	wm_put__bool(o, "zero_copy", wm_xsk__zero_copy(c->socket[index]));
	wm_put__count(o, "rx_dropped", stats.rx_dropped);
	wm_put__count(o, "rx_ring_full", stats.rx_ring_full);
	wm_put__count(o, "rx_fill_empty", stats.rx_fill_empty);
	wm_put__count(o, "rx_invalid", stats.rx_invalid);
	wm_put__count(o, "tx_invalid", stats.tx_invalid);
	wm_put__count(o, "tx_ring_empty", stats.tx_ring_empty);
	return o;
}

static json_t *sockets_report(const struct consumer *c)
{
	json_t *sockets = json_array();
	uint32_t index = 0;

	for (uint32_t d = 0; d < c->shape.devices && c->n_sockets; d++)
		for (uint32_t i = 0; i < (c->shape.any ? 1 : c->shape.device[d].queues); i++)
			json_array_append_new(sockets, socket_report(c, index++,
								     c->shape.device[d].name));
	return sockets;
}

/* `name` NULL: the only one that there is. */
static const struct consumer *find(const struct wm_local *local, const char *name,
				   struct wm_err *err)
{
	size_t n = local ? local->n : 0;

	if (!n)
		wm_err__set(err, -ENODEV, "the configuration has no local consumer");
	else if (name)
		wm_err__set(err, -ENOENT, "there is no local consumer \"%s\"", name);
	else if (n > 1)
		wm_err__set(err, -EINVAL, "which local consumer? There are %zu (the first is %s)",
			    n, name_of(&local->consumer[0]));
	else
		return &local->consumer[0];
	for (size_t i = 0; name && i < n; i++)
		if (!strcmp(name, name_of(&local->consumer[i])))
			return &local->consumer[i];
	return NULL;
}

int wm_local__report(struct wm_local *local, const char *name, json_t **data, struct wm_err *err)
{
	char devices[WM_XSK_DEVICES_MAX * IF_NAMESIZE];
	const struct consumer *c = find(local, name, err);
	json_t *o;

	if (!c)
		return -ENOENT;
	list_devices(c->daemon->config, devices, sizeof(devices));
	o = json_object();
	wm_put__text(o, "name", name_of(c));
	wm_put__text(o, "path", c->listen.name.sun_path);
	wm_put__text(o, "device", devices);
	wm_put__bool(o, "connected", c->owner);
	wm_put__count(o, "pid", c->owner ? c->owner->who.pid : 0);
	wm_put__count(o, "uid", c->owner ? c->owner->who.uid : 0);
	wm_put__bool(o, "one_socket", c->n_sockets && c->shape.any);
	json_object_set_new(o, "sockets", sockets_report(c));
	*data = o;
	return 0;
}
