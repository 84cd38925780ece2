// SPDX-License-Identifier: GPL-2.0
/*
 * Connections to a local consumer's socket file. One process at a time is the consumer;
 * the others are strangers, until one of them is.
 *
 * The loop only looks at what a peer says (wm_handover__peek). Taking it is the worker's:
 * descriptors come along, and one that there is no room for is closed by the kernel
 * in the thread that reads. For the same reason connections are closed by a closer.
 *
 * There are PEERS_MAX places. If all are taken, somebody who has said nothing yet gives
 * way, see in_the_way(): so that whoever speaks at once, as consumers do, is heard
 * however many silent ones there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "local_inside.h"
#include "log.h"

enum {
	PEERS_MAX = 8, /* connections to one consumer's file; one may be the consumer */
	HELLO_US = 5000 * WM_TIMER_MS,
	PAUSE_US = 100 * WM_TIMER_MS, /* before the next look whether one may accept again */
};

#define NO_DESCRIPTOR "waymarkd has no descriptor left (raise LimitNOFILE, or ulimit -n)"
#define TOO_MANY_WAIT "closing what strangers passed takes long"

/* Each peer, the listening socket, one request's descriptors and the consumer's sockets find
 * room in the closer. */
_Static_assert(PEERS_MAX + 2 + 2 * WM_HANDOVER_TAKE + WM_HANDOVER_FDS <
	       WM_CLOSER_ROOM - WM_CLOSER_FULL, "the closer's room");

static void serve_next(struct consumer *c);

struct peer *wm_peers__owner(const struct consumer *c)
{
	for (struct peer *peer = c->peers; peer; peer = peer->next)
		if (peer->state == PEER_OWNER)
			return peer;
	return NULL;
}

/* Whoever may connect could fill the log: after some lines there is one per second. */
static bool may_tell(const struct consumer *c, struct wm_rate *rate)
{
	uint64_t left_out;

	if (!wm_rate__take(rate, wm_now_ns(), &left_out))
		return false;
	if (left_out)
		wm_warn("local consumer %s: %llu lines like the next one were left out",
			wm_local_name(c), (unsigned long long)left_out);
	return true;
}

/* --- the end of a connection --- */

static void on_closed(void *arg)
{
	struct wm_serving *s = arg;
	struct consumer *c = s->whose;

	free(s);
	c->serving = NULL;
	serve_next(c);
}

/* Closing AF_XDP sockets takes its time. While there is an owner the worker is free. */
static void forget_sockets(struct consumer *c)
{
	struct wm_serving *s = wm_serving__new(c);

	if (!s) {
		wm_closer__close(c->closer, c->socket, c->n_sockets);
	} else {
		s->old.n = c->n_sockets;
		memcpy(s->old.fd, c->socket, c->n_sockets * sizeof(*c->socket));
		c->serving = s;
		wm_worker__start(c->worker, wm_serving__work, on_closed, s);
	}
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
	if (peer->state == PEER_OWNER)
		forget_sockets(c);
	wm_timer__free(&peer->silence);
	sd_event_source_disable_unref(peer->io);
	wm_closer__hang_up(c->closer, peer->fd);
	free(peer);
}

void wm_peers__drop_owner(struct consumer *c)
{
	struct peer *owner = wm_peers__owner(c);

	if (!owner)
		return;
	drop(owner);
	wm_local_expect(c);
}

static void on_silence(void *arg)
{
	drop(arg);
}

static bool out_of_descriptors(int error)
{
	return error == -EMFILE || error == -ENFILE;
}

/* A consumer that has its sockets tries again when its connection ends; if it were refused
 * it would ask for new ones. Not for what is over in a moment. */
