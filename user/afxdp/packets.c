// SPDX-License-Identifier: GPL-2.0
/*
 * Packets in and out. The order in wm_xsk__release() matters: frames go to the
 * fill ring before the RX ring's entries are given back, so that a full RX ring
 * that empties meets a fill ring that has something in it.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "inside.h"

static struct wm_xsk_queue *queue_of(struct wm_xsk *xsk, uint32_t index)
{
	return &xsk->queue[index];
}

/* Up to n frames into the fill ring. It has room: it is as large as all frames. */
static uint32_t room_to_fill(struct wm_xsk_queue *queue, uint32_t n)
{
	uint32_t first = 0;

	if (n)
		xsk_ring_prod__reserve(&queue->fill, n, &first);
	return first;
}

static uint64_t frame_of(uint64_t address)
{
	return address & ~(uint64_t)(WM_XSK_FRAME - 1);
}

void wm_xsk_fill(struct wm_xsk *xsk)
{
	for (uint32_t i = 0; i < xsk->n; i++) {
		struct wm_xsk_queue *queue = queue_of(xsk, i);
		uint32_t at = room_to_fill(queue, xsk->fill);

		for (uint32_t k = 0; k < xsk->fill; k++)
			*xsk_ring_prod__fill_addr(&queue->fill, at++) =
				queue->frames + (uint64_t)k * WM_XSK_FRAME;
		xsk_ring_prod__submit(&queue->fill, xsk->fill);
	}
}

void wm_xsk_ready(struct wm_xsk *xsk)
{
	for (uint32_t i = 0; i < xsk->n; i++) {
		struct wm_xsk_queue *queue = queue_of(xsk, i);

		wm_kick__init(&queue->kick, &wm_kick_world, queue->fd, xsk->ring);
		queue->kick.producer = queue->tx.producer;
		queue->kick.consumer = queue->tx.consumer;
		queue->kick.flags = queue->tx.flags;
		xsk->poll[i] = (struct pollfd){ .fd = queue->fd, .events = POLLIN };
	}
}

/* --- in --- */

/* What stands in front of the packet. Its magic word is wiped: the frame's next
 * packet may come without. */
static void read_meta(struct wm_xsk_packet *packet)
{
	struct wm_xsk_meta meta;
	uint8_t *before = packet->part->data - sizeof(meta);

	memcpy(&meta, before, sizeof(meta));
	if (meta.magic != WM_XSK_META_MAGIC)
		return;
	memset(before, 0, sizeof(meta.magic));
	packet->has_mark = meta.flags & WM_XSK_META_MARK;
	packet->has_hash = meta.flags & WM_XSK_META_HASH;
	packet->mark = packet->has_mark ? meta.md.mark : 0;
	packet->hash = packet->has_hash ? meta.hash : 0;
}

static void set_part(const struct wm_xsk_queue *queue, struct wm_xsk_part *part,
		     const struct xdp_desc *desc)
{
	part->data = xsk_umem__get_data(queue->area, desc->addr);
	part->len = desc->len;
	part->room = WM_XSK_FRAME - (desc->addr - frame_of(desc->addr));
}

static void count_packet(struct wm_xsk_stats *stats, const struct wm_xsk_packet *packet)
{
	stats->packets++;
	stats->bytes += packet->len;
	stats->parts += packet->n_parts;
	stats->marked += packet->has_mark;
}

/* The packet that begins at RX entry `at`; `left` entries may be read. false: its
 * end is not among them. */
static bool read_packet(struct wm_xsk_queue *queue, struct wm_xsk_burst *burst, uint32_t at,
			uint32_t left)
{
	struct wm_xsk_packet *packet = &burst->packet[burst->n_packets];
	const struct xdp_desc *desc;

	*packet = (struct wm_xsk_packet){ .part = &burst->part[burst->n_parts] };
	do {
		if (packet->n_parts == left)
			return false;
		desc = xsk_ring_cons__rx_desc(&queue->rx, at++);
		set_part(queue, &packet->part[packet->n_parts++], desc);
		packet->len += desc->len;
	} while (desc->options & XDP_PKT_CONTD);
	return true;
}

