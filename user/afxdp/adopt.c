// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets made by another process. libxdp makes rings, it does not find them
 * again: so they are mapped here, into its structs, whose inline functions work
 * them from then on.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "handover.h"
#include "inside.h"

/* One ring's place: which mapping, where its parts are, how large it is. */
struct place {
	struct wm_xsk_mapping *mapping;
	uint64_t page_offset;
	const struct xdp_ring_offset *at;
	uint32_t entries;
	size_t entry_size;
};

static int map_ring(int fd, const struct place *place)
{
	size_t length = place->at->desc + place->entries * place->entry_size;
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
			    place->page_offset);

	if (memory == MAP_FAILED)
		return -errno;
	*place->mapping = (struct wm_xsk_mapping){ memory, length };
	return 0;
}

/* Both kinds of ring have the same members under different names of their type. */
#define SET_RING(ring_, place, free_at_start)                                    \
	do {                                                                     \
		uint8_t *base_ = (place)->mapping->memory;                       \
		(ring_)->mask = (place)->entries - 1;                            \
		(ring_)->size = (place)->entries;                                \
		(ring_)->producer = (uint32_t *)(base_ + (place)->at->producer); \
		(ring_)->consumer = (uint32_t *)(base_ + (place)->at->consumer); \
		(ring_)->flags = (uint32_t *)(base_ + (place)->at->flags);       \
		(ring_)->ring = base_ + (place)->at->desc;                       \
		(ring_)->cached_prod = *(ring_)->producer;                       \
		(ring_)->cached_cons = *(ring_)->consumer + (free_at_start);     \
	} while (0)

static int map_rings(struct wm_xsk *xsk, struct wm_xsk_queue *queue)
{
	struct xdp_mmap_offsets at;
	socklen_t len = sizeof(at);
	int ret;

	if (getsockopt(queue->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &len))
		return -errno;
	if (len != sizeof(at))
		return -EOPNOTSUPP; /* a kernel without need_wakeup */

	const struct place place[] = {
		{ &queue->mapping[0], XDP_PGOFF_RX_RING, &at.rx, xsk->ring,
		  sizeof(struct xdp_desc) },
		{ &queue->mapping[1], XDP_PGOFF_TX_RING, &at.tx, xsk->ring,
		  sizeof(struct xdp_desc) },
		{ &queue->mapping[2], XDP_UMEM_PGOFF_FILL_RING, &at.fr, xsk->fill,
		  sizeof(uint64_t) },
		{ &queue->mapping[3], XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, xsk->fill,
		  sizeof(uint64_t) },
	};

	for (int i = 0; i < 4; i++) {
		ret = map_ring(queue->fd, &place[i]);
		if (ret)
			return ret;
	}
	/* libxdp keeps the consumer of a ring that we fill one round ahead: the
	 * difference to the producer is then what is free. */
	SET_RING(&queue->rx, &place[0], 0);
	SET_RING(&queue->tx, &place[1], xsk->ring);
	SET_RING(&queue->fill, &place[2], xsk->fill);
	SET_RING(&queue->comp, &place[3], 0);
	return 0;
}

int wm_xsk__adopt(struct wm_xsk **out, const struct wm_handover *message, const int *fds, size_t n,
		  struct wm_err *err)
{
	struct wm_xsk *xsk;
	int ret;

	*out = NULL;
	if (n < 2 || wm_xsk_shape__sockets(&message->shape) != n - 1)
		return wm_err__set(err, -EBADMSG, "sockets of a shape that this version cannot "
				   "work: rebuild the consumer");
	ret = wm_xsk_new(&xsk, &message->shape, fds[0], err);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < xsk->n && !ret; i++) {
		xsk->queue[i].fd = fcntl(fds[1 + i], F_DUPFD_CLOEXEC, 0);
		ret = xsk->queue[i].fd < 0 ? -errno : map_rings(xsk, &xsk->queue[i]);
	}
	if (ret) {
		wm_xsk__close(xsk);
		return wm_err__sys(err, ret, "cannot map the rings of sockets that were handed "
				   "over (Linux before 6.4 does not let them be)");
	}
	wm_xsk_ready(xsk);
	*out = xsk;
	return 0;
}

/* --- the other way: ours, for another process --- */

void wm_xsk__describe(const struct wm_xsk *xsk, enum wm_handover_kind kind,
		      struct wm_handover *message)
{
	*message = (struct wm_handover){
		.magic = WM_HANDOVER_MAGIC,
		.version = WM_HANDOVER_VERSION,
		.kind = kind,
		.shape = {
			.frame = WM_XSK_FRAME,
			.ring = xsk->ring,
			.any = xsk->any,
			.devices = xsk->n_devices,
		},
	};
	for (uint32_t i = 0; i < xsk->n_devices; i++)
		message->shape.device[i] = xsk->device[i].port;
}

size_t wm_xsk__fds(const struct wm_xsk *xsk, int fds[WM_HANDOVER_FDS])
{
	fds[0] = xsk->memfd;
	for (uint32_t i = 0; i < xsk->n; i++)
		fds[1 + i] = xsk->queue[i].fd;
	return 1 + xsk->n;
}
