// SPDX-License-Identifier: GPL-2.0
/* What there is: vips, reals, destinations, rings, marks. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <time.h>

#include "put.h"
#include "replies.h"

static const char *const hash_names[] = {
	[WM_HASH_MAGLEV] = "maglev",
	[WM_HASH_MAGLEV_V1] = "maglev-v1",
};

static void add_stats(struct wm_dest_stats *sum, const struct wm_dest_stats *stats)
{
	sum->packets += stats->packets;
	sum->marked += stats->marked;
	sum->bytes += stats->bytes;
	sum->flows += stats->flows;
}

static json_t *vip_row(struct wm_daemon *d, const struct wm_model_vip *vip)
{
	struct wm_dest_stats stats, sum = {};
	json_t *o = json_object();

	for (size_t i = 0; i < vip->n_dests; i++) {
		wm_dp__dest_stats(d->running.dp, vip->dests[i], &stats);
		add_stats(&sum, &stats);
	}
	wm_put__text(o, "name", vip->name);
	wm_put__addr(o, "address", &vip->address);
	wm_put__count(o, "port", ntohs(vip->port));
	wm_put__text(o, "protocol", wm_proto__name(vip->proto));
	wm_put__count(o, "number", vip->number);
	wm_put__text(o, "hash", hash_names[vip->hash]);
	wm_put__bool(o, "offload", vip->offload);
	wm_put__count(o, "ring", vip->ring);
	wm_put__count(o, "reals", vip->n_dests);
	wm_put__traffic(o, &sum);
	wm_put__count(o, "dropped", wm_dp__ring_dropped(d->running.dp, vip->ring));
	return o;
}

WM_REPLY(reply_vip)
{
	const struct wm_model *model = daemon->running.model;
	json_t *list = json_array();

	(void)request;
	(void)err;
	for (size_t i = 0; i < wm_model__n_vips(model); i++)
		json_array_append_new(list, vip_row(daemon, wm_model__vip(model, i)));
	*data = list;
	return 0;
}

static const struct wm_model_vip *find_vip(const struct wm_daemon *d, const json_t *request,
					   struct wm_err *err)
{
	const char *name = json_string_value(json_object_get(request, "vip"));
	const struct wm_model_vip *vip = wm_model__vip_by_name(d->running.model, name);

	if (!vip)
		wm_err__set(err, -ENOENT, "no vip is called \"%.64s\"", name);
	return vip;
}

static bool health_of(struct wm_daemon *d, const struct wm_model_vip *vip,
		      const struct wm_model_dest *dest, struct wm_health_of *health)
{
	const struct wm_service service = { vip->address, vip->port, vip->proto };

	return wm_health__of(d->health, &service, &dest->real, health);
}

/* A result is as old as it is; that a state began with the ring that was taken over is all
 * that is known then. */
static void put_health(json_t *o, struct wm_daemon *d, const struct wm_model_vip *vip,
		       const struct wm_model_dest *dest)
{
	struct wm_health_of health = {};
	bool is = health_of(d, vip, dest, &health);

	if (is)
		wm_put__text(o, "health", wm_health_words[health.state]);
	else
		wm_put__null(o, "health");
	if (is && health.since_ns)
		wm_put__seconds(o, "health_s", wm_now_ns() - health.since_ns);
	else
		wm_put__null(o, "health_s");
	if (is && *health.said)
		wm_put__text(o, "check", health.said);
	else
		wm_put__null(o, "check");
	if (is && health.said_ns)
		wm_put__seconds(o, "checked_s", wm_now_ns() - health.said_ns);
	else
		wm_put__null(o, "checked_s");
}

/* What people said of it. */
static const struct wm_admin_entry *by_hand(const struct wm_daemon *d,
					    const struct wm_model_vip *vip,
					    const struct wm_model_dest *dest)
{
	const struct wm_service service = { vip->address, vip->port, vip->proto };

	return wm_admin__find(&d->admin, &service, &dest->real);
}

static void put_admin(json_t *o, const struct wm_admin_entry *e)
{
	uint64_t now_s = time(NULL);

	wm_put__text(o, "admin", wm_admin_words[e ? e->state : WM_ADMIN_ENABLED]);
	if (e) /* a clock that was set back since then must not wrap */
		wm_put__count(o, "admin_s", now_s > e->since_s ? now_s - e->since_s : 0);
	else
		wm_put__null(o, "admin_s");
}

