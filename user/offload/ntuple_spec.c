// SPDX-License-Identifier: GPL-2.0
/*
 * A rule matches the 5-tuple in full. TCP flags have no place in an n-tuple rule, so a
 * connection's SYN, FIN and RST come marked as well; the data plane looks for them in
 * every marked packet and sends these the software way (bpf/mark.h).
 *
 * Such a rule has to name a queue, in place of the choice by RSS. Flows are spread over
 * the queues by their hash. That is not the queue which RSS chose before, so packets
 * of one moment may overtake each other when a rule comes or goes.
 */
#include "ntuple_spec.h"

#include <netinet/in.h>
#include <string.h>
#include <waymark/hash.h>

/* Fixed: the next daemon must come to the same result. */
static uint64_t hash_of(const struct wm_flow *flow)
{
	static const __u64 seed[4] = {
		0x452821e638d01377, 0xbe5466cf34e90c6d, 0xc0ac29b7c97c50dd, 0x3f84d5b5b5470917,
	};

	return wm_flow_hash(flow, seed);
}

uint16_t wm_ntuple__check(const struct wm_flow *flow)
{
	return hash_of(flow) >> 48;
}

/* Value and mask have the same form. */
static void put_v4(struct ethtool_tcpip4_spec *to, const struct wm_flow *flow)
{
	to->ip4src = flow->src[0];
	to->ip4dst = flow->dst[0];
	to->psrc = flow->sport;
	to->pdst = flow->dport;
}

static void put_v6(struct ethtool_tcpip6_spec *to, const struct wm_flow *flow)
{
	memcpy(to->ip6src, flow->src, sizeof(to->ip6src));
	memcpy(to->ip6dst, flow->dst, sizeof(to->ip6dst));
	to->psrc = flow->sport;
	to->pdst = flow->dport;
}

void wm_ntuple__write(struct ethtool_rx_flow_spec *spec, const struct wm_flow *flow,
		      uint32_t location, uint32_t queues)
{
	bool tcp = flow->proto == IPPROTO_TCP;
	struct wm_flow all;

	memset(&all, 0xff, sizeof(all));
	memset(spec, 0, sizeof(*spec));
	if (flow->family == WM_IPV4) {
		spec->flow_type = tcp ? TCP_V4_FLOW : UDP_V4_FLOW;
		put_v4(&spec->h_u.tcp_ip4_spec, flow);
		put_v4(&spec->m_u.tcp_ip4_spec, &all);
	} else {
		spec->flow_type = tcp ? TCP_V6_FLOW : UDP_V6_FLOW;
		put_v6(&spec->h_u.tcp_ip6_spec, flow);
		put_v6(&spec->m_u.tcp_ip6_spec, &all);
	}
	spec->ring_cookie = (hash_of(flow) & 0xffffffff) % queues;
	spec->location = location;
}

static void get_v4(const struct ethtool_rx_flow_spec *spec, struct wm_flow *flow)
{
	const struct ethtool_tcpip4_spec *from = &spec->h_u.tcp_ip4_spec;

	flow->family = WM_IPV4;
	flow->src[0] = from->ip4src;
	flow->dst[0] = from->ip4dst;
	flow->sport = from->psrc;
	flow->dport = from->pdst;
}

static void get_v6(const struct ethtool_rx_flow_spec *spec, struct wm_flow *flow)
{
	const struct ethtool_tcpip6_spec *from = &spec->h_u.tcp_ip6_spec;

	flow->family = WM_IPV6;
	memcpy(flow->src, from->ip6src, sizeof(flow->src));
	memcpy(flow->dst, from->ip6dst, sizeof(flow->dst));
	flow->sport = from->psrc;
	flow->dport = from->pdst;
}

static bool get_flow(const struct ethtool_rx_flow_spec *spec, struct wm_flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	flow->proto = spec->flow_type == TCP_V4_FLOW || spec->flow_type == TCP_V6_FLOW ?
		      IPPROTO_TCP : IPPROTO_UDP;
	switch (spec->flow_type) {
	case TCP_V4_FLOW:
	case UDP_V4_FLOW:
		get_v4(spec, flow);
		return true;
	case TCP_V6_FLOW:
	case UDP_V6_FLOW:
		get_v6(spec, flow);
		return true;
	}
	return false; /* also what has one of the extensions */
}

bool wm_ntuple__read(const struct ethtool_rx_flow_spec *spec, struct wm_flow *flow)
{
	struct ethtool_rx_flow_spec ours;

	if (!get_flow(spec, flow))
		return false;
	wm_ntuple__write(&ours, flow, spec->location, 1);
	return !memcmp(&spec->m_u, &ours.m_u, sizeof(ours.m_u)) &&
	       !(spec->ring_cookie >> 32); /* a queue: no drop, no VF */
}
