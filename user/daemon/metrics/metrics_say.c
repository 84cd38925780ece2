// SPDX-License-Identifier: GPL-2.0
#include "metrics_say.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <waymark/hash.h>

#include "monotonic.h"
#include "put.h"
#include "rules.h"
#include "steer.h"

/* --- facts --- */

static json_t *counters(void)
{
	json_t *list = json_array();

	for (int i = 0; i < WM_COUNTERS_USED; i++)
		json_array_append_new(list, json_pack("[ss]", wm_counter_names[i],
						      wm_counter_texts[i]));
	return list;
}

static json_t *vip_row(const struct wm_model_vip *vip)
{
	char text[WM_ADDR_TEXT];

	return json_pack("[ssisi]", vip->name, wm_addr__format(&vip->address, text),
			 ntohs(vip->port), wm_proto__name(vip->proto), (int)vip->n_dests);
}

static json_t *dest_row(size_t vip, const struct wm_model_dest *dest)
{
	char text[WM_ADDR_TEXT];

	return json_pack("[iisiib]", (int)vip, dest->id, wm_addr__format(&dest->real, text),
			 (int)dest->weight, (int)dest->slots, !dest->away);
}

/* Vips and destinations, in the order in which the state speaks of them. */
static void put_model(json_t *o, const struct wm_model *model)
{
	json_t *vips = json_array(), *dests = json_array();

	for (size_t i = 0; i < wm_model__n_vips(model); i++) {
		const struct wm_model_vip *vip = wm_model__vip(model, i);

		json_array_append_new(vips, vip_row(vip));
		for (size_t k = 0; k < vip->n_dests; k++)
			json_array_append_new(dests, dest_row(i, wm_model__dest(model,
										vip->dests[k])));
	}
	json_object_set_new(o, "vips", vips);
	json_object_set_new(o, "dests", dests);
}

/* CLOCK_REALTIME of a moment of CLOCK_MONOTONIC, in seconds. */
static uint64_t wall_clock(uint64_t ns)
{
	return time(NULL) - (wm_now_ns() - ns) / 1000000000;
}

static json_t *facts(const struct wm_metrics_view *view)
{
	const struct wm_params *params = wm_dp__params(view->dp);
	json_t *o = json_object(), *numbers = json_object();

	wm_put__count(o, "abi", params->version);
	json_object_set_new(o, "counters", counters());
	wm_put__count(numbers, "start_time_seconds", wall_clock(view->started_ns));
	wm_put__count(numbers, "flow_table_capacity", wm_flow_buckets_hold(params->flow_buckets));
	wm_put__count(numbers, "destinations_limit", (1u << params->dest_bits) - 1);
	json_object_set_new(o, "numbers", numbers);
	put_model(o, view->model);
	return json_pack("{so}", "facts", o);
}

/* --- state --- */

static void put_texts(json_t *o, const struct wm_metrics_view *view)
{
	char running[WM_DP_BUILD_TEXT], own[WM_DP_BUILD_TEXT];
	json_t *texts = json_object();

	wm_dp__build(view->dp, running, own);
	wm_put__text(texts, "version", WM_VERSION);
	wm_put__text(texts, "program", running);
	wm_put__text(texts, "mode", view->mode);
	wm_put__text(texts, "lane", wm_dp__lane_name(view->dp));
	wm_put__text(texts, "backend", view->nic->ops->name);
	json_object_set_new(o, "texts", texts);
}

static void put_offload(json_t *numbers, const struct wm_nic *nic,
			const struct wm_rules_stats *stats)
{
	struct wm_steering_stats steering;
	struct wm_offload_usage usage;

	wm_put__count(numbers, "rules_limit", wm_nic__works(nic) ? stats->max_rules : 0);
	wm_put__count(numbers, "rules_backing_off", stats->backing_off);
	wm_put__count(numbers, "rule_candidates", stats->candidates);
	wm_put__count(numbers, "rules_installed", stats->installed);
	wm_put__count(numbers, "rules_refused", stats->refused);
	wm_put__count(numbers, "rules_table_full", stats->full);
	wm_put__count(numbers, "rules_held", stats->held);
	wm_put__count(numbers, "rule_removals_failed", stats->failed_removals);
	wm_put__count(numbers, "rule_packets", stats->packets);
	wm_put__count(numbers, "rule_bytes", stats->bytes);
	if (wm_nic__usage(nic, &usage)) {
		wm_put__count(numbers, "nic_table_size", usage.size);
		wm_put__count(numbers, "nic_table_used", usage.used);
	}
	wm_steer__stats(nic, &steering);
	wm_put__count(numbers, "steering_rules", steering.rules);
	wm_put__count(numbers, "steering_vips", steering.vips);
	wm_put__count(numbers, "steered_vips", steering.steered);
}

