// SPDX-License-Identifier: GPL-2.0
/*
 * The softnic: stands on a port of the wire, in front of the balancer, and
 * does what a NIC with a rule table does: it matches a frame against the rules
 * and hands it up with the rule's mark.
 *
 *   client --- [softnic] port of the wire         balancer's device
 *                  |                                    |
 *                  +-- bpf_redirect(to_ifindex) --> its peer on the wire
 *
 * Redirecting to a veth sends the frame out of that veth, which is into the
 * peer's XDP program, and what stands at data_meta goes along. So the mark
 * arrives where a real NIC's driver would have put it: in front of the packet. A rule may
 * rewrite the frame's source address instead, which is what NICs of today can do.
 *
 * Only frames to the balancer's MAC address are touched. All else passes to the
 * bridge behind the port: the softnic is no switch.
 *
 * A rule matches a whole 5-tuple. What has none (fragments, IPv6 extension
 * headers, VLAN tags, neither TCP nor UDP) is handed up unmarked, as by a NIC
 * whose parser does not know it.
 *
 * Rules come from user space (user/offload/sim.c); the program only reads them
 * and counts. Every port runs its own copy of the program, because address and
 * target are constants of the port; the maps are shared by all ports of one NIC.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <waymark/softnic_abi.h>

#define IP_FRAGMENT 0x3fff /* more fragments, or an offset */

char _license[] SEC("license") = "GPL";

const volatile struct wm_softnic_port port SEC(WM_SOFTNIC_PORT);

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, WM_SOFTNIC_CAPACITY_DEFAULT);
	__type(key, struct wm_flow);
	__type(value, struct wm_softnic_rule);
} softnic_rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct wm_softnic_ctl);
} softnic_ctl SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wm_softnic_stats);
} softnic_stats SEC(".maps");

static __always_inline void count(struct wm_softnic_stats *stats, enum wm_softnic_counter which)
{
	if (stats)
		stats->counter[which]++;
}

/* The cursor: what is between `at` and `end` is still unread. */
struct cursor {
	void *at;
	void *end;
};

/* The header at the cursor, which moves behind it; NULL: the frame ends before. */
#define take(c, type)                                             \
	({                                                        \
		type *h_ = (c)->at;                               \
		(void *)(h_ + 1) > (c)->end ? (type *)NULL :      \
			((c)->at = h_ + 1, h_);                   \
	})

static __always_inline struct ethhdr *for_balancer(struct cursor *c)
{
	struct ethhdr *eth = take(c, struct ethhdr);

	if (!eth || !port.to_ifindex)
		return NULL;
	for (int i = 0; i < ETH_ALEN; i++)
		if (eth->h_dest[i] != port.mac[i])
			return NULL;
	return eth;
}

/* Both parsers leave the cursor at the transport header; false: no rule can match. */
static __always_inline _Bool parse_ipv4(struct cursor *c, struct wm_flow *flow)
{
	struct iphdr *ip = take(c, struct iphdr);

	if (!ip || ip->version != 4 || ip->ihl < 5 || ip->frag_off & bpf_htons(IP_FRAGMENT))
		return 0;
	c->at += ip->ihl * 4 - sizeof(*ip);
	flow->src[0] = ip->saddr;
	flow->dst[0] = ip->daddr;
	flow->proto = ip->protocol;
	flow->family = WM_IPV4;
	return 1;
}

static __always_inline _Bool parse_ipv6(struct cursor *c, struct wm_flow *flow)
{
	struct ipv6hdr *ip = take(c, struct ipv6hdr);

	if (!ip || ip->version != 6)
		return 0;
	__builtin_memcpy(flow->src, &ip->saddr, sizeof(flow->src));
	__builtin_memcpy(flow->dst, &ip->daddr, sizeof(flow->dst));
	flow->proto = ip->nexthdr;
	flow->family = WM_IPV6;
	return 1;
}

static __always_inline _Bool parse_ports(struct cursor *c, struct wm_flow *flow, __u8 *tcp_flags)
{
	struct tcphdr *tcp;
	struct udphdr *udp;

	if (flow->proto == IPPROTO_TCP && (tcp = take(c, struct tcphdr))) {
		flow->sport = tcp->source;
		flow->dport = tcp->dest;
		*tcp_flags = ((__u8 *)tcp)[13];
		return 1;
	}
	if (flow->proto == IPPROTO_UDP && (udp = take(c, struct udphdr))) {
		flow->sport = udp->source;
		flow->dport = udp->dest;
		return 1;
	}
	return 0;
}

static __always_inline _Bool parse(struct cursor *c, __be16 eth_proto, struct wm_flow *flow,
				   __u8 *tcp_flags)
{
	_Bool ip = 0;

	if (eth_proto == bpf_htons(ETH_P_IP))
		ip = parse_ipv4(c, flow);
	else if (eth_proto == bpf_htons(ETH_P_IPV6))
		ip = parse_ipv6(c, flow);
	return ip && parse_ports(c, flow, tcp_flags);
}

