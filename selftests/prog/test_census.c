// SPDX-License-Identifier: GPL-2.0
/*
 * Counting the live flows of each destination, against a count by the definition: tables
 * of random entries, with ages on every edge and around the end of their clock. And what
 * counting does to the entries: nothing, but that none grows too old.
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <waymark/hash.h>

#include "dataplane.h"
#include "packet.h"
#include "prog.h"
#include "seed.h"

enum { BITS = 12, DESTS = 1 << BITS, BUCKETS = 64, WAYS = BUCKETS * WM_FLOW_WAYS };
enum { KEPT = 3072, AHEAD = 4032 }; /* ages: none above; none, but a clock read too early */

static struct wm_dp *dp;

static int setup(void **state)
{
	const struct wm_dp_options options = { .dest_bits = BITS, .flow_buckets = BUCKETS };

	(void)state;
	dp = prog_open(&options);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wm_dp__close(dp);
	dp = NULL;
	return 0;
}

/* The whole table: hash 0 is in the first bucket. */
static uint64_t *ways(void)
{
	return (uint64_t *)wm_dp__flow_bucket(dp, 0, false)->way;
}

struct entry {
	uint32_t dest, age, state;
};

static void fill(struct entry *entries, const struct wm_census *census, uint32_t tick,
		 unsigned int *seed)
{
	static const uint32_t edges[] = { 0, 1, KEPT - 1, KEPT, KEPT + 1, AHEAD - 1, AHEAD, 4095 };
	static const uint32_t states[] = { 0, 1, 8, 200, WM_FLOW_CLOSING, 255 };

	for (int i = 0; i < WAYS; i++) {
		struct entry *e = &entries[i];

		e->dest = 1 + rand_r(seed) % 8;
		e->state = states[rand_r(seed) % 6];
		switch (rand_r(seed) % 3) {
		case 0:
			e->age = edges[rand_r(seed) % 8];
			break;
		case 1:
			e->age = (census->limit[e->dest] + rand_r(seed) % 3 - 1) % 4096u;
			break;
		default:
			e->age = rand_r(seed) % 4096;
		}
		ways()[i] = wm_flow_entry(i + 1, e->dest, tick - e->age, e->state);
		if (rand_r(seed) % 4 == 0)
			ways()[i] = 0;
	}
}

/* In pieces of any length. */
static void count(struct wm_census *census, unsigned int *seed)
{
	size_t at = 0, last;
	int more;

	memset(census->live, 0, sizeof(census->live));
	do {
		last = at;
		more = wm_dp__flow_census(dp, census, &at, 1 + rand_r(seed) % 100);
		assert_true(at > last && at <= WAYS);
	} while (more > 0);
	assert_int_equal(more, 0);
	assert_int_equal(at, WAYS);
}

static void check(const struct entry *entries, const uint64_t *before,
		  const struct wm_census *census, uint32_t tick)
{
	uint32_t want[16] = {};

	for (int i = 0; i < WAYS; i++) {
		const struct entry *e = &entries[i];
		uint32_t age = e->age >= AHEAD ? 0 : e->age;
		uint64_t now = ways()[i];

		if (before[i] && e->state < WM_FLOW_CLOSING && age < census->limit[e->dest])
			want[e->dest]++;
		if (!before[i] || age <= KEPT)
			assert_int_equal(now, before[i]);
		else
			assert_int_equal(now, wm_flow_entry(i + 1, e->dest, tick - KEPT, e->state));
	}
	for (int dest = 0; dest < 16; dest++)
		assert_int_equal(census->live[dest], want[dest]);
}

static void flows_are_counted_by_the_definition(void **state)
{
	static struct wm_census census;
	static struct entry entries[WAYS];
	uint64_t before[WAYS];
	unsigned int seed;
	uint32_t tick;

	(void)state;
	prog_need_root();
	seed = test_seed();
	wm_dp__ctl(dp)->tick_shift = 31; /* a clock that stands still, but for a moment */
	for (int round = 0; round < 200;) {
		for (int dest = 1; dest <= 8; dest++)
			census.limit[dest] = (uint16_t[]){ 0, 1, 30, 880, 3000 }[rand_r(&seed) % 5];
		tick = wm_dp__tick_ns(dp, NULL);
		fill(entries, &census, tick, &seed);
		memcpy(before, ways(), sizeof(before));
		count(&census, &seed);
		if (tick != wm_dp__tick_ns(dp, NULL))
			continue; /* that was the moment */
		check(entries, before, &census, tick);
		round++;
	}
}

/* By packets: a flow counts from its first one to its FIN. */
static void a_flow_counts_while_it_is_open(void **state)
{
	static const struct {
		uint8_t flags;
		uint32_t live;
	} steps[] = { { SYN, 1 }, { ACK, 1 }, { ACK, 1 }, { FIN | ACK, 0 }, { ACK, 0 }, { SYN, 1 },
		      { RST, 0 } };
	const struct wm_dest dest = prog_dest(1 << BITS | 1, 1, "10.200.1.1", 80, IPPROTO_TCP,
					      "10.200.2.11");
	const struct wm_vip vip = prog_vip("10.200.1.1", 80, IPPROTO_TCP, 1, 1);
	static struct wm_census census = { .limit = { [1] = 880 } };
	struct packet_spec spec = { .src = "10.0.0.1", .sport = 4711, .dst = "10.200.1.1",
				    .dport = 80 };
	unsigned int seed = 1;
	struct frame in, out;

	(void)state;
	prog_need_root();
	wm_dp__dest_set(dp, 1, &dest);
	prog_ring(dp, 1, 1);
	prog_publish(dp, &vip, 1);
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		spec.flags = steps[i].flags;
		packet_build(&spec, &in);
		prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
		count(&census, &seed);
		assert_int_equal(census.live[1], steps[i].live);
	}
}

/* Else an entry that nobody wrote for more than an hour would be young again. */
static void an_entry_that_was_kept_old_stays_old(void **state)
{
	static struct wm_census census = { .limit = { [1] = 880 } };
	unsigned int seed = 1;

	(void)state;
	prog_need_root();
	wm_dp__ctl(dp)->tick_shift = 31;
	ways()[5] = wm_flow_entry(6, 1, wm_dp__tick_ns(dp, NULL) - 3500, 8);
	for (int hour = 0; hour < 20; hour++) {
		count(&census, &seed);
		assert_int_equal(census.live[1], 0);
		/* 600 ticks later, as if the clock had gone on */
		ways()[5] = wm_flow_entry(6, 1, (ways()[5] >> WM_FLOW_AGE_SHIFT) - 600, 8);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(flows_are_counted_by_the_definition),
		TEST(a_flow_counts_while_it_is_open),
		TEST(an_entry_that_was_kept_old_stays_old),
	};

	return cmocka_run_group_tests_name("census", tests, NULL, NULL);
}
