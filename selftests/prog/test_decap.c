// SPDX-License-Identifier: GPL-2.0
/*
 * Decapsulation on a real: packets through `decap` (XDP) and `decap_tc` by
 * BPF_PROG_RUN, and the way onto a device and off it.
 *
 * The tests run in a network namespace of their own that forwards, owns the
 * real's addresses (10.200.2.11, fd00:200:2::11) and has a route to hosts
 * behind it (10.200.3.0/24, fd00:200:3::/64).
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "decap.h"
#include "objects.h"
#include "seed.h"

/* --- packets --- */

struct packet {
	uint8_t data[512];
	size_t len;
};

static void put(struct packet *p, const void *data, size_t len)
{
	assert_true(p->len + len <= sizeof(p->data));
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

static void put16(struct packet *p, uint16_t value)
{
	put(p, (uint8_t[]){ value >> 8, value }, 2);
}

static void put_address(struct packet *p, int family, const char *text)
{
	uint8_t address[16];

	assert_int_equal(inet_pton(family, text, address), 1);
	put(p, address, family == AF_INET ? 4 : 16);
}

static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void ethernet(struct packet *p, uint16_t proto)
{
	put(p, "\x02\x00\x00\x00\x00\x11\x02\x00\x00\x00\x00\x01", 12);
	put16(p, proto);
}

/* Headers; `room` is the length of what follows. */
static void ip4(struct packet *p, const char *src, const char *dst, uint8_t proto, size_t room,
		uint8_t tos)
{
	size_t start = p->len;

	put(p, (uint8_t[]){ 0x45, tos }, 2);
	put16(p, 20 + room);
	put(p, (uint8_t[]){ 0, 0, 0, 0, 64, proto, 0, 0 }, 8);
	put_address(p, AF_INET, src);
	put_address(p, AF_INET, dst);
	p->len = start + 10;
	put16(p, checksum(p->data + start, 20));
	p->len = start + 20;
}

static void ip6(struct packet *p, const char *src, const char *dst, uint8_t next, size_t room,
		uint8_t tc)
{
	put(p, (uint8_t[]){ 0x60 | tc >> 4, tc << 4, 0, 0 }, 4);
	put16(p, room);
	put(p, (uint8_t[]){ next, 64 }, 2);
	put_address(p, AF_INET6, src);
	put_address(p, AF_INET6, dst);
}

enum { PAYLOAD = 24 };

static void udp(struct packet *p)
{
	put16(p, 4711);
	put16(p, 80);
	put16(p, PAYLOAD);
	put(p, "\0\0abcdefghijklmnop", 18);
}

/* What the client sent, from the IP header on. */
static void client(struct packet *p, int inner, uint8_t tos)
{
	if (inner == 4)
		ip4(p, "10.200.0.2", "10.200.1.1", IPPROTO_UDP, PAYLOAD, tos);
	else
		ip6(p, "fd00:200::2", "fd00:200:1::1", IPPROTO_UDP, PAYLOAD, tos);
	udp(p);
}

/* How a tunnel packet deviates from a good one. */
struct form {
	int inner, outer;       /* 4 or 6 */
	const char *src, *dst;  /* outer; NULL: a balancer's and the real's */
	uint8_t tos, inner_tos;
	uint8_t next;           /* outer protocol; 0: the right one */
	int more;               /* bytes that the outer length says too many */
	uint8_t padding;        /* bytes behind the end */
};

static struct packet tunnel(const struct form *f)
{
	size_t room = (f->inner == 4 ? 20 : 40) + PAYLOAD + f->more;
	uint8_t next = f->next ? f->next : f->inner == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	struct packet p = { .len = 0 };

	ethernet(&p, f->outer == 4 ? ETH_P_IP : ETH_P_IPV6);
	if (f->outer == 4)
		ip4(&p, f->src ? f->src : "172.16.215.45", f->dst ? f->dst : "10.200.2.11", next,
		    room, f->tos);
	else
		ip6(&p, f->src ? f->src : "100::7a69:1", f->dst ? f->dst : "fd00:200:2::11", next,
		    room, f->tos);
	client(&p, f->inner, f->inner_tos);
	put(&p, "\0\0\0\0\0\0\0\0", f->padding);
	return p;
}

/* What shall come out of it; `tos` of the inner header. */
static struct packet opened(const struct form *f, uint8_t tos)
{
	struct packet p = { .len = 0 };

	ethernet(&p, f->inner == 4 ? ETH_P_IP : ETH_P_IPV6);
	client(&p, f->inner, tos);
	put(&p, "\0\0\0\0\0\0\0\0", f->padding);
	return p;
}

/* --- the two programs --- */

struct program {
	struct bpf_object *object;
	int fd, stats;
	uint32_t pass, drop;
};

struct run {
	struct packet out;
	uint32_t verdict;
	uint64_t counted[WM_DECAP_COUNTERS_USED]; /* by this packet */
};

static void read_counters(const struct program *prog, uint64_t out[WM_DECAP_COUNTERS_USED])
{
	int cpus = libbpf_num_possible_cpus();
	struct wm_decap_stats *stats = calloc(cpus, sizeof(*stats));
	uint32_t zero = 0;

	assert_non_null(stats);
	assert_int_equal(bpf_map_lookup_elem(prog->stats, &zero, stats), 0);
	for (int i = 0; i < WM_DECAP_COUNTERS_USED; i++) {
		out[i] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			out[i] += stats[cpu].counter[i];
	}
	free(stats);
}

static struct run run(const struct program *prog, const struct packet *in)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->data, .data_size_in = in->len);
	uint64_t before[WM_DECAP_COUNTERS_USED];
	struct run r;

	read_counters(prog, before);
	opts.data_out = r.out.data;
	opts.data_size_out = sizeof(r.out.data);
	assert_int_equal(bpf_prog_test_run_opts(prog->fd, &opts), 0);
	r.out.len = opts.data_size_out;
	r.verdict = opts.retval;
	read_counters(prog, r.counted);
	for (int i = 0; i < WM_DECAP_COUNTERS_USED; i++)
		r.counted[i] -= before[i];
	return r;
}

