/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the data plane and user space share: the layout of every map, the
 * events, the counters. Both sides compile this one file, and the sizes are
 * asserted where they are written.
 *
 * Byte order stands in the type: __be16 and __be32 are as on the wire, all
 * else is the host's. An IPv4 address lives in word 0 of a 4-word address, the
 * other words are zero; the family is stored beside it.
 *
 * How user space may change these tables while packets flow:
 *  - a destination is written completely, then its `mark` last; it is taken
 *    away by clearing `mark` first;
 *  - a ring is filled while no vip names it;
 *  - the vip table has two halves: the idle one is filled, then `half` in
 *    struct wm_ctl names it. That one store switches all vips and rings;
 *  - what was unlinked may be reused after an RCU grace period.
 */
#ifndef WAYMARK_ABI_H
#define WAYMARK_ABI_H

#include <linux/types.h>
#include <waymark/limits.h>

/* Raised by every change of a layout below: a daemon adopts a running program
 * only if the versions are the same. */
#define WM_ABI_VERSION 7
#define WM_ABI_MAGIC 0x796d6177 /* "waym" */

/* Names of the program and of the maps, as the kernel shows them. A daemon that
 * adopts an attached program finds its maps by these. */
#define WM_PROG_NAME "waymark"
#define WM_PROG_HW_NAME "waymark_hw" /* bound to its device, marks by kfunc */
#define WM_MAP_PARAMS ".rodata.wm"
#define WM_MAP_CTL ".data.wm"
#define WM_MAP_VIPS "wm_vips"
#define WM_MAP_RINGS "wm_rings"
#define WM_MAP_DESTS "wm_dests"
#define WM_MAP_FLOWS "wm_flows"
#define WM_MAP_STATS "waymark.bss"
#define WM_MAP_DEST_STATS "wm_dest_stats"
#define WM_MAP_EVENTS "wm_events"
#define WM_MAP_LOCATIONS "wm_locations"
#define WM_MAP_XSKS "wm_xsks"

/*
 * The meta lane: what a NIC (or something that plays one) puts in front of a
 * packet, at data_meta. 0 is "not marked".
 */
struct xdp_md_mark {
	__u32 mark;
};

/*
 * A mark is a destination's id in the low `dest_bits` and its generation above.
 * The NIC's mark width bounds both together. (Where what arrives is a rule's
 * location, struct wm_location has the mark.)
 */
static inline __u32 wm_mark(__u32 dest_bits, __u16 id, __u32 generation)
{
	return generation << dest_bits | id;
}

enum wm_family {
	WM_LOCAL = 1, /* of a real: a consumer on this machine, its name instead of an address */
	WM_IPV4 = 4,
	WM_IPV6 = 6,
};

/* A local consumer in an address's place: 15 bytes of its name and one of its number. */
enum { WM_LOCAL_NUMBER = 15 };

static inline __u8 wm_local_number(const __be32 addr[4])
{
	return ((const __u8 *)addr)[WM_LOCAL_NUMBER];
}

/* A flow as events, rules and the software NIC name it. No holes: it is a key
 * of hash maps. */
struct wm_flow {
	__be32 src[4];
	__be32 dst[4];
	__be16 sport;
	__be16 dport;
	__u8 proto;  /* IPPROTO_TCP or IPPROTO_UDP */
	__u8 family; /* enum wm_family */
	__u16 pad;   /* zero */
};

/* Sizes of the maps, fixed at load time (.rodata.wm). */
struct wm_params {
	__u32 magic;
	__u32 version;
	__u32 dest_bits; /* wm_dests: 1 << dest_bits entries */
	__u32 flow_buckets; /* wm_flows: entries */
	__u32 vip_bits;  /* wm_vips: two halves of 1 << vip_bits buckets */
	__u32 rings;     /* wm_rings: entries */
	__u32 cpus;      /* wm_dest_stats: cpus << dest_bits entries */
	__u32 events_wakeup; /* bytes in wm_events at which its reader is woken */
	/* Not 0: what arrives as a mark is the location of the NIC's rule, an index
	 * into wm_locations, which has so many entries. */
	__u32 locations;
	__u32 pad[7];
};

enum wm_ctl_flags {
	/* Marks are believed without a look at the packet's destination. */
	WM_CTL_TRUST_MARKS = 1 << 0,
	/* Some vip has port 0: look a second time. One bit a half. */
	WM_CTL_ANY_PORT_0 = 1 << 1,
	WM_CTL_ANY_PORT_1 = 1 << 2,
};

