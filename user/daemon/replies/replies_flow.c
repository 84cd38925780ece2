// SPDX-License-Identifier: GPL-2.0
/* Single flows: what the table, the rules and the ring say of them. */
#include <errno.h>

#include "protocol.h"
#include "put.h"
#include "replies.h"

static int parse_endpoint(const json_t *request, const char *key, struct wm_addr *addr,
			  __be16 *port, struct wm_err *err)
{
	const char *text = json_string_value(json_object_get(request, key));

	if (!wm_endpoint__parse(text, addr, port))
		return 0;
	return wm_err__set(err, -EINVAL, "%s: \"%.64s\" is no address:port", key, text);
}

static int parse_flow(const json_t *request, struct wm_flow *flow, struct wm_err *err)
{
	const char *protocol = json_string_value(json_object_get(request, "protocol"));
	struct wm_addr src, dst;
	int ret;

	*flow = (struct wm_flow){};
	ret = wm_proto__parse(protocol);
	if (ret < 0)
		return wm_err__set(err, ret, "protocol: \"%.64s\" is neither tcp nor udp",
				   protocol);
	flow->proto = ret;
	ret = parse_endpoint(request, "source", &src, &flow->sport, err);
	if (!ret)
		ret = parse_endpoint(request, "destination", &dst, &flow->dport, err);
	if (ret)
		return ret;
	if (src.family != dst.family)
		return wm_err__set(err, -EINVAL, "one of source and destination is IPv4, "
				   "the other is IPv6");
	flow->family = src.family;
	for (int i = 0; i < 4; i++) {
		flow->src[i] = src.word[i];
		flow->dst[i] = dst.word[i];
	}
	return 0;
}

/* dest and real; null, null if the data plane has no such destination. */
static void put_dest(json_t *o, const struct wm_daemon *d, uint16_t id)
{
	const struct wm_model_dest *dest = wm_model__dest(d->running.model, id);

	if (dest) {
		wm_put__count(o, "dest", id);
		wm_put__addr(o, "real", &dest->real);
	} else {
		wm_put__null(o, "dest");
		wm_put__null(o, "real");
	}
}

/* --- rules --- */

static uint16_t dest_of_mark(const struct wm_daemon *d, uint32_t mark)
{
	return mark & ((1u << wm_dp__params(d->running.dp)->dest_bits) - 1);
}

static void put_rule(json_t *o, const struct wm_daemon *d, const struct wm_rule_view *view)
{
	uint64_t now = wm_now_ns();

	wm_put__text(o, "state", wm_rule_state__name(view->state));
	wm_put__count(o, "mark", view->rule.mark);
	put_dest(o, d, dest_of_mark(d, view->rule.mark));
	wm_put__count(o, "packets", view->stats.packets);
	wm_put__count(o, "bytes", view->stats.bytes);
	wm_put__seconds(o, "age_s", now > view->since ? now - view->since : 0);
}

static json_t *rule_of(const struct wm_daemon *d, const struct wm_flow *flow)
{
	struct wm_rule_view view;
	json_t *o;

	if (!wm_nic__find(&d->nic, flow, &view))
		return json_null();
	o = json_object();
	put_rule(o, d, &view);
	return o;
}

struct listing {
	const struct wm_daemon *daemon;
	json_t *rules;
	const char *interface; /* of the card whose rules come now */
	uint64_t total, max;
};

static bool list_rule(void *arg, const struct wm_rule_view *view)
{
	struct listing *l = arg;
	const struct wm_daemon *d = l->daemon;
	const struct wm_model_dest *dest;
	const struct wm_model_vip *vip;
	json_t *o;

	if (++l->total > l->max)
		return true; /* only counted */
	dest = wm_model__dest(d->running.model, dest_of_mark(d, view->rule.mark));
	vip = dest ? wm_model__vip_by_number(d->running.model, dest->vip) : NULL;
	o = json_object();
	wm_put__flow(o, &view->rule.flow);
	if (vip)
		wm_put__text(o, "vip", vip->name);
	else
		wm_put__null(o, "vip");
	put_rule(o, d, view);
	if (l->interface)
		wm_put__text(o, "interface", l->interface);
	else
		wm_put__null(o, "interface");
	json_array_append_new(l->rules, o);
	return true;
}

