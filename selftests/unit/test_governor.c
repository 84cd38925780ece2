// SPDX-License-Identifier: GPL-2.0
/*
 * How much is asked of a NIC (user/offload/governor.c). A NIC is a function here that says how long
 * a call takes; time is a variable and nothing waits.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <waymark/limits.h>

#include "governor.h"

#define US 1000ull
#define MS (1000 * US)
#define SECOND (1000 * MS)

struct world {
	struct wm_governor governor;
	uint64_t now;
	uint64_t (*cost)(struct world *w); /* of one rule in the next call */
	uint64_t each, stall;
	uint32_t calls, installed;
	uint64_t busy, longest; /* time in calls; of the longest, but for the first */
	uint64_t flow; /* the last one that was offered */
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return -1;
	w->now = 1000 * SECOND;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	free(*state);
	return 0;
}

static void start(struct world *w, uint32_t most)
{
	const struct wm_governor_options options = { most, 8 };

	wm_governor__init(&w->governor, &options);
	wm_governor__tick(&w->governor, 0, w->now);
}

/* Always the same; and one that is three times as slow in every third call. */
static uint64_t steady(struct world *w)
{
	return w->each;
}

static uint64_t jittery(struct world *w)
{
	return w->calls % 3 ? w->each * 2 / 3 : w->each * 2;
}

/* It gets slower by the square of what it is asked for. */
static uint64_t collapsing(struct world *w)
{
	uint64_t thousands = wm_governor__pace(&w->governor) / 100;

	return w->each + w->each * thousands * thousands / 100;
}

static void call(struct world *w, uint32_t n)
{
	uint64_t took = n * w->cost(w) + w->stall;

	if (w->calls++ && took > w->longest && !w->stall)
		w->longest = took;
	w->stall = 0;
	w->now += took;
	w->busy += took;
	w->installed += n;
	wm_governor__installed(&w->governor, n, n, took);
}

/* There is always a rule to install. */
static void run(struct world *w, uint64_t ns)
{
	uint64_t end = w->now + ns;

	w->installed = w->busy = w->longest = 0;
	while (w->now < end) {
		uint32_t n;

		wm_governor__tick(&w->governor, 0, w->now);
		while ((n = wm_governor__installs(&w->governor)))
			call(w, n);
		w->now += 2 * MS;
	}
}

static void assert_about(uint64_t is, uint64_t wanted)
{
	assert_in_range(is, wanted * 9 / 10, wanted * 11 / 10);
}

/* --- rate --- */

static void test_a_rate_is_learned(void **state)
{
	struct world *w = *state;

	w->cost = steady;
	w->each = 200 * US;
	start(w, 1000000);
	assert_int_equal(wm_governor__rate(&w->governor), 0);
	assert_int_equal(wm_governor__installs(&w->governor), 8); /* who knows */
	run(w, SECOND);
	assert_about(wm_governor__rate(&w->governor), 5000);
	run(w, 10 * SECOND);
	assert_int_equal(wm_governor__rate(&w->governor), 5000);
	assert_int_equal(wm_governor__pace(&w->governor), 3750);
	assert_about(w->installed, 37500);
	assert_true(w->busy <= 76 * SECOND / 10); /* the rest is the daemon's */
	assert_true(w->longest <= 5 * MS);
}

static void test_the_bound_is_kept(void **state)
{
	struct world *w = *state;
	struct wm_governor_options options = { 100, 8 };

	w->cost = steady;
	w->each = US;
	start(w, 2000);
	run(w, 10 * SECOND);
	assert_in_range(w->installed, 19000, 2000 * 10 + 200);
	assert_int_equal(wm_governor__pace(&w->governor), 2000);
	wm_governor__configure(&w->governor, &options);
	run(w, 10 * SECOND);
	assert_in_range(w->installed, 900, 1010);
}

