// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes are fixed when the program is loaded; other ones need another program. So there
 * is room to grow: four times what is configured, unless the file says how many there
 * will be.
 */
#include "sizes.h"

#include <waymark/hash.h>

#include "dataplane.h"

enum {
	GROWTH = 4,
	GENERATION_BITS = 4,   /* an id comes back 16 times before a mark does */
	BUCKETS_A_VIP = 4,     /* the fewest with which there is hope */
	RINGS_A_VIP = 2,       /* one is in use, one is being filled */
};

static uint32_t clamp(uint64_t value, uint32_t low, uint32_t high)
{
	return value < low ? low : value > high ? high : value;
}

/* The smallest n with 2^n >= value. */
static uint32_t bits_for(uint64_t value)
{
	uint32_t bits = 0;

	while (1ull << bits < value)
		bits++;
	return bits;
}

static uint32_t count_dests(const struct wm_config *config)
{
	uint32_t n = 0;

	for (size_t i = 0; i < config->n_vips; i++)
		n += config->vips[i].n_reals;
	return n;
}

static uint32_t dest_bits(const struct wm_config *config, uint32_t mark_bits)
{
	uint32_t there = count_dests(config);
	uint64_t want = config->max_dests ? config->max_dests : (uint64_t)there * GROWTH;
	uint32_t bits = clamp(bits_for(want + 1), WM_DEST_BITS_DEFAULT, WM_DEST_BITS_MAX);
	uint32_t need = clamp(bits_for(config->max_dests ? want + 1 : there + 1ull),
			      WM_DEST_BITS_MIN, WM_DEST_BITS_MAX);
	uint32_t room = mark_bits > GENERATION_BITS ? mark_bits - GENERATION_BITS : 0;

	if (bits > room)
		bits = room > need ? room : need;
	return bits;
}

void wm_sizes__choose(struct wm_sizes *sizes, const struct wm_config *config, uint32_t mark_bits)
{
	uint64_t vips = config->max_vips ? config->max_vips : config->n_vips * GROWTH;

	sizes->dest_bits = dest_bits(config, mark_bits);
	sizes->flow_buckets = wm_flow_buckets_for(config->flows);
	sizes->vip_bits = wm_dp__vip_bits(vips);
	sizes->rings = clamp(vips * RINGS_A_VIP, WM_RINGS_DEFAULT, WM_RINGS_MAX);
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

bool wm_sizes__suffice(const struct wm_params *is, const struct wm_config *config)
{
	uint32_t vips = larger(config->max_vips, config->n_vips);
	uint32_t rings = config->max_vips ? vips * RINGS_A_VIP : vips + 1;
	struct wm_model_limits limits;

	wm_sizes__limits(&limits, is, 0);
	return vips <= limits.vips && clamp(rings, 1, WM_RINGS_MAX) <= is->rings &&
	       larger(config->max_dests, count_dests(config)) < 1u << is->dest_bits;
}

void wm_sizes__grow(struct wm_sizes *sizes, const struct wm_params *is)
{
	sizes->dest_bits = larger(sizes->dest_bits, is->dest_bits);
	sizes->vip_bits = larger(sizes->vip_bits, is->vip_bits);
	sizes->rings = larger(sizes->rings, is->rings);
}

void wm_sizes__limits(struct wm_model_limits *limits, const struct wm_params *params,
		      uint32_t mark_bits)
{
	/* The builder of the vip table may fail above that, see wm_dp__vips_publish(). */
	uint32_t vips = (1u << params->vip_bits) / BUCKETS_A_VIP;

	limits->dest_bits = params->dest_bits;
	limits->mark_bits = mark_bits;
	limits->vips = clamp(vips, 1, WM_VIPS_MAX);
	limits->rings = params->rings;
}
