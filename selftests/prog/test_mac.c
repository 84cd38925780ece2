// SPDX-License-Identifier: GPL-2.0
/*
 * The mac lane: which source addresses carry a mark, and what becomes of those that only look
 * so. What is true of every lane (a mark that is live, stale, another vip's, on a SYN, ...) is
 * in test_waymark.c, which goes through its tables in this lane, too.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "dataplane.h"
#include "packet.h"
#include "prog.h"

enum { BITS = 12, ETH_SOURCE = 6 };
enum { WEB = 1, WEB6, SECOND };

static const struct wm_dp_options with_lane = {
	.dest_bits = BITS, .flow_buckets = 64, .mac_lane = true,
};
static const struct wm_dp_options without_lane = { .dest_bits = BITS, .flow_buckets = 64 };

static struct wm_dp *dp;

static void put(struct wm_dp *where, uint16_t id, const char *addr, uint32_t generation,
		const char *real)
{
	struct wm_dest dest = prog_dest(wm_mark(BITS, id, generation), id == SECOND ? WEB : id,
					addr, 80, IPPROTO_TCP, real);

	wm_dp__dest_set(where, id, &dest);
	prog_ring(where, id, id);
}

static void put_all(struct wm_dp *where)
{
	const struct wm_vip vips[] = {
		prog_vip("10.200.1.1", 80, IPPROTO_TCP, WEB, WEB),
		prog_vip("fd00:200:1::1", 80, IPPROTO_TCP, WEB6, WEB6),
	};

	put(where, WEB, "10.200.1.1", 1, "10.200.2.11");
	put(where, WEB6, "fd00:200:1::1", 1, "fd00:200:2::11");
	/* The last generation that fits, and a second real of the first vip. */
	put(where, SECOND, "10.200.1.1", (1 << (WM_MAC_MARK_BITS - BITS)) - 1, "10.200.2.12");
	prog_publish(where, vips, sizeof(vips) / sizeof(*vips));
}

static int setup(void **state)
{
	(void)state;
	dp = prog_open(&with_lane);
	if (!dp)
		return 0;
	put_all(dp);
	prog_expect_counters(dp, NULL, "start");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wm_dp__close(dp);
	return 0;
}

static const struct packet_spec to_web = { .src = "192.168.1.1", .sport = 31337,
					   .dst = "10.200.1.1", .dport = 80, .flags = ACK };
static const struct packet_spec to_web6 = { .src = "fc00:2::1", .sport = 31337,
					    .dst = "fd00:200:1::1", .dport = 80, .flags = ACK };
static const int by_mark[] = { WM_C_TX_MARKED, -1 };
static const int by_ring[] = { WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 };
static const int unknown[] = { WM_C_MARK_UNKNOWN, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 };
static const int stale[] = { WM_C_MARK_STALE, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 };

static uint32_t prefix(void)
{
	return wm_dp__params(dp)->mac_prefix;
}

static void forget_flows(void)
{
	uint64_t all[1024];

	memset(all, 0xff, sizeof(all));
	wm_dp__flow_sweep(dp, all);
}

/* The packet with this source address, and a mark in front unless that is 0. */
static void expect(const char *name, const struct packet_spec *spec, const uint8_t mac[6],
		   uint32_t meta, const char *real, const int *counters)
{
	struct frame in, out, want;

	forget_flows();
	packet_build(spec, &in);
	memcpy(in.data + ETH_SOURCE, mac, 6);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, meta, &out), XDP_TX);
	prog_expect_counters(dp, counters, name);
	packet_wrap(&in, spec == &to_web6 ? "100::7a69:1" : "172.16.104.123", real, &want);
	/* Nothing of the source address leaves: the expected frame has none of it. */
	if (out.len != want.len || memcmp(out.data, want.data, want.len))
		fail_msg("%s: another packet went out", name);
}

static void expect_mark(const char *name, uint32_t with, uint32_t mark, const char *real,
			const int *counters)
{
	uint8_t mac[6];

	wm_mac_write(mac, with, mark);
	expect(name, &to_web, mac, 0, real, counters);
}

static void test_marks_are_read(void **state)
{
	uint8_t mac[6];

	(void)state;
	prog_need_root();
	expect_mark("IPv4", prefix(), wm_mark(BITS, WEB, 1), "10.200.2.11", by_mark);
	expect_mark("all 24 bits", prefix(), wm_mark(BITS, SECOND, 0xfff), "10.200.2.12", by_mark);
	wm_mac_write(mac, prefix(), wm_mark(BITS, WEB6, 1));
	expect("IPv6", &to_web6, mac, 0, "fd00:200:2::11", by_mark);
	expect_mark("no mark", prefix(), 0, "10.200.2.11", by_ring);
	expect_mark("unknown", prefix(), wm_mark(BITS, 77, 1), "10.200.2.11", unknown);
	expect_mark("stale", prefix(), wm_mark(BITS, SECOND, 0xffe), "10.200.2.11", stale);
	expect_mark("every bit set", prefix(), 0xffffff, "10.200.2.11", unknown);
}