/* What may change while the program runs (.data.wm). */
struct wm_ctl {
	__u32 half;          /* 0 or 1: the half of wm_vips that is live */
	__u32 flags;         /* enum wm_ctl_flags */
	__u64 vip_seed[2];   /* hash seed of each half */
	__u64 flow_seed[4];  /* secret; [1] and [3] are odd */
	__u32 promote_after; /* packets; 0: never promote */
	__u32 event_budget;  /* promotions named a CPU a tick */
	__u32 tick_shift;    /* a tick is 1 << tick_shift jiffies, about a second */
	__u32 udp_idle;      /* ticks */
	__u32 ring_seed_v4;
	__u32 ring_seed_v6;
	__be32 src4;         /* upper 16 bits of the outer IPv4 source */
	__be32 src6[3];      /* upper 96 bits of the outer IPv6 source */
	/* Numbers of the interfaces after the first that local consumers have sockets on.
	 * Whatever is not here is the first. */
	__u32 local_port[WM_LOCAL_PORTS_MAX - 1];
	/* Whose the sockets of each local consumer are, for the next daemon: a hash of its
	 * name. */
	__u32 local_name[WM_LOCALS_MAX];
	__u32 pad;
};

/* --- vips --- */

enum wm_vip_flags {
	WM_VIP_NO_OFFLOAD = 1 << 0, /* flows of this vip are never promoted */
};

struct wm_vip {
	__be32 addr[4];
	__be16 port;   /* 0: every port */
	__u8 proto;
	__u8 family;   /* enum wm_family; 0: free entry */
	__u16 number;  /* the vip's number, stored in its destinations too */
	__u16 flags;   /* enum wm_vip_flags */
	__u32 ring;    /* index into wm_rings */
	__u32 pad;
};

struct wm_vip_bucket {
	struct wm_vip way[WM_VIP_WAYS];
};

/* A slot holds a destination's id; 0: the vip has no real to give. */
struct wm_ring {
	__u16 slot[WM_RING_SLOTS];
	__u16 pad[31]; /* to a multiple of 64 bytes */
};

/* --- destinations --- */

enum wm_encap {
	WM_ENCAP_NONE = 0, /* never used since the maps were made */
	WM_ENCAP_4IN4 = 1,
	WM_ENCAP_6IN4 = 2, /* an IPv6 packet in an IPv4 one */
	WM_ENCAP_4IN6 = 3,
	WM_ENCAP_6IN6 = 4,
	/* as it is, to a socket of this machine; bpf/local.h */
	WM_ENCAP_LOCAL4 = 5,
	WM_ENCAP_LOCAL6 = 6,
};

struct wm_dest {
	__u32 mark;          /* its live mark; 0: gone. Written last, cleared first */
	__u16 vip;           /* number of its vip */
	__u8 encap;          /* enum wm_encap: inner and outer family; odd: the inner is IPv4 */
	__u8 proto;          /* the vip's protocol */
	__be32 vip_addr[4];  /* the vip's address: what a marked packet must carry */
	__be32 real[4];      /* the outer destination; name and number of a local consumer */
	__be16 vip_port;     /* the vip's port, 0 for every port */
	__be16 port_mask;    /* 0xffff, or 0 with vip_port 0 */
	__u8 dmac[6];        /* next hop towards the real */
	__u16 csum4;         /* folded sum of the outer IPv4 header's fixed fields */
	__u32 last_mark;     /* stays when mark is cleared: a new daemon learns the generation */
	__u32 pad[2];
};

/* --- rules that are known by their location --- */

/*
 * One a location, for NICs that hand up where the rule stands that matched (ice:
 * ntuple rules) and not a number of our choice. User space writes all but `used`.
 * Written before the rule goes into the NIC, zeroed after it has gone.
 */
struct wm_location {
	__u32 mark;  /* what the rule there means; 0: no rule of ours */
	__u16 used;  /* low bits of the tick of its last packet */
	__u16 check; /* of the rule's flow: whose rule is it that the NIC lists there? */
};

/* --- flow table --- */

/*
 * A flow has two buckets (waymark/hash.h); most live in the first. An entry is
 * one 64-bit word, read and written whole:
 *   tag:28 dest:16 age:12 state:8      (from the top)
 * 0 is a free entry. `age` is the tick of the last packet that wrote the entry,
 * modulo 4096. `state` counts packets up to `promote_after`; a flow that got
 * there may have a rule.
 */
struct wm_flow_bucket {
	__u64 way[WM_FLOW_WAYS];
};

enum {
	WM_FLOW_TAG_SHIFT = 36,
	WM_FLOW_DEST_SHIFT = 20,
	WM_FLOW_AGE_SHIFT = 8,
	WM_FLOW_AGE_MASK = 0xfff,
	WM_FLOW_STATE_MASK = 0xff,
	WM_FLOW_CLOSING = 255, /* a FIN or RST passed */
};

/* --- events --- */

enum wm_event_type {
	WM_EVENT_PROMOTE = 1, /* the flow reached the threshold */
	WM_EVENT_CLOSE = 2,   /* FIN, RST, or a SYN over a flow that may have a rule */
};

