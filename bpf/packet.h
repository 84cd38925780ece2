/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parsing: from a frame to what the later steps ask of it. Every step returns a
 * counter (the reason why the packet's path ends here) or GO_ON.
 *
 * Nothing is dropped here: until the vip is known, a packet is not ours.
 */
#ifndef WM_BPF_PACKET_H
#define WM_BPF_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <waymark/hash.h>

/* What a step returns when the packet's path does not end in it. */
#define GO_ON (-1)

enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04 };
enum { IP_FRAGMENT = 0x3fff /* MF and offset */, IP_DONT_FRAGMENT = 0x4000 };
/* ihl 5, so the transport header is where a fixed offset says. */
enum { IPV4_PLAIN = 0x45 };

struct packet {
	const __be32 *src, *dst; /* in the packet: not valid after it grew */
	__u32 ports;             /* wm_ports() */
	__u16 inner_len;         /* of the IP packet, by its own header */
	__u8 proto;
	__u8 tos;
	__u8 tcp_flags;          /* SYN, FIN, RST, ...; 0 for UDP */
	__u8 family;             /* enum wm_family */
	/* Negative: lengths in the headers lie. Numbers rather than verdicts,
	 * because each branch here doubles the verifier's work further on. */
	__s64 frame_slack;       /* of the frame, behind what the IP header states */
	__s64 ip_slack;          /* of the IP packet, behind its headers */
};

/*
 * The same value, of which the verifier knows nothing. Where it knew it (one of
 * a few constants, by the branch it came from), it would follow each one
 * separately through the rest of the program: hundreds of thousands of
 * instructions. On this byte order the instruction does nothing.
 */
static __always_inline __u64 verifier_forgets(__u64 x)
{
	asm volatile("%0 = le64 %0" : "+r"(x));
	return x;
}

/* As a number of which the compiler knows nothing: it would turn `end - data - x`
 * into `end - (data + x)`, a pointer that older verifiers do not allow. */
static __always_inline __s64 frame_length(void *data, void *end)
{
	return verifier_forgets(end - data);
}

static __always_inline bool same_v6(const __be32 *a, const __be32 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* Of an Ethernet header that is known to be there. By itself the compiler would
 * read two bytes: struct ethhdr is packed. */
static __always_inline __be16 ethernet_proto(const void *eth)
{
	return *(const __be16 *)(eth + offsetof(struct ethhdr, h_proto));
}

static __always_inline __be16 packet_sport(const struct packet *p)
{
	return p->ports & 0xffff;
}

static __always_inline __be16 packet_dport(const struct packet *p)
{
	return p->ports >> 16;
}

/* Reads the transport header at `l4`, `need` bytes of IP packet before it. */
static __always_inline int parse_transport(struct packet *p, void *l4, void *end, __u32 before)
{
	__u32 length = p->proto == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);

	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return WM_C_PASS_PROTOCOL;
	if (l4 + sizeof(struct udphdr) > end)
		return WM_C_PASS_SHORT;
	p->ports = *(__u32 *)l4;
	if (p->proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcphdr) > end)
			return WM_C_PASS_SHORT;
		p->tcp_flags = ((__u8 *)l4)[13];
	}
	p->ip_slack = verifier_forgets((__s64)p->inner_len - before - length);
	p->proto = verifier_forgets(p->proto);
	p->tcp_flags = verifier_forgets(p->tcp_flags);
	return GO_ON;
}

/* What the outer header will need of the IP packet, and where its end is. */
static __always_inline void measure_v4(struct packet *p, const struct iphdr *ip, void *data,
				       void *end)
{
	p->tos = ip->tos;
	p->inner_len = bpf_ntohs(ip->tot_len);
	p->frame_slack = frame_length(data, end) - ETH_HLEN - p->inner_len;
}

static __always_inline void measure_v6(struct packet *p, const struct ipv6hdr *ip, void *data,
				       void *end)
{
	p->tos = bpf_ntohs(*(const __be16 *)ip) >> 4;
	p->inner_len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	/* By the full length: inner_len may have wrapped with its header. */
	p->frame_slack = frame_length(data, end) - ETH_HLEN - (__s64)sizeof(*ip) -
		   bpf_ntohs(ip->payload_len);
}

static __always_inline int parse_v4(struct packet *p, void *data, void *end)
{
	struct iphdr *ip = data + ETH_HLEN;
	__u32 header;

	if ((void *)(ip + 1) > end)
		return WM_C_PASS_SHORT;
	if (ip->version != 4 || ip->ihl < 5)
		return WM_C_PASS_SHORT;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return WM_C_PASS_FRAGMENT;
	p->src = &ip->saddr;
	p->dst = &ip->daddr;
	p->proto = ip->protocol;
	measure_v4(p, ip, data, end);
	if (*(__u8 *)ip == IPV4_PLAIN) /* keeps the offset a constant */
		return parse_transport(p, ip + 1, end, sizeof(*ip));
	header = ip->ihl * 4;
	return parse_transport(p, (void *)ip + header, end, header);
}

static __always_inline int parse_v6(struct packet *p, void *data, void *end)
{
	struct ipv6hdr *ip = data + ETH_HLEN;

	if ((void *)(ip + 1) > end)
		return WM_C_PASS_SHORT;
	if (ip->version != 6)
		return WM_C_PASS_SHORT;
	if (ip->nexthdr == IPPROTO_FRAGMENT)
		return WM_C_PASS_FRAGMENT;
	p->src = ip->saddr.in6_u.u6_addr32;
	p->dst = ip->daddr.in6_u.u6_addr32;
	p->proto = ip->nexthdr;
	measure_v6(p, ip, data, end);
	return parse_transport(p, ip + 1, end, sizeof(*ip));
}

#endif