static void expect_counted(const char *name, const struct run *r, enum wm_decap_counter what)
{
	for (int i = 0; i < WM_DECAP_COUNTERS_USED; i++)
		if (r->counted[i] != (i == (int)what))
			fail_msg("%s: %s is %lu, expected to count in %s", name,
				 wm_decap_counter_names[i], (unsigned long)r->counted[i],
				 wm_decap_counter_names[what]);
}

static void expect_same(const char *name, const struct packet *got, const struct packet *want)
{
	if (got->len != want->len)
		fail_msg("%s: %zu bytes, expected %zu", name, got->len, want->len);
	for (size_t i = 0; i < want->len; i++)
		if (got->data[i] != want->data[i])
			fail_msg("%s: byte %zu is %02x, expected %02x", name, i, got->data[i],
				 want->data[i]);
}

static void expect_passed(const char *name, const struct program *prog, const struct packet *in,
			  enum wm_decap_counter why)
{
	struct run r = run(prog, in);

	if (r.verdict != prog->pass)
		fail_msg("%s: verdict %d", name, (int)r.verdict);
	expect_counted(name, &r, why);
	expect_same(name, &r.out, in);
}

/* --- tables --- */

static void four_encapsulations_are_opened(void **state)
{
	static const struct {
		const char *name;
		struct form form;
		enum wm_decap_counter what;
	} cases[] = {
		{ "4in4", { .inner = 4, .outer = 4 }, WM_DECAP_4IN4 },
		{ "6in4", { .inner = 6, .outer = 4 }, WM_DECAP_6IN4 },
		{ "4in6", { .inner = 4, .outer = 6 }, WM_DECAP_4IN6 },
		{ "6in6", { .inner = 6, .outer = 6 }, WM_DECAP_6IN6 },
		{ "padded frame", { .inner = 4, .outer = 4, .padding = 6 }, WM_DECAP_4IN4 },
		{ "tos of the outer header", { 4, 4, .tos = 0xb8 }, WM_DECAP_4IN4 },
		{ "any address of the prefix", { 4, 4, .src = "172.16.0.1" }, WM_DECAP_4IN4 },
		{ "outer longer than inner", { 4, 4, .more = 4, .padding = 4 }, WM_DECAP_4IN4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct packet in = tunnel(&cases[i].form), want = opened(&cases[i].form, 0);
		const struct program *prog = *state;
		struct run r = run(prog, &in);

		assert_int_equal(r.verdict, prog->pass);
		expect_counted(cases[i].name, &r, cases[i].what);
		expect_same(cases[i].name, &r.out, &want);
	}
}

static void what_is_not_from_a_balancer_passes(void **state)
{
	static const struct {
		const char *name;
		struct form form;
		enum wm_decap_counter why;
	} cases[] = {
		{ "other source v4", { 4, 4, .src = "172.17.0.1" }, WM_DECAP_PASS_SOURCE },
		{ "other source v6", { 4, 6, .src = "100::1:0:0:1" }, WM_DECAP_PASS_SOURCE },
		{ "6in4 by another", { 6, 4, .src = "192.0.2.1" }, WM_DECAP_PASS_SOURCE },
		{ "to be forwarded v4", { 4, 4, .dst = "10.200.3.1" }, WM_DECAP_PASS_NOT_HOST },
		{ "to be forwarded v6", { 6, 6, .dst = "fd00:200:3::1" }, WM_DECAP_PASS_NOT_HOST },
		{ "UDP v4", { 4, 4, .next = IPPROTO_UDP }, WM_DECAP_PASS_OTHER },
		{ "TCP v6", { 6, 6, .next = IPPROTO_TCP }, WM_DECAP_PASS_OTHER },
		{ "GRE", { 4, 4, .next = IPPROTO_GRE }, WM_DECAP_PASS_OTHER },
		{ "extension header", { 6, 6, .next = IPPROTO_DSTOPTS }, WM_DECAP_PASS_OTHER },
		{ "v6 fragment", { 6, 6, .next = IPPROTO_FRAGMENT }, WM_DECAP_PASS_FRAGMENT },
		{ "says IPv4, is IPv6", { 6, 4, .next = IPPROTO_IPIP }, WM_DECAP_PASS_MALFORMED },
		{ "says IPv6, is IPv4", { 4, 6, .next = IPPROTO_IPV6 }, WM_DECAP_PASS_MALFORMED },
		{ "outer v4 longer than frame", { 4, 4, .more = 1 }, WM_DECAP_PASS_MALFORMED },
		{ "outer v6 longer than frame", { 6, 6, .more = 1 }, WM_DECAP_PASS_MALFORMED },
		{ "inner v4 longer than outer", { 4, 4, .more = -1 }, WM_DECAP_PASS_MALFORMED },
		{ "inner v6 longer than outer", { 6, 4, .more = -1 }, WM_DECAP_PASS_MALFORMED },
		{ "no room for an inner header", { 4, 4, .more = -30 }, WM_DECAP_PASS_MALFORMED },
		{ "outer v4 short of its header", { 4, 4, .more = -45 }, WM_DECAP_PASS_MALFORMED },
		{ "outer v4 of no length", { 6, 4, .more = -84 }, WM_DECAP_PASS_MALFORMED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct packet in = tunnel(&cases[i].form);

		expect_passed(cases[i].name, *state, &in, cases[i].why);
	}
}

/* One byte of a good 4-in-4 packet replaced. */
static void one_wrong_byte_passes(void **state)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
		bool fix_checksum;
		enum wm_decap_counter why;
	} cases[] = {
		{ "ARP", 13, 0x06, false, WM_DECAP_PASS_OTHER },
		{ "broadcast", 0, 0xff, false, WM_DECAP_PASS_NOT_HOST },
		{ "multicast", 0, 0x01, false, WM_DECAP_PASS_NOT_HOST },
		{ "options", 14, 0x46, true, WM_DECAP_PASS_MALFORMED },
		{ "short header", 14, 0x44, true, WM_DECAP_PASS_MALFORMED },
		{ "outer version", 14, 0x55, true, WM_DECAP_PASS_MALFORMED },
		{ "checksum", 22, 63, false, WM_DECAP_PASS_MALFORMED },
		{ "more fragments", 20, 0x20, true, WM_DECAP_PASS_FRAGMENT },
		{ "last fragment", 21, 0x01, true, WM_DECAP_PASS_FRAGMENT },
		{ "inner version", 34, 0x65, false, WM_DECAP_PASS_MALFORMED },
		{ "inner header length", 34, 0x44, false, WM_DECAP_PASS_MALFORMED },
		{ "inner total length", 37, 19, false, WM_DECAP_PASS_MALFORMED },
		{ "inner header beyond its packet", 34, 0x4f, false, WM_DECAP_PASS_MALFORMED },
	};
	static const struct form good = { .inner = 4, .outer = 4 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct packet in = tunnel(&good);

		in.data[cases[i].at] = cases[i].value;
		if (cases[i].fix_checksum) {
			uint16_t sum;

			memset(in.data + 24, 0, 2);
			sum = htons(checksum(in.data + 14, 20));
			memcpy(in.data + 24, &sum, 2);
		}
		expect_passed(cases[i].name, *state, &in, cases[i].why);
	}
}

