/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All maps and global data, in one place. Sizes here are those of `ip link set
 * xdp`; a daemon that loads the object sets its own and says so in wm_params.
 *
 * All are memory that user space maps too: look-ups are
 * inlined, and counters are read without a system call.
 */
#ifndef WM_BPF_MAPS_H
#define WM_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <waymark/abi.h>
#include <waymark/xsk_abi.h>

#define WM_SHARED_ARRAY(name, value_type, entries)    \
	struct {                                      \
		__uint(type, BPF_MAP_TYPE_ARRAY);     \
		__uint(map_flags, BPF_F_MMAPABLE);    \
		__uint(max_entries, entries);         \
		__type(key, __u32);                   \
		__type(value, value_type);                  \
	} name SEC(".maps")

WM_SHARED_ARRAY(wm_vips, struct wm_vip_bucket, 2 << WM_VIP_BITS_DEFAULT);
WM_SHARED_ARRAY(wm_rings, struct wm_ring, WM_RINGS_DEFAULT);
WM_SHARED_ARRAY(wm_dests, struct wm_dest, 1 << WM_DEST_BITS_DEFAULT);
WM_SHARED_ARRAY(wm_flows, struct wm_flow_bucket, WM_FLOW_BUCKETS_DEFAULT);
WM_SHARED_ARRAY(wm_locations, struct wm_location, 1); /* of use if wm_params.locations */
WM_SHARED_ARRAY(wm_dest_stats, struct wm_dest_stats, WM_CPUS_DEFAULT << WM_DEST_BITS_DEFAULT);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WM_EVENTS_BYTES_DEFAULT);
} wm_events SEC(".maps");

/* The same by perf buffers, of use if wm_params.perf_events. Their reader enters them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, WM_CPUS_DEFAULT);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} wm_perf SEC(".maps");

/* The sockets of local consumers, by wm_xsk_key(). */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, WM_XSK_KEYS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} wm_xsks SEC(".maps");

/* Counters of the CPUs: global data, so that there is no look-up that could
 * fail. (.bss holds nothing else: user space finds them by that.) */
struct wm_cpu_stats wm_stats[WM_CPUS_MAX];

/* Frozen at load: the verifier knows these values. */
const volatile struct wm_params wm_params SEC(WM_MAP_PARAMS) = {
	.magic = WM_ABI_MAGIC,
	.version = WM_ABI_VERSION,
	.dest_bits = WM_DEST_BITS_DEFAULT,
	.flow_buckets = WM_FLOW_BUCKETS_DEFAULT,
	.vip_bits = WM_VIP_BITS_DEFAULT,
	.rings = WM_RINGS_DEFAULT,
	.cpus = WM_CPUS_DEFAULT,
	.events_wakeup = WM_EVENTS_BYTES_DEFAULT / 2,
};

/* The seeds below are known to everybody: a daemon replaces them before it
 * publishes the first vip. Without a daemon there is no vip and no flow. */
volatile struct wm_ctl wm_ctl SEC(WM_MAP_CTL) = {
	.flow_seed = { 0x6a09e667f3bcc908, 0xbb67ae8584caa73b,
		       0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1 },
	.event_budget = WM_EVENT_BUDGET_DEFAULT,
	.tick_shift = 8,
	.udp_idle = 30,
	.ring_seed_v4 = WM_RING_SEED_V4,
	.ring_seed_v6 = WM_RING_SEED_V6,
	.src4 = 0x000010ac,   /* 172.16.0.0/16 */
	.src6 = { 0x00000001 }, /* 100::/96 */
};

#endif
