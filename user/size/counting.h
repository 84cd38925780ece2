/* SPDX-License-Identifier: GPL-2.0 */
/* The flow table of the data plane, with its own rules (bpf/flow.h, bpf/event.h). */
#ifndef WM_COUNTING_H
#define WM_COUNTING_H

#include <stdbool.h>
#include <stdint.h>
#include <waymark/abi.h>

/* Ticks as on a kernel with CONFIG_HZ=250: 1.024 s. */
#define WM_COUNTING_JIFFY_NS 4000000ull
enum { WM_COUNTING_TICK_SHIFT = 8 };

enum { WM_COUNTING_MARK = 1 }; /* there is one destination, and this is its mark */

struct wm_counting {
	struct wm_flow_bucket *buckets;
	struct wm_params params;
	struct wm_ctl ctl;
	struct wm_vip vip;
	struct wm_dest dest;
	struct wm_cpu_stats stats;
	uint64_t now;
	/* Of the last packet: */
	struct wm_event *raised; /* the event that it made, or NULL */
	bool entered;            /* its flow into the table, at this place: */
	uint32_t slot;           /* below 8 * flow_buckets */
	bool done;               /* no packet of the flow changes anything before the next
				  * tick, unless its entry is changed or lost */
	struct wm_event event;
};

struct wm_counting_options {
	uint32_t flow_buckets;
	uint32_t promote_after;
	uint32_t event_budget; /* of all CPUs */
	uint32_t udp_idle;     /* ticks */
	uint64_t seed;
};

/* 0 or -ENOMEM. */
int wm_counting__init(struct wm_counting *c, const struct wm_counting_options *options);
void wm_counting__fini(struct wm_counting *c);

/* A packet that the NIC did not mark goes by. Returns its verdict:
 * WM_C_TX_SYN, WM_C_TX_HIT or WM_C_TX_MISS. */
enum wm_counter wm_counting__packet(struct wm_counting *c, const struct wm_flow *flow,
				    uint8_t tcp_flags, uint64_t now);

/* The flow is in the table, at the threshold, and has not ended. */
bool wm_counting__proven(struct wm_counting *c, const struct wm_flow *flow);
/* What the daemon does when a rule was used, and when it is gone. */
void wm_counting__touch(struct wm_counting *c, const struct wm_flow *flow, uint64_t now);
void wm_counting__restart(struct wm_counting *c, const struct wm_flow *flow);

#endif