static void dont_fragment_bit_is_fine(void **state)
{
	static const struct form good = { .inner = 4, .outer = 4 };
	struct packet in = tunnel(&good), want = opened(&good, 0);
	uint16_t sum;
	struct run r;

	in.data[20] = 0x40;
	memset(in.data + 24, 0, 2);
	sum = htons(checksum(in.data + 14, 20));
	memcpy(in.data + 24, &sum, 2);
	r = run(*state, &in);
	expect_counted("DF", &r, WM_DECAP_4IN4);
	expect_same("DF", &r.out, &want);
}

/* RFC 6040, section 4.2. */
static void congestion_reaches_the_inner_header(void **state)
{
	static const struct {
		uint8_t outer, inner, want;
	} cases[] = {
		{ 0, 0, 0 }, { 0, 1, 1 }, { 0, 2, 2 }, { 0, 3, 3 },
		{ 1, 0, 0 }, { 1, 2, 2 }, { 2, 1, 1 }, { 2, 2, 2 },
		{ 3, 1, 3 }, { 3, 2, 3 }, { 3, 3, 3 },
		{ 0xb8 | 3, 0x28 | 2, 0x28 | 3 }, { 3, 0xfc | 1, 0xff },
	};
	const struct program *prog = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (int families = 0; families < 4; families++) {
			struct form f = { .inner = families & 1 ? 6 : 4,
					  .outer = families & 2 ? 6 : 4,
					  .tos = cases[i].outer, .inner_tos = cases[i].inner };
			struct packet in = tunnel(&f), want = opened(&f, cases[i].want);
			struct run r = run(prog, &in);
			char name[64];

			snprintf(name, sizeof(name), "%din%d outer %02x inner %02x", f.inner,
				 f.outer, f.tos, f.inner_tos);
			assert_int_equal(r.verdict, prog->pass);
			expect_same(name, &r.out, &want);
		}
}

