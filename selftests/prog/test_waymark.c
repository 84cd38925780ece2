// SPDX-License-Identifier: GPL-2.0
/*
 * The data plane, packet by packet: what comes in, the verdict, what goes out,
 * and exactly which counters moved. Tables are written by hand here, so a fault
 * in the control plane's builders cannot hide one in the program.
 *
 * What is said of marks is said of every lane: the table and the noise go through the
 * program twice, with marks in front of the packet and with marks in its source address.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include <waymark/hash.h>

#include "dataplane.h"
#include "packet.h"
#include "prog.h"

enum { BITS = 12, N = 8 /* promote_after in these tests */ };
enum { NUMBER_WEB = 1, NUMBER_DNS, NUMBER_WEB6, NUMBER_ANY, NUMBER_V6V4, NUMBER_EMPTY,
       NUMBER_THREE };
enum { DEST_WEB = 1, DEST_DNS, DEST_WEB6, DEST_ANY, DEST_V6V4, DEST_GONE = 8, DEST_SECOND = 9,
       DEST_THREE = 10 /* to 12 */ };

static struct wm_dp *dp;
static void *free_later;

static uint32_t mark_of(uint16_t id)
{
	return wm_mark(BITS, id, id == DEST_SECOND ? 2 : 1);
}

static void fill_ring(uint32_t index, uint16_t first, uint16_t n)
{
	struct wm_ring *ring = wm_dp__ring(dp, index);

	for (int i = 0; i < WM_RING_SLOTS; i++)
		ring->slot[i] = n ? first + i % n : 0;
}

static void put_dest(uint16_t id, uint16_t vip, const char *addr, uint16_t port, uint8_t proto,
		     const char *real)
{
	struct wm_dest dest = prog_dest(mark_of(id), vip, addr, port, proto, real);

	wm_dp__dest_set(dp, id, &dest);
}

