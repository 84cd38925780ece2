// SPDX-License-Identifier: GPL-2.0
/* Counters: memory that the data plane writes and this reads, CPU by CPU. */
#include <string.h>

#include "dp.h"

const char *const wm_counter_names[WM_COUNTERS_USED] = {
#define NAME(NAME_, name, text) [WM_C_##NAME_] = #name,
	WM_COUNTERS(NAME)
#undef NAME
};

const char *const wm_counter_texts[WM_COUNTERS_USED] = {
#define TEXT(NAME_, name, text) [WM_C_##NAME_] = text,
	WM_COUNTERS(TEXT)
#undef TEXT
};

uint32_t wm_dp__counting_cpus(void)
{
	int cpus = libbpf_num_possible_cpus();

	return cpus < WM_CPUS_MAX ? cpus : WM_CPUS_MAX;
}

void wm_dp__counters(struct wm_dp *dp, uint64_t out[WM_COUNTERS_MAX], uint64_t *bytes)
{
	const volatile struct wm_cpu_stats *cpu = dp->map[DP_STATS].memory;

	memset(out, 0, WM_COUNTERS_MAX * sizeof(*out));
	*bytes = 0;
	for (uint32_t i = 0; i < wm_dp__counting_cpus(); i++) {
		for (int c = 0; c < WM_COUNTERS_USED; c++)
			out[c] += cpu[i].counter[c];
		*bytes += cpu[i].bytes;
	}
}

struct wm_dp_counter_maps wm_dp__counter_maps(const struct wm_dp *dp)
{
	return (struct wm_dp_counter_maps){ dp->map[DP_STATS].fd, dp->map[DP_DEST_STATS].fd };
}

static struct wm_dest_stats *stats_of(struct wm_dp *dp, uint32_t cpu, uint16_t id)
{
	return (struct wm_dest_stats *)dp->map[DP_DEST_STATS].memory +
	       ((cpu << dp->params.dest_bits) + id);
}

void wm_dp__dest_stats(struct wm_dp *dp, uint16_t id, struct wm_dest_stats *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t cpu = 0; cpu < dp->params.cpus; cpu++) {
		const volatile struct wm_dest_stats *s = stats_of(dp, cpu, id);

		out->packets += s->packets;
		out->marked += s->marked;
		out->bytes += s->bytes;
		out->flows += s->flows;
	}
}

void wm_dp__dest_stats_reset(struct wm_dp *dp, uint16_t id)
{
	for (uint32_t cpu = 0; cpu < dp->params.cpus; cpu++)
		memset(stats_of(dp, cpu, id), 0, sizeof(struct wm_dest_stats));
}
