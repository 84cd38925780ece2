/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hashes that both sides must agree on: packet -> ring slot, flow -> place
 * in the flow table, vip -> bucket. Plain C without loops or memory, so that
 * the BPF compiler inlines all of it.
 *
 * Addresses and ports are passed as loaded from the packet (network order in
 * memory), because Katran hashes them so on little-endian machines; a
 * big-endian build would pick other slots and is refused.
 */
#ifndef WAYMARK_HASH_H
#define WAYMARK_HASH_H

#include <linux/types.h>
#include <stdbool.h>
#include <waymark/abi.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ring slots are defined for little-endian machines (see Katran)"
#endif

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Both ports in one word as they lie in the packet: source in the low half. */
static __always_inline __u32 wm_ports(__be16 sport, __be16 dport)
{
	return (__u32)(__u16)sport | (__u32)(__u16)dport << 16;
}

/* --- ring slot: Bob Jenkins' lookup3 (public domain), as the kernel's jhash --- */

static __always_inline __u32 wm_rol32(__u32 x, unsigned int by)
{
	return x << by | x >> (32 - by);
}

struct wm_jhash {
	__u32 a, b, c;
};

static __always_inline struct wm_jhash wm_jhash_mix(struct wm_jhash h)
{
	h.a -= h.c; h.a ^= wm_rol32(h.c, 4);  h.c += h.b;
	h.b -= h.a; h.b ^= wm_rol32(h.a, 6);  h.a += h.c;
	h.c -= h.b; h.c ^= wm_rol32(h.b, 8);  h.b += h.a;
	h.a -= h.c; h.a ^= wm_rol32(h.c, 16); h.c += h.b;
	h.b -= h.a; h.b ^= wm_rol32(h.a, 19); h.a += h.c;
	h.c -= h.b; h.c ^= wm_rol32(h.b, 4);  h.b += h.a;
	return h;
}

static __always_inline __u32 wm_jhash_final(struct wm_jhash h)
{
	h.c ^= h.b; h.c -= wm_rol32(h.b, 14);
	h.a ^= h.c; h.a -= wm_rol32(h.c, 11);
	h.b ^= h.a; h.b -= wm_rol32(h.a, 25);
	h.c ^= h.b; h.c -= wm_rol32(h.b, 16);
	h.a ^= h.c; h.a -= wm_rol32(h.c, 4);
	h.b ^= h.a; h.b -= wm_rol32(h.a, 14);
	h.c ^= h.b; h.c -= wm_rol32(h.b, 24);
	return h.c;
}

/* jhash_2words(a, b, seed) of the kernel. */
static __always_inline __u32 wm_jhash_2words(__u32 a, __u32 b, __u32 seed)
{
	__u32 start = seed + 0xdeadbeef + 8;
	struct wm_jhash h = { start + a, start + b, start };

	return wm_jhash_final(h);
}

/* jhash(words, 16, seed) of the kernel. */
static __always_inline __u32 wm_jhash_4words(const __u32 w[4], __u32 seed)
{
	__u32 start = 0xdeadbeef + 16 + seed;
	struct wm_jhash h = { start + w[0], start + w[1], start + w[2] };

	h = wm_jhash_mix(h);
	h.a += w[3];
	return wm_jhash_final(h);
}

/* x mod 65537 without a division: 2^16 is -1 in that ring. */
static __always_inline __u32 wm_ring_slot(__u32 x)
{
	__u32 low = x & 0xffff, high = x >> 16;

	return low >= high ? low - high : low + WM_RING_SLOTS - high;
}

/*
 * The ring slot of a packet, 0..65536, exactly as Katran picks it: destination
 * address and protocol do not count. `ports`: see wm_ports(); the caller clears
 * the destination port for a vip of every port.
 */
static __always_inline __u32 wm_slot_v4(__be32 src, __u32 ports, __u32 seed_v4)
{
	return wm_ring_slot(wm_jhash_2words((__u32)src, ports, seed_v4));
}

