// SPDX-License-Identifier: GPL-2.0
/*
 * The life of rules (user/offload/rules.c), case by case, against a NIC that
 * obeys the test (fake_nic.h). Time is a variable; nothing here waits.
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

#include "fake_nic.h"

#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

/* --- promotion --- */

static void test_install(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	assert_int_equal(world_state_of(w, 1), WM_RULE_CANDIDATE);
	assert_int_equal(w->nic.asked, 0);
	world_tick(w);
	assert_int_equal(world_state_of(w, 1), WM_RULE_ACTIVE);
	assert_true(world_in_nic(w, 1, 7));
	assert_int_equal(w->active[1], 1);
	assert_int_equal(w->gone[1], 0);
	assert_int_equal(world_stats(w).candidates, 1);
	assert_int_equal(world_stats(w).installed, 1);
	assert_int_equal(world_stats(w).state[WM_RULE_ACTIVE], 1);
}

static void test_budget(void **state)
{
	struct world *w = *state;

	w->options.installs_per_second = 100;
	world_restart(w);
	world_offer_range(w, 0, 50, 1);
	world_tick(w);
	assert_int_equal(w->nic.asked, 10); /* a tenth of a second's worth at once */
	world_tick(w);
	assert_int_equal(w->nic.asked, 10);
	world_run(w, 200 * MS);
	assert_int_equal(w->nic.asked, 30);
	world_run(w, 200 * MS);
	assert_int_equal(w->nic.asked, 50);
	world_run(w, 60 * SECOND); /* what is not used does not add up */
	world_offer_range(w, 100, 150, 1);
	world_tick(w);
	assert_int_equal(w->nic.asked, 60);
}

/* An offer waited, and meanwhile its flow went another way. */
static void test_outdated_offer(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 10, 1);
	for (int n = 0; n < 10; n += 2)
		w->outdated[n] = true;
	world_tick(w);
	assert_int_equal(w->nic.asked, 5);
	for (int n = 0; n < 10; n++) {
		assert_true(world_in_nic(w, n, 1) == n % 2);
		assert_int_equal(w->gone[n], !(n % 2));
	}
	/* The same when a rule is to be replaced: then the old one goes too. */
	world_offer(w, 3, 2);
	w->outdated[3] = true;
	world_run(w, SECOND);
	assert_int_equal(world_state_of(w, 3), -1);
	assert_false(w->nic.slot[3].in);
	assert_int_equal(w->gone[3], 1);
}

static void test_outdated_rule(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 10, 1);
	world_tick(w);
	w->outdated[4] = true;
	world_readings(w, 2, 0, 10);
	for (int n = 0; n < 10; n++)
		assert_true(world_in_nic(w, n, 1) == (n != 4));
	assert_int_equal(w->gone[4], 1);
	assert_int_equal(world_stats(w).ended[WM_END_STALE], 1);
}

static void test_batches(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 1000, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 1000);
	assert_true(w->nic.calls < 10);
}

static void test_queue_is_bounded(void **state)
{
	struct world *w = *state;
	int told = 0;

	w->options.installs_per_second = 10;
	world_restart(w);
	world_offer_range(w, 0, 100, 1);
	assert_int_equal(world_stats(w).state[WM_RULE_CANDIDATE], 40);
	assert_int_equal(world_stats(w).held, 60);
	for (int n = 0; n < 100; n++)
		told += w->gone[n];
	assert_int_equal(told, 60);
}

static void test_oldest_first(void **state)
{
	struct world *w = *state;

	w->options.installs_per_second = 10;
	world_restart(w);
	world_offer(w, 5, 1);
	world_offer(w, 3, 1);
	world_tick(w);
	assert_int_equal(world_state_of(w, 5), WM_RULE_ACTIVE);
	assert_int_equal(world_state_of(w, 3), WM_RULE_CANDIDATE);
	world_run(w, 100 * MS);
	assert_int_equal(world_state_of(w, 3), WM_RULE_ACTIVE);
}

static void test_mark_must_fit(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 0x10000);
	world_offer(w, 2, 0);
	world_tick(w);
	assert_int_equal(w->nic.asked, 0);
	assert_int_equal(world_stats(w).refused, 2);
	assert_int_equal(w->gone[1] + w->gone[2], 2);
}

static void test_no_backend(void **state)
{
	struct wm_rules_options options = { 10, 10, SECOND, 0 };
	struct wm_rules *rules = wm_rules__new(&wm_offload_none, NULL, &options, NULL);
	struct wm_flow flow = nic_flow_of(1);
	struct wm_rules_stats s;

	(void)state;
	wm_rules__offer(rules, &flow, 1, T0);
	assert_true(wm_rules__tick(rules, T0) > T0);
	wm_rules__stats(rules, &s);
	assert_int_equal(s.held, 1);
	assert_int_equal(s.installed + s.refused, 0);
	wm_rules__free(rules);
}

static const struct CMUnitTest promotion[] = {
	T(test_install),
	T(test_budget),
	T(test_outdated_offer),
	T(test_outdated_rule),
	T(test_batches),
	T(test_queue_is_bounded),
	T(test_oldest_first),
	T(test_mark_must_fit),
	T(test_no_backend),
};

/* --- duplicates and replacement --- */

static void test_duplicate_offers(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_offer(w, 1, 7);
	world_tick(w);
	assert_int_equal(w->nic.asked, 1);
	world_offer(w, 1, 7);
	world_offer(w, 1, 7);
	world_tick(w);
	assert_int_equal(w->nic.asked, 1);
	assert_int_equal(world_stats(w).candidates, 1);
}

static void test_lost_install_is_noticed(void **state)
{
	struct world *w = *state;

	w->nic.lose_installs = true;
	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.lose_installs = false;
	assert_int_equal(world_state_of(w, 1), WM_RULE_ACTIVE);
	for (int i = 0; i < 3; i++) {
		assert_false(world_in_nic(w, 1, 7));
		world_offer(w, 1, 7);
		world_tick(w);
	}
	assert_true(world_in_nic(w, 1, 7));
	assert_int_equal(w->active[1], 1);
	assert_int_equal(w->gone[1], 0);
}

