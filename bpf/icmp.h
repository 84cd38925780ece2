/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ICMP errors about packets of a flow: "too big", "unreachable". They come from any
 * router on the way, to the vip, and quote the beginning of the packet that a real has
 * sent. The quote tells the flow, so the error finds the real that has to know of it;
 * without that, discovery of a path's MTU fails (RFC 1191, RFC 8201).
 *
 * Only plain packets are followed: neither of the two headers may have options or extension
 * headers.
 */
#ifndef WM_BPF_ICMP_H
#define WM_BPF_ICMP_H

#include "packet.h"

enum {
	ICMP_HEADER = 8,
	ICMP_QUOTED = 8,       /* that much of a transport header each error has (RFC 792) */
	ICMP4_UNREACHABLE = 3, /* also "fragmentation needed" */
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAMETER = 12,
	ICMP6_INFORMATION = 0x80, /* types with this bit are no errors */
	IP_OFFSET = 0x1fff,
};

/* From the quoted packet to one of the client, whose answer it was. */
static __always_inline int parse_quoted(struct packet *p, void *l4, void *end, __u32 before)
{
	__u32 ports;

	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return WM_C_PASS_PROTOCOL;
	if (l4 + ICMP_QUOTED > end)
		return WM_C_PASS_SHORT;
	ports = *(__u32 *)l4;
	p->ports = ports << 16 | ports >> 16;
	p->ip_slack = verifier_forgets((__s64)p->inner_len - before - ICMP_QUOTED);
	p->proto = verifier_forgets(p->proto);
	return GO_ON;
}

static __always_inline int parse_error_v4(struct packet *p, void *data, void *end)
{
	struct iphdr *ip = data + ETH_HLEN, *quoted = (void *)(ip + 1) + ICMP_HEADER;
	__u8 *type = (void *)(ip + 1);

	if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_ICMP || *(__u8 *)ip != IPV4_PLAIN)
		return WM_C_PASS_PROTOCOL;
	if ((void *)quoted > end)
		return WM_C_PASS_SHORT;
	if (*type != ICMP4_UNREACHABLE && *type != ICMP4_TIME_EXCEEDED && *type != ICMP4_PARAMETER)
		return WM_C_PASS_PROTOCOL;
	if ((void *)(quoted + 1) > end)
		return WM_C_PASS_SHORT;
	if (*(__u8 *)quoted != IPV4_PLAIN || quoted->frag_off & bpf_htons(IP_OFFSET))
		return WM_C_PASS_PROTOCOL;
	if (quoted->saddr != ip->daddr)
		return WM_C_PASS_NOT_VIP;
	p->src = &quoted->daddr;
	p->dst = &quoted->saddr;
	p->proto = quoted->protocol;
	measure_v4(p, ip, data, end);
	return parse_quoted(p, quoted + 1, end, (void *)(quoted + 1) - (void *)ip);
}

static __always_inline int parse_error_v6(struct packet *p, void *data, void *end)
{
	struct ipv6hdr *ip = data + ETH_HLEN, *quoted = (void *)(ip + 1) + ICMP_HEADER;
	__u8 *type = (void *)(ip + 1);

	if ((void *)(ip + 1) > end || ip->nexthdr != IPPROTO_ICMPV6)
		return WM_C_PASS_PROTOCOL;
	if ((void *)quoted > end)
		return WM_C_PASS_SHORT;
	if (*type & ICMP6_INFORMATION)
		return WM_C_PASS_PROTOCOL;
	if ((void *)(quoted + 1) > end)
		return WM_C_PASS_SHORT;
	if (quoted->version != 6)
		return WM_C_PASS_PROTOCOL;
	if (!same_v6(quoted->saddr.in6_u.u6_addr32, ip->daddr.in6_u.u6_addr32))
		return WM_C_PASS_NOT_VIP;
	p->src = quoted->daddr.in6_u.u6_addr32;
	p->dst = quoted->saddr.in6_u.u6_addr32;
	p->proto = quoted->nexthdr;
	measure_v6(p, ip, data, end);
	return parse_quoted(p, quoted + 1, end, (void *)(quoted + 1) - (void *)ip);
}

#endif