static void test_jitter_is_evened_out(void **state)
{
	struct world *w = *state;

	w->cost = jittery;
	w->each = 900 * US; /* on the average 1000 */
	start(w, 1000000);
	run(w, 3 * SECOND);
	for (int i = 0; i < 50; i++) {
		run(w, 100 * MS);
		assert_in_range(wm_governor__rate(&w->governor), 750, 1350);
	}
}

static void test_a_stall_is_no_rate(void **state)
{
	struct world *w = *state;
	uint32_t before;

	w->cost = steady;
	w->each = 200 * US;
	start(w, 1000000);
	run(w, 2 * SECOND);
	before = wm_governor__rate(&w->governor);
	w->stall = SECOND;
	run(w, SECOND);
	assert_true(wm_governor__rate(&w->governor) > before / 2);
	run(w, SECOND);
	assert_about(wm_governor__rate(&w->governor), before);
	run(w, SECOND);
	assert_about(w->installed, 3750);
}

/* The worst time for it: nothing is known yet. */
static void test_a_stall_at_the_start_is_forgotten(void **state)
{
	struct world *w = *state;

	w->cost = steady;
	w->each = 200 * US;
	start(w, 1000000);
	w->stall = SECOND;
	run(w, 20 * SECOND);
	assert_about(wm_governor__rate(&w->governor), 5000);
}

static void test_a_slower_nic_is_believed(void **state)
{
	struct world *w = *state;
	uint32_t calls;

	w->cost = steady;
	w->each = 20 * US;
	start(w, 1000000);
	run(w, 2 * SECOND);
	w->each = 2000 * US;
	calls = w->calls;
	while (wm_governor__rate(&w->governor) > 600) {
		run(w, 2 * MS);
		assert_true(w->calls < calls + 30);
	}
	run(w, 5 * SECOND);
	assert_about(wm_governor__rate(&w->governor), 500);
	assert_true(w->longest <= 5 * MS);
	w->each = 20 * US;
	run(w, 5 * SECOND);
	assert_about(wm_governor__rate(&w->governor), 50000);
}

/* At full load it would do some 15 rules per second. */
static void test_a_rate_that_collapses_is_not_asked_for(void **state)
{
	struct world *w = *state;

	w->cost = collapsing;
	w->each = 100 * US;
	start(w, 20000);
	run(w, 20 * SECOND);
	run(w, 10 * SECOND);
	assert_true(w->installed > 10 * 1000);
	assert_true(w->busy < 8 * SECOND);
}

static void test_removals_are_paid_for(void **state)
{
	struct world *w = *state;
	uint32_t n, removed = 0;
	uint64_t took = 0;

	start(w, 1000000);
	assert_int_equal(wm_governor__removals(&w->governor), 8);
	wm_governor__removed(&w->governor, 8, 8 * MS);
	while ((n = wm_governor__removals(&w->governor))) {
		assert_int_equal(n, 5);
		wm_governor__removed(&w->governor, n, n * MS);
		took += n * MS;
		removed += n;
	}
	assert_true(removed && took <= 10 * MS);
	assert_int_equal(wm_governor__installs(&w->governor), 0);
	w->now = wm_governor__when(&w->governor, 1);
	wm_governor__tick(&w->governor, 0, w->now);
	assert_int_not_equal(wm_governor__installs(&w->governor), 0);
}

/* --- trouble --- */

static void second_of_trouble(struct world *w, int error, uint32_t refused)
{
	for (int i = 0; i < 100; i++)
		wm_governor__accepted(&w->governor);
	wm_governor__installed(&w->governor, 100 + refused, 100 + refused, 0);
	while (refused--)
		wm_governor__refused(&w->governor, error);
	w->now += SECOND;
	wm_governor__tick(&w->governor, 0, w->now);
}

