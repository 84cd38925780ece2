// SPDX-License-Identifier: GPL-2.0
/*
 * Rings against Katran: vectors taken from it, the plain formula of its fill
 * loop against ours, and what a ring promises (shares, few moves).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <waymark/limits.h>

#include "maglev.h"

enum { SLOTS = WM_RING_SLOTS, REALS_MAX = 1000 };

static struct wm_addr addr(const char *text)
{
	struct wm_addr a;

	assert_int_equal(wm_addr__parse(text, &a), 0);
	return a;
}

/* 10.0.0.0 + n as a real */
static struct wm_addr numbered(uint32_t n)
{
	struct wm_addr a = { .family = WM_IPV4 };

	a.word[0] = htonl(0x0a000000 + n);
	return a;
}

static struct wm_endpoint endpoint(struct wm_addr a, uint32_t weight, uint16_t dest)
{
	return (struct wm_endpoint){
		.hash = wm_endpoint__hash(&a), .weight = weight, .dest = dest,
	};
}

/* --- hashes and permutations --- */

static const struct {
	const char *real;
	uint64_t hash;
	uint32_t offset, skip;
} katran_reals[] = {
	{ "10.0.0.1", 0xd671359dbaa15954, 4577, 18292 },
	{ "10.0.0.2", 0x2cd426d008b90279, 42248, 16076 },
	{ "10.0.0.3", 0x6eb4a2989236785d, 65365, 24158 },
	{ "192.168.200.129", 0xe8fda44a7cbc2b00, 61802, 14617 },
	{ "fc00::1", 0x64e74a25b986d744, 7827, 60497 },
	{ "fc00::2", 0x87d247835b02295b, 12132, 1761 },
	{ "fc00::3", 0x0b2e5ea98827f017, 61702, 64040 },
};

static void hash_of_reals(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(katran_reals) / sizeof(*katran_reals); i++) {
		struct wm_addr a = addr(katran_reals[i].real);

		assert_int_equal(wm_endpoint__hash(&a), katran_reals[i].hash);
	}
}

static void hash_of_mapped_is_hash_of_ipv4(void **state)
{
	struct wm_addr plain = addr("192.168.200.129"), mapped = addr("::ffff:192.168.200.129");
	struct wm_addr near = addr("::fffe:192.168.200.129");

	(void)state;
	assert_int_equal(wm_endpoint__hash(&plain), wm_endpoint__hash(&mapped));
	assert_int_not_equal(wm_endpoint__hash(&plain), wm_endpoint__hash(&near));
}

static void permutations(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(katran_reals) / sizeof(*katran_reals); i++) {
		uint32_t offset, skip;

		wm_maglev__permutation(katran_reals[i].hash, SLOTS, &offset, &skip);
		assert_int_equal(offset, katran_reals[i].offset);
		assert_int_equal(skip, katran_reals[i].skip);
	}
}

/* --- whole rings --- */

struct ring_case {
	const char *name;
	enum wm_hash hash;
	uint32_t weight[3];
	uint32_t count[3];
	const char *sha256; /* how it begins, of the slots' addresses joined by commas */
};

static const struct ring_case rings[] = {
	{ "v2 1,1,1", WM_HASH_MAGLEV, { 1, 1, 1 }, { 21845, 21846, 21846 }, "4596fd5e98378f56" },
	{ "v1 1,1,1", WM_HASH_MAGLEV_V1, { 1, 1, 1 }, { 21845, 21846, 21846 }, "4596fd5e98378f56" },
	{ "v1 1,2,3", WM_HASH_MAGLEV_V1, { 1, 2, 3 }, { 21844, 21846, 21847 }, "ce32ce57651701fd" },
	{ "v2 1,2,3", WM_HASH_MAGLEV, { 1, 2, 3 }, { 10922, 21846, 32769 }, "b25c256b59b5553d" },
};

/* sha256sum(1) of the ring as text; the check does not share code with us. */
static void ring_sha256(const uint16_t *slot, char digest[65])
{
	char path[] = "/tmp/waymark-ring-XXXXXX", command[128];
	int fd = mkstemp(path);
	FILE *file;

	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_non_null(file);
	for (uint32_t i = 0; i < SLOTS; i++)
		fprintf(file, "%s10.0.0.%u", i ? "," : "", slot[i]);
	fclose(file);
	snprintf(command, sizeof(command), "sha256sum %s", path);
	file = popen(command, "r");
	digest[0] = '\0';
	if (file && !fgets(digest, 65, file))
		digest[0] = '\0';
	if (file)
		pclose(file);
	unlink(path);
}

