/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What stands in front of a packet that an XDP program of waymark hands to an
 * AF_XDP socket, and what program and loader of bpf/xsk.bpf.c share.
 *
 * AF_XDP does not say how long a packet's metadata is: the layout is a contract.
 * It ends where the packet begins, so that the mark stands where a NIC puts
 * it too; the magic word tells it from what an earlier packet left in the frame.
 */
#ifndef WAYMARK_XSK_H
#define WAYMARK_XSK_H

#include <linux/types.h>
#include <waymark/abi.h>

#define WM_XSK_META_MAGIC 0x6d6b7378 /* "xskm" */

enum wm_xsk_meta_flags {
	WM_XSK_META_MARK = 1 << 0, /* `mark` was the packet's */
	WM_XSK_META_HASH = 1 << 1, /* `hash` is the same for all packets of a flow */
};

struct wm_xsk_meta {
	__u32 magic;
	__u32 flags; /* enum wm_xsk_meta_flags */
	__u32 hash;
	struct xdp_md_mark md;
};

enum {
	/* Receive queues of a device that sockets may serve. */
	WM_XSK_QUEUES_MAX = 128,
	/* Sockets of one process: descriptors of one message between processes (253)
	 * bound it. */
	WM_XSK_SOCKETS_MAX = 128,
	WM_XSK_DEVICES_MAX = WM_LOCAL_PORTS_MAX,
	WM_XSK_CONSUMERS_MAX = WM_LOCALS_MAX,
};

/* Where the socket of a consumer stands in the data plane's xskmap. */
static inline __u32 wm_xsk_key(__u32 consumer, __u32 device, __u32 queue)
{
	return (consumer * WM_XSK_DEVICES_MAX + device) * WM_XSK_QUEUES_MAX + queue;
}

#define WM_XSK_KEYS (WM_XSK_CONSUMERS_MAX * WM_XSK_DEVICES_MAX * WM_XSK_QUEUES_MAX)

/* The program of `waymark xsk`: names, its constants and counters. */
#define WM_XSK_PROG "wm_xsk"
#define WM_XSK_MAP "wm_xsk_sockets"
#define WM_XSK_STATS "wm_xsk_stats"

struct wm_xsk_filter {
	__u8 all;    /* everything, whatever it is */
	__u8 proto;  /* IPPROTO_TCP or IPPROTO_UDP; 0: either */
	__be16 port; /* destination port; 0: every */
};

/* X(NAME, name, text). They add up to all frames. */
#define WM_XSK_COUNTERS(X)                                                  \
	X(TAKEN, taken, "handed to a socket (which may have no room)")      \
	X(NO_SOCKET, no_socket, "to the stack: no socket on their queue")   \
	X(PASSED, passed, "to the stack: not asked for")

enum wm_xsk_counter {
#define WM_XSK_ENUM(NAME, name, text) WM_XSK_C_##NAME,
	WM_XSK_COUNTERS(WM_XSK_ENUM)
#undef WM_XSK_ENUM
	WM_XSK_COUNTERS_USED,
	WM_XSK_COUNTERS_MAX = 8,
};

/* One per CPU. */
struct wm_xsk_counts {
	__u64 counter[WM_XSK_COUNTERS_MAX];
};

WM_ASSERT_SIZE(struct wm_xsk_meta, 16);
WM_ASSERT_SIZE(struct wm_xsk_filter, 4);

#endif
