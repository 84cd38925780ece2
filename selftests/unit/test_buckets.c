// SPDX-License-Identifier: GPL-2.0
/*
 * The two buckets of a flow, by the shared hash and the rule of waymark/limits.h:
 * how many flows evict another, how many live in their second bucket. The rule
 * is played here on counts alone; selftests/prog/test_waymark.c fills the real
 * table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <waymark/hash.h>

enum { BUCKETS = 16001 }; /* no power of two, no multiple of the span */

static const __u64 seed[4] = { 0x1234567, 0x9e3779b97f4a7c15, 0x7654321, 0xd6e8feb86659fd93 };

static __u64 hash_of(__u32 i)
{
	return wm_flow_hash_v4(10 + (i << 8), 0x0101c80a, 0x50001234 + (i >> 24), 6, seed);
}

/* Enter `n` flows; returns evictions, *second: flows that went to their second bucket. */
static int enter(int n, int crowded, int *second)
{
	unsigned char *load = calloc(BUCKETS, 1);
	int evicted = 0;

	*second = 0;
	for (int i = 0; i < n; i++) {
		__u32 one = wm_flow_bucket_of(hash_of(i), BUCKETS);
		__u32 two = wm_flow_second_of(hash_of(i), BUCKETS);
		bool other = load[one] >= crowded && load[two] < load[one];

		*second += other;
		if (load[other ? two : one] == WM_FLOW_WAYS)
			evicted++;
		else
			load[other ? two : one]++;
	}
	free(load);
	return evicted;
}

static const __u32 sizes[] = {
	2, 3, WM_FLOW_BUCKETS_MIN, 64, WM_FLOW_SPAN, WM_FLOW_SPAN + 1, WM_FLOW_SPAN + 2, 1000,
	65537, WM_FLOW_BUCKETS_DEFAULT, WM_FLOW_BUCKETS_MAX - 1, WM_FLOW_BUCKETS_MAX,
};

static void the_second_bucket_is_another_one_nearby(void **state)
{
	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		for (int i = 0; i < 10000; i++) {
			__u32 one = wm_flow_bucket_of(hash_of(i), sizes[s]);
			__u32 two = wm_flow_second_of(hash_of(i), sizes[s]);

			assert_true(one < sizes[s] && two < sizes[s]);
			assert_int_not_equal(one, two);
			assert_in_range((two + sizes[s] - one) % sizes[s], 1, WM_FLOW_SPAN);
		}
	}
}

/* The ends of the hash are the ends of the table, and the last bucket has a second too. */
static void every_bucket_can_be_reached(void **state)
{
	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		assert_int_equal(wm_flow_bucket_of(0, sizes[s]), 0);
		assert_int_equal(wm_flow_bucket_of(~0ull, sizes[s]), sizes[s] - 1);
		assert_in_range(wm_flow_second_of(~0ull, sizes[s]), 0, WM_FLOW_SPAN - 1);
	}
}

static void a_table_is_made_for_what_was_asked(void **state)
{
	(void)state;
	for (__u64 flows = WM_FLOWS_MIN; flows < WM_FLOWS_MAX; flows = flows * 3 / 2 + 1) {
		__u32 buckets = wm_flow_buckets_for(flows);

		assert_in_range(buckets, WM_FLOW_BUCKETS_MIN, WM_FLOW_BUCKETS_MAX);
		assert_true(wm_flow_buckets_hold(buckets) >= flows);
		if (buckets > WM_FLOW_BUCKETS_MIN) /* and not larger */
			assert_true(wm_flow_buckets_hold(buckets - 1) < flows);
	}
	assert_int_equal(wm_flow_buckets_for(WM_FLOWS_MIN), WM_FLOW_BUCKETS_MIN);
	assert_int_equal(wm_flow_buckets_for(0), WM_FLOW_BUCKETS_MIN);
	assert_int_equal(wm_flow_buckets_for(1000000), WM_FLOW_BUCKETS_DEFAULT);
	assert_int_equal(wm_flow_buckets_for(WM_FLOWS_MAX), WM_FLOW_BUCKETS_MAX);
	assert_int_equal(wm_flow_buckets_for(~0ull), WM_FLOW_BUCKETS_MAX);
	assert_int_equal(wm_flow_buckets_hold(WM_FLOW_BUCKETS_MAX), WM_FLOWS_MAX);
}

static void at_80_percent_one_in_a_thousand_evicts_at_most(void **state)
{
	const int n = BUCKETS * WM_FLOW_WAYS * 8 / 10;
	int second;

	(void)state;
	assert_in_range(enter(n, WM_FLOW_CROWDED, &second), 0, n / 1000);
	assert_in_range(second, n / 10, n / 4);
}

static void one_bucket_alone_would_not_do(void **state)
{
	const int n = BUCKETS * WM_FLOW_WAYS * 8 / 10;
	int second;

	(void)state;
	assert_true(enter(n, WM_FLOW_WAYS + 1, &second) > n / 20);
	assert_int_equal(second, 0);
}

static void a_table_half_full_is_mostly_one_look(void **state)
{
	const int n = BUCKETS * WM_FLOW_WAYS / 2;
	int second;

	(void)state;
	assert_int_equal(enter(n, WM_FLOW_CROWDED, &second), 0);
	assert_in_range(second, 1, n / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_second_bucket_is_another_one_nearby),
		cmocka_unit_test(every_bucket_can_be_reached),
		cmocka_unit_test(a_table_is_made_for_what_was_asked),
		cmocka_unit_test(at_80_percent_one_in_a_thousand_evicts_at_most),
		cmocka_unit_test(one_bucket_alone_would_not_do),
		cmocka_unit_test(a_table_half_full_is_mostly_one_look),
	};

	return cmocka_run_group_tests_name("buckets", tests, NULL, NULL);
}