static void put_rules(json_t *o, const struct wm_rules_stats *stats)
{
	json_t *rules = json_object(), *ended = json_object();

	for (int state = WM_RULE_INSTALLING; state < WM_RULE_STATES; state++)
		wm_put__count(rules, wm_rule_state__name(state), stats->state[state]);
	for (int end = 0; end < WM_ENDS; end++)
		wm_put__count(ended, wm_rule_end__name(end), stats->ended[end]);
	json_object_set_new(o, "rules", rules);
	json_object_set_new(o, "ended", ended);
}

static void put_numbers(json_t *o, const struct wm_metrics_view *view,
			const struct wm_rules_stats *stats)
{
	json_t *numbers = json_object();

	wm_put__count(numbers, "retiring_destinations",
		      wm_model__n_dests(view->model, WM_DEST_RETIRING));
	wm_put__count(numbers, "program_reattached", view->reattached);
	wm_put__count(numbers, "events_read", view->events_read);
	wm_put__count(numbers, "reloads", view->reloads);
	if (view->reloaded_ns) {
		wm_put__count(numbers, "last_reload_successful", !view->reload_failed);
		wm_put__count(numbers, "last_reload_timestamp_seconds",
			      wall_clock(view->reloaded_ns));
	}
	put_offload(numbers, view->nic, stats);
	json_object_set_new(o, "numbers", numbers);
}

static void put_interfaces(json_t *o, const struct wm_metrics_source *source, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		bool served;
		const char *name = source->interface(source->arg, i, &served);

		json_array_append_new(list, json_pack("[sb]", name, (int)served));
	}
	json_object_set_new(o, "interfaces", list);
}

static void put_dropped(json_t *o, const struct wm_metrics_view *view)
{
	json_t *list = json_array();

	for (size_t i = 0; i < wm_model__n_vips(view->model); i++) {
		uint32_t ring = wm_model__vip(view->model, i)->ring;

		json_array_append_new(list, json_integer(wm_dp__ring_dropped(view->dp, ring)));
	}
	json_object_set_new(o, "dropped", list);
}

static void put_live(json_t *o, const struct wm_metrics_source *source,
		     const struct wm_model *model)
{
	json_t *list = json_array();
	uint32_t flows;

	for (size_t i = 0; i < wm_model__n_vips(model); i++) {
		const struct wm_model_vip *vip = wm_model__vip(model, i);

		for (size_t k = 0; k < vip->n_dests; k++) {
			if (!source->live(source->arg, vip->dests[k], &flows)) {
				json_decref(list);
				return;
			}
			json_array_append_new(list, json_integer(flows));
		}
	}
	json_object_set_new(o, "live", list);
}

/* Of each destination: 1 up, 2 down, 0 neither; 1 drained, 2 disabled, 0 neither. */
static void put_standing(json_t *o, const struct wm_metrics_source *source,
			 const struct wm_model *model)
{
	json_t *health = json_array(), *by_hand = json_array();

	for (size_t i = 0; i < wm_model__n_vips(model); i++) {
		const struct wm_model_vip *vip = wm_model__vip(model, i);

		for (size_t k = 0; k < vip->n_dests; k++) {
			struct wm_metrics_standing s;

			source->standing(source->arg, vip,
					 wm_model__dest(model, vip->dests[k]), &s);
			json_array_append_new(health, json_integer(
				s.health == WM_HEALTH_UP ? 1 : s.health == WM_HEALTH_DOWN ? 2 : 0));
			json_array_append_new(by_hand, json_integer(
				s.drained ? 1 : s.disabled ? 2 : 0));
		}
	}
	json_object_set_new(o, "health", health);
	json_object_set_new(o, "by_hand", by_hand);
}

static json_t *state(const struct wm_metrics_source *source, const struct wm_metrics_view *view)
{
	struct wm_rules_stats stats;
	json_t *o = json_object();

	wm_nic__stats(view->nic, &stats);
	put_texts(o, view);
	put_numbers(o, view, &stats);
	put_rules(o, &stats);
	put_interfaces(o, source, view->n_interfaces);
	put_dropped(o, view);
	put_live(o, source, view->model);
	put_standing(o, source, view->model);
	return json_pack("{so}", "state", o);
}

/* --- lines --- */

static bool write_line(FILE *out, json_t *object)
{
	bool good = object && !json_dumpf(object, out, JSON_COMPACT) && putc('\n', out) != EOF;

	json_decref(object);
	return good;
}

char *wm_metrics__say(const struct wm_metrics_source *source, struct wm_metrics_said *said,
		      size_t *len)
{
	struct wm_metrics_view view;
	bool good = true, news;
	char *text = NULL;
	FILE *out;

	source->look(source->arg, &view);
	out = open_memstream(&text, len);
	if (!out)
		return NULL;
	news = !said->facts || said->serial != wm_model__serial(view.model);
	if (news)
		good = write_line(out, facts(&view));
	good = good && write_line(out, state(source, &view));
	if (fclose(out) || !good) {
		free(text);
		return NULL;
	}
	*said = (struct wm_metrics_said){ true, wm_model__serial(view.model) };
	return text;
}
