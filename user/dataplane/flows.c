// SPDX-License-Identifier: GPL-2.0
/*
 * The flow table as user space sees it: the same memory, the same hash. Writes
 * compare and exchange whole entries, so a packet that changes one at the same
 * time wins.
 */
#include <errno.h>
#include <waymark/hash.h>

#include "dp.h"

/* The clock of the entries goes round in 4096 ticks, more than an hour. */
enum {
	AGE_KEPT = 3072,                   /* older an entry does not get, see below */
	AGE_AHEAD = WM_FLOW_AGE_MASK - 63, /* no age: written after we read the clock */
};

struct wm_flow_bucket *wm_dp__flow_table(struct wm_dp *dp)
{
	return dp->map[DP_FLOWS].memory;
}

struct wm_flow_bucket *wm_dp__flow_bucket(struct wm_dp *dp, uint64_t hash, bool second)
{
	struct wm_flow_bucket *table = wm_dp__flow_table(dp);

	return &table[second ? wm_flow_second_of(hash, dp->params.flow_buckets)
			     : wm_flow_bucket_of(hash, dp->params.flow_buckets)];
}

uint64_t wm_dp__flow_hash(struct wm_dp *dp, const struct wm_flow *flow)
{
	return wm_flow_hash(flow, wm_dp__ctl(dp)->flow_seed);
}

static uint64_t *find_in(struct wm_flow_bucket *bucket, uint64_t hash, uint64_t *entry)
{
	uint64_t *way = (uint64_t *)bucket->way;

	for (int i = 0; i < WM_FLOW_WAYS; i++) {
		*entry = __atomic_load_n(&way[i], __ATOMIC_RELAXED);
		if (*entry && *entry >> WM_FLOW_TAG_SHIFT ==
			      hash << WM_FLOW_TAG_SHIFT >> WM_FLOW_TAG_SHIFT)
			return &way[i];
	}
	return NULL;
}

static uint64_t *find(struct wm_dp *dp, const struct wm_flow *flow, uint64_t *entry)
{
	uint64_t hash = wm_dp__flow_hash(dp, flow);

	return find_in(wm_dp__flow_bucket(dp, hash, false), hash, entry) ?:
	       find_in(wm_dp__flow_bucket(dp, hash, true), hash, entry);
}

static uint32_t age_of(uint64_t entry, uint32_t tick)
{
	uint32_t age = (tick - (entry >> WM_FLOW_AGE_SHIFT)) & WM_FLOW_AGE_MASK;

	return age < AGE_AHEAD ? age : 0;
}