static void put_dests(void)
{
	put_dest(DEST_WEB, NUMBER_WEB, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.11");
	put_dest(DEST_DNS, NUMBER_DNS, "10.200.1.1", 53, IPPROTO_UDP, "10.200.2.12");
	put_dest(DEST_WEB6, NUMBER_WEB6, "fd00:200:1::1", 80, IPPROTO_TCP, "fd00:200:2::11");
	put_dest(DEST_ANY, NUMBER_ANY, "10.200.1.2", 0, IPPROTO_TCP, "fd00:200:2::12");
	put_dest(DEST_V6V4, NUMBER_V6V4, "fd00:200:1::2", 443, IPPROTO_TCP, "10.200.2.13");
	put_dest(DEST_GONE, NUMBER_WEB, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.99");
	wm_dp__dest_clear(dp, DEST_GONE);
	put_dest(DEST_SECOND, NUMBER_WEB, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.98");
	put_dest(DEST_THREE, NUMBER_THREE, "10.200.1.4", 80, IPPROTO_TCP, "10.200.2.21");
	put_dest(DEST_THREE + 1, NUMBER_THREE, "10.200.1.4", 80, IPPROTO_TCP, "10.200.2.22");
	put_dest(DEST_THREE + 2, NUMBER_THREE, "10.200.1.4", 80, IPPROTO_TCP, "10.200.2.23");
}

static void publish(void)
{
	const struct wm_vip vips[] = {
		prog_vip("10.200.1.1", 80, IPPROTO_TCP, NUMBER_WEB, 1),
		prog_vip("10.200.1.1", 53, IPPROTO_UDP, NUMBER_DNS, 2),
		prog_vip("fd00:200:1::1", 80, IPPROTO_TCP, NUMBER_WEB6, 3),
		prog_vip("10.200.1.2", 0, IPPROTO_TCP, NUMBER_ANY, 4),
		prog_vip("fd00:200:1::2", 443, IPPROTO_TCP, NUMBER_V6V4, 5),
		prog_vip("10.200.1.3", 80, IPPROTO_TCP, NUMBER_EMPTY, 6),
		prog_vip("10.200.1.4", 80, IPPROTO_TCP, NUMBER_THREE, 7),
	};

	for (uint32_t i = 1; i <= 5; i++)
		fill_ring(i, i, 1);
	fill_ring(6, 0, 0);
	fill_ring(7, DEST_THREE, 3);
	prog_publish(dp, vips, sizeof(vips) / sizeof(*vips));
}

/* How tests are set up. */
static struct {
	bool perf;
} how;

static int setup_with(bool mac, bool perf)
{
	const struct wm_dp_options options = {
		.dest_bits = BITS, .flow_buckets = 64, .mac_lane = mac, .perf_events = perf,
	};

	how.perf = perf;

	dp = prog_open(&options);
	if (!dp)
		return 0;
	put_dests();
	publish();
	wm_dp__ctl(dp)->promote_after = N;
	prog_expect_counters(dp, NULL, "start");
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(false, false);
}

static int setup_mac(void **state)
{
	(void)state;
	return setup_with(true, false);
}

static int setup_perf(void **state)
{
	(void)state;
	return setup_with(false, true);
}

static int teardown(void **state)
{
	(void)state;
	wm_dp__close(dp);
	dp = NULL;
	free(free_later);
	free_later = NULL;
	return 0;
}

/* --- one packet --- */

/* As wm_mark(), as a constant. */
#define MARK_OF(id, generation) ((generation) << BITS | (id))
#define MARK(id) MARK_OF(id, 1)

struct packet_case {
	const char *name;
	struct packet_spec in;
	uint32_t mark;
	int verdict;
	const char *outer_src, *real; /* for XDP_TX */
	int counters[6];              /* ended by -1 */
};

#define WEB .src = "192.168.1.1", .sport = 31337, .dst = "10.200.1.1", .dport = 80
#define DNS .src = "10.0.0.3", .sport = 11991, .dst = "10.200.1.1", .dport = 53, \
	.proto = IPPROTO_UDP
#define WEB6 .src = "fc00:2::1", .sport = 31337, .dst = "fd00:200:1::1", .dport = 80
#define TX_MISS { WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 }

static const struct packet_case cases[] = {
	/* encapsulation; outer sources are Katran's published ones where there is one */
	{ "syn, 4in4", { WEB, .flags = SYN }, 0, XDP_TX, "172.16.104.123", "10.200.2.11",
	  { WM_C_TX_SYN, WM_C_FLOW_INSERT, -1 } },
	{ "ack of an unknown flow", { WEB, .flags = ACK, .payload = 100, .tos = 0xb8 }, 0, XDP_TX,
	  "172.16.104.123", "10.200.2.11", TX_MISS },
	{ "udp, 4in4", { DNS, .payload = 30 }, 0, XDP_TX, "172.16.215.45", "10.200.2.12", TX_MISS },
	{ "tcp6, 6in6", { WEB6, .flags = ACK, .payload = 7, .tos = 0x2c }, 0, XDP_TX,
	  "100::7a69:1", "fd00:200:2::11", TX_MISS },
	{ "4in6, vip of every port",
	  { .src = "192.168.1.1", .sport = 31337, .dst = "10.200.1.2", .dport = 9999,
	    .flags = ACK },
	  0, XDP_TX, "100::bac1:101", "fd00:200:2::12", TX_MISS },
	{ "6in4",
	  { .src = "fc00:2::1", .sport = 31337, .dst = "fd00:200:1::2", .dport = 443,
	    .flags = ACK },
	  0, XDP_TX, "172.16.105.123", "10.200.2.13", TX_MISS },
	{ "padded short frame: length from the IP header",
	  { DNS, .payload = 1, .padding = 17 }, 0, XDP_TX, "172.16.215.45", "10.200.2.12",
	  TX_MISS },
	{ "IPv4 options", { WEB, .flags = ACK, .options = 3, .payload = 9 }, 0, XDP_TX,
	  "172.16.104.123", "10.200.2.11", TX_MISS },
	{ "full-size", { WEB, .flags = ACK, .payload = 1460 }, 0, XDP_TX, "172.16.104.123",
	  "10.200.2.11", TX_MISS },
	{ "rst of an unknown flow is sent, not entered", { WEB, .flags = RST }, 0, XDP_TX,
	  "172.16.104.123", "10.200.2.11", { WM_C_TX_MISS, -1 } },
	{ "fin of an unknown flow is sent, not entered", { WEB, .flags = FIN | ACK }, 0, XDP_TX,
	  "172.16.104.123", "10.200.2.11", { WM_C_TX_MISS, -1 } },

	/* what test_icmp.c has more of; here for noise_never_confuses_the_program */
	{ "ICMP error",
	  { .src = "198.51.100.1", .dst = "10.200.1.1", .proto = IPPROTO_ICMP, .icmp = 3,
	    .quoted = &(const struct packet_spec){ .src = "10.200.1.1", .sport = 80,
						   .dst = "192.168.1.1", .dport = 31337 } },
	  0, XDP_TX, "172.16.104.123", "10.200.2.11", { WM_C_TX_ICMP, -1 } },
	{ "ICMPv6 error",
	  { .src = "2001:db8::1", .dst = "fd00:200:1::1", .proto = IPPROTO_ICMPV6, .icmp = 2,
	    .quoted = &(const struct packet_spec){ .src = "fd00:200:1::1", .sport = 80,
						   .dst = "fc00:2::1", .dport = 31337 } },
	  0, XDP_TX, "100::7a69:1", "fd00:200:2::11", { WM_C_TX_ICMP, -1 } },

	/* not ours, or nobody can tell */
	{ "not a vip's port",
	  { .src = "10.0.0.1", .sport = 1, .dst = "10.200.1.1", .dport = 81 }, 0,
	  XDP_DROP, NULL, NULL, { WM_C_DROP_NO_SERVICE, -1 } },
	{ "not a vip's protocol",
	  { .src = "10.0.0.1", .sport = 1, .dst = "10.200.1.1", .dport = 80, .proto = IPPROTO_UDP },
	  0, XDP_DROP, NULL, NULL, { WM_C_DROP_NO_SERVICE, -1 } },
	{ "not a vip's address",
	  { .src = "10.0.0.1", .sport = 1, .dst = "10.200.9.1", .dport = 80 },
	  0, XDP_PASS, NULL, NULL, { WM_C_PASS_NOT_VIP, -1 } },
	{ "IPv6 that is no vip", { .src = "fc00::1", .sport = 1, .dst = "fc00::2", .dport = 80 }, 0,
	  XDP_PASS, NULL, NULL, { WM_C_PASS_NOT_VIP, -1 } },
	{ "ARP", { WEB, .ethertype = 0x0806 }, 0, XDP_PASS, NULL, NULL, { WM_C_PASS_NOT_IP, -1 } },
	{ "VLAN", { WEB, .ethertype = 0x8100 }, 0, XDP_PASS, NULL, NULL, { WM_C_PASS_NOT_IP, -1 } },
	{ "ICMP to a vip", { WEB, .proto = IPPROTO_ICMP }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_NO_SERVICE, -1 } },
	{ "SCTP to a vip", { WEB, .proto = IPPROTO_SCTP }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_NO_SERVICE, -1 } },
	{ "first fragment", { WEB, .frag = 0x2000 }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_FRAGMENT, -1 } },
	{ "later fragment", { WEB, .frag = 0x00b9 }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_FRAGMENT, -1 } },
	{ "don't-fragment is no fragment", { WEB, .frag = 0x4000, .flags = ACK }, 0, XDP_TX,
	  "172.16.104.123", "10.200.2.11", TX_MISS },
	{ "IPv6 fragment", { WEB6, .nexthdr = IPPROTO_FRAGMENT }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_FRAGMENT, -1 } },
	{ "IPv6 extension header", { WEB6, .nexthdr = IPPROTO_DSTOPTS }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_EXTENSION, -1 } },
	{ "IPv4 in an IPv6 frame", { WEB, .ethertype = 0x86dd }, 0, XDP_PASS, NULL, NULL,
	  { WM_C_PASS_SHORT, -1 } },
	{ "IPv4 that says IPv6", { WEB, .version = 6 }, 0, XDP_PASS, NULL, NULL,
	  { WM_C_PASS_SHORT, -1 } },
	{ "IPv6 of no version", { WEB6, .version = 7 }, 0, XDP_PASS, NULL, NULL,
	  { WM_C_PASS_SHORT, -1 } },
	{ "Ethernet only", { WEB, .cut = 40 }, 0, XDP_PASS, NULL, NULL, { WM_C_PASS_SHORT, -1 } },
	{ "half an IPv4 header", { WEB, .cut = 30 }, 0, XDP_PASS, NULL, NULL,
	  { WM_C_PASS_SHORT, -1 } },
	{ "half a TCP header", { WEB, .cut = 8 }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_MALFORMED, -1 } },
	{ "half a UDP header", { DNS, .cut = 4 }, 0, XDP_DROP, NULL, NULL,
	  { WM_C_DROP_MALFORMED, -1 } },
	{ "half an IPv6 header", { WEB6, .cut = 40 }, 0, XDP_PASS, NULL, NULL,
	  { WM_C_PASS_SHORT, -1 } },

	/* ours, and not to be sent */
	{ "no real",
	  { .src = "10.0.0.1", .sport = 1, .dst = "10.200.1.3", .dport = 80, .flags = SYN },
	  0, XDP_DROP, NULL, NULL, { WM_C_DROP_NO_REAL, -1 } },
	{ "IP length beyond the frame", { WEB, .flags = ACK, .len_lie = 1 }, 0, XDP_DROP,
	  NULL, NULL, { WM_C_DROP_MALFORMED, -1 } },
	{ "IP length that ends in the TCP header", { WEB, .flags = ACK, .len_lie = -1 }, 0,
	  XDP_DROP, NULL, NULL, { WM_C_DROP_MALFORMED, -1 } },
	{ "IPv6 length beyond the frame", { WEB6, .flags = ACK, .len_lie = 40 }, 0, XDP_DROP, NULL,
	  NULL, { WM_C_DROP_MALFORMED, -1 } },
	{ "IPv6 length that wraps with its header",
	  { WEB6, .flags = ACK, .len_lie = 0xffff - 20 }, 0,
	  XDP_DROP, NULL, NULL, { WM_C_DROP_MALFORMED, -1 } },
	{ "lies in a packet that is not ours stay",
	  { .src = "10.0.0.1", .sport = 1, .dst = "10.200.9.1", .dport = 80, .len_lie = 9 }, 0,
	  XDP_PASS, NULL, NULL, { WM_C_PASS_NOT_VIP, -1 } },

	/* marked */
	{ "marked, 4in4", { WEB, .flags = ACK, .payload = 100, .tos = 4 }, MARK(DEST_WEB), XDP_TX,
	  "172.16.104.123", "10.200.2.11", { WM_C_TX_MARKED, -1 } },
	{ "marked by the second generation", { WEB, .flags = ACK }, MARK_OF(DEST_SECOND, 2),
	  XDP_TX, "172.16.104.123", "10.200.2.98", { WM_C_TX_MARKED, -1 } },
	{ "marked udp", { DNS, .payload = 30 }, MARK(DEST_DNS), XDP_TX, "172.16.215.45",
	  "10.200.2.12", { WM_C_TX_MARKED, -1 } },
	{ "marked, padded", { DNS, .payload = 1, .padding = 17 }, MARK(DEST_DNS), XDP_TX,
	  "172.16.215.45", "10.200.2.12", { WM_C_TX_MARKED, -1 } },
	{ "marked, 6in6", { WEB6, .flags = ACK, .tos = 0x2c }, MARK(DEST_WEB6), XDP_TX,
	  "100::7a69:1", "fd00:200:2::11", { WM_C_TX_MARKED, -1 } },
	{ "marked, 4in6, vip of every port",
	  { .src = "192.168.1.1", .sport = 31337, .dst = "10.200.1.2", .dport = 9999,
	    .flags = ACK },
	  MARK(DEST_ANY), XDP_TX, "100::bac1:101", "fd00:200:2::12", { WM_C_TX_MARKED, -1 } },
	{ "marked, 6in4",
	  { .src = "fc00:2::1", .sport = 31337, .dst = "fd00:200:1::2", .dport = 443,
	    .flags = ACK },
	  MARK(DEST_V6V4), XDP_TX, "172.16.105.123", "10.200.2.13", { WM_C_TX_MARKED, -1 } },

	/* marks that are not to be followed: the software path serves the packet */
	{ "mark of no destination", { WEB, .flags = ACK }, MARK(77), XDP_TX, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_UNKNOWN, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of id 0", { WEB, .flags = ACK }, 1 << BITS, XDP_TX, "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_UNKNOWN, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of an older generation", { WEB, .flags = ACK }, MARK(DEST_SECOND), XDP_TX,
	  "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_STALE, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark without its generation", { WEB, .flags = ACK }, DEST_WEB, XDP_TX, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_STALE, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of a destination that is gone", { WEB, .flags = ACK }, MARK(DEST_GONE), XDP_TX,
	  "172.16.104.123", "10.200.2.11", { WM_C_MARK_GONE, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of another vip's address", { WEB, .flags = ACK }, MARK(DEST_THREE), XDP_TX,
	  "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_MISMATCH, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of another protocol", { WEB, .flags = ACK }, MARK(DEST_DNS), XDP_TX,
	  "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_MISMATCH, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of another family", { WEB, .flags = ACK }, MARK(DEST_WEB6), XDP_TX,
	  "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_MISMATCH, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of another IPv6 vip", { WEB6, .flags = ACK }, MARK(DEST_V6V4), XDP_TX,
	  "100::7a69:1", "fd00:200:2::11",
	  { WM_C_MARK_MISMATCH, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark of the vip on another port's packet",
	  { .src = "10.0.0.1", .sport = 1, .dst = "10.200.1.1", .dport = 8080, .flags = ACK },
	  MARK(DEST_WEB), XDP_DROP, NULL, NULL, { WM_C_MARK_MISMATCH, WM_C_DROP_NO_SERVICE, -1 } },
	{ "mark on a fragment", { WEB, .frag = 0x00b9 }, MARK(DEST_WEB), XDP_DROP, NULL, NULL,
	  { WM_C_MARK_MISMATCH, WM_C_DROP_FRAGMENT, -1 } },
	{ "mark on a packet with options", { WEB, .flags = ACK, .options = 2 }, MARK(DEST_WEB),
	  XDP_TX, "172.16.104.123", "10.200.2.11",
	  { WM_C_MARK_MISMATCH, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 } },
	{ "mark on ARP", { WEB, .ethertype = 0x0806 }, MARK(DEST_WEB), XDP_PASS, NULL, NULL,
	  { WM_C_MARK_MISMATCH, WM_C_PASS_NOT_IP, -1 } },
	{ "mark behind a VLAN tag", { WEB, .ethertype = 0x8100 }, MARK(DEST_WEB), XDP_PASS, NULL,
	  NULL, { WM_C_MARK_MISMATCH, WM_C_PASS_NOT_IP, -1 } },
	{ "mark on ICMP", { WEB, .proto = IPPROTO_ICMP }, MARK(DEST_WEB), XDP_DROP, NULL, NULL,
	  { WM_C_MARK_MISMATCH, WM_C_DROP_NO_SERVICE, -1 } },
	{ "mark on a short frame", { WEB, .cut = 8 }, MARK(DEST_WEB), XDP_DROP, NULL, NULL,
	  { WM_C_MARK_MISMATCH, WM_C_DROP_MALFORMED, -1 } },
	{ "mark on IPv4 that says IPv6", { WEB, .version = 6, .flags = ACK }, MARK(DEST_WEB),
	  XDP_PASS, NULL, NULL, { WM_C_MARK_MISMATCH, WM_C_PASS_SHORT, -1 } },
	{ "mark on IPv6 of no version", { WEB6, .version = 7, .flags = ACK }, MARK(DEST_WEB6),
	  XDP_PASS, NULL, NULL, { WM_C_MARK_MISMATCH, WM_C_PASS_SHORT, -1 } },
	{ "mark on a packet whose length lies", { WEB, .flags = ACK, .len_lie = 1 }, MARK(DEST_WEB),
	  XDP_DROP, NULL, NULL, { WM_C_MARK_MISMATCH, WM_C_DROP_MALFORMED, -1 } },
	{ "mark on a packet whose length ends early", { WEB, .flags = ACK, .len_lie = -30 },
	  MARK(DEST_WEB), XDP_DROP, NULL, NULL, { WM_C_MARK_MISMATCH, WM_C_DROP_MALFORMED, -1 } },
	{ "mark on an IPv6 packet whose length wraps",
	  { WEB6, .flags = ACK, .len_lie = 0xffff - 20 }, MARK(DEST_WEB6), XDP_DROP, NULL, NULL,
	  { WM_C_MARK_MISMATCH, WM_C_DROP_MALFORMED, -1 } },
	{ "marked syn goes by the ring", { WEB, .flags = SYN }, MARK(DEST_SECOND + 0), XDP_TX,
	  "172.16.104.123", "10.200.2.11", { WM_C_MARK_STALE, WM_C_TX_SYN, WM_C_FLOW_INSERT, -1 } },
	{ "marked syn", { WEB, .flags = SYN }, MARK(DEST_WEB), XDP_TX, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_CONTROL, WM_C_TX_SYN, WM_C_FLOW_INSERT, -1 } },
	{ "marked fin", { WEB, .flags = FIN | ACK }, MARK(DEST_WEB), XDP_TX, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_CONTROL, WM_C_TX_MISS, -1 } },
	{ "marked rst", { WEB, .flags = RST }, MARK(DEST_WEB), XDP_TX, "172.16.104.123",
	  "10.200.2.11", { WM_C_MARK_CONTROL, WM_C_TX_MISS, -1 } },
	{ "marked fin, IPv6", { WEB6, .flags = FIN | ACK }, MARK(DEST_WEB6), XDP_TX, "100::7a69:1",
	  "fd00:200:2::11", { WM_C_MARK_CONTROL, WM_C_TX_MISS, -1 } },
};