static void rings_of_katran(void **state)
{
	static const uint16_t first[] = { 2, 1, 3, 2, 1, 3, 3, 1 };
	uint16_t *slot = calloc(SLOTS, sizeof(*slot));
	char digest[65];

	(void)state;
	for (size_t c = 0; c < sizeof(rings) / sizeof(*rings); c++) {
		uint32_t count[4] = {};
		struct wm_endpoint e[3];

		for (int i = 0; i < 3; i++)
			e[i] = endpoint(numbered(i + 1), rings[c].weight[i], i + 1);
		assert_int_equal(wm_maglev__fill(rings[c].hash, e, 3, slot, SLOTS), 0);
		for (uint32_t i = 0; i < SLOTS; i++)
			count[slot[i]]++;
		for (int i = 0; i < 3; i++)
			assert_int_equal(count[i + 1], rings[c].count[i]);
		if (c < 2)
			assert_memory_equal(slot, first, sizeof(first));
		ring_sha256(slot, digest);
		digest[strlen(rings[c].sha256)] = '\0';
		assert_string_equal(digest, rings[c].sha256);
	}
	free(slot);
}

static void tiny_rings(void **state)
{
	static const uint16_t v1[7] = { 1, 2, 1, 2, 2, 1, 2 }, v2[7] = { 2, 2, 1, 2, 2, 1, 2 };
	struct wm_endpoint e[2];
	uint16_t slot[7];

	(void)state;
	for (int i = 0; i < 2; i++)
		e[i] = endpoint(numbered(i + 1), i + 1, i + 1);
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV_V1, e, 2, slot, 7), 0);
	assert_memory_equal(slot, v1, sizeof(v1));
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 2, slot, 7), 0);
	assert_memory_equal(slot, v2, sizeof(v2));
}

/* --- the fill loop against the plain formula --- */

struct plain {
	uint32_t offset, skip, next, weight, saved;
	uint16_t dest;
};

/* The next free slot of one real, as the formula says; slots * 4 steps without
 * one: never. */
static bool plain_claim(struct plain *p, uint16_t *slot, uint32_t slots)
{
	for (uint32_t steps = 0; steps < 4 * slots; steps++) {
		uint32_t at = p->offset + p->next++ * p->skip; /* wraps at 2^32 */

		if (slot[at % slots])
			continue;
		slot[at % slots] = p->dest;
		return true;
	}
	return false;
}

static bool plain_turn(enum wm_hash hash, struct plain *p, uint32_t price, bool first,
		       uint16_t *slot, uint32_t slots, uint32_t *left)
{
	uint32_t turns = 1;

	if (hash == WM_HASH_MAGLEV_V1) {
		turns = first ? p->weight : 1;
	} else {
		p->saved += p->weight;
		if (p->saved < price)
			return true;
		p->saved -= price;
	}
	for (; turns && *left; turns--, --*left)
		if (!plain_claim(p, slot, slots))
			return false;
	return true;
}

/* false: some walk would never end. `e` is sorted by hash, weights are not 0. */
static bool plain_fill(enum wm_hash hash, const struct wm_endpoint *e, size_t n, uint16_t *slot,
		       uint32_t slots)
{
	static struct plain p[REALS_MAX];
	uint32_t left = slots, price = 0;

	memset(slot, 0, slots * sizeof(*slot));
	for (size_t i = 0; i < n; i++) {
		p[i] = (struct plain){ .weight = e[i].weight, .dest = e[i].dest };
		wm_maglev__permutation(e[i].hash, slots, &p[i].offset, &p[i].skip);
		price = e[i].weight > price ? e[i].weight : price;
	}
	for (bool first = true; left; first = false)
		for (size_t i = 0; i < n && left; i++)
			if (!plain_turn(hash, &p[i], price, first, slot, slots, &left))
				return false;
	return true;
}

static void assert_counted(const struct wm_endpoint *e, size_t n, const uint16_t *slot,
			   uint32_t slots)
{
	static uint32_t count[REALS_MAX + 1];

	memset(count, 0, sizeof(count));
	for (uint32_t i = 0; i < slots; i++)
		count[slot[i]]++;
	for (size_t i = 0; i < n; i++)
		assert_int_equal(e[i].slots, count[e[i].dest]);
}

static void assert_same_as_plain(enum wm_hash hash, struct wm_endpoint *e, size_t n, uint32_t slots)
{
	uint16_t *ours = calloc(slots, sizeof(*ours)), *plain = calloc(slots, sizeof(*plain));

	assert_int_equal(wm_maglev__fill(hash, e, n, ours, slots), 0);
	assert_true(plain_fill(hash, e, n, plain, slots)); /* e is sorted now */
	assert_memory_equal(ours, plain, slots * sizeof(*ours));
	assert_counted(e, n, ours, slots);
	free(ours);
	free(plain);
}

static uint32_t chance(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 33;
}

