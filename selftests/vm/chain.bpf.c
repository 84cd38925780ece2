// SPDX-License-Identifier: GPL-2.0
/*
 * Programs before and after waymark in libxdp's chain. Both count; `first` drops what
 * comes from one UDP port, as a filter would. Their order comes from xdp-loader's
 * --prio. A counter has a name of its own, as bpftool finds maps by that.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

enum { FILTERED_PORT = 666 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} chain_count SEC(".maps");

static __always_inline void count(void)
{
	__u32 zero = 0, *n = bpf_map_lookup_elem(&chain_count, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	count();
	if (ip->protocol == IPPROTO_UDP && udp->source == bpf_htons(FILTERED_PORT))
		return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp")
int last(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) <= end && eth->h_proto == bpf_htons(ETH_P_IP))
		count();
	return XDP_PASS;
}
