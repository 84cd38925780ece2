/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose packet is it? One cache line: the bucket that address, port and
 * protocol hash to. The builder of the table made sure by its choice of seed
 * that a vip is in its bucket, so there is nothing to probe.
 */
#ifndef WM_BPF_VIP_H
#define WM_BPF_VIP_H

#include "maps.h"
#include "packet.h"

/* Port, protocol and family as they lie in struct wm_vip. */
static __always_inline __u32 vip_word(__be16 port, __u8 proto, __u8 family)
{
	return (__u32)(__u16)port | (__u32)proto << 16 | (__u32)family << 24;
}

static __always_inline bool vip_is(const struct wm_vip *vip, const __be32 *addr, __u32 word)
{
	if (*(const __u32 *)&vip->port != word || vip->addr[0] != addr[0])
		return false;
	return word >> 24 == WM_IPV4 ||
	       (vip->addr[1] == addr[1] && vip->addr[2] == addr[2] && vip->addr[3] == addr[3]);
}

static __always_inline const struct wm_vip *vip_lookup(const struct packet *p, __be16 port,
						       __u32 half)
{
	__u64 seed = wm_ctl.vip_seed[half];
	struct wm_vip_bucket *bucket;
	__u32 index, word = vip_word(port, p->proto, p->family);

	if (p->family == WM_IPV4)
		index = wm_vip_bucket_v4(p->dst[0], port, p->proto, seed, wm_params.vip_bits);
	else
		index = wm_vip_bucket_v6(p->dst, port, p->proto, seed, wm_params.vip_bits);
	index |= half << wm_params.vip_bits;
	bucket = bpf_map_lookup_elem(&wm_vips, &index);
	if (!bucket)
		return NULL;
	if (vip_is(&bucket->way[0], p->dst, word))
		return &bucket->way[0];
	if (vip_is(&bucket->way[1], p->dst, word))
		return &bucket->way[1];
	return NULL;
}

/* The vip of a packet: its port exactly, then every port. NULL: not ours. */
static __always_inline const struct wm_vip *vip_find(const struct packet *p)
{
	__u32 half = wm_ctl.half & 1;
	const struct wm_vip *vip = vip_lookup(p, packet_dport(p), half);

	if (!vip && wm_ctl.flags & WM_CTL_ANY_PORT_0 << half)
		vip = vip_lookup(p, 0, half);
	return vip;
}

#endif
