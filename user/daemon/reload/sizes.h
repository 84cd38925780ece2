/* SPDX-License-Identifier: GPL-2.0 */
/* Computes how large the maps of a new program are, from the configuration alone. */
#ifndef WM_SIZES_H
#define WM_SIZES_H

#include <stdbool.h>
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

/* Is there room for what is configured, and as much as the file asks for? */
bool wm_sizes__suffice(const struct wm_params *is, const struct wm_config *config);
/* No table smaller than it is; the flow table is left alone. */
void wm_sizes__grow(struct wm_sizes *sizes, const struct wm_params *is);

/* What a program with these sizes has room for. */
void wm_sizes__limits(struct wm_model_limits *limits, const struct wm_params *params,
		      uint32_t mark_bits);

#endif
