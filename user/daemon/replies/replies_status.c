// SPDX-License-Identifier: GPL-2.0
/* The daemon as a whole: status, stats. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <waymark/hash.h>

#include "governor.h"
#include "put.h"
#include "replies.h"
#include "steer.h"

static int by_address(const void *a, const void *b)
{
	return wm_addr__compare(a, b);
}

/* Different addresses. */
static size_t count_reals(const struct wm_config *config)
{
	size_t n = 0, different = 0;
	struct wm_addr *list;

	for (size_t i = 0; i < config->n_vips; i++)
		n += config->vips[i].n_reals;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return n;
	n = 0;
	for (size_t i = 0; i < config->n_vips; i++)
		for (size_t k = 0; k < config->vips[i].n_reals; k++)
			list[n++] = config->vips[i].reals[k].address;
	qsort(list, n, sizeof(*list), by_address);
	for (size_t i = 0; i < n; i++)
		different += !i || by_address(&list[i - 1], &list[i]);
	free(list);
	return different;
}

/* As they are called now. */
static json_t *interfaces(const struct wm_daemon *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->links.n; i++) {
		const char *is = d->links.name[i], *was = d->running.config->interfaces[i];

		json_array_append_new(list, strcmp(is, was) ?
				      json_sprintf("%s (%s in the configuration)", is, was) :
				      json_string(is));
	}
	return list;
}

/* "eth0 0-3" for each interface of which only some queues are served. */
static json_t *queues(const struct wm_config *config)
{
	char text[WM_QUEUESET_TEXT];
	json_t *list = json_array();

	for (size_t i = 0; i < config->n_interfaces; i++) {
		if (!wm_queueset__count(&config->queues[i]))
			continue;
		wm_queueset__format(&config->queues[i], ",", text, sizeof(text));
		json_array_append_new(list, json_sprintf("%s %s", config->interfaces[i], text));
	}
	return list;
}

/* "eth0: no XDP program is attached" for each that is not served. */
static json_t *unserved(const struct wm_daemon *d)
{
	json_t *list = json_array();
	char text[WM_ATTACHED_TEXT];

	for (size_t i = 0; i < d->running.config->n_interfaces; i++) {
		wm_attached__text(&d->attached, i, text, sizeof(text));
		if (*text)
			json_array_append_new(list, json_string(text));
	}
	return list;
}

/* "eth1: packets for 10.0.0.1 are dropped, ..." for each that does not lead to all reals. */
static json_t *apart(const struct wm_daemon *d)
{
	json_t *list = json_array();
	char text[WM_HOPS_APART];

	for (size_t i = 0; i < d->links.n; i++)
		if (wm_hops__apart(d->hops, i, text))
			json_array_append_new(list, json_string(text));
	return list;
}

static void put_program(json_t *o, struct wm_daemon *d)
{
	const struct wm_params *params = wm_dp__params(d->running.dp);
	char running[WM_DP_BUILD_TEXT], own[WM_DP_BUILD_TEXT];

	json_object_set_new(o, "interfaces", interfaces(d));
	json_object_set_new(o, "queues", queues(d->running.config));
	json_object_set_new(o, "locals", wm_local__status(d->local));
	json_object_set_new(o, "unserved", unserved(d));
	json_object_set_new(o, "apart", apart(d));
	wm_put__text(o, "mode", wm_attached__mode(&d->attached));
	wm_put__text(o, "attach", d->running.config->attach == WM_ATTACH_KEEP ? "keep" : "once");
	wm_put__count(o, "attached_again", wm_attached__times(&d->attached));
	wm_put__text(o, "lane", wm_dp__lane_name(d->running.dp));
	wm_dp__build(d->running.dp, running, own);
	wm_put__text(o, "prog_build", running);
	wm_put__text(o, "build", own);
	wm_put__bool(o, "outdated", wm_dp__outdated(d->running.dp));
	wm_put__bool(o, "adopted", wm_dp__adopted(d->running.dp));
	wm_put__count(o, "prog_id", wm_dp__prog_id(d->running.dp));
	wm_put__count(o, "abi", params->version);
	wm_put__count(o, "vips", d->running.config->n_vips);
	wm_put__count(o, "reals", count_reals(d->running.config));
	wm_put__count(o, "by_hand", d->admin.n);
	wm_put__count(o, "dests", wm_model__n_dests(d->running.model, WM_DEST_LIVE));
	wm_put__count(o, "dests_max", (1u << params->dest_bits) - 1);
	wm_put__count(o, "retiring", wm_model__n_dests(d->running.model, WM_DEST_RETIRING));
	wm_put__count(o, "mtu", d->uplinks.mtu);
	wm_put__count(o, "fits4", wm_uplinks__fits(&d->uplinks, WM_IPV4));
	wm_put__count(o, "fits6", wm_uplinks__fits(&d->uplinks, WM_IPV6));
	wm_put__count(o, "flows_max", wm_flow_buckets_hold(params->flow_buckets));
}

static void put_sent(json_t *o, struct wm_daemon *d)
{
	uint64_t counter[WM_COUNTERS_MAX], bytes;

	wm_dp__counters(d->running.dp, counter, &bytes);
	wm_put__count(o, "packets", counter[WM_C_TX_MARKED] + counter[WM_C_TX_HIT] +
		      counter[WM_C_TX_MISS] + counter[WM_C_TX_SYN] +
		      counter[WM_C_TX_ICMP]);
	wm_put__count(o, "bytes", bytes);
	wm_put__count(o, "marked", counter[WM_C_TX_MARKED]);
}

