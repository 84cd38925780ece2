/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters. Each CPU has its own, so plain additions do. On a CPU that has none
 * (more CPUs than the maps were sized for) nothing is counted: a missing
 * counter never costs a packet.
 */
#ifndef WM_BPF_COUNT_H
#define WM_BPF_COUNT_H

#include "maps.h"

static __always_inline struct wm_cpu_stats *cpu_stats(__u32 cpu)
{
	return bpf_map_lookup_elem(&wm_stats, &cpu);
}

static __always_inline void count(struct wm_cpu_stats *stats, enum wm_counter counter)
{
	if (stats)
		stats->counter[counter]++;
}

static __always_inline void count_sent(struct wm_cpu_stats *stats, __u32 bytes)
{
	if (stats)
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