/* Why new flows do not go there. */
static void put_why(json_t *o, struct wm_daemon *d, const struct wm_model_vip *vip,
		    const struct wm_model_dest *dest)
{
	struct wm_health_of health;
	char text[WM_HOPS_WHY];

	if (dest->slots)
		wm_put__null(o, "why");
	else if (by_hand(d, vip, dest))
		wm_put__text(o, "why", by_hand(d, vip, dest)->state == WM_ADMIN_DRAINED ?
			     "it is drained by hand" : "it is disabled by hand");
	else if (dest->away && dest->real.family == WM_LOCAL)
		wm_put__text(o, "why", "no process is the local consumer now");
	else if (dest->away && wm_hops__why(d->hops, &dest->real, text))
		wm_put__text(o, "why", text);
	else if (dest->away && health_of(d, vip, dest, &health) && health.state == WM_HEALTH_DOWN)
		wm_put__text(o, "why", "it is down by its health check");
	else if (dest->away)
		wm_put__text(o, "why", "nothing can be sent to it now");
	else if (!dest->weight)
		wm_put__text(o, "why", "its weight is 0");
	else
		wm_put__text(o, "why", "its share of the weights is less than a slot");
}

/* null: they could not be counted */
static void put_live(json_t *o, const struct wm_daemon *d, uint16_t dest)
{
	uint32_t flows;

	if (wm_live__of(&d->live, dest, &flows))
		wm_put__count(o, "live", flows);
	else
		wm_put__null(o, "live");
}

/* The longest packet that goes to it. null: it takes any, or its entry is not written. */
static void put_fits(json_t *o, const struct wm_dest *entry)
{
	uint16_t frame = wm_dest_only(entry) ? entry->only_frame : entry->max_frame;

	if (entry->mark && frame >= ETH_HLEN && frame < UINT16_MAX)
		wm_put__count(o, "fits", frame - ETH_HLEN);
	else
		wm_put__null(o, "fits");
}

static void append_reals(struct wm_daemon *d, json_t *list, size_t index)
{
	const struct wm_model_vip *vip = wm_model__vip(d->running.model, index);

	for (size_t i = 0; i < vip->n_dests; i++) {
		const struct wm_model_dest *dest = wm_model__dest(d->running.model, vip->dests[i]);
		json_t *o = json_object();
		struct wm_dest_stats stats;

		wm_dp__dest_stats(d->running.dp, dest->id, &stats);
		wm_put__text(o, "vip", vip->name);
		wm_put__addr(o, "address", &dest->real);
		wm_put__count(o, "weight", dest->weight);
		wm_put__count(o, "dest", dest->id);
		wm_put__count(o, "slots", dest->slots);
		put_fits(o, wm_dp__dest(d->running.dp, dest->id));
		json_object_set_new(o, "share", json_real(dest->slots / (double)WM_RING_SLOTS));
		wm_put__traffic(o, &stats);
		put_live(o, d, dest->id);
		put_health(o, d, vip, dest);
		put_admin(o, by_hand(d, vip, dest));
		put_why(o, d, vip, dest);
		json_array_append_new(list, o);
	}
}

WM_REPLY(reply_real)
{
	const struct wm_model_vip *only = NULL;
	json_t *list;

	if (json_object_get(request, "vip")) {
		only = find_vip(daemon, request, err);
		if (!only)
			return -ENOENT;
	}
	list = json_array();
	for (size_t i = 0; i < wm_model__n_vips(daemon->running.model); i++)
		if (!only || wm_model__vip(daemon->running.model, i) == only)
			append_reals(daemon, list, i);
	*data = list;
	return 0;
}

/* A retiring destination's vip may be gone; its entry still tells which it was. */
static void put_vip_of(json_t *o, struct wm_daemon *d, const struct wm_model_dest *dest)
{
	const struct wm_model_vip *vip = wm_model__vip_by_number(d->running.model, dest->vip);
	const struct wm_dest *e = wm_dp__dest(d->running.dp, dest->id);
	struct wm_addr addr = { .family = WM_IPV6 };
	char text[WM_ENDPOINT_TEXT], service[WM_ENDPOINT_TEXT + 8];

	if (vip) {
		wm_put__text(o, "vip", vip->name);
		return;
	}
	for (int i = 0; i < 4; i++)
		addr.word[i] = e->vip_addr[i];
	if (e->encap & 1) /* enum wm_encap */
		addr.family = WM_IPV4;
	snprintf(service, sizeof(service), "%s/%s", wm_endpoint__format(&addr, e->vip_port, text),
		 wm_proto__name(e->proto));
	wm_put__text(o, "vip", service);
}

