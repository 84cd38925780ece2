/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events to the daemon, through one ring buffer, or a perf buffer for each CPU where the
 * program was loaded for that. A lost one only means that a
 * flow is promoted later: the flow table names a proven flow again every tick.
 * The budget bounds what a flood of new flows can cost; it is for promotions
 * alone.
 *
 * A wakeup costs some 12 us, so nobody is woken before the ring is half full (of a perf
 * buffer the daemon asked the kernel for that); the daemon looks in on a timer.
 */
#ifndef WM_BPF_EVENT_H
#define WM_BPF_EVENT_H

#include "count.h"
#include "packet.h"

static __always_inline bool event_in_budget(struct wm_cpu_stats *stats, __u64 tick)
{
	if (stats->event_tick != tick) {
		stats->event_tick = tick;
		stats->event_used = 0;
	}
	if (stats->event_used >= wm_ctl.event_budget)
		return false;
	stats->event_used++;
	return true;
}

static __always_inline void event_flow(struct wm_flow *flow, const struct packet *p)
{
	flow->src[0] = p->src[0];
	flow->dst[0] = p->dst[0];
	if (p->family == WM_IPV6) {
		for (int i = 1; i < 4; i++) {
			flow->src[i] = p->src[i];
			flow->dst[i] = p->dst[i];
		}
	}
	flow->sport = packet_sport(p);
	flow->dport = packet_dport(p);
	flow->proto = p->proto;
	flow->family = p->family;
}

static __always_inline __u64 event_wakeup(void)
{
	return bpf_ringbuf_query(&wm_events, BPF_RB_AVAIL_DATA) >= wm_params.events_wakeup ?
		       BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* 0, or an error: there is no room, or (perf) nobody who reads. The context is read here, so
 * that packets without an event do not carry it along. */
static __always_inline long event_send(struct xdp_md *const *ctx, struct wm_event *event)
{
	if (__builtin_expect(wm_params.perf_events, 0))
		return bpf_perf_event_output(*ctx, &wm_perf, BPF_F_CURRENT_CPU, event,
					     sizeof(*event));
	return bpf_ringbuf_output(&wm_events, event, sizeof(*event), event_wakeup());
}

/* false: the daemon will not hear of it. */
static __always_inline bool event_raise(struct xdp_md *const *ctx, struct wm_cpu_stats *stats,
					__u32 type, const struct packet *p, __u64 hash, __u32 mark,
					__u64 tick)
{
	struct wm_event event = { .type = type, .mark = mark, .hash = hash };

	/* Ends are not counted: there is one a promoted flow, and a rule that is not
	 * asked to go holds its place against flows that live. */
	if (type == WM_EVENT_PROMOTE && !event_in_budget(stats, tick)) {
		count(stats, WM_C_EVENT_HELD);
		return false;
	}
	event_flow(&event.flow, p);
	if (event_send(ctx, &event)) {
		count(stats, WM_C_EVENT_LOST);
		return false;
	}
	count(stats, type == WM_EVENT_PROMOTE ? WM_C_EVENT_PROMOTE : WM_C_EVENT_CLOSE);
	return true;
}

#endif