/* Packets that the NIC counted prove that the rule is there. */
static void test_used_rule_is_not_verified(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_readings(w, 2, 1, 2);
	world_offer(w, 1, 7);
	world_offer(w, 1, 7);
	world_readings(w, 1, 1, 2);
	world_offer(w, 1, 7);
	world_tick(w);
	assert_int_equal(w->nic.asked, 1);
}

static void test_rule_missing_now_and_then(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	for (int i = 0; i < 3; i++) {
		w->nic.slot[1].in = false;
		world_readings(w, 1, 0, 0);
		w->nic.slot[1].in = true;
		world_readings(w, 1, 1, 2);
	}
	assert_int_equal(world_state_of(w, 1), WM_RULE_ACTIVE);
	assert_int_equal(w->gone[1], 0);
}

static void test_lost_rule_is_forgotten(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	nic_drop(&w->nic, 1);
	world_readings(w, 1, 0, 0);
	assert_int_equal(w->gone[1], 0); /* one list may be wrong */
	world_readings(w, 2, 0, 0);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(world_state_of(w, 1), -1);
	assert_int_equal(world_stats(w).ended[WM_END_STALE], 1);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_candidate_changes_mark(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_offer(w, 1, 8);
	world_tick(w);
	assert_true(world_in_nic(w, 1, 8));
	assert_int_equal(w->nic.asked, 1);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_replacement(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	world_offer(w, 1, 8);
	assert_true(world_in_nic(w, 1, 7)); /* until the new one is there */
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	world_tick(w);
	assert_true(world_in_nic(w, 1, 8));
	assert_int_equal(w->nic.removals, 0);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	assert_int_equal(w->gone[1], 0);
	assert_int_equal(w->active[1], 1);
}

static void test_late_replacement(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.late = true;
	world_offer(w, 1, 8);
	world_tick(w);
	assert_int_equal(world_state_of(w, 1), WM_RULE_INSTALLING);
	assert_true(wm_rules__mark_in_use(w->rules, 7)); /* which of the two, only the NIC knows */
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	w->nic.late = false;
	world_tick(w);
	assert_true(world_in_nic(w, 1, 8));
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_refused_replacement(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.install_error = -EIO;
	world_offer(w, 1, 8);
	world_run(w, MS);
	assert_false(w->nic.slot[1].in); /* better no mark than the wrong one */
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(world_stats(w).ended[WM_END_STALE], 1);
}

static void test_replacement_of_late_install(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_tick(w);
	world_offer(w, 1, 8);
	w->nic.late = false;
	world_run(w, 10 * MS);
	assert_false(w->nic.slot[1].in);
	assert_int_equal(w->gone[1], 1);
}

static const struct CMUnitTest replacement[] = {
	T(test_duplicate_offers),
	T(test_lost_install_is_noticed),
	T(test_used_rule_is_not_verified),
	T(test_rule_missing_now_and_then),
	T(test_lost_rule_is_forgotten),
	T(test_candidate_changes_mark),
	T(test_replacement),
	T(test_late_replacement),
	T(test_refused_replacement),
	T(test_replacement_of_late_install),
};

/* --- full --- */

static void test_full_evicts_idle(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	world_restart(w);
	world_offer_range(w, 0, 4, 1);
	world_readings(w, 3, 0, 3);
	assert_int_equal(w->nic.n, 4);
	world_offer(w, 4, 1);
	world_tick(w);
	assert_true(world_in_nic(w, 4, 1));
	assert_false(w->nic.slot[3].in);
	assert_int_equal(w->nic.most, 4);
	assert_int_equal(w->gone[3], 1);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 1);
}

/* 32 rules with packets in every reading; those of `light` have 10, the others 1000. */
static void full_of_busy(struct world *w, uint32_t light_from, uint32_t light_to)
{
	w->options.max_rules = 32;
	world_restart(w);
	world_offer_range(w, 0, 32, 1);
	world_run(w, 2 * SECOND);
	for (int reading = 0; reading < 3; reading++) {
		for (int i = 0; i < 99; i++) {
			world_traffic(w, 0, light_from);
			world_traffic(w, light_to, 32);
		}
		world_readings(w, 1, 0, 32);
	}
	assert_int_equal(w->nic.n, 32);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 0); /* nobody wants in */
}

/* In the next reading those below `to` have 1010 packets, the others none; then 40 comes. */
static void a_heavy_reading_and_one_more(struct world *w, uint32_t to)
{
	for (int i = 0; i < 100; i++)
		world_traffic(w, 0, to);
	world_readings(w, 1, 0, to);
	world_offer(w, 40, 1);
	world_tick(w);
}

/* One in 16 from reading to reading, and then candidates are held again. */
static void test_the_lightest_of_a_full_table_yield(void **state)
{
	struct world *w = *state;

	full_of_busy(w, 7, 11);
	for (uint32_t n = 40; n < 43; n++) {
		world_offer(w, n, 1);
		world_tick(w);
	}
	assert_true(world_in_nic(w, 40, 1) && world_in_nic(w, 41, 1));
	assert_int_equal(world_state_of(w, 42), -1);
	assert_int_equal(world_stats(w).held, 1);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 2);
	assert_int_equal(w->nic.most, 32);
	assert_int_equal(w->gone[7] + w->gone[8] + w->gone[9] + w->gone[10], 2);
}

/* Idle before light. */
static void test_who_is_idle_goes_before_who_is_light(void **state)
{
	struct world *w = *state;

	full_of_busy(w, 7, 11);
	a_heavy_reading_and_one_more(w, 31);
	assert_true(world_in_nic(w, 40, 1));
	assert_int_equal(w->gone[31], 1);
}

/* What a reading found light, the next one finds heavy. */
static void test_who_becomes_heavy_stays(void **state)
{
	struct world *w = *state;

	full_of_busy(w, 7, 8);
	a_heavy_reading_and_one_more(w, 32);
	assert_int_equal(world_stats(w).held, 1);
	assert_true(w->nic.slot[7].in);
}

/* Nobody is much lighter than the mean: changing rules would bring nothing. */
static void test_equals_do_not_push_each_other_out(void **state)
{
	struct world *w = *state;

	full_of_busy(w, 32, 32);
	world_offer(w, 40, 1);
	world_tick(w);
	assert_int_equal(world_stats(w).held, 1);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 0);
}

