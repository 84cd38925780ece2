// SPDX-License-Identifier: GPL-2.0
/*
 * Making the sockets, by libxdp. The first one brings the memory; each queue has
 * rings of its own, its fill and completion rings too.
 *
 * What the kernel knows is asked by binding to no device: it looks at the flags
 * before it looks for the device, so the errno tells, and nothing happens.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "inside.h"

enum {
	BUSY_TRIES = 100, /* a closed socket leaves its queue a moment later */
	BUSY_PAUSE_NS = 20000000,
};

static bool knows_flags(uint16_t flags)
{
	struct sockaddr_xdp nowhere = { .sxdp_family = AF_XDP, .sxdp_flags = flags };
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	bool knows;

	if (fd < 0)
		return false;
	knows = bind(fd, (struct sockaddr *)&nowhere, sizeof(nowhere)) && errno != EINVAL;
	close(fd);
	return knows;
}

bool wm_xsk__any_queue(void)
{
	return knows_flags(XDP_COPY | XDP_ANY_QUEUE);
}

static uint16_t bind_flags(const struct wm_xsk *xsk, enum wm_xsk_bind bind)
{
	uint16_t flags = XDP_USE_NEED_WAKEUP;

	if (xsk->sg)
		flags |= XDP_USE_SG;
	if (xsk->any)
		return flags | XDP_COPY | XDP_ANY_QUEUE;
	if (bind == WM_XSK_COPY)
		flags |= XDP_COPY;
	else if (bind == WM_XSK_ZEROCOPY)
		flags |= XDP_ZEROCOPY;
	return flags;
}

static int make_umem(struct wm_xsk *xsk)
{
	const struct xsk_umem_config config = {
		.fill_size = xsk->fill,
		.comp_size = xsk->fill,
		.frame_size = WM_XSK_FRAME,
	};

	return xsk_umem__create(&xsk->umem, xsk->area, xsk->length, &xsk->queue[0].fill,
				&xsk->queue[0].comp, &config);
}

static int make_socket(struct wm_xsk *xsk, struct wm_xsk_queue *queue, enum wm_xsk_bind bind)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	const struct xsk_socket_config config = {
		.rx_size = xsk->ring,
		.tx_size = xsk->ring,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = bind_flags(xsk, bind),
	};
	int ret;

	for (int tries = 0; tries < BUSY_TRIES; tries++) {
		ret = xsk_socket__create_shared(&queue->socket, xsk->device, queue->queue,
						xsk->umem, &queue->rx, &queue->tx, &queue->fill,
						&queue->comp, &config);
		if (ret != -EBUSY)
			break;
		nanosleep(&pause, NULL);
	}
	if (!ret)
		queue->fd = xsk_socket__fd(queue->socket);
	return ret;
}

static int explain(const struct wm_xsk *xsk, uint32_t queue, int error, struct wm_err *err)
{
	switch (error) {
	case -EBUSY:
		return wm_err__set(err, error, "queue %u of %s is taken by another AF_XDP socket: "
				   "end the program that has it", queue, xsk->device);
	case -EPERM:
	case -EACCES:
		return wm_err__set(err, error, "AF_XDP sockets on %s need root (CAP_NET_RAW)",
				   xsk->device);
	case -EOPNOTSUPP:
		return wm_err__set(err, error, "queue %u of %s: the driver cannot do without "
				   "copies (try copy)", queue, xsk->device);
	case -ENETDOWN:
		return wm_err__set(err, error, "%s is down: ip link set %s up", xsk->device,
				   xsk->device);
	case -EAFNOSUPPORT:
		return wm_err__set(err, error, "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)");
	default:
		return wm_err__sys(err, error, "cannot make an AF_XDP socket on queue %u of %s",
				   queue, xsk->device);
	}
}

static int make_all(struct wm_xsk *xsk, enum wm_xsk_bind bind, struct wm_err *err)
{
	int ret = make_umem(xsk);

	if (ret)
		return explain(xsk, 0, ret, err);
	for (uint32_t i = 0; i < xsk->n; i++) {
		xsk->queue[i].queue = i;
		ret = make_socket(xsk, &xsk->queue[i], bind);
		if (ret)
			return explain(xsk, i, ret, err);
	}
	return 0;
}

/* Entries as asked for, as a power of 2. One socket for all has room for all. */
static uint32_t ring_size(const struct wm_xsk_options *options, uint32_t share)
{
	uint64_t want = (uint64_t)(options->ring ? options->ring : WM_XSK_RING_DEFAULT) * share;
	uint32_t size = WM_XSK_RING_MIN;

	while (size < want && size < WM_XSK_RING_MAX)
		size *= 2;
	return size;
}

static int check(const struct wm_xsk_options *options, uint32_t queues, bool *any,
		 struct wm_err *err)
{
	if (!queues)
		return wm_err__sys(err, -ENODEV, "%s", options->device);
	if (queues > WM_XSK_QUEUES_MAX)
		return wm_err__set(err, -E2BIG, "%s has %u queues; sockets are for %d at most "
				   "(ethtool -L sets fewer)", options->device, queues,
				   WM_XSK_QUEUES_MAX);
	*any = !options->every_socket && options->bind != WM_XSK_ZEROCOPY && wm_xsk__any_queue();
	if (options->one_socket && !*any)
		return wm_err__set(err, -EOPNOTSUPP, "one socket for all queues: this kernel has "
				   "no XDP_ANY_QUEUE (see kernel-patches/), or copies are ruled "
				   "out");
	return 0;
}

int wm_xsk__open(struct wm_xsk **out, const struct wm_xsk_options *options, struct wm_err *err)
{
	uint32_t queues = wm_xsk__queues(options->device);
	struct wm_xsk *xsk;
	bool any = false;
	int ret;

	*out = NULL;
	ret = check(options, queues, &any, err);
	if (ret)
		return ret;
	ret = wm_xsk_new(&xsk, options->device, any ? 1 : queues,
			 ring_size(options, any ? queues : 1), -1, err);
	if (ret)
		return ret;
	xsk->any = any;
	xsk->queues = queues;
	xsk->sg = knows_flags(XDP_COPY | XDP_USE_SG);
	ret = make_all(xsk, options->bind, err);
	if (ret) {
		wm_xsk__close(xsk);
		return ret;
	}
	wm_xsk_fill(xsk);
	wm_xsk_ready(xsk);
	*out = xsk;
	return 0;
}

static int enter_one(const struct wm_xsk *xsk, int map, uint32_t queue, struct wm_err *err)
{
	const int *fd = &xsk->queue[xsk->any ? 0 : queue].fd;

	if (!bpf_map_update_elem(map, &queue, fd, 0))
		return 0;
	return wm_err__sys(err, -errno, "cannot enter the socket of queue %u of %s in the xskmap",
			   queue, xsk->device);
}

int wm_xsk__enter(const struct wm_xsk *xsk, int xskmap_fd, struct wm_err *err)
{
	int ret = 0;

	for (uint32_t queue = 0; queue < xsk->queues && !ret; queue++)
		ret = enter_one(xsk, xskmap_fd, queue, err);
	return ret;
}
