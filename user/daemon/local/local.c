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
 * long. So the consumer's own keep it alive when we go. When the consumer goes, we take
 * the entries out and close our descriptors: its packets are dropped with a reason, and
 * its share of new flows goes to the other reals of its vips (apply.c) until it is back.
 * Whether it is there outlives us, in the control page: a daemon that comes gives one
 * that was there a moment to be heard of before it believes that it is gone.
 *
 * A queue has one pool of frames, which is one process's. Several consumers need
 * sockets for all queues (XDP_ANY_QUEUE): each holds the queue of its number, and gets
 * its packets from all.
 *
 * Here is what it has to do with configuration and data plane; connections are in
 * peers.c, and what one has to wait for, making sockets among it, is a worker's, serve.c.
 */
#include "local.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "local_inside.h"
#include "log.h"
#include "put.h"

/* A consumer tries to reach the next daemon every 50 ms. */
enum { GRACE_US = 2000 * WM_TIMER_MS };

/* In the log, of one kind and consumer. */
static const struct wm_rate few_lines = { .burst = 10, .period_ns = 1000000000 };

void wm_local_devices(const struct wm_config *config, char *text, size_t size)
{
	size_t len = 0;

	*text = '\0';
	for (size_t i = 0; i < config->n_interfaces && len < size; i++)
		len += snprintf(text + len, size - len, "%s%s", i ? " " : "",
				config->interfaces[i]);
}

/* --- is it there? --- */

/* Sockets of somebody who had this number before are not to get what is not theirs. */
static void clear_sockets(struct wm_dp *dp, uint32_t number)
{
	wm_dp__xsks_clear(dp, wm_xsk_key(number, 0, 0), wm_xsk_key(number + 1, 0, 0));
}

static uint32_t gone_flag(const struct consumer *c)
{
	return WM_CTL_LOCAL_GONE_0 << c->number;
}

void wm_local_set_present(struct consumer *c, bool present)
{
	volatile struct wm_ctl *ctl = wm_dp__ctl(c->local->running->dp);

	wm_timer__free(&c->grace);
	if (c->present == present)
		return;
	c->present = present;
	ctl->flags = present ? ctl->flags & ~gone_flag(c) : ctl->flags | gone_flag(c);
	/* What a process that is gone leaves to others, descriptors of its sockets among
	 * it, shall not get packets any more. */
	if (!present)
		clear_sockets(c->local->running->dp, c->number);
	c->local->changed(c->local->arg);
}

static void on_grace(void *arg)
{
	struct consumer *c = arg;

	wm_warn("local consumer %s has not come back: new flows go to other reals of its vips, "
		"where there are any", wm_local_name(c));
	wm_local_set_present(c, false);
}

void wm_local_expect(struct consumer *c)
{
	wm_timer__free(&c->grace);
	if (c->present && wm_timer__init(&c->grace, c->local->event, on_grace, c) >= 0)
		wm_timer__arm(&c->grace, GRACE_US);
}

bool wm_local__present(const struct wm_local *local, const struct wm_addr *real)
{
	size_t number = wm_local_number(real->word);

	return local && number < local->n && local->consumer[number].present;
}

/* --- the data plane's side --- */

static uint32_t hash_of(const char *name)
{
	uint32_t words[4] = {};

	strncpy((char *)words, name, WM_LOCAL_NAME - 1);
	return wm_jhash_4words(words, 1) | 1; /* 0 is nobody */
}

static void name_ports(const struct wm_running *running)
{
	const struct wm_config *config = running->config;

	for (size_t i = 1; i < WM_LOCAL_PORTS_MAX; i++)
		wm_dp__ctl(running->dp)->local_port[i - 1] =
			i < config->n_interfaces ? if_nametoindex(config->interfaces[i]) : 0;
}

static void make_consumers(struct wm_local *local)
{
	local->n = local->running->config->n_locals;
	for (size_t i = 0; i < local->n; i++)
		local->consumer[i] = (struct consumer){
			.local = local, .number = i, .listen.fd = -1,
			.refusals = few_lines, .changes = few_lines,
		};
}

