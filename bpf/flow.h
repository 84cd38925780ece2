/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flow table: flow -> destination, one cache line per look-up, two for the
 * flows that found their first bucket crowded.
 *
 * One table for all CPUs. Entries are single 64-bit words, read and written
 * whole and without locks. Two CPUs that write one bucket at the same time may
 * lose an entry: its flow is entered again by its next packet, from the ring.
 * A tag that two flows share makes them share a destination; it cannot lead to
 * another service, because the destination's is compared with the packet's.
 *
 * Writes are rare by design: on entry, while packets are being counted, and
 * when the tick has changed since the entry was written.
 *
 * An entry's state:
 *
 *                 threshold, and the              FIN, RST
 *      packets    daemon was told      PROMOTED -----------> CLOSING
 *   .--> 1..200 ---------------------> |  ^  |                |  |
 *   |      ^ |                         |  |  '- SYN: stays    |  |
 *   |      | |                         |  '-------- SYN ------'  |
 *   |      '-+---- daemon: no rule ----'                         | daemon: no rule
 *   |        '------- FIN, RST ------> CLOSED <------------------'
 *   '--------- SYN: ring ---------------'
 *
 * In PROMOTED and CLOSING a rule may send the flow's packets. No packet changes the
 * destination then, not even the SYN of the next connection, and the entry makes room
 * for nobody: only the daemon knows when there is no rule. In the other states a SYN
 * stays with its flow too, as far as it may be a late duplicate of that flow's first
 * packet. The design note is Documentation/design/2026-11-30-one-connection-one-real.md.
 */
#ifndef WM_BPF_FLOW_H
#define WM_BPF_FLOW_H

#include "event.h"
#include "maps.h"
#include "packet.h"

/* An entry of a connection that closed is this much older than it looks, when
 * somebody has to go. */
enum {
	CLOSED_BONUS = (WM_FLOW_AGE_MASK + 1) / 2,
	RANK_FREE = 2 * (WM_FLOW_AGE_MASK + 1), /* above every age with its bonus */
};

/* Ticks. TCP's maximum segment lifetime (RFC 9293, 3.4.1): a SYN that comes later after
 * the flow's last packet is no duplicate. */
enum { SYN_LIFETIME = 120 };

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