static void congestion_drops_what_knows_no_ecn(void **state)
{
	const struct program *prog = *state;

	for (int families = 0; families < 4; families++) {
		struct form f = { .inner = families & 1 ? 6 : 4, .outer = families & 2 ? 6 : 4,
				  .tos = 3 };
		struct packet in = tunnel(&f);
		struct run r = run(prog, &in);

		assert_int_equal(r.verdict, prog->drop);
		expect_counted("CE outside, no ECN inside", &r, WM_DECAP_DROP_ECN);
	}
}

/* A tunnel packet cut anywhere is never opened and never dropped. */
static void cut_packets_pass(void **state)
{
	const struct program *prog = *state;

	for (int families = 0; families < 4; families++) {
		struct form f = { .inner = families & 1 ? 6 : 4, .outer = families & 2 ? 6 : 4 };
		struct packet whole = tunnel(&f), in = whole;

		/* BPF_PROG_RUN makes no skb of less than an IP header. */
		in.len = ETH_HLEN + (prog->pass == XDP_PASS ? 1 : f.outer == 4 ? 20 : 40);
		for (; in.len < whole.len; in.len++) {
			struct run r = run(prog, &in);

			assert_int_equal(r.verdict, prog->pass);
			expect_same("cut packet", &r.out, &in);
		}
	}
}

/* --- random packets against a model --- */

/*
 * The model reads bytes at the offsets that the RFCs give, and shares nothing with the
 * program but the names of the counters. The namespace forwards to 10.200.3.0/24 and
 * fd00:200:3::/64 only; the packets' destinations are chosen so that this is all it needs.
 */
static unsigned int word_at(const uint8_t *p)
{
	return p[0] << 8 | p[1];
}

