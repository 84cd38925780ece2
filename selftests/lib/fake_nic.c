// SPDX-License-Identifier: GPL-2.0
#include "fake_nic.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

uint32_t nic_number(const struct wm_flow *flow)
{
	assert_true(flow->src[0] < FLOWS);
	return flow->src[0];
}

struct wm_flow nic_flow_of(uint32_t n)
{
	return (struct wm_flow){
		.src = { n },
		.dst = { htonl(0x0ac80101) },
		.sport = htons(4711),
		.dport = htons(80),
		.proto = IPPROTO_TCP,
		.family = WM_IPV4,
	};
}

int nic_put(struct wm_offload *nic, const struct wm_rule *rule)
{
	struct slot *slot = &nic->slot[nic_number(&rule->flow)];

	if (!slot->in && nic->full_at && nic->n >= nic->full_at)
		return -ENOSPC;
	nic->n += !slot->in;
	if (nic->n > nic->most)
		nic->most = nic->n;
	*slot = (struct slot){ .in = true, .mark = rule->mark };
	return 0;
}

static int nic_install_one(struct wm_offload *nic, const struct wm_rule *rule)
{
	nic->asked++;
	if (nic->install_error && (!nic->error_every || nic->asked % nic->error_every == 0))
		return nic->install_error;
	if (nic->lose_installs)
		return 0;
	if (nic->late) {
		assert_true(nic->n_pending < PENDING_MAX);
		nic->pending[nic->n_pending++] = *rule;
		return -EINPROGRESS;
	}
	return nic_put(nic, rule);
}

static void spend(struct wm_offload *nic, uint64_t ns)
{
	nic->spent_ns += ns;
	if (ns > nic->longest_ns)
		nic->longest_ns = ns;
}

static void nic_install(struct wm_offload *nic, const struct wm_rule *rules, size_t n, int *result)
{
	nic->calls++;
	spend(nic, nic->stall_ns + n * (nic->calls % 2 ? nic->install_ns :
					nic->install_ns + nic->jitter_ns));
	nic->stall_ns = 0;
	for (size_t i = 0; i < n; i++)
		result[i] = nic_install_one(nic, &rules[i]);
}

void nic_drop(struct wm_offload *nic, uint32_t n)
{
	nic->n -= nic->slot[n].in;
	nic->slot[n].in = false;
}

static void nic_remove(struct wm_offload *nic, const struct wm_flow *flows, size_t n, int *result)
{
	spend(nic, n * nic->remove_ns);
	for (size_t i = 0; i < n; i++) {
		uint32_t which = nic_number(&flows[i]);

		nic->removals++;
		result[i] = nic->remove_error;
		if (nic->remove_error || nic->lose_removals)
			continue;
		result[i] = nic->slot[which].in ? 0 : -ENOENT;
		nic_drop(nic, which);
	}
}

static int nic_poll(struct wm_offload *nic,
		    void (*done)(void *arg, const struct wm_rule *rule, int result), void *arg)
{
	uint32_t n = nic->n_pending;

	if (nic->late)
		return 0;
	if (nic->answers && nic->answers < n)
		n = nic->answers;
	for (uint32_t i = 0; i < n; i++)
		done(arg, &nic->pending[i], nic->install_error ?: nic_put(nic, &nic->pending[i]));
	nic->n_pending -= n;
	memmove(nic->pending, nic->pending + n, nic->n_pending * sizeof(nic->pending[0]));
	return n;
}

static int nic_list(struct wm_offload *nic,
		    void (*each)(void *arg, const struct wm_rule *rule,
				 const struct wm_rule_stats *stats),
		    void *arg)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		const struct slot *s = &nic->slot[i];
		struct wm_rule rule = { nic_flow_of(i), s->mark };
		struct wm_rule_stats stats = { s->packets, s->bytes, s->used };

		if (nic->no_packets)
			stats.packets = stats.bytes = 0;
		if (s->in)
			each(arg, &rule, &stats);
		if (nic->list_error && i == FLOWS / 2)
			return nic->list_error;
	}
	return 0;
}

static const struct wm_offload_caps *nic_caps(struct wm_offload *nic)
{
	return &nic->caps;
}

