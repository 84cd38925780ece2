/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The outer header: grow the head, write Ethernet and IP. What is fixed for a
 * destination lies prepared in its entry; the packet adds its length, its
 * traffic class and, in the source address, its entropy.
 *
 * Values are Katran's: id 0 and no DF (unless WM_CTL_COPY_DF), TTL 64, traffic
 * class copied, inner TTL untouched, source address derived from the flow
 * (waymark/hash.h).
 */
#ifndef WM_BPF_HEADER_H
#define WM_BPF_HEADER_H

#include "local.h"
#include "maps.h"
#include "packet.h"

enum { OUTER_TTL = 64 };

/* What the outer header takes from the packet. Copied: the packet moves. */
struct inner {
	__be32 client; /* its IPv4 source, or the last word of its IPv6 source */
	__be16 sport;
	__u16 len;
	__u8 tos;
	bool local;    /* set here: it is a socket's now */
};

static __always_inline bool encap_outer_v4(__u8 encap)
{
	return encap == WM_ENCAP_4IN4 || encap == WM_ENCAP_6IN4;
}

/* A MAC address as two words: for the compiler its bytes have no alignment, and
 * it would move them one by one. */
struct mac {
	__u32 head;
	__u16 tail;
};

static __always_inline struct mac mac_at(const void *addr)
{
	return (struct mac){ *(const __u32 *)addr, *(const __u16 *)(addr + 4) };
}

/* The frame goes back where it came from: its old destination is the source. */
static __always_inline void write_ethernet(void *eth, struct mac dst, struct mac src, __be16 proto)
{
	*(__u32 *)eth = dst.head;
	*(__u16 *)(eth + 4) = dst.tail;
	*(__u32 *)(eth + 6) = src.head;
	*(__u16 *)(eth + 10) = src.tail;
	*(__be16 *)(eth + 12) = proto;
}

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return ~sum;
}

static __always_inline void write_v4(struct iphdr *ip, const struct wm_dest *dest,
				     const struct inner *in)
{
	__be32 src = wm_outer_src_v4(in->client, in->sport, wm_ctl.src4);
	__be16 len = bpf_htons(in->len + sizeof(*ip));

	/* version and ihl, tos; as one store */
	*(__u16 *)ip = IPV4_PLAIN | (__u16)in->tos << 8;
	ip->tot_len = len;
	*(__u32 *)&ip->id = 0; /* and no fragment */
	*(__u16 *)&ip->ttl = OUTER_TTL |
			     (dest->encap == WM_ENCAP_4IN4 ? IPPROTO_IPIP : IPPROTO_IPV6) << 8;
	ip->check = csum_fold(dest->csum4 + ((__u32)in->tos << 8) + len + ((__u32)src >> 16));
	ip->saddr = src;
	ip->daddr = dest->real[0];
}

/* RFC 2003, 3.1: what must not be fragmented inside must not be outside. With DF the
 * identification has no meaning (RFC 6864); without, the inner one tells packets apart.
 * No router fragments IPv6, so that is as if it had DF. */
static __always_inline void copy_df(struct iphdr *ip, const struct iphdr *inner, __u8 encap)
{
	__be32 word = bpf_htonl(IP_DONT_FRAGMENT);

	if (encap == WM_ENCAP_4IN4)
		word = *(const __be32 *)&inner->id & bpf_htonl(0xffff0000 | IP_DONT_FRAGMENT);
	*(__be32 *)&ip->id = word;
	ip->check = csum_fold((__u16)~ip->check + (word & 0xffff) + (word >> 16));
}

static __always_inline void write_v6(struct ipv6hdr *ip, const struct wm_dest *dest,
				     const struct inner *in)
{
	*(__be32 *)ip = bpf_htonl(6 << 28 | (__u32)in->tos << 20);
	ip->payload_len = bpf_htons(in->len);
	ip->nexthdr = dest->encap == WM_ENCAP_4IN6 ? IPPROTO_IPIP : IPPROTO_IPV6;
	ip->hop_limit = OUTER_TTL;
	ip->saddr.in6_u.u6_addr32[0] = wm_ctl.src6[0];
	ip->saddr.in6_u.u6_addr32[1] = wm_ctl.src6[1];
	ip->saddr.in6_u.u6_addr32[2] = wm_ctl.src6[2];
	ip->saddr.in6_u.u6_addr32[3] = wm_outer_src_v6_word(in->client, in->sport);
	ip->daddr.in6_u.u6_addr32[0] = dest->real[0];
	ip->daddr.in6_u.u6_addr32[1] = dest->real[1];
	ip->daddr.in6_u.u6_addr32[2] = dest->real[2];
	ip->daddr.in6_u.u6_addr32[3] = dest->real[3];
}

/* A frame that is longer than max_frame allows: too long, or its destination is one of which
 * packets may leave by one interface only. */
static __always_inline int beyond(const struct xdp_md *ctx, const struct wm_dest *dest, __s64 frame)
{
	__u32 only = wm_dest_only(dest);

	if (!only || frame > dest->only_frame)
		return WM_C_DROP_MTU;
	return ctx->ingress_ifindex == only ? GO_ON : WM_C_DROP_UPLINK;
}

/* Wrap the packet for `dest`, or hand it to its socket. frame: its length as it came.
 * Returns GO_ON, or why it is dropped: then it is as it was. All packet pointers are void
 * afterwards. */
static __always_inline int push_header(struct xdp_md *ctx, const struct wm_dest *dest,
				       struct inner *in, __s64 frame)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	bool v4 = encap_outer_v4(dest->encap);
	int grow = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr), reason;
	struct mac smac;

	if (!v4 && encap_local(dest->encap)) {
		in->local = local_send(ctx, dest->mark, wm_jhash_2words(in->client, in->sport, 0),
				       wm_local_number(dest->real));
		return in->local ? GO_ON : WM_C_DROP_LOCAL;
	}
	if (data + ETH_HLEN > end)
		return WM_C_DROP_TOO_LONG;
	/* The device would drop it, and nobody would know. By the frame's length and not by
	 * in->len: what is behind the IP packet goes along. That the length fits the
	 * outer header's field follows. */
	if (frame > dest->max_frame) {
		reason = beyond(ctx, dest, frame);
		if (reason != GO_ON)
			return reason;
	}
	smac = mac_at(data);
	if (bpf_xdp_adjust_head(ctx, -grow))
		return WM_C_DROP_TOO_LONG;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (v4) {
		if (data + ETH_HLEN + sizeof(struct iphdr) > end)
			return WM_C_DROP_TOO_LONG;
		write_ethernet(data, mac_at(dest->dmac), smac, bpf_htons(ETH_P_IP));
		write_v4(data + ETH_HLEN, dest, in);
		if (wm_ctl.flags & WM_CTL_COPY_DF &&
		    data + ETH_HLEN + 2 * sizeof(struct iphdr) <= end)
			copy_df(data + ETH_HLEN, data + ETH_HLEN + sizeof(struct iphdr),
				dest->encap);
	} else {
		if (data + ETH_HLEN + sizeof(struct ipv6hdr) > end)
			return WM_C_DROP_TOO_LONG;
		write_ethernet(data, mac_at(dest->dmac), smac, bpf_htons(ETH_P_IPV6));
		write_v6(data + ETH_HLEN, dest, in);
	}
	return GO_ON;
}

#endif
