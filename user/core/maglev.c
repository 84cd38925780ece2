// SPDX-License-Identifier: GPL-2.0
/*
 * Filling rings. Every real has a permutation of the slots, given by where it
 * starts (offset) and how far it steps (skip). The reals take turns in the
 * order of their hashes; on its turn a real claims the next slot of its own
 * permutation that nobody has. The two ways differ only in what a weight does:
 *
 *   V2  every turn adds the weight to what the real has saved up; a real that
 *       saved at least the largest weight pays that much and claims one slot.
 *       Slots are shared in proportion to the weights.
 *   V1  a real claims as many slots as its weight on its first turn, one on
 *       each further turn. Weights far below the ring's size do next to nothing.
 *
 * A ring of 65537 slots takes about 770,000 looks at a slot whatever the number
 * of reals (the last free slots are hard to find), so one look must be cheap:
 *  - a real keeps offset + next * skip as a running sum instead of `next`; the
 *    sum wraps at 2^32 exactly as Katran's product does;
 *  - modulo 65537 is a subtraction (2^16 is -1 there), no division;
 *  - "is the slot free" is one bit: 8 KiB, which stay in the first-level cache
 *    where 128 KiB of ids do not;
 *  - the last free slot goes to whoever's turn it is, without a walk. This also
 *    ends the one walk that would not end: with a skip of 65536 the sum wraps
 *    after 65536 steps into slots it has seen, and one slot is never reached.
 *
 * The size must be a prime of at most WM_RING_SLOTS: else some permutation does
 * not visit all slots and a walk may never find a free one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "maglev.h"

enum { WORD_BITS = 64 };

/* One real while a ring is filled. */
struct claimant {
	uint32_t at; /* offset + next * skip, before the modulo */
	uint32_t skip;
	uint32_t weight;
	uint32_t saved; /* V2 */
	uint16_t dest;
};

struct filling {
	struct claimant *claimants;
	size_t n;
	uint16_t *slot;
	uint64_t *taken; /* one bit a slot */
	uint32_t slots;
	uint32_t left; /* slots that nobody has */
};

static uint64_t rol64(uint64_t x, unsigned int by)
{
	return x << by | x >> (64 - by);
}

static uint64_t final_mix(uint64_t x)
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccd;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53;
	return x ^ x >> 33;
}

/*
 * MurmurHash3 (Austin Appleby, public domain), its 128-bit form for 64-bit
 * machines, of the 16 bytes a, b: the first half of the result.
 */
static uint64_t murmur3_16(uint64_t a, uint64_t b, uint64_t seed)
{
	const uint64_t c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f;
	uint64_t h1 = seed, h2 = seed;

	h1 ^= rol64(a * c1, 31) * c2;
	h1 = (rol64(h1, 27) + h2) * 5 + 0x52dce729;
	h2 ^= rol64(b * c2, 33) * c1;
	h2 = (rol64(h2, 31) + h1) * 5 + 0x38495ab5;

	h1 ^= 16;
	h2 ^= 16;
	h1 += h2;
	h2 += h1;
	return final_mix(h1) + final_mix(h2);
}

void wm_maglev__permutation(uint64_t hash, uint32_t slots, uint32_t *offset, uint32_t *skip)
{
	*offset = murmur3_16(hash, 42, 0) % slots;
	*skip = murmur3_16(hash, 2718281828, 2307) % (slots - 1) + 1;
}

/* Inlined with a constant `slots` where that is WM_RING_SLOTS. */
static __always_inline uint32_t reduce(uint32_t x, uint32_t slots)
{
	return slots == WM_RING_SLOTS ? wm_ring_slot(x) : x % slots;
}

static uint32_t last_free(const struct filling *f)
{
	uint32_t word = 0;

	while (!~f->taken[word])
		word++;
	return word * WORD_BITS + __builtin_ctzll(~f->taken[word]);
}

static __always_inline void claim(struct filling *f, struct claimant *c, uint32_t slots)
{
	const uint64_t *taken = f->taken;
	uint32_t at = c->at, pos;

	if (f->left-- == 1) {
		f->slot[last_free(f)] = c->dest;
		return;
	}
	do {
		pos = reduce(at, slots);
		at += c->skip;
	} while (taken[pos / WORD_BITS] >> pos % WORD_BITS & 1);
	c->at = at;
	f->taken[pos / WORD_BITS] |= 1ull << pos % WORD_BITS;
	f->slot[pos] = c->dest;
}

static __always_inline void fill_v1(struct filling *f, uint32_t slots)
{
	for (size_t i = 0; i < f->n; i++)
		for (uint32_t turn = 0; turn < f->claimants[i].weight && f->left; turn++)
			claim(f, &f->claimants[i], slots);
	while (f->left)
		for (size_t i = 0; i < f->n && f->left; i++)
			claim(f, &f->claimants[i], slots);
}

static __always_inline void fill_v2(struct filling *f, uint32_t slots)
{
	uint32_t price = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->claimants[i].weight > price)
			price = f->claimants[i].weight;
	while (f->left)
		for (size_t i = 0; i < f->n && f->left; i++) {
			struct claimant *c = &f->claimants[i];

			c->saved += c->weight;
			if (c->saved < price)
				continue;
			c->saved -= price;
			claim(f, c, slots);
		}
}

static void fill(struct filling *f, enum wm_hash hash)
{
	bool usual = f->slots == WM_RING_SLOTS;

	if (hash == WM_HASH_MAGLEV_V1)
		usual ? fill_v1(f, WM_RING_SLOTS) : fill_v1(f, f->slots);
	else
		usual ? fill_v2(f, WM_RING_SLOTS) : fill_v2(f, f->slots);
}

static int by_hash(const void *left, const void *right)
{
	const struct wm_endpoint *a = left, *b = right;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->dest - b->dest;
}

static size_t enlist(const struct wm_endpoint *endpoints, size_t n, uint32_t slots,
		     struct claimant *out)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		struct claimant *c = &out[used];

		if (!endpoints[i].weight)
			continue;
		*c = (struct claimant){ .weight = endpoints[i].weight, .dest = endpoints[i].dest };
		wm_maglev__permutation(endpoints[i].hash, slots, &c->at, &c->skip);
		used++;
	}
	return used;
}

int wm_maglev__fill(enum wm_hash hash, struct wm_endpoint *endpoints, size_t n, uint16_t *slot,
		    uint32_t slots)
{
	struct filling f = { .slot = slot, .slots = slots, .left = slots };
	int ret = -ENOMEM;

	if (slots < 2 || slots > WM_RING_SLOTS)
		return -EINVAL;
	f.claimants = malloc((n + 1) * sizeof(*f.claimants));
	if (!f.claimants)
		return -ENOMEM;
	f.taken = calloc(slots / WORD_BITS + 1, sizeof(*f.taken));
	if (!f.taken)
		goto free_claimants;

	if (n)
		qsort(endpoints, n, sizeof(*endpoints), by_hash);
	f.n = enlist(endpoints, n, slots, f.claimants);
	if (f.n > 1)
		fill(&f, hash);
	else
		for (uint32_t i = 0; i < slots; i++)
			slot[i] = f.n ? f.claimants[0].dest : 0;
	ret = 0;

	free(f.taken);
free_claimants:
	free(f.claimants);
	return ret;
}
