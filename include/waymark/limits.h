/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every capacity of waymark and why it is what it is. Both sides compile this
 * file; a number that is only a default says so.
 */
#ifndef WAYMARK_LIMITS_H
#define WAYMARK_LIMITS_H

enum {
	/* Slots of a ring. Katran's size, and prime: the permutation of a real
	 * visits every slot only if the size is prime. Changing it changes every
	 * flow's real, and breaks mixed fleets. */
	WM_RING_SLOTS = 65537,

	/* A destination id is 16 bits wherever it is stored: ring slot, flow
	 * table entry, mark. Id 0 means "none". */
	WM_DEST_BITS_MAX = 16,
	/* Default: 4095 destinations, and 4 bits of a 16-bit mark stay for the
	 * generation. */
	WM_DEST_BITS_DEFAULT = 12,
	WM_DEST_BITS_MIN = 4,

	/* Buckets of the flow table, room for 8 flows each. Default: a million
	 * flows in 10 MB, which fill 80 %. The daemon sizes it from the configuration. */
	WM_FLOW_BUCKETS_DEFAULT = 156250,
	WM_FLOW_BUCKETS_MIN = 20,
	WM_FLOW_BUCKETS_MAX = 1 << 26, /* 4 GiB */
	WM_FLOW_WAYS = 8,      /* 8 entries of 8 bytes fill a cache line */
	WM_FLOW_FILL = 80,     /* percent that the flows that were asked for shall fill */
	WM_FLOWS_MIN = 128, /* flows that a table can be asked for: what MIN and */
	WM_FLOWS_MAX = 429496729, /* MAX buckets hold at that */
	WM_FLOW_SPAN = 128,    /* a flow's second bucket is at most so far from its first */
	/* A new flow goes to its first bucket while that holds fewer than this,
	 * else to the emptier of its two. At 80 % full 0.07 % of the flows evict
	 * another and 19 % live in their second bucket; with 1 (always the emptier
	 * one) it would be 0.03 % and 32 %, with 8 1.7 % and 6 % (counted with
	 * random flows; selftests/unit/test_buckets.c counts again). */
	WM_FLOW_CROWDED = 5,

	/* Buckets of one half of the vip table, 2 vips each (a cache line). The
	 * builder looks for a seed with no bucket overfull: wm_dp__vip_bits() says
	 * how many vips a size is good for (the default: 293, and as many addresses). */
	WM_VIP_BITS_DEFAULT = 12,
	WM_VIP_BITS_MIN = 6,
	WM_VIP_BITS_MAX = 18,
	WM_VIP_WAYS = 2,
	WM_VIPS_MAX = 4096, /* vips in one configuration */

	/* Rings that the data plane holds; 128 KiB each. A reload needs a spare
	 * ring for each vip whose ring changes. */
	WM_RINGS_DEFAULT = 64,
	WM_RINGS_MAX = 2 * WM_VIPS_MAX,

	/* Locations of rules that the data plane tells apart, 8 bytes each. NICs have
	 * some ten thousand; more would be a driver's mistake. */
	WM_LOCATIONS_MAX = 1 << 20,

	/* CPUs that have counters by destination when nobody sized the maps (`ip
	 * link set xdp`). A packet on any CPU beyond that is forwarded, and not
	 * counted there. */
	WM_CPUS_DEFAULT = 16,
	/* CPUs with counters of their own; a power of 2. CPU 1024 would share
	 * those of CPU 0. */
	WM_CPUS_MAX = 1024,

	/* Bytes of the event ring: some 4000 events per CPU, which is what each CPU may
	 * name between two looks of the daemon and much more. A power of 2. */
	WM_EVENTS_BYTES_A_CPU = 256 * 1024,
	WM_EVENTS_BYTES_DEFAULT = 16 * WM_EVENTS_BYTES_A_CPU,
	WM_EVENTS_BYTES_MAX = 64 * 1024 * 1024,

	/* The flow table counts a flow's packets up to here, no further: the
	 * entry has 8 bits and the top values are states. */
	WM_PROMOTE_AFTER_MAX = 200,
	WM_PROMOTE_AFTER_DEFAULT = 8,

	/* Events that each CPU raises per tick (about a second) at most: others come
	 * later. */
	WM_EVENT_BUDGET_DEFAULT = 20000,

	/* Link addresses that frames for us may carry: one for each interface, and those
	 * of bonds, bridges and macvlans. All after the first are searched one by one. */
	WM_OWN_MACS_MAX = 128,

	/* Weights above this only cost ring building time. */
	WM_WEIGHT_MAX = 65535,
};

/* Katran's ring seeds: MAX_VIPS * RING_SIZE and MAX_VIPS of its default
 * build. A fleet built with other sizes sets `ring-seeds`. */
#define WM_RING_SEED_V4 33554944u
#define WM_RING_SEED_V6 512u

/* Local consumers, and interfaces that they may have sockets on. */
#define WM_LOCALS_MAX 4
#define WM_LOCAL_PORTS_MAX 4

#endif
