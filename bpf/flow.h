/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flow table: flow -> destination, one cache line a look-up, two for the
 * flows that found their first bucket crowded.
 *
 * One table for all CPUs. Entries are single 64-bit words, read and written
 * whole and without locks. Two CPUs that write one bucket at the same time may
 * lose an entry: its flow is entered again by its next packet, from the ring.
 * A tag that two flows share makes them share a destination; it cannot lead to
 * another vip, because the destination's vip is compared.
 *
 * Writes are rare by design: on entry, while packets are being counted, and
 * when the tick has changed since the entry was written.
 *
 * A flow that reached `promote_after` packets may have a rule in the NIC. Its
 * destination is not changed under it by a SYN: the rule would go on sending
 * to the old one. The daemon resets the count when the rule is gone.
 */
#ifndef WM_BPF_FLOW_H
#define WM_BPF_FLOW_H

#include "event.h"
#include "maps.h"
#include "packet.h"

/* An entry of a connection that closed is this much older than it looks, when
 * somebody has to go. */
enum {
	CLOSING_BONUS = (WM_FLOW_AGE_MASK + 1) / 2,
	RANK_FREE = 2 * (WM_FLOW_AGE_MASK + 1), /* above every age with its bonus */
};

struct flow {
	__u64 hash;
	__u64 entry;   /* 0: not in the table */
	__u64 tick;    /* now */
	__u32 slot;    /* where the entry is, or where it may go: bucket * ways + way */
};

enum { WM_FLOW_TAG_MASK = (1 << (64 - WM_FLOW_TAG_SHIFT)) - 1 };

static __always_inline __u32 entry_dest(__u64 entry)
{
	return entry >> WM_FLOW_DEST_SHIFT & 0xffff;
}

static __always_inline __u32 entry_age(__u64 entry, __u64 tick)
{
	return (tick - (entry >> WM_FLOW_AGE_SHIFT)) & WM_FLOW_AGE_MASK;
}

static __always_inline __u32 entry_state(__u64 entry)
{
	return entry & WM_FLOW_STATE_MASK;
}

/* Ticks of about a second; the jiffies clock is a load, not a call. */
static __always_inline __u64 tick_now(void)
{
	return bpf_jiffies64() >> (wm_ctl.tick_shift & 63);
}

static __always_inline __u64 flow_hash(const struct packet *p)
{
	if (p->family == WM_IPV4)
		return wm_flow_hash_v4(p->src[0], p->dst[0], p->ports, p->proto, wm_ctl.flow_seed);
	return wm_flow_hash_v6(p->src, p->dst, p->ports, p->proto, wm_ctl.flow_seed);
}

/*
 * yes ? a : b for yes in {0, 1}, without a branch. Where a flow sits in its
 * bucket is random, so a branch a way would be mispredicted; and the verifier
 * would follow each of them through the rest of the program.
 */
static __always_inline __u64 choose_if(__u64 yes, __u64 a, __u64 b)
{
	__u64 mask = -yes;

	asm volatile("" : "+r"(mask)); /* else the compiler makes it a branch */
	return (a & mask) | (b & ~mask);
}

static __always_inline struct wm_flow_bucket *bucket_at(__u32 index)
{
	return bpf_map_lookup_elem(&wm_flows, &index);
}

/* The flow's way in this bucket plus WM_FLOW_WAYS; 0: not here. A free way has
 * tag 0, so this may name one: the caller looks at the entry. */
static __always_inline __u64 bucket_find(const struct wm_flow_bucket *bucket, __u64 tag)
{
	__u64 found = 0;

#pragma unroll
	for (__u32 i = 0; i < WM_FLOW_WAYS; i++) {
		/* 1 where the tags are the same: 28 bits minus 1 borrows at 0 only */
		__u64 same = ((bucket->way[i] >> WM_FLOW_TAG_SHIFT ^ tag) - 1) >> 63;

		found = choose_if(same, WM_FLOW_WAYS + i, found);
	}
	return found;
}

/* true: found there. What is found is hidden, or the verifier would follow the
 * outcomes of both buckets to the end of the program. */
static __always_inline bool flow_find_in(struct flow *f, __u32 index)
{
	struct wm_flow_bucket *bucket = bucket_at(index);
	__u64 found, entry;

	if (!bucket)
		return false;
	found = bucket_find(bucket, f->hash & WM_FLOW_TAG_MASK);
	if (!found)
		return false;
	entry = bucket->way[found & (WM_FLOW_WAYS - 1)];
	f->slot = hide(index * WM_FLOW_WAYS + (found & (WM_FLOW_WAYS - 1)));
	f->entry = hide(entry);
	return entry != 0;
}

/*
 * Ask memory for the flow's first bucket, well before it is needed: the vip is
 * looked up meanwhile. With a million flows that line is in no cache. (The second
 * bucket too for a SYN was tried: no gain.)
 */
static __always_inline void flow_begin(struct flow *f, const struct packet *p)
{
	struct wm_flow_bucket *bucket;

	f->hash = flow_hash(p);
	bucket = bucket_at(wm_flow_bucket_of(f->hash, wm_params.flow_buckets));
	if (bucket)
		asm volatile("" : : "r"(*(volatile __u64 *)&bucket->way[0]));
}

static __always_inline void flow_find(struct flow *f)
{
	f->tick = tick_now();
	f->entry = hide(0);
	f->slot = hide(0);
	if (!flow_find_in(f, wm_flow_bucket_of(f->hash, wm_params.flow_buckets)))
		flow_find_in(f, wm_flow_second_of(f->hash, wm_params.flow_buckets));
}