static void assert_same_frame(const struct frame *got, const struct frame *want, const char *name)
{
	if (got->len != want->len)
		fail_msg("%s: %zu bytes went out, expected %zu", name, got->len, want->len);
	for (size_t i = 0; i < want->len; i++)
		if (got->data[i] != want->data[i])
			fail_msg("%s: byte %zu is %02x, expected %02x", name, i, got->data[i],
				 want->data[i]);
}

static void forget_flows(void)
{
	uint64_t all[1024];

	memset(all, 0xff, sizeof(all));
	wm_dp__flow_sweep(dp, all);
}

/* With its mark as the program was loaded to take it. */
static int run_marked(struct frame *in, uint32_t mark, struct frame *out)
{
	uint32_t prefix = wm_dp__params(dp)->mac_prefix;

	if (prefix && mark) {
		wm_mac_write(in->data + 6, prefix, mark);
		mark = 0;
	}
	return prog_run(wm_dp__prog_fd(dp), in, mark, out);
}

static void run_case(const struct packet_case *c)
{
	struct frame in, out, want;
	int verdict;

	forget_flows();
	packet_build(&c->in, &in);
	prog_expect_counters(dp, NULL, c->name);
	verdict = run_marked(&in, c->mark, &out);
	if (verdict != c->verdict)
		print_error("%s: verdict %d, expected %d\n", c->name, verdict, c->verdict);
	prog_expect_counters(dp, c->counters, c->name);
	assert_int_equal(verdict, c->verdict);
	if (verdict == XDP_TX) {
		packet_wrap(&in, c->outer_src, c->real, &want);
		assert_same_frame(&out, &want, c->name);
	} else {
		assert_same_frame(&out, &in, c->name);
	}
}

static void single_packets(void **state)
{
	(void)state;
	prog_need_root();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		run_case(&cases[i]);
}

/* --- whose frames --- */

enum { LOOPBACK = 1 /* the interface that BPF_PROG_RUN's packets come in by */ };

static const struct packet_case ours[] = {
	{ "own", { WEB, .flags = ACK }, 0, XDP_TX, "172.16.104.123", "10.200.2.11", TX_MISS },
	{ "own, IPv6", { WEB6, .flags = ACK }, 0, XDP_TX, "100::7a69:1", "fd00:200:2::11",
	  TX_MISS },
	{ "own, marked", { WEB, .flags = ACK }, MARK(DEST_WEB), XDP_TX, "172.16.104.123",
	  "10.200.2.11", { WM_C_TX_MARKED, -1 } },
	{ "own, ICMP error",
	  { .src = "198.51.100.1", .dst = "10.200.1.1", .proto = IPPROTO_ICMP, .icmp = 3,
	    .quoted = &(const struct packet_spec){ .src = "10.200.1.1", .sport = 80,
						   .dst = "192.168.1.1", .dport = 31337 } },
	  0, XDP_TX, "172.16.104.123", "10.200.2.11", { WM_C_TX_ICMP, -1 } },
};

/* All of them, if frames for packet_dmac are ours; else none. */
static void expect_ours(bool yes, const char *what)
{
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		struct packet_case c = ours[i];

		if (!yes) {
			c.verdict = XDP_PASS;
			c.counters[0] = WM_C_PASS_NOT_US;
			c.counters[1] = -1;
		}
		c.name = what;
		run_case(&c);
	}
}

static void own(const uint8_t *mac, int ifindex, size_t before)
{
	struct wm_dp_own list[WM_OWN_MACS_MAX] = {};

	for (size_t i = 0; i < before; i++)
		list[i] = (struct wm_dp_own){ .mac = { 2, 1, i }, .ifindex = 1 + i % 2 };
	memcpy(list[before].mac, mac, sizeof(list->mac));
	list[before].ifindex = ifindex;
	wm_dp__own_macs(dp, list, before + 1);
}

static void only_frames_for_our_addresses_are_balanced(void **state)
{
	(void)state;
	prog_need_root();
	own(packet_dmac, 0, 0);
	expect_ours(true, "the only address");
	own(packet_dmac, LOOPBACK, 0);
	expect_ours(true, "of this interface");
	own(packet_dmac, LOOPBACK + 1, 0);
	expect_ours(false, "of another interface");
	own(packet_dmac, LOOPBACK, WM_OWN_MACS_MAX - 1);
	expect_ours(true, "the last of many");
	own(packet_dmac, LOOPBACK + 1, WM_OWN_MACS_MAX - 1);
	expect_ours(false, "the last of many, of another interface");
	own(packet_smac, 0, 0);
	expect_ours(false, "somebody else's");
	wm_dp__own_macs(dp, NULL, 0);
	expect_ours(true, "nobody has looked at the interfaces");
}

static void frames_for_all_are_not_balanced(void **state)
{
	static const uint8_t others[][6] = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
					     { 0x33, 0x33, 0, 0, 0, 1 } };

	(void)state;
	prog_need_root();
	for (size_t i = 0; i < 4; i++) {
		struct packet_spec spec = { WEB, .flags = ACK };
		uint32_t mark = i / 2 ? MARK(DEST_WEB) : 0;
		struct frame in, out;

		wm_dp__own_macs(dp, NULL, 0);
		if (i % 2)
			own(packet_dmac, 0, 0);
		packet_build(&spec, &in);
		memcpy(in.data, others[i % 2], sizeof(others[0]));
		prog_expect_counters(dp, NULL, "");
		assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, mark, &out), XDP_PASS);
		prog_expect_counters(dp, (int[]){ WM_C_PASS_NOT_US, -1 }, "for all");
		assert_same_frame(&out, &in, "for all");
	}
}

/* --- what the stack may have --- */

#define V6 .src = "fc00:2::1", .dst = "fd00:200:1::1"
#define EXTENDED(proto_, type) V6, .sport = 1, .dport = 80, .proto = (proto_), .nexthdr = (type)
#define TO_STACK(why) XDP_PASS, NULL, NULL, { WM_C_PASS_##why, -1 }
#define DROPPED(why) XDP_DROP, NULL, NULL, { WM_C_DROP_##why, -1 }

/* With the address our own; without, what goes to the stack here is drop_no_service. */
static const struct packet_case strays[] = {
	{ "another port", { .src = "10.0.0.1", .sport = 1, .dst = "10.200.1.1", .dport = 22 }, 0,
	  TO_STACK(NOT_VIP) },
	{ "ping", { WEB, .proto = IPPROTO_ICMP }, 0, TO_STACK(PROTOCOL) },
	{ "a fragment of a ping", { WEB, .proto = IPPROTO_ICMP, .frag = 0x2000 }, 0,
	  TO_STACK(FRAGMENT) },
	{ "a fragment of a served protocol", { WEB, .frag = 0x2000 }, 0, DROPPED(FRAGMENT) },
	{ "of another port too: the next one has none",
	  { .src = "10.0.0.1", .sport = 1, .dst = "10.200.1.1", .dport = 22, .frag = 0x2000 }, 0,
	  DROPPED(FRAGMENT) },
	{ "half a header of a served protocol", { WEB, .cut = 8 }, 0, DROPPED(MALFORMED) },
	{ "a fragment of a protocol that nobody serves",
	  { V6, .sport = 1, .dport = 80, .proto = IPPROTO_UDP, .nexthdr = IPPROTO_FRAGMENT }, 0,
	  TO_STACK(FRAGMENT) },
	{ "IPv6 fragment", { EXTENDED(IPPROTO_TCP, IPPROTO_FRAGMENT) }, 0, DROPPED(FRAGMENT) },
	{ "authentication", { EXTENDED(IPPROTO_TCP, IPPROTO_AH) }, 0, DROPPED(EXTENSION) },
	{ "destination options", { EXTENDED(IPPROTO_TCP, IPPROTO_DSTOPTS) }, 0,
	  DROPPED(EXTENSION) },
	{ "routing", { EXTENDED(IPPROTO_TCP, IPPROTO_ROUTING) }, 0, DROPPED(EXTENSION) },
	{ "options before a ping", { EXTENDED(IPPROTO_ICMPV6, IPPROTO_DSTOPTS) }, 0,
	  TO_STACK(PROTOCOL) },
	{ "options before UDP, which nobody serves", { EXTENDED(IPPROTO_UDP, IPPROTO_DSTOPTS) }, 0,
	  TO_STACK(PROTOCOL) },
	/* 8 bytes of the header after the first are there, whatever they would say */
	{ "an end in the middle of the headers",
	  { EXTENDED(IPPROTO_DSTOPTS, IPPROTO_DSTOPTS), .cut = 6 }, 0, DROPPED(EXTENSION) },
};

static void own_address(bool yes)
{
	struct wm_dest web = *wm_dp__dest(dp, DEST_WEB), web6 = *wm_dp__dest(dp, DEST_WEB6);

	wm_dp__address_own(dp, web.vip_addr, WM_IPV4, yes);
	wm_dp__address_own(dp, web6.vip_addr, WM_IPV6, yes);
	assert_int_equal(wm_dp__address_is_own(dp, web.vip_addr, WM_IPV4), yes);
}

static void the_stack_gets_nothing_of_a_vip(void **state)
{
	(void)state;
	prog_need_root();
	for (size_t i = 0; i < sizeof(strays) / sizeof(*strays); i++) {
		struct packet_case c = strays[i];

		own_address(true);
		run_case(&c);
		own_address(false);
		if (c.verdict == XDP_PASS) {
			c.verdict = XDP_DROP;
			c.counters[0] = WM_C_DROP_NO_SERVICE;
		}
		run_case(&c);
	}
}

/* The address entries stand beside the vips and are none. */
static void addresses_are_no_vips(void **state)
{
	struct wm_vip vips[16];
	const __be32 nobody[4] = { 1 };

	(void)state;
	prog_need_root();
	assert_int_equal(wm_dp__vips(dp, vips, 16), 7);
	for (int i = 0; i < 7; i++)
		assert_true(vips[i].proto && vips[i].number);
	wm_dp__address_own(dp, nobody, WM_IPV4, true);
	assert_false(wm_dp__address_is_own(dp, nobody, WM_IPV4));
}

/* --- what fits --- */

/* Packets for it may leave by this interface only; 0: by any. */
static void set_only(uint16_t id, uint32_t ifindex, uint16_t frame)
{
	struct wm_dest dest = *wm_dp__dest(dp, id);

	dest.only = ifindex;
	dest.only_frame = frame;
	dest.max_frame = ifindex ? 0 : UINT16_MAX;
	wm_dp__dest_set(dp, id, &dest);
}

