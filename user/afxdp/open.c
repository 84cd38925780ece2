// SPDX-License-Identifier: GPL-2.0
/*
 * Making the sockets, by libxdp. The first one of a device brings its part of the
 * memory; each queue has rings of its own, its fill and completion rings too.
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
	BUSY_TRIES = 100, /* for all sockets: one that was closed leaves its queue a moment later */
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

static int make_umem(struct wm_xsk *xsk, struct wm_xsk_device *device)
{
	const struct xsk_umem_config config = {
		.fill_size = xsk->fill,
		.comp_size = xsk->fill,
		.frame_size = WM_XSK_FRAME,
	};
	struct wm_xsk_queue *queue = &xsk->queue[device->first];

	return xsk_umem__create(&device->umem, queue->area,
				(size_t)device->n * xsk->fill * WM_XSK_FRAME, &queue->fill,
				&queue->comp, &config);
}

static int make_socket(struct wm_xsk *xsk, const struct wm_xsk_device *device,
		       struct wm_xsk_queue *queue, enum wm_xsk_bind bind, int *tries)
{
	const struct timespec pause = { .tv_nsec = BUSY_PAUSE_NS };
	const struct xsk_socket_config config = {
		.rx_size = xsk->ring,
		.tx_size = xsk->ring,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = bind_flags(xsk, bind),
	};
	int ret;

	while (true) {
		ret = xsk_socket__create_shared(&queue->socket, device->port.name, queue->queue,
						device->umem, &queue->rx, &queue->tx,
						&queue->fill, &queue->comp, &config);
		if (ret != -EBUSY || --*tries < 0)
			break;
		nanosleep(&pause, NULL);
	}
	if (!ret)
		queue->fd = xsk_socket__fd(queue->socket);
	return ret;
}

static int explain(const char *device, uint32_t queue, int error, struct wm_err *err)
{
	switch (error) {
	case -EBUSY:
		return wm_err__set(err, error, "queue %u of %s is taken by another AF_XDP socket: "
				   "end the program that has it", queue, device);
	case -EPERM:
	case -EACCES:
		return wm_err__set(err, error, "AF_XDP sockets on %s need root (CAP_NET_RAW)",
				   device);
	case -EOPNOTSUPP:
		return wm_err__set(err, error, "queue %u of %s: the driver cannot do without "
				   "copies (try copy)", queue, device);
	case -ENETDOWN:
		return wm_err__set(err, error, "%s is down: ip link set %s up", device, device);
	case -EAFNOSUPPORT:
		return wm_err__set(err, error, "this kernel has no AF_XDP "
				   "(CONFIG_XDP_SOCKETS), or a service's "
				   "RestrictAddressFamilies leaves it out");
	default:
		return wm_err__sys(err, error, "cannot make an AF_XDP socket on queue %u of %s",
				   queue, device);
	}
}