static void fill_is_the_plain_formula(void **state)
{
	static const uint32_t sizes[] = { 2, 7, 251, 4093, SLOTS, SLOTS, SLOTS };
	static struct wm_endpoint e[REALS_MAX];
	uint64_t seed = 1;

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		for (int round = 0; round < 8; round++) {
			size_t n = 2 + chance(&seed) % (round ? 60 : REALS_MAX - 2);

			for (size_t i = 0; i < n; i++)
				e[i] = endpoint(numbered(chance(&seed) % (1 << 24)),
						1 + chance(&seed) % (round % 2 ? 1 : 300), i + 1);
			assert_same_as_plain(WM_HASH_MAGLEV, e, n, sizes[s]);
			assert_same_as_plain(WM_HASH_MAGLEV_V1, e, n, sizes[s]);
		}
	}
}

static struct wm_addr real_with_skip(uint32_t wanted)
{
	for (uint32_t n = 1; n < 1 << 24; n++) {
		struct wm_addr a = numbered(n);
		uint32_t offset, skip;

		wm_maglev__permutation(wm_endpoint__hash(&a), SLOTS, &offset, &skip);
		if (skip == wanted)
			return a;
	}
	fail_msg("no real in 10.0.0.0/8 steps by %u", wanted);
	return (struct wm_addr){};
}

/*
 * With a skip of 65536 the sum passes 2^32 before the walk has seen every slot,
 * and one slot is out of its reach. As long as the formula ends, the ring is
 * the formula's, wrap included; where it would not end, ours ends all the same.
 */
static void sum_wraps_as_katrans(void **state)
{
	struct wm_addr wraps = real_with_skip(65536);
	uint16_t *slot = calloc(SLOTS, sizeof(*slot)), *plain = calloc(SLOTS, sizeof(*plain));
	unsigned int ended = 0, endless = 0;

	(void)state;
	for (uint32_t n = 1; n < 200 && !(ended && endless); n++) {
		struct wm_endpoint e[2] = { endpoint(wraps, 50, 1), endpoint(numbered(n), 1, 2) };

		assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 2, slot, SLOTS), 0);
		if (plain_fill(WM_HASH_MAGLEV, e, 2, plain, SLOTS)) {
			assert_memory_equal(slot, plain, SLOTS * sizeof(*slot));
			ended++;
		} else {
			for (uint32_t i = 0; i < SLOTS; i++)
				assert_int_not_equal(slot[i], 0);
			endless++;
		}
	}
	assert_true(ended && endless); /* both were seen */
	free(slot);
	free(plain);
}

/*
 * With offset and skip 65536 the sum has passed 2^32 one step early: of slots 0
 * and 1 it comes to 0, where the permutation has 1. The weights are such that both
 * are free when the real has its last turn, and the other real gets the one left.
 */
static void sum_wraps_before_the_last_step(void **state)
{
	struct wm_endpoint e[2] = { { .hash = 497844648, .weight = 43689, .dest = 1 },
				    endpoint(numbered(3), 2, 2) };
	uint16_t *slot = calloc(SLOTS, sizeof(*slot));
	uint32_t offset, skip;

	(void)state;
	wm_maglev__permutation(e[0].hash, SLOTS, &offset, &skip);
	assert_int_equal(offset, 65536);
	assert_int_equal(skip, 65536);
	assert_same_as_plain(WM_HASH_MAGLEV, e, 2, SLOTS);
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 2, slot, SLOTS), 0);
	assert_int_equal(slot[0], 1);
	assert_int_equal(slot[1], 2);
	free(slot);
}

/* --- edges --- */

static void nobody_with_weight(void **state)
{
	uint16_t *slot = malloc(SLOTS * sizeof(*slot));
	struct wm_endpoint e[2] = { endpoint(numbered(1), 0, 1), endpoint(numbered(2), 0, 2) };

	(void)state;
	for (size_t n = 0; n <= 2; n++) {
		memset(slot, 0xff, SLOTS * sizeof(*slot));
		assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, n, slot, SLOTS), 0);
		for (uint32_t i = 0; i < SLOTS; i++)
			assert_int_equal(slot[i], 0);
	}
	free(slot);
}

static void weight_0_counts_for_nothing(void **state)
{
	uint16_t *with = malloc(SLOTS * 2), *without = malloc(SLOTS * 2);
	struct wm_endpoint e[3] = { endpoint(numbered(1), 5, 1), endpoint(numbered(9), 0, 9),
				    endpoint(numbered(2), 7, 2) };
	struct wm_endpoint f[2] = { endpoint(numbered(1), 5, 1), endpoint(numbered(2), 7, 2) };

	(void)state;
	for (enum wm_hash hash = WM_HASH_MAGLEV; hash <= WM_HASH_MAGLEV_V1; hash++) {
		assert_int_equal(wm_maglev__fill(hash, e, 3, with, SLOTS), 0);
		assert_int_equal(wm_maglev__fill(hash, f, 2, without, SLOTS), 0);
		assert_memory_equal(with, without, SLOTS * 2);
		for (int i = 0; i < 3; i++)
			assert_true(e[i].weight ? e[i].slots > 0 : e[i].slots == 0);
	}
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 1, with, SLOTS), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_int_equal(with[i], e[0].weight ? e[0].dest : 0);
	free(with);
	free(without);
}

