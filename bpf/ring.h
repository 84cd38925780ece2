/* SPDX-License-Identifier: GPL-2.0 */
/* The vip's Maglev ring: packet -> destination, the same on every balancer. */
#ifndef WM_BPF_RING_H
#define WM_BPF_RING_H

#include "maps.h"
#include "packet.h"

/* A destination's id; 0: the vip has no real to give. */
static __always_inline __u16 ring_pick(const struct wm_vip *vip, const struct packet *p)
{
	/* A vip of every port balances by the source alone. */
	__u32 ports = vip->port ? p->ports : p->ports & 0xffff;
	__u32 slot, index = vip->ring;
	struct wm_ring *ring;

	if (p->family == WM_IPV4)
		slot = wm_slot_v4(p->src[0], ports, wm_ctl.ring_seed_v4);
	else
		slot = wm_slot_v6(p->src, ports, wm_ctl.ring_seed_v4, wm_ctl.ring_seed_v6);
	ring = bpf_map_lookup_elem(&wm_rings, &index);
	if (!ring || slot >= WM_RING_SLOTS)
		return 0;
	return ring->slot[slot];
}

/* The vip's packets that nobody gets. One counter for all CPUs: nothing of value waits for
 * it, and a vip goes from ring to ring as a whole. */
static __always_inline void ring_drop(const struct wm_vip *vip)
{
	__u32 index = vip->ring;
	struct wm_ring *ring = bpf_map_lookup_elem(&wm_rings, &index);

	if (ring)
		__sync_fetch_and_add(&ring->dropped, 1);
}

#endif