static void refuse(struct peer *peer, int error, const char *text)
{
	struct consumer *c = peer->consumer;
	struct wm_handover message = {
		.magic = WM_HANDOVER_MAGIC,
		.version = WM_HANDOVER_VERSION,
		.kind = WM_HANDOVER_REFUSE,
		.error = error,
	};

	snprintf(message.text, sizeof(message.text), "%s", text);
	if (peer->wants != WM_HANDOVER_RESUME || !out_of_descriptors(error))
		wm_handover__send(peer->fd, &message, NULL, 0);
	if (may_tell(c, &c->refusals))
		wm_warn("local consumer %s: process %d is refused: %s", wm_local_name(c),
			peer->who.pid, text);
	drop(peer);
}

/* --- a request --- */

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

static void set_options(const struct consumer *c, struct wm_serving *s)
{
	const struct wm_config *all = wm_local_all(c);
	const struct wm_config_local *config = wm_local_config(c);

	for (size_t i = 0; i < all->n_interfaces && i < WM_XSK_DEVICES_MAX; i++)
		snprintf(s->device[i], sizeof(s->device[i]), "%s", all->interfaces[i]);
	s->options.n_devices = all->n_interfaces;
	s->options.bind = bind_of(config);
	s->options.ring = config->ring;
	s->options.every_socket = config->zero_copy != WM_ZERO_COPY_NEVER;
	s->options.one_socket = all->n_locals > 1;
	s->options.home = c->number;
}

/* "auto" is to say what came of it. */
static void tell_copies(const struct consumer *c)
{
	uint32_t first = 0;

	for (uint32_t d = 0; d < c->shape.devices; d++) {
		if (!wm_xsk__zero_copy(c->socket[first]))
			wm_info("local consumer %s: the driver of %s cannot do without copies: "
				"packets are copied", wm_local_name(c), c->shape.device[d].name);
		first += c->shape.any ? 1 : c->shape.device[d].queues;
	}
}

static void tell_owner(const struct peer *peer)
{
	char devices[WM_XSK_DEVICES_MAX * IF_NAMESIZE];
	struct consumer *c = peer->consumer;

	if (!may_tell(c, &c->changes))
		return;
	wm_local_devices(wm_local_all(c), devices, sizeof(devices));
	wm_info("local consumer %s: process %d of user %u %s %u socket%s on %s", wm_local_name(c),
		peer->who.pid, peer->who.uid,
		peer->wants == WM_HANDOVER_NEW ? "got" : "goes on with", c->n_sockets,
		c->n_sockets == 1 ? "" : "s", devices);
	if (peer->wants == WM_HANDOVER_NEW &&
	    wm_local_config(c)->zero_copy == WM_ZERO_COPY_AUTO)
		tell_copies(c);
}

/* The sockets into the data plane, and to the peer if it has not got them. */
static int hand_over(struct peer *peer, struct wm_serving *s)
{
	struct consumer *c = peer->consumer;
	bool has = s->kind == WM_HANDOVER_RESUME;
	int ret;

	ret = wm_xsk_shape__enter(&s->offer.shape, s->fds.fd + 1,
				  wm_dp__xsks_fd(c->local->running->dp), c->number, &s->err);
	if (ret)
		return ret;
	ret = wm_handover__send(peer->fd, &s->offer, s->fds.fd, has ? 0 : s->fds.n);
	if (ret)
		return wm_err__sys(&s->err, ret, "cannot %s", has ? "take the sockets back"
				   : "hand sockets over");
	c->shape = s->offer.shape;
	c->n_sockets = s->fds.n - 1;
	memcpy(c->socket, s->fds.fd + 1, c->n_sockets * sizeof(*c->socket));
	s->fds.n = 1; /* the memory is the peer's alone */
	return 0;
}

static struct peer *find(const struct consumer *c, enum peer_state state)
{
	struct peer *found = NULL; /* the oldest */

	for (struct peer *peer = c->peers; peer; peer = peer->next)
		if (peer->state == state)
			found = peer;
	return found;
}

