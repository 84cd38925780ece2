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
#define WM_ABI_VERSION 9
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
#define WM_MAP_PERF "wm_perf"
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
 * The mac lane: a NIC that can rewrite headers puts the mark into the frame's source address.
 * Its own filters, RSS and IP do not look at that, and the outer header does not take it over.
 *
 *   byte   0 1 2    prefix: bit 1 of byte 0 set (locally administered), bit 0 clear (one
 *                   station's), the other 22 bits secret: each load of the program draws
 *                   them, unless it goes on with the flows of one that runs
 *   byte   3 4 5    the mark, its low byte first; 0 is "not marked"
 *
 * Whole bytes, so that the program needs one masked compare and one shift. 24 bits of mark
 * hold the widest id (WM_DEST_BITS_MAX) and 256 generations of it: more would bring nothing,
 * and each would be taken from the secret. What that has to keep apart is chance: addresses
 * that others made up in the same way. Who guesses it wins no more than a choice of the real.
 */
enum { WM_MAC_MARK_BITS = 24 };

/* The prefix as the program compares it: bytes 0 to 2, byte 0 lowest. Never 0. */
static inline __u32 wm_mac_prefix(__u32 random)
{
	return (random & 0xfffffc) | 2;
}

static inline void wm_mac_write(__u8 mac[6], __u32 prefix, __u32 mark)
{
	for (int i = 0; i < 3; i++) {
		mac[i] = prefix >> 8 * i;
		mac[3 + i] = mark >> 8 * i;
	}
}

/* The mark in this address; 0: none. */
static inline __u32 wm_mac_read(const __u8 mac[6], __u32 prefix)
{
	if ((__u32)(mac[0] | mac[1] << 8 | mac[2] << 16) != prefix)
		return 0;
	return mac[3] | mac[4] << 8 | mac[5] << 16;
}

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

/* A flow as events, rules and the softnic name it. No holes: it is a key
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
	/* Not 0: the mac lane is on, and source addresses with this prefix carry marks. */
	__u32 mac_prefix;
	__u32 perf_events; /* not 0: events go through wm_perf, not wm_events */
	__u32 pad[5];
};

enum wm_ctl_flags {
	/* Marks are believed without a look at the packet's destination. */
	WM_CTL_TRUST_MARKS = 1 << 0,
	/* Some vip has port 0: look a second time. One bit a half. */
	WM_CTL_ANY_PORT_0 = 1 << 1,
	WM_CTL_ANY_PORT_1 = 1 << 2,
	/* DF and identification of an outer IPv4 header are the inner packet's, not 0. */
	WM_CTL_COPY_DF = 1 << 3,
	/* For the next daemon: this local consumer was gone, others have its share of new
	 * flows. One bit a consumer, from this one on. */
	WM_CTL_LOCAL_GONE_0 = 1 << 16,
};

/* An address that frames for us carry. In the first place its six bytes as a frame's first
 * eight are read, without the last two: wm_own_mac(). */
struct wm_own_mac {
	__u64 mac;
	__u32 ifindex; /* the interface that such a frame comes in by; 0: any */
	__u32 pad;
};

static inline __u64 wm_own_mac(const __u8 mac[6])
{
	__u64 word = 0;

	for (int i = 5; i >= 0; i--)
		word = word << 8 | mac[i];
	return word << 16;
}

/* What may change while the program runs (.data.wm). */
struct wm_ctl {
	__u32 half;          /* 0 or 1: the half of wm_vips that is live */
	__u32 flags;         /* enum wm_ctl_flags */
	__u64 vip_seed[2];   /* hash seed of each half */
	__u64 flow_seed[4];  /* secret; [1] and [3] are odd */
	__u32 promote_after; /* packets; 0: never promote */
	__u32 event_budget;  /* promotions named per CPU and tick */
	__u32 tick_shift;    /* a tick is 1 << tick_shift jiffies, about a second */
	__u32 udp_idle;      /* ticks */
	__u32 ring_seed_v4;
	__u32 ring_seed_v6;
	__be32 src4;         /* upper 16 bits of the outer IPv4 source */
	__be32 src6[3];      /* upper 96 bits of the outer IPv6 source */
	/* The first is on the line of what the outer header takes. None at all (nobody has
	 * looked at the interfaces): every unicast address is ours. */
	struct wm_own_mac own[WM_OWN_MACS_MAX];
	__u32 own_count;
	/* Numbers of the interfaces after the first that local consumers have sockets on.
	 * Whatever is not here is the first. */
	__u32 local_port[WM_LOCAL_PORTS_MAX - 1];
	/* Whose the sockets of each local consumer are, for the next daemon: a hash of its
	 * name. */
	__u32 local_name[WM_LOCALS_MAX];
	/* Ticks. An entry that says that there may be a rule keeps its place for so long
	 * after its last packet: longer than an unused rule stays in the NIC. */
	__u32 rule_idle;
	__u32 pad;
};

/* --- vips --- */

