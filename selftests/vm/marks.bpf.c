// SPDX-License-Identifier: GPL-2.0
/*
 * Where a mark that stands in front of a packet gets to. Each program notes what it
 * sees in `seen`, under its own number; those that redirect send everything on.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <waymark/abi.h>

char _license[] SEC("license") = "GPL";

enum { AT_ENTRY, ON_CPU, BEFORE_DEVICE, PLACES };

struct sight {
	__u32 packets;
	__u32 mark;
	__u32 meta_len;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, struct sight);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_cpumap_val));
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_devmap_val));
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 16);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} sockets SEC(".maps");

static __always_inline void note(struct xdp_md *ctx, __u32 place)
{
	struct xdp_md_mark *md = (void *)(long)ctx->data_meta;
	struct sight *sight = bpf_map_lookup_elem(&seen, &place);

	if (!sight)
		return;
	sight->meta_len = ctx->data - ctx->data_meta;
	sight->mark = (void *)(md + 1) <= (void *)(long)ctx->data ? md->mark : 0;
	__sync_fetch_and_add(&sight->packets, 1);
}

SEC("xdp/cpumap")
int on_cpu(struct xdp_md *ctx)
{
	note(ctx, ON_CPU);
	return XDP_PASS;
}

SEC("xdp/devmap")
int before_device(struct xdp_md *ctx)
{
	note(ctx, BEFORE_DEVICE);
	return XDP_PASS;
}

SEC("xdp")
int to_cpu(struct xdp_md *ctx)
{
	note(ctx, AT_ENTRY);
	return bpf_redirect_map(&cpus, 1, 0);
}

SEC("xdp")
int to_device(struct xdp_md *ctx)
{
	note(ctx, AT_ENTRY);
	return bpf_redirect_map(&devices, 0, 0);
}

SEC("xdp")
int to_socket(struct xdp_md *ctx)
{
	note(ctx, AT_ENTRY);
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}
