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
 * Walking from slot to slot, a ring of 65537 takes about 770,000 looks whatever
 * the number of reals: with f slots free a claim takes 65537/f of them. So:
 *  - A look is cheap. "Is it taken" is a bit, and the map of bits is there twice,
 *    one after the other: the three places after a walk's place are within it
 *    without a modulo. Four are looked at before the first branch, since
 *    where a walk ends cannot be predicted while there are many free ones.
 *  - The last slots (half of all looks are for the last 256) are not walked to.
 *    Slot x is on step (x - offset) / skip of a permutation, the division being
 *    one modulo the size. The free one of the lowest step is the next; no claim
 *    depends on where the real's walk was.
 *
 * Katran forms offset + next * skip in 32 bits. Only with offset and skip 65536
 * does that wrap before the last step, so only there may another slot come out
 * than by the permutation (and one slot is never reached): such a real's last
 * slots are walked to by that very sum. The last free slot goes to whoever's turn
 * it is.
 *
 * The size must be a prime of at most WM_RING_SLOTS: else some permutation does
 * not visit all slots and a walk may never find a free one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "maglev.h"

enum {
	WORD_BITS = 64,
	LAST = 128,    /* so many slots are not walked to; about where both ways cost the same */
	LAST_BITS = 7, /* LAST = 1 << LAST_BITS */
};

/* One real while a ring is filled. */
struct claimant {
	uint32_t offset;
	uint32_t step[4]; /* skip, and twice, three, four times that, modulo the size */
	uint32_t at;      /* the next slot to look at */
	uint32_t inverse; /* of the skip, modulo the size; 0: not known yet */
	uint32_t weight;
	uint32_t saved;   /* V2; V1: claims left in the first turn */
	uint32_t claimed;
	uint16_t dest;
};

struct filling {
	struct claimant *claimants;
	size_t n, turn;  /* whose turn is next */
	uint32_t price;  /* V2: of a slot */
	uint16_t *slot;
	uint64_t *taken; /* a bit a slot, twice */
	uint32_t left;   /* slots that nobody has */
	uint32_t free[LAST];
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

/* --- turns --- */

static __always_inline struct claimant *turn_v1(struct filling *f)
{
	struct claimant *c = &f->claimants[f->turn];

	if (c->saved > 1)
		c->saved--;
	else
		f->turn = f->turn + 1 < f->n ? f->turn + 1 : 0;
	return c;
}

static __always_inline struct claimant *turn_v2(struct filling *f)
{
	for (;;) {
		struct claimant *c = &f->claimants[f->turn];

		f->turn = f->turn + 1 < f->n ? f->turn + 1 : 0;
		c->saved += c->weight;
		if (c->saved < f->price)
			continue;
		c->saved -= f->price;
		return c;
	}
}

static __always_inline struct claimant *next_turn(struct filling *f, enum wm_hash hash)
{
	return hash == WM_HASH_MAGLEV_V1 ? turn_v1(f) : turn_v2(f);
}

/* Before the first turn. */
static void set_prices(struct filling *f, enum wm_hash hash)
{
	for (size_t i = 0; i < f->n; i++) {
		struct claimant *c = &f->claimants[i];

		c->saved = hash == WM_HASH_MAGLEV_V1 ? c->weight : 0;
		if (c->weight > f->price)
			f->price = c->weight;
	}
}

/* --- walking --- */

/* x below twice the size, modulo it. No branch: it could not be predicted. */
static __always_inline uint32_t wrap(uint32_t x, uint32_t slots)
{
	x -= slots;
	return x + (slots & -(x >> 31));
}

static __always_inline uint32_t taken(const struct filling *f, uint32_t slot)
{
	return f->taken[slot / WORD_BITS] >> slot % WORD_BITS & 1;
}

static __always_inline void take(struct filling *f, struct claimant *c, uint32_t slot)
{
	f->slot[slot] = c->dest;
	c->claimed++;
	f->left--;
}

static __always_inline void claim(struct filling *f, struct claimant *c, uint32_t slots)
{
	const uint32_t s1 = c->step[0], s2 = c->step[1], s3 = c->step[2], s4 = c->step[3];
	uint32_t at = c->at, slot, t0, t1, t2;

	for (;; at = wrap(at + s4, slots)) {
		t0 = taken(f, at);
		t1 = taken(f, at + s1);
		t2 = taken(f, at + s2);
		if (!(t0 & t1 & t2 & taken(f, at + s3)))
			break;
	}
	slot = t2 ? at + s3 : at + s2;
	slot = t1 ? slot : at + s1;
	slot = wrap(t0 ? slot : at, slots);
	c->at = wrap(slot + s1, slots);
	f->taken[slot / WORD_BITS] |= 1ull << slot % WORD_BITS;
	f->taken[(slot + slots) / WORD_BITS] |= 1ull << (slot + slots) % WORD_BITS;
	take(f, c, slot);
}

/* --- the last slots --- */

static void list_free(struct filling *f, uint32_t slots)
{
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < slots; slot++)
		if (!taken(f, slot))
			f->free[n++] = slot;
}

