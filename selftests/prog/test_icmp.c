// SPDX-License-Identifier: GPL-2.0
/*
 * ICMP errors about packets that a real has sent: to the real of the flow, by the packet
 * that they quote. Tables are written by hand, see test_waymark.c.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/bpf.h>

#include "dataplane.h"
#include "packet.h"
#include "prog.h"

enum { BITS = 12 };
enum { WEB = 1, DNS, WEB6, ANY, EMPTY, LOCAL };
enum { OTHER = 8 }; /* of vip WEB as well, but not in its ring */
#define MARK(id) (1 << BITS | (id))

static struct wm_dp *dp;

static void put_dest(uint16_t id, uint16_t vip, const char *addr, uint16_t port, uint8_t proto,
		     const char *real)
{
	struct wm_dest dest = prog_dest(MARK(id), vip, addr, port, proto, real);

	if (id == LOCAL)
		dest.encap = WM_ENCAP_LOCAL4;
	wm_dp__dest_set(dp, id, &dest);
}

static int setup(void **state)
{
	const struct wm_dp_options options = { .dest_bits = BITS, .flow_buckets = 64 };
	struct wm_vip vips[] = {
		prog_vip("10.200.1.1", 80, IPPROTO_TCP, WEB, WEB),
		prog_vip("10.200.1.1", 53, IPPROTO_UDP, DNS, DNS),
		prog_vip("fd00:200:1::1", 80, IPPROTO_TCP, WEB6, WEB6),
		prog_vip("10.200.1.2", 0, IPPROTO_TCP, ANY, ANY),
		prog_vip("10.200.1.3", 80, IPPROTO_TCP, EMPTY, EMPTY),
		prog_vip("10.200.1.4", 53, IPPROTO_UDP, LOCAL, LOCAL),
	};

	(void)state;
	dp = prog_open(&options);
	if (!dp)
		return 0;
	put_dest(WEB, WEB, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.11");
	put_dest(OTHER, WEB, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.99");
	put_dest(DNS, DNS, "10.200.1.1", 53, IPPROTO_UDP, "10.200.2.12");
	put_dest(WEB6, WEB6, "fd00:200:1::1", 80, IPPROTO_TCP, "fd00:200:2::11");
	put_dest(ANY, ANY, "10.200.1.2", 0, IPPROTO_TCP, "10.200.2.13");
	put_dest(LOCAL, LOCAL, "10.200.1.4", 53, IPPROTO_UDP, "10.200.2.14");
	for (uint16_t ring = WEB; ring <= LOCAL; ring++)
		prog_ring(dp, ring, ring == EMPTY ? 0 : ring);
	/* What is not sent is for the stack. */
	for (size_t i = 0; i < sizeof(vips) / sizeof(*vips); i++)
		vips[i].flags |= WM_VIP_OWN;
	prog_publish(dp, vips, sizeof(vips) / sizeof(*vips));
	wm_dp__ctl(dp)->promote_after = 2;
	prog_expect_counters(dp, NULL, "start");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wm_dp__close(dp);
	dp = NULL;
	return 0;
}

/* What a real sent, from the vip's address. */
#define TO_CLIENT .dst = "192.168.1.1", .dport = 31337
#define FROM_WEB .src = "10.200.1.1", .sport = 80, TO_CLIENT
#define FROM_DNS .src = "10.200.1.1", .sport = 53, .dst = "10.0.0.3", .dport = 11991, \
	.proto = IPPROTO_UDP
#define FROM_WEB6 .src = "fd00:200:1::1", .sport = 80, .dst = "fc00:2::1", .dport = 31337, \
	.payload = 1000

/* Any router's error about it. Routers quote 8 bytes of TCP's header (CUT) or more. */
#define QUOTING(type, ...) .src = "198.51.100.1", .icmp = (type), \
	.quoted = &(const struct packet_spec){ __VA_ARGS__ }
#define ERROR(type, ...) QUOTING(type, __VA_ARGS__), .dst = "10.200.1.1", .proto = IPPROTO_ICMP
#define QUOTING6(type, ...) .src = "2001:db8::1", .icmp = (type), \
	.quoted = &(const struct packet_spec){ __VA_ARGS__ }
#define ERROR6(type, ...) QUOTING6(type, __VA_ARGS__), .dst = "fd00:200:1::1", \
	.proto = IPPROTO_ICMPV6
#define CUT .cut = 12

struct icmp_case {
	const char *name;
	struct packet_spec in;
	int verdict;
	const char *outer_src, *real; /* for XDP_TX */
	int counters[4];              /* ended by -1 */
};

#define SENT { WM_C_TX_ICMP, -1 }
#define PASSED(why) XDP_PASS, NULL, NULL, { WM_C_PASS_##why, -1 }
#define DROPPED(why) XDP_DROP, NULL, NULL, { WM_C_DROP_##why, -1 }

/* The outer sources are those of the client's packets in test_waymark.c. */
static const struct icmp_case cases[] = {
	{ "fragmentation needed", { ERROR(3, FROM_WEB, CUT), .tos = 0xc0 }, XDP_TX,
	  "172.16.104.123", "10.200.2.11", SENT },
	{ "time exceeded", { ERROR(11, FROM_WEB, .payload = 500) }, XDP_TX, "172.16.104.123",
	  "10.200.2.11", SENT },
	{ "parameter problem", { ERROR(12, FROM_WEB) }, XDP_TX, "172.16.104.123", "10.200.2.11",
	  SENT },
	{ "about UDP", { ERROR(3, FROM_DNS) }, XDP_TX, "172.16.215.45", "10.200.2.12", SENT },
	{ "padded", { ERROR(3, FROM_DNS), .padding = 9 }, XDP_TX, "172.16.215.45", "10.200.2.12",
	  SENT },
	{ "about a first fragment", { ERROR(3, FROM_WEB, .frag = 0x2000) }, XDP_TX,
	  "172.16.104.123", "10.200.2.11", SENT },
	{ "about a vip of every port",
	  { QUOTING(3, .src = "10.200.1.2", .sport = 9999, TO_CLIENT), .dst = "10.200.1.2",
	    .proto = IPPROTO_ICMP },
	  XDP_TX, "172.16.104.123", "10.200.2.13", SENT },
	{ "IPv6, too big", { ERROR6(2, FROM_WEB6), .tos = 0x2c }, XDP_TX, "100::7a69:1",
	  "fd00:200:2::11", SENT },
	{ "IPv6, an error that nobody knows yet", { ERROR6(100, FROM_WEB6) }, XDP_TX, "100::7a69:1",
	  "fd00:200:2::11", SENT },

	/* not ours */
	{ "echo request", { ERROR(8, FROM_WEB) }, PASSED(PROTOCOL) },
	{ "redirect", { ERROR(5, FROM_WEB) }, PASSED(PROTOCOL) },
	{ "IPv6 echo request", { ERROR6(128, FROM_WEB6) }, PASSED(PROTOCOL) },
	{ "neighbour solicitation", { ERROR6(135, FROM_WEB6) }, PASSED(PROTOCOL) },
	{ "ICMP in IPv6",
	  { QUOTING6(3, FROM_WEB6), .dst = "fd00:200:1::1", .proto = IPPROTO_ICMP },
	  PASSED(PROTOCOL) },
	{ "ICMPv6 in IPv4",
	  { QUOTING(2, FROM_WEB), .dst = "10.200.1.1", .proto = IPPROTO_ICMPV6 },
	  PASSED(PROTOCOL) },
	{ "in a packet with options", { ERROR(3, FROM_WEB), .options = 1 }, PASSED(PROTOCOL) },
	{ "itself a fragment", { ERROR(3, FROM_WEB), .frag = 0x2000 }, PASSED(FRAGMENT) },
	{ "about a packet with options", { ERROR(3, FROM_WEB, .options = 1) },
	  PASSED(PROTOCOL) },
	{ "about a later fragment", { ERROR(3, FROM_WEB, .frag = 0x00b9) },
	  PASSED(PROTOCOL) },
	{ "about an IPv6 fragment", { ERROR6(2, FROM_WEB6, .nexthdr = IPPROTO_FRAGMENT) },
	  PASSED(PROTOCOL) },
	{ "about an IPv4 packet that says IPv6", { ERROR(3, FROM_WEB, .version = 6) },
	  PASSED(PROTOCOL) },
	{ "about an IPv6 packet that says IPv4", { ERROR6(2, FROM_WEB6, .version = 4) },
	  PASSED(PROTOCOL) },
	{ "about an IPv6 packet of no version", { ERROR6(2, FROM_WEB6, .version = 15) },
	  PASSED(PROTOCOL) },
	{ "in an IPv6 packet of no version", { ERROR6(2, FROM_WEB6), .version = 7 },
	  PASSED(SHORT) },
	{ "about SCTP", { ERROR(3, FROM_WEB, .proto = IPPROTO_SCTP) }, PASSED(PROTOCOL) },
	{ "about a ping", { ERROR(3, FROM_WEB, .proto = IPPROTO_ICMP) }, PASSED(PROTOCOL) },
	{ "about another port", { ERROR(3, .src = "10.200.1.1", .sport = 81, TO_CLIENT) },
	  PASSED(NOT_VIP) },
	{ "about a packet to the vip, not from it",
	  { QUOTING(3, .src = "192.168.1.1", .sport = 31337, .dst = "10.200.1.1", .dport = 80),
	    .dst = "192.168.1.1", .proto = IPPROTO_ICMP },
	  PASSED(NOT_VIP) },
	{ "that quotes somebody else's packet",
	  { QUOTING(3, FROM_WEB), .dst = "10.200.1.2", .proto = IPPROTO_ICMP }, PASSED(NOT_VIP) },
	{ "that quotes somebody else's IPv6 packet",
	  { QUOTING6(2, FROM_WEB6), .dst = "fd00:200:1::2", .proto = IPPROTO_ICMPV6 },
	  PASSED(NOT_VIP) },
	{ "half an ICMP header", { ERROR(3, FROM_WEB), .cut = 44 }, PASSED(SHORT) },
	{ "half a quoted IP header", { ERROR(3, FROM_WEB), .cut = 30 }, PASSED(SHORT) },
	{ "7 bytes of a quoted transport header", { ERROR(3, FROM_WEB), .cut = 13 },
	  PASSED(SHORT) },
	{ "half a quoted IPv6 header", { ERROR6(2, FROM_WEB6), .cut = 1040 }, PASSED(SHORT) },
	{ "about a vip that a local consumer serves",
	  { QUOTING(3, .src = "10.200.1.4", .sport = 53, TO_CLIENT, .proto = IPPROTO_UDP),
	    .dst = "10.200.1.4", .proto = IPPROTO_ICMP },
	  PASSED(PROTOCOL) },

	/* ours, and not to be sent */
	{ "about a vip without a real",
	  { QUOTING(3, .src = "10.200.1.3", .sport = 80, TO_CLIENT), .dst = "10.200.1.3",
	    .proto = IPPROTO_ICMP },
	  DROPPED(NO_REAL) },
	{ "length beyond the frame", { ERROR(3, FROM_WEB), .len_lie = 1 }, DROPPED(MALFORMED) },
	{ "length that ends in the quote", { ERROR(3, FROM_WEB, CUT), .len_lie = -1 },
	  DROPPED(MALFORMED) },
	{ "IPv6 length beyond the frame", { ERROR6(2, FROM_WEB6), .len_lie = 1 },
	  DROPPED(MALFORMED) },
};

static void same_frame(const struct frame *got, const struct frame *want, const char *name)
{
	if (got->len != want->len || memcmp(got->data, want->data, want->len))
		fail_msg("%s: not the frame that was expected", name);
}

static void run_case(const struct icmp_case *c, uint32_t mark, const int *counters)
{
	struct frame in, out, want;
	int verdict;

	packet_build(&c->in, &in);
	verdict = prog_run(wm_dp__prog_fd(dp), &in, mark, &out);
	prog_expect_counters(dp, counters, c->name);
	if (verdict != c->verdict)
		fail_msg("%s: verdict %d, expected %d", c->name, verdict, c->verdict);
	if (verdict == XDP_TX)
		packet_wrap(&in, c->outer_src, c->real, &want);
	same_frame(&out, verdict == XDP_TX ? &want : &in, c->name);
}

static void errors_go_where_the_ring_says(void **state)
{
	(void)state;
	prog_need_root();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		run_case(&cases[i], 0, cases[i].counters);
}

/* A NIC that stamps too much. */
static void a_mark_on_an_error_changes_nothing(void **state)
{
	(void)state;
	prog_need_root();
	run_case(&cases[0], MARK(WEB), (int[]){ WM_C_MARK_MISMATCH, WM_C_TX_ICMP, -1 });
}

/* The flow that FROM_WEB belongs to, on OTHER, with the ring saying WEB. */
static struct wm_flow flow_on_other(void)
{
	const struct packet_spec client = { .src = "192.168.1.1", .sport = 31337,
					    .dst = "10.200.1.1", .dport = 80, .flags = ACK };
	struct frame in, out;

	prog_ring(dp, WEB, OTHER);
	packet_build(&client, &in);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, 0, &out), XDP_TX);
	prog_ring(dp, WEB, WEB);
	prog_expect_counters(dp, (int[]){ WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 }, "the flow");
	return prog_flow(&client);
}

