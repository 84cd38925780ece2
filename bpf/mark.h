/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The path of a marked packet: mark -> destination by one array look-up. The packet's own
 * destination is compared with the vip that the mark stands for, so a mark that
 * a NIC stamped on the wrong packet costs speed and never misroutes.
 *
 * SYN, FIN and RST never take this path, whatever the NIC can match: the flow
 * table must see a connection begin and end.
 *
 * Some NICs hand up where the rule stands that matched. For them, and in a program
 * loaded for them only, one more array look-up in front turns that into the mark.
 */
#ifndef WM_BPF_MARK_H
#define WM_BPF_MARK_H

#include "flow.h"
#include "header.h"
#include "maps.h"
#include "own.h"
#include "packet.h"

/*
 * The meta lane: read the mark and drop the metadata, all of it. What stayed
 * would be moved by every growth of the head (some 20 ns), and after XDP_PASS
 * it would keep GRO from merging packets. 0: not marked.
 */
static __always_inline __u32 mark_from_meta(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *meta = (void *)(long)ctx->data_meta;
	struct xdp_md_mark *md = meta;
	__u32 mark = 0;

	if (meta >= data)
		return 0;
	if ((void *)(md + 1) <= data)
		mark = md->mark;
	bpf_xdp_adjust_meta(ctx, data - meta);
	return mark;
}

/* The mac lane: the mark in the source address, if its prefix is that of this load. */
static __always_inline __u32 mark_from_mac(const struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + ETH_HLEN > end)
		return 0;
	if ((*(__u32 *)(data + ETH_ALEN) & 0xffffff) != wm_params.mac_prefix)
		return 0;
	return *(__u32 *)(data + ETH_ALEN + 2) >> 8;
}

/* Without a question to the driver: in front of the packet, or in the source address. */
static __always_inline __u32 mark_from_frame(struct xdp_md *ctx)
{
	__u32 mark = mark_from_meta(ctx);

	if (wm_params.mac_prefix && !mark)
		mark = mark_from_mac(ctx);
	return mark;
}

/* In kernels that have it (kernel-patches/). Weak: the object loads without. */
extern int bpf_xdp_metadata_rx_flow_mark(const struct xdp_md *ctx, __u32 *mark) __ksym __weak;

/* The kfunc lane: ask the driver. Metadata in front of the packet, if any, is
 * dropped all the same, and used where the driver has no mark. */
static __always_inline __u32 mark_from_nic(struct xdp_md *ctx)
{
	__u32 mark = 0;

	if (bpf_xdp_metadata_rx_flow_mark && !bpf_xdp_metadata_rx_flow_mark(ctx, &mark) && mark) {
		mark_from_meta(ctx);
		return mark;
	}
	return mark_from_frame(ctx);
}

/* What the rule at this location means; 0: nothing. A write a tick tells user space
 * that the rule is in use: such NICs count no packets. */
static __always_inline __u32 mark_at(__u32 number)
{
	struct wm_location *location = bpf_map_lookup_elem(&wm_locations, &number);
	__u16 tick = tick_now();

	if (!location || !location->mark)
		return 0;
	if (location->used != tick)
		location->used = tick;
	return location->mark;
}

/* What both families ask of a packet that is for the mark's vip. */
static __always_inline int match_transport(const struct wm_dest *dest, __u8 *l4, void *end,
					   __u32 inner_len, __u32 before)
{
	if (dest->proto != IPPROTO_TCP)
		return inner_len < before + sizeof(struct udphdr) ? WM_C_MARK_MISMATCH : GO_ON;
	if (l4 + sizeof(struct tcphdr) > (__u8 *)end || inner_len < before + sizeof(struct tcphdr))
		return WM_C_MARK_MISMATCH;
	return l4[13] & (TCP_SYN | TCP_FIN | TCP_RST) ? WM_C_MARK_CONTROL : GO_ON;
}

/* Is this IPv4 packet one that the mark may speak for? */
static __always_inline int match_v4(const struct wm_dest *dest, void *data, void *end,
				    struct inner *in)
{
	struct iphdr *ip = data + ETH_HLEN;
	__u8 *l4 = (void *)(ip + 1);