WM_REPLY(reply_flows)
{
	const json_t *max = json_object_get(request, "max");
	struct listing l = {
		.daemon = daemon,
		.rules = json_array(),
		.max = max ? json_integer_value(max) : WM_FLOWS_DEFAULT,
	};
	json_t *o = json_object();

	(void)err;
	for (size_t i = 0; i < daemon->nic.n; i++) {
		l.interface = wm_nic__interface(&daemon->nic, i);
		wm_rules__each(daemon->nic.card[i].rules, list_rule, &l);
	}
	wm_put__count(o, "total", l.total);
	json_object_set_new(o, "rules", l.rules);
	*data = o;
	return 0;
}

/* --- flow --- */

static const char *state_name(struct wm_daemon *d, const struct wm_flow_slot *slot)
{
	uint32_t threshold = wm_dp__ctl(d->running.dp)->promote_after;

	switch (slot->state) {
	case WM_FLOW_PROMOTED:
		return "proven";
	case WM_FLOW_CLOSING:
		return "closing";
	case WM_FLOW_CLOSED:
		return "closed";
	default:
		return threshold && slot->state >= threshold ? "proven" : "counting";
	}
}

static void put_entry(json_t *o, struct wm_daemon *d, const struct wm_flow_slot *slot)
{
	bool counting = slot->state < WM_FLOW_PROMOTED;
	uint64_t tick;

	wm_dp__tick_ns(d->running.dp, &tick);
	put_dest(o, d, slot->dest);
	wm_put__seconds(o, "idle_s", slot->idle_ticks * tick);
	wm_put__text(o, "state", state_name(d, slot));
	if (counting)
		wm_put__count(o, "counted", slot->state);
	else
		wm_put__null(o, "counted"); /* the state took its place */
}

WM_REPLY(reply_flow)
{
	static const char *const entry_keys[] = { "dest", "real", "idle_s", "state", "counted" };
	struct wm_flow_slot slot;
	struct wm_flow flow;
	json_t *o;
	int ret;

	ret = parse_flow(request, &flow, err);
	if (ret)
		return ret;
	o = json_object();
	wm_put__flow(o, &flow);
	if (wm_dp__flow_find(daemon->running.dp, &flow, &slot)) {
		wm_put__bool(o, "in_table", true);
		put_entry(o, daemon, &slot);
	} else {
		wm_put__bool(o, "in_table", false);
		for (size_t i = 0; i < sizeof(entry_keys) / sizeof(entry_keys[0]); i++)
			wm_put__null(o, entry_keys[i]);
	}
	json_object_set_new(o, "rule", rule_of(daemon, &flow));
	*data = o;
	return 0;
}

/* --- where --- */

/* What the flow table says; only a destination of this vip counts there. */
static json_t *table_says(struct wm_daemon *d, const struct wm_flow *flow,
			  const struct wm_model_vip *vip)
{
	const struct wm_model_dest *dest;
	struct wm_flow_slot slot;
	json_t *o;

	if (!wm_dp__flow_find(d->running.dp, flow, &slot))
		return json_null();
	dest = wm_model__dest(d->running.model, slot.dest);
	if (!dest || dest->state != WM_DEST_LIVE || dest->vip != vip->number)
		return json_null();
	o = json_object();
	put_dest(o, d, slot.dest);
	return o;
}

static void put_nowhere(json_t *o)
{
	static const char *const keys[] = { "vip", "slot", "dest", "real", "outer_source", "flow" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		wm_put__null(o, keys[i]);
}

WM_REPLY(reply_where)
{
	struct wm_where where;
	struct wm_flow flow;
	json_t *o;
	int ret;

	ret = parse_flow(request, &flow, err);
	if (!ret)
		ret = wm_model__where(daemon->running.model, daemon->running.config, &flow, &where);
	if (ret)
		return ret;
	o = json_object();
	wm_put__flow(o, &flow);
	*data = o;
	if (!where.vip) {
		put_nowhere(o);
		return 0;
	}
	wm_put__text(o, "vip", where.vip->name);
	wm_put__count(o, "slot", where.slot);
	if (where.dest)
		wm_put__count(o, "dest", where.dest);
	else
		wm_put__null(o, "dest");
	wm_put__addr(o, "real", &where.real);
	wm_put__addr(o, "outer_source", &where.outer_src);
	json_object_set_new(o, "flow", table_says(daemon, &flow, where.vip));
	return 0;
}

const struct wm_reply wm_replies_flow[] = {
	{ .request = "flow", .make = reply_flow },
	{ .request = "flows", .make = reply_flows },
	{ .request = "where", .make = reply_where },
	{ .request = NULL },
};
