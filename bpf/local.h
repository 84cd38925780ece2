/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A destination on this machine: the packet goes as it is to the AF_XDP socket that
 * its consumer has on the queue that it came by, with its mark and a hash of its flow
 * in front.
 *
 * Whether a socket has room is seen after the program has ended: the socket
 * counts what it had none for (XDP_STATISTICS). A queue without a socket is seen
 * here, and counted.
 */
#ifndef WM_BPF_LOCAL_H
#define WM_BPF_LOCAL_H

#include "maps.h"
#include "packet.h"
#include "xskmeta.h"

static __always_inline bool encap_local(__u8 encap)
{
	return encap >= WM_ENCAP_LOCAL4;
}

/* Which of the consumers' devices is this? */
static __always_inline __u32 local_device(__u32 ifindex)
{
	for (__u32 i = 1; i < WM_LOCAL_PORTS_MAX; i++)
		if (wm_ctl.local_port[i - 1] == ifindex)
			return i;
	return 0;
}

/* false: nobody is there. Not inlined: the verifier looks at it once, and the way
 * of other packets is no longer for it. */
__noinline bool local_send(struct xdp_md *ctx, __u32 mark, __u32 hash, __u32 consumer)
{
	__u32 queue = ctx->rx_queue_index, key;

	if (consumer >= WM_LOCALS_MAX || queue >= WM_XSK_QUEUES_MAX)
		return false;
	key = wm_xsk_key(consumer, local_device(ctx->ingress_ifindex), queue);
	if (!bpf_map_lookup_elem(&wm_xsks, &key))
		return false;
	xskmeta_write(ctx, mark, hash, WM_XSK_META_MARK | WM_XSK_META_HASH);
	return bpf_redirect_map(&wm_xsks, key, XDP_DROP) == XDP_REDIRECT;
}

#endif