static void order_does_not_matter(void **state)
{
	static struct wm_endpoint e[50], f[50];
	uint16_t *forth = malloc(SLOTS * 2), *back = malloc(SLOTS * 2);

	(void)state;
	for (int i = 0; i < 50; i++) /* the last two have the same hash */
		e[i] = endpoint(numbered(i < 49 ? i + 1 : i), 1 + i % 4, i + 1);
	for (int i = 0; i < 50; i++)
		f[49 - i] = e[i];
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 50, forth, SLOTS), 0);
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, f, 50, back, SLOTS), 0);
	assert_memory_equal(forth, back, SLOTS * 2);
	free(forth);
	free(back);
}

static void extreme_weights(void **state)
{
	uint16_t *slot = malloc(SLOTS * 2);
	struct wm_endpoint e[2] = { endpoint(numbered(1), WM_WEIGHT_MAX, 1),
				    endpoint(numbered(2), 1, 2) };
	uint32_t count[3] = {};

	(void)state;
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 2, slot, SLOTS), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		count[slot[i]]++;
	assert_int_equal(count[0], 0);
	assert_in_range(count[2], 1, 2);
	e[1].weight = WM_WEIGHT_MAX;
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV_V1, e, 2, slot, SLOTS), 0);
	memset(count, 0, sizeof(count));
	for (uint32_t i = 0; i < SLOTS; i++)
		count[slot[i]]++;
	assert_int_equal(count[0], 0);
	free(slot);
}

static void sizes_out_of_bounds(void **state)
{
	struct wm_endpoint e[1] = { endpoint(numbered(1), 1, 1) };
	uint16_t slot[1];

	(void)state;
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 1, slot, 0), -EINVAL);
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 1, slot, 1), -EINVAL);
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 1, slot, SLOTS + 1), -EINVAL);
}

/* Take one of 100 reals away: its slots go to the others, and few of the others'
 * slots move with them. */
static void removal_moves_little(void **state)
{
	static struct wm_endpoint e[100], f[99];
	uint16_t *before = malloc(SLOTS * 2), *after = malloc(SLOTS * 2);
	uint32_t moved = 0, owned = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		e[i] = endpoint(numbered(i + 1), 100, i + 1);
		if (i)
			f[i - 1] = e[i];
	}
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, e, 100, before, SLOTS), 0);
	assert_int_equal(wm_maglev__fill(WM_HASH_MAGLEV, f, 99, after, SLOTS), 0);
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_int_not_equal(after[i], 1);
		owned += before[i] == 1;
		moved += before[i] != 1 && before[i] != after[i];
	}
	assert_in_range(owned, SLOTS / 100, SLOTS / 100 + 1);
	assert_in_range(moved, 0, SLOTS / 100); /* below 1 %; Katran's: 0.5 % */
	free(before);
	free(after);
}

/* Not a check: what it costs here. */
static void print_speed(void **state)
{
	static struct wm_endpoint e[100];
	uint16_t *slot = malloc(SLOTS * 2);
	double best = 1e9;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct timespec a, b;
		double ms;

		for (int i = 0; i < 100; i++)
			e[i] = endpoint(numbered(i + 1), 100, i + 1);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
		wm_maglev__fill(WM_HASH_MAGLEV, e, 100, slot, SLOTS);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
		ms = (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6;
		best = ms < best ? ms : best;
	}
	print_message("65537 slots, 100 equal reals: %.3f ms\n", best);
	free(slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hash_of_reals),
		cmocka_unit_test(hash_of_mapped_is_hash_of_ipv4),
		cmocka_unit_test(permutations),
		cmocka_unit_test(rings_of_katran),
		cmocka_unit_test(tiny_rings),
		cmocka_unit_test(fill_is_the_plain_formula),
		cmocka_unit_test(sum_wraps_as_katrans),
		cmocka_unit_test(sum_wraps_before_the_last_step),
		cmocka_unit_test(nobody_with_weight),
		cmocka_unit_test(weight_0_counts_for_nothing),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(extreme_weights),
		cmocka_unit_test(sizes_out_of_bounds),
		cmocka_unit_test(removal_moves_little),
		cmocka_unit_test(print_speed),
	};

	return cmocka_run_group_tests_name("maglev", tests, NULL, NULL);
}
