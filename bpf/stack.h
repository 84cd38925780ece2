/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the host's stack may have of the packets that are not balanced. Not what belongs to a
 * vip: the stack knows nothing of its connections, so it would answer with an RST or
 * "unreachable". By address and protocol, where the port cannot be told: of a fragment, or behind
 * IPv6 extension headers.
 *
 * What else is sent to a vip's address is the stack's only if the address is this machine's own.
 * If it is not, the stack would forward the packet, back to where it came from.
 *
 * Nothing here is on the path of packets that are balanced.
 */
#ifndef WM_BPF_STACK_H
#define WM_BPF_STACK_H

#include "maps.h"
#include "packet.h"
#include "vip.h"

enum {
	EXTENSIONS_MAX = 6, /* that are looked into; more are nobody's we know */
	UPPER_UNKNOWN = 0xff, /* IANA: reserved */
	ND_FIRST = 133, ND_LAST = 137, /* ICMPv6: neighbour discovery */
};

/* What matters of a packet to an address. */
struct stray {
	struct packet p; /* destination and family */
	__u8 upper;      /* the protocol, or UPPER_UNKNOWN */
	bool fragment, extended;
	bool neighbour;  /* neighbour discovery, which never comes through a router */
};

static __always_inline bool is_extension(__u8 type)
{
	return type == IPPROTO_HOPOPTS || type == IPPROTO_ROUTING || type == IPPROTO_DSTOPTS ||
	       type == IPPROTO_FRAGMENT || type == IPPROTO_AH || type == 135 /* mobility */ ||
	       type == 139 /* HIP */ || type == 140 /* shim6 */;
}

/* Behind the extension headers. A later fragment has none of them but those in front of
 * the fragment header. */
static __always_inline void find_upper(struct stray *s, __u8 *at, void *end)
{
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(s->upper); i++) {
		__u8 type = s->upper;
		__u32 length;

		s->extended = true;
		s->upper = UPPER_UNKNOWN;
		if (at + 8 > (__u8 *)end)
			return;
		length = (at[1] + 1) * 8;
		if (type == IPPROTO_AH)
			length = (at[1] + 2) * 4;
		if (type == IPPROTO_FRAGMENT) {
			s->fragment = true;
			length = 8;
			/* Its protocol is here, its header is not. */
			if (*(__be16 *)(at + 2) & bpf_htons(0xfff8)) {
				s->upper = is_extension(at[0]) ? UPPER_UNKNOWN : at[0];
				return;
			}
		}
		s->upper = at[0];
		at += length;
	}
	if (is_extension(s->upper))
		s->upper = UPPER_UNKNOWN;
}

static __always_inline bool read_stray(struct stray *s, void *data, void *end)
{
	struct iphdr *ip = data + ETH_HLEN;
	struct ipv6hdr *ip6 = data + ETH_HLEN;
	__u8 *type = (void *)(ip6 + 1);

	if ((void *)(ip + 1) > end)
		return false;
	if (ethernet_proto(data) == bpf_htons(ETH_P_IP) && ip->version == 4) {
		s->p.family = WM_IPV4;
		s->p.dst = &ip->daddr;
		s->upper = ip->protocol;
		s->fragment = ip->frag_off & bpf_htons(IP_FRAGMENT);
		return true;
	}
	if (ethernet_proto(data) != bpf_htons(ETH_P_IPV6) || ip6->version != 6 ||
	    (void *)(ip6 + 1) > end)
		return false;
	s->p.family = WM_IPV6;
	s->p.dst = ip6->daddr.in6_u.u6_addr32;
	s->upper = ip6->nexthdr;
	if (s->upper == IPPROTO_ICMPV6 && ip6->hop_limit == 255 && (void *)(type + 1) <= end)
		s->neighbour = *type >= ND_FIRST && *type <= ND_LAST;
	find_upper(s, type, end);
	return true;
}

/* Some vip of this address has the packet's protocol, or may have it. */
static __always_inline bool is_served(const struct stray *s, __u16 flags)
{
	if (s->upper == UPPER_UNKNOWN)
		return true;
	return flags & (s->upper == IPPROTO_TCP ? WM_VIP_TCP :
			s->upper == IPPROTO_UDP ? WM_VIP_UDP : 0);
}

/* The verdict for a packet that would go to the stack because of `reason`. */
__noinline int stack_verdict(struct xdp_md *ctx, __u32 reason)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct wm_vip *address;
	struct stray s = {};

	if (data + ETH_HLEN > end || !read_stray(&s, data, end))
		return reason;
	address = vip_lookup(&s.p, 0, wm_ctl.half & 1);
	if (!address || s.neighbour)
		return reason;
	if (is_served(&s, address->flags)) {
		if (s.fragment)
			return WM_C_DROP_FRAGMENT;
		if (s.extended)
			return WM_C_DROP_EXTENSION;
		if (reason == WM_C_PASS_SHORT)
			return WM_C_DROP_MALFORMED;
	}
	return address->flags & WM_VIP_OWN ? reason : WM_C_DROP_NO_SERVICE;
}

#endif