/* For something else: the idle one first, then any, and nobody takes these places. */
static void test_rules_give_way(void **state)
{
	struct world *w = *state;

	full_of_busy(w, 32, 32);
	world_traffic(w, 0, 31);
	world_readings(w, 1, 0, 31); /* 31 is idle */
	assert_int_equal(wm_rules__give_way(w->rules, 1, w->now), 1);
	world_tick(w);
	assert_int_equal(w->gone[31], 1);
	assert_int_equal(wm_rules__give_way(w->rules, 10, w->now), 10);
	world_offer_range(w, 40, 60, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 21);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 11);
	assert_int_equal(wm_rules__give_way(w->rules, 100, w->now), 21);
	world_tick(w);
	assert_int_equal(w->nic.n, 0);
	assert_int_equal(wm_rules__give_way(w->rules, 1, w->now), 0);
	world_run(w, 10 * SECOND);
	world_offer(w, 40, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 0); /* a reading changes nothing */
	wm_rules__way_taken(w->rules);
	world_offer(w, 40, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 1); /* others come again, and at once */
}

/* Equals, in a NIC that has fewer places than were allowed: one in 256 takes turns. */
static void test_a_part_of_what_the_nic_holds_yields(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 100000;
	w->options.installs_per_second = 100000;
	w->nic.full_at = 300;
	world_restart(w);
	world_offer_range(w, 0, 300, 1);
	world_run(w, 2 * SECOND);
	assert_int_equal(w->nic.n, 300);
	world_readings(w, 3, 0, 300);
	world_offer_range(w, 400, 500, 1);
	world_tick(w);
	world_run(w, MS);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 1);
	assert_int_equal(w->nic.n, 300);
}

/* Times of use, and no packets: nobody is lighter than another. */
static void test_who_is_in_use_stays_where_packets_are_not_told(void **state)
{
	struct world *w = *state;

	w->nic.caps.stats = false;
	w->nic.caps.uses = true;
	w->nic.no_packets = true;
	w->options.max_rules = 256;
	w->options.installs_per_second = 100000;
	world_restart(w);
	world_offer_range(w, 0, 256, 1);
	world_run(w, 2 * SECOND);
	world_readings(w, 3, 0, 256);
	assert_int_equal(w->nic.n, 256);
	world_offer(w, 400, 1);
	world_tick(w);
	assert_int_equal(world_stats(w).held, 1);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 0);
}

/* A rule that came in since the last reading was not weighed: its few packets mean
 * nothing yet. */
static void test_a_new_rule_is_not_light(void **state)
{
	struct world *w = *state;

	full_of_busy(w, 31, 32);
	world_offer(w, 40, 1); /* in the place of 31 */
	world_run(w, w->options.idle_ns / 8);
	assert_true(world_in_nic(w, 40, 1));
	for (int i = 0; i < 100; i++)
		world_traffic(w, 0, 31);
	world_readings(w, 1, 40, 41);
	world_offer(w, 41, 1);
	world_tick(w);
	assert_true(world_in_nic(w, 40, 1));
	assert_int_equal(world_state_of(w, 41), -1);
}

static void test_full_holds_when_busy(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	world_restart(w);
	world_offer_range(w, 0, 4, 1);
	world_readings(w, 3, 0, 4);
	world_offer(w, 4, 1);
	world_tick(w);
	assert_int_equal(world_state_of(w, 4), -1);
	assert_int_equal(w->gone[4], 1);
	assert_int_equal(world_stats(w).held, 1);
	assert_int_equal(world_stats(w).full, 1);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 0);
}

static void test_new_rules_are_not_evicted(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	world_restart(w);
	world_offer_range(w, 0, 4, 1);
	world_tick(w);
	world_offer(w, 4, 1); /* nothing is known yet of the four */
	world_tick(w);
	assert_int_equal(w->gone[4], 1);
	assert_int_equal(w->nic.n, 4);
}

/* A rule that came in just before a reading has had no time to show packets. */
static void test_rules_get_a_whole_reading(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	world_restart(w);
	world_tick(w);
	world_run(w, w->options.idle_ns / 4 - MS);
	world_offer_range(w, 0, 4, 1);
	world_run(w, 2 * MS);
	world_offer(w, 4, 1);
	world_tick(w);
	assert_int_equal(w->gone[4], 1);
	assert_int_equal(w->nic.n, 4);
}

/* Without counters nobody can say who is idle. */
static void test_full_without_counters(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	w->nic.caps.stats = false;
	world_restart(w);
	world_offer_range(w, 0, 4, 1);
	world_readings(w, 3, 0, 0);
	world_offer(w, 4, 1);
	world_tick(w);
	assert_int_equal(w->gone[4], 1);
	assert_int_equal(w->nic.n, 4);
}

static void test_many_take_turns(void **state)
{
	struct world *w = *state;

	w->options = (struct wm_rules_options){ 30, 100, 40 * SECOND, 0 };
	world_restart(w);
	world_offer_range(w, 0, 30, 1);
	world_readings(w, 3, 0, 0);
	world_offer_range(w, 100, 130, 1);
	world_run(w, 300 * MS); /* as fast as the budget lets them */
	for (uint32_t n = 100; n < 130; n++)
		assert_true(w->nic.slot[n].in);
	assert_int_equal(world_stats(w).held, 0);
	assert_int_equal(w->nic.most, 30);
}

static void test_no_eviction_for_nothing(void **state)
{
	struct world *w = *state;

	w->options = (struct wm_rules_options){ 4, 10, 40 * SECOND, 0 };
	world_restart(w);
	world_offer_range(w, 0, 4, 1);
	world_readings(w, 3, 0, 0);
	world_offer_range(w, 10, 14, 1);
	w->nic.install_error = -EIO;
	world_run(w, 9 * MS); /* one is tried; until then nobody else makes room */
	assert_int_equal(w->nic.asked, 5);
	assert_int_equal(w->nic.n, 3);
}

