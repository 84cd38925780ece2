// SPDX-License-Identifier: GPL-2.0
/*
 * The data plane loaded for a NIC that hands up the location of the rule that matched:
 * one array look-up more in front, and everything that is true of marks stays true.
 */
#include <arpa/inet.h>
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

enum { BITS = 12, LOCATIONS = 100 };
enum { WEB = 1, DNS, WEB6, OTHER, GONE, DESTS };
enum { RULE_WEB = 99, RULE_DNS = 50, RULE_WEB6 = 2, RULE_OTHER = 3, RULE_STALE = 4, RULE_GONE = 5,
       RULE_NONE = 6 };

static struct wm_dp *dp;

static void put(uint16_t id, const char *addr, uint16_t port, uint8_t proto, const char *real)
{
	struct wm_dest dest = prog_dest(wm_mark(BITS, id, 2), id, addr, port, proto, real);

	wm_dp__dest_set(dp, id, &dest);
	prog_ring(dp, id, id);
}

static void put_rule(uint32_t location, uint32_t mark)
{
	wm_dp__locations(dp)[location] = (struct wm_location){ .mark = mark };
}

static void put_all(void)
{
	const struct wm_vip vips[] = {
		prog_vip("10.200.1.1", 80, IPPROTO_TCP, WEB, WEB),
		prog_vip("10.200.1.1", 53, IPPROTO_UDP, DNS, DNS),
		prog_vip("fd00:200:1::1", 80, IPPROTO_TCP, WEB6, WEB6),
		prog_vip("10.200.1.2", 80, IPPROTO_TCP, OTHER, OTHER),
	};

	put(WEB, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.11");
	put(DNS, "10.200.1.1", 53, IPPROTO_UDP, "10.200.2.12");
	put(WEB6, "fd00:200:1::1", 80, IPPROTO_TCP, "fd00:200:2::11");
	put(OTHER, "10.200.1.2", 80, IPPROTO_TCP, "10.200.2.13");
	put(GONE, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.14");
	wm_dp__dest_clear(dp, GONE);
	prog_publish(dp, vips, sizeof(vips) / sizeof(*vips));
	put_rule(RULE_WEB, wm_mark(BITS, WEB, 2));
	put_rule(RULE_DNS, wm_mark(BITS, DNS, 2));
	put_rule(RULE_WEB6, wm_mark(BITS, WEB6, 2));
	put_rule(RULE_OTHER, wm_mark(BITS, OTHER, 2));
	put_rule(RULE_STALE, wm_mark(BITS, WEB, 1));
	put_rule(RULE_GONE, wm_mark(BITS, GONE, 2));
}

static int setup(void **state)
{
	const struct wm_dp_options options = {
		.dest_bits = BITS, .flow_buckets = 64, .locations = LOCATIONS,
	};

	(void)state;
	dp = prog_open(&options);
	if (!dp)
		return 0;
	put_all();
	prog_expect_counters(dp, NULL, "start");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wm_dp__close(dp);
	return 0;
}

#define TO_WEB .src = "192.168.1.1", .sport = 31337, .dst = "10.200.1.1", .dport = 80
#define TO_DNS .src = "10.0.0.3", .sport = 11991, .dst = "10.200.1.1", .dport = 53, \
	.proto = IPPROTO_UDP
#define TO_WEB6 .src = "fc00:2::1", .sport = 31337, .dst = "fd00:200:1::1", .dport = 80
#define SOFTWARE WM_C_TX_MISS, WM_C_FLOW_INSERT, -1

static const struct {
	const char *name;
	struct packet_spec in;
	uint32_t location;
	const char *outer_src, *real;
	int counters[6];
} cases[] = {
	{ "tcp", { TO_WEB, .flags = ACK, .payload = 9 }, RULE_WEB, "172.16.104.123", "10.200.2.11",
	  { WM_C_TX_MARKED, -1 } },
	{ "udp", { TO_DNS, .payload = 9 }, RULE_DNS, "172.16.215.45", "10.200.2.12",
	  { WM_C_TX_MARKED, -1 } },
	{ "IPv6", { TO_WEB6, .flags = ACK }, RULE_WEB6, "100::7a69:1", "fd00:200:2::11",
	  { WM_C_TX_MARKED, -1 } },
	{ "a location without a rule", { TO_WEB, .flags = ACK }, RULE_NONE, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_UNKNOWN, SOFTWARE } },
	{ "a location behind the last one", { TO_WEB, .flags = ACK }, LOCATIONS, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_UNKNOWN, SOFTWARE } },
	{ "a location far behind the last one", { TO_WEB, .flags = ACK }, 0xffffffff,
	  "172.16.104.123", "10.200.2.11", { WM_C_MARK_UNKNOWN, SOFTWARE } },
	{ "a mark where a location should be", { TO_WEB, .flags = ACK }, 2 << BITS | WEB,
	  "172.16.104.123", "10.200.2.11", { WM_C_MARK_UNKNOWN, SOFTWARE } },
	{ "a rule of an older generation", { TO_WEB, .flags = ACK }, RULE_STALE, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_STALE, SOFTWARE } },
	{ "a rule whose destination is gone", { TO_WEB, .flags = ACK }, RULE_GONE,
	  "172.16.104.123", "10.200.2.11", { WM_C_MARK_GONE, SOFTWARE } },
	{ "another vip's rule", { TO_WEB, .flags = ACK }, RULE_OTHER, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_MISMATCH, SOFTWARE } },
	{ "another protocol's rule", { TO_WEB, .flags = ACK }, RULE_DNS, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_MISMATCH, SOFTWARE } },
	/* Such NICs cannot leave these to software. */
	{ "syn", { TO_WEB, .flags = SYN }, RULE_WEB, "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_CONTROL, WM_C_TX_SYN, WM_C_FLOW_INSERT, -1 } },
	{ "fin", { TO_WEB, .flags = FIN | ACK }, RULE_WEB, "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_CONTROL, WM_C_TX_MISS, -1 } },
	{ "rst, IPv6", { TO_WEB6, .flags = RST }, RULE_WEB6, "100::7a69:1", "fd00:200:2::11",
	  { WM_C_MARK_CONTROL, WM_C_TX_MISS, -1 } },
};

static void forget_flows(void)
{
	uint64_t all[1024];

	memset(all, 0xff, sizeof(all));
	wm_dp__flow_sweep(dp, all);
}

static void test_packets(void **state)
{
	struct frame in, out, want;

	(void)state;
	prog_need_root();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		forget_flows();
		packet_build(&cases[i].in, &in);
		assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, cases[i].location, &out),
				 XDP_TX);
		prog_expect_counters(dp, cases[i].counters, cases[i].name);
		packet_wrap(&in, cases[i].outer_src, cases[i].real, &want);
		assert_int_equal(out.len, want.len);
		if (memcmp(out.data, want.data, want.len))
			fail_msg("%s: another packet went out", cases[i].name);
	}
}