static void replace(uint64_t *way, uint64_t old, uint64_t entry)
{
	__atomic_compare_exchange_n(way, &old, entry, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool wm_dp__flow_find(struct wm_dp *dp, const struct wm_flow *flow, struct wm_flow_slot *out)
{
	uint64_t entry;

	if (!find(dp, flow, &entry))
		return false;
	out->entry = entry;
	out->dest = entry >> WM_FLOW_DEST_SHIFT & 0xffff;
	out->state = entry & WM_FLOW_STATE_MASK;
	out->idle_ticks = age_of(entry, wm_dp__tick_ns(dp, NULL));
	return true;
}

void wm_dp__flow_restart(struct wm_dp *dp, const struct wm_flow *flow)
{
	uint64_t entry, *way = find(dp, flow, &entry);

	if (way)
		replace(way, entry, wm_flow_without_rule(entry, wm_dp__tick_ns(dp, NULL)));
}

/* How readily an entry goes, as the program weighs it (entry_rank() in bpf/flow.h). */
static uint32_t rank(struct wm_dp *dp, uint64_t entry, uint32_t tick)
{
	uint32_t age = age_of(entry, tick), state = wm_flow_state(entry);

	if (!entry)
		return UINT32_MAX;
	if (wm_flow_may_have_rule(state) && age <= wm_dp__ctl(dp)->rule_idle)
		return 0;
	return 1 + age + (state == WM_FLOW_CLOSED ? WM_FLOW_AGE_MASK / 2 : 0);
}

/* The way of the two buckets whose entry goes first; NULL: none may. */
static uint64_t *victim(struct wm_dp *dp, uint64_t hash, uint32_t tick, uint64_t *old)
{
	uint64_t *best = NULL;
	uint32_t most = 0;

	for (int i = 0; i < 2 * WM_FLOW_WAYS; i++) {
		struct wm_flow_bucket *bucket = wm_dp__flow_bucket(dp, hash, i >= WM_FLOW_WAYS);
		uint64_t *way = (uint64_t *)&bucket->way[i % WM_FLOW_WAYS];
		uint64_t entry = __atomic_load_n(way, __ATOMIC_RELAXED);
		uint32_t r = rank(dp, entry, tick);

		if (r > most) {
			most = r;
			best = way;
			*old = entry;
		}
	}
	return best;
}

bool wm_dp__flow_keep(struct wm_dp *dp, const struct wm_flow *flow, uint16_t dest)
{
	uint64_t hash = wm_dp__flow_hash(dp, flow), old, *way = find(dp, flow, &old);
	uint32_t tick = wm_dp__tick_ns(dp, NULL);
	bool ended = way && wm_flow_state(old) > WM_FLOW_PROMOTED;

	if (!way)
		way = victim(dp, hash, tick, &old);
	if (!way)
		return false;
	replace(way, old, wm_flow_entry(hash, dest, tick,
					ended ? WM_FLOW_CLOSING : WM_FLOW_PROMOTED));
	return !ended;
}

int64_t wm_dp__flow_place(struct wm_dp *dp, const struct wm_flow *flow)
{
	uint64_t entry, *way = find(dp, flow, &entry);

	return way ? way - (uint64_t *)wm_dp__flow_table(dp) : -ENOENT;
}

void wm_dp__flow_release(struct wm_dp *dp, const uint64_t *ruled)
{
	uint64_t *way = (uint64_t *)wm_dp__flow_table(dp);
	size_t n = (size_t)WM_FLOW_WAYS * dp->params.flow_buckets;

	for (size_t i = 0; i < n; i++) {
		uint64_t entry = __atomic_load_n(&way[i], __ATOMIC_RELAXED);

		if (wm_flow_may_have_rule(wm_flow_state(entry)) &&
		    !(ruled && ruled[i / 64] >> i % 64 & 1))
			replace(&way[i], entry,
				wm_flow_without_rule(entry, entry >> WM_FLOW_AGE_SHIFT));
	}
}

uint64_t wm_dp__flow_sweep(struct wm_dp *dp, const uint64_t dests[1024])
{
	uint64_t *way = dp->map[DP_FLOWS].memory, removed = 0;
	size_t n = (size_t)WM_FLOW_WAYS * dp->params.flow_buckets;

	for (size_t i = 0; i < n; i++) {
		uint64_t entry = __atomic_load_n(&way[i], __ATOMIC_RELAXED);
		uint16_t dest = entry >> WM_FLOW_DEST_SHIFT;

		if (!entry || !(dests[dest / 64] >> dest % 64 & 1))
			continue;
		replace(&way[i], entry, 0);
		removed++;
	}
	return removed;
}

uint64_t wm_dp__flow_count(struct wm_dp *dp)
{
	const uint64_t *way = dp->map[DP_FLOWS].memory;
	size_t n = (size_t)WM_FLOW_WAYS * dp->params.flow_buckets;
	uint64_t used = 0;

	for (size_t i = 0; i < n; i++)
		used += __atomic_load_n(&way[i], __ATOMIC_RELAXED) != 0;
	return used;
}

bool wm_census__counts(const struct wm_census *census, const struct wm_flow_slot *slot)
{
	return slot->state < WM_FLOW_CLOSING && slot->idle_ticks < census->limit[slot->dest];
}

/* An entry that nobody wrote for an hour would look young again, and be counted, or be
 * believed if it is UDP's. */
static void keep_old(uint64_t *way, uint64_t entry, uint32_t tick)
{
	const uint64_t age_bits = (uint64_t)WM_FLOW_AGE_MASK << WM_FLOW_AGE_SHIFT;
	uint64_t then = (tick - AGE_KEPT) & WM_FLOW_AGE_MASK;

	replace(way, entry, (entry & ~age_bits) | then << WM_FLOW_AGE_SHIFT);
}

static void count_way(struct wm_census *census, uint64_t *way, uint32_t tick)
{
	uint64_t entry = __atomic_load_n(way, __ATOMIC_RELAXED);
	struct wm_flow_slot slot;

	if (!entry)
		return;
	slot.dest = entry >> WM_FLOW_DEST_SHIFT;
	slot.state = entry & WM_FLOW_STATE_MASK;
	slot.idle_ticks = age_of(entry, tick);
	census->live[slot.dest] += wm_census__counts(census, &slot);
	if (slot.idle_ticks > AGE_KEPT)
		keep_old(way, entry, tick);
}

int wm_dp__flow_census(struct wm_dp *dp, struct wm_census *census, size_t *at, size_t n)
{
	size_t all = (size_t)WM_FLOW_WAYS * dp->params.flow_buckets;
	uint64_t *way = dp->map[DP_FLOWS].memory;
	uint32_t tick;

	if (!wm_dp_tick(dp, &tick))
		return -ENODATA;
	for (; n && *at < all; n--)
		count_way(census, &way[(*at)++], tick);
	return *at < all;
}
