// SPDX-License-Identifier: GPL-2.0
/*
 * The flow table as user space sees it: the same memory, the same hash. Writes
 * compare and exchange whole entries, so a packet that changes one at the same
 * time wins.
 */
#include <waymark/hash.h>

#include "dp.h"

struct wm_flow_bucket *wm_dp__flow_bucket(struct wm_dp *dp, uint64_t hash, bool second)
{
	struct wm_flow_bucket *table = dp->map[DP_FLOWS].memory;

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
	out->idle_ticks = (wm_dp__tick_ns(dp, NULL) - (entry >> WM_FLOW_AGE_SHIFT)) &
			  WM_FLOW_AGE_MASK;
	return true;
}

void wm_dp__flow_touch(struct wm_dp *dp, const struct wm_flow *flow)
{
	const uint64_t age_bits = (uint64_t)WM_FLOW_AGE_MASK << WM_FLOW_AGE_SHIFT;
	uint64_t entry, *way = find(dp, flow, &entry);

	if (way)
		replace(way, entry, (entry & ~age_bits) |
			(uint64_t)wm_dp__tick_ns(dp, NULL) << WM_FLOW_AGE_SHIFT);
}

void wm_dp__flow_restart(struct wm_dp *dp, const struct wm_flow *flow)
{
	uint64_t entry, *way = find(dp, flow, &entry);

	if (way && (entry & WM_FLOW_STATE_MASK) != WM_FLOW_CLOSING)
		replace(way, entry, entry & ~(uint64_t)WM_FLOW_STATE_MASK);
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
