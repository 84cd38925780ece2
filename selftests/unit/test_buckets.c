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

enum { BITS = 14, BUCKETS = 1 << BITS };

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
		__u32 one = wm_flow_bucket_of(hash_of(i), BITS);
		__u32 two = wm_flow_second_of(hash_of(i), BITS);
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

static void the_second_bucket_is_another_one_and_leads_back(void **state)
{
	(void)state;
	for (int bits = WM_FLOW_BITS_MIN; bits <= WM_FLOW_BITS_MAX; bits++) {
		for (int i = 0; i < 1000; i++) {
			__u64 hash = hash_of(i);
			__u32 one = wm_flow_bucket_of(hash, bits);
			__u32 two = wm_flow_second_of(hash, bits);

			assert_int_not_equal(one, two);
			assert_true(two < 1u << bits);
			/* the distance depends on the tag alone */
			hash ^= (__u64)(one ^ two) << (64 - bits);
			assert_int_equal(wm_flow_bucket_of(hash, bits), two);
			assert_int_equal(wm_flow_second_of(hash, bits), one);
		}
	}
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
		cmocka_unit_test(the_second_bucket_is_another_one_and_leads_back),
		cmocka_unit_test(at_80_percent_one_in_a_thousand_evicts_at_most),
		cmocka_unit_test(one_bucket_alone_would_not_do),
		cmocka_unit_test(a_table_half_full_is_mostly_one_look),
	};

	return cmocka_run_group_tests_name("buckets", tests, NULL, NULL);
}