/* By Fermat: x^(slots - 2). */
static __always_inline uint32_t inverse(uint64_t x, uint32_t slots)
{
	uint64_t product = 1;

	for (uint32_t power = slots - 2; power; power /= 2) {
		if (power & 1)
			product = product * x % slots;
		x = x * x % slots;
	}
	return product;
}

/* The index of the free slot that the real's permutation comes to first. */
static __always_inline uint32_t find_first(const struct filling *f, const struct claimant *c,
					   uint32_t slots)
{
	uint32_t first = UINT32_MAX;

	for (uint32_t i = 0; i < f->left; i++) {
		uint32_t ahead = wrap(f->free[i] + slots - c->offset, slots), step;

		step = reduce(ahead * c->inverse, slots);
		step = step << LAST_BITS | i;
		first = step < first ? step : first;
	}
	return first % LAST;
}

/* The same by Katran's sum, for the real that steps by 65536. */
static uint32_t find_by_sum(const struct filling *f, const struct claimant *c)
{
	uint32_t sum = c->offset;

	for (; f->left > 1; sum += c->step[0])
		for (uint32_t i = 0; i < f->left; i++)
			if (f->free[i] == wm_ring_slot(sum))
				return i;
	return 0;
}

static __always_inline void claim_last(struct filling *f, struct claimant *c, uint32_t slots)
{
	uint32_t i;

	if (c->step[0] == WM_RING_SLOTS - 1) {
		i = find_by_sum(f, c);
	} else {
		if (!c->inverse)
			c->inverse = inverse(c->step[0], slots);
		i = find_first(f, c, slots);
	}
	take(f, c, f->free[i]);
	f->free[i] = f->free[f->left];
}

/* --- a ring --- */

static __always_inline void fill_by(struct filling *f, enum wm_hash hash, uint32_t slots)
{
	while (f->left > LAST)
		claim(f, next_turn(f, hash), slots);
	list_free(f, slots);
	while (f->left)
		claim_last(f, next_turn(f, hash), slots);
}

static void fill(struct filling *f, enum wm_hash hash, uint32_t slots)
{
	bool usual = slots == WM_RING_SLOTS;

	set_prices(f, hash);
	if (hash == WM_HASH_MAGLEV_V1)
		usual ? fill_by(f, WM_HASH_MAGLEV_V1, WM_RING_SLOTS)
		      : fill_by(f, WM_HASH_MAGLEV_V1, slots);
	else
		usual ? fill_by(f, WM_HASH_MAGLEV, WM_RING_SLOTS)
		      : fill_by(f, WM_HASH_MAGLEV, slots);
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
		uint32_t skip;

		if (!endpoints[i].weight)
			continue;
		*c = (struct claimant){ .weight = endpoints[i].weight, .dest = endpoints[i].dest };
		wm_maglev__permutation(endpoints[i].hash, slots, &c->offset, &skip);
		c->at = c->offset;
		for (uint32_t k = 0; k < 4; k++)
			c->step[k] = (uint64_t)skip * (k + 1) % slots;
		used++;
	}
	return used;
}

static void all_to_one(struct filling *f, uint32_t slots)
{
	for (uint32_t i = 0; i < slots; i++)
		f->slot[i] = f->n ? f->claimants[0].dest : 0;
	if (f->n)
		f->claimants[0].claimed = slots;
}

static void tell_claimed(const struct filling *f, struct wm_endpoint *endpoints, size_t n)
{
	const struct claimant *c = f->claimants;

	for (size_t i = 0; i < n; i++)
		endpoints[i].slots = endpoints[i].weight ? c++->claimed : 0;
}

int wm_maglev__fill(enum wm_hash hash, struct wm_endpoint *endpoints, size_t n, uint16_t *slot,
		    uint32_t slots)
{
	struct filling f = { .slot = slot, .left = slots };
	int ret = -ENOMEM;

	if (slots < 2 || slots > WM_RING_SLOTS)
		return -EINVAL;
	f.claimants = malloc((n + 1) * sizeof(*f.claimants));
	if (!f.claimants)
		return -ENOMEM;
	f.taken = calloc(2 * slots / WORD_BITS + 1, sizeof(*f.taken));
	if (!f.taken)
		goto free_claimants;

	if (n)
		qsort(endpoints, n, sizeof(*endpoints), by_hash);
	f.n = enlist(endpoints, n, slots, f.claimants);
	if (f.n > 1)
		fill(&f, hash, slots);
	else
		all_to_one(&f, slots);
	tell_claimed(&f, endpoints, n);
	ret = 0;

	free(f.taken);
free_claimants:
	free(f.claimants);
	return ret;
}
