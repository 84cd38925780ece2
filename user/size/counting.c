// SPDX-License-Identifier: GPL-2.0
/*
 * The data plane's own headers, bpf/flow.h and bpf/event.h, compiled for this
 * machine, so that what decides here is what decides there. This file stands in
 * for their neighbours: maps, counters, the packet. The order of asking (SYN,
 * table, ring) is that of choose() in bpf/waymark.bpf.c, with one vip, one
 * destination, and a ring that does not change.
 */
#include "counting.h"

#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <waymark/hash.h>

#include "random.h"

/* --- what flow.h and event.h find in count.h, maps.h and packet.h --- */

#define WM_BPF_COUNT_H
#define WM_BPF_MAPS_H
#define WM_BPF_PACKET_H

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04 };

struct packet {
	const __be32 *src, *dst;
	__u32 ports;
	__u8 proto, tcp_flags, family;
};

static __always_inline __be16 packet_sport(const struct packet *p)
{
	return p->ports & 0xffff;
}

static __always_inline __be16 packet_dport(const struct packet *p)
{
	return p->ports >> 16;
}

static __always_inline void count(struct wm_cpu_stats *stats, enum wm_counter counter)
{
	stats->counter[counter]++;
}

/* Means of steering the verifier; there is none here. */
#define __noinline static __attribute__((noinline))

static __always_inline __u64 verifier_forgets(__u64 x)
{
	return x;
}

/* Maps are global there. Here each thread has its own. */
static _Thread_local struct wm_counting *here;
static const char wm_flows, wm_dests, wm_events, wm_perf;

#define wm_ctl (here->ctl)
#define wm_params (here->params)

static __always_inline void *bpf_map_lookup_elem(const char *map, const __u32 *key)
{
	return map == &wm_flows ? (void *)&here->buckets[*key] : (void *)&here->dest;
}

static __always_inline __u64 bpf_jiffies64(void)
{
	return here->now / WM_COUNTING_JIFFY_NS;
}

static __always_inline __u64 bpf_ringbuf_query(const char *map, __u64 flags)
{
	(void)map;
	(void)flags;
	return 0;
}

static __always_inline long bpf_ringbuf_output(const char *map, const struct wm_event *event,
					       __u64 size, __u64 flags)
{
	(void)map;
	(void)flags;
	(void)size;
	here->event = *event;
	here->raised = &here->event;
	return 0;
}

/* Both ways lead here: what they cost is not asked. */
static __always_inline long bpf_perf_event_output(void *ctx, const char *map, __u64 flags,
						  const struct wm_event *event, __u64 size)
{
	(void)ctx;
	return bpf_ringbuf_output(map, event, size, flags);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunknown-pragmas" /* clang's unroll */
#include "../../bpf/flow.h"
#pragma GCC diagnostic pop

/* --- the table --- */

int wm_counting__init(struct wm_counting *c, const struct wm_counting_options *options)
{
	struct wm_random random = { options->seed };

	*c = (struct wm_counting){
		.params.flow_buckets = options->flow_buckets,
		.ctl = {
			.promote_after = options->promote_after,
			.event_budget = options->event_budget,
			.tick_shift = WM_COUNTING_TICK_SHIFT,
			.udp_idle = options->udp_idle,
		},
		.dest.mark = WM_COUNTING_MARK,
	};
	for (int i = 0; i < 4; i++)
		c->ctl.flow_seed[i] = wm_random__next(&random) | (i & 1);
	c->buckets = aligned_alloc(sizeof(*c->buckets),
				   sizeof(*c->buckets) * options->flow_buckets);
	if (!c->buckets)
		return -ENOMEM;
	for (size_t i = 0; i < options->flow_buckets; i++)
		c->buckets[i] = (struct wm_flow_bucket){};
	return 0;
}

void wm_counting__fini(struct wm_counting *c)
{
	free(c->buckets);
}

static struct packet packet_of(const struct wm_flow *flow, uint8_t tcp_flags)
{
	return (struct packet){
		.src = flow->src,
		.dst = flow->dst,
		.ports = wm_ports(flow->sport, flow->dport),
		.proto = flow->proto,
		.family = flow->family,
		.tcp_flags = tcp_flags,
	};
}

/* As flow_find(), less what is there to have the bucket in the cache in time. */
static void look_up(struct flow *f, const struct packet *p)
{
	*f = (struct flow){ .hash = flow_hash(p), .tick = tick_now() };
	if (!flow_find_in(f, wm_flow_bucket_of(f->hash, wm_params.flow_buckets)))
		flow_find_in(f, wm_flow_second_of(f->hash, wm_params.flow_buckets));
}

static bool expired(const struct flow *f, const struct packet *p)
{
	if (p->proto != IPPROTO_UDP || entry_age(f->entry, f->tick) <= here->ctl.udp_idle ||
	    wm_flow_may_have_rule(wm_flow_state(f->entry)))
		return false;
	count(&here->stats, WM_C_FLOW_EXPIRED);
	return true;
}

static void enter(struct wm_counting *c, struct flow *f)
{
	uint64_t full = c->stats.counter[WM_C_FLOW_FULL];

	flow_insert(f, WM_COUNTING_MARK, &c->stats, NULL);
	c->entered = c->stats.counter[WM_C_FLOW_FULL] == full;
	c->slot = f->slot;
}

enum wm_counter wm_counting__packet(struct wm_counting *c, const struct wm_flow *flow,
				    uint8_t tcp_flags, uint64_t now)
{
	struct packet p = packet_of(flow, tcp_flags);
	struct flow f;

	here = c;
	c->now = now;
	c->raised = NULL;
	c->entered = c->done = false;
	look_up(&f, &p);
	if (tcp_flags & TCP_SYN) {
		if (!flow_syn(NULL, &f, &p, &c->vip, &c->stats))
			enter(c, &f);
		return WM_C_TX_SYN;
	}
	if (f.entry && !expired(&f, &p)) {
		flow_hit(NULL, &f, &p, &c->vip, c->dest.mark, &c->stats);
		c->done = wm_flow_state(f.entry) + 1 >= c->ctl.promote_after;
		return WM_C_TX_HIT;
	}
	if (!(tcp_flags & (TCP_FIN | TCP_RST)))
		enter(c, &f);
	return WM_C_TX_MISS;
}

/* The flow's entry, if it has one. */
static bool find(struct wm_counting *c, const struct wm_flow *flow, struct flow *f)
{
	struct packet p = packet_of(flow, 0);

	here = c;
	look_up(f, &p);
	return f->entry;
}

bool wm_counting__proven(struct wm_counting *c, const struct wm_flow *flow)
{
	struct flow f;

	return find(c, flow, &f) && wm_flow_state(f.entry) == WM_FLOW_PROMOTED;
}

void wm_counting__touch(struct wm_counting *c, const struct wm_flow *flow, uint64_t now)
{
	struct flow f;

	c->now = now;
	if (find(c, flow, &f))
		flow_write(&f, wm_flow_entry(f.hash, entry_dest(f.entry), f.tick,
					     wm_flow_state(f.entry)));
}

void wm_counting__restart(struct wm_counting *c, const struct wm_flow *flow)
{
	struct flow f;

	if (find(c, flow, &f))
		flow_write(&f, wm_flow_without_rule(f.entry, f.tick));
}
