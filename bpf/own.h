/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Is the frame for us? A switch that does not know an address floods frames for it, and a NIC
 * in promiscuous mode takes them. Sent on, such a frame would carry its old destination as
 * source, and teach the switch a wrong port. So only frames to the unicast addresses of the
 * interface that they came in by are balanced; others leave as they came.
 */
#ifndef WM_BPF_OWN_H
#define WM_BPF_OWN_H

#include "maps.h"
#include "packet.h"

/* Not the first address. Not inlined: with one interface and one address nobody comes here
 * but frames that are not ours. */
__noinline bool own_further(struct xdp_md *ctx, __u64 mac)
{
	__u32 n = wm_ctl.own_count, ifindex = ctx->ingress_ifindex;

	if (!n)
		return !(mac >> 16 & 1);
	for (__u32 i = 0; i < WM_OWN_MACS_MAX; i++) {
		if (i >= n)
			break;
		if (wm_ctl.own[i].mac == mac &&
		    (!wm_ctl.own[i].ifindex || wm_ctl.own[i].ifindex == ifindex))
			return true;
	}
	return false;
}

/* `eth`: an Ethernet header that is known to be there. */
static __always_inline bool frame_is_ours(struct xdp_md *ctx, const void *eth)
{
	__u64 mac = *(const __u64 *)eth << 16; /* as wm_own_mac() */

	if (mac == wm_ctl.own[0].mac && !wm_ctl.own[0].ifindex)
		return true;
	return own_further(ctx, mac);
}

#endif