/* The rule of this frame, or NULL and the reason counted. */
static __always_inline struct wm_softnic_rule *match(struct cursor *c, __be16 eth_proto,
						     struct wm_softnic_stats *stats)
{
	struct wm_softnic_rule *rule;
	struct wm_flow flow = {};
	__u8 tcp_flags = 0;

	if (!parse(c, eth_proto, &flow, &tcp_flags)) {
		count(stats, WM_SOFTNIC_C_OTHER);
		return NULL;
	}
	rule = bpf_map_lookup_elem(&softnic_rules, &flow);
	if (!rule) {
		count(stats, WM_SOFTNIC_C_MISSED);
		return NULL;
	}
	if (flow.proto == IPPROTO_TCP && (tcp_flags & rule->tcp_mask) != rule->tcp_value) {
		count(stats, WM_SOFTNIC_C_CONTROL);
		return NULL;
	}
	return rule;
}

/* Ports on several CPUs may hit one rule. The coarse clock costs a third of the
 * exact one, and rules age in seconds. */
static __always_inline void hit(struct wm_softnic_rule *rule, __u64 bytes)
{
	__sync_fetch_and_add(&rule->packets, 1);
	__sync_fetch_and_add(&rule->bytes, bytes);
	rule->used_ns = bpf_ktime_get_coarse_ns();
}

static __always_inline __u32 mark_of(const struct wm_softnic_rule *rule)
{
	volatile struct wm_softnic_ctl *ctl;
	__u32 zero = 0, mark = rule ? rule->mark : 0;

	ctl = bpf_map_lookup_elem(&softnic_ctl, &zero);
	if (!ctl)
		return mark;
	if (ctl->stamp_lose)
		mark = 0;
	if (mark)
		mark ^= ctl->mark_xor;
	if (ctl->mark_fixed)
		mark = ctl->mark_fixed;
	return mark & (__u32)((1ull << (ctl->mark_bits & 63)) - 1);
}

/* Make the frame's metadata exactly `size` bytes. What a frame brought along
 * came from no NIC, and must not be taken for a mark. */
static __always_inline int resize_meta(struct xdp_md *ctx, int size)
{
	int has = (int)(ctx->data - ctx->data_meta);

	return has == size ? 0 : bpf_xdp_adjust_meta(ctx, has - size);
}

/* A mark in the source address is in its last bytes (struct wm_softnic_rule says nothing of
 * that: to a NIC it is an address). */
static __always_inline void fault_smac(__u8 *smac, __u32 mark_xor)
{
	for (int i = 0; i < 3; i++)
		smac[3 + i] ^= mark_xor >> 8 * i;
}

/* The source address, as the rule says, or the fault; before a mark moves the data. True: the
 * rule's. */
static __always_inline _Bool rewrite(struct ethhdr *eth, const struct wm_softnic_rule *rule)
{
	volatile struct wm_softnic_ctl *ctl;
	_Bool ruled = rule && wm_smac_is_set(rule->smac);
	__u32 zero = 0;

	ctl = bpf_map_lookup_elem(&softnic_ctl, &zero);
	if (ctl && ctl->stamp_lose)
		ruled = 0;
	if (ruled)
		__builtin_memcpy(eth->h_source, rule->smac, ETH_ALEN);
	if (!ctl)
		return ruled;
	if (ruled)
		fault_smac(eth->h_source, ctl->mark_xor);
	if (wm_smac_is_set((const __u8 *)ctl->smac_fixed))
		for (int i = 0; i < ETH_ALEN; i++)
			eth->h_source[i] = ctl->smac_fixed[i];
	return ruled;
}

static __always_inline int stamp(struct xdp_md *ctx, __u32 mark)
{
	struct xdp_md_mark *meta;

	if (resize_meta(ctx, sizeof(*meta)))
		return -1;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return -1;
	meta->mark = mark;
	return 0;
}

SEC("xdp")
int softnic(struct xdp_md *ctx)
{
	struct cursor c = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	__u64 bytes = c.end - c.at;
	struct wm_softnic_stats *stats;
	struct wm_softnic_rule *rule;
	struct ethhdr *eth;
	__u32 zero = 0, mark;
	_Bool rewritten;

	stats = bpf_map_lookup_elem(&softnic_stats, &zero);
	count(stats, WM_SOFTNIC_C_FRAMES);
	eth = for_balancer(&c);
	if (!eth) {
		count(stats, WM_SOFTNIC_C_PASSED);
		return XDP_PASS;
	}

	rule = match(&c, eth->h_proto, stats);
	if (rule)
		hit(rule, bytes);
	rewritten = rewrite(eth, rule);
	mark = mark_of(rule);
	if (!mark)
		resize_meta(ctx, 0);
	if (rewritten && !mark)
		count(stats, WM_SOFTNIC_C_MARKED);
	else if (mark)
		count(stats, stamp(ctx, mark) ? WM_SOFTNIC_C_NO_ROOM : WM_SOFTNIC_C_MARKED);
	count(stats, WM_SOFTNIC_C_REDIRECTED);
	return bpf_redirect(port.to_ifindex, 0);
}

/* For every other device whose peer answers with XDP_TX: up to 7.3 at least a
 * veth that gets such frames wakes only if it has a program itself. */
SEC("xdp")
int wire_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}
