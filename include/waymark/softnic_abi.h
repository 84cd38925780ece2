/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the softnic (bpf/softnic.bpf.c), its loader (user/dataplane/softnic.c)
 * and the offload backend `sim` (user/offload/sim.c) share. The maps are pinned
 * in one directory under their names; every port that is attached with that
 * directory is a port of the same NIC: one rule table, one set of knobs.
 */
#ifndef WAYMARK_SOFTNIC_H
#define WAYMARK_SOFTNIC_H

#include <linux/types.h>
#include <waymark/abi.h>

/* Raised by every change of a layout below. */
#define WM_SOFTNIC_VERSION 2

/* Programs. */
#define WM_SOFTNIC_PROG "softnic"
#define WM_SOFTNIC_PASS "wire_pass"
/* Maps; also the names of their pins. */
#define WM_SOFTNIC_RULES "softnic_rules"
#define WM_SOFTNIC_CTL "softnic_ctl"
#define WM_SOFTNIC_STATS "softnic_stats"
#define WM_SOFTNIC_PORT ".rodata.port"

enum {
	WM_SOFTNIC_CAPACITY_DEFAULT = 65536,
	WM_SOFTNIC_MARK_BITS_DEFAULT = 16, /* what mlx5 and octeontx2 carry */
};

/* TCP flags as they stand in byte 13 of the header. */
enum wm_tcp_flag {
	WM_TCP_FIN = 0x01,
	WM_TCP_SYN = 0x02,
	WM_TCP_RST = 0x04,
};

/* One port: constants of the program that is attached there. */
struct wm_softnic_port {
	__u8 mac[6];      /* frames to this address are for the balancer */
	__u16 pad;
	__u32 to_ifindex; /* they leave through this device; 0: everything passes */
};

static inline int wm_smac_is_set(const __u8 smac[6])
{
	return smac[0] | smac[1] | smac[2] | smac[3] | smac[4] | smac[5];
}

/* Value of WM_SOFTNIC_RULES; the key is struct wm_flow. */
struct wm_softnic_rule {
	__u32 mark;     /* in front of the packet; 0: none */
	__u8 tcp_mask;  /* of a TCP segment: matches if (flags & tcp_mask) == tcp_value */
	__u8 tcp_value;
	__u8 smac[6];   /* becomes the frame's source address; all zero: that stays */
	__u32 pad;
	__u64 packets;
	__u64 bytes;    /* whole frames */
	__u64 used_ns;  /* CLOCK_MONOTONIC, a few ms coarse; 0: never */
};

/*
 * The one value of WM_SOFTNIC_CTL, mapped by user space. Above: what the NIC
 * is, written once. Below: its faults, all 0 in a healthy NIC; each takes effect
 * at once. Those of packets are the program's, those of rules the backend's.
 */
struct wm_softnic_ctl {
	__u32 version;   /* WM_SOFTNIC_VERSION */
	__u32 mark_bits; /* width of a mark, 1..32: what is above is cut off */

	/* Packets. */
	__u32 mark_xor;   /* changes every mark that is stamped, in front or in the address */
	__u32 mark_fixed; /* stamped on every frame to the balancer, rule or not */

	/* Rules. */
	__u32 install_errno; /* installs are refused with this errno ... */
	__u32 install_every; /* ... only every n-th of them; 0: all */
	__u32 install_lose;  /* installs are reported done, and are not */
	__u32 remove_errno;  /* removals are refused with this errno */
	__u32 remove_lose;   /* removals are reported done, and are not */
	__u32 pad;
	__u64 install_delay_ns; /* from the request until a rule is in the table */
	/* The source address of every frame to the balancer, rule or not: somebody sends such
	 * frames, or another balancer's NIC does. All zero: none. */
	__u8 smac_fixed[6];
	__u16 pad2;
	__u32 smac_errno; /* rules that rewrite addresses are refused with this errno */
	__u32 stamp_lose; /* rules match and count, and stamp nothing */
};

/* X(NAME, name, text). Every frame is passed or redirected. */
#define WM_SOFTNIC_COUNTERS(X)                                              \
	X(FRAMES, frames, "frames that came in")                            \
	X(PASSED, passed, "not for the balancer: left to the bridge")       \
	X(REDIRECTED, redirected, "sent to the balancer")                   \
	X(MARKED, marked, "of these, with a mark")                          \
	X(MISSED, missed, "of these, no rule for the flow")                 \
	X(CONTROL, control, "of these, a rule, but the TCP flags forbid it") \
	X(OTHER, other, "of these, nothing that a rule could match")        \
	X(NO_ROOM, no_room, "of these, a rule, but no room for the mark")

enum wm_softnic_counter {
#define WM_SOFTNIC_COUNTER_ENUM(NAME, name, text) WM_SOFTNIC_C_##NAME,
	WM_SOFTNIC_COUNTERS(WM_SOFTNIC_COUNTER_ENUM)
#undef WM_SOFTNIC_COUNTER_ENUM
	WM_SOFTNIC_COUNTERS_USED,
	WM_SOFTNIC_COUNTERS_MAX = 16,
};

/* The one value of WM_SOFTNIC_STATS, one per CPU. */
struct wm_softnic_stats {
	__u64 counter[WM_SOFTNIC_COUNTERS_MAX];
};

WM_ASSERT_SIZE(struct wm_softnic_port, 12);
WM_ASSERT_SIZE(struct wm_softnic_rule, 40);
WM_ASSERT_SIZE(struct wm_softnic_ctl, 64);
WM_ASSERT_SIZE(struct wm_softnic_stats, 128);

#endif
