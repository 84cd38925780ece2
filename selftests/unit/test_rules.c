// SPDX-License-Identifier: GPL-2.0
/*
 * The life of rules (user/offload/rules.c) against a NIC of our own that does
 * what a test tells it: refuse, delay, lose, fill up. Time is a variable; nothing
 * here waits. Flow number n is the flow with n in its source address, so the
 * NIC's table is an array.
 */
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

#include "rules.h"

#define MS 1000000ull
#define SECOND (1000 * MS)
#define T0 (1000 * SECOND) /* when every test begins */

enum { FLOWS = 4096, PENDING_MAX = 4096 };

/* --- the NIC --- */

struct slot {
	bool in;
	uint32_t mark;
	uint64_t packets, bytes, used;
};

struct wm_offload {
	struct wm_offload_caps caps;
	struct slot slot[FLOWS];
	uint32_t n, most; /* rules in it now, and ever */
	/* What it does wrong. */
	uint32_t full_at;    /* 0: never */
	int install_error, remove_error, list_error;
	uint32_t error_every; /* 0: every install */
	bool lose_installs, lose_removals, late, mute;
	/* What it was asked. */
	uint32_t asked, removals, calls;
	struct wm_rule pending[PENDING_MAX];
	uint32_t n_pending;
};

static uint32_t number(const struct wm_flow *flow)
{
	assert_true(flow->src[0] < FLOWS);
	return flow->src[0];
}

static struct wm_flow flow_of(uint32_t n)
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

static int nic_put(struct wm_offload *nic, const struct wm_rule *rule)
{
	struct slot *slot = &nic->slot[number(&rule->flow)];

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

static void nic_install(struct wm_offload *nic, const struct wm_rule *rules, size_t n, int *result)
{
	nic->calls++;
	for (size_t i = 0; i < n; i++)
		result[i] = nic_install_one(nic, &rules[i]);
}

static void nic_drop(struct wm_offload *nic, uint32_t n)
{
	nic->n -= nic->slot[n].in;
	nic->slot[n].in = false;
}

static void nic_remove(struct wm_offload *nic, const struct wm_flow *flows, size_t n, int *result)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t which = number(&flows[i]);

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
	int n = nic->n_pending;

	if (nic->late || nic->mute)
		return 0;
	for (int i = 0; i < n; i++)
		done(arg, &nic->pending[i], nic->install_error ?: nic_put(nic, &nic->pending[i]));
	nic->n_pending = 0;
	return n;
}

static int nic_list(struct wm_offload *nic,
		    void (*each)(void *arg, const struct wm_rule *rule,
				 const struct wm_rule_stats *stats),
		    void *arg)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		const struct slot *s = &nic->slot[i];
		struct wm_rule rule = { flow_of(i), s->mark };
		struct wm_rule_stats stats = { s->packets, s->bytes, s->used };

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

static const struct wm_offload_ops nic_ops = {
	.name = "test",
	.caps = nic_caps,
	.install = nic_install,
	.remove = nic_remove,
	.poll = nic_poll,
	.list = nic_list,
};

/* --- a test's world --- */

struct world {
	struct wm_offload nic;
	struct wm_rules *rules;
	struct wm_rules_options options;
	uint64_t now;
	int active[FLOWS], used[FLOWS], gone[FLOWS]; /* calls of the hooks */
};

static void on_active(void *arg, const struct wm_flow *flow)
{
	((struct world *)arg)->active[number(flow)]++;
}

static void on_used(void *arg, const struct wm_flow *flow)
{
	((struct world *)arg)->used[number(flow)]++;
}

static void on_gone(void *arg, const struct wm_flow *flow)
{
	((struct world *)arg)->gone[number(flow)]++;
}

static void start(struct world *w)
{
	struct wm_rules_hooks hooks = { on_active, on_used, on_gone, w };

	w->rules = wm_rules__new(&nic_ops, &w->nic, &w->options, &hooks);
	assert_non_null(w->rules);
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
	struct world *w = *state;

	wm_rules__free(w->rules);
	free(w);
	return 0;
}

/* For tests that need other options or capabilities. */
static void restart(struct world *w)
{
	wm_rules__free(w->rules);
	start(w);
}

static void offer(struct world *w, uint32_t n, uint32_t mark)
{
	struct wm_flow flow = flow_of(n);

	wm_rules__offer(w->rules, &flow, mark, w->now);
}

static void offer_range(struct world *w, uint32_t from, uint32_t to, uint32_t mark)
{
	for (uint32_t n = from; n < to; n++)
		offer(w, n, mark);
}

static void close_flow(struct world *w, uint32_t n)
{
	struct wm_flow flow = flow_of(n);

	wm_rules__close(w->rules, &flow, w->now);
}

static void tick(struct world *w)
{
	uint64_t next = wm_rules__tick(w->rules, w->now);

	assert_true(next >= w->now);
}

/* As a daemon would: sleep until the time that tick() names. */
static void run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;
	int same = 0;

	while (w->now < end) {
		uint64_t next = wm_rules__tick(w->rules, w->now);

		same = next == w->now ? same + 1 : 0;
		assert_true(same < 100); /* a daemon would not sleep any more */
		w->now = next < end ? next : end;
	}
	tick(w);
}