static bool model_v4(const uint8_t *ip, size_t room, enum wm_decap_counter *why)
{
	size_t total = word_at(ip + 2);

	if (room < 20 || (ip[9] != IPPROTO_IPIP && ip[9] != IPPROTO_IPV6))
		*why = WM_DECAP_PASS_OTHER;
	else if (ip[12] != 172 || ip[13] != 16)
		*why = WM_DECAP_PASS_SOURCE;
	else if (word_at(ip + 6) & 0x3fff)
		*why = WM_DECAP_PASS_FRAGMENT;
	else if (ip[0] != 0x45 || checksum(ip, 20) || total < 20 || total > room)
		*why = WM_DECAP_PASS_MALFORMED;
	else if (!memcmp(ip + 16, "\x0a\xc8\x03", 3))
		*why = WM_DECAP_PASS_NOT_HOST;
	else
		return true;
	return false;
}

static bool model_v6(const uint8_t *ip, size_t room, enum wm_decap_counter *why)
{
	bool ours = room >= 40 && !memcmp(ip + 8, "\x01\0\0\0\0\0\0\0\0\0\0\0", 12);

	if (room >= 40 && ours && ip[6] == IPPROTO_FRAGMENT)
		*why = WM_DECAP_PASS_FRAGMENT;
	else if (room < 40 || (ip[6] != IPPROTO_IPIP && ip[6] != IPPROTO_IPV6))
		*why = WM_DECAP_PASS_OTHER;
	else if (!ours)
		*why = WM_DECAP_PASS_SOURCE;
	else if (ip[0] >> 4 != 6 || 40u + word_at(ip + 4) > room)
		*why = WM_DECAP_PASS_MALFORMED;
	else if (!memcmp(ip + 24, "\xfd\0\x02\0\0\x03\0\0", 8))
		*why = WM_DECAP_PASS_NOT_HOST;
	else
		return true;
	return false;
}

/* Is it a whole packet of this family, in at most `room` bytes of which `have` are there? */
static bool model_inner(const uint8_t *ip, bool v6, size_t room, size_t have)
{
	size_t header = v6 ? 40 : ip[0] % 16 * 4;

	if (have < (v6 ? 40 : 20) || ip[0] >> 4 != (v6 ? 6 : 4))
		return false;
	if (v6)
		return 40 + word_at(ip + 4) <= room;
	return header >= 20 && word_at(ip + 2) >= header && word_at(ip + 2) <= room;
}

/* RFC 6040: *tos as it leaves the tunnel; false: the packet must be dropped. */
static bool model_ecn(unsigned int outer, unsigned int *inner)
{
	if (outer % 4 != 3)
		return true;
	if (*inner % 4 == 0)
		return false;
	*inner |= 3;
	return true;
}

static unsigned int tos_of(const uint8_t *ip, bool v6)
{
	return v6 ? word_at(ip) >> 4 & 0xff : ip[1];
}

/* The packet that shall come out: opened, or as it was. An IPv4 header whose ECN changed
 * has the sum that it had. */
static void model_open(struct packet *p, size_t outer, bool v6, unsigned int tos)
{
	uint8_t *ip = p->data + ETH_HLEN;
	unsigned int sum;

	p->len -= outer;
	memmove(ip, ip + outer, p->len - ETH_HLEN);
	memcpy(p->data + 12, v6 ? "\x86\xdd" : "\x08\x00", 2);
	if (v6) {
		ip[0] = 0x60 | tos >> 4;
		ip[1] = (ip[1] & 15) | tos << 4;
		return;
	}
	sum = word_at(ip + 10) + ip[1] + 0xffff - tos;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	if (ip[1] != tos)
		memcpy(ip + 10, (uint8_t[]){ sum >> 8, sum }, 2);
	ip[1] = tos;
}

static enum wm_decap_counter model(const struct packet *in, struct packet *out)
{
	const uint8_t *ip = in->data + ETH_HLEN;
	size_t room = in->len - ETH_HLEN, header, says;
	enum wm_decap_counter why = WM_DECAP_PASS_OTHER;
	unsigned int type = word_at(in->data + 12), tos;
	bool v6 = type == ETH_P_IPV6, inner_v6;