/* One that was there under the last daemon is there: it only has to find us. */
static void believe(struct wm_local *local)
{
	const struct wm_running *running = local->running;
	volatile struct wm_ctl *ctl = wm_dp__ctl(running->dp);

	for (uint32_t i = 0; i < WM_LOCALS_MAX; i++) {
		struct consumer *c = i < local->n ? &local->consumer[i] : NULL;
		uint32_t hash = c ? hash_of(running->config->locals[i].name) : 0;

		if (ctl->local_name[i] != hash)
			clear_sockets(running->dp, i);
		else if (c)
			c->present = !(ctl->flags & gone_flag(c));
		ctl->local_name[i] = hash;
		if (c && !c->present)
			ctl->flags |= gone_flag(c);
	}
}

int wm_local__prepare(struct wm_local **out, sd_event *event, const struct wm_running *running,
		      void (*changed)(void *arg), void *arg, struct wm_err *err)
{
	const struct wm_config *config = running->config;
	struct wm_local *local;

	if (config->n_locals > 1 && !wm_xsk__any_queue())
		return wm_err__set(err, -EOPNOTSUPP, "local: %zu consumers: a queue has one "
				   "consumer's memory, unless the kernel has XDP_ANY_QUEUE (see "
				   "kernel-patches/): this one has it not; name one",
				   config->n_locals);
	local = calloc(1, sizeof(*local));
	if (!local)
		return wm_err__sys(err, -ENOMEM, "local consumer");
	local->event = event;
	local->running = running;
	local->changed = changed;
	local->arg = arg;
	make_consumers(local);
	believe(local);
	name_ports(running);
	*out = local;
	return 0;
}

void wm_local__device_is_back(struct wm_local *local)
{
	name_ports(local->running);
	/* Their sockets for it are of no use; they come again, and hear that. */
	for (size_t i = 0; i < local->n; i++)
		wm_peers__drop_owner(&local->consumer[i]);
}

/* --- opening and closing --- */

static int open_one(struct consumer *c, struct wm_err *err)
{
	const struct wm_config_local *config = wm_local_config(c);
	const struct wm_listen_options options = {
		.what = "socket", .type = SOCK_SEQPACKET, .mode = config->mode,
		.group = config->group,
	};
	char *path = wm_config__path(wm_local_all(c), config->socket);
	int ret;

	if (!path)
		return wm_err__sys(err, -ENOMEM, "local consumer");
	ret = wm_listen__open(&c->listen, path, &options, err);
	free(path);
	if (ret)
		return ret;
	ret = wm_peers__open(c);
	wm_local_expect(c);
	return ret < 0 ? wm_err__sys(err, ret, "local consumer") : 0;
}

int wm_local__open(struct wm_local *local, struct wm_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < local->n && !ret; i++)
		ret = open_one(&local->consumer[i], err);
	return ret;
}

static void close_one(struct consumer *c)
{
	wm_timer__free(&c->grace);
	wm_peers__close(c);
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
			    n, wm_local_name(&local->consumer[0]));
	else
		return &local->consumer[0];
	for (size_t i = 0; name && i < n; i++)
		if (!strcmp(name, wm_local_name(&local->consumer[i])))
			return &local->consumer[i];
	return NULL;
}

json_t *wm_local__status(const struct wm_local *local)
{
	json_t *list = json_array();

	for (size_t i = 0; local && i < local->n; i++) {
		const struct consumer *c = &local->consumer[i];
		const struct peer *owner = wm_peers__owner(c);
		const char *name = wm_local_name(c);

		json_array_append_new(list, owner ? json_sprintf("%s: process %d", name,
								 (int)owner->who.pid)
				      : json_sprintf("%s: %s", name, c->present ? "expected"
						     : "nobody"));
	}
	return list;
}

int wm_local__report(struct wm_local *local, const char *name, json_t **data, struct wm_err *err)
{
	char devices[WM_XSK_DEVICES_MAX * IF_NAMESIZE];
	const struct consumer *c = find(local, name, err);
	const struct peer *owner;
	json_t *o;

	if (!c)
		return -ENOENT;
	owner = wm_peers__owner(c);
	wm_local_devices(wm_local_all(c), devices, sizeof(devices));
	o = json_object();
	wm_put__text(o, "name", wm_local_name(c));
	wm_put__text(o, "path", c->listen.name.sun_path);
	wm_put__text(o, "device", devices);
	wm_put__bool(o, "connected", owner);
	wm_put__count(o, "pid", owner ? owner->who.pid : 0);
	wm_put__count(o, "uid", owner ? owner->who.uid : 0);
	wm_put__bool(o, "one_socket", c->n_sockets && c->shape.any);
	json_object_set_new(o, "sockets", sockets_report(c));
	*data = o;
	return 0;
}
