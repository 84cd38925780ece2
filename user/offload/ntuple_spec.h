/* SPDX-License-Identifier: GPL-2.0 */
/* Our rules as ethtool writes n-tuple rules. Nothing here talks to the kernel. */
#ifndef WM_NTUPLE_SPEC_H
#define WM_NTUPLE_SPEC_H

#include <linux/ethtool.h>
#include <stdbool.h>
#include <stdint.h>
#include <waymark/abi.h>

/* A rule of this flow at this location, for a NIC with so many receive queues. */
void wm_ntuple__write(struct ethtool_rx_flow_spec *spec, const struct wm_flow *flow,
		      uint32_t location, uint32_t queues);
/* Could it be ours: one flow in full and nothing else? Then *flow says which. */
bool wm_ntuple__read(const struct ethtool_rx_flow_spec *spec, struct wm_flow *flow);
/* The same for every process: kept with the location's mark. */
uint16_t wm_ntuple__check(const struct wm_flow *flow);

#endif