static void test_longest_idle_goes_first(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	w->options.idle_ns = 40 * SECOND;
	world_restart(w);
	world_offer_range(w, 0, 4, 1);
	world_readings(w, 2, 0, 4);
	world_readings(w, 1, 0, 2); /* 2 and 3 fall idle first */
	world_readings(w, 1, 0, 0);
	world_offer(w, 4, 1);
	world_offer(w, 5, 1);
	world_tick(w);
	assert_false(w->nic.slot[2].in || w->nic.slot[3].in);
	assert_true(w->nic.slot[0].in && w->nic.slot[1].in);
}

static void test_busy_again_is_safe(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 2;
	w->options.idle_ns = 40 * SECOND;
	world_restart(w);
	world_offer_range(w, 0, 2, 1);
	world_readings(w, 3, 0, 1); /* 1 is idle */
	world_readings(w, 1, 0, 2); /* and is not any more */
	world_offer(w, 2, 1);
	world_tick(w);
	assert_int_equal(w->gone[2], 1);
	assert_true(w->nic.slot[1].in);
}

static void test_nic_says_full(void **state)
{
	struct world *w = *state;

	w->nic.full_at = 4;
	world_offer_range(w, 0, 6, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 4);
	assert_int_equal(world_stats(w).full, 2);
	assert_int_equal(world_stats(w).held, 2);
	assert_int_equal(world_stats(w).refused, 0);
	assert_false(world_stats(w).backing_off);
	assert_int_equal(w->gone[4] + w->gone[5], 2);
	world_readings(w, 3, 0, 3); /* 3 is idle */
	world_offer(w, 7, 1);
	world_run(w, MS);
	assert_true(world_in_nic(w, 7, 1));
	assert_false(w->nic.slot[3].in);
}

/* Having said "full" once, the NIC is not asked in vain for each candidate. */
static void test_full_is_remembered(void **state)
{
	struct world *w = *state;
	uint32_t asked;

	w->nic.full_at = 4;
	world_offer_range(w, 0, 5, 1);
	world_tick(w);
	asked = w->nic.asked;
	world_offer_range(w, 10, 20, 1);
	world_tick(w);
	assert_int_equal(w->nic.asked, asked);
	w->nic.full_at = 100;
	world_readings(w, 1, 0, 4);
	world_offer_range(w, 20, 30, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 14);
}

static void test_capacity_bounds_max_rules(void **state)
{
	struct world *w = *state;

	w->nic.caps.capacity = 3;
	world_restart(w);
	assert_int_equal(world_stats(w).max_rules, 3);
	world_offer_range(w, 0, 5, 1);
	world_tick(w);
	assert_int_equal(w->nic.asked, 3);
}

static void test_configure_fewer_rules(void **state)
{
	struct world *w = *state;

	w->options.idle_ns = 400 * SECOND;
	world_restart(w);
	world_offer_range(w, 0, 10, 1);
	world_readings(w, 3, 0, 5); /* 5..9 idle */
	w->options.max_rules = 4;
	wm_rules__configure(w->rules, &w->options);
	world_tick(w);
	assert_int_equal(w->nic.n, 4);
	for (uint32_t n = 5; n < 10; n++)
		assert_false(w->nic.slot[n].in);
	assert_int_equal(world_stats(w).ended[WM_END_EVICTED], 6);
}

static const struct CMUnitTest full[] = {
	T(test_full_evicts_idle),
	T(test_the_lightest_of_a_full_table_yield),
	T(test_who_is_idle_goes_before_who_is_light),
	T(test_who_becomes_heavy_stays),
	T(test_rules_give_way),
	T(test_equals_do_not_push_each_other_out),
	T(test_a_part_of_what_the_nic_holds_yields),
	T(test_who_is_in_use_stays_where_packets_are_not_told),
	T(test_a_new_rule_is_not_light),
	T(test_full_holds_when_busy),
	T(test_new_rules_are_not_evicted),
	T(test_rules_get_a_whole_reading),
	T(test_full_without_counters),
	T(test_many_take_turns),
	T(test_no_eviction_for_nothing),
	T(test_longest_idle_goes_first),
	T(test_busy_again_is_safe),
	T(test_nic_says_full),
	T(test_full_is_remembered),
	T(test_capacity_bounds_max_rules),
	T(test_configure_fewer_rules),
};

/* --- refusals --- */

static void test_backoff(void **state)
{
	struct world *w = *state;
	uint64_t wait = 10 * MS;
	uint32_t n = 0;

	w->nic.install_error = -EIO;
	world_offer(w, n++, 1);
	world_tick(w);
	assert_int_equal(w->gone[0], 1);
	for (int i = 0; i < 12; i++) {
		assert_true(world_stats(w).backing_off);
		w->now += wait - 1;
		world_offer(w, n++, 1);
		world_tick(w);
		assert_int_equal(w->nic.asked, i + 1);
		w->now++;
		world_offer(w, n++, 1);
		world_tick(w);
		assert_int_equal(w->nic.asked, i + 2);
		wait = wait * 2 < 5 * SECOND ? wait * 2 : 5 * SECOND;
	}
	assert_int_equal(world_stats(w).refused, 13);
	assert_int_equal(world_stats(w).held, 12);
	w->nic.install_error = 0;
	w->now += wait;
	world_offer_range(w, 100, 200, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 100);
	assert_false(world_stats(w).backing_off);
}

/* A queue full of candidates is not thrown at a NIC that refuses. */
static void test_backoff_keeps_queue(void **state)
{
	struct world *w = *state;

	w->options.installs_per_second = 10;
	world_restart(w);
	world_offer_range(w, 0, 20, 1);
	w->nic.install_error = -EIO;
	world_run(w, 2 * SECOND);
	assert_true(w->nic.asked < 10); /* 10, 20, ... 1280 ms */
	w->nic.install_error = 0;
	world_run(w, 10 * SECOND);
	assert_int_equal(world_stats(w).installed + world_stats(w).refused, 20);
}

static void test_some_refused(void **state)
{
	struct world *w = *state;

	w->nic.install_error = -EIO;
	w->nic.error_every = 3;
	world_offer_range(w, 0, 30, 1);
	world_tick(w);
	assert_int_equal(w->nic.n, 20);
	assert_int_equal(world_stats(w).refused, 10);
	assert_false(world_stats(w).backing_off);
}