static struct wm_rules_stats stats(const struct world *w)
{
	struct wm_rules_stats s;

	wm_rules__stats(w->rules, &s);
	return s;
}

/* -1: no such rule. */
static int state_of(const struct world *w, uint32_t n)
{
	struct wm_flow flow = flow_of(n);
	struct wm_rule_view view;

	return wm_rules__find(w->rules, &flow, &view) ? (int)view.state : -1;
}

static void traffic(struct world *w, uint32_t from, uint32_t to)
{
	for (uint32_t n = from; n < to; n++) {
		if (!w->nic.slot[n].in)
			continue;
		w->nic.slot[n].packets += 10;
		w->nic.slot[n].bytes += 1000;
		w->nic.slot[n].used = w->now;
	}
}

/* Long enough for `n` readings, with packets for some flows in each. */
static void readings(struct world *w, int n, uint32_t busy_from, uint32_t busy_to)
{
	while (n--) {
		traffic(w, busy_from, busy_to);
		run(w, w->options.idle_ns / 4);
	}
}

static bool in_nic(const struct world *w, uint32_t n, uint32_t mark)
{
	return w->nic.slot[n].in && w->nic.slot[n].mark == mark;
}

/* --- promotion --- */

static void test_install(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	assert_int_equal(state_of(w, 1), WM_RULE_CANDIDATE);
	assert_int_equal(w->nic.asked, 0);
	tick(w);
	assert_int_equal(state_of(w, 1), WM_RULE_ACTIVE);
	assert_true(in_nic(w, 1, 7));
	assert_int_equal(w->active[1], 1);
	assert_int_equal(w->gone[1], 0);
	assert_int_equal(stats(w).candidates, 1);
	assert_int_equal(stats(w).installed, 1);
	assert_int_equal(stats(w).state[WM_RULE_ACTIVE], 1);
}

static void test_budget(void **state)
{
	struct world *w = *state;

	w->options.installs_per_second = 100;
	restart(w);
	offer_range(w, 0, 50, 1);
	tick(w);
	assert_int_equal(w->nic.asked, 10); /* a tenth of a second's worth at once */
	tick(w);
	assert_int_equal(w->nic.asked, 10);
	run(w, 200 * MS);
	assert_int_equal(w->nic.asked, 30);
	run(w, 200 * MS);
	assert_int_equal(w->nic.asked, 50);
	run(w, 60 * SECOND); /* what is not used does not add up */
	offer_range(w, 100, 150, 1);
	tick(w);
	assert_int_equal(w->nic.asked, 60);
}

static void test_batches(void **state)
{
	struct world *w = *state;

	offer_range(w, 0, 1000, 1);
	tick(w);
	assert_int_equal(w->nic.n, 1000);
	assert_true(w->nic.calls < 10);
}

static void test_queue_is_bounded(void **state)
{
	struct world *w = *state;
	int told = 0;

	w->options.installs_per_second = 10;
	restart(w);
	offer_range(w, 0, 100, 1);
	assert_int_equal(stats(w).state[WM_RULE_CANDIDATE], 40);
	assert_int_equal(stats(w).held, 60);
	for (int n = 0; n < 100; n++)
		told += w->gone[n];
	assert_int_equal(told, 60);
}

static void test_oldest_first(void **state)
{
	struct world *w = *state;

	w->options.installs_per_second = 10;
	restart(w);
	offer(w, 5, 1);
	offer(w, 3, 1);
	tick(w);
	assert_int_equal(state_of(w, 5), WM_RULE_ACTIVE);
	assert_int_equal(state_of(w, 3), WM_RULE_CANDIDATE);
	run(w, 100 * MS);
	assert_int_equal(state_of(w, 3), WM_RULE_ACTIVE);
}

static void test_mark_must_fit(void **state)
{
	struct world *w = *state;

	offer(w, 1, 0x10000);
	offer(w, 2, 0);
	tick(w);
	assert_int_equal(w->nic.asked, 0);
	assert_int_equal(stats(w).refused, 2);
	assert_int_equal(w->gone[1] + w->gone[2], 2);
}

static void test_no_backend(void **state)
{
	struct wm_rules_options options = { 10, 10, SECOND };
	struct wm_rules *rules = wm_rules__new(&wm_offload_none, NULL, &options, NULL);
	struct wm_flow flow = flow_of(1);
	struct wm_rules_stats s;

	(void)state;
	wm_rules__offer(rules, &flow, 1, T0);
	assert_true(wm_rules__tick(rules, T0) > T0);
	wm_rules__stats(rules, &s);
	assert_int_equal(s.held, 1);
	assert_int_equal(s.installed + s.refused, 0);
	wm_rules__free(rules);
}

/* --- duplicates and replacement --- */

static void test_duplicate_offers(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	offer(w, 1, 7);
	tick(w);
	assert_int_equal(w->nic.asked, 1);
	offer(w, 1, 7);
	offer(w, 1, 7);
	tick(w);
	assert_int_equal(w->nic.asked, 1);
	assert_int_equal(stats(w).candidates, 1);
}

