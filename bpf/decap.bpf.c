// SPDX-License-Identifier: GPL-2.0
/*
 * Decapsulation on a real: takes the outer IP header off a balancer's packet,
 * so that the host's stack sees what the client sent, with no tunnel device.
 * One body, two entries: `decap` in XDP, `decap_tc` at TC ingress for drivers
 * without XDP.
 *
 * A tunnel device would check a lot before it believes an outer header; here
 * that has to be done by hand, because whoever gets a packet decapsulated has
 * put any inner packet past the network's filters:
 *  - the outer source lies in the balancers' prefix (an operator's network does
 *    not let such sources in from outside);
 *  - the frame is unicast. Frames for another host's address the stack itself
 *    throws away afterwards: the Ethernet destination is kept;
 *  - the host would not forward the outer packet: its destination is the host's
 *    own, or the host is no router (a node must not open what is meant for a
 *    real behind it);
 *  - no options, no extension headers, no fragment, header checksum and
 *    lengths right, inner version as the outer header says.
 * Everything else goes to the stack as it came, and is counted. ECN follows
 * RFC 6040: congestion met on the way inside the tunnel reaches the endpoint.
 *
 * VLAN-tagged frames are not looked into: attach to the VLAN's device.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <waymark/decap_abi.h>

enum {
	/* Since Linux 6.3; the headers of Debian 12 are older. */
	ADJ_ROOM_DECAP_L3_IPV4 = 1 << 7,
	ADJ_ROOM_DECAP_L3_IPV6 = 1 << 8,

	FAMILY_INET = 2,
	FAMILY_INET6 = 10,

	IP_MORE_OR_OFFSET = 0x3fff,
	ECN_MASK = 3,
	ECN_CE = 3,
};

const volatile struct wm_decap_config wm_decap_config = {
	.src4 = bpf_htonl(0xac100000), /* 172.16/16 */
	.src6 = { bpf_htonl(0x01000000), 0, 0 }, /* 100::/96 */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wm_decap_stats);
} wm_decap_stats SEC(".maps");

/* What look() found out about a packet that is to be decapsulated. */
struct tunnel {
	__u32 outer_len;    /* bytes to take off behind the Ethernet header */
	__be16 inner_proto; /* EtherType of what is inside */
	bool outer_is_v6;
	bool set_ce;
};

static __always_inline void count(__u32 what)
{
	struct wm_decap_stats *stats;
	__u32 zero = 0;

	stats = bpf_map_lookup_elem(&wm_decap_stats, &zero);
	if (stats && what < WM_DECAP_COUNTERS_MAX)
		stats->counter[what]++;
}