static void test_refused_flow_waits(void **state)
{
	struct world *w = *state;

	w->nic.install_error = -EIO;
	w->nic.error_every = 2;
	world_offer_range(w, 0, 2, 1);
	world_tick(w); /* 1 is refused */
	w->nic.install_error = 0;
	w->now += 1 * SECOND;
	world_offer(w, 1, 1);
	world_offer(w, 2, 1);
	world_tick(w);
	assert_int_equal(world_state_of(w, 1), -1);
	assert_int_equal(world_state_of(w, 2), WM_RULE_ACTIVE);
	assert_int_equal(w->gone[1], 2);
	w->now += 5 * SECOND;
	world_offer(w, 1, 1);
	world_tick(w);
	assert_int_equal(world_state_of(w, 1), WM_RULE_ACTIVE);
}

static const struct CMUnitTest refusals[] = {
	T(test_backoff),
	T(test_backoff_keeps_queue),
	T(test_some_refused),
	T(test_refused_flow_waits),
};

/* --- answers that come later --- */

static void test_late_install(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_run(w, 50 * MS);
	assert_int_equal(world_state_of(w, 1), WM_RULE_INSTALLING);
	assert_int_equal(w->active[1], 0);
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	w->nic.late = false;
	world_run(w, 3 * MS);
	assert_int_equal(world_state_of(w, 1), WM_RULE_ACTIVE);
	assert_int_equal(w->active[1], 1);
}

static void test_close_of_late_install(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_tick(w);
	world_close_flow(w, 1);
	world_run(w, 50 * MS);
	assert_int_equal(world_state_of(w, 1), WM_RULE_INSTALLING);
	assert_int_equal(w->nic.removals, 0);
	w->nic.late = false;
	world_run(w, 3 * MS);
	assert_int_equal(w->nic.removals, 1);
	assert_false(w->nic.slot[1].in);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(world_stats(w).ended[WM_END_CLOSED], 1);
}

static void test_late_refusal(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.late = false;
	w->nic.install_error = -EIO;
	w->now += MS;
	world_tick(w);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(world_stats(w).refused, 1);
	assert_true(world_stats(w).backing_off);
}

/* After a refusal, one candidate asks; the others wait for its answer. */
static void test_one_asks_after_late_refusal(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer_range(w, 0, 2, 7);
	world_tick(w);
	world_offer_range(w, 2, 10, 7);
	w->nic.late = false;
	w->nic.install_error = -EIO;
	w->now += MS;
	world_tick(w);
	assert_int_equal(w->nic.asked, 2);
	w->nic.late = true;
	w->nic.install_error = 0;
	world_run(w, SECOND);
	assert_int_equal(w->nic.asked, 3);
	w->nic.late = false;
	world_run(w, 10 * MS);
	assert_int_equal(w->nic.asked, 10);
}

/* The answer to a request of before is none to this one. */
static void test_answer_to_an_older_request(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_run(w, 12 * SECOND); /* given up, and may be tried again */
	world_offer(w, 1, 8);
	world_tick(w);
	assert_int_equal(w->nic.n_pending, 2);
	w->nic.late = false;
	w->nic.answers = 1;
	world_tick(w);
	assert_true(world_in_nic(w, 1, 7));
	assert_int_equal(world_state_of(w, 1), WM_RULE_INSTALLING);
	world_tick(w);
	assert_true(world_in_nic(w, 1, 8));
	assert_int_equal(world_state_of(w, 1), WM_RULE_ACTIVE);
}

static void test_listed_before_answered(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_tick(w);
	assert_int_equal(nic_put(&w->nic, &w->nic.pending[0]), 0);
	world_readings(w, 2, 0, 0);
	assert_int_equal(world_state_of(w, 1), WM_RULE_INSTALLING);
	w->nic.late = false;
	world_run(w, 10 * MS);
	assert_int_equal(w->active[1], 1);
	assert_int_equal(w->nic.asked, 1);
}

/* It may be in the NIC all the same, and its mark is in use until it is not. */
static void test_mark_of_no_answer(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	w->nic.remove_error = -EIO;
	world_offer(w, 1, 7);
	world_run(w, 6 * SECOND);
	assert_int_equal(world_state_of(w, 1), WM_RULE_DELETING);
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	w->nic.remove_error = 0;
	world_run(w, 6 * SECOND);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
}

static void test_no_answer(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_run(w, 6 * SECOND);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(w->nic.removals, 1); /* who knows */
	assert_int_equal(world_stats(w).refused, 1);
	assert_int_equal(world_stats(w).state[WM_RULE_INSTALLING], 0);
}

static void test_answer_after_giving_up(void **state)
{
	struct world *w = *state;

	w->nic.late = true;
	world_offer(w, 1, 7);
	world_run(w, 6 * SECOND);
	w->nic.late = false;
	world_offer(w, 2, 7);
	w->nic.late = true; /* so that there is something to poll for */
	world_tick(w);
	w->nic.late = false;
	world_run(w, 10 * MS);
	assert_false(world_state_of(w, 1) == WM_RULE_ACTIVE);
	world_readings(w, 2, 0, FLOWS);
	assert_false(w->nic.slot[1].in); /* nobody owns it: the reading has it deleted */
}

static void test_close_before_install(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_close_flow(w, 1);
	world_tick(w);
	assert_int_equal(w->nic.asked, 0);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(world_state_of(w, 1), -1);
	world_close_flow(w, 2); /* of nothing */
}

static const struct CMUnitTest late_answers[] = {
	T(test_late_install),
	T(test_close_of_late_install),
	T(test_late_refusal),
	T(test_one_asks_after_late_refusal),
	T(test_answer_to_an_older_request),
	T(test_listed_before_answered),
	T(test_mark_of_no_answer),
	T(test_no_answer),
	T(test_answer_after_giving_up),
	T(test_close_before_install),
};

/* --- the end of rules --- */

static void test_close(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 10, 7);
	world_tick(w);
	world_close_flow(w, 3);
	world_tick(w);
	assert_false(w->nic.slot[3].in);
	assert_int_equal(w->nic.n, 9);
	assert_int_equal(w->gone[3], 1);
	assert_int_equal(world_stats(w).ended[WM_END_CLOSED], 1);
}