static int make_device(struct wm_xsk *xsk, struct wm_xsk_device *device,
		       const struct wm_xsk_options *options, int *tries, struct wm_err *err)
{
	int ret = make_umem(xsk, device);

	if (ret)
		return explain(device->port.name, 0, ret, err);
	for (uint32_t i = 0; i < device->n; i++) {
		struct wm_xsk_queue *queue = &xsk->queue[device->first + i];

		if (xsk->any)
			queue->queue = options->home;
		ret = make_socket(xsk, device, queue, options->bind, tries);
		if (ret)
			return explain(device->port.name, queue->queue, ret, err);
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

static int add_device(struct wm_xsk_shape *shape, const char *name, struct wm_err *err)
{
	struct wm_xsk_port *port = &shape->device[shape->devices];

	if (shape->devices == WM_XSK_DEVICES_MAX)
		return wm_err__set(err, -E2BIG, "sockets are for %d devices at most",
				   WM_XSK_DEVICES_MAX);
	port->queues = wm_xsk__queues(name);
	if (!port->queues)
		return wm_err__sys(err, -ENODEV, "%s", name);
	if (port->queues > WM_XSK_QUEUES_MAX)
		return wm_err__set(err, -E2BIG, "%s has %u queues; sockets are for %d at most "
				   "(ethtool -L sets fewer)", name, port->queues,
				   WM_XSK_QUEUES_MAX);
	strncpy(port->name, name, sizeof(port->name) - 1);
	shape->devices++;
	return 0;
}

/* Every device must have the queue that the socket for all of them is to hold. */
static int check_home(const struct wm_xsk_shape *shape, uint32_t home, struct wm_err *err)
{
	for (uint32_t i = 0; i < shape->devices; i++)
		if (home >= shape->device[i].queues)
			return wm_err__set(err, -ERANGE, "%s has %u receive queues, and the socket "
					   "is to hold queue %u of it (ethtool -L sets more)",
					   shape->device[i].name, shape->device[i].queues, home);
	return 0;
}

static int plan(struct wm_xsk_shape *shape, const struct wm_xsk_options *options,
		struct wm_err *err)
{
	uint32_t most = 0;
	int ret = 0;

	*shape = (struct wm_xsk_shape){ .frame = WM_XSK_FRAME };
	for (size_t i = 0; i < options->n_devices && !ret; i++) {
		ret = add_device(shape, options->devices[i], err);
		if (!ret && shape->device[i].queues > most)
			most = shape->device[i].queues;
	}
	if (ret)
		return ret;
	shape->any = !options->every_socket && options->bind != WM_XSK_ZEROCOPY &&
		     wm_xsk__any_queue();
	if (options->one_socket && !shape->any)
		return wm_err__set(err, -EOPNOTSUPP, "one socket for all queues: this kernel has "
				   "no XDP_ANY_QUEUE (see kernel-patches/), or copies are ruled "
				   "out");
	shape->ring = ring_size(options, shape->any ? most : 1);
	if (!wm_xsk_shape__sockets(shape))
		return wm_err__set(err, -E2BIG, "more than %d receive queues in all (ethtool -L "
				   "sets fewer)", WM_XSK_SOCKETS_MAX);
	return shape->any ? check_home(shape, options->home, err) : 0;
}

int wm_xsk__open(struct wm_xsk **out, const struct wm_xsk_options *options, struct wm_err *err)
{
	struct wm_xsk_shape shape;
	int tries = BUSY_TRIES, ret;
	struct wm_xsk *xsk;

	*out = NULL;
	ret = plan(&shape, options, err);
	if (ret)
		return ret;
	ret = wm_xsk_new(&xsk, &shape, -1, err);
	if (ret)
		return ret;
	xsk->sg = knows_flags(XDP_COPY | XDP_USE_SG);
	for (uint32_t i = 0; i < xsk->n_devices && !ret; i++)
		ret = make_device(xsk, &xsk->device[i], options, &tries, err);
	if (ret) {
		wm_xsk__close(xsk);
		return ret;
	}
	wm_xsk_fill(xsk);
	wm_xsk_ready(xsk);
	*out = xsk;
	return 0;
}

static int enter_one(int map, uint32_t key, int fd, const struct wm_xsk_port *port, uint32_t queue,
		     struct wm_err *err)
{
	if (!bpf_map_update_elem(map, &key, &fd, 0))
		return 0;
	return wm_err__sys(err, -errno, "cannot enter the socket of queue %u of %s in the xskmap",
			   queue, port->name);
}

int wm_xsk_shape__enter(const struct wm_xsk_shape *shape, const int *fds, int map,
			uint32_t consumer, struct wm_err *err)
{
	uint32_t first = 0;
	int ret = 0;

	for (uint32_t d = 0; d < shape->devices; d++) {
		const struct wm_xsk_port *port = &shape->device[d];

		for (uint32_t queue = 0; queue < port->queues && !ret; queue++)
			ret = enter_one(map, wm_xsk_key(consumer, d, queue),
					fds[first + (shape->any ? 0 : queue)], port, queue, err);
		first += shape->any ? 1 : port->queues;
	}
	return ret;
}

int wm_xsk__enter(const struct wm_xsk *xsk, int xskmap_fd, uint32_t consumer, struct wm_err *err)
{
	struct wm_handover message;
	int fds[WM_HANDOVER_FDS];

	wm_xsk__describe(xsk, WM_HANDOVER_OFFER, &message);
	wm_xsk__fds(xsk, fds);
	return wm_xsk_shape__enter(&message.shape, fds + 1, xskmap_fd, consumer, err);
}
