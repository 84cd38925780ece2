// SPDX-License-Identifier: GPL-2.0
/* What rules.c keeps of rules without knowing them: who was refused lately, and which of the
 * rules in use are light. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "refusals.h"
#include "weights.h"

enum { NOW = 1000000 };

static void test_a_refusal_is_remembered_for_a_while(void **state)
{
	static struct wm_refusals r;

	(void)state;
	memset(&r, 0, sizeof(r));
	assert_false(wm_refusals__has(&r, 7, NOW));
	assert_false(wm_refusals__has(&r, 0, NOW)); /* nor who has the hash of an empty place */
	wm_refusals__add(&r, 7, NOW);
	assert_true(wm_refusals__has(&r, 7, NOW));
	assert_true(wm_refusals__has(&r, 7, NOW + WM_REFUSALS_NS - 1));
	assert_false(wm_refusals__has(&r, 7, NOW + WM_REFUSALS_NS));
	wm_refusals__add(&r, 7, NOW + WM_REFUSALS_NS);
	assert_true(wm_refusals__has(&r, 7, NOW + WM_REFUSALS_NS));
}

/* Another flow of the same place is not taken for the first, and takes it. */
static void test_a_place_is_the_last_ones(void **state)
{
	const uint64_t other = 7 + WM_REFUSALS_SLOTS;
	static struct wm_refusals r;

	(void)state;
	memset(&r, 0, sizeof(r));
	wm_refusals__add(&r, 7, NOW);
	assert_false(wm_refusals__has(&r, other, NOW));
	wm_refusals__add(&r, other, NOW);
	assert_true(wm_refusals__has(&r, other, NOW));
	assert_false(wm_refusals__has(&r, 7, NOW));
}

/* How many of n rules with so many packets yield. */
static uint32_t taken(struct wm_weights *w, uint32_t n, uint32_t packets)
{
	uint32_t yield = 0;

	while (n--)
		yield += wm_weights__take(w, packets);
	return yield;
}

static void add(struct wm_weights *w, uint32_t n, uint32_t packets)
{
	while (n--)
		wm_weights__add(w, packets);
}

/* A sixteenth yields, all of it from the lightest class. */
static void test_the_lightest_yield(void **state)
{
	struct wm_weights w = {};

	(void)state;
	add(&w, 800, 1);
	add(&w, 800, 1000);
	wm_weights__share_out(&w);
	assert_int_equal(taken(&w, 800, 1000), 0);
	assert_int_equal(taken(&w, 800, 1), 100);
	assert_int_equal(taken(&w, 800, 1), 0); /* no place twice */
}

/* Where the lightest are too few the next class goes on, up to the same sixteenth. */
static void test_class_by_class(void **state)
{
	struct wm_weights w = {};

	(void)state;
	add(&w, 30, 1);
	add(&w, 300, 8);
	add(&w, 1270, 100000);
	wm_weights__share_out(&w);
	assert_int_equal(taken(&w, 30, 1), 30);
	assert_int_equal(taken(&w, 300, 8), 70);
	assert_int_equal(taken(&w, 1270, 100000), 0);
}

/* Among equals changing places brings little: one of 256. */
static void test_equals_change_seldom(void **state)
{
	struct wm_weights w = {};

	(void)state;
	add(&w, 2560, 40);
	wm_weights__share_out(&w);
	assert_int_equal(taken(&w, 2560, 40), 10);
}

static void test_of_nothing_nobody_yields(void **state)
{
	struct wm_weights w = {};

	(void)state;
	wm_weights__share_out(&w);
	assert_false(wm_weights__take(&w, 1));
	assert_false(wm_weights__take(&w, UINT32_MAX));
	add(&w, 1, UINT32_MAX); /* the heaviest class */
	wm_weights__share_out(&w);
	assert_false(wm_weights__take(&w, UINT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refusal_is_remembered_for_a_while),
		cmocka_unit_test(test_a_place_is_the_last_ones),
		cmocka_unit_test(test_the_lightest_yield),
		cmocka_unit_test(test_class_by_class),
		cmocka_unit_test(test_equals_change_seldom),
		cmocka_unit_test(test_of_nothing_nobody_yields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