/* The header's sum with its checksum in it is all ones. */
static __always_inline bool checksum_right(const struct iphdr *ip)
{
	const __u16 *word = (const __u16 *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static __always_inline __u8 traffic_class(const struct ipv6hdr *ip6)
{
	return bpf_ntohl(*(const __be32 *)ip6) >> 20 & 0xff;
}

/* Would the host send a packet for this address on? Its own routing table knows. */
static __always_inline bool forwards(void *ctx, struct bpf_fib_lookup *route, __u32 ifindex)
{
	long result;

	route->ifindex = ifindex;
	result = bpf_fib_lookup(ctx, route, sizeof(*route), 0);
	return result != BPF_FIB_LKUP_RET_NOT_FWDED && result != BPF_FIB_LKUP_RET_FWD_DISABLED;
}

static __always_inline bool forwards_v4(void *ctx, const struct iphdr *ip, __u32 ifindex)
{
	struct bpf_fib_lookup route = {
		.family = FAMILY_INET,
		.ipv4_src = ip->saddr,
		.ipv4_dst = ip->daddr,
	};

	return forwards(ctx, &route, ifindex);
}

static __always_inline bool forwards_v6(void *ctx, const struct ipv6hdr *ip6, __u32 ifindex)
{
	struct bpf_fib_lookup route = { .family = FAMILY_INET6 };

	__builtin_memcpy(route.ipv6_src, &ip6->saddr, 16);
	__builtin_memcpy(route.ipv6_dst, &ip6->daddr, 16);
	return forwards(ctx, &route, ifindex);
}

static __always_inline int look_outer_v4(void *ctx, const struct iphdr *ip, void *end,
					 __u32 frame_len, __u32 ifindex, struct tunnel *t)
{
	if ((void *)(ip + 1) > end)
		return WM_DECAP_PASS_OTHER;
	if (ip->protocol != IPPROTO_IPIP && ip->protocol != IPPROTO_IPV6)
		return WM_DECAP_PASS_OTHER;
	if ((ip->saddr & bpf_htonl(0xffff0000)) != wm_decap_config.src4)
		return WM_DECAP_PASS_SOURCE;
	if (ip->frag_off & bpf_htons(IP_MORE_OR_OFFSET))
		return WM_DECAP_PASS_FRAGMENT;
	if (ip->version != 4 || ip->ihl != 5 || !checksum_right(ip) ||
	    bpf_ntohs(ip->tot_len) < sizeof(*ip) || bpf_ntohs(ip->tot_len) > frame_len - ETH_HLEN)
		return WM_DECAP_PASS_MALFORMED;
	if (forwards_v4(ctx, ip, ifindex))
		return WM_DECAP_PASS_NOT_HOST;

	t->outer_len = sizeof(*ip);
	t->set_ce = (ip->tos & ECN_MASK) == ECN_CE;
	t->inner_proto = bpf_htons(ip->protocol == IPPROTO_IPIP ? ETH_P_IP : ETH_P_IPV6);
	return ip->protocol == IPPROTO_IPIP ? WM_DECAP_4IN4 : WM_DECAP_6IN4;
}

static __always_inline bool from_balancer_v6(const struct ipv6hdr *ip6)
{
	const __be32 *src = (const __be32 *)&ip6->saddr;

	return src[0] == wm_decap_config.src6[0] && src[1] == wm_decap_config.src6[1] &&
	       src[2] == wm_decap_config.src6[2];
}

static __always_inline int look_outer_v6(void *ctx, const struct ipv6hdr *ip6, void *end,
					 __u32 frame_len, __u32 ifindex, struct tunnel *t)
{
	if ((void *)(ip6 + 1) > end)
		return WM_DECAP_PASS_OTHER;
	if (ip6->nexthdr == IPPROTO_FRAGMENT && from_balancer_v6(ip6))
		return WM_DECAP_PASS_FRAGMENT;
	if (ip6->nexthdr != IPPROTO_IPIP && ip6->nexthdr != IPPROTO_IPV6)
		return WM_DECAP_PASS_OTHER;
	if (!from_balancer_v6(ip6))
		return WM_DECAP_PASS_SOURCE;
	if (ip6->version != 6 ||
	    bpf_ntohs(ip6->payload_len) + sizeof(*ip6) > frame_len - ETH_HLEN)
		return WM_DECAP_PASS_MALFORMED;
	if (forwards_v6(ctx, ip6, ifindex))
		return WM_DECAP_PASS_NOT_HOST;

	t->outer_len = sizeof(*ip6);
	t->outer_is_v6 = true;
	t->set_ce = (traffic_class(ip6) & ECN_MASK) == ECN_CE;
	t->inner_proto = bpf_htons(ip6->nexthdr == IPPROTO_IPIP ? ETH_P_IP : ETH_P_IPV6);
	return ip6->nexthdr == IPPROTO_IPIP ? WM_DECAP_4IN6 : WM_DECAP_6IN6;
}

/* `promised`: bytes that the outer header promises for the inner packet. */
static __always_inline int look_inner(void *inner, void *end, __u32 promised, struct tunnel *t)
{
	const struct ipv6hdr *ip6 = inner;
	const struct iphdr *ip = inner;
	__u8 ecn;

	if (t->inner_proto == bpf_htons(ETH_P_IP)) {
		if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5 ||
		    bpf_ntohs(ip->tot_len) < ip->ihl * 4 || bpf_ntohs(ip->tot_len) > promised)
			return WM_DECAP_PASS_MALFORMED;
		ecn = ip->tos & ECN_MASK;
	} else {
		if ((void *)(ip6 + 1) > end || ip6->version != 6 ||
		    bpf_ntohs(ip6->payload_len) + sizeof(*ip6) > promised)
			return WM_DECAP_PASS_MALFORMED;
		ecn = traffic_class(ip6) & ECN_MASK;
	}
	if (!t->set_ce)
		return 0;
	if (!ecn)
		return WM_DECAP_DROP_ECN;
	t->set_ce = ecn != ECN_CE;
	return 0;
}

/*
 * What becomes of the packet: enum wm_decap_counter. With one of the first
 * four, `t` says what to do. frame_len: of the whole packet, of which `data`
 * to `end` can be read here.
 */
static __always_inline int look(void *ctx, void *data, void *end, __u32 frame_len, __u32 ifindex,
				struct tunnel *t)
{
	struct ethhdr *eth = data;
	void *outer = eth + 1;
	__u32 promised;
	int what, bad;

	if (outer > end)
		return WM_DECAP_PASS_OTHER;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		what = look_outer_v4(ctx, outer, end, frame_len, ifindex, t);
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		what = look_outer_v6(ctx, outer, end, frame_len, ifindex, t);
	else
		return WM_DECAP_PASS_OTHER;
	if (what > WM_DECAP_6IN6)
		return what;
	if (eth->h_dest[0] & 1)
		return WM_DECAP_PASS_NOT_HOST;

	if (t->outer_is_v6) {
		promised = bpf_ntohs(((struct ipv6hdr *)outer)->payload_len);
		bad = look_inner((struct ipv6hdr *)outer + 1, end, promised, t);
	} else {
		promised = bpf_ntohs(((struct iphdr *)outer)->tot_len) - sizeof(struct iphdr);
		bad = look_inner((struct iphdr *)outer + 1, end, promised, t);
	}
	return bad ? bad : what;
}

/*
 * The inner header's first 12 bytes, with ECN raised to "congestion
 * experienced". An IPv4 header's checksum changes by as much as the ECN bits.
 */
static __always_inline void raise_ecn(__u8 head[12], __be16 inner_proto)
{
	__u16 *check = (__u16 *)(head + 10);
	__u32 sum;

	if (inner_proto == bpf_htons(ETH_P_IPV6)) {
		head[1] |= ECN_CE << 4;
		return;
	}
	sum = bpf_ntohs(*check) + (__u32)(head[1] & ECN_MASK) + 0xffff - ECN_CE;
	sum = (sum & 0xffff) + (sum >> 16);
	*check = bpf_htons((sum & 0xffff) + (sum >> 16));
	head[1] |= ECN_CE;
}

static __always_inline bool strip_xdp(struct xdp_md *ctx, const struct tunnel *t)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data, old;
	__u8 *inner;

	if ((void *)(eth + 1) > end)
		return false;
	old = *eth;
	/* Two constant steps: the verifier wants to know the length. */
	if (bpf_xdp_adjust_head(ctx, t->outer_is_v6 ? (int)sizeof(struct ipv6hdr)
						    : (int)sizeof(struct iphdr)))
		return false;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	eth = data;
	inner = (__u8 *)(eth + 1);
	if (inner + 12 > (__u8 *)end)
		return false; /* cannot be: look() saw the inner header */
	*eth = old;
	eth->h_proto = t->inner_proto;
	if (t->set_ce)
		raise_ecn(inner, t->inner_proto);
	return true;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct tunnel t = {};
	int what;

	what = look(ctx, data, end, end - data, ctx->ingress_ifindex, &t);
	if (what <= WM_DECAP_6IN6 && !strip_xdp(ctx, &t))
		what = WM_DECAP_PASS_FAILED;
	count(what);
	return what == WM_DECAP_DROP_ECN ? XDP_DROP : XDP_PASS;
}

