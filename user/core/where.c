// SPDX-License-Identifier: GPL-2.0
/*
 * What the data plane would do with a packet, worked out from the model alone:
 * bpf/ reads the same vip table, ring and hashes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "model_inside.h"

static uint32_t slot_of(const struct wm_config *config, const struct wm_flow *flow, __be16 vip_port)
{
	uint32_t ports = wm_ports(flow->sport, vip_port ? flow->dport : 0);

	if (flow->family == WM_IPV4)
		return wm_slot_v4(flow->src[0], ports, config->ring_seed_v4);
	return wm_slot_v6(flow->src, ports, config->ring_seed_v4, config->ring_seed_v6);
}

/* None for a local consumer. The client's IPv4 address, or the last word of its IPv6
 * address, goes into the outer source. */
static struct wm_addr outer_source(const struct wm_config *config, const struct wm_flow *flow,
				   uint8_t family)
{
	__be32 client = flow->family == WM_IPV4 ? flow->src[0] : flow->src[3];
	struct wm_addr src = { .family = family };

	if (family == WM_LOCAL)
		return (struct wm_addr){}; /* it goes as it is */
	if (family == WM_IPV4) {
		src.word[0] = wm_outer_src_v4(client, flow->sport, config->source4.word[0]);
	} else {
		memcpy(src.word, config->source6.word, 3 * sizeof(src.word[0]));
		src.word[3] = wm_outer_src_v6_word(client, flow->sport);
	}
	return src;
}

int wm_model__where(const struct wm_model *model, const struct wm_config *config,
		    const struct wm_flow *flow, struct wm_where *where)
{
	struct wm_addr dst = { .family = flow->family };
	uint16_t *ring;
	int ret;

	*where = (struct wm_where){};
	if (flow->family != WM_IPV4 && flow->family != WM_IPV6)
		return -EINVAL;
	memcpy(dst.word, flow->dst, sizeof(dst.word));
	where->vip = wm_model__vip_of(model, &dst, flow->dport, flow->proto);
	if (!where->vip)
		return 0;
	ring = malloc(WM_RING_SLOTS * sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	ret = wm_model__ring(model, where->vip, ring);
	if (ret)
		goto free_ring;
	where->slot = slot_of(config, flow, where->vip->port);
	where->dest = ring[where->slot];
	if (where->dest) {
		where->real = model->dest[where->dest].is.real;
		where->outer_src = outer_source(config, flow, where->real.family);
	}
free_ring:
	free(ring);
	return ret;
}