static void test_use_is_noted(void **state)
{
	const struct packet_spec spec = { TO_WEB, .flags = ACK };
	const struct packet_spec other = { TO_DNS };
	volatile struct wm_location *rule;
	struct frame in, out;
	uint32_t now;

	(void)state;
	prog_need_root();
	rule = &wm_dp__locations(dp)[RULE_WEB];
	packet_build(&spec, &in);
	rule->used = 0xdead;
	now = wm_dp__tick_ns(dp, NULL);
	prog_run(wm_dp__prog_fd(dp), &in, RULE_WEB, &out);
	/* Ticks are modulo 4096 there, and one may pass. */
	assert_in_range((rule->used - now) & 0xfff, 0, 1);
	assert_int_equal(rule->mark, wm_mark(BITS, WEB, 2));
	assert_int_equal(rule->check, 0);

	rule->used = 0xdead;
	packet_build(&other, &in);
	prog_run(wm_dp__prog_fd(dp), &in, RULE_DNS, &out);
	assert_int_equal(rule->used, 0xdead);
	rule = &wm_dp__locations(dp)[RULE_NONE];
	rule->used = 0xdead;
	prog_run(wm_dp__prog_fd(dp), &in, RULE_NONE, &out);
	assert_int_equal(rule->used, 0xdead);
}

static void test_others_have_no_locations(void **state)
{
	const struct wm_dp_options options = { .dest_bits = BITS, .flow_buckets = 64 };
	struct wm_err err = {};
	struct wm_dp *plain;

	(void)state;
	prog_need_root();
	assert_int_equal(wm_dp__params(dp)->locations, LOCATIONS);
	if (wm_dp__open(&plain, &options, &err))
		fail_msg("%s", err.text);
	assert_int_equal(wm_dp__params(plain)->locations, 0);
	assert_null(wm_dp__locations(plain));
	wm_dp__close(plain);
}

/* The look-up is there only where it is asked for. */
static void test_others_pay_nothing(void **state)
{
	const struct wm_dp_options options = { .dest_bits = BITS, .flow_buckets = 64 };
	struct wm_err err = {};
	struct wm_dp *plain;

	(void)state;
	prog_need_root();
	if (wm_dp__open(&plain, &options, &err))
		fail_msg("%s", err.text);
	assert_true(prog_instructions(plain) + 10 < prog_instructions(dp));
	wm_dp__close(plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_use_is_noted),
		cmocka_unit_test(test_others_have_no_locations),
		cmocka_unit_test(test_others_pay_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