/* By the ring and by its mark, at a limit of `max_frame`. */
static void send_at_limit(const struct packet_case *c, uint16_t id, int max_frame)
{
	struct wm_dest dest = *wm_dp__dest(dp, id);
	struct packet_case limited = *c;

	dest.max_frame = max_frame;
	wm_dp__dest_set(dp, id, &dest);
	run_case(&limited);
	limited.mark = MARK(id);
	limited.counters[0] = c->verdict == XDP_TX ? WM_C_TX_MARKED : WM_C_DROP_MTU;
	limited.counters[1] = -1;
	run_case(&limited);
}

static void a_frame_that_does_not_fit_is_dropped(void **state)
{
	static const struct packet_case fits[] = {
		{ "4in4", { WEB, .flags = ACK, .payload = 1460 }, 0, XDP_TX, "172.16.104.123",
		  "10.200.2.11", TX_MISS },
		{ "6in6", { WEB6, .flags = ACK, .payload = 1440 }, 0, XDP_TX, "100::7a69:1",
		  "fd00:200:2::11", TX_MISS },
		{ "padding counts", { DNS, .payload = 1, .padding = 1471 }, 0, XDP_TX,
		  "172.16.215.45", "10.200.2.12", TX_MISS },
	};
	static const uint16_t id[] = { DEST_WEB, DEST_WEB6, DEST_DNS };

	(void)state;
	prog_need_root();
	for (size_t i = 0; i < sizeof(fits) / sizeof(*fits); i++) {
		struct packet_case c = fits[i];

		send_at_limit(&c, id[i], 1514);
		c.verdict = XDP_DROP;
		c.counters[0] = WM_C_DROP_MTU;
		send_at_limit(&c, id[i], 1513);
	}
}

/* The interface of a test's packets is the loopback device's. */
static void a_real_that_one_interface_leads_to_gets_its_packets(void **state)
{
	static const struct packet_case web = {
		"4in4", { WEB, .flags = ACK, .payload = 10 }, 0, XDP_TX, "172.16.104.123",
		"10.200.2.11", TX_MISS
	};
	const int loopback = 1, other = 7, fits = 14 + 40 + 10;
	struct packet_case lost = web;

	(void)state;
	prog_need_root();
	set_only(DEST_WEB, loopback, fits);
	run_case(&web);
	lost.verdict = XDP_DROP;
	lost.counters[0] = WM_C_DROP_MTU;
	set_only(DEST_WEB, loopback, fits - 1);
	run_case(&lost);
	lost.counters[0] = WM_C_DROP_UPLINK;
	set_only(DEST_WEB, other, fits);
	run_case(&lost);
	lost.mark = MARK(DEST_WEB);
	lost.counters[1] = -1;
	run_case(&lost);
	set_only(DEST_WEB, 0, 0);
	run_case(&web);
}

static void trusted_marks_skip_the_destination_check(void **state)
{
	struct packet_spec spec = { WEB, .flags = ACK };
	int counters[] = { WM_C_TX_MARKED, -1 };
	struct frame in, out, want;

	(void)state;
	prog_need_root();
	packet_build(&spec, &in);
	wm_dp__ctl(dp)->flags |= WM_CTL_TRUST_MARKS;
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, MARK(DEST_THREE), &out), XDP_TX);
	prog_expect_counters(dp, counters, "trusted");
	packet_wrap(&in, "172.16.104.123", "10.200.2.21", &want);
	assert_same_frame(&out, &want, "trusted");
	/* but control packets still are for the flow table */
	spec.flags = SYN;
	packet_build(&spec, &in);
	prog_run(wm_dp__prog_fd(dp), &in, MARK(DEST_WEB), &out);
	prog_expect_counters(dp, (int[]){ WM_C_MARK_CONTROL, WM_C_TX_SYN, WM_C_FLOW_INSERT, -1 },
			     "trusted syn");
}

/* An outer IPv4 header with other second words, its checksum from scratch. */
static void set_outer_df(struct frame *f, uint16_t id, uint16_t frag)
{
	uint8_t *ip = f->data + 14;
	uint32_t sum = 0;

	memcpy(ip + 4, (uint8_t[]){ id >> 8, id, frag >> 8, frag, ip[8], ip[9], 0, 0 }, 8);
	for (int i = 0; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	memcpy(ip + 10, (uint8_t[]){ sum >> 8, sum }, 2);
}

static void outer_df_is_the_inner_one_where_that_is_asked_for(void **state)
{
	static const struct {
		struct packet_case is;
		uint16_t id, frag; /* outside */
	} df[] = {
		{ { "DF", { WEB, .frag = 0x4000 }, 0, 0, "172.16.104.123", "10.200.2.11", {} },
		  0, 0x4000 },
		{ { "DF, marked", { WEB, .frag = 0x4000, .id = 9 }, MARK(DEST_WEB), 0,
		    "172.16.104.123", "10.200.2.11", {} }, 9, 0x4000 },
		{ { "may be fragmented", { WEB, .id = 0xfedc }, 0, 0, "172.16.104.123",
		    "10.200.2.11", {} }, 0xfedc, 0 },
		{ { "marked udp", { DNS, .id = 0xffff, .frag = 0x4000 },
		    MARK(DEST_DNS), 0, "172.16.215.45", "10.200.2.12", {} }, 0xffff, 0x4000 },
		{ { "a bit that means nothing", { WEB, .frag = 0xc000 }, 0, 0, "172.16.104.123",
		    "10.200.2.11", {} }, 0, 0x4000 },
		{ { "options", { WEB, .options = 3, .frag = 0x4000, .id = 1 }, 0, 0,
		    "172.16.104.123", "10.200.2.11", {} }, 1, 0x4000 },
		{ { "6in4",
		    { .src = "fc00:2::1", .sport = 31337, .dst = "fd00:200:1::2", .dport = 443 },
		    0, 0, "172.16.105.123", "10.200.2.13", {} }, 0, 0x4000 },
		{ { "6in4, marked",
		    { .src = "fc00:2::1", .sport = 31337, .dst = "fd00:200:1::2", .dport = 443 },
		    MARK(DEST_V6V4), 0, "172.16.105.123", "10.200.2.13", {} }, 0, 0x4000 },
		{ { "6in6 has no such fields", { WEB6 }, 0, 0, "100::7a69:1", "fd00:200:2::11",
		    {} }, 0, 0 },
	};
	struct frame in, out, want;

	(void)state;
	prog_need_root();
	for (size_t i = 0; i < 2 * sizeof(df) / sizeof(*df); i++) {
		const struct packet_case *c = &df[i / 2].is;

		/* every other time without */
		wm_dp__ctl(dp)->flags ^= WM_CTL_COPY_DF;
		packet_build(&c->in, &in);
		assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, c->mark, &out), XDP_TX);
		packet_wrap(&in, c->outer_src, c->real, &want);
		if (i % 2 == 0 && !strchr(c->real, ':'))
			set_outer_df(&want, df[i / 2].id, df[i / 2].frag);
		assert_same_frame(&out, &want, c->name);
	}
}

static void outer_checksums_are_right_for_every_identification(void **state)
{
	struct packet_spec spec = { WEB };
	struct frame in, out, want;

	(void)state;
	prog_need_root();
	wm_dp__ctl(dp)->flags |= WM_CTL_COPY_DF;
	for (uint32_t id = 0; id < 1 << 16; id += 13) {
		spec.id = id;
		spec.frag = id & 1 ? 0x4000 : 0;
		packet_build(&spec, &in);
		prog_run(wm_dp__prog_fd(dp), &in, MARK(DEST_WEB), &out);
		packet_wrap(&in, "172.16.104.123", "10.200.2.11", &want);
		set_outer_df(&want, id, spec.frag);
		assert_same_frame(&out, &want, "identification");
	}
}

static void metadata_of_any_size_is_dropped(void **state)
{
	struct packet_spec spec = {
		.src = "10.0.0.1", .sport = 1, .dst = "10.200.9.1", .dport = 80,
	};
	struct xdp_md ctx = {};
	struct frame in, out;
	uint8_t data[4096];

	(void)state;
	prog_need_root();
	packet_build(&spec, &in);
	for (size_t meta = 4; meta <= 32; meta += 4) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = meta + in.len,
			    .data_out = out.data, .data_size_out = sizeof(out.data), .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx));

		ctx.data = meta;
		ctx.data_end = meta + in.len;
		memset(data, 0, meta);
		memcpy(data + meta, in.data, in.len);
		assert_int_equal(bpf_prog_test_run_opts(wm_dp__prog_fd(dp), &run), 0);
		assert_int_equal(run.retval, XDP_PASS);
		out.len = run.data_size_out;
		assert_same_frame(&out, &in, "metadata");
	}
}

/* --- flows --- */

struct seen {
	struct wm_event event[64];
	int n;
};
static struct seen seen;

static void on_event(void *arg, const struct wm_event *event)
{
	struct seen *s = arg;

	if (s->n < 64)
		s->event[s->n++] = *event;
}

static void listen_to_events(void)
{
	const struct wm_dp_event_hooks hooks = { .event = on_event, .arg = &seen };
	struct wm_err err = {};

	if (wm_dp__events_open(dp, &hooks, &err))
		fail_msg("%s", err.text);
	seen.n = 0;
}

static int events(void)
{
	seen.n = 0;
	assert_true(wm_dp__events_consume(dp) >= 0);
	return seen.n;
}

static const char *const three[] = { "10.200.2.21", "10.200.2.22", "10.200.2.23" };
#define THREE_FROM(port) .src = "10.1.2.3", .sport = (port), .dst = "10.200.1.4", .dport = 80
#define THREE THREE_FROM(4000)

/* Sends and returns which of the three reals got it. */
static int send_three(const struct packet_spec *spec)
{
	struct frame in, out;
	uint32_t real;

	packet_build(spec, &in);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, 0, &out), XDP_TX);
	memcpy(&real, out.data + 30, sizeof(real));
	for (int i = 0; i < 3; i++)
		if (real == inet_addr(three[i]))
			return i;
	fail_msg("sent to an address that is none of the reals");
	return -1;
}

static void every_flow_goes_where_the_ring_says(void **state)
{
	uint32_t used[3] = {};

	(void)state;
	prog_need_root();
	srand(1);
	for (int i = 0; i < 2000; i++) {
		char src[16];
		struct packet_spec spec = { .src = src, .sport = rand(), .dst = "10.200.1.4",
					    .dport = 80, .flags = SYN };
		uint32_t slot;
		int real;

		snprintf(src, sizeof(src), "10.%u.%u.%u", rand() & 255u, rand() & 255u,
			 rand() & 255u);
		slot = wm_slot_v4(inet_addr(src), wm_ports(htons(spec.sport), htons(80)),
				  WM_RING_SEED_V4);
		real = send_three(&spec);
		assert_int_equal(real, slot % 3);
		used[real]++;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(used[i], 500, 800);
}

static void a_known_flow_stays_when_the_ring_changes(void **state)
{
	struct packet_spec spec = { THREE, .flags = SYN };
	int real, other;

	(void)state;
	prog_need_root();
	real = send_three(&spec);
	other = (real + 1) % 3;
	fill_ring(7, DEST_THREE + other, 1);
	spec.flags = ACK;
	prog_expect_counters(dp, NULL, "");
	assert_int_equal(send_three(&spec), real);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, -1 }, "known flow");
	/* A new connection of the same ports asks the ring again. */
	spec.flags = FIN | ACK;
	assert_int_equal(send_three(&spec), real);
	spec.flags = SYN;
	assert_int_equal(send_three(&spec), other);
	spec.flags = ACK;
	assert_int_equal(send_three(&spec), other);
}