	if (l4 + sizeof(struct udphdr) > (__u8 *)end || *(__u8 *)ip != IPV4_PLAIN ||
	    ip->frag_off & bpf_htons(IP_FRAGMENT) || ip->protocol != dest->proto)
		return WM_C_MARK_MISMATCH;
	if (!(wm_ctl.flags & WM_CTL_TRUST_MARKS) &&
	    (ip->daddr != dest->vip_addr[0] ||
	     (*(__be16 *)(l4 + 2) & dest->port_mask) != dest->vip_port))
		return WM_C_MARK_MISMATCH;
	in->client = ip->saddr;
	in->sport = *(__be16 *)l4;
	in->tos = ip->tos;
	in->len = bpf_ntohs(ip->tot_len);
	return match_transport(dest, l4, end, in->len, sizeof(*ip));
}

static __always_inline int match_v6(const struct wm_dest *dest, void *data, void *end,
				    struct inner *in)
{
	struct ipv6hdr *ip = data + ETH_HLEN;
	__u8 *l4 = (void *)(ip + 1);

	if (l4 + sizeof(struct udphdr) > (__u8 *)end || ip->version != 6 ||
	    ip->nexthdr != dest->proto)
		return WM_C_MARK_MISMATCH;
	if (!(wm_ctl.flags & WM_CTL_TRUST_MARKS) &&
	    (!same_v6(ip->daddr.in6_u.u6_addr32, dest->vip_addr) ||
	     (*(__be16 *)(l4 + 2) & dest->port_mask) != dest->vip_port))
		return WM_C_MARK_MISMATCH;
	in->client = ip->saddr.in6_u.u6_addr32[3];
	in->sport = *(__be16 *)l4;
	in->tos = bpf_ntohs(*(__be16 *)ip) >> 4;
	in->len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	return match_transport(dest, l4, end, in->len, sizeof(*ip));
}

/* Why a mark does not name a live destination. */
static __always_inline int mark_reason(const struct wm_dest *dest)
{
	if (!dest || dest->encap == WM_ENCAP_NONE)
		return WM_C_MARK_UNKNOWN;
	return dest->mark ? WM_C_MARK_STALE : WM_C_MARK_GONE;
}

/*
 * Send a packet by its mark. Returns the verdict, WM_C_TX_MARKED with *id and
 * in->len set; else the reason (WM_C_MARK_*) why the software path must do it,
 * with the packet as it was.
 */
static __always_inline int mark_send(struct xdp_md *ctx, __u32 mark, __u32 *id, struct inner *in)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct wm_dest *dest;
	__s64 frame;
	int reason;

	if (wm_params.locations) {
		mark = mark_at(mark);
		if (!mark)
			return WM_C_MARK_UNKNOWN;
	}
	*id = mark & ((1 << wm_params.dest_bits) - 1);
	dest = bpf_map_lookup_elem(&wm_dests, id);
	if (!dest || dest->mark != mark)
		return mark_reason(dest);
	if (data + ETH_HLEN > end)
		return WM_C_MARK_MISMATCH;
	if (!frame_is_ours(ctx, data))
		return WM_C_PASS_NOT_US;
	if (encap_inner_v4(dest->encap) && ethernet_proto(data) == bpf_htons(ETH_P_IP))
		reason = match_v4(dest, data, end, in);
	else if (!encap_inner_v4(dest->encap) && ethernet_proto(data) == bpf_htons(ETH_P_IPV6))
		reason = match_v6(dest, data, end, in);
	else
		reason = WM_C_MARK_MISMATCH;
	if (reason != GO_ON)
		return reason;
	frame = frame_length(data, end);
	if (ETH_HLEN + in->len > frame)
		return WM_C_MARK_MISMATCH; /* the software path counts it as malformed */
	reason = push_header(ctx, dest, in, frame);
	return reason == GO_ON ? WM_C_TX_MARKED : reason;
}

#endif