static void put_steering(json_t *o, const struct wm_nic *nic)
{
	struct wm_steering_stats stats;

	wm_steer__stats(nic, &stats);
	wm_put__count(o, "steering_rules", stats.rules);
	wm_put__count(o, "steered", stats.steered);
	wm_put__count(o, "to_steer", stats.vips);
	if (*stats.why)
		wm_put__text(o, "steering_why", stats.why);
	else
		wm_put__null(o, "steering_why");
}

static void put_learned(json_t *o, const struct wm_rules_stats *stats)
{
	if (stats->rate)
		wm_put__count(o, "rate", stats->rate);
	else
		wm_put__null(o, "rate");
	if (stats->room != WM_GOVERNOR_NO_LIMIT)
		wm_put__count(o, "room", stats->room);
	else
		wm_put__null(o, "room");
	wm_put__count(o, "pace", stats->pace);
	wm_put__count(o, "promote_after", stats->ask);
	wm_put__bool(o, "flood", stats->flood);
}

static json_t *offload_status(const struct wm_nic *nic)
{
	struct wm_offload_usage usage;
	struct wm_rules_stats stats;
	json_t *o = json_object();

	wm_nic__stats(nic, &stats);
	wm_put__text(o, "backend", nic->ops->name);
	wm_put__count(o, "rules", stats.state[WM_RULE_ACTIVE]);
	wm_put__count(o, "rules_max", wm_nic__works(nic) ? stats.max_rules : 0);
	if (wm_nic__usage(nic, &usage)) {
		wm_put__count(o, "table", usage.size);
		wm_put__count(o, "table_used", usage.used);
	} else {
		wm_put__null(o, "table");
		wm_put__null(o, "table_used");
	}
	wm_put__count(o, "mark_bits", wm_nic__mark_bits(nic));
	if (wm_nic__works(nic))
		wm_put__text(o, "marks", wm_marks__word(&nic->marks));
	else
		wm_put__null(o, "marks");
	if (*nic->why)
		wm_put__text(o, "lane_why", nic->why);
	else
		wm_put__null(o, "lane_why");
	wm_put__bool(o, "backing_off", stats.backing_off);
	put_learned(o, &stats);
	put_steering(o, nic);
	return o;
}

static void put_reload(json_t *o, const struct wm_reload *reload)
{
	static const char *const states[] = {
		[WM_RELOAD_IDLE] = "idle",       [WM_RELOAD_READING] = "reading",
		[WM_RELOAD_FINDING] = "finding", [WM_RELOAD_CHANGING] = "changing",
		[WM_RELOAD_LEAVING] = "changing",
	};
	json_t *last;

	wm_put__count(o, "reloads", reload->count);
	wm_put__text(o, "reload_state", states[reload->state]);
	if (!reload->last_ns)
		return;
	last = json_object();
	wm_put__bool(last, "ok", !reload->error);
	wm_put__text(last, "text", reload->text);
	wm_put__seconds(last, "age_s", wm_now_ns() - reload->last_ns);
	json_object_set_new(o, "last_reload", last);
}

WM_REPLY(reply_status)
{
	struct wm_daemon *d = daemon;
	json_t *o = json_object();

	(void)request;
	(void)err;
	wm_attached__check_all(&d->attached);
	wm_put__text(o, "version", WM_VERSION);
	wm_put__count(o, "pid", getpid());
	wm_put__seconds(o, "uptime_s", wm_now_ns() - d->started_ns);
	wm_put__text(o, "config", d->options->config);
	put_program(o, d);
	put_sent(o, d);
	json_object_set_new(o, "offload", offload_status(&d->nic));
	put_reload(o, &d->reload);
	*data = o;
	return 0;
}

static json_t *offload_stats(const struct wm_nic *nic)
{
	json_t *o = json_object(), *ended = json_object();
	struct wm_rules_stats stats;

	wm_nic__stats(nic, &stats);
	wm_put__count(o, "candidates", stats.candidates);
	wm_put__count(o, "installed", stats.installed);
	wm_put__count(o, "refused", stats.refused);
	wm_put__count(o, "full", stats.full);
	wm_put__count(o, "held", stats.held);
	wm_put__count(o, "failed_removals", stats.failed_removals);
	wm_put__count(o, "active", stats.state[WM_RULE_ACTIVE]);
	wm_put__count(o, "installing", stats.state[WM_RULE_INSTALLING]);
	wm_put__count(o, "deleting", stats.state[WM_RULE_DELETING]);
	for (int end = 0; end < WM_ENDS; end++)
		wm_put__count(ended, wm_rule_end__name(end), stats.ended[end]);
	json_object_set_new(o, "ended", ended);
	wm_put__count(o, "packets", stats.packets);
	wm_put__count(o, "bytes", stats.bytes);
	return o;
}

WM_REPLY(reply_stats)
{
	uint64_t counter[WM_COUNTERS_MAX], bytes;
	json_t *o = json_object(), *counters = json_object(), *events = json_object();

	(void)request;
	(void)err;
	wm_dp__counters(daemon->running.dp, counter, &bytes);
	for (int i = 0; i < WM_COUNTERS_USED; i++)
		wm_put__count(counters, wm_counter_names[i], counter[i]);
	wm_put__count(events, "read", daemon->events.read);
	wm_put__count(events, "lost", counter[WM_C_EVENT_LOST]);
	json_object_set_new(o, "counters", counters);
	wm_put__count(o, "bytes", bytes);
	json_object_set_new(o, "offload", offload_stats(&daemon->nic));
	json_object_set_new(o, "events", events);
	*data = o;
	return 0;
}

WM_REPLY(reply_xsk)
{
	return wm_local__report(daemon->local,
				json_string_value(json_object_get(request, "name")), data, err);
}

const struct wm_reply wm_replies_status[] = {
	{ .request = "status", .make = reply_status },
	{ .request = "stats", .make = reply_stats },
	{ .request = "xsk", .make = reply_xsk },
	{ .request = NULL },
};