static void a_flow_whose_real_is_gone_moves(void **state)
{
	struct packet_spec spec = { THREE, .flags = SYN };
	int real;

	(void)state;
	prog_need_root();
	real = send_three(&spec);
	fill_ring(7, DEST_THREE + (real + 1) % 3, 1);
	wm_dp__dest_clear(dp, DEST_THREE + real);
	spec.flags = ACK;
	prog_expect_counters(dp, NULL, "");
	assert_int_equal(send_three(&spec), (real + 1) % 3);
	prog_expect_counters(dp, (int[]){ WM_C_FLOW_DEAD, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 },
			     "dead real");
	assert_int_equal(send_three(&spec), (real + 1) % 3);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, -1 }, "moved");
}

/* An id that now serves another vip is not followed, even live. */
static void an_entry_never_leads_to_another_vip(void **state)
{
	struct packet_spec spec = { THREE, .flags = SYN };
	int real;

	(void)state;
	prog_need_root();
	real = send_three(&spec);
	put_dest(DEST_THREE + real, NUMBER_WEB, "10.200.1.1", 80, IPPROTO_TCP, "10.200.2.77");
	fill_ring(7, DEST_THREE + (real + 1) % 3, 1);
	spec.flags = ACK;
	assert_int_equal(send_three(&spec), (real + 1) % 3);
}

static void the_nth_packet_raises_one_event(void **state)
{
	struct packet_spec spec = { THREE, .flags = SYN };
	struct wm_flow flow = prog_flow(&spec);
	int real = 0;

	(void)state;
	prog_need_root();
	listen_to_events();
	real = send_three(&spec);
	spec.flags = ACK;
	for (int i = 2; i < N; i++)
		send_three(&spec);
	assert_int_equal(events(), 0);
	prog_expect_counters(dp, NULL, "");
	send_three(&spec);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, WM_C_EVENT_PROMOTE, -1 }, "threshold");
	assert_int_equal(events(), 1);
	assert_int_equal(seen.event[0].type, WM_EVENT_PROMOTE);
	assert_int_equal(seen.event[0].mark, MARK(DEST_THREE + real));
	assert_memory_equal(&seen.event[0].flow, &flow, sizeof(flow));
	assert_true(seen.event[0].hash == wm_dp__flow_hash(dp, &flow));
}

static uint64_t *entry_of(const struct wm_flow *flow);

static void make_older(const struct wm_flow *flow, uint32_t ticks)
{
	uint64_t *entry = entry_of(flow);
	uint64_t age = *entry >> WM_FLOW_AGE_SHIFT & WM_FLOW_AGE_MASK;
	uint64_t mask = (uint64_t)WM_FLOW_AGE_MASK << WM_FLOW_AGE_SHIFT;

	*entry = (*entry & ~mask) | (((age - ticks) & WM_FLOW_AGE_MASK) << WM_FLOW_AGE_SHIFT);
}

static void a_proven_flow_is_named_again_next_tick(void **state)
{
	struct packet_spec spec = { THREE, .flags = ACK };
	struct wm_flow flow = prog_flow(&spec);

	(void)state;
	prog_need_root();
	listen_to_events();
	for (int i = 0; i < N; i++)
		send_three(&spec);
	assert_int_equal(events(), 1);
	make_older(&flow, 3);
	send_three(&spec);
	assert_int_equal(events(), 1);
	assert_int_equal(seen.event[0].type, WM_EVENT_PROMOTE);
	/* and after the daemon's reset it has to prove itself anew */
	wm_dp__flow_restart(dp, &flow);
	for (int i = 1; i < N; i++)
		send_three(&spec);
	assert_int_equal(events(), 0);
	send_three(&spec);
	assert_int_equal(events(), 1);
}

static void ipv6_events_carry_whole_addresses(void **state)
{
	struct packet_spec spec = { .src = "fc00:2:3:4:5:6:7:8", .sport = 9, .dst = "fd00:200:1::1",
				    .dport = 80, .flags = ACK };
	struct wm_flow flow = prog_flow(&spec);
	struct frame in, out;

	(void)state;
	prog_need_root();
	listen_to_events();
	packet_build(&spec, &in);
	for (int i = 0; i < N; i++)
		prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
	assert_int_equal(events(), 1);
	assert_memory_equal(&seen.event[0].flow, &flow, sizeof(flow));
	assert_int_equal(seen.event[0].mark, MARK(DEST_WEB6));
}

static void no_events_without_a_threshold(void **state)
{
	struct packet_spec spec = { THREE, .flags = ACK };

	(void)state;
	prog_need_root();
	listen_to_events();
	wm_dp__ctl(dp)->promote_after = 0;
	for (int i = 0; i < 3 * N; i++)
		send_three(&spec);
	spec.flags = FIN | ACK;
	send_three(&spec);
	assert_int_equal(events(), 0);
}

static void the_event_budget_holds_back_promotions_only(void **state)
{
	struct packet_spec named = { THREE_FROM(4001), .flags = ACK };
	struct packet_spec spec = { THREE, .flags = ACK };

	(void)state;
	prog_need_root();
	listen_to_events();
	wm_dp__ctl(dp)->promote_after = 2;
	wm_dp__ctl(dp)->event_budget = 1;
	send_three(&named);
	send_three(&named);
	assert_int_equal(events(), 1);
	wm_dp__ctl(dp)->event_budget = 0;
	send_three(&spec);
	prog_expect_counters(dp, NULL, "");
	send_three(&spec);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, WM_C_EVENT_HELD, -1 }, "budget");
	assert_int_equal(events(), 0);
	/* the end of a flow that may have a rule is named all the same */
	named.flags = FIN | ACK;
	send_three(&named);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, WM_C_EVENT_CLOSE, -1 }, "end");
	assert_int_equal(events(), 1);
	/* and that of one of which nobody heard has nothing to be told */
	spec.flags = FIN | ACK;
	send_three(&spec);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, -1 }, "end of a flow without a rule");
}

/* A flow proves itself and nobody reads: what becomes of the event is this counter. */
static void prove_unheard(struct packet_spec *spec, int counter)
{
	for (int i = 1; i < N; i++)
		send_three(spec);
	prog_expect_counters(dp, NULL, "");
	send_three(spec);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, counter, -1 }, "no reader");
}

static void an_event_waits_for_its_reader(void **state)
{
	struct packet_spec spec = { THREE, .flags = ACK };

	(void)state;
	prog_need_root();
	prove_unheard(&spec, WM_C_EVENT_PROMOTE);
	listen_to_events();
	assert_int_equal(events(), 1);
	assert_int_equal(events(), 0);
}