static __always_inline void flow_write(struct flow *f, __u64 entry)
{
	struct wm_flow_bucket *bucket = bucket_at(f->slot / WM_FLOW_WAYS);

	if (bucket)
		*(volatile __u64 *)&bucket->way[f->slot % WM_FLOW_WAYS] = entry;
}

/* 1 if the entry is in use, else 0; without a branch, see choose_if(). */
static __always_inline __u64 entry_used(__u64 entry)
{
	__u64 sign = entry | -entry;

	asm volatile("" : "+r"(sign));
	return sign >> 63;
}

/* How readily an entry goes: by age, a closed connection sooner, a free one first. */
static __always_inline __u64 entry_rank(__u64 entry, __u64 tick)
{
	__u64 closing = (entry_state(entry) + 1) >> 8;
	__u64 free = 1 - entry_used(entry);

	return entry_age(entry, tick) + closing * CLOSING_BONUS + free * RANK_FREE;
}

/* Who has to go first in this bucket: rank * ways + way. *load: ways in use. */
static __always_inline __u64 bucket_rank(const struct wm_flow_bucket *bucket, __u64 tick,
					 __u32 *load)
{
	__u64 best = 0, used = 0;

#pragma unroll
	for (__u32 i = 0; i < WM_FLOW_WAYS; i++) {
		__u64 entry = bucket->way[i];
		__u64 rank = entry_rank(entry, tick) * WM_FLOW_WAYS + i;

		best = choose_if((best - rank) >> 63, rank, best);
		used += entry_used(entry);
	}
	*load = used;
	return best;
}

/*
 * A slot for a new entry: in the first bucket while that is not crowded, else in
 * the emptier of the two. Are both full, the oldest entry of the two goes; then
 * ROOM_EVICTS is set in what is returned.
 *
 * A function of numbers that is not inlined: the verifier looks at it once, not
 * once a way that leads to it.
 */
#define ROOM_EVICTS (1ull << 63)
__noinline __u64 flow_room(__u64 hash, __u64 tick)
{
	__u32 index = wm_flow_bucket_of(hash, wm_params.flow_buckets), load = 0, load2 = 0;
	__u32 second = wm_flow_second_of(hash, wm_params.flow_buckets);
	struct wm_flow_bucket *bucket = bucket_at(index), *bucket2;
	__u64 best = 0, best2, use;

	if (bucket)
		best = bucket_rank(bucket, tick, &load);
	if (load >= WM_FLOW_CROWDED && (bucket2 = bucket_at(second))) {
		best2 = bucket_rank(bucket2, tick, &load2);
		use = load2 == WM_FLOW_WAYS ? best2 > best : load2 < load;
		best = choose_if(use, best2, best);
		index = choose_if(use, second, index);
	}
	return ((__u64)index * WM_FLOW_WAYS + (best & (WM_FLOW_WAYS - 1))) |
	       (best < RANK_FREE * WM_FLOW_WAYS ? ROOM_EVICTS : 0);
}

static __always_inline void flow_make_room(struct flow *f, struct wm_cpu_stats *stats)
{
	__u64 room = flow_room(f->hash, f->tick);

	f->slot = room;
	stats->counter[WM_C_FLOW_EVICT] += room >> 63;
}

/* Enter the flow, over its own old entry if it has one. */
static __always_inline void flow_insert(struct flow *f, __u32 dest, struct wm_cpu_stats *stats,
					struct wm_dest_stats *dest_stats)
{
	if (!f->entry)
		flow_make_room(f, stats);
	flow_write(f, wm_flow_entry(f->hash, dest, f->tick, 1));
	count(stats, WM_C_FLOW_INSERT);
	if (dest_stats)
		dest_stats->flows++;
}

/* Is the entry's destination still one of this vip's? */
static __always_inline struct wm_dest *flow_dest(__u64 entry, const struct wm_vip *vip)
{
	__u32 id = entry_dest(entry);
	struct wm_dest *dest = bpf_map_lookup_elem(&wm_dests, &id);

	if (!dest || !dest->mark || dest->vip != vip->number)
		return NULL;
	return dest;
}

static __always_inline __u32 promote_after(const struct wm_vip *vip)
{
	return vip->flags & WM_VIP_NO_OFFLOAD ? 0 : wm_ctl.promote_after;
}

static __always_inline bool flow_proven(__u64 entry, __u32 threshold)
{
	return threshold && entry_state(entry) >= threshold;
}

/* A packet of a known flow goes by: count it, age it, and tell the daemon what
 * it has to know. Writes only if something changed. */
static __always_inline void flow_hit(struct flow *f, const struct packet *p,
				     const struct wm_vip *vip, __u32 mark,
				     struct wm_cpu_stats *stats)
{
	__u32 threshold = promote_after(vip), state = entry_state(f->entry);
	bool new_tick = entry_age(f->entry, f->tick) != 0;
	__u32 event = 0, next = state;

	if (p->tcp_flags & (TCP_FIN | TCP_RST)) {
		next = WM_FLOW_CLOSING;
		if (state != WM_FLOW_CLOSING && flow_proven(f->entry, threshold))
			event = WM_EVENT_CLOSE;
	} else if (state < threshold) {
		next = state + 1;
		if (next == threshold)
			event = WM_EVENT_PROMOTE;
	} else if (new_tick && state != WM_FLOW_CLOSING && threshold) {
		event = WM_EVENT_PROMOTE; /* proven, and still it comes this way */
	}
	if (new_tick || next != state)
		flow_write(f, wm_flow_entry(f->hash, entry_dest(f->entry), f->tick, next));
	if (event)
		event_raise(stats, event, p, f->hash, mark, f->tick);
}

#endif