static __always_inline bool strip_tc(struct __sk_buff *skb, const struct tunnel *t)
{
	bool inner_is_v6 = t->inner_proto == bpf_htons(ETH_P_IPV6);
	__u64 flags = 0;
	__u8 head[12];

	/* Told only where the family changes: Linux before 6.3 knows no such flag. */
	if (inner_is_v6 != t->outer_is_v6)
		flags = inner_is_v6 ? ADJ_ROOM_DECAP_L3_IPV6 : ADJ_ROOM_DECAP_L3_IPV4;
	if (bpf_skb_adjust_room(skb, -(int)t->outer_len, BPF_ADJ_ROOM_MAC, flags))
		return false;
	bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &t->inner_proto,
			    sizeof(t->inner_proto), 0);
	if (t->set_ce && !bpf_skb_load_bytes(skb, ETH_HLEN, head, sizeof(head))) {
		raise_ecn(head, t->inner_proto);
		/* A sum that the card took over the packet stays right. */
		bpf_skb_store_bytes(skb, ETH_HLEN, head, sizeof(head), BPF_F_RECOMPUTE_CSUM);
	}
	return true;
}

SEC("tc")
int decap_tc(struct __sk_buff *skb)
{
	const __u32 headers = ETH_HLEN + 2 * sizeof(struct ipv6hdr);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct tunnel t = {};
	int what;

	/* Headers may lie in fragments; what is shorter comes whole. */
	if (end - data < headers) {
		bpf_skb_pull_data(skb, skb->len < headers ? skb->len : headers);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	what = look(skb, data, end, skb->len, skb->ifindex, &t);
	if (what <= WM_DECAP_6IN6 && !strip_tc(skb, &t))
		what = WM_DECAP_PASS_FAILED;
	count(what);
	return what == WM_DECAP_DROP_ECN ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "GPL";