/* Flows that raise one event each, from source port `first` on. */
static void raise_events(int first, int n)
{
	for (int i = 0; i < n; i++) {
		struct packet_spec spec = { THREE, .flags = ACK };

		spec.sport = first + i;
		send_three(&spec);
		send_three(&spec);
	}
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/* Each CPU has a perf buffer of its own. */
static void stay_on_this_cpu(cpu_set_t *before)
{
	cpu_set_t one;

	assert_int_equal(sched_getaffinity(0, sizeof(*before), before), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void full_events_wake_then_are_lost_and_cost_no_packet(void **state)
{
	const struct wm_dp_options options = {
		.dest_bits = BITS, .flow_buckets = 2048, .cpus = 1, .perf_events = how.perf,
	};
	/* The ring keeps one record free, a perf buffer a byte; the latter's have a length. */
	const int fit = how.perf ? (WM_EVENTS_BYTES_A_CPU - 1) / (sizeof(struct wm_event) + 16) :
				   WM_EVENTS_BYTES_A_CPU / (sizeof(struct wm_event) + 8) - 1;
	struct packet_spec spec = { THREE, .flags = ACK };
	struct wm_err err = {};
	cpu_set_t before;

	prog_need_root();
	stay_on_this_cpu(&before);
	teardown(state);
	assert_int_equal(wm_dp__open(&dp, &options, &err), 0);
	put_dests();
	publish();
	wm_dp__ctl(dp)->promote_after = 2;
	wm_dp__ctl(dp)->event_budget = 2 * fit;
	listen_to_events();
	raise_events(1000, fit / 2);
	assert_false(readable(wm_dp__events_fd(dp), 0));
	raise_events(1000 + fit / 2, fit - fit / 2);
	assert_true(readable(wm_dp__events_fd(dp), 10000));
	spec.sport = 999;
	send_three(&spec);
	prog_expect_counters(dp, NULL, "");
	send_three(&spec);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, WM_C_EVENT_LOST, -1 }, "ring full");
	assert_int_equal(wm_dp__events_consume(dp), fit);
	assert_int_equal(events(), 0);
	spec.sport = 998;
	send_three(&spec);
	send_three(&spec);
	assert_int_equal(events(), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

/* A perf buffer is its reader's: before and after there is none. */
static void without_a_reader_perf_events_are_lost(void **state)
{
	struct packet_spec spec = { THREE, .flags = ACK };

	(void)state;
	prog_need_root();
	prove_unheard(&spec, WM_C_EVENT_LOST);
	listen_to_events();
	assert_int_equal(events(), 0);
	spec.sport = 998;
	for (int i = 0; i < N; i++)
		send_three(&spec);
	assert_int_equal(events(), 1);
}

static void the_end_of_a_proven_flow_is_named_once(void **state)
{
	struct packet_spec spec = { THREE, .flags = ACK };

	(void)state;
	prog_need_root();
	listen_to_events();
	for (int i = 0; i < N; i++)
		send_three(&spec);
	assert_int_equal(events(), 1);
	spec.flags = FIN | ACK;
	send_three(&spec);
	assert_int_equal(events(), 1);
	assert_int_equal(seen.event[0].type, WM_EVENT_CLOSE);
	send_three(&spec);
	spec.flags = RST;
	send_three(&spec);
	spec.flags = ACK;
	send_three(&spec);
	assert_int_equal(events(), 0);
}

static void the_end_of_a_short_flow_is_not_named(void **state)
{
	struct packet_spec spec = { THREE, .flags = SYN };

	(void)state;
	prog_need_root();
	listen_to_events();
	send_three(&spec);
	spec.flags = RST;
	send_three(&spec);
	assert_int_equal(events(), 0);
}

/* --- one connection, one real --- */

static uint8_t state_of(const struct wm_flow *flow)
{
	struct wm_flow_slot slot;

	return wm_dp__flow_find(dp, flow, &slot) ? slot.state : 0;
}

/* A connection from its SYN on, with so many packets after it, and then the ring leads
 * elsewhere. Returns its real. */
static int begin(struct packet_spec *spec, int packets)
{
	int real;

	fill_ring(7, DEST_THREE, 3);
	spec->flags = SYN;
	real = send_three(spec);
	spec->flags = ACK;
	for (int i = 0; i < packets; i++)
		assert_int_equal(send_three(spec), real);
	fill_ring(7, DEST_THREE + (real + 1) % 3, 1);
	return real;
}

static int send_flags(struct packet_spec *spec, uint8_t flags)
{
	spec->flags = flags;
	return send_three(spec);
}

static void a_syn_after_the_end_asks_the_ring(void **state)
{
	static const uint8_t ends[] = { FIN | ACK, RST, RST | ACK };

	(void)state;
	prog_need_root();
	for (int packets = 0; packets < N - 1; packets++) {
		for (size_t end = 0; end < sizeof(ends); end++) {
			struct packet_spec spec = { THREE_FROM(1000 + 8 * packets + end) };
			struct wm_flow flow = prog_flow(&spec);
			int real = begin(&spec, packets);

			assert_int_equal(send_flags(&spec, ends[end]), real);
			assert_int_equal(state_of(&flow), WM_FLOW_CLOSED);
			assert_int_equal(send_flags(&spec, ACK), real);
			assert_int_equal(send_flags(&spec, SYN), (real + 1) % 3);
			assert_int_equal(send_flags(&spec, ACK), (real + 1) % 3);
		}
	}
}

/* A rule may still send the flow's data packets to the old real: the new connection must
 * not be split between two, and the one after it is free. */
static void a_syn_after_the_end_of_a_flow_with_a_rule_waits_for_the_rule(void **state)
{
	struct packet_spec spec = { THREE };
	struct wm_flow flow = prog_flow(&spec);
	int real;

	(void)state;
	prog_need_root();
	listen_to_events();
	real = begin(&spec, N);
	assert_int_equal(state_of(&flow), WM_FLOW_PROMOTED);
	assert_int_equal(events(), 1);
	assert_int_equal(send_flags(&spec, FIN | ACK), real);
	assert_int_equal(state_of(&flow), WM_FLOW_CLOSING);
	assert_int_equal(events(), 1);
	assert_int_equal(send_flags(&spec, SYN), real);
	assert_int_equal(state_of(&flow), WM_FLOW_PROMOTED);
	assert_int_equal(events(), 1);
	assert_int_equal(seen.event[0].type, WM_EVENT_CLOSE);
	assert_memory_equal(&seen.event[0].flow, &flow, sizeof(flow));
	/* The daemon says that the rule is gone; the connection stays where it began. */
	wm_dp__flow_restart(dp, &flow);
	assert_int_equal(send_flags(&spec, SYN), real);
	assert_int_equal(send_flags(&spec, ACK), real);
	assert_int_equal(send_flags(&spec, FIN | ACK), real);
	assert_int_equal(send_flags(&spec, SYN), (real + 1) % 3);
	assert_int_equal(events(), 0);
	/* Or it is gone before the next connection begins. */
	real = begin(&spec, N);
	assert_int_equal(send_flags(&spec, RST), real);
	wm_dp__flow_restart(dp, &flow);
	assert_int_equal(state_of(&flow), WM_FLOW_CLOSED);
	assert_int_equal(send_flags(&spec, SYN), (real + 1) % 3);
}

static void a_duplicate_syn_moves_nothing(void **state)
{
	(void)state;
	prog_need_root();
	listen_to_events();
	for (int packets = 0; packets <= N + 1; packets++) {
		struct packet_spec spec = { THREE_FROM(2000 + packets) };
		struct wm_flow flow = prog_flow(&spec);
		int real = begin(&spec, packets), before = state_of(&flow);

		make_older(&flow, 120);
		assert_int_equal(send_flags(&spec, SYN), real);
		assert_int_equal(state_of(&flow), before);
		assert_int_equal(send_flags(&spec, ACK), real);
		assert_int_equal(send_flags(&spec, SYN), real);
	}
	for (int n = events(); n--;)
		assert_int_equal(seen.event[n].type, WM_EVENT_PROMOTE);
}

static void set_away(uint16_t id, bool away)
{
	struct wm_dest dest = *wm_dp__dest(dp, id);

	dest.only = wm_dest_only(&dest) | (away ? WM_DEST_AWAY : 0);
	wm_dp__dest_set(dp, id, &dest);
}

/* Its client tries once more, and not the same server. What is under way stays. */
static void a_syn_leaves_a_real_that_is_away(void **state)
{
	(void)state;
	prog_need_root();
	for (int packets = 0; packets < N - 2; packets++) { /* and one more below: not proven */
		struct packet_spec spec = { THREE_FROM(3000 + packets) };
		int real = begin(&spec, packets);

		set_away(DEST_THREE + real, true);
		assert_int_equal(send_flags(&spec, ACK), real);
		assert_int_equal(send_flags(&spec, SYN), (real + 1) % 3);
		assert_int_equal(send_flags(&spec, ACK), (real + 1) % 3);
		set_away(DEST_THREE + real, false);
		assert_int_equal(send_flags(&spec, SYN), (real + 1) % 3);
	}
}

/* A rule would send the data that follow to the old real. */
static void a_syn_of_a_flow_with_a_rule_stays_also_then(void **state)
{
	struct packet_spec spec = { THREE_FROM(3100) };
	int real;

	(void)state;
	prog_need_root();
	real = begin(&spec, N);
	set_away(DEST_THREE + real, true);
	assert_int_equal(send_flags(&spec, SYN), real);
	set_away(DEST_THREE + real, false);
}

/* The tick began on another CPU first: that is no great age. */
static void an_entry_of_the_next_tick_is_young(void **state)
{
	struct packet_spec spec = { THREE }, udp = { DNS };
	struct wm_flow flow = prog_flow(&spec), udp_flow = prog_flow(&udp);
	struct frame in, out;
	int real;

	(void)state;
	prog_need_root();
	real = begin(&spec, 3);
	make_older(&flow, -1);
	assert_int_equal(send_flags(&spec, SYN), real);
	packet_build(&udp, &in);
	prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
	make_older(&udp_flow, -1);
	prog_expect_counters(dp, NULL, "");
	prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, -1 }, "written a moment ago");
}

static void a_syn_too_late_for_a_duplicate_begins_a_connection(void **state)
{
	struct packet_spec spec = { THREE };
	struct wm_flow flow = prog_flow(&spec);
	int real;

	(void)state;
	prog_need_root();
	real = begin(&spec, 3);
	make_older(&flow, 121);
	assert_int_equal(send_flags(&spec, SYN), (real + 1) % 3);
	/* unless there may be a rule, which is then asked to go */
	listen_to_events();
	assert_int_equal(send_flags(&spec, RST), (real + 1) % 3);
	real = begin(&spec, N);
	assert_int_equal(events(), 1);
	make_older(&flow, 121);
	assert_int_equal(send_flags(&spec, SYN), real);
	assert_int_equal(events(), 1);
	assert_int_equal(seen.event[0].type, WM_EVENT_CLOSE);
	wm_dp__flow_restart(dp, &flow);
	make_older(&flow, 121);
	assert_int_equal(send_flags(&spec, SYN), (real + 1) % 3);
}

/* A change of the threshold does not make a rule forgotten. */
static void a_flow_with_a_rule_stays_whatever_the_threshold_is(void **state)
{
	struct packet_spec spec = { THREE };
	int real;

	(void)state;
	prog_need_root();
	real = begin(&spec, N);
	for (uint32_t threshold = 0; threshold <= 200; threshold += 100) {
		wm_dp__ctl(dp)->promote_after = threshold;
		assert_int_equal(send_flags(&spec, FIN), real);
		assert_int_equal(send_flags(&spec, SYN), real);
	}
}

static void an_event_that_nobody_hears_promotes_nothing(void **state)
{
	struct packet_spec spec = { THREE };
	struct wm_flow flow = prog_flow(&spec);

	(void)state;
	prog_need_root();
	listen_to_events();
	wm_dp__ctl(dp)->event_budget = 0;
	begin(&spec, N + 2);
	assert_int_equal(state_of(&flow), N);
	assert_int_equal(events(), 0);
	wm_dp__ctl(dp)->event_budget = 1;
	make_older(&flow, 1);
	send_three(&spec);
	assert_int_equal(state_of(&flow), WM_FLOW_PROMOTED);
	assert_int_equal(events(), 1);
}

/* A vip of one port is put beside the vip of every port: marks send the flow's data to the
 * old real, and so do SYN and FIN. */
static void a_flow_keeps_its_real_when_a_narrower_vip_appears(void **state)
{
	struct packet_spec spec = { .src = "10.9.9.9", .sport = 9, .dst = "10.200.1.2",
				    .dport = 80 };
	const struct wm_vip vips[] = {
		prog_vip("10.200.1.2", 0, IPPROTO_TCP, NUMBER_ANY, 4),
		prog_vip("10.200.1.2", 80, IPPROTO_TCP, NUMBER_WEB, 1),
	};
	static const uint8_t flags[] = { ACK, SYN, FIN | ACK, ACK };
	struct wm_flow flow = prog_flow(&spec);
	struct wm_flow_slot slot;
	struct frame in, out;

	(void)state;
	prog_need_root();
	put_dest(DEST_WEB, NUMBER_WEB, "10.200.1.2", 80, IPPROTO_TCP, "10.200.2.11");
	prog_publish(dp, vips, 1);
	spec.flags = SYN;
	packet_build(&spec, &in);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, 0, &out), XDP_TX);
	prog_publish(dp, vips, 2);
	for (size_t i = 0; i < sizeof(flags); i++) {
		spec.flags = flags[i];
		packet_build(&spec, &in);
		assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, 0, &out), XDP_TX);
		assert_true(wm_dp__flow_find(dp, &flow, &slot));
		assert_int_equal(slot.dest, DEST_ANY);
	}
	spec.flags = SYN;
	packet_build(&spec, &in);
	prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
	assert_true(wm_dp__flow_find(dp, &flow, &slot));
	assert_int_equal(slot.dest, DEST_WEB);
}

/* The packets of a flow with a rule write no entry. */
static void udp_with_a_rule_is_never_idle(void **state)
{
	struct packet_spec spec = { DNS };
	struct wm_flow flow = prog_flow(&spec);
	struct wm_flow_slot slot;
	struct frame in, out;

	(void)state;
	prog_need_root();
	packet_build(&spec, &in);
	for (int i = 0; i < N; i++)
		prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
	assert_int_equal(state_of(&flow), WM_FLOW_PROMOTED);
	make_older(&flow, 1000);
	prog_expect_counters(dp, NULL, "");
	prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, WM_C_EVENT_PROMOTE, -1 }, "with a rule");
	/* It was in use until its rule went. */
	make_older(&flow, 1000);
	wm_dp__flow_restart(dp, &flow);
	assert_true(wm_dp__flow_find(dp, &flow, &slot));
	assert_int_equal(slot.state, 0);
	assert_in_range(slot.idle_ticks, 0, 1);
}

