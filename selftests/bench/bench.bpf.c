// SPDX-License-Identifier: GPL-2.0
/*
 * The real program inside a loop: no system call between packets. Each turn
 * writes the next flow's source into the packet, in an order that touches every
 * flow before one comes again, puts the mark in front, runs the balancer, and
 * takes the outer header off again. `loop`, `grow` and `header` are the same
 * turn with less and less of the balancer in it; `line` is the floor of a table.
 */
#include "../../bpf/waymark.bpf.c"

#include "bench.h"

volatile struct bench_ctl bench_ctl SEC(".data.bench");

/* Small: it stands on the stack below the balancer's frames, and all together have 512 bytes. */
struct turn {
	struct xdp_md *ctx;
	__u32 flow, flows, stride, mark, marks;
	__u32 family; /* not a bool: the verifier would follow both of its values separately */
};

/* 14 bytes in three stores: the driver's own work should weigh little. */
static __always_inline void restore_ethernet(void *eth, bool v6)
{
	*(__u64 *)eth = 0x0404020202020202;
	*(__u32 *)(eth + 8) = 0x04040404;
	*(__u16 *)(eth + 12) = v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
}

/* The frame as it came from the wire, of flow `flow`. */
static __always_inline int make_packet(struct xdp_md *ctx, __u32 flow, bool v6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr) > end)
		return -1;
	restore_ethernet(data, v6);
	/* 2^24 sources, and beyond that more ports */
	if (v6) {
		struct ipv6hdr *ip = data + ETH_HLEN;

		if (data + ETH_HLEN + sizeof(*ip) + sizeof(struct udphdr) > end)
			return -1;
		ip->saddr.in6_u.u6_addr32[3] = flow & 0xffffff;
		*(__be16 *)(ip + 1) = 0x1234 + (flow >> 24);
	} else {
		struct iphdr *ip = data + ETH_HLEN;

		ip->saddr = (flow & 0xffffff) << 8 | 10;
		*(__be16 *)(ip + 1) = 0x1234 + (flow >> 24);
	}
	return 0;
}

static __always_inline int put_mark(struct xdp_md *ctx, __u32 mark)
{
	struct xdp_md_mark *md;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*md)))
		return -1;
	md = (void *)(long)ctx->data_meta;
	if ((void *)(md + 1) > (void *)(long)ctx->data)
		return -1;
	md->mark = mark;
	return 0;
}

/* The mark in the source address, in one store. */
static __always_inline void put_mac(struct xdp_md *ctx, __u32 mark)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + ETH_HLEN > end)
		return;
	*(__u64 *)(data + ETH_ALEN) = (__u64)wm_params.mac_prefix | (__u64)mark << 24 |
				      (__u64)bpf_htons(ETH_P_IP) << 48;
}

static __always_inline int grow_only(struct xdp_md *ctx, bool write)
{
	void *data, *end;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
		return XDP_ABORTED;
	if (!write)
		return XDP_TX;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ETH_HLEN + sizeof(struct iphdr) > end)
		return XDP_ABORTED;
	restore_ethernet(data, false);
	__builtin_memset(data + ETH_HLEN, 0x45, sizeof(struct iphdr));
	return XDP_TX;
}

/* The floor of every table that keeps one cache line per flow: hash the packet,
 * read the line, from it to a destination, and a header. Nothing is compared. */
static __always_inline int line_and_header(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct wm_flow_bucket *bucket;
	struct packet p = {};
	struct wm_dest *dest;
	__u64 hash;
	__u32 id;

	if (data + ETH_HLEN > end || parse_v4(&p, data, end) != GO_ON)
		return XDP_ABORTED;
	hash = wm_flow_hash_v4(p.src[0], p.dst[0], p.ports, p.proto, wm_ctl.flow_seed);
	bucket = bucket_at(wm_flow_bucket_of(hash, wm_params.flow_buckets));
	if (!bucket)
		return XDP_ABORTED;
	id = entry_dest(bucket->way[hash & (WM_FLOW_WAYS - 1)]);
	dest = bpf_map_lookup_elem(&wm_dests, &id);
	if (!dest)
		return XDP_ABORTED;
	id = dest->real[0]; /* needed by the header: the packet waits for the line */
	if (grow_only(ctx, true) != XDP_TX)
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ETH_HLEN + sizeof(struct iphdr) > end)
		return XDP_ABORTED;
	((struct iphdr *)(data + ETH_HLEN))->daddr = id;
	return XDP_TX;
}