static json_t *dest_row(struct wm_daemon *d, const struct wm_model_dest *dest)
{
	struct wm_dest_stats stats;
	json_t *o = json_object();

	wm_dp__dest_stats(d->running.dp, dest->id, &stats);
	wm_put__count(o, "dest", dest->id);
	wm_put__count(o, "mark", wm_model__dest_mark(d->running.model, dest));
	wm_put__count(o, "generation", dest->generation);
	put_vip_of(o, d, dest);
	wm_put__addr(o, "real", &dest->real);
	wm_put__text(o, "state", dest->state == WM_DEST_LIVE ? "live" : "retiring");
	wm_put__traffic(o, &stats);
	return o;
}

WM_REPLY(reply_dest)
{
	json_t *list = json_array();

	(void)request;
	(void)err;
	for (uint32_t id = 1; id < 1u << wm_dp__params(daemon->running.dp)->dest_bits; id++) {
		const struct wm_model_dest *dest = wm_model__dest(daemon->running.model, id);

		if (dest)
			json_array_append_new(list, dest_row(daemon, dest));
	}
	*data = list;
	return 0;
}

/* As the data plane has it, not as it should be. */
WM_REPLY(reply_ring)
{
	const struct wm_model_vip *vip = find_vip(daemon, request, err);
	const struct wm_model *model = daemon->running.model;
	json_t *o, *reals, *slots;
	const struct wm_ring *ring;
	int index[1 << WM_DEST_BITS_MAX];

	if (!vip)
		return -ENOENT;
	for (size_t i = 0; i < sizeof(index) / sizeof(index[0]); i++)
		index[i] = -1;
	reals = json_array();
	for (size_t i = 0; i < vip->n_dests; i++) {
		const struct wm_model_dest *dest = wm_model__dest(model, vip->dests[i]);
		char text[WM_ADDR_TEXT];

		index[dest->id] = i;
		json_array_append_new(reals, json_string(wm_addr__format(&dest->real, text)));
	}
	slots = json_array();
	ring = wm_dp__ring(daemon->running.dp, vip->ring);
	for (uint32_t slot = 0; slot < WM_RING_SLOTS; slot++)
		json_array_append_new(slots, json_integer(index[ring->slot[slot]]));
	o = json_object();
	wm_put__text(o, "vip", vip->name);
	json_object_set_new(o, "reals", reals);
	json_object_set_new(o, "slot", slots);
	*data = o;
	return 0;
}

/* What the data plane would make of a mark, by the same steps (bpf/mark.h). */
static const char *meaning(const struct wm_dest *entry, uint32_t id, uint32_t mark)
{
	if (!id || entry->encap == WM_ENCAP_NONE)
		return "unknown";
	if (entry->mark == mark)
		return "live";
	return entry->mark ? "stale" : "gone";
}

WM_REPLY(reply_mark)
{
	uint32_t dest_bits = wm_dp__params(daemon->running.dp)->dest_bits, id;
	json_int_t mark = json_integer_value(json_object_get(request, "mark"));
	const struct wm_model_dest *dest;
	json_t *o;

	if (mark > UINT32_MAX)
		return wm_err__set(err, -ERANGE, "a mark has 32 bits, %" PRIu64 " has more",
				   (uint64_t)mark);
	id = mark & ((1u << dest_bits) - 1);
	o = json_object();
	wm_put__count(o, "mark", mark);
	wm_put__count(o, "dest", id);
	wm_put__count(o, "generation", mark >> dest_bits);
	wm_put__text(o, "meaning", meaning(wm_dp__dest(daemon->running.dp, id), id, mark));
	dest = wm_nic__dest_of(&daemon->nic, mark);
	if (dest && wm_dp__dest(daemon->running.dp, id)->mark == mark) {
		put_vip_of(o, daemon, dest);
		wm_put__addr(o, "real", &dest->real);
	} else {
		wm_put__null(o, "vip");
		wm_put__null(o, "real");
	}
	*data = o;
	return 0;
}

const struct wm_reply wm_replies_model[] = {
	{ .request = "vip", .make = reply_vip },
	{ .request = "real", .make = reply_real, .tells_flows = true },
	{ .request = "dest", .make = reply_dest },
	{ .request = "ring", .make = reply_ring },
	{ .request = "mark", .make = reply_mark },
	{ .request = NULL },
};