static void a_rule_keeps_its_entry(void **state)
{
	struct packet_spec spec = { THREE };
	struct wm_flow flow = prog_flow(&spec);
	struct wm_flow_slot slot;

	(void)state;
	prog_need_root();
	/* entered where it is missing, and over what is only counted */
	assert_true(wm_dp__flow_keep(dp, &flow, DEST_THREE + 2));
	assert_int_equal(send_flags(&spec, SYN), 2);
	wm_dp__flow_restart(dp, &flow);
	assert_int_equal(state_of(&flow), 0);
	assert_true(wm_dp__flow_keep(dp, &flow, DEST_THREE + 1));
	assert_true(wm_dp__flow_find(dp, &flow, &slot));
	assert_int_equal(slot.state, WM_FLOW_PROMOTED);
	assert_int_equal(slot.dest, DEST_THREE + 1);
	make_older(&flow, 50);
	assert_true(wm_dp__flow_keep(dp, &flow, DEST_THREE + 1));
	assert_true(wm_dp__flow_find(dp, &flow, &slot));
	assert_in_range(slot.idle_ticks, 0, 1);
	/* but not once the flow has ended */
	assert_int_equal(send_flags(&spec, FIN), 1);
	assert_false(wm_dp__flow_keep(dp, &flow, DEST_THREE + 1));
	wm_dp__flow_restart(dp, &flow);
	assert_int_equal(state_of(&flow), WM_FLOW_CLOSED);
	/* If there is a rule all the same, no SYN may move it before that is gone. */
	assert_false(wm_dp__flow_keep(dp, &flow, DEST_THREE + 1));
	assert_int_equal(state_of(&flow), WM_FLOW_CLOSING);
}

static void idle_udp_is_looked_up_anew(void **state)
{
	struct packet_spec spec = { DNS };
	struct wm_flow flow = prog_flow(&spec);
	struct wm_flow_slot slot;
	struct frame in, out;
	int fd;

	(void)state;
	prog_need_root();
	fd = wm_dp__prog_fd(dp);
	packet_build(&spec, &in);
	prog_run(fd, &in, 0, &out);
	make_older(&flow, 30);
	prog_expect_counters(dp, NULL, "");
	prog_run(fd, &in, 0, &out);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, -1 }, "not idle for long enough");
	make_older(&flow, 40);
	prog_run(fd, &in, 0, &out);
	prog_expect_counters(dp, (int[]){ WM_C_FLOW_EXPIRED, WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 },
			     "idle");
	assert_true(wm_dp__flow_find(dp, &flow, &slot));
	assert_in_range(slot.idle_ticks, 0, 1);
	assert_int_equal(slot.state, 1);
	/* touched by the daemon, because the NIC saw packets */
	make_older(&flow, 40);
	assert_true(wm_dp__flow_keep(dp, &flow, DEST_DNS));
	prog_expect_counters(dp, NULL, "");
	prog_run(fd, &in, 0, &out);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, -1 }, "touched");
}

static void tcp_does_not_age(void **state)
{
	struct packet_spec spec = { THREE, .flags = ACK };
	struct wm_flow flow = prog_flow(&spec);

	(void)state;
	prog_need_root();
	send_three(&spec);
	make_older(&flow, 2000);
	prog_expect_counters(dp, NULL, "");
	send_three(&spec);
	prog_expect_counters(dp, (int[]){ WM_C_TX_HIT, -1 }, "old TCP");
}

/* --- the table itself --- */

static uint64_t *entry_of(const struct wm_flow *flow)
{
	/* The same memory as the program's; find it by walking the public view. */
	struct wm_flow_slot slot;
	uint64_t hash = wm_dp__flow_hash(dp, flow);

	assert_true(wm_dp__flow_find(dp, flow, &slot));
	for (int i = 0; i < 2 * WM_FLOW_WAYS; i++) {
		struct wm_flow_bucket *bucket = wm_dp__flow_bucket(dp, hash, i >= WM_FLOW_WAYS);

		if (bucket->way[i % WM_FLOW_WAYS] == slot.entry)
			return (uint64_t *)&bucket->way[i % WM_FLOW_WAYS];
	}
	fail_msg("entry not in its buckets");
	return NULL;
}

/* Two buckets, and 17 flows that have these two. */
enum { PAIR = 2 * WM_FLOW_WAYS, MORE = PAIR + 1 };

static void find_neighbours(struct packet_spec spec[MORE])
{
	struct wm_flow_bucket *one = NULL, *two = NULL;
	char *src = malloc(MORE * 16);
	int n = 0;

	for (uint32_t k = 0; n < MORE; k++) {
		struct packet_spec s = { THREE, .flags = ACK };
		struct wm_flow_bucket *a, *b;
		struct wm_flow flow;

		s.sport = 1 + k % 65000;
		s.src = src + 16 * n;
		snprintf(src + 16 * n, 16, "10.1.%u.3", k / 65000 & 255u);
		flow = prog_flow(&s);
		a = wm_dp__flow_bucket(dp, wm_dp__flow_hash(dp, &flow), false);
		b = wm_dp__flow_bucket(dp, wm_dp__flow_hash(dp, &flow), true);
		assert_ptr_not_equal(a, b);
		if (!n) {
			one = a;
			two = b;
		}
		if ((a == one && b == two) || (a == two && b == one))
			spec[n++] = s;
		assert_true(k < 10000000);
	}
	free_later = src;
}

static void fill_pair(struct packet_spec spec[MORE], struct wm_flow flow[MORE])
{
	struct wm_flow_slot slot;

	find_neighbours(spec);
	for (int i = 0; i < MORE; i++)
		flow[i] = prog_flow(&spec[i]);
	for (int i = 0; i < PAIR; i++)
		send_three(&spec[i]);
	for (int i = 0; i < PAIR; i++)
		assert_true(wm_dp__flow_find(dp, &flow[i], &slot));
	assert_int_equal(wm_dp__flow_count(dp), PAIR);
}

static void two_full_buckets_give_up_their_oldest(void **state)
{
	struct packet_spec spec[MORE];
	struct wm_flow flow[MORE];
	struct wm_flow_slot slot;

	(void)state;
	prog_need_root();
	fill_pair(spec, flow);
	make_older(&flow[5], 7);
	make_older(&flow[12], 3);
	prog_expect_counters(dp, NULL, "");
	send_three(&spec[PAIR]);
	prog_expect_counters(dp, (int[]){ WM_C_TX_MISS, WM_C_FLOW_INSERT, WM_C_FLOW_EVICT, -1 },
			     "full buckets");
	for (int i = 0; i < MORE; i++)
		assert_int_equal(wm_dp__flow_find(dp, &flow[i], &slot), i != 5);
}

/* Its entry is what keeps a flow with a rule together. */
static void a_flow_with_a_rule_makes_room_for_nobody(void **state)
{
	struct packet_spec spec[MORE];
	struct wm_flow flow[MORE];
	struct wm_flow_slot slot;

	(void)state;
	prog_need_root();
	wm_dp__ctl(dp)->rule_idle = 90;
	fill_pair(spec, flow);
	for (int i = 0; i < PAIR; i++) {
		for (int k = 1; i != 3 && k < N; k++)
			send_three(&spec[i]);
		if (i != 3)
			make_older(&flow[i], 80);
	}
	spec[8].flags = FIN;
	send_three(&spec[8]);
	prog_expect_counters(dp, NULL, "");
	send_three(&spec[PAIR]);
	prog_expect_counters(dp, (int[]){ WM_C_TX_MISS, WM_C_FLOW_INSERT, WM_C_FLOW_EVICT, -1 },
			     "the only one without a rule goes");
	assert_false(wm_dp__flow_find(dp, &flow[3], &slot));
	for (int k = 1; k < N; k++)
		send_three(&spec[PAIR]);
	prog_expect_counters(dp, NULL, "");
	send_three(&spec[3]);
	prog_expect_counters(dp, (int[]){ WM_C_TX_MISS, WM_C_FLOW_FULL, -1 }, "nobody may go");
	assert_false(wm_dp__flow_keep(dp, &flow[3], DEST_THREE));
	/* What the NIC has forgotten for long goes. */
	make_older(&flow[7], 20);
	send_three(&spec[3]);
	prog_expect_counters(dp, (int[]){ WM_C_TX_MISS, WM_C_FLOW_INSERT, WM_C_FLOW_EVICT, -1 },
			     "an entry older than any rule");
	assert_false(wm_dp__flow_find(dp, &flow[7], &slot));
	make_older(&flow[9], 20);
	assert_true(wm_dp__flow_keep(dp, &flow[7], DEST_THREE));
	assert_true(wm_dp__flow_find(dp, &flow[7], &slot));
}

static void a_closed_connection_goes_before_an_older_open_one(void **state)
{
	struct packet_spec spec[MORE];
	struct wm_flow flow[MORE];
	struct wm_flow_slot slot;

	(void)state;
	prog_need_root();
	fill_pair(spec, flow);
	make_older(&flow[1], 900);
	spec[6].flags = FIN | ACK;
	send_three(&spec[6]);
	send_three(&spec[PAIR]);
	for (int i = 0; i < MORE; i++)
		assert_int_equal(wm_dp__flow_find(dp, &flow[i], &slot), i != 6);
}

/* 8 bytes per flow at 80 % full: who was entered is found. */
static void a_table_that_is_full_to_80_percent_finds_its_flows(void **state)
{
	/* large enough that chance (the seed is random) plays no part: 130 flows of
	 * 204806 are expected to go, with a deviation of 12; 204 may */
	const struct wm_dp_options options = { .dest_bits = BITS, .flow_buckets = 32001 };
	const int flows = 8 * 32001 * 8 / 10;
	struct wm_dp *small = dp;
	struct wm_flow_slot slot;
	struct wm_err err = {};
	int found = 0;

	(void)state;
	prog_need_root();
	if (wm_dp__open(&dp, &options, &err))
		fail_msg("%s", err.text);
	put_dests();
	publish();
	for (int turn = 0; turn < 2; turn++) {
		for (int i = 0; i < flows; i++) {
			char src[16];
			struct packet_spec spec = { THREE, .flags = ACK };
			struct wm_flow flow;

			snprintf(src, sizeof(src), "10.%u.%u.%u", i >> 16 & 255u, i >> 8 & 255u,
				 i & 255u);
			spec.src = src;
			flow = prog_flow(&spec);
			if (!turn)
				send_three(&spec);
			else
				found += wm_dp__flow_find(dp, &flow, &slot);
		}
	}
	wm_dp__close(dp);
	dp = small;
	assert_in_range(found, flows * 0.999, flows);
}

