// SPDX-License-Identifier: GPL-2.0
/*
 * The hashes that both sides share: Katran's slots and outer sources, the
 * modulo without a division, and that the flow table's hash spreads flows as
 * chance would. All inputs are fixed: a failure repeats.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "addr.h"

static const __u64 seeds[2][4] = {
	{ 0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d0, 0x082efa98ec4e6c89 },
	{ 1, 0x9e3779b97f4a7c15, 2, 0xd6e8feb86659fd93 },
};

static struct wm_addr addr(const char *text)
{
	struct wm_addr a;

	assert_int_equal(wm_addr__parse(text, &a), 0);
	return a;
}

/* --- ring slots --- */

static const struct {
	const char *client;
	uint16_t sport, dport;
	uint32_t slot;
} slots[] = {
	{ "192.168.1.1", 31337, 80, 48717 },
	{ "192.168.1.1", 31337, 0, 39962 },
	{ "fc00:2::1", 31337, 80, 37505 },
	{ "0.0.0.0", 42, 42, 46348 },
};

static void slots_of_katran(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
		struct wm_addr a = addr(slots[i].client);
		uint32_t ports = wm_ports(htons(slots[i].sport), htons(slots[i].dport));
		uint32_t slot = a.family == WM_IPV4 ?
			wm_slot_v4(a.word[0], ports, WM_RING_SEED_V4) :
			wm_slot_v6(a.word, ports, WM_RING_SEED_V4, WM_RING_SEED_V6);

		assert_int_equal(slot, slots[i].slot);
	}
}

static void seeds_matter(void **state)
{
	struct wm_addr v4 = addr("192.168.1.1"), v6 = addr("fc00:2::1");
	uint32_t ports = wm_ports(htons(31337), htons(80));

	(void)state;
	assert_int_not_equal(wm_slot_v4(v4.word[0], ports, WM_RING_SEED_V4 + 1), 48717);
	assert_int_not_equal(wm_slot_v6(v6.word, ports, WM_RING_SEED_V4 + 1, WM_RING_SEED_V6),
			     37505);
	assert_int_not_equal(wm_slot_v6(v6.word, ports, WM_RING_SEED_V4, WM_RING_SEED_V6 + 1),
			     37505);
}

static void modulo_without_division(void **state)
{
	static const uint32_t edges[] = { 0, 1, 65535, 65536, 65537, 65538, 131073, 131074,
					  0x1ffff, 0x20000, 0x7fffffff, 0x80000000,
					  0xfffeffff, 0xffff0000, 0xfffffffe, 0xffffffff };
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++)
		assert_int_equal(wm_ring_slot(edges[i]), edges[i] % 65537);
	for (int i = 0; i < 1000000; i++, x = x * 1664525 + 1013904223)
		if (wm_ring_slot(x) != x % 65537)
			fail_msg("%u", x);
}

/* --- outer source --- */

static const struct {
	const char *client;
	uint16_t sport;
	const char *outer;
} sources[] = {
	{ "10.0.0.3", 11991, "172.16.215.45" },
	{ "192.168.1.1", 31337, "100::bac1:101" },
	{ "fc00:2::1", 31337, "100::7a69:1" },
};

static void outer_sources_of_katran(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
		struct wm_addr client = addr(sources[i].client), wanted = addr(sources[i].outer);
		__be32 last = client.family == WM_IPV4 ? client.word[0] : client.word[3];
		__be16 sport = htons(sources[i].sport);
		struct wm_addr outer;

		if (wanted.family == WM_IPV4) {
			outer = addr("172.16.0.0");
			outer.word[0] = wm_outer_src_v4(last, sport, outer.word[0]);
		} else {
			outer = addr("100::");
			outer.word[3] = wm_outer_src_v6_word(last, sport);
		}
		assert_true(wm_addr__equal(&outer, &wanted));
	}
}

/* --- the flow table's hash --- */

enum { BUCKETS = 1 << 14, FLOWS = 8 * BUCKETS };

static struct wm_flow flow(uint8_t family, uint32_t client, uint16_t sport)
{
	struct wm_flow f = { .family = family, .proto = IPPROTO_TCP };
	int last = family == WM_IPV4 ? 0 : 3;

	f.src[last] = htonl(client);
	f.dst[last] = htonl(0x0ac80101);
	if (family == WM_IPV6)
		f.src[0] = f.dst[0] = htonl(0xfc000002);
	f.sport = htons(sport);
	f.dport = htons(80);
	return f;
}

/* Flows as they come in life: few bits differ between them. */
static struct wm_flow lifelike(int pattern, uint8_t family, uint32_t i)
{
	switch (pattern) {
	case 0: /* clients in a row, one port */
		return flow(family, 0x0a000000 + i, 40000);
	case 1: /* few clients with many ports */
		return flow(family, 0x0a000001 + i / 32768, 32768 + i % 32768);
	default: /* one client a network, every second port */
		return flow(family, (i / 512) << 8 | 1, 1024 + i % 512 * 2);
	}
}

/*
 * 8 flows a bucket on average. By chance loads are Poisson: their variance is
 * 8, its estimate from 16384 buckets is off by less than 5 % (4.5 sigma), and a
 * load of 32 is not seen once in a hundred million buckets.
 */
static void assert_spread(int pattern, uint8_t family, const __u64 seed[4])
{
	static uint16_t load[BUCKETS];
	double variance = 0;

	memset(load, 0, sizeof(load));
	for (uint32_t i = 0; i < FLOWS; i++) {
		struct wm_flow f = lifelike(pattern, family, i);

		load[wm_flow_bucket_of(wm_flow_hash(&f, seed), BUCKETS)]++;
	}
	for (int b = 0; b < BUCKETS; b++) {
		variance += (load[b] - 8.0) * (load[b] - 8.0);
		assert_in_range(load[b], 0, 31);
	}
	variance /= BUCKETS;
	if (variance > 8 * 1.05)
		fail_msg("pattern %d, IPv%d: variance %.2f, by chance 8", pattern, family,
			 variance);
}