static __always_inline __u32 wm_slot_v6(const __be32 src[4], __u32 ports,
					__u32 seed_v4, __u32 seed_v6)
{
	__u32 word = wm_jhash_4words((const __u32 *)src, seed_v6);

	return wm_ring_slot(wm_jhash_2words(word, ports, seed_v4));
}

/* --- flow table --- */

/*
 * Seeded multiply-and-fold: each 64-bit word of the flow is added and
 * multiplied by a secret odd number, the upper half folded down in between.
 * Against someone who wants many flows in one bucket the secret multipliers
 * are what counts. seed: wm_ctl.flow_seed.
 */
static __always_inline __u64 wm_hash_step(__u64 h, __u64 word, __u64 odd)
{
	h = (h + word) * odd;
	return h ^ h >> 32;
}

static __always_inline __u64 wm_flow_hash_v4(__be32 src, __be32 dst, __u32 ports, __u8 proto,
					     const volatile __u64 seed[4])
{
	__u64 h = seed[0];

	h = wm_hash_step(h, (__u64)(__u32)src << 32 | (__u32)dst, seed[1] | 1);
	h = wm_hash_step(h, (__u64)proto << 32 | ports, seed[3] | 1);
	return wm_hash_step(h, seed[2], seed[1] | 1);
}

static __always_inline __u64 wm_flow_hash_v6(const __be32 src[4], const __be32 dst[4], __u32 ports,
					     __u8 proto, const volatile __u64 seed[4])
{
	__u64 h = seed[0];

	h = wm_hash_step(h, (__u64)(__u32)src[0] << 32 | (__u32)src[1], seed[1] | 1);
	h = wm_hash_step(h, (__u64)(__u32)src[2] << 32 | (__u32)src[3], seed[3] | 1);
	h = wm_hash_step(h, (__u64)(__u32)dst[0] << 32 | (__u32)dst[1], seed[1] | 1);
	h = wm_hash_step(h, (__u64)(__u32)dst[2] << 32 | (__u32)dst[3], seed[3] | 1);
	h = wm_hash_step(h, (__u64)proto << 32 | ports, seed[1] | 1);
	return wm_hash_step(h, seed[2], seed[3] | 1);
}

static __always_inline __u64 wm_flow_hash(const struct wm_flow *f, const volatile __u64 seed[4])
{
	__u32 ports = wm_ports(f->sport, f->dport);

	if (f->family == WM_IPV4)
		return wm_flow_hash_v4(f->src[0], f->dst[0], ports, f->proto, seed);
	return wm_flow_hash_v6(f->src, f->dst, ports, f->proto, seed);
}

/*
 * A flow has two buckets (Azar et al., "Balanced Allocations", 1994). The upper
 * half of the hash, as a fraction of 2^32, chooses the first of any number of
 * buckets (Lemire, "Fast Random Integer Generation in an Interval", 2019); the
 * low 28 bits are the tag. The second is 1 to WM_FLOW_SPAN buckets further on,
 * as the tag says: where the first is in no TLB, the second is on the page that
 * the first has just fetched, or on the next, whose page table entry is in the
 * same cache line. It is never the first itself. buckets: 2 at least.
 */
static __always_inline __u32 wm_flow_bucket_of(__u64 hash, __u32 buckets)
{
	return (hash >> 32) * buckets >> 32;
}

static __always_inline __u32 wm_flow_second_of(__u64 hash, __u32 buckets)
{
	__u32 tag = hash & ((1u << (64 - WM_FLOW_TAG_SHIFT)) - 1);
	__u32 span = buckets > WM_FLOW_SPAN ? WM_FLOW_SPAN : buckets - 1;
	__u32 second = wm_flow_bucket_of(hash, buckets) + 1 +
		       ((__u64)(tag * 0x9e3779b1u) * span >> 32);

	return second < buckets ? second : second - buckets;
}