static void sweeping_removes_just_the_named(void **state)
{
	uint64_t dests[1024] = {};
	struct packet_spec spec = { THREE, .flags = ACK };
	uint64_t before, per_dest[3] = {};

	(void)state;
	prog_need_root();
	for (int i = 0; i < 100; i++) {
		spec.sport = 1000 + i;
		per_dest[send_three(&spec)]++;
	}
	before = wm_dp__flow_count(dp);
	assert_int_equal(before, 100);
	dests[(DEST_THREE + 1) / 64] |= 1ull << (DEST_THREE + 1) % 64;
	assert_int_equal(wm_dp__flow_sweep(dp, dests), per_dest[1]);
	assert_int_equal(wm_dp__flow_count(dp), before - per_dest[1]);
	assert_int_equal(wm_dp__flow_sweep(dp, dests), 0);
}

/* --- vip table --- */

static void vip_number(int i, char addr[32])
{
	snprintf(addr, 32, i % 2 ? "10.77.%u.%u" : "fd77::%u:%u", i / 250 & 255u, i % 250 & 255u);
}

static void publish_many(struct wm_vip *vips, int n, int port)
{
	struct wm_err err = {};
	char addr[32];

	for (int i = 0; i < n; i++) {
		vip_number(i, addr);
		vips[i] = prog_vip(addr, port + i % 3, IPPROTO_TCP, NUMBER_EMPTY, 6);
	}
	if (wm_dp__vips_publish(dp, vips, n, &err))
		fail_msg("%s", err.text);
}

static int verdict_for(int i, int port)
{
	struct frame in, out;
	char addr[32];
	struct packet_spec spec = { .src = i % 2 ? "10.0.0.1" : "fc00::1", .sport = 1, .dst = addr,
				    .dport = port };

	vip_number(i, addr);
	packet_build(&spec, &in);
	return prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
}

static void many_vips_are_found_and_switched_at_once(void **state)
{
	enum { MANY = 500 };
	const struct wm_dp_options options = { .vip_bits = wm_dp__vip_bits(MANY) };
	struct wm_vip vips[MANY];

	prog_need_root();
	teardown(state);
	dp = prog_open(&options);
	for (int port = 80; port < 100; port += 10) {
		publish_many(vips, MANY, port);
		assert_int_equal(wm_dp__vips(dp, vips, MANY), MANY);
		for (int i = 0; i < MANY; i++) {
			prog_expect_counters(dp, NULL, "");
			assert_int_equal(verdict_for(i, port + i % 3), XDP_DROP);
			assert_int_equal(verdict_for(i, port + 3), XDP_DROP);
			assert_int_equal(verdict_for(i + MANY, port + i % 3), XDP_PASS);
			prog_expect_counters(dp, (int[]){ WM_C_DROP_NO_REAL, WM_C_DROP_NO_SERVICE,
							  WM_C_PASS_NOT_VIP, -1 }, "vip");
		}
	}
}

static void the_largest_configuration_fits(void **state)
{
	struct wm_vip *vips = calloc(WM_VIPS_MAX, sizeof(*vips));
	const struct wm_dp_options options = { .vip_bits = wm_dp__vip_bits(WM_VIPS_MAX) };
	struct wm_dp *small = dp;
	struct wm_err err = {};

	(void)state;
	prog_need_root();
	if (wm_dp__open(&dp, &options, &err))
		fail_msg("%s", err.text);
	publish_many(vips, WM_VIPS_MAX, 1);
	wm_dp__close(dp);
	dp = small;
	free(vips);
}

static void too_many_vips_change_nothing(void **state)
{
	const size_t n = 9000; /* more than the table's 8192 ways */
	struct wm_vip *vips = calloc(n, sizeof(*vips));
	struct wm_err err = {};

	(void)state;
	prog_need_root();
	for (size_t i = 0; i < n; i++)
		vips[i] = prog_vip("10.9.9.9", i + 1, IPPROTO_TCP, 1, 1);
	assert_int_equal(wm_dp__vips_publish(dp, vips, n, &err), -28 /* ENOSPC */);
	assert_non_null(strstr(err.text, "limits.vips"));
	assert_int_equal(wm_dp__vips(dp, NULL, 0), 7);
	free(vips);
	run_case(&cases[0]);
}

/* --- counters and noise --- */

static void counters_of_a_destination_add_up(void **state)
{
	struct packet_spec spec = { WEB, .flags = SYN };
	struct wm_dest_stats before, after;
	struct frame in, out;

	(void)state;
	prog_need_root();
	wm_dp__dest_stats_reset(dp, DEST_WEB);
	wm_dp__dest_stats(dp, DEST_WEB, &before);
	assert_int_equal(before.packets + before.bytes + before.flows + before.marked, 0);
	packet_build(&spec, &in);
	prog_run(wm_dp__prog_fd(dp), &in, 0, &out);
	spec.flags = ACK;
	spec.payload = 60;
	packet_build(&spec, &in);
	for (int i = 0; i < 3; i++)
		prog_run(wm_dp__prog_fd(dp), &in, MARK(DEST_WEB), &out);
	wm_dp__dest_stats(dp, DEST_WEB, &after);
	assert_int_equal(after.packets, 4);
	assert_int_equal(after.marked, 3);
	assert_int_equal(after.flows, 1);
	assert_int_equal(after.bytes, 40 + 3 * 100);
}

/* Mangled frames of any kind, marked at random: the verdict is one of three,
 * what is passed is untouched, and every packet is in exactly one verdict counter. */
static void noise_never_confuses_the_program(void **state)
{
	uint64_t counters[WM_COUNTERS_MAX], bytes, sum = 0, start = 0;
	const int rounds = 20000;

	(void)state;
	prog_need_root();
	srand(7);
	wm_dp__counters(dp, counters, &bytes);
	for (int c = WM_C_TX_MARKED; c <= WM_C_DROP_TOO_LONG; c++)
		start += counters[c];
	for (int i = 0; i < rounds; i++) {
		struct packet_spec spec = cases[rand() % (sizeof(cases) / sizeof(*cases))].in;
		uint32_t mark = rand() % 3 ? MARK(rand() % 16) : 0;
		struct frame in, out;
		int verdict;

		spec.payload += rand() % 64;
		packet_build(&spec, &in);
		for (int flips = rand() % 6; flips; flips--)
			in.data[12 + rand() % (in.len - 12)] ^= 1 << rand() % 8;
		in.len = 14 + rand() % (in.len - 13);
		verdict = run_marked(&in, mark, &out);
		assert_true(verdict == XDP_PASS || verdict == XDP_TX || verdict == XDP_DROP);
		if (verdict == XDP_PASS)
			assert_same_frame(&out, &in, "noise");
	}
	wm_dp__counters(dp, counters, &bytes);
	for (int c = WM_C_TX_MARKED; c <= WM_C_DROP_TOO_LONG; c++)
		sum += counters[c];
	assert_int_equal(sum - start, rounds);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_PERF(f) { #f ", events by perf", f, setup_perf, teardown, NULL }
#define TEST_MAC(f) { #f ", marks in source addresses", f, setup_mac, teardown, NULL }

static const struct CMUnitTest tests[] = {
	TEST(single_packets),
	TEST_PERF(single_packets),
	TEST_MAC(single_packets),
	TEST(the_stack_gets_nothing_of_a_vip),
	TEST(addresses_are_no_vips),
	TEST(only_frames_for_our_addresses_are_balanced),
	TEST(frames_for_all_are_not_balanced),
	TEST(a_frame_that_does_not_fit_is_dropped),
	TEST(a_real_that_one_interface_leads_to_gets_its_packets),
	TEST(trusted_marks_skip_the_destination_check),
	TEST(outer_df_is_the_inner_one_where_that_is_asked_for),
	TEST(outer_checksums_are_right_for_every_identification),
	TEST(metadata_of_any_size_is_dropped),
	TEST(every_flow_goes_where_the_ring_says),
	TEST(a_known_flow_stays_when_the_ring_changes),
	TEST(a_flow_whose_real_is_gone_moves),
	TEST(an_entry_never_leads_to_another_vip),
	TEST(the_nth_packet_raises_one_event),
	TEST_PERF(the_nth_packet_raises_one_event),
	TEST(a_proven_flow_is_named_again_next_tick),
	TEST_PERF(a_proven_flow_is_named_again_next_tick),
	TEST(ipv6_events_carry_whole_addresses),
	TEST_PERF(ipv6_events_carry_whole_addresses),
	TEST(no_events_without_a_threshold),
	TEST_PERF(no_events_without_a_threshold),
	TEST(the_event_budget_holds_back_promotions_only),
	TEST_PERF(the_event_budget_holds_back_promotions_only),
	TEST(an_event_waits_for_its_reader),
	TEST(full_events_wake_then_are_lost_and_cost_no_packet),
	TEST_PERF(full_events_wake_then_are_lost_and_cost_no_packet),
	TEST_PERF(without_a_reader_perf_events_are_lost),
	TEST(the_end_of_a_proven_flow_is_named_once),
	TEST_PERF(the_end_of_a_proven_flow_is_named_once),
	TEST(the_end_of_a_short_flow_is_not_named),
	TEST_PERF(the_end_of_a_short_flow_is_not_named),
	TEST(a_syn_after_the_end_asks_the_ring),
	TEST(a_syn_after_the_end_of_a_flow_with_a_rule_waits_for_the_rule),
	TEST_PERF(a_syn_after_the_end_of_a_flow_with_a_rule_waits_for_the_rule),
	TEST(a_duplicate_syn_moves_nothing),
	TEST_PERF(a_duplicate_syn_moves_nothing),
	TEST(a_syn_leaves_a_real_that_is_away),
	TEST(a_syn_of_a_flow_with_a_rule_stays_also_then),
	TEST(an_entry_of_the_next_tick_is_young),
	TEST(a_syn_too_late_for_a_duplicate_begins_a_connection),
	TEST(a_flow_with_a_rule_stays_whatever_the_threshold_is),
	TEST(an_event_that_nobody_hears_promotes_nothing),
	TEST_PERF(an_event_that_nobody_hears_promotes_nothing),
	TEST(a_flow_keeps_its_real_when_a_narrower_vip_appears),
	TEST(udp_with_a_rule_is_never_idle),
	TEST(a_rule_keeps_its_entry),
	TEST(idle_udp_is_looked_up_anew),
	TEST(tcp_does_not_age),
	TEST(two_full_buckets_give_up_their_oldest),
	TEST(a_flow_with_a_rule_makes_room_for_nobody),
	TEST(a_closed_connection_goes_before_an_older_open_one),
	TEST(a_table_that_is_full_to_80_percent_finds_its_flows),
	TEST(sweeping_removes_just_the_named),
	TEST(many_vips_are_found_and_switched_at_once),
	TEST(the_largest_configuration_fits),
	TEST(too_many_vips_change_nothing),
	TEST(counters_of_a_destination_add_up),
	TEST(noise_never_confuses_the_program),
	TEST_PERF(noise_never_confuses_the_program),
	TEST_MAC(noise_never_confuses_the_program),
};

int main(void)
{
	return cmocka_run_group_tests_name("waymark", tests, NULL, NULL);
}
