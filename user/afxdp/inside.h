/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this directory share. Not for others. */
#ifndef WM_AFXDP_INSIDE_H
#define WM_AFXDP_INSIDE_H

#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <waymark/xsk_abi.h>
#include <xdp/xsk.h>

#include "afxdp.h"
#include "handover.h"
#include "kick.h"

/* Younger than some headers. */
#ifndef XDP_USE_SG
#define XDP_USE_SG (1 << 4)
#endif
#ifndef XDP_PKT_CONTD
#define XDP_PKT_CONTD (1 << 0)
#endif
/* kernel-patches/: "xsk: let a socket receive from all queues" */
#ifndef XDP_ANY_QUEUE
#define XDP_ANY_QUEUE (1 << 5)
#endif

/* A mapping of an adopted socket's ring; libxdp keeps those that it made. */
struct wm_xsk_mapping {
	void *memory;
	size_t length;
};

struct wm_xsk_queue {
	int fd;
	uint32_t queue;           /* of its device; of an XDP_ANY_QUEUE socket, where it sends */
	uint8_t *area;            /* what the addresses in its rings count from */
	uint64_t frames;          /* address of its first frame */
	struct xsk_socket *socket; /* NULL: adopted */
	struct xsk_ring_cons rx, comp;
	struct xsk_ring_prod tx, fill;
	struct wm_xsk_mapping mapping[4];
	struct wm_kick kick;      /* of `tx` */
	uint32_t in_burst;        /* RX entries that are out in a burst */
	struct wm_xsk_stats stats;
};

/* A device has a part of the memory as its UMEM: one UMEM for several devices would not
 * do for XDP_ANY_QUEUE, which only the socket that brings the UMEM can ask for. */
struct wm_xsk_device {
	struct wm_xsk_port port;
	uint32_t first, n;        /* its sockets */
	struct xsk_umem *umem;    /* NULL: adopted */
};

struct wm_xsk {
	struct wm_xsk_device device[WM_XSK_DEVICES_MAX];
	uint32_t n_devices;
	uint32_t n;               /* sockets */
	uint32_t ring, fill;      /* entries; `fill` is also the frames of a socket */
	bool any, sg;
	int memfd;
	uint8_t *area;
	size_t length;
	struct pollfd *poll;
	struct wm_xsk_queue queue[];
};

/* memory.c: room for the sockets of this shape. memfd -1: new memory. */
int wm_xsk_new(struct wm_xsk **xsk, const struct wm_xsk_shape *shape, int memfd,
	       struct wm_err *err);
/* Every frame into its socket's fill ring. */
void wm_xsk_fill(struct wm_xsk *xsk);
/* The rings are there: kicks and poll shall know them. */
void wm_xsk_ready(struct wm_xsk *xsk);

#endif