static void on_served(void *arg)
{
	struct wm_serving *s = arg;
	struct consumer *c = s->whose;
	struct peer *peer = find(c, PEER_ASKING);

	c->serving = NULL;
	if (peer && !s->ret)
		s->ret = hand_over(peer, s);
	if (peer && s->ret)
		refuse(peer, s->ret, s->err.text);
	else if (peer) {
		peer->state = PEER_OWNER;
		tell_owner(peer);
		wm_local_set_present(c, true);
	}
	wm_closer__close(c->closer, s->fds.fd, s->fds.n);
	wm_closer__close(c->closer, s->waste.fd, s->waste.n);
	wm_closer__close(c->closer, &s->sock, 1);
	free(s);
	serve_next(c);
}

static int start_serving(struct peer *peer)
{
	struct consumer *c = peer->consumer;
	struct wm_serving *s = wm_serving__new(c);
	int ret = -ENOMEM;

	if (s) {
		s->kind = peer->wants;
		s->sock = fcntl(peer->fd, F_DUPFD_CLOEXEC, 0);
		ret = s->sock < 0 ? -errno : 0;
	}
	if (ret) {
		free(s);
		return ret;
	}
	set_options(c, s);
	peer->state = PEER_ASKING;
	c->serving = s;
	wm_worker__start(c->worker, wm_serving__work, on_served, s);
	return 0;
}

static void tell_full(struct consumer *c)
{
	if (may_tell(c, &c->refusals))
		wm_warn("local consumer %s: nobody is accepted for a moment: " TOO_MANY_WAIT,
			wm_local_name(c));
}

static void serve_next(struct consumer *c)
{
	struct peer *owner = wm_peers__owner(c), *peer;
	char text[64];
	int ret;

	snprintf(text, sizeof(text), "process %d is the consumer already",
		 owner ? owner->who.pid : 0);
	while (!c->serving && (peer = find(c, PEER_WAITING))) {
		if (wm_closer__full(c->closer)) {
			tell_full(c);
			wm_timer__arm(&c->pause, PAUSE_US);
			break;
		}
		ret = owner ? -EBUSY : start_serving(peer);
		if (ret)
			refuse(peer, ret, owner ? text : out_of_descriptors(ret) ? NO_DESCRIPTOR :
			       strerror(-ret));
	}
}

/* --- what a peer says --- */

static void on_hello(struct peer *peer, const struct wm_handover *hello)
{
	wm_timer__free(&peer->silence);
	if (hello->kind != WM_HANDOVER_NEW && hello->kind != WM_HANDOVER_RESUME) {
		refuse(peer, -EBADMSG, "a message that makes no sense here");
		return;
	}
	/* From now on only the end of the connection is of interest, until it is the owner. */
	sd_event_source_set_io_events(peer->io, 0);
	peer->wants = hello->kind;
	peer->state = PEER_WAITING;
	serve_next(peer->consumer);
}

static void tell_gone(const struct peer *peer)
{
	struct consumer *c = peer->consumer;

	if (may_tell(c, &c->changes))
		wm_info("local consumer %s: process %d has gone: new flows go to other reals of "
			"its vips, where there are any", wm_local_name(c), peer->who.pid);
}

/* The owner and those that wait have said all that there is to say, and are watched for
 * their end. */
static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct peer *peer = arg;
	struct wm_handover hello;
	int ret;

	(void)source;
	(void)revents;
	if (peer->state == PEER_SILENT) {
		ret = wm_handover__peek(fd, &hello);
		if (ret == -EAGAIN || ret == -EINTR)
			return 0;
		if (!ret) {
			on_hello(peer, &hello);
			return 0;
		}
	}
	if (peer->state == PEER_OWNER) {
		tell_gone(peer);
		wm_local_set_present(peer->consumer, false);
	}
	drop(peer);
	return 0;
}

/* --- places --- */

/* Of those that have said nothing yet one of the user that has most places, of its
 * process that has most, and the one that is there longest. */
static struct peer *in_the_way(const struct consumer *c)
{
	struct peer *worst = NULL;
	size_t most = 0;