static void test_lost_install_is_noticed(void **state)
{
	struct world *w = *state;

	w->nic.lose_installs = true;
	offer(w, 1, 7);
	tick(w);
	w->nic.lose_installs = false;
	assert_int_equal(state_of(w, 1), WM_RULE_ACTIVE);
	for (int i = 0; i < 3; i++) {
		assert_false(in_nic(w, 1, 7));
		offer(w, 1, 7);
		tick(w);
	}
	assert_true(in_nic(w, 1, 7));
	assert_int_equal(w->active[1], 1);
	assert_int_equal(w->gone[1], 0);
}

static void test_lost_rule_is_forgotten(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	tick(w);
	nic_drop(&w->nic, 1);
	readings(w, 1, 0, 0);
	assert_int_equal(w->gone[1], 0); /* one list may be wrong */
	readings(w, 2, 0, 0);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(state_of(w, 1), -1);
	assert_int_equal(stats(w).ended[WM_END_STALE], 1);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_candidate_changes_mark(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	offer(w, 1, 8);
	tick(w);
	assert_true(in_nic(w, 1, 8));
	assert_int_equal(w->nic.asked, 1);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_replacement(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	tick(w);
	offer(w, 1, 8);
	assert_true(in_nic(w, 1, 7)); /* until the new one is there */
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	tick(w);
	assert_true(in_nic(w, 1, 8));
	assert_int_equal(w->nic.removals, 0);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	assert_int_equal(w->gone[1], 0);
	assert_int_equal(w->active[1], 1);
}

static void test_late_replacement(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	tick(w);
	w->nic.late = true;
	offer(w, 1, 8);
	tick(w);
	assert_int_equal(state_of(w, 1), WM_RULE_INSTALLING);
	assert_true(wm_rules__mark_in_use(w->rules, 7)); /* which of the two, only the NIC knows */
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	w->nic.late = false;
	tick(w);
	assert_true(in_nic(w, 1, 8));
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_refused_replacement(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	tick(w);
	w->nic.install_error = -EIO;
	offer(w, 1, 8);
	run(w, MS);
	assert_false(w->nic.slot[1].in); /* better no mark than the wrong one */
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(stats(w).ended[WM_END_STALE], 1);
}

static void test_replacement_of_late_install(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	offer(w, 1, 7);
	tick(w);
	offer(w, 1, 8);
	w->nic.late = false;
	run(w, 10 * MS);
	assert_false(w->nic.slot[1].in);
	assert_int_equal(w->gone[1], 1);
}

/* --- full --- */

static void test_full_evicts_idle(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	restart(w);
	offer_range(w, 0, 4, 1);
	readings(w, 3, 0, 3);
	assert_int_equal(w->nic.n, 4);
	offer(w, 4, 1);
	tick(w);
	assert_true(in_nic(w, 4, 1));
	assert_false(w->nic.slot[3].in);
	assert_int_equal(w->nic.most, 4);
	assert_int_equal(w->gone[3], 1);
	assert_int_equal(stats(w).ended[WM_END_EVICTED], 1);
}

static void test_full_holds_when_busy(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	restart(w);
	offer_range(w, 0, 4, 1);
	readings(w, 3, 0, 4);
	offer(w, 4, 1);
	tick(w);
	assert_int_equal(state_of(w, 4), -1);
	assert_int_equal(w->gone[4], 1);
	assert_int_equal(stats(w).held, 1);
	assert_int_equal(stats(w).full, 1);
	assert_int_equal(stats(w).ended[WM_END_EVICTED], 0);
}

static void test_new_rules_are_not_evicted(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	restart(w);
	offer_range(w, 0, 4, 1);
	tick(w);
	offer(w, 4, 1); /* nothing is known yet of the four */
	tick(w);
	assert_int_equal(w->gone[4], 1);
	assert_int_equal(w->nic.n, 4);
}

static void test_longest_idle_goes_first(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	w->options.idle_ns = 40 * SECOND;
	restart(w);
	offer_range(w, 0, 4, 1);
	readings(w, 2, 0, 4);
	readings(w, 1, 0, 2); /* 2 and 3 fall idle first */
	readings(w, 1, 0, 0);
	offer(w, 4, 1);
	offer(w, 5, 1);
	tick(w);
	assert_false(w->nic.slot[2].in || w->nic.slot[3].in);
	assert_true(w->nic.slot[0].in && w->nic.slot[1].in);
}

static void test_busy_again_is_safe(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 2;
	w->options.idle_ns = 40 * SECOND;
	restart(w);
	offer_range(w, 0, 2, 1);
	readings(w, 3, 0, 1); /* 1 is idle */
	readings(w, 1, 0, 2); /* and is not any more */
	offer(w, 2, 1);
	tick(w);
	assert_int_equal(w->gone[2], 1);
	assert_true(w->nic.slot[1].in);
}

static void test_nic_says_full(void **state)
{
	struct world *w = *state;

	w->nic.full_at = 4;
	offer_range(w, 0, 6, 1);
	tick(w);
	assert_int_equal(w->nic.n, 4);
	assert_int_equal(stats(w).full, 2);
	assert_int_equal(stats(w).refused, 0);
	assert_false(stats(w).backing_off);
	assert_int_equal(w->gone[4] + w->gone[5], 2);
	readings(w, 3, 0, 3); /* 3 is idle */
	offer(w, 7, 1);
	run(w, MS);
	assert_true(in_nic(w, 7, 1));
	assert_false(w->nic.slot[3].in);
}

/* Having said "full" once, the NIC is not asked in vain for each candidate. */
static void test_full_is_remembered(void **state)
{
	struct world *w = *state;
	uint32_t asked;

	w->nic.full_at = 4;
	offer_range(w, 0, 5, 1);
	tick(w);
	asked = w->nic.asked;
	offer_range(w, 10, 20, 1);
	tick(w);
	assert_int_equal(w->nic.asked, asked);
	w->nic.full_at = 100;
	readings(w, 1, 0, 4);
	offer_range(w, 20, 30, 1);
	tick(w);
	assert_int_equal(w->nic.n, 14);
}

static void test_capacity_bounds_max_rules(void **state)
{
	struct world *w = *state;

	w->nic.caps.capacity = 3;
	restart(w);
	assert_int_equal(stats(w).max_rules, 3);
	offer_range(w, 0, 5, 1);
	tick(w);
	assert_int_equal(w->nic.asked, 3);
}

static void test_configure_fewer_rules(void **state)
{
	struct world *w = *state;

	w->options.idle_ns = 400 * SECOND;
	restart(w);
	offer_range(w, 0, 10, 1);
	readings(w, 3, 0, 5); /* 5..9 idle */
	w->options.max_rules = 4;
	wm_rules__configure(w->rules, &w->options);
	tick(w);
	assert_int_equal(w->nic.n, 4);
	for (uint32_t n = 5; n < 10; n++)
		assert_false(w->nic.slot[n].in);
	assert_int_equal(stats(w).ended[WM_END_EVICTED], 6);
}

/* --- refusals --- */

static void test_backoff(void **state)
{
	struct world *w = *state;
	uint64_t wait = 10 * MS;
	uint32_t n = 0;

	w->nic.install_error = -EIO;
	offer(w, n++, 1);
	tick(w);
	assert_int_equal(w->gone[0], 1);
	for (int i = 0; i < 12; i++) {
		assert_true(stats(w).backing_off);
		w->now += wait - 1;
		offer(w, n++, 1);
		tick(w);
		assert_int_equal(w->nic.asked, i + 1);
		w->now++;
		offer(w, n++, 1);
		tick(w);
		assert_int_equal(w->nic.asked, i + 2);
		wait = wait * 2 < 5 * SECOND ? wait * 2 : 5 * SECOND;
	}
	assert_int_equal(stats(w).refused, 13);
	assert_int_equal(stats(w).held, 12);
	w->nic.install_error = 0;
	w->now += wait;
	offer_range(w, 100, 200, 1);
	tick(w);
	assert_int_equal(w->nic.n, 100);
	assert_false(stats(w).backing_off);
}

/* A queue full of candidates is not thrown at a NIC that refuses. */
static void test_backoff_keeps_queue(void **state)
{
	struct world *w = *state;

	w->options.installs_per_second = 10;
	restart(w);
	offer_range(w, 0, 20, 1);
	w->nic.install_error = -EIO;
	run(w, 2 * SECOND);
	assert_true(w->nic.asked < 10); /* 10, 20, ... 1280 ms */
	w->nic.install_error = 0;
	run(w, 10 * SECOND);
	assert_int_equal(stats(w).installed + stats(w).refused, 20);
}

static void test_some_refused(void **state)
{
	struct world *w = *state;

	w->nic.install_error = -EIO;
	w->nic.error_every = 3;
	offer_range(w, 0, 30, 1);
	tick(w);
	assert_int_equal(w->nic.n, 20);
	assert_int_equal(stats(w).refused, 10);
	assert_false(stats(w).backing_off);
}

static void test_refused_flow_waits(void **state)
{
	struct world *w = *state;

	w->nic.install_error = -EIO;
	w->nic.error_every = 2;
	offer_range(w, 0, 2, 1);
	tick(w); /* 1 is refused */
	w->nic.install_error = 0;
	w->now += 1 * SECOND;
	offer(w, 1, 1);
	offer(w, 2, 1);
	tick(w);
	assert_int_equal(state_of(w, 1), -1);
	assert_int_equal(state_of(w, 2), WM_RULE_ACTIVE);
	assert_int_equal(w->gone[1], 2);
	w->now += 5 * SECOND;
	offer(w, 1, 1);
	tick(w);
	assert_int_equal(state_of(w, 1), WM_RULE_ACTIVE);
}

/* --- answers that come later --- */

static void test_late_install(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	offer(w, 1, 7);
	run(w, 50 * MS);
	assert_int_equal(state_of(w, 1), WM_RULE_INSTALLING);
	assert_int_equal(w->active[1], 0);
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	w->nic.late = false;
	run(w, 3 * MS);
	assert_int_equal(state_of(w, 1), WM_RULE_ACTIVE);
	assert_int_equal(w->active[1], 1);
}

static void test_close_of_late_install(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	offer(w, 1, 7);
	tick(w);
	close_flow(w, 1);
	run(w, 50 * MS);
	assert_int_equal(state_of(w, 1), WM_RULE_INSTALLING);
	assert_int_equal(w->nic.removals, 0);
	w->nic.late = false;
	run(w, 3 * MS);
	assert_int_equal(w->nic.removals, 1);
	assert_false(w->nic.slot[1].in);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(stats(w).ended[WM_END_CLOSED], 1);
}

static void test_late_refusal(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	offer(w, 1, 7);
	tick(w);
	w->nic.late = false;
	w->nic.install_error = -EIO;
	w->now += MS;
	tick(w);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(stats(w).refused, 1);
	assert_true(stats(w).backing_off);
}

static void test_no_answer(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	offer(w, 1, 7);
	run(w, 6 * SECOND);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(w->nic.removals, 1); /* who knows */
	assert_int_equal(stats(w).refused, 1);
	assert_int_equal(stats(w).state[WM_RULE_INSTALLING], 0);
}

static void test_answer_after_giving_up(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	offer(w, 1, 7);
	run(w, 6 * SECOND);
	w->nic.late = false;
	offer(w, 2, 7);
	w->nic.late = true; /* so that there is something to poll for */
	tick(w);
	w->nic.late = false;
	run(w, 10 * MS);
	assert_false(state_of(w, 1) == WM_RULE_ACTIVE);
	readings(w, 2, 0, FLOWS);
	assert_false(w->nic.slot[1].in); /* nobody owns it: the reading has it deleted */
}

static void test_close_before_install(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	close_flow(w, 1);
	tick(w);
	assert_int_equal(w->nic.asked, 0);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(state_of(w, 1), -1);
	close_flow(w, 2); /* of nothing */
}

/* --- the end of rules --- */

static void test_close(void **state)
{
	struct world *w = *state;

	offer_range(w, 0, 10, 7);
	tick(w);
	close_flow(w, 3);
	tick(w);
	assert_false(w->nic.slot[3].in);
	assert_int_equal(w->nic.n, 9);
	assert_int_equal(w->gone[3], 1);
	assert_int_equal(stats(w).ended[WM_END_CLOSED], 1);
}

static void test_idle(void **state)
{
	struct world *w = *state;

	offer_range(w, 0, 2, 7);
	readings(w, 3, 0, 2);
	assert_true(w->used[0] >= 2);
	assert_int_equal(w->used[0], w->used[1]);
	for (int i = 0; i < 6; i++)
		readings(w, 1, 0, 1); /* only flow 0 goes on */
	assert_true(w->nic.slot[0].in);
	assert_false(w->nic.slot[1].in);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(stats(w).ended[WM_END_IDLE], 1);
}

static void test_idle_time_is_kept(void **state)
{
	struct world *w = *state;

	offer(w, 0, 7);
	readings(w, 2, 0, 1);
	run(w, w->options.idle_ns - 2 * SECOND);
	assert_true(w->nic.slot[0].in);
	run(w, 4 * SECOND);
	assert_false(w->nic.slot[0].in);
}

/* A NIC without counters: nobody knows, so the flow has to prove itself again. */
static void test_lifetime_without_counters(void **state)
{
	struct world *w = *state;

	w->nic.caps.stats = false;
	restart(w);
	offer(w, 0, 7);
	readings(w, 3, 0, 1);
	assert_true(w->nic.slot[0].in);
	readings(w, 3, 0, 1);
	assert_false(w->nic.slot[0].in);
	assert_int_equal(w->gone[0], 1);
}

static void test_broken_list_ends_nothing(void **state)
{
	struct world *w = *state;

	offer(w, FLOWS - 1, 7); /* behind the error */
	tick(w);
	w->nic.list_error = -EIO;
	readings(w, 20, 0, FLOWS);
	assert_true(in_nic(w, FLOWS - 1, 7));
	assert_int_equal(w->gone[FLOWS - 1], 0);
}

static void test_totals_survive(void **state)
{
	struct world *w = *state;

	offer_range(w, 0, 3, 7);
	readings(w, 5, 0, 3);
	close_flow(w, 0);
	offer(w, 1, 8); /* replaced: its counters start again */
	tick(w);
	readings(w, 2, 0, 3);
	assert_int_equal(stats(w).packets, 10 * (4 * 3 + 3 * 2 - 2));
	assert_int_equal(stats(w).bytes, 100 * stats(w).packets);
}

static void test_failed_removal(void **state)
{
	struct world *w = *state;

	w->options.idle_ns = 1000 * SECOND; /* no readings */
	restart(w);
	offer(w, 1, 7);
	tick(w);
	w->nic.remove_error = -EIO;
	close_flow(w, 1);
	tick(w);
	assert_int_equal(state_of(w, 1), WM_RULE_DELETING);
	assert_int_equal(stats(w).failed_removals, 1);
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	run(w, 10 * SECOND);
	assert_in_range(w->nic.removals, 5, 15); /* 10, 20, 40 ms ... */
	assert_int_equal(stats(w).failed_removals, w->nic.removals);
	assert_int_equal(w->gone[1], 0);
	w->nic.remove_error = 0;
	run(w, 6 * SECOND);
	assert_int_equal(state_of(w, 1), -1);
	assert_int_equal(w->gone[1], 1);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_offer_while_deleting(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	tick(w);
	w->nic.remove_error = -EIO;
	close_flow(w, 1);
	tick(w);
	offer(w, 1, 8);
	assert_int_equal(state_of(w, 1), WM_RULE_DELETING);
	assert_int_equal(stats(w).held, 1);
	w->nic.remove_error = 0;
	run(w, SECOND);
	assert_int_equal(w->gone[1], 1); /* now it may come again */
	offer(w, 1, 8);
	tick(w);
	assert_true(in_nic(w, 1, 8));
}

static void test_lost_removal_is_noticed(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	tick(w);
	w->nic.lose_removals = true;
	close_flow(w, 1);
	tick(w);
	assert_true(w->nic.slot[1].in);
	w->nic.lose_removals = false;
	readings(w, 2, 0, 0);
	assert_false(w->nic.slot[1].in);
}

/* --- marks --- */

static void test_retire_mark(void **state)
{
	struct world *w = *state;

	offer_range(w, 0, 10, 7);
	offer_range(w, 10, 20, 8);
	tick(w);
	w->nic.late = true;
	offer(w, 20, 7); /* in progress */
	tick(w);
	offer(w, 21, 7); /* candidate */
	offer(w, 10, 7); /* to be replaced by 7 */
	offer(w, 0, 9);  /* 7 to be replaced by another */
	wm_rules__retire_mark(w->rules, 7, w->now);
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	tick(w);
	assert_true(wm_rules__mark_in_use(w->rules, 7)); /* 20 is not answered yet */
	w->nic.late = false;
	run(w, 10 * MS);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
	for (uint32_t n = 0; n < 22; n++)
		assert_int_equal(w->nic.slot[n].in, n > 10 && n < 20);
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	assert_int_equal(stats(w).ended[WM_END_DEST_GONE], 12);
}

static void test_candidate_is_no_use_of_mark(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
	offer(w, 2, 8);
	wm_rules__retire_mark(w->rules, 8, w->now);
	tick(w);
	assert_int_equal(state_of(w, 2), -1);
	assert_int_equal(w->gone[2], 1);
}

static void test_many_marks(void **state)
{
	struct world *w = *state;

	for (uint32_t n = 0; n < 1000; n++)
		offer(w, n, 1 + n / 2 * 13);
	tick(w);
	for (uint32_t n = 0; n < 1000; n += 2) {
		uint32_t mark = 1 + n / 2 * 13;

		assert_int_equal(w->nic.n, 1000 - n);
		wm_rules__retire_mark(w->rules, mark, w->now);
		tick(w);
		assert_false(wm_rules__mark_in_use(w->rules, mark));
		assert_false(w->nic.slot[n].in || w->nic.slot[n + 1].in);
	}
}

static void test_retire_all(void **state)
{
	struct world *w = *state;

	offer_range(w, 0, 100, 7);
	tick(w);
	w->nic.late = true;
	offer_range(w, 100, 110, 7);
	tick(w);
	offer_range(w, 110, 120, 7);
	wm_rules__retire_all(w->rules, w->now);
	offer(w, 200, 7);
	w->nic.late = false;
	run(w, 10 * MS);
	assert_int_equal(w->nic.n, 0);
	for (int i = 0; i < WM_RULE_STATES; i++)
		assert_int_equal(stats(w).state[i], 0);
	for (int n = 0; n < 120; n++)
		assert_int_equal(w->gone[n], 1);
	assert_int_equal(w->gone[200], 1);
	wm_rules__configure(w->rules, &w->options);
	offer(w, 200, 7);
	tick(w);
	assert_int_equal(w->nic.n, 1);
}

/* --- reconciliation --- */

static bool is_seven(void *arg, const struct wm_rule *rule)
{
	(void)arg;
	return rule->mark == 7;
}

static void put_by_hand(struct world *w, uint32_t n, uint32_t mark)
{
	struct wm_rule rule = { flow_of(n), mark };

	assert_int_equal(nic_put(&w->nic, &rule), 0);
}

static void test_reconcile(void **state)
{
	struct world *w = *state;

	for (uint32_t n = 0; n < 10; n++)
		put_by_hand(w, n, n < 6 ? 7 : n < 9 ? 8 : 0);
	traffic(w, 0, 10);
	assert_int_equal(wm_rules__reconcile(w->rules, is_seven, NULL, w->now), 0);
	assert_int_equal(stats(w).state[WM_RULE_ACTIVE], 6);
	assert_int_equal(stats(w).state[WM_RULE_DELETING], 4);
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	tick(w);
	assert_int_equal(w->nic.n, 6);
	assert_int_equal(w->active[0], 1);
	assert_int_equal(w->active[6], 0);
	assert_int_equal(stats(w).ended[WM_END_STALE], 4);
	assert_false(wm_rules__mark_in_use(w->rules, 8));
	assert_int_equal(w->nic.asked, 0); /* taken over, not installed anew */
	readings(w, 6, 0, 3);
	assert_int_equal(w->nic.n, 3); /* they age like others */
}

static void test_reconcile_too_many(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	restart(w);
	for (uint32_t n = 0; n < 10; n++)
		put_by_hand(w, n, 7);
	assert_int_equal(wm_rules__reconcile(w->rules, is_seven, NULL, w->now), 0);
	tick(w);
	assert_int_equal(w->nic.n, 4);
}

static void test_reconcile_failure(void **state)
{
	struct world *w = *state;

	w->nic.list_error = -EIO;
	assert_int_equal(wm_rules__reconcile(w->rules, is_seven, NULL, w->now), -EIO);
}

static void test_unknown_rule_is_deleted(void **state)
{
	struct world *w = *state;

	tick(w);
	put_by_hand(w, 5, 9);
	run(w, 2 * SECOND);
	assert_false(w->nic.slot[5].in);
	assert_int_equal(stats(w).ended[WM_END_STALE], 1);
}

static void test_wrong_mark_is_corrected(void **state)
{
	struct world *w = *state;

	offer(w, 1, 7);
	tick(w);
	w->nic.slot[1].mark = 9;
	run(w, 2 * SECOND);
	assert_true(in_nic(w, 1, 7));
	assert_false(wm_rules__mark_in_use(w->rules, 9));
}

/* --- views --- */

static bool count_two(void *arg, const struct wm_rule_view *view)
{
	assert_int_equal(view->state, WM_RULE_ACTIVE);
	assert_int_equal(view->rule.mark, 7);
	return ++*(int *)arg < 2;
}

static void test_views(void **state)
{
	struct world *w = *state;
	struct wm_flow flow = flow_of(1);
	struct wm_rule_view view;
	int seen = 0;

	offer_range(w, 0, 5, 7);
	tick(w);
	readings(w, 2, 0, 5);
	assert_true(wm_rules__find(w->rules, &flow, &view));
	assert_memory_equal(&view.rule.flow, &flow, sizeof(flow));
	assert_true(view.stats.packets >= 10);
	assert_int_equal(view.since, T0);
	wm_rules__each(w->rules, count_two, &seen);
	assert_int_equal(seen, 2);
	assert_string_equal(wm_rule_state__name(WM_RULE_DELETING), "deleting");
	assert_string_equal(wm_rule_end__name(WM_END_DEST_GONE), "dest-gone");
}

/* --- a million random operations --- */

enum { RANDOM_FLOWS = 600, RANDOM_MARKS = 20, RANDOM_RULES = 200, RANDOM_RATE = 2000 };

struct random {
	struct world *w;
	uint64_t seed;
	bool faults_that_lose;
	uint64_t began, tokens_from;
	bool offered[FLOWS]; /* and not yet gone */
};

static uint32_t draw(struct random *r, uint32_t below)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return (r->seed >> 20) % below;
}

static void random_gone(void *arg, const struct wm_flow *flow)
{
	struct random *r = arg;

	if (!r->faults_that_lose)
		assert_true(r->offered[number(flow)]);
	r->offered[number(flow)] = false;
}

static void random_faults(struct random *r)
{
	struct wm_offload *nic = &r->w->nic;

	nic->install_error = draw(r, 4) ? 0 : -EIO;
	nic->error_every = draw(r, 2) ? 0 : 1 + draw(r, 5);
	nic->remove_error = draw(r, 4) ? 0 : -EBUSY;
	nic->list_error = draw(r, 6) ? 0 : -EINTR;
	nic->late = !draw(r, 4);
	nic->full_at = draw(r, 3) ? 0 : nic->n + draw(r, 20);
	if (r->faults_that_lose) {
		nic->lose_installs = !draw(r, 4);
		nic->lose_removals = !draw(r, 4);
		if (!draw(r, 10))
			nic_drop(nic, draw(r, RANDOM_FLOWS));
	}
}

static void random_step(struct random *r)
{
	struct world *w = r->w;
	uint32_t n = draw(r, RANDOM_FLOWS), what = draw(r, 1000);

	if (what < 500) {
		r->offered[n] = true;
		offer(w, n, 1 + draw(r, 10) * (n % 2) + n % 10);
	} else if (what < 700) {
		close_flow(w, n);
	} else if (what < 800) {
		traffic(w, n, n + 20);
	} else if (what < 997) {
		w->now += draw(r, 4 * MS);
		tick(w);
	} else if (what < 998) {
		wm_rules__retire_mark(w->rules, 1 + draw(r, RANDOM_MARKS), w->now);
	} else {
		random_faults(r);
	}
}

/* The NIC's content is what the rules' states say. */
static void check_flow(struct random *r, uint32_t n)
{
	const struct slot *slot = &r->w->nic.slot[n];
	struct wm_flow flow = flow_of(n);
	struct wm_rule_view view;
	bool known = wm_rules__find(r->w->rules, &flow, &view);

	assert_int_equal(known, r->offered[n]);
	if (slot->in) {
		assert_true(known && view.state != WM_RULE_CANDIDATE);
		assert_true(wm_rules__mark_in_use(r->w->rules, slot->mark));
	}
	if (known && view.state == WM_RULE_ACTIVE) {
		assert_true(slot->in);
		assert_int_equal(slot->mark, view.rule.mark);
	}
}

static void check_all(struct random *r)
{
	const struct world *w = r->w;
	uint64_t passed = w->now - r->began, allowed;
	struct wm_rules_stats s = stats(w);

	allowed = passed * RANDOM_RATE / SECOND + 1 + RANDOM_RATE / 10;
	assert_true(w->nic.asked <= allowed);
	assert_true(w->nic.most <= RANDOM_RULES);
	assert_true(s.state[WM_RULE_CANDIDATE] <= 4 * RANDOM_RATE);
	assert_true(w->nic.n <= s.state[WM_RULE_ACTIVE] + s.state[WM_RULE_INSTALLING] +
		    s.state[WM_RULE_DELETING]);
	for (uint32_t n = 0; n < RANDOM_FLOWS; n++)
		check_flow(r, n);
}

static void heal(struct world *w)
{
	w->nic.install_error = w->nic.remove_error = w->nic.list_error = 0;
	w->nic.full_at = 0;
	w->nic.late = w->nic.lose_installs = w->nic.lose_removals = false;
}

static void start_random(struct random *r)
{
	struct wm_rules_hooks hooks = { .gone = random_gone, .arg = r };
	struct world *w = r->w;

	wm_rules__free(w->rules);
	w->options = (struct wm_rules_options){ RANDOM_RULES, RANDOM_RATE, 2 * SECOND };
	w->rules = wm_rules__new(&nic_ops, &w->nic, &w->options, &hooks);
	assert_non_null(w->rules);
	r->began = w->now;
}

static void end_random(struct random *r)
{
	struct world *w = r->w;
	struct wm_rules_stats s;

	heal(w);
	run(w, 20 * SECOND);
	s = stats(w); /* all of it has happened */
	assert_true(s.installed > 1000 && s.refused > 100 && s.full > 100 && s.held > 100);
	assert_true(s.failed_removals > 100 && s.packets > 1000);
	for (int end = 0; end < WM_ENDS; end++)
		assert_true(s.ended[end] > 10);
	wm_rules__retire_all(w->rules, w->now);
	run(w, 20 * SECOND);
	assert_int_equal(w->nic.n, 0);
	s = stats(w);
	for (int i = 0; i < WM_RULE_STATES; i++)
		assert_int_equal(s.state[i], 0);
	for (int n = 0; n < RANDOM_FLOWS; n++)
		assert_false(r->offered[n]);
}

static void test_random(void **state)
{
	struct random r = { .w = *state, .seed = 0x9e3779b97f4a7c15 };

	start_random(&r);
	for (int i = 0; i < 1000000; i++) {
		random_step(&r);
		if (i % 500 == 0)
			check_all(&r);
	}
	end_random(&r);
}

/* A NIC that loses rules and removals: afterwards everything is as it should be. */
static void test_random_with_losses(void **state)
{
	struct random r = { .w = *state, .seed = 4711, .faults_that_lose = true };

	start_random(&r);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 10000; i++)
			random_step(&r);
		heal(r.w);
		readings(r.w, 8, 0, RANDOM_FLOWS);
		for (uint32_t n = 0; n < RANDOM_FLOWS; n++)
			check_flow(&r, n);
	}
	end_random(&r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_install),
		T(test_budget),
		T(test_batches),
		T(test_queue_is_bounded),
		T(test_oldest_first),
		T(test_mark_must_fit),
		T(test_no_backend),
		T(test_duplicate_offers),
		T(test_lost_install_is_noticed),
		T(test_lost_rule_is_forgotten),
		T(test_candidate_changes_mark),
		T(test_replacement),
		T(test_late_replacement),
		T(test_refused_replacement),
		T(test_replacement_of_late_install),
		T(test_full_evicts_idle),
		T(test_full_holds_when_busy),
		T(test_new_rules_are_not_evicted),
		T(test_longest_idle_goes_first),
		T(test_busy_again_is_safe),
		T(test_nic_says_full),
		T(test_full_is_remembered),
		T(test_capacity_bounds_max_rules),
		T(test_configure_fewer_rules),
		T(test_backoff),
		T(test_backoff_keeps_queue),
		T(test_some_refused),
		T(test_refused_flow_waits),
		T(test_late_install),
		T(test_close_of_late_install),
		T(test_late_refusal),
		T(test_no_answer),
		T(test_answer_after_giving_up),
		T(test_close_before_install),
		T(test_close),
		T(test_idle),
		T(test_idle_time_is_kept),
		T(test_lifetime_without_counters),
		T(test_broken_list_ends_nothing),
		T(test_totals_survive),
		T(test_failed_removal),
		T(test_offer_while_deleting),
		T(test_lost_removal_is_noticed),
		T(test_retire_mark),
		T(test_candidate_is_no_use_of_mark),
		T(test_many_marks),
		T(test_retire_all),
		T(test_reconcile),
		T(test_reconcile_too_many),
		T(test_reconcile_failure),
		T(test_unknown_rule_is_deleted),
		T(test_wrong_mark_is_corrected),
		T(test_views),
		T(test_random),
		T(test_random_with_losses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
