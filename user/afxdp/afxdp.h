/* SPDX-License-Identifier: GPL-2.0 */
/*
 * AF_XDP consumers: packets of devices' receive queues in memory of ours.
 *
 * One struct wm_xsk is a socket for every queue of every device over one memory.
 * Where the kernel can (XDP_ANY_QUEUE, a patch of ours, copy mode only) it is one
 * socket for all queues of a device. `index` below counts sockets from 0, in the
 * order of the devices and of their queues.
 *
 * Frames belong to a socket for good and go round:
 *
 *     fill ring -> kernel -> RX ring -> burst -> fill ring
 *                                         \-> TX ring -> kernel -> completion ring -/
 *
 * A socket has as many frames as its fill ring has entries, and that is twice
 * the RX ring: a frame that comes back always finds room, and while a full RX
 * ring is being worked off the kernel has as many frames again.
 *
 * A burst is read, its packets are looked at or turned round (wm_xsk__send), and
 * then released: first the frames go to the fill ring, then the RX ring's
 * entries are given back. One burst a socket at a time. Sockets share nothing
 * that is written: each may have its own thread.
 *
 *     wm_xsk__open(&xsk, &options, &err);
 *     wm_xsk__enter(xsk, xskmap_fd, &err);
 *     while (wm_xsk__wait(xsk, -1) >= 0)
 *             for (i = 0; i < wm_xsk__sockets(xsk); i++)
 *                     while (wm_xsk__receive(xsk, i, &burst)) {
 *                             ... burst.packet[0 .. burst.n_packets - 1] ...
 *                             wm_xsk__release(xsk, &burst);
 *                     }
 */
#ifndef WM_AFXDP_H
#define WM_AFXDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct wm_xsk;

enum wm_xsk_bind {
	WM_XSK_AUTO,     /* without copies where the driver can */
	WM_XSK_COPY,
	WM_XSK_ZEROCOPY,
};

enum {
	WM_XSK_RING_DEFAULT = 2048,
	WM_XSK_RING_MIN = 64,
	WM_XSK_RING_MAX = 32768,
	WM_XSK_FRAME = 2048, /* of which the kernel keeps 256 in front of the packet */
	WM_XSK_BURST = 64, /* descriptors, so also packets at most */
};

struct wm_xsk_options {
	const char *const *devices; /* WM_XSK_DEVICES_MAX at most */
	size_t n_devices;
	enum wm_xsk_bind bind;
	uint32_t ring;     /* entries of RX and TX, made a power of 2; 0: the default */
	bool every_socket; /* never XDP_ANY_QUEUE, also where the kernel has it */
	bool one_socket;   /* only XDP_ANY_QUEUE: -EOPNOTSUPP where the kernel has it not */
	/* Which queue a socket for all queues holds, and sends by. Another socket for all
	 * can hold another one. */
	uint32_t home;
};

/* Receive queues that the device has in use, at least 1. 0: no such device. */
uint32_t wm_xsk__queues(const char *device);
/* Has this kernel XDP_ANY_QUEUE? */
bool wm_xsk__any_queue(void);

/*
 * Sockets on every queue, with all frames in the fill rings. Nothing comes yet:
 * a program must redirect to an xskmap that holds them. Needs CAP_NET_RAW and
 * memory that may be locked. -EBUSY: another socket has a queue. That is so for a
 * moment after one was closed too: it is tried again for 2 seconds, which this function
 * then sleeps.
 */
int wm_xsk__open(struct wm_xsk **xsk, const struct wm_xsk_options *options, struct wm_err *err);
void wm_xsk__close(struct wm_xsk *xsk);

/* Enter the sockets in an xskmap (a BPF map) as wm_xsk_key() says; as consumer 0 those of
 * the first device stand there by their queues' numbers. */
int wm_xsk__enter(const struct wm_xsk *xsk, int xskmap_fd, uint32_t consumer,
		  struct wm_err *err);

uint32_t wm_xsk__sockets(const struct wm_xsk *xsk);
/* One socket serves all queues of a device. */
bool wm_xsk__is_any(const struct wm_xsk *xsk);
/* For an event loop of one's own, readable when packets wait. Call wm_xsk__tend()
 * before sleeping. Not to be closed. */
int wm_xsk__fd(const struct wm_xsk *xsk, uint32_t index);

/*
 * Sleep until packets wait on any socket, `timeout_ms` at most (-1: no end).
 * Returns how many sockets have some; 0; -EINTR. While a TX ring is not empty it
 * does not sleep longer than the watchdog allows.
 */
int wm_xsk__wait(struct wm_xsk *xsk, int timeout_ms);
/* The watchdog, and wake-ups that fill rings ask for. Returns how long one may
 * sleep: ms, or -1. */
int wm_xsk__tend(struct wm_xsk *xsk);

/* A piece of a packet, in one frame. Up to `room` bytes may be written. */
struct wm_xsk_part {
	uint8_t *data;
	uint32_t len, room;
};

struct wm_xsk_packet {
	struct wm_xsk_part *part; /* the first has the headers */
	uint32_t n_parts;         /* more than 1: longer than a frame, or sent in pieces */
	uint32_t len;             /* of all parts */
	uint32_t mark, hash;      /* from in front of the packet; see has_ */
	bool has_mark, has_hash;
	bool sent;                /* its frames are the TX ring's now */
};

struct wm_xsk_burst {
	uint32_t index; /* of its socket */
	uint32_t n_packets, n_parts;
	struct wm_xsk_packet packet[WM_XSK_BURST];
	struct wm_xsk_part part[WM_XSK_BURST];
};

/* What waits on a socket, as much as fits a burst. Returns the number of packets;
 * with 0 there is nothing to release. */
uint32_t wm_xsk__receive(struct wm_xsk *xsk, uint32_t index, struct wm_xsk_burst *burst);

/*
 * Send a packet of a burst out by the queue that it came from, as it is in
 * memory now (parts with their `len`). -ENOBUFS: the TX ring is full; the packet
 * is still the burst's. It goes with the next release at the latest.
 */
int wm_xsk__send(struct wm_xsk *xsk, struct wm_xsk_burst *burst, struct wm_xsk_packet *packet);

/* Give the burst back, and have the kernel take what is to be sent. */
void wm_xsk__release(struct wm_xsk *xsk, struct wm_xsk_burst *burst);

struct wm_xsk_stats {
	/* ours */
	uint64_t packets, bytes;
	uint64_t parts;       /* frames of these packets */
	uint64_t marked;      /* packets that carried a mark */
	uint64_t sent, sent_bytes;
	uint64_t tx_full;     /* packets that found no room in the TX ring */
	uint64_t wakeups_rx, wakeups_tx;
	uint64_t given_up;    /* kick loops that reached their bound */
	uint64_t stall_kicks; /* stalls that only the watchdog ended */
	/* the kernel's (XDP_STATISTICS) */
	uint64_t rx_dropped;     /* for no reason below: too long, most of all */
	uint64_t rx_ring_full;   /* packets dropped: we were too slow */
	uint64_t rx_fill_empty;  /* times that the kernel had no frame of ours */
	uint64_t rx_invalid, tx_invalid; /* addresses out of the memory */
	uint64_t tx_ring_empty;
};

int wm_xsk__stats(const struct wm_xsk *xsk, uint32_t index, struct wm_xsk_stats *stats);
/* The kernel's part of it, of a socket that somebody else works. */
int wm_xsk__kernel_stats(int fd, struct wm_xsk_stats *stats);
/* Does this socket get packets without a copy? */
bool wm_xsk__zero_copy(int fd);

#endif