	for (struct peer *peer = c->peers; peer; peer = peer->next) {
		size_t same = 0;

		if (peer->state != PEER_SILENT)
			continue;
		for (const struct peer *other = c->peers; other; other = other->next)
			if (other->who.uid == peer->who.uid)
				same += PEERS_MAX + 1 + (other->who.pid == peer->who.pid);
		if (same >= most)
			worst = peer;
		most = same > most ? same : most;
	}
	return worst;
}

static void add_peer(struct consumer *c, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	socklen_t len = sizeof(peer->who);

	if (!peer) {
		wm_closer__hang_up(c->closer, fd);
		return;
	}
	*peer = (struct peer){ .consumer = c, .next = c->peers, .fd = fd };
	c->peers = peer;
	c->n_peers++;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer->who, &len);
	if (wm_timer__init(&peer->silence, c->local->event, on_silence, peer) < 0 ||
	    sd_event_add_io(c->local->event, &peer->io, fd, EPOLLIN, on_ready, peer) < 0) {
		drop(peer);
		return;
	}
	wm_timer__arm(&peer->silence, HELLO_US);
	on_ready(peer->io, fd, EPOLLIN, peer); /* it may have spoken already */
}

static void serve_again(void *arg)
{
	serve_next(arg);
}

static void take(void *arg, int fd)
{
	struct consumer *c = arg;
	struct peer *worst;

	if (c->n_peers >= PEERS_MAX) {
		worst = in_the_way(c);
		if (worst)
			drop(worst);
	}
	if (c->n_peers < PEERS_MAX)
		add_peer(c, fd);
	else
		wm_closer__hang_up(c->closer, fd); /* all of them have asked, and wait */
}

/* As refuse(), of one for which there is no descriptor. */
static void turn_away(void *arg, int fd)
{
	struct wm_handover message = {
		.magic = WM_HANDOVER_MAGIC,
		.version = WM_HANDOVER_VERSION,
		.kind = WM_HANDOVER_REFUSE,
		.error = -EMFILE,
		.text = NO_DESCRIPTOR,
	};
	struct consumer *c = arg;
	struct wm_handover hello;

	if (wm_handover__peek(fd, &hello) || hello.kind != WM_HANDOVER_RESUME)
		wm_handover__send(fd, &message, NULL, 0);
	wm_closer__hang_up(c->closer, fd);
}

static bool is_full(void *arg)
{
	struct consumer *c = arg;
	bool full = wm_closer__full(c->closer);

	if (full)
		tell_full(c);
	return full;
}

/* --- opening and closing --- */

int wm_peers__open(struct consumer *c)
{
	sd_event *event = c->local->event;
	int ret;

	snprintf(c->title, sizeof(c->title), "local consumer %s", wm_local_name(c));
	ret = wm_closer__new(&c->closer);
	if (!ret)
		ret = wm_worker__new(&c->worker, event);
	if (!ret)
		ret = wm_timer__init(&c->pause, event, serve_again, c);
	if (ret >= 0)
		ret = wm_accept__start(&c->accept, event, c->listen.fd, c->title, take, turn_away,
				       is_full, c);
	return ret;
}

void wm_peers__close(struct consumer *c)
{
	/* What it does ends with the process. */
	wm_worker__abandon(c->worker);
	c->worker = NULL;
	if (c->closer)
		wm_closer__close(c->closer, c->socket, c->n_sockets);
	c->n_sockets = 0;
	for (struct peer *peer = c->peers, *next; peer; peer = next) {
		next = peer->next;
		peer->state = PEER_SILENT; /* nothing is left to be forgotten */
		drop(peer);
	}
	wm_accept__stop(&c->accept);
	wm_timer__free(&c->pause);
	if (c->closer && c->listen.fd >= 0) {
		wm_closer__hang_up(c->closer, c->listen.fd); /* some may wait in it */
		c->listen.fd = -1;
	}
	wm_closer__free(c->closer);
}