enum wm_vip_flags {
	WM_VIP_NO_OFFLOAD = 1 << 0, /* flows of this vip are never promoted */
	/* In the entry of an address, see below: */
	WM_VIP_OWN = 1 << 1, /* it is this machine's own: its stack serves the rest of it */
	WM_VIP_TCP = 1 << 2, /* some vip has it and this protocol */
	WM_VIP_UDP = 1 << 3,
};

/*
 * Beside the vips the table holds an entry for each of their addresses, with protocol and
 * port 0: for packets to a vip's address of which nobody can tell whether they are for the vip.
 */

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
	__u16 pad[3];
	__u64 dropped; /* packets that found no real; all CPUs add to it */
	__u64 pad2[6]; /* to a multiple of 64 bytes */
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
	/* The longest frame that still fits in the device that it leaves by, and in the route,
	 * with its outer header: as it came, from its Ethernet header to its last byte. */
	__u16 max_frame;
	/* The same of a real that other interfaces lead to by another next hop, or not at all:
	 * packets for it leave by `only` (its index) or are dropped. max_frame is 0 then, so that
	 * no other destination's packets are asked. only 0: by any interface. */
	__u16 only_frame;
	__u32 only; /* and WM_DEST_AWAY */
};

/* In `only`: new connections do not go there now, whatever flow they seem to belong to: the
 * next hop does not answer, or a health check says that the real is down. */
#define WM_DEST_AWAY 0x80000000u

static inline __u32 wm_dest_only(const struct wm_dest *dest)
{
	return dest->only & ~WM_DEST_AWAY;
}

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
 * modulo 4096. `state` counts packets up to `promote_after` (at most
 * WM_PROMOTE_AFTER_MAX), and then says whether a rule of the NIC may send the flow's
 * packets: while it may, no packet changes `dest`. The states are drawn in bpf/flow.h.
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
	WM_FLOW_PROMOTED = 253, /* named to the daemon: there may be a rule */
	WM_FLOW_CLOSING = 254,  /* the same, and a FIN or RST passed */
	WM_FLOW_CLOSED = 255,   /* a FIN or RST passed, and there is no rule */
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
	X(TX_SYN, tx_syn, "SYN, sent by the ring or after its flow")          \
	X(TX_ICMP, tx_icmp, "ICMP errors, sent where their flow goes")        \
	X(PASS_NOT_IP, pass_not_ip, "to the stack: neither IPv4 nor IPv6")    \
	X(PASS_NOT_US, pass_not_us, "to the stack: frame for another address") \
	/* of these four none is for a vip, nor for its address if that is not our own */ \
	X(PASS_PROTOCOL, pass_protocol, "to the stack: neither TCP nor UDP")  \
	X(PASS_FRAGMENT, pass_fragment, "to the stack: a fragment")           \
	X(PASS_SHORT, pass_short, "to the stack: headers cut short")          \
	X(PASS_NOT_VIP, pass_not_vip, "to the stack: no vip of ours")         \
	X(DROP_NO_REAL, drop_no_real, "dropped: the vip has no real")         \
	X(DROP_MALFORMED, drop_malformed, "dropped: lengths in the headers lie") \
	X(DROP_FRAGMENT, drop_fragment, "dropped: a fragment of a vip's packet") \
	X(DROP_EXTENSION, drop_extension, "dropped: for a vip, with IPv6 extension headers") \
	X(DROP_NO_SERVICE, drop_no_service, "dropped: for nothing that the vip's address serves") \
	X(DROP_MTU, drop_mtu, "dropped: with its header it exceeds the MTU")  \
	X(DROP_UPLINK, drop_uplink, "dropped: its interface does not lead to the real") \
	X(DROP_TOO_LONG, drop_too_long, "dropped: no room for a header")      \
	X(DROP_LOCAL, drop_local, "dropped: the local consumer has no socket there") \
	X(MARK_UNKNOWN, mark_unknown, "mark named no destination")            \
	X(MARK_STALE, mark_stale, "mark of an older generation")              \
	X(MARK_GONE, mark_gone, "mark of a destination that is gone")         \
	X(MARK_MISMATCH, mark_mismatch, "packet was not for the mark's vip")  \
	X(MARK_CONTROL, mark_control, "marked, but SYN, FIN or RST")          \
	X(FLOW_INSERT, flow_insert, "flows entered in the table")             \
	X(FLOW_EVICT, flow_evict, "flows that made room for others")          \
	X(FLOW_FULL, flow_full, "flows not entered: all places may have rules") \
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

/* One per CPU, WM_CPUS_MAX of them; only that CPU writes it. */
struct wm_cpu_stats {
	__u64 counter[WM_COUNTERS_MAX];
	__u64 bytes;       /* of sent packets, before encapsulation, from the IP header on */
	__u64 event_tick;  /* tick that event_used belongs to */
	__u64 event_used;
	__u64 pad[13];
};

/* One per CPU and destination, at cpu << dest_bits | id. */
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
WM_ASSERT_SIZE(struct wm_own_mac, 16);
WM_ASSERT_SIZE(struct wm_ctl, 2184);
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