static void flows_spread_over_buckets(void **state)
{
	(void)state;
	for (int pattern = 0; pattern < 3; pattern++)
		for (int s = 0; s < 2; s++) {
			assert_spread(pattern, WM_IPV4, seeds[s]);
			assert_spread(pattern, WM_IPV6, seeds[s]);
		}
}

static int by_value(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* Where a flow's entry may be, with its tag: who has a place in common with it
 * may be taken for it. */
static void places(const struct wm_flow *f, const __u64 seed[4], uint64_t place[2])
{
	uint64_t hash = wm_flow_hash(f, seed);
	uint64_t tag = hash & ((1 << (64 - WM_FLOW_TAG_SHIFT)) - 1);

	place[0] = (uint64_t)wm_flow_bucket_of(hash, BUCKETS) << 28 | tag;
	place[1] = (uint64_t)wm_flow_second_of(hash, BUCKETS) << 28 | tag;
}

/* Of 262144 places among 2^14 buckets with 2^28 tags, chance makes 0.008 pairs: in
 * all six turns none or one. */
static void flows_are_told_apart(void **state)
{
	uint64_t *place = calloc(2 * FLOWS, sizeof(*place));
	int same = 0;

	(void)state;
	for (int pattern = 0; pattern < 3; pattern++)
		for (int s = 0; s < 2; s++) {
			for (uint32_t i = 0; i < FLOWS; i++) {
				struct wm_flow f = lifelike(pattern, WM_IPV4, i);

				places(&f, seeds[s], &place[2 * i]);
			}
			qsort(place, 2 * FLOWS, sizeof(*place), by_value);
			for (uint32_t i = 1; i < 2 * FLOWS; i++)
				same += place[i - 1] == place[i];
		}
	free(place);
	assert_in_range(same, 0, 1);
}

/* Every bit of a flow changes its hash, and so do protocol and direction. */
static void every_field_counts(void **state)
{
	static const uint8_t families[2] = { WM_IPV4, WM_IPV6 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct wm_flow f = flow(families[i], 0x0a000003, 4711), g = f;
		uint64_t hash = wm_flow_hash(&f, seeds[0]);
		size_t bytes = families[i] == WM_IPV4 ? 4 : 16;

		for (size_t bit = 0; bit < 8 * bytes; bit++) {
			((uint8_t *)g.src)[bit / 8] ^= 1 << bit % 8;
			assert_int_not_equal(wm_flow_hash(&g, seeds[0]), hash);
			g = f;
			((uint8_t *)g.dst)[bit / 8] ^= 1 << bit % 8;
			assert_int_not_equal(wm_flow_hash(&g, seeds[0]), hash);
			g = f;
		}
		for (int bit = 0; bit < 16; bit++) {
			g.sport ^= 1 << bit;
			assert_int_not_equal(wm_flow_hash(&g, seeds[0]), hash);
			g = f;
			g.dport ^= 1 << bit;
			assert_int_not_equal(wm_flow_hash(&g, seeds[0]), hash);
			g = f;
		}
		g.proto = IPPROTO_UDP;
		assert_int_not_equal(wm_flow_hash(&g, seeds[0]), hash);
		assert_int_not_equal(wm_flow_hash(&f, seeds[1]), hash);
		assert_int_equal(wm_flow_hash(&f, seeds[0]), hash);
	}
}

static void entry_keeps_its_parts(void **state)
{
	uint64_t entry = wm_flow_entry(0xfedcba9876543210, 0xabcd, 0x1fed, 200);

	(void)state;
	assert_int_equal(entry >> WM_FLOW_TAG_SHIFT, 0x6543210);
	assert_int_equal(entry >> WM_FLOW_DEST_SHIFT & 0xffff, 0xabcd);
	assert_int_equal(entry >> WM_FLOW_AGE_SHIFT & WM_FLOW_AGE_MASK, 0xfed);
	assert_int_equal(entry & WM_FLOW_STATE_MASK, 200);
}

static void vip_buckets_in_range(void **state)
{
	struct wm_addr v4 = addr("10.200.1.1"), v6 = addr("fc00::1");
	unsigned int differ = 0;

	(void)state;
	for (uint32_t bits = WM_VIP_BITS_MIN; bits <= WM_VIP_BITS_MAX; bits++)
		for (uint16_t port = 0; port < 100; port++) {
			uint32_t a =
				wm_vip_bucket_v4(v4.word[0], htons(port), IPPROTO_TCP, 1, bits);
			uint32_t b = wm_vip_bucket_v6(v6.word, htons(port), IPPROTO_TCP, 1, bits);
			uint32_t c =
				wm_vip_bucket_v4(v4.word[0], htons(port), IPPROTO_UDP, 1, bits);

			assert_true(a < 1u << bits && b < 1u << bits);
			differ += a != c;
		}
	assert_true(differ > 1000); /* of 1100: the protocol counts */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_of_katran),
		cmocka_unit_test(seeds_matter),
		cmocka_unit_test(modulo_without_division),
		cmocka_unit_test(outer_sources_of_katran),
		cmocka_unit_test(flows_spread_over_buckets),
		cmocka_unit_test(flows_are_told_apart),
		cmocka_unit_test(every_field_counts),
		cmocka_unit_test(entry_keeps_its_parts),
		cmocka_unit_test(vip_buckets_in_range),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
