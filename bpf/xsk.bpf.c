// SPDX-License-Identifier: GPL-2.0
/*
 * The program of `waymark xsk`: hands packets to AF_XDP sockets, those to one
 * port or all of them. Everything else, and what comes by a queue without a
 * socket, goes to the stack as it came.
 *
 * A mark that the NIC put in front of the packet is kept, and a hash of the flow
 * joins it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "xskmeta.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, WM_XSK_QUEUES_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} wm_xsk_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wm_xsk_counts);
} wm_xsk_stats SEC(".maps");

const volatile struct wm_xsk_filter wm_xsk_filter SEC(".rodata.filter") = { .all = 1 };

static __always_inline void count(enum wm_xsk_counter counter)
{
	__u32 zero = 0;
	struct wm_xsk_counts *counts = bpf_map_lookup_elem(&wm_xsk_stats, &zero);

	if (counts)
		counts->counter[counter]++;
}

/* Addresses and ports, if it has ports. */
static __always_inline bool parse(struct xdp_md *ctx, struct packet *p)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		p->family = WM_IPV4;
		return parse_v4(p, data, end) == GO_ON;
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		p->family = WM_IPV6;
		return parse_v6(p, data, end) == GO_ON;
	}
	return false;
}

static __always_inline bool wanted(const struct packet *p)
{
	if (wm_xsk_filter.proto && p->proto != wm_xsk_filter.proto)
		return false;
	return !wm_xsk_filter.port || packet_dport(p) == wm_xsk_filter.port;
}

static __always_inline __u32 hash_of(const struct packet *p)
{
	__u32 addresses = p->src[0] ^ p->dst[0] * 31;

	if (p->family == WM_IPV6)
		addresses = wm_jhash_4words((const __u32 *)p->src, addresses) ^ p->dst[3];
	return wm_jhash_2words(addresses, p->ports, p->proto);
}

static __always_inline __u32 mark_of(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	struct xdp_md_mark *md = (void *)(long)ctx->data_meta;

	return (void *)(md + 1) <= data ? md->mark : 0;
}

SEC("xdp.frags")
int wm_xsk(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index, mark = mark_of(ctx), hash = 0, flags = 0;
	struct packet p = {};

	if (parse(ctx, &p)) {
		if (!wanted(&p)) {
			count(WM_XSK_C_PASSED);
			return XDP_PASS;
		}
		hash = hash_of(&p);
		flags |= WM_XSK_META_HASH;
	} else if (!wm_xsk_filter.all) {
		count(WM_XSK_C_PASSED);
		return XDP_PASS;
	}
	/* Before anything is written: what goes to the stack goes as it came. */
	if (!bpf_map_lookup_elem(&wm_xsk_sockets, &queue)) {
		count(WM_XSK_C_NO_SOCKET);
		return XDP_PASS;
	}
	if (mark)
		flags |= WM_XSK_META_MARK;
	xskmeta_write(ctx, mark, hash, flags);
	count(WM_XSK_C_TAKEN);
	return bpf_redirect_map(&wm_xsk_sockets, queue, XDP_PASS);
}