/* With one bit wrong it is anybody's address. */
static void test_another_prefix_is_no_mark(void **state)
{
	(void)state;
	prog_need_root();
	for (int bit = 0; bit < 24; bit++)
		expect_mark("a bit of the prefix", prefix() ^ 1u << bit,
			    wm_mark(BITS, SECOND, 0xfff), "10.200.2.11", by_ring);
	expect("zeros", &to_web, (const uint8_t[6]){}, 0, "10.200.2.11", by_ring);
	expect("ones", &to_web, (const uint8_t[6]){ 255, 255, 255, 255, 255, 255 }, 0,
	       "10.200.2.11", by_ring);
}

/* What is too wide is not refused by a NIC that cuts it off: it must not be taken for another. */
static void test_the_width_is_bounded(void **state)
{
	uint8_t mac[6];

	(void)state;
	wm_mac_write(mac, 0x563412, 0xab9a7856);
	assert_memory_equal(mac, ((uint8_t[6]){ 0x12, 0x34, 0x56, 0x56, 0x78, 0x9a }), 6);
	assert_int_equal(wm_mac_read(mac, 0x563412), 0x9a7856);
	assert_int_equal(wm_mac_read(mac, 0x563413), 0);
}

static void test_a_mark_in_front_counts_first(void **state)
{
	uint8_t mac[6];

	(void)state;
	prog_need_root();
	wm_mac_write(mac, prefix(), wm_mark(BITS, WEB, 1));
	expect("both", &to_web, mac, wm_mark(BITS, SECOND, 0xfff), "10.200.2.12", by_mark);
	expect("both, one of no use", &to_web, mac, wm_mark(BITS, 77, 1), "10.200.2.11", unknown);
	expect("in front only", &to_web, packet_smac, wm_mark(BITS, SECOND, 0xfff), "10.200.2.12",
	       by_mark);
}

/* What is not balanced leaves as it came, with the address that it came with. */
static void test_what_passes_is_untouched(void **state)
{
	const struct packet_spec other = { .src = "192.168.1.1", .sport = 1, .dst = "10.200.9.1",
					   .dport = 80, .flags = ACK };
	struct frame in, out;

	(void)state;
	prog_need_root();
	packet_build(&other, &in);
	wm_mac_write(in.data + ETH_SOURCE, prefix(), wm_mark(BITS, WEB, 1));
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, 0, &out), XDP_PASS);
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.data, in.data, in.len);
}

static struct wm_dp *open_one(const struct wm_dp_options *options)
{
	struct wm_dp *one;
	struct wm_err err = {};

	if (wm_dp__open(&one, options, &err))
		fail_msg("%s", err.text);
	return one;
}

/* A prefix is an address of one station's own making, and each load's another one. */
static void test_each_load_draws_its_prefix(void **state)
{
	enum { LOADS = 8 };
	uint32_t drawn[LOADS], bits_set = 0, bits_clear = 0;

	(void)state;
	prog_need_root();
	for (int i = 0; i < LOADS; i++) {
		struct wm_dp *one = open_one(&with_lane);

		drawn[i] = wm_dp__params(one)->mac_prefix;
		assert_int_equal(drawn[i] & 3, 2);
		assert_int_equal(drawn[i] >> 24, 0);
		bits_set |= drawn[i];
		bits_clear |= ~drawn[i];
		for (int k = 0; k < i; k++)
			assert_int_not_equal(drawn[i], drawn[k]);
		wm_dp__close(one);
	}
	/* That a byte is the same in all of them happens once in 2^42 runs. */
	for (int byte = 0; byte < 3; byte++)
		assert_true((bits_set & bits_clear) >> 8 * byte & 0xff);
}

static void test_a_mark_of_an_older_load_is_none(void **state)
{
	uint32_t older;

	(void)state;
	prog_need_root();
	older = prefix();
	wm_dp__close(dp);
	dp = open_one(&with_lane);
	put_all(dp);
	prog_expect_counters(dp, NULL, "anew");
	expect_mark("the older load's", older, wm_mark(BITS, SECOND, 0xfff), "10.200.2.11",
		    by_ring);
	expect_mark("its own", prefix(), wm_mark(BITS, SECOND, 0xfff), "10.200.2.12", by_mark);
}

/* Without the lane the program has none of it, and such addresses are anybody's. */
static void test_others_pay_nothing(void **state)
{
	uint32_t lane, with;

	(void)state;
	prog_need_root();
	lane = prefix();
	with = prog_instructions(dp);
	wm_dp__close(dp);
	dp = open_one(&without_lane);
	assert_int_equal(wm_dp__params(dp)->mac_prefix, 0);
	assert_true(prog_instructions(dp) + 10 < with);
	put_all(dp);
	prog_expect_counters(dp, NULL, "without");
	expect_mark("without the lane", lane, wm_mark(BITS, SECOND, 0xfff), "10.200.2.11",
		    by_ring);
	expect_mark("and without a prefix", 0, wm_mark(BITS, SECOND, 0xfff), "10.200.2.11",
		    by_ring);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_marks_are_read),
		TEST(test_another_prefix_is_no_mark),
		TEST(test_the_width_is_bounded),
		TEST(test_a_mark_in_front_counts_first),
		TEST(test_what_passes_is_untouched),
		TEST(test_each_load_draws_its_prefix),
		TEST(test_a_mark_of_an_older_load_is_none),
		TEST(test_others_pay_nothing),
	};

	return cmocka_run_group_tests_name("mac lane", tests, NULL, NULL);
}