	*out = *in;
	if (type != ETH_P_IP && !v6)
		return WM_DECAP_PASS_OTHER;
	if (!(v6 ? model_v6 : model_v4)(ip, room, &why))
		return why;
	if (in->data[0] & 1)
		return WM_DECAP_PASS_NOT_HOST;
	header = v6 ? 40 : 20;
	says = v6 ? word_at(ip + 4) : word_at(ip + 2) - 20;
	inner_v6 = ip[v6 ? 6 : 9] == IPPROTO_IPV6;
	if (!model_inner(ip + header, inner_v6, says, room - header))
		return WM_DECAP_PASS_MALFORMED;
	tos = tos_of(ip + header, inner_v6);
	if (!model_ecn(tos_of(ip, v6), &tos))
		return WM_DECAP_DROP_ECN;
	model_open(out, header, inner_v6, tos);
	if (v6)
		return inner_v6 ? WM_DECAP_6IN6 : WM_DECAP_4IN6;
	return inner_v6 ? WM_DECAP_6IN4 : WM_DECAP_4IN4;
}

enum { RANDOM_PACKETS = 20000 };

static unsigned int draw(unsigned int *seed, unsigned int below)
{
	return rand_r(seed) / 8 % below;
}

/* Now and then one of the lengths that are on an edge. */
static void random_length(struct packet *p, size_t at, unsigned int *seed)
{
	static const uint16_t edges[] = { 0, 1, 19, 20, 21, 28, 39, 40, 44, 0x7fff, 0xffff };
	unsigned int value = word_at(p->data + at);

	if (draw(seed, 4))
		return;
	value = draw(seed, 2) ? edges[draw(seed, sizeof(edges) / sizeof(*edges))]
			      : value + draw(seed, 17) - 8;
	memcpy(p->data + at, (uint8_t[]){ value >> 8, value }, 2);
}

/* A tunnel packet, and what else comes over a wire: any byte but the outer destination
 * may be wrong, any length, and the end may be missing. */
static struct packet random_packet(unsigned int *seed, bool xdp)
{
	const bool outer_v6 = draw(seed, 2), inner_v6 = draw(seed, 2), behind = !draw(seed, 16);
	const char *dst = outer_v6 ? behind ? "fd00:200:3::1" : "fd00:200:2::11"
				   : behind ? "10.200.3.1" : "10.200.2.11";
	struct form f = { .inner = inner_v6 ? 6 : 4, .outer = outer_v6 ? 6 : 4, .dst = dst,
			  .tos = draw(seed, 256), .inner_tos = draw(seed, 256),
			  .padding = draw(seed, 9) };
	const size_t inner = ETH_HLEN + (outer_v6 ? 40 : 20);
	struct packet p = tunnel(&f);

	random_length(&p, ETH_HLEN + (outer_v6 ? 4 : 2), seed);
	random_length(&p, inner + (inner_v6 ? 4 : 2), seed);
	for (unsigned int n = draw(seed, 3) ? 0 : 1 + draw(seed, 3); n > 0; n--) {
		size_t at = draw(seed, p.len);
		bool dst_there = outer_v6 ? at >= 38 && at < 54 : at >= 30 && at < 34;

		if (!dst_there)
			p.data[at] = draw(seed, 2) ? draw(seed, 256)
						   : p.data[at] ^ 1u << draw(seed, 8);
	}
	if (!outer_v6 && draw(seed, 8)) {
		memset(p.data + 24, 0, 2);
		memcpy(p.data + 24, &(uint16_t){ htons(checksum(p.data + 14, 20)) }, 2);
	}
	/* BPF_PROG_RUN makes no skb of less than an IP header. */
	if (!draw(seed, 6))
		p.len = xdp ? ETH_HLEN + 1 + draw(seed, p.len - ETH_HLEN)
			    : inner + draw(seed, p.len - inner + 1);
	return p;
}

static void random_packets_are_as_the_model_says(void **state)
{
	const struct program *prog = *state;
	uint64_t seen[WM_DECAP_COUNTERS_USED] = {};
	unsigned int seed = test_seed();
	char name[32];

	for (int i = 0; i < RANDOM_PACKETS; i++) {
		struct packet in = random_packet(&seed, prog->pass == XDP_PASS), want;
		enum wm_decap_counter what = model(&in, &want);
		struct run r = run(prog, &in);

		snprintf(name, sizeof(name), "packet %d", i);
		expect_counted(name, &r, what);
		assert_int_equal(r.verdict, what == WM_DECAP_DROP_ECN ? prog->drop : prog->pass);
		expect_same(name, &r.out, &want);
		seen[what]++;
	}
	/* What never came was not tried: but a failure of the kernel's own. */
	for (int c = 0; c < WM_DECAP_COUNTERS_USED; c++)
		if (!seen[c] && c != WM_DECAP_PASS_FAILED)
			fail_msg("no random packet was %s", wm_decap_counter_names[c]);
}