/* 0 too for an entry that another CPU wrote when its tick had just begun. */
static __always_inline __u32 entry_age(__u64 entry, __u64 tick)
{
	__u32 ahead = (tick + 1 - (entry >> WM_FLOW_AGE_SHIFT)) & WM_FLOW_AGE_MASK;

	return ahead - (ahead != 0);
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
 * bucket is random, so a branch for each place would be mispredicted; and the verifier
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
	f->slot = verifier_forgets(index * WM_FLOW_WAYS + (found & (WM_FLOW_WAYS - 1)));
	f->entry = verifier_forgets(entry);
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
	f->entry = verifier_forgets(0);
	f->slot = verifier_forgets(0);
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

/* How readily an entry goes: by age, a closed connection sooner, a free one first. 0:
 * not at all, for there may be a rule. Without a branch, see choose_if(). */
static __always_inline __u64 entry_rank(__u64 entry, __u64 tick)
{
	__u64 state = wm_flow_state(entry), age = entry_age(entry, tick);
	__u64 closed = (state + 1) >> 8;
	__u64 ruled = ((state + 256 - WM_FLOW_PROMOTED) >> 8) - closed;
	__u64 young = (age - 1 - wm_ctl.rule_idle) >> 63;
	__u64 free = 1 - entry_used(entry);

	return (1 + age + closed * CLOSED_BONUS + free * RANK_FREE) & ((ruled & young) - 1);
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
 * ROOM_EVICTS is set in what is returned. ROOM_NONE: none of them may go.
 *
 * A function of numbers that is not inlined: the verifier looks at it once, not
 * once a way that leads to it.
 */
#define ROOM_EVICTS (1ull << 63)
#define ROOM_NONE (~0ull)
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
	if (best < WM_FLOW_WAYS)
		return ROOM_NONE;
	return ((__u64)index * WM_FLOW_WAYS + (best & (WM_FLOW_WAYS - 1))) |
	       (best < RANK_FREE * WM_FLOW_WAYS ? ROOM_EVICTS : 0);
}

static __always_inline bool flow_make_room(struct flow *f, struct wm_cpu_stats *stats)
{
	__u64 room = flow_room(f->hash, f->tick);

	if (room == ROOM_NONE) {
		count(stats, WM_C_FLOW_FULL);
		return false;
	}
	f->slot = room;
	stats->counter[WM_C_FLOW_EVICT] += room >> 63;
	return true;
}

/* Enter the flow, over its own old entry if it has one. Where there is no room its next
 * packet tries again. */
static __always_inline void flow_insert(struct flow *f, __u32 dest, struct wm_cpu_stats *stats,
					struct wm_dest_stats *dest_stats)
{
	if (!f->entry && !flow_make_room(f, stats))
		return;
	flow_write(f, wm_flow_entry(f->hash, dest, f->tick, 1));
	count(stats, WM_C_FLOW_INSERT);
	if (dest_stats)
		dest_stats->flows++;
}

static __always_inline bool encap_inner_v4(__u8 encap)
{
	return encap & 1;
}

/* Is the packet for this destination's service? As for a marked packet: a flow keeps its
 * real when a vip of one port is put beside the vip of every port that it began with. */
static __always_inline bool dest_serves(const struct wm_dest *dest, const struct packet *p)
{
	__u32 differ = (dest->proto ^ p->proto) |
		       (encap_inner_v4(dest->encap) ^ (p->family == WM_IPV4)) |
		       ((packet_dport(p) & dest->port_mask) ^ dest->vip_port) |
		       (p->dst[0] ^ dest->vip_addr[0]);

	if (p->family == WM_IPV6)
		for (int i = 1; i < 4; i++)
			differ |= p->dst[i] ^ dest->vip_addr[i];
	return !differ;
}

/* The entry's destination, if it lives and the packet is for it. */
static __always_inline struct wm_dest *flow_dest(__u64 entry, const struct packet *p,
						 const struct wm_vip *vip)
{
	__u32 id = entry_dest(entry);
	struct wm_dest *dest = bpf_map_lookup_elem(&wm_dests, &id);

	if (!dest || !dest->mark || (dest->vip != vip->number && !dest_serves(dest, p)))
		return NULL;
	return dest;
}

static __always_inline __u32 promote_after(const struct wm_vip *vip)
{
	return vip->flags & WM_VIP_NO_OFFLOAD ? 0 : wm_ctl.promote_after;
}

/* The packet's event, and the state that its entry has afterwards. */
struct flow_step {
	__u32 event; /* enum wm_event_type; 0: none */
	__u32 next;
};

static __always_inline struct flow_step flow_step(__u32 state, __u8 tcp_flags, __u32 threshold,
						  bool new_tick)
{
	if (tcp_flags & (TCP_FIN | TCP_RST)) {
		bool ruled = wm_flow_may_have_rule(state);

		return (struct flow_step){ state == WM_FLOW_PROMOTED ? WM_EVENT_CLOSE : 0,
					   ruled ? WM_FLOW_CLOSING : WM_FLOW_CLOSED };
	}
	if (state < threshold)
		return state + 1 < threshold ?
			       (struct flow_step){ 0, state + 1 } :
			       (struct flow_step){ WM_EVENT_PROMOTE, WM_FLOW_PROMOTED };
	/* Proven, and still it comes this way. */
	if (new_tick && threshold && state <= WM_FLOW_PROMOTED)
		return (struct flow_step){ WM_EVENT_PROMOTE, WM_FLOW_PROMOTED };
	return (struct flow_step){ 0, state };
}

static __always_inline void flow_rewrite(struct flow *f, __u32 state)
{
	flow_write(f, wm_flow_entry(f->hash, entry_dest(f->entry), f->tick, state));
}

/* A packet of a known flow goes by: count it, age it, and tell the daemon what
 * it has to know. Writes only if something changed. */
static __always_inline void flow_hit(struct xdp_md *const *ctx, struct flow *f,
				     const struct packet *p, const struct wm_vip *vip, __u32 mark,
				     struct wm_cpu_stats *stats)
{
	__u32 threshold = promote_after(vip), state = wm_flow_state(f->entry);
	bool new_tick = entry_age(f->entry, f->tick) != 0;
	struct flow_step step = flow_step(state, p->tcp_flags, threshold, new_tick);

	/* First the state, or the daemon would find the old one. */
	if (new_tick || step.next != state)
		flow_rewrite(f, step.next);
	if (!step.event || event_raise(ctx, stats, step.event, p, f->hash, mark, f->tick))
		return;
	/* Nobody heard of it, so there will be no rule: tried again next tick. */
	if (step.event == WM_EVENT_PROMOTE && state != WM_FLOW_PROMOTED)
		flow_rewrite(f, threshold);
}

/*
 * A SYN of a flow that has an entry. It stays with the flow, and its destination is
 * returned, while a rule may send the flow's packets, and while it may be a duplicate of
 * the packet with which the flow began. NULL: a connection begins, the ring decides: also
 * where the destination is away, since what is asked of it once more it will not answer.
 */
static __always_inline struct wm_dest *flow_syn(struct xdp_md *const *ctx, struct flow *f,
						const struct packet *p, const struct wm_vip *vip,
						struct wm_cpu_stats *stats)
{
	__u32 state = wm_flow_state(f->entry), age = entry_age(f->entry, f->tick);
	bool ruled = wm_flow_may_have_rule(state), late = age > SYN_LIFETIME;
	struct wm_dest *dest;

	if (!f->entry || state == WM_FLOW_CLOSED || (late && !ruled))
		return NULL;
	dest = flow_dest(f->entry, p, vip);
	if (!dest || (!ruled && dest->only & WM_DEST_AWAY))
		return NULL;
	if (age || state == WM_FLOW_CLOSING)
		flow_rewrite(f, ruled ? WM_FLOW_PROMOTED : state);
	/* The next connection: it has to do without the last one's rule, so that the one
	 * after it is free to go where the ring says. */
	if (state == WM_FLOW_CLOSING || late)
		event_raise(ctx, stats, WM_EVENT_CLOSE, p, f->hash, dest->mark, f->tick);
	return dest;
}

#endif