/* Buckets that `flows` flows fill to WM_FLOW_FILL percent, within what a table may have. */
static inline __u32 wm_flow_buckets_for(__u64 flows)
{
	const __u64 a_bucket = WM_FLOW_WAYS * WM_FLOW_FILL; /* hundredths of a flow */
	__u64 buckets;

	if (flows >= WM_FLOWS_MAX)
		return WM_FLOW_BUCKETS_MAX;
	buckets = (flows * 100 + a_bucket - 1) / a_bucket;
	return buckets > WM_FLOW_BUCKETS_MIN ? buckets : WM_FLOW_BUCKETS_MIN;
}

/* The flows that a table of so many buckets is for. */
static inline __u64 wm_flow_buckets_hold(__u32 buckets)
{
	return (__u64)buckets * WM_FLOW_WAYS * WM_FLOW_FILL / 100;
}

static __always_inline __u64 wm_flow_entry(__u64 hash, __u32 dest, __u32 age, __u32 state)
{
	return hash << WM_FLOW_TAG_SHIFT | (__u64)dest << WM_FLOW_DEST_SHIFT |
	       (__u64)(age & WM_FLOW_AGE_MASK) << WM_FLOW_AGE_SHIFT | state;
}

static __always_inline __u32 wm_flow_state(__u64 entry)
{
	return entry & WM_FLOW_STATE_MASK;
}

/* May a rule of the NIC send the packets of a flow in this state? */
static __always_inline bool wm_flow_may_have_rule(__u32 state)
{
	return state == WM_FLOW_PROMOTED || state == WM_FLOW_CLOSING;
}

/* The entry when the flow's rule is gone, or will not come: packets are counted anew, and
 * the flow was in use until now, since no packet wrote the entry while there was a rule. */
static __always_inline __u64 wm_flow_without_rule(__u64 entry, __u32 tick)
{
	switch (wm_flow_state(entry)) {
	case WM_FLOW_CLOSED:
		return entry;
	case WM_FLOW_CLOSING:
		return entry | WM_FLOW_CLOSED;
	default:
		return wm_flow_entry(entry >> WM_FLOW_TAG_SHIFT,
				     entry >> WM_FLOW_DEST_SHIFT & 0xffff, tick, 0);
	}
}

/* --- vip table --- */

/* Bucket of a vip in its half of the table. seed: wm_ctl.vip_seed[half]. */
static __always_inline __u32 wm_vip_bucket_v4(__be32 addr, __be16 port, __u8 proto,
					      __u64 seed, __u32 vip_bits)
{
	__u64 word = (__u64)(__u32)addr << 32 | (__u32)(__u16)port << 8 | proto;

	word = wm_hash_step(seed, word, 0x9e3779b97f4a7c15ull);
	return word * 0xd6e8feb86659fd93ull >> (64 - vip_bits);
}

static __always_inline __u32 wm_vip_bucket_v6(const __be32 addr[4], __be16 port, __u8 proto,
					      __u64 seed, __u32 vip_bits)
{
	__u64 h;

	h = wm_hash_step(seed, (__u64)(__u32)addr[0] << 32 | (__u32)addr[1], 0x9e3779b97f4a7c15ull);
	h = wm_hash_step(h, (__u64)(__u32)addr[2] << 32 | (__u32)addr[3], 0xd6e8feb86659fd93ull);
	h = wm_hash_step(h, (__u32)(__u16)port << 8 | proto, 0x9e3779b97f4a7c15ull);
	return h * 0xd6e8feb86659fd93ull >> (64 - vip_bits);
}

/* --- outer source --- */

/*
 * The last word of the outer source, derived from the flow so that fabrics
 * spread the tunnel packets; the values are Katran's. client: the client's IPv4
 * address, or the last word of its IPv6 address.
 */
static __always_inline __be32 wm_outer_src_v4(__be32 client, __be16 sport, __be32 prefix16)
{
	__u32 port = (__u16)((__u16)sport >> 8 | (__u16)sport << 8);

	return (__be32)((((__u32)client & 0xffff0000) ^ port << 16) |
			((__u32)prefix16 & 0xffff));
}

static __always_inline __be32 wm_outer_src_v6_word(__be32 client, __be16 sport)
{
	return (__be32)((__u32)client ^ (__u16)sport);
}

#endif