static void test_idle(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 2, 7);
	world_readings(w, 3, 0, 2);
	assert_true(w->used[0] >= 2);
	assert_int_equal(w->used[0], w->used[1]);
	for (int i = 0; i < 6; i++)
		world_readings(w, 1, 0, 1); /* only flow 0 goes on */
	assert_true(w->nic.slot[0].in);
	assert_false(w->nic.slot[1].in);
	assert_int_equal(w->gone[1], 1);
	assert_int_equal(world_stats(w).ended[WM_END_IDLE], 1);
}

static void test_idle_time_is_kept(void **state)
{
	struct world *w = *state;

	world_offer(w, 0, 7);
	world_readings(w, 2, 0, 1);
	world_run(w, w->options.idle_ns - 2 * SECOND);
	assert_true(w->nic.slot[0].in);
	world_run(w, 4 * SECOND);
	assert_false(w->nic.slot[0].in);
}

/* A NIC without counters: nobody knows, so the flow has to prove itself again. */
static void test_lifetime_without_counters(void **state)
{
	struct world *w = *state;

	w->nic.caps.stats = false;
	world_restart(w);
	world_offer(w, 0, 7);
	world_readings(w, 3, 0, 1);
	assert_true(w->nic.slot[0].in);
	world_readings(w, 3, 0, 1);
	assert_false(w->nic.slot[0].in);
	assert_int_equal(w->gone[0], 1);
}

static void test_broken_list_ends_nothing(void **state)
{
	struct world *w = *state;

	world_offer(w, FLOWS - 1, 7); /* behind the error */
	world_tick(w);
	w->nic.list_error = -EIO;
	world_readings(w, 20, 0, FLOWS);
	assert_true(world_in_nic(w, FLOWS - 1, 7));
	assert_int_equal(w->gone[FLOWS - 1], 0);
}

/* Its rules are gone with it: their flows have to prove themselves again. */
static void test_device_that_is_gone_has_no_rules(void **state)
{
	struct world *w = *state;

	world_offer(w, FLOWS - 1, 7);
	world_tick(w);
	w->nic.slot[FLOWS - 1].in = false;
	w->nic.n = 0;
	w->nic.list_error = -ENODEV;
	world_readings(w, 2, 0, FLOWS);
	assert_int_equal(w->gone[FLOWS - 1], 1);
	assert_int_equal(world_stats(w).state[WM_RULE_ACTIVE], 0);
	w->nic.list_error = 0;
	world_offer(w, FLOWS - 1, 7);
	world_tick(w);
	assert_true(world_in_nic(w, FLOWS - 1, 7));
}

static void test_totals_survive(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 3, 7);
	world_readings(w, 5, 0, 3);
	world_close_flow(w, 0);
	world_offer(w, 1, 8); /* replaced: its counters start again */
	world_tick(w);
	world_readings(w, 2, 0, 3);
	assert_int_equal(world_stats(w).packets, 10 * (4 * 3 + 3 * 2 - 2));
	assert_int_equal(world_stats(w).bytes, 100 * world_stats(w).packets);
}

static void test_failed_removal(void **state)
{
	struct world *w = *state;

	w->options.idle_ns = 1000 * SECOND; /* no readings */
	world_restart(w);
	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.remove_error = -EIO;
	world_close_flow(w, 1);
	world_tick(w);
	assert_int_equal(world_state_of(w, 1), WM_RULE_DELETING);
	assert_int_equal(world_stats(w).failed_removals, 1);
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	world_run(w, 10 * SECOND);
	assert_in_range(w->nic.removals, 5, 15); /* 10, 20, 40 ms ... */
	assert_int_equal(world_stats(w).failed_removals, w->nic.removals);
	assert_int_equal(w->gone[1], 0);
	w->nic.remove_error = 0;
	world_run(w, 6 * SECOND);
	assert_int_equal(world_state_of(w, 1), -1);
	assert_int_equal(w->gone[1], 1);
	assert_false(wm_rules__mark_in_use(w->rules, 7));

	world_offer(w, 2, 7); /* the next failure is a first one again */
	world_tick(w);
	w->nic.remove_error = -EIO;
	world_close_flow(w, 2);
	world_tick(w);
	w->nic.remove_error = 0;
	world_run(w, 11 * MS);
	assert_int_equal(world_state_of(w, 2), -1);
}

static void test_offer_while_deleting(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.remove_error = -EIO;
	world_close_flow(w, 1);
	world_tick(w);
	world_offer(w, 1, 8);
	assert_int_equal(world_state_of(w, 1), WM_RULE_DELETING);
	assert_int_equal(world_stats(w).held, 1);
	w->nic.remove_error = 0;
	world_run(w, SECOND);
	assert_int_equal(w->gone[1], 1); /* now it may come again */
	world_offer(w, 1, 8);
	world_tick(w);
	assert_true(world_in_nic(w, 1, 8));
}

static void test_lost_removal_is_noticed(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.lose_removals = true;
	world_close_flow(w, 1);
	world_tick(w);
	assert_true(w->nic.slot[1].in);
	w->nic.lose_removals = false;
	world_readings(w, 2, 0, 0);
	assert_false(w->nic.slot[1].in);
}

static const struct CMUnitTest end_of_rules[] = {
	T(test_close),
	T(test_idle),
	T(test_idle_time_is_kept),
	T(test_lifetime_without_counters),
	T(test_broken_list_ends_nothing),
	T(test_device_that_is_gone_has_no_rules),
	T(test_totals_survive),
	T(test_failed_removal),
	T(test_offer_while_deleting),
	T(test_lost_removal_is_noticed),
};

/* --- marks --- */

static void test_retire_mark(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 10, 7);
	world_offer_range(w, 10, 20, 8);
	world_tick(w);
	w->nic.late = true;
	world_offer(w, 20, 7); /* in progress */
	world_tick(w);
	world_offer(w, 21, 7); /* candidate */
	world_offer(w, 10, 7); /* to be replaced by 7 */
	world_offer(w, 0, 9);  /* 7 to be replaced by another */
	wm_rules__retire_mark(w->rules, 7, w->now);
	assert_true(wm_rules__mark_in_use(w->rules, 7));
	world_tick(w);
	assert_true(wm_rules__mark_in_use(w->rules, 7)); /* 20 is not answered yet */
	w->nic.late = false;
	world_run(w, 10 * MS);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
	for (uint32_t n = 0; n < 22; n++)
		assert_int_equal(w->nic.slot[n].in, n > 10 && n < 20);
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	assert_int_equal(world_stats(w).ended[WM_END_DEST_GONE], 12);
}

