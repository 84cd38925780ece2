// SPDX-License-Identifier: GPL-2.0
/*
 * A fresh program with larger tables that goes on where the running one is. What does not
 * depend on the sizes is one map for both: flows, counters, sockets, locations, events. The
 * others are copied while the new program has no packets: vips, rings, destinations by
 * their ids (so the flow table's entries keep their meaning), and the control page with the
 * flow table's secret. The old program goes on meanwhile, and enters flows that the new
 * one finds.
 *
 * A flow table of another size cannot be carried over: where a flow is in it depends on the
 * size, and of a flow's hash an entry has only a part.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dp.h"

static const enum wm_dp_map_id shared[] = {
	DP_FLOWS, DP_STATS, DP_LOCATIONS, DP_EVENTS, DP_XSKS, DP_PERF,
};

bool wm_dp_same_marks(const struct wm_dp *dp, const struct wm_dp *old)
{
	return dp->params.dest_bits == old->params.dest_bits &&
	       dp->params.mac_prefix == old->params.mac_prefix;
}

int wm_dp_share_maps(const struct wm_dp *old, struct bpf_object *obj)
{
	int rc = 0;

	for (size_t i = 0; i < sizeof(shared) / sizeof(*shared) && !rc; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj,
								   wm_dp_map_names[shared[i]]);

		rc = map ? bpf_map__reuse_fd(map, old->map[shared[i]].fd) : -EINVAL;
	}
	return rc;
}

/* Where an id has other bits of a mark, or a mark another way to the program, marks begin anew:
 * rules have to go anyway, and the new way may be narrower. */
static void copy_dests(struct wm_dp *dp, const struct wm_dp *old)
{
	bool same = wm_dp_same_marks(dp, old);
	struct wm_dest *to = dp->map[DP_DESTS].memory;
	const struct wm_dest *from = old->map[DP_DESTS].memory;

	memcpy(to, from, sizeof(*to) << old->params.dest_bits);
	for (uint32_t id = 1; id < 1u << old->params.dest_bits && !same; id++) {
		if (to[id].mark)
			to[id].mark = id;
		if (to[id].encap != WM_ENCAP_NONE)
			to[id].last_mark = id;
	}
}

static void copy_dest_stats(struct wm_dp *dp, const struct wm_dp *old)
{
	const struct wm_dest_stats *from = old->map[DP_DEST_STATS].memory;
	struct wm_dest_stats *to = dp->map[DP_DEST_STATS].memory;

	for (uint32_t cpu = 0; cpu < dp->params.cpus && cpu < old->params.cpus; cpu++)
		memcpy(to + ((size_t)cpu << dp->params.dest_bits),
		       from + ((size_t)cpu << old->params.dest_bits),
		       sizeof(*to) << old->params.dest_bits);
}

/* All but what says where the vips are. */
static void copy_control(struct wm_dp *dp, struct wm_dp *old)
{
	struct wm_ctl *to = dp->map[DP_CTL].memory;

	memcpy(to, old->map[DP_CTL].memory, sizeof(*to));
	to->half = 0;
	to->flags &= ~(WM_CTL_ANY_PORT_0 | WM_CTL_ANY_PORT_1);
}

static int copy_vips(struct wm_dp *dp, struct wm_dp *old, struct wm_err *err)
{
	size_t n = wm_dp__vips(old, NULL, 0);
	struct wm_vip *vips = calloc(n + 1, sizeof(*vips));
	int rc;

	if (!vips)
		return wm_err__sys(err, -ENOMEM, "cannot copy %zu vips", n);
	n = wm_dp__vips(old, vips, n);
	rc = wm_dp__vips_publish(dp, vips, n, err);
	free(vips);
	return rc;
}

int wm_dp_carry(struct wm_dp *dp, struct wm_dp *old, struct wm_err *err)
{
	copy_control(dp, old);
	copy_dests(dp, old);
	copy_dest_stats(dp, old);
	memcpy(dp->map[DP_RINGS].memory, old->map[DP_RINGS].memory,
	       old->params.rings * sizeof(struct wm_ring));
	return copy_vips(dp, old, err);
}