static void an_error_goes_where_its_flow_went(void **state)
{
	struct icmp_case c = cases[0];

	(void)state;
	prog_need_root();
	flow_on_other();
	c.real = "10.200.2.99";
	run_case(&c, 0, c.counters);
	/* but not to a real that is gone */
	wm_dp__dest_clear(dp, OTHER);
	c.real = "10.200.2.11";
	run_case(&c, 0, (int[]){ WM_C_FLOW_DEAD, WM_C_TX_ICMP, -1 });
}

/* promote_after is 2: as a packet of the flow it would raise an event. */
static void an_error_is_no_packet_of_its_flow(void **state)
{
	struct icmp_case c = cases[0];
	struct wm_dest_stats stats;
	struct wm_flow_slot slot;
	struct wm_flow flow;

	(void)state;
	prog_need_root();
	flow = flow_on_other();
	c.real = "10.200.2.99";
	for (int i = 0; i < 3; i++)
		run_case(&c, 0, c.counters);
	assert_true(wm_dp__flow_find(dp, &flow, &slot));
	assert_int_equal(slot.state, 1);
	/* its bytes are the real's all the same */
	wm_dp__dest_stats(dp, OTHER, &stats);
	assert_int_equal(stats.packets, 1 + 3);
	assert_int_equal(stats.bytes, 40 + 3 * (20 + 8 + 28));
	assert_int_equal(stats.flows, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(errors_go_where_the_ring_says),
		TEST(a_mark_on_an_error_changes_nothing),
		TEST(an_error_goes_where_its_flow_went),
		TEST(an_error_is_no_packet_of_its_flow),
	};

	return cmocka_run_group_tests_name("icmp", tests, NULL, NULL);
}