static void test_candidate_is_no_use_of_mark(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	assert_false(wm_rules__mark_in_use(w->rules, 7));
	world_offer(w, 2, 8);
	wm_rules__retire_mark(w->rules, 8, w->now);
	world_tick(w);
	assert_int_equal(world_state_of(w, 2), -1);
	assert_int_equal(w->gone[2], 1);
}

static void test_many_marks(void **state)
{
	struct world *w = *state;

	for (uint32_t n = 0; n < 1000; n++)
		world_offer(w, n, 1 + n / 2 * 13);
	world_tick(w);
	for (uint32_t n = 0; n < 1000; n += 2) {
		uint32_t mark = 1 + n / 2 * 13;

		assert_int_equal(w->nic.n, 1000 - n);
		wm_rules__retire_mark(w->rules, mark, w->now);
		world_tick(w);
		assert_false(wm_rules__mark_in_use(w->rules, mark));
		assert_false(w->nic.slot[n].in || w->nic.slot[n + 1].in);
	}
}

static void test_retire_all(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 100, 7);
	world_tick(w);
	w->nic.late = true;
	world_offer_range(w, 100, 110, 7);
	world_tick(w);
	world_offer_range(w, 110, 120, 7);
	wm_rules__retire_all(w->rules, w->now);
	world_offer(w, 200, 7);
	w->nic.late = false;
	world_run(w, 10 * MS);
	assert_int_equal(w->nic.n, 0);
	for (int i = 0; i < WM_RULE_STATES; i++)
		assert_int_equal(world_stats(w).state[i], 0);
	for (int n = 0; n < 120; n++)
		assert_int_equal(w->gone[n], 1);
	assert_int_equal(w->gone[200], 1);
	wm_rules__configure(w->rules, &w->options);
	world_offer(w, 200, 7);
	world_tick(w);
	assert_int_equal(w->nic.n, 1);
}

static const struct CMUnitTest marks[] = {
	T(test_retire_mark),
	T(test_candidate_is_no_use_of_mark),
	T(test_many_marks),
	T(test_retire_all),
};

/* --- reconciliation --- */

static bool is_seven(void *arg, const struct wm_rule *rule)
{
	(void)arg;
	return rule->mark == 7;
}

static bool is_any(void *arg, const struct wm_rule *rule)
{
	(void)arg;
	(void)rule;
	return true;
}

static void put_by_hand(struct world *w, uint32_t n, uint32_t mark)
{
	struct wm_rule rule = { nic_flow_of(n), mark };

	assert_int_equal(nic_put(&w->nic, &rule), 0);
}

static void test_reconcile(void **state)
{
	struct world *w = *state;

	for (uint32_t n = 0; n < 10; n++)
		put_by_hand(w, n, n < 6 ? 7 : n < 9 ? 8 : 0);
	world_traffic(w, 0, 10);
	assert_int_equal(wm_rules__reconcile(w->rules, is_seven, NULL, w->now), 0);
	assert_int_equal(world_stats(w).state[WM_RULE_ACTIVE], 6);
	assert_int_equal(world_stats(w).state[WM_RULE_DELETING], 4);
	assert_true(wm_rules__mark_in_use(w->rules, 8));
	world_tick(w);
	assert_int_equal(w->nic.n, 6);
	assert_int_equal(w->active[0], 1);
	assert_int_equal(w->active[6], 0);
	assert_int_equal(world_stats(w).ended[WM_END_STALE], 4);
	assert_false(wm_rules__mark_in_use(w->rules, 8));
	assert_int_equal(w->nic.asked, 0); /* taken over, not installed anew */
	world_readings(w, 6, 0, 3);
	assert_int_equal(w->nic.n, 3); /* they age like others */
}

/* Whatever the caller says: mark 0 is none. */
static void test_reconcile_mark_0(void **state)
{
	struct world *w = *state;

	put_by_hand(w, 1, 0);
	assert_int_equal(wm_rules__reconcile(w->rules, is_any, NULL, w->now), 0);
	world_tick(w);
	assert_int_equal(w->nic.n, 0);
}

static void test_reconcile_too_many(void **state)
{
	struct world *w = *state;

	w->options.max_rules = 4;
	world_restart(w);
	for (uint32_t n = 0; n < 10; n++)
		put_by_hand(w, n, 7);
	assert_int_equal(wm_rules__reconcile(w->rules, is_seven, NULL, w->now), 0);
	world_tick(w);
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

	world_tick(w);
	put_by_hand(w, 5, 9);
	world_run(w, 2 * SECOND);
	assert_false(w->nic.slot[5].in);
	assert_int_equal(world_stats(w).ended[WM_END_STALE], 1);
}

static void test_wrong_mark_is_corrected(void **state)
{
	struct world *w = *state;

	world_offer(w, 1, 7);
	world_tick(w);
	w->nic.slot[1].mark = 9;
	world_run(w, 2 * SECOND);
	assert_true(world_in_nic(w, 1, 7));
	assert_false(wm_rules__mark_in_use(w->rules, 9));
}

static const struct CMUnitTest reconciliation[] = {
	T(test_reconcile),
	T(test_reconcile_mark_0),
	T(test_reconcile_too_many),
	T(test_reconcile_failure),
	T(test_unknown_rule_is_deleted),
	T(test_wrong_mark_is_corrected),
};

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
	struct wm_flow flow = nic_flow_of(1);
	struct wm_rule_view view;
	int seen = 0;

	world_offer_range(w, 0, 5, 7);
	world_tick(w);
	world_readings(w, 2, 0, 5);
	assert_true(wm_rules__find(w->rules, &flow, &view));
	assert_memory_equal(&view.rule.flow, &flow, sizeof(flow));
	assert_true(view.stats.packets >= 10);
	assert_int_equal(view.since, T0);
	wm_rules__each(w->rules, count_two, &seen);
	assert_int_equal(seen, 2);
	assert_string_equal(wm_rule_state__name(WM_RULE_DELETING), "deleting");
	assert_string_equal(wm_rule_end__name(WM_END_DEST_GONE), "dest-gone");
}