const struct wm_offload_ops nic_ops = {
	.name = "test",
	.caps = nic_caps,
	.install = nic_install,
	.remove = nic_remove,
	.poll = nic_poll,
	.list = nic_list,
};

/* --- the world around it --- */

static void on_active(void *arg, const struct wm_flow *flow)
{
	((struct world *)arg)->active[nic_number(flow)]++;
}

static bool on_current(void *arg, const struct wm_rule *rule)
{
	return !((struct world *)arg)->outdated[nic_number(&rule->flow)];
}

static bool on_used(void *arg, const struct wm_rule *rule)
{
	struct world *w = arg;

	w->used[nic_number(&rule->flow)]++;
	return !w->outdated[nic_number(&rule->flow)];
}

static void on_gone(void *arg, const struct wm_flow *flow)
{
	((struct world *)arg)->gone[nic_number(flow)]++;
}

static uint64_t on_clock(void *arg)
{
	const struct world *w = arg;

	return w->now + w->nic.spent_ns;
}

static void start(struct world *w)
{
	struct wm_rules_hooks hooks = { on_current, on_active, on_used, on_gone, on_clock, w };

	w->rules = wm_rules__new(&nic_ops, &w->nic, &w->options, &hooks);
	assert_non_null(w->rules);
}

int world_set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->nic.caps = (struct wm_offload_caps){ .mark_bits = 16, .tcp_flags = true, .stats = true };
	w->options = (struct wm_rules_options){
		.max_rules = 1000,
		.installs_per_second = 10000,
		.idle_ns = 4 * SECOND,
	};
	w->now = T0;
	start(w);
	*state = w;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *w = *state;

	wm_rules__free(w->rules);
	free(w);
	return 0;
}

void world_restart(struct world *w)
{
	wm_rules__free(w->rules);
	start(w);
}

void world_offer(struct world *w, uint32_t n, uint32_t mark)
{
	struct wm_flow flow = nic_flow_of(n);

	wm_rules__offer(w->rules, &flow, mark, w->now);
}

void world_offer_range(struct world *w, uint32_t from, uint32_t to, uint32_t mark)
{
	for (uint32_t n = from; n < to; n++)
		world_offer(w, n, mark);
}

void world_close_flow(struct world *w, uint32_t n)
{
	struct wm_flow flow = nic_flow_of(n);

	wm_rules__close(w->rules, &flow, w->now);
}

static uint64_t tick(struct world *w)
{
	uint64_t next = wm_rules__tick(w->rules, w->now);

	assert_true(next >= w->now);
	w->now += w->nic.spent_ns;
	w->nic.spent_ns = 0;
	return next > w->now ? next : w->now;
}

void world_tick(struct world *w)
{
	tick(w);
}

void world_run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;
	int same = 0;

	while (w->now < end) {
		uint64_t before = w->now, next = tick(w);

		same = next == before ? same + 1 : 0;
		assert_true(same < 100); /* a daemon would not sleep any more */
		if (next > w->now)
			w->now = next < end ? next : end;
	}
	world_tick(w);
}

struct wm_rules_stats world_stats(const struct world *w)
{
	struct wm_rules_stats s;

	wm_rules__stats(w->rules, &s);
	return s;
}

int world_state_of(const struct world *w, uint32_t n)
{
	struct wm_flow flow = nic_flow_of(n);
	struct wm_rule_view view;

	return wm_rules__find(w->rules, &flow, &view) ? (int)view.state : -1;
}

void world_traffic(struct world *w, uint32_t from, uint32_t to)
{
	for (uint32_t n = from; n < to; n++) {
		if (!w->nic.slot[n].in)
			continue;
		w->nic.slot[n].packets += 10;
		w->nic.slot[n].bytes += 1000;
		w->nic.slot[n].used = w->now;
	}
}

void world_readings(struct world *w, int n, uint32_t busy_from, uint32_t busy_to)
{
	while (n--) {
		world_traffic(w, busy_from, busy_to);
		world_run(w, w->options.idle_ns / 4);
	}
}

bool world_in_nic(const struct world *w, uint32_t n, uint32_t mark)
{
	return w->nic.slot[n].in && w->nic.slot[n].mark == mark;
}