static void test_trouble_slows_down(void **state)
{
	struct world *w = *state;

	start(w, 4096);
	second_of_trouble(w, -EBUSY, 50);
	assert_int_equal(wm_governor__pace(&w->governor), 2048);
	for (int i = 0; i < 20; i++)
		second_of_trouble(w, -EBUSY, 50);
	assert_int_equal(wm_governor__pace(&w->governor), 64);
	for (int i = 0; i < 8; i++)
		second_of_trouble(w, -EBUSY, 5); /* now and then */
	assert_int_equal(wm_governor__pace(&w->governor), 4096);
	wm_governor__lost(&w->governor);
	for (int i = 0; i < 30; i++)
		wm_governor__lost(&w->governor);
	second_of_trouble(w, 0, 0);
	assert_int_equal(wm_governor__pace(&w->governor), 2048);
}

/* What a NIC does not know is no question of how often it is asked. */
static void test_other_refusals_do_not(void **state)
{
	struct world *w = *state;

	start(w, 4096);
	second_of_trouble(w, -EOPNOTSUPP, 1000);
	second_of_trouble(w, -EINVAL, 1000);
	second_of_trouble(w, -ENOSPC, 1000);
	assert_int_equal(wm_governor__pace(&w->governor), 4096);
}

/* --- answers that come later --- */

/* A NIC that takes a request at once and does `rate` of them per second. */
static void late_seconds(struct world *w, uint32_t rate, uint32_t *waiting, int seconds)
{
	while (seconds--) {
		uint32_t n = wm_governor__pace(&w->governor), answers;

		wm_governor__installed(&w->governor, n, 0, 0);
		*waiting += n;
		answers = *waiting < rate ? *waiting : rate;
		for (uint32_t i = 0; i < answers; i++)
			wm_governor__answer(&w->governor);
		*waiting -= answers;
		w->now += SECOND;
		wm_governor__tick(&w->governor, *waiting, w->now);
	}
}

static void test_answers_tell_the_rate(void **state)
{
	struct world *w = *state;
	uint32_t waiting = 0;

	start(w, 20000);
	late_seconds(w, 1000, &waiting, 60);
	for (int i = 0; i < 30; i++) {
		late_seconds(w, 1000, &waiting, 1);
		assert_in_range(wm_governor__pace(&w->governor), 500, 2000);
	}
	late_seconds(w, 100000, &waiting, 60);
	assert_int_equal(wm_governor__pace(&w->governor), 20000);
	late_seconds(w, 0, &waiting, 60); /* none at all: says nothing, and others notice */
	assert_int_equal(wm_governor__pace(&w->governor), 20000);
}

/* --- capacity --- */

static void test_capacity_is_forgotten_in_steps(void **state)
{
	struct world *w = *state;
	int readings = 0;

	start(w, 1000);
	wm_governor__reading(&w->governor, 5000);
	assert_int_equal(wm_governor__capacity(&w->governor), WM_GOVERNOR_NO_LIMIT);
	wm_governor__full(&w->governor, 1000);
	assert_int_equal(wm_governor__capacity(&w->governor), 1000);
	wm_governor__full(&w->governor, 1200); /* an answer that is late */
	assert_int_equal(wm_governor__capacity(&w->governor), 1000);
	wm_governor__reading(&w->governor, 999); /* there is no need for more */
	assert_int_equal(wm_governor__capacity(&w->governor), 1000);
	wm_governor__reading(&w->governor, 1000);
	assert_in_range(wm_governor__capacity(&w->governor), 1001, 1100);
	wm_governor__full(&w->governor, 1000); /* it is as it was */
	assert_int_equal(wm_governor__capacity(&w->governor), 1000);
	while (wm_governor__capacity(&w->governor) < 60000) {
		wm_governor__reading(&w->governor, wm_governor__capacity(&w->governor));
		assert_true(++readings < 15);
	}
	for (int i = 0; i < 100; i++)
		wm_governor__reading(&w->governor, UINT32_MAX);
	assert_int_equal(wm_governor__capacity(&w->governor), WM_GOVERNOR_NO_LIMIT);
}

/* --- demand --- */

