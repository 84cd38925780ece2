/* SPDX-License-Identifier: GPL-2.0 */
/* The data plane's counters, in memory that this process may read and nothing else. */
#ifndef WM_COUNTERS_H
#define WM_COUNTERS_H

#include <stdint.h>
#include <waymark/abi.h>

#include "err.h"
#include "facts.h"

struct wm_counters {
	const volatile struct wm_cpu_stats *cpus;
	const volatile struct wm_dest_stats *dests;
	uint32_t n_cpus;              /* entries of `cpus` */
	uint32_t dest_cpus, dest_bits; /* dest_cpus << dest_bits of `dests` */
};

/* Map both files, whose sizes counters->n_cpus and so on are, and close them: nobody can write
 * there any more. For the rest of the process's life. 0 or -errno. */
int wm_counters__open(struct wm_counters *counters, int cpus_fd, int dests_fd, struct wm_err *err);
/* Sums over the CPUs. */
void wm_counters__all(const struct wm_counters *counters, uint64_t out[WM_COUNTERS_MAX],
		      uint64_t *bytes);
/* Of each destination, in the facts' order: out[n_dests]. */
void wm_counters__dests(const struct wm_counters *counters, const struct wm_facts *facts,
			struct wm_dest_stats *out);

#endif