/* --- on a device --- */

static void shell(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("%s: status %d", command, status);
}

static int attach(enum wm_decap_mode mode, enum wm_decap_mode *used, struct wm_err *err)
{
	return wm_decap__attach("wmd0", mode, NULL, NULL, used, err);
}

static void attach_finds_itself_again(void **state)
{
	uint64_t counters[WM_DECAP_COUNTERS_USED];
	enum wm_decap_mode used;
	struct wm_err err = {};

	(void)state;
	assert_int_equal(wm_decap__stats("wmd0", counters, &used, &err), -ENOENT);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(attach(WM_DECAP_AUTO, &used, &err), 0);
		assert_int_equal(used, WM_DECAP_XDP);
	}
	assert_int_equal(wm_decap__stats("wmd0", counters, &used, &err), 0);
	assert_int_equal(used, WM_DECAP_XDP);

	/* In the other place: then not in the first any more. */
	for (int again = 0; again < 2; again++)
		assert_int_equal(attach(WM_DECAP_TC, &used, &err), 0);
	assert_int_equal(wm_decap__stats("wmd0", counters, &used, &err), 0);
	assert_int_equal(used, WM_DECAP_TC);
	shell("! ip -d link show wmd0 | grep -q prog/xdp");

	assert_int_equal(wm_decap__detach("wmd0", &err), 0);
	assert_int_equal(wm_decap__stats("wmd0", counters, &used, &err), -ENOENT);
	assert_int_equal(wm_decap__detach("wmd0", &err), -ENOENT);
	shell("! tc filter show dev wmd0 ingress | grep -q bpf");
}

static void foreign_program_stays(void **state)
{
	enum wm_decap_mode used;
	struct wm_err err = {};

	(void)state;
	/* A program without the map that ours is known by. */
	shell("ip link set dev wmd0 xdp obj " WM_BUILD "/waymark.bpf.o sec xdp");
	assert_int_equal(attach(WM_DECAP_XDP, &used, &err), -EBUSY);
	assert_non_null(strstr(err.text, "wmd0"));
	assert_int_equal(attach(WM_DECAP_AUTO, &used, &err), 0);
	assert_int_equal(used, WM_DECAP_TC);
	assert_int_equal(wm_decap__detach("wmd0", &err), 0);
	shell("ip -d link show wmd0 | grep -q prog/xdp");
	shell("ip link set dev wmd0 xdp off");
}

static void unknown_device_is_named(void **state)
{
	struct wm_err err = {};

	(void)state;
	assert_int_equal(wm_decap__attach("nodev0", WM_DECAP_AUTO, NULL, NULL, NULL, &err),
			 -ENODEV);
	assert_non_null(strstr(err.text, "nodev0"));
}

static int attached_fd(enum wm_decap_mode mode)
{
	int ifindex = if_nametoindex("wmd0");
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 50);
	uint32_t id = 0;

	if (mode == WM_DECAP_XDP) {
		assert_int_equal(bpf_xdp_query_id(ifindex, 0, &id), 0);
	} else {
		assert_int_equal(bpf_tc_query(&hook, &opts), 0);
		id = opts.prog_id;
	}
	return bpf_prog_get_fd_by_id(id);
}