static __always_inline int one(struct turn *t, __u32 mark, enum bench_case what)
{
	switch (what) {
	case BENCH_LOOP:
		return bench_ctl.expect;
	case BENCH_GROW:
		return grow_only(t->ctx, false);
	case BENCH_HEADER:
		return grow_only(t->ctx, true);
	case BENCH_META:
		if (put_mark(t->ctx, mark + 1) || mark_from_meta(t->ctx) != mark + 1)
			return XDP_ABORTED;
		return grow_only(t->ctx, true);
	case BENCH_LINE:
		return line_and_header(t->ctx);
	case BENCH_MARK_ARG:
		return walk(t->ctx, mark);
	case BENCH_MARK_MAC:
		put_mac(t->ctx, mark);
		return walk(t->ctx, mark_from_frame(t->ctx)); /* the entry `waymark` */
	default:
		if (mark && put_mark(t->ctx, mark))
			return XDP_ABORTED;
		return walk(t->ctx, mark_from_frame(t->ctx)); /* the entry `waymark` */
	}
}

static __always_inline long turn(struct turn *t, enum bench_case what)
{
	__u32 mark = t->mark ? t->mark + (t->flow & (t->marks - 1)) : 0;
	int verdict;

	t->flow += t->stride;
	if (t->flow >= t->flows)
		t->flow -= t->flows;
	if (make_packet(t->ctx, t->flow, t->family == 6))
		return 1;
	verdict = one(t, mark, what);
	if ((__u32)verdict != bench_ctl.expect)
		bench_ctl.errors++;
	if (verdict == XDP_TX && what != BENCH_LOOP &&
	    bpf_xdp_adjust_head(t->ctx, bench_ctl.outer))
		return 1;
	return 0;
}

/* One program per case: constants, where a run-time switch would cost time. */
#define BENCH(name, what)                                                       \
	static long turn_##name(__u32 i, struct turn *t)                        \
	{                                                                       \
		return turn(t, what);                                           \
	}                                                                       \
	SEC("xdp")                                                              \
	int bench_##name(struct xdp_md *ctx)                                    \
	{                                                                       \
		struct turn t = {                                               \
			.ctx = ctx,                                             \
			.flow = bench_ctl.position,                             \
			.flows = bench_ctl.flows,                               \
			.stride = bench_ctl.stride,                             \
			.mark = bench_ctl.mark,                                 \
			.marks = bench_ctl.marks,                               \
			.family = bench_ctl.family,                             \
		};                                                              \
		long done = bpf_loop(bench_ctl.packets, turn_##name, &t, 0);    \
                                                                                \
		bench_ctl.position = t.flow;                                    \
		bench_ctl.errors += done != bench_ctl.packets;                  \
		return XDP_PASS;                                                \
	}

BENCH(loop, BENCH_LOOP)
BENCH(grow, BENCH_GROW)
BENCH(header, BENCH_HEADER)
BENCH(meta, BENCH_META)
BENCH(line, BENCH_LINE)
BENCH(waymark, BENCH_WAYMARK)
BENCH(mark_arg, BENCH_MARK_ARG)
BENCH(mark_mac, BENCH_MARK_MAC)

/* --- the wire --- */

/* Live frames: the next flow, its mark, and out of the device that is named. */
SEC("xdp")
int bench_wire(struct xdp_md *ctx)
{
	__u32 flow = bench_ctl.position + bench_ctl.stride;
	__u32 mark = bench_ctl.mark;

	if (flow >= bench_ctl.flows)
		flow -= bench_ctl.flows;
	bench_ctl.position = flow;
	if (make_packet(ctx, flow, false))
		return XDP_ABORTED;
	if (mark)
		mark += flow & (bench_ctl.marks - 1);
	if (wm_params.mac_prefix)
		put_mac(ctx, mark);
	else if (mark && put_mark(ctx, mark))
		return XDP_ABORTED;
	return bpf_redirect(bench_ctl.outer, 0);
}

/* What a balancer cannot beat: swap the addresses and send. */
SEC("xdp")
int bench_swap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 first;

	if (data + ETH_HLEN > end)
		return XDP_ABORTED;
	first = *(__u64 *)data;
	*(__u32 *)data = *(__u32 *)(data + 6);
	*(__u16 *)(data + 4) = *(__u16 *)(data + 10);
	*(__u32 *)(data + 6) = first;
	*(__u16 *)(data + 10) = first >> 32;
	return XDP_TX;
}

/* The end of the wire. */
SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + ETH_HLEN > end || ((struct ethhdr *)data)->h_proto != bpf_htons(ETH_P_IP))
		return XDP_DROP; /* not ours, though the devices should send nothing */
	if (bench_ctl.lose)
		bench_ctl.lose--;
	else
		__sync_fetch_and_add((__u32 *)&bench_ctl.arrived, 1);
	return XDP_DROP;
}