struct wm_event {
	__u32 type;
	__u32 mark;  /* the destination's mark when the event was made */
	__u64 hash;  /* the flow's hash: finds its entry in wm_flows */
	struct wm_flow flow;
};

/* --- counters --- */

/*
 * X(NAME, name, text). The verdict counters come first, tx_, then pass_, then drop_ (the
 * program compares), and add up to all packets seen; every other counter says something
 * more about some of them.
 */
#define WM_COUNTERS(X)                                                        \
	X(TX_MARKED, tx_marked, "sent by the mark alone")                     \
	X(TX_HIT, tx_hit, "sent by the flow table")                           \
	X(TX_MISS, tx_miss, "sent by the ring, flow not in the table")        \
	X(TX_SYN, tx_syn, "sent by the ring, first packet of a connection")   \
	X(TX_ICMP, tx_icmp, "ICMP errors, sent where their flow goes")        \
	X(PASS_NOT_IP, pass_not_ip, "to the stack: neither IPv4 nor IPv6")    \
	X(PASS_PROTOCOL, pass_protocol, "to the stack: neither TCP nor UDP")  \
	X(PASS_FRAGMENT, pass_fragment, "to the stack: a fragment")           \
	X(PASS_SHORT, pass_short, "to the stack: headers cut short")          \
	X(PASS_NOT_VIP, pass_not_vip, "to the stack: no vip of ours")         \
	X(DROP_NO_REAL, drop_no_real, "dropped: the vip has no real")         \
	X(DROP_MALFORMED, drop_malformed, "dropped: lengths in the headers lie") \
	X(DROP_TOO_LONG, drop_too_long, "dropped: no room for a header")      \
	X(DROP_LOCAL, drop_local, "dropped: the local consumer has no socket there") \
	X(MARK_UNKNOWN, mark_unknown, "mark named no destination")            \
	X(MARK_STALE, mark_stale, "mark of an older generation")              \
	X(MARK_GONE, mark_gone, "mark of a destination that is gone")         \
	X(MARK_MISMATCH, mark_mismatch, "packet was not for the mark's vip")  \
	X(MARK_CONTROL, mark_control, "marked, but SYN, FIN or RST")          \
	X(FLOW_INSERT, flow_insert, "flows entered in the table")             \
	X(FLOW_EVICT, flow_evict, "flows that made room for others")          \
	X(FLOW_DEAD, flow_dead, "flows whose destination was gone")           \
	X(FLOW_EXPIRED, flow_expired, "UDP flows that had been idle")         \
	X(EVENT_PROMOTE, event_promote, "flows named to the daemon")          \
	X(EVENT_CLOSE, event_close, "flow ends named to the daemon")          \
	X(EVENT_LOST, event_lost, "events that found no room")                \
	X(EVENT_HELD, event_held, "events over the budget, held back")

enum wm_counter {
#define WM_COUNTER_ENUM(NAME, name, text) WM_C_##NAME,
	WM_COUNTERS(WM_COUNTER_ENUM)
#undef WM_COUNTER_ENUM
	WM_COUNTERS_USED,
	WM_COUNTERS_MAX = 64, /* a power of 2 */
};

/* One a CPU, WM_CPUS_MAX of them; only that CPU writes it. */
struct wm_cpu_stats {
	__u64 counter[WM_COUNTERS_MAX];
	__u64 bytes;       /* of sent packets, before encapsulation, from the IP header on */
	__u64 event_tick;  /* tick that event_used belongs to */
	__u64 event_used;
	__u64 pad[13];
};

/* One a CPU and destination, at cpu << dest_bits | id. */
struct wm_dest_stats {
	__u64 packets; /* all */
	__u64 marked;  /* of these, by the mark alone */
	__u64 bytes;   /* from the inner IP header on */
	__u64 flows;   /* flows entered in the flow table with this destination */
};

#define WM_ASSERT_SIZE(type, size) \
	_Static_assert(sizeof(type) == (size), "the layout of " #type " is ABI")

WM_ASSERT_SIZE(struct xdp_md_mark, 4);
WM_ASSERT_SIZE(struct wm_flow, 40);
WM_ASSERT_SIZE(struct wm_params, 64);
WM_ASSERT_SIZE(struct wm_ctl, 128);
WM_ASSERT_SIZE(struct wm_vip, 32);
WM_ASSERT_SIZE(struct wm_vip_bucket, 64);
WM_ASSERT_SIZE(struct wm_ring, 131136);
WM_ASSERT_SIZE(struct wm_dest, 64);
WM_ASSERT_SIZE(struct wm_location, 8);
WM_ASSERT_SIZE(struct wm_flow_bucket, 64);
WM_ASSERT_SIZE(struct wm_event, 56);
WM_ASSERT_SIZE(struct wm_cpu_stats, 640);
WM_ASSERT_SIZE(struct wm_dest_stats, 32);

#endif