/* With other prefixes the defaults are strangers. */
static void source_prefix_is_configurable(void **state)
{
	static const struct form standard = { .inner = 4, .outer = 4 };
	static const struct form own = { .inner = 4, .outer = 4, .src = "10.99.3.4" };
	static const struct form own6 = { .inner = 4, .outer = 6, .src = "fd00:99::7:1" };
	struct wm_addr src4, src6;
	struct wm_err err = {};

	(void)state;
	assert_int_equal(wm_addr__parse("10.99.0.0", &src4), 0);
	assert_int_equal(wm_addr__parse("fd00:99::", &src6), 0);
	for (enum wm_decap_mode mode = WM_DECAP_XDP; mode <= WM_DECAP_TC; mode++) {
		struct packet in = tunnel(&standard), mine = tunnel(&own), mine6 = tunnel(&own6);
		uint64_t counters[WM_DECAP_COUNTERS_USED];
		struct program prog = { .pass = mode == WM_DECAP_XDP ? XDP_PASS
								     : (uint32_t)TC_ACT_UNSPEC };
		LIBBPF_OPTS(bpf_test_run_opts, opts);

		assert_int_equal(wm_decap__attach("wmd0", mode, &src4, &src6, NULL, &err), 0);
		prog.fd = attached_fd(mode);
		assert_true(prog.fd >= 0);
		struct packet *all[] = { &in, &mine, &mine6 };
		for (int i = 0; i < 3; i++) {
			opts.data_in = all[i]->data;
			opts.data_size_in = all[i]->len;
			assert_int_equal(bpf_prog_test_run_opts(prog.fd, &opts), 0);
		}
		close(prog.fd);
		assert_int_equal(wm_decap__stats("wmd0", counters, NULL, &err), 0);
		assert_int_equal(counters[WM_DECAP_PASS_SOURCE], 1);
		assert_int_equal(counters[WM_DECAP_4IN4], 1);
		assert_int_equal(counters[WM_DECAP_4IN6], 1);
		assert_int_equal(wm_decap__detach("wmd0", &err), 0);
	}
	assert_int_equal(wm_decap__attach("wmd0", WM_DECAP_XDP, &src6, NULL, NULL, &err), -EINVAL);
}

/* --- set-up --- */

static void write_sysctl(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, value, strlen(value)), (ssize_t)strlen(value));
	close(fd);
}

static int open_program(void **state, const char *name, uint32_t pass, uint32_t drop)
{
	struct program *prog = calloc(1, sizeof(*prog));
	struct bpf_program *p;

	prog->object = bpf_object__open_mem(wm_object_decap.data, wm_object_decap.len, NULL);
	if (!prog->object || bpf_object__load(prog->object))
		return -1;
	p = bpf_object__find_program_by_name(prog->object, name);
	prog->fd = bpf_program__fd(p);
	prog->stats = bpf_object__find_map_fd_by_name(prog->object, WM_DECAP_MAP_STATS);
	prog->pass = pass;
	prog->drop = drop;
	*state = prog;
	return prog->fd < 0 || prog->stats < 0 ? -1 : 0;
}

static int open_xdp(void **state)
{
	return open_program(state, WM_DECAP_PROG_XDP, XDP_PASS, XDP_DROP);
}

static int open_tc(void **state)
{
	return open_program(state, WM_DECAP_PROG_TC, (uint32_t)TC_ACT_UNSPEC, TC_ACT_SHOT);
}

static int close_program(void **state)
{
	struct program *prog = *state;

	bpf_object__close(prog->object);
	free(prog);
	return 0;
}

int main(void)
{
	const struct CMUnitTest packets[] = {
		cmocka_unit_test(four_encapsulations_are_opened),
		cmocka_unit_test(what_is_not_from_a_balancer_passes),
		cmocka_unit_test(one_wrong_byte_passes),
		cmocka_unit_test(dont_fragment_bit_is_fine),
		cmocka_unit_test(congestion_reaches_the_inner_header),
		cmocka_unit_test(congestion_drops_what_knows_no_ecn),
		cmocka_unit_test(cut_packets_pass),
		cmocka_unit_test(random_packets_are_as_the_model_says),
	};
	const struct CMUnitTest device[] = {
		cmocka_unit_test(attach_finds_itself_again),
		cmocka_unit_test(foreign_program_stays),
		cmocka_unit_test(unknown_device_is_named),
		cmocka_unit_test(source_prefix_is_configurable),
	};
	int failed;

	if (unshare(CLONE_NEWNET)) {
		perror("own network namespace");
		return 1;
	}
	write_sysctl("/proc/sys/net/ipv4/ip_forward", "1");
	write_sysctl("/proc/sys/net/ipv6/conf/all/forwarding", "1");
	shell("ip link set lo up && ip address add 10.200.2.11/32 dev lo && "
	      "ip address add fd00:200:2::11/128 dev lo nodad && "
	      "ip link add wmd0 type veth peer wmd1 && ip link set wmd0 up && "
	      "ip link set wmd1 up && ip route add 10.200.3.0/24 dev wmd0 && "
	      "ip route add fd00:200:3::/64 dev wmd0");
	failed = cmocka_run_group_tests_name("decap (XDP)", packets, open_xdp, close_program);
	failed += cmocka_run_group_tests_name("decap (TC)", packets, open_tc, close_program);
	failed += cmocka_run_group_tests_name("decap on a device", device, NULL, NULL);
	return failed;
}