static bool collect(void *arg, const struct wm_rule_view *view)
{
	++((int *)arg)[nic_number(&view->rule.flow)];
	return true;
}

static void test_views_in_pieces(void **state)
{
	struct world *w = *state;

	world_offer_range(w, 0, 40, 7);
	world_tick(w);
	for (uint32_t n = 1; n < 60; n += 7) {
		int seen[FLOWS] = {};
		uint32_t at = 0, pieces = 1;

		for (; wm_rules__some(w->rules, &at, n, collect, seen); pieces++)
			assert_int_equal(at, pieces * n);
		assert_int_equal(pieces, (40 + n - 1) / n);
		for (int i = 0; i < FLOWS; i++)
			assert_int_equal(seen[i], i < 40);
	}
}

static const struct CMUnitTest views[] = {
	T(test_views),
	T(test_views_in_pieces),
};

/* --- NICs that are slow --- */

/* So many flows per second that nobody has seen, and a rule goes after a second: there is
 * always room. */
static void offer_for(struct world *w, uint32_t *next, uint32_t per_second, int seconds)
{
	for (int i = 0; i < 10 * seconds; i++) {
		for (uint32_t n = 0; n < per_second / 10; n++)
			world_offer(w, (*next)++ % FLOWS, 1);
		world_run(w, 100 * MS);
	}
}

static void test_a_slow_nic_is_not_flooded(void **state)
{
	struct world *w = *state;
	uint32_t next = 0;

	w->options.idle_ns = SECOND;
	w->options.promote_after = 8;
	w->nic.install_ns = 5 * MS;
	w->nic.jitter_ns = 5 * MS;
	world_restart(w);
	offer_for(w, &next, 100, 10);
	assert_in_range(world_stats(w).rate, 100, 200);
	assert_in_range(world_stats(w).pace, 75, 150);
	assert_int_equal(world_stats(w).ask, 8);
	assert_int_equal(world_stats(w).refused, 0);
	assert_true(world_stats(w).installed > 800);
	w->nic.longest_ns = 0; /* of the first calls nothing was known */
	offer_for(w, &next, 300, 5);
	assert_true(world_stats(w).state[WM_RULE_CANDIDATE] <= 4 * world_stats(w).pace);
	assert_true(world_stats(w).held > 500);
	assert_true(world_stats(w).ask > 60);
	assert_true(w->nic.longest_ns <= 10 * MS); /* the daemon does not stand still */
	offer_for(w, &next, 10, 60);
	assert_int_equal(world_stats(w).ask, 8);
}

static void test_a_nic_that_stalls(void **state)
{
	struct world *w = *state;
	uint32_t next = 0, before, installed;

	w->options.idle_ns = SECOND;
	w->nic.install_ns = MS;
	world_restart(w);
	offer_for(w, &next, 500, 3);
	before = world_stats(w).rate;
	w->nic.stall_ns = SECOND;
	offer_for(w, &next, 500, 2);
	installed = world_stats(w).installed;
	offer_for(w, &next, 500, 2);
	assert_in_range(world_stats(w).rate, before * 9 / 10, before * 11 / 10);
	assert_true(world_stats(w).installed - installed > 900);
}

static void test_removals_take_their_time(void **state)
{
	struct world *w = *state;
	uint64_t began;

	w->nic.remove_ns = 5 * MS;
	world_offer_range(w, 0, 200, 1);
	world_run(w, 100 * MS);
	assert_int_equal(w->nic.n, 200);
	wm_rules__retire_all(w->rules, w->now);
	w->nic.longest_ns = 0;
	began = w->now;
	world_run(w, 2 * SECOND);
	assert_int_equal(w->nic.n, 0);
	assert_in_range(w->nic.longest_ns, 5 * MS, 40 * MS); /* eight, while nothing is known */
	assert_true(w->now - began < 3 * SECOND);
}

static void test_a_small_table_is_found(void **state)
{
	struct world *w = *state;
	uint32_t next = 0, before;

	w->nic.full_at = 300;
	world_restart(w);
	offer_for(w, &next, 200, 3);
	assert_in_range(world_stats(w).room, 300, 350);
	before = world_stats(w).full;
	world_offer_range(w, 1000, 1200, 1);
	world_tick(w);
	assert_true(w->nic.n <= 300 && world_stats(w).full - before <= 200);
	w->nic.full_at = 0;
	for (int i = 0; i < 10 && w->nic.n < 900; i++) {
		world_offer_range(w, 1000, 2000, 1);
		world_readings(w, 1, 0, FLOWS);
	}
	assert_true(w->nic.n >= 900);
}

static void test_a_flood_gets_no_rules(void **state)
{
	struct world *w = *state;
	uint32_t next = 0, installed;

	w->options.installs_per_second = 20;
	world_restart(w);
	offer_for(w, &next, 500, 5); /* those that came before it was noticed are through */
	assert_true(world_stats(w).flood);
	installed = world_stats(w).installed;
	offer_for(w, &next, 500, 2);
	assert_int_equal(world_stats(w).installed, installed);
	world_offer(w, next - 1, 1); /* it was held, and goes on */
	world_run(w, 200 * MS);
	assert_int_equal(world_state_of(w, next - 1), WM_RULE_ACTIVE);
}

static const struct CMUnitTest slow_nics[] = {
	T(test_a_slow_nic_is_not_flooded),
	T(test_a_nic_that_stalls),
	T(test_removals_take_their_time),
	T(test_a_small_table_is_found),
	T(test_a_flood_gets_no_rules),
};

#define RUN(tests) cmocka_run_group_tests(tests, NULL, NULL)

int main(void)
{
	int failed = RUN(promotion);

	failed += RUN(replacement);
	failed += RUN(full);
	failed += RUN(refusals);
	failed += RUN(late_answers);
	failed += RUN(end_of_rules);
	failed += RUN(marks);
	failed += RUN(reconciliation);
	failed += RUN(views);
	failed += RUN(slow_nics);
	return failed;
}