static uint64_t hash_of(uint64_t flow)
{
	return (flow + 1) * 0x9e3779b97f4a7c15ull;
}

/* A second of offers; returns how many were taken. */
static uint32_t offer_fresh(struct world *w, uint32_t n)
{
	uint32_t taken = 0;

	for (uint32_t i = 0; i < n; i++)
		taken += wm_governor__offer(&w->governor, hash_of(w->flow++));
	w->now += SECOND;
	wm_governor__tick(&w->governor, 0, w->now);
	return taken;
}

static void test_more_is_asked_of_flows(void **state)
{
	struct world *w = *state;
	struct wm_governor_options options = { 1000, 20 };

	start(w, 1000);
	offer_fresh(w, 800);
	assert_int_equal(wm_governor__ask(&w->governor), 8);
	offer_fresh(w, 1500);
	assert_int_equal(wm_governor__ask(&w->governor), 16);
	offer_fresh(w, 800); /* just right */
	assert_int_equal(wm_governor__ask(&w->governor), 16);
	for (int i = 0; i < 10; i++)
		offer_fresh(w, 1500);
	assert_int_equal(wm_governor__ask(&w->governor), WM_PROMOTE_AFTER_MAX);
	wm_governor__configure(&w->governor, &options);
	assert_int_equal(wm_governor__ask(&w->governor), WM_PROMOTE_AFTER_MAX);
	for (int i = 0; i < 60; i++)
		offer_fresh(w, 100);
	assert_int_equal(wm_governor__ask(&w->governor), 20);
	options.promote_after = 0;
	wm_governor__configure(&w->governor, &options);
	offer_fresh(w, 1500);
	assert_int_equal(wm_governor__ask(&w->governor), 0);
}

/* In a full table the heaviest win places by being offered often. */
static void test_a_full_table_is_no_question_of_the_rate(void **state)
{
	struct world *w = *state;

	start(w, 1000);
	for (int i = 0; i < 10; i++) {
		for (int k = 0; k < 1000; k++)
			wm_governor__no_place(&w->governor);
		offer_fresh(w, 1500);
	}
	assert_int_equal(wm_governor__ask(&w->governor), 8);
}

static void test_nothing_is_taken_in_a_flood(void **state)
{
	struct world *w = *state;

	start(w, 1000);
	assert_int_equal(offer_fresh(w, 900), 900);
	for (uint64_t flow = 0; flow < 900; flow++)
		assert_true(wm_governor__offer(&w->governor, hash_of(flow)));
	assert_in_range(offer_fresh(w, 20000), 1000, 5000); /* until it is noticed */
	assert_true(wm_governor__in_flood(&w->governor));
	assert_int_equal(offer_fresh(w, 20000), 0);
	assert_int_equal(offer_fresh(w, 20000), 0);
	/* Who was there before it, and who comes again. */
	assert_true(wm_governor__offer(&w->governor, hash_of(w->flow - 1)));
	assert_false(wm_governor__offer(&w->governor, hash_of(1ull << 40)));
	assert_true(wm_governor__offer(&w->governor, hash_of(1ull << 40)));
	offer_fresh(w, 100);
	assert_false(wm_governor__in_flood(&w->governor));
	assert_int_equal(offer_fresh(w, 100), 100);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_rate_is_learned),
		T(test_the_bound_is_kept),
		T(test_jitter_is_evened_out),
		T(test_a_stall_is_no_rate),
		T(test_a_stall_at_the_start_is_forgotten),
		T(test_a_slower_nic_is_believed),
		T(test_a_rate_that_collapses_is_not_asked_for),
		T(test_removals_are_paid_for),
		T(test_trouble_slows_down),
		T(test_other_refusals_do_not),
		T(test_answers_tell_the_rate),
		T(test_capacity_is_forgotten_in_steps),
		T(test_more_is_asked_of_flows),
		T(test_a_full_table_is_no_question_of_the_rate),
		T(test_nothing_is_taken_in_a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
