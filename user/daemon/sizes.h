/* SPDX-License-Identifier: GPL-2.0 */
/* How large a fresh program's maps are, by what the configuration says. Pure. */
#ifndef WM_SIZES_H
#define WM_SIZES_H

#include <stdint.h>
#include <waymark/abi.h>

#include "config.h"
#include "model.h"

struct wm_sizes {
	uint32_t dest_bits, flow_buckets, vip_bits, rings;
};

/* mark_bits: what the NIC carries. dest_bits leaves room for generations in it
 * as long as the configured destinations fit. */
void wm_sizes__choose(struct wm_sizes *sizes, const struct wm_config *config, uint32_t mark_bits);

/* What a program with these sizes has room for. */
void wm_sizes__limits(struct wm_model_limits *limits, const struct wm_params *params,
		      uint32_t mark_bits);

#endif
