/* SPDX-License-Identifier: GPL-2.0 */
/* What a socket's owner finds in front of a packet (waymark/xsk_abi.h). */
#ifndef WM_BPF_XSKMETA_H
#define WM_BPF_XSKMETA_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <waymark/xsk_abi.h>

/*
 * Put it there, over what there is. A driver that has no room for metadata, or
 * knows none, leaves the packet without. Packet pointers are void afterwards.
 */
static __always_inline void xskmeta_write(struct xdp_md *ctx, __u32 mark, __u32 hash, __u32 flags)
{
	void *data = (void *)(long)ctx->data, *old = (void *)(long)ctx->data_meta;
	struct wm_xsk_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, data - old - (int)sizeof(*meta)))
		return;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return;
	meta->magic = WM_XSK_META_MAGIC;
	meta->flags = flags;
	meta->hash = hash;
	meta->md.mark = mark;
}

#endif
