/* SPDX-License-Identifier: GPL-2.0 */
/* Headers of a packet in a burst: enough to answer UDP in place. */
#ifndef WM_FRAME_H
#define WM_FRAME_H

#include <linux/types.h>

#include "addr.h"
#include "afxdp.h"

struct wm_frame {
	uint8_t *ip, *l4;     /* in the first part */
	uint8_t *payload;
	uint32_t payload_len; /* by the headers; what is in the first part may be less */
	uint32_t payload_here; /* in the first part */
	uint8_t family, proto; /* enum wm_family, IPPROTO_* */
};

/* 0; -EINVAL: neither TCP nor UDP in IPv4 or IPv6 without extension headers, a
 * fragment, or lengths that do not fit. */
int wm_frame__parse(const struct wm_xsk_packet *packet, struct wm_frame *frame);
void wm_frame__source(const struct wm_frame *frame, struct wm_addr *addr, __be16 *port);
void wm_frame__destination(const struct wm_frame *frame, struct wm_addr *addr, __be16 *port);

/*
 * Make an UDP packet the answer to itself: MAC addresses, addresses and ports
 * change places. With wm_frame__resize() before it the payload may have another
 * length. The checksum is made anew: what came from this machine's own stack
 * may have been without.
 */
void wm_frame__turn(struct wm_frame *frame, struct wm_xsk_packet *packet);

/* The payload, which is in the first part, has this length from now on. -EMSGSIZE:
 * the frame has no room for it; -EINVAL: the packet has several parts. */
int wm_frame__resize(struct wm_frame *frame, struct wm_xsk_packet *packet, uint32_t payload_len);

#endif