/* The kernel's driver waits for us to say that there are frames. */
static void wake_fill(struct wm_xsk_queue *queue)
{
	if (!xsk_ring_prod__needs_wakeup(&queue->fill))
		return;
	queue->stats.wakeups_rx++;
	recvfrom(queue->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* Frames that were sent can be received into again. */
static void reap(struct wm_xsk_queue *queue, uint32_t max)
{
	uint32_t from = 0, n = xsk_ring_cons__peek(&queue->comp, max, &from);
	uint32_t to = room_to_fill(queue, n);

	if (!n)
		return;
	for (uint32_t i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&queue->fill, to++) =
			frame_of(*xsk_ring_cons__comp_addr(&queue->comp, from++));
	xsk_ring_prod__submit(&queue->fill, n);
	xsk_ring_cons__release(&queue->comp, n);
}

uint32_t wm_xsk__receive(struct wm_xsk *xsk, uint32_t index, struct wm_xsk_burst *burst)
{
	struct wm_xsk_queue *queue = queue_of(xsk, index);
	uint32_t at = 0, n;

	burst->index = index;
	burst->n_packets = burst->n_parts = 0;
	reap(queue, xsk->fill);
	n = xsk_ring_cons__peek(&queue->rx, WM_XSK_BURST, &at);
	if (!n) {
		wake_fill(queue);
		return 0;
	}
	while (burst->n_parts < n &&
	       read_packet(queue, burst, at + burst->n_parts, n - burst->n_parts)) {
		struct wm_xsk_packet *packet = &burst->packet[burst->n_packets++];

		read_meta(packet);
		count_packet(&queue->stats, packet);
		burst->n_parts += packet->n_parts;
	}
	/* A packet that is cut off here begins the next burst. */
	xsk_ring_cons__cancel(&queue->rx, n - burst->n_parts);
	queue->in_burst = burst->n_parts;
	return burst->n_packets;
}

/* --- out --- */

static uint64_t address_of(const struct wm_xsk_queue *queue, const struct wm_xsk_part *part)
{
	return part->data - queue->area;
}

int wm_xsk__send(struct wm_xsk *xsk, struct wm_xsk_burst *burst, struct wm_xsk_packet *packet)
{
	struct wm_xsk_queue *queue = queue_of(xsk, burst->index);
	uint32_t at = 0, n = packet->n_parts;

	if (!xsk_ring_prod__reserve(&queue->tx, n, &at)) {
		wm_kick__push(&queue->kick);
		if (!xsk_ring_prod__reserve(&queue->tx, n, &at)) {
			queue->stats.tx_full++;
			return -ENOBUFS;
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct wm_xsk_part *part = &packet->part[i];

		*xsk_ring_prod__tx_desc(&queue->tx, at++) = (struct xdp_desc){
			.addr = address_of(queue, part),
			.len = part->len,
			.options = i + 1 < n ? XDP_PKT_CONTD : 0,
		};
		queue->stats.sent_bytes += part->len;
	}
	xsk_ring_prod__submit(&queue->tx, n);
	packet->sent = true;
	queue->stats.sent++;
	return 0;
}

static void refill(struct wm_xsk_queue *queue, const struct wm_xsk_burst *burst)
{
	uint32_t n = 0, at;

	for (uint32_t i = 0; i < burst->n_packets; i++)
		n += burst->packet[i].sent ? 0 : burst->packet[i].n_parts;
	at = room_to_fill(queue, n);
	for (uint32_t i = 0; i < burst->n_packets; i++) {
		const struct wm_xsk_packet *packet = &burst->packet[i];

		for (uint32_t k = 0; k < packet->n_parts && !packet->sent; k++)
			*xsk_ring_prod__fill_addr(&queue->fill, at++) =
				frame_of(address_of(queue, &packet->part[k]));
	}
	if (n)
		xsk_ring_prod__submit(&queue->fill, n);
}

void wm_xsk__release(struct wm_xsk *xsk, struct wm_xsk_burst *burst)
{
	struct wm_xsk_queue *queue = queue_of(xsk, burst->index);

	refill(queue, burst);
	xsk_ring_cons__release(&queue->rx, queue->in_burst);
	queue->in_burst = 0;
	burst->n_packets = burst->n_parts = 0;
	wm_kick__push(&queue->kick);
}

/* --- waiting --- */

int wm_xsk__tend(struct wm_xsk *xsk)
{
	int sleep = -1;

	for (uint32_t i = 0; i < xsk->n; i++) {
		struct wm_xsk_queue *queue = queue_of(xsk, i);

		wake_fill(queue);
		wm_kick__watch(&queue->kick);
		if (wm_kick__pending(&queue->kick))
			sleep = WM_KICK_STALL_NS / 1000000;
	}
	return sleep;
}

int wm_xsk__wait(struct wm_xsk *xsk, int timeout_ms)
{
	int bound = wm_xsk__tend(xsk), ready;

	if (bound >= 0 && (timeout_ms < 0 || timeout_ms > bound))
		timeout_ms = bound;
	ready = poll(xsk->poll, xsk->n, timeout_ms);
	return ready < 0 ? -errno : ready;
}

uint32_t wm_xsk__sockets(const struct wm_xsk *xsk)
{
	return xsk->n;
}

bool wm_xsk__is_any(const struct wm_xsk *xsk)
{
	return xsk->any;
}

int wm_xsk__fd(const struct wm_xsk *xsk, uint32_t index)
{
	return xsk->queue[index].fd;
}
