/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters. Each CPU has its own, so plain additions suffice. A missing counter
 * never costs a packet: on CPUs beyond those that the maps were sized for
 * nothing is counted by destination.
 */
#ifndef WM_BPF_COUNT_H
#define WM_BPF_COUNT_H

#include "maps.h"

static __always_inline struct wm_cpu_stats *cpu_stats(__u32 cpu)
{
	return &wm_stats[cpu & (WM_CPUS_MAX - 1)];
}

static __always_inline void count(struct wm_cpu_stats *stats, enum wm_counter counter)
{
	stats->counter[counter & (WM_COUNTERS_MAX - 1)]++;
}

static __always_inline void count_sent(struct wm_cpu_stats *stats, __u32 bytes)
{
	stats->bytes += bytes;
}

static __always_inline struct wm_dest_stats *dest_stats(__u32 cpu, __u32 dest)
{
	__u32 index = cpu << wm_params.dest_bits | dest;

	/* The last CPU that has counters ends the array: a higher one's index is
	 * out of it, never another CPU's. */
	return bpf_map_lookup_elem(&wm_dest_stats, &index);
}

#endif
