/* SPDX-License-Identifier: GPL-2.0 */
/* What the decapsulation program on a real and user space share. */
#ifndef WAYMARK_DECAP_H
#define WAYMARK_DECAP_H

#include <linux/types.h>

/* Names as the kernel shows them: a program with this map is ours. */
#define WM_DECAP_MAP_STATS "wm_decap_stats"
#define WM_DECAP_PROG_XDP "decap"
#define WM_DECAP_PROG_TC "decap_tc"

/* X(NAME, name, text). They add up to all packets seen. */
#define WM_DECAP_COUNTERS(X)                                                     \
	X(4IN4, ip4_in_ip4, "decapsulated: IPv4 in IPv4")                        \
	X(6IN4, ip6_in_ip4, "decapsulated: IPv6 in IPv4")                        \
	X(4IN6, ip4_in_ip6, "decapsulated: IPv4 in IPv6")                        \
	X(6IN6, ip6_in_ip6, "decapsulated: IPv6 in IPv6")                        \
	X(PASS_OTHER, pass_other, "to the stack: no tunnel packet")              \
	X(PASS_SOURCE, pass_source, "to the stack: not from a load balancer")    \
	X(PASS_NOT_HOST, pass_not_host, "to the stack: not for this host")       \
	X(PASS_FRAGMENT, pass_fragment, "to the stack: the outer packet is a fragment") \
	X(PASS_MALFORMED, pass_malformed, "to the stack: a header is cut short or lies") \
	X(PASS_FAILED, pass_failed, "to the stack: the kernel did not remove the header") \
	X(DROP_ECN, drop_ecn, "dropped: congestion marked, but the inner packet knows no ECN")

enum wm_decap_counter {
#define WM_DECAP_ENUM(NAME, name, text) WM_DECAP_##NAME,
	WM_DECAP_COUNTERS(WM_DECAP_ENUM)
#undef WM_DECAP_ENUM
	WM_DECAP_COUNTERS_USED,
	WM_DECAP_COUNTERS_MAX = 16,
};

/* One per CPU. */
struct wm_decap_stats {
	__u64 counter[WM_DECAP_COUNTERS_MAX];
};

/* Set before the program is loaded (.rodata). */
struct wm_decap_config {
	__be32 src4;    /* outer IPv4 sources that are believed: these upper 16 bits */
	__be32 src6[3]; /* outer IPv6 sources: these upper 96 bits */
};

#endif
