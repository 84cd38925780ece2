// SPDX-License-Identifier: GPL-2.0
/*
 * The memory that frames are in. It is a memfd, so that another process can map
 * it: a consumer that gets the sockets by descriptor. Its size is sealed: who
 * has it may write it, and cannot take it away from under the kernel or us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int new_memfd(size_t length)
{
	int fd = memfd_create("waymark-umem", MFD_CLOEXEC | MFD_ALLOW_SEALING), ret;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, length) && !fcntl(fd, F_ADD_SEALS, SEALS))
		return fd;
	ret = -errno;
	close(fd);
	return ret;
}

/* Somebody else's: is it what it is said to be? */
static int check_memfd(int fd, size_t length)
{
	struct stat stat;

	if (fstat(fd, &stat))
		return -errno;
	if ((size_t)stat.st_size != length || (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS)
		return -EINVAL;
	return 0;
}

static int map_area(struct wm_xsk *xsk, int memfd)
{
	int ret;

	if (memfd < 0) {
		xsk->memfd = new_memfd(xsk->length);
		if (xsk->memfd < 0)
			return xsk->memfd;
	} else {
		ret = check_memfd(memfd, xsk->length);
		if (ret)
			return ret;
		xsk->memfd = fcntl(memfd, F_DUPFD_CLOEXEC, 0);
		if (xsk->memfd < 0)
			return -errno;
	}
	xsk->area = mmap(NULL, xsk->length, PROT_READ | PROT_WRITE, MAP_SHARED, xsk->memfd, 0);
	if (xsk->area == MAP_FAILED) {
		xsk->area = NULL;
		return -errno;
	}
	return 0;
}

static size_t length_of(const struct wm_xsk *xsk, uint32_t sockets)
{
	return (size_t)sockets * xsk->fill * WM_XSK_FRAME;
}

/* Which sockets and which part of the memory are whose. */
static void lay_out(struct wm_xsk *xsk)
{
	uint32_t next = 0;

	for (uint32_t d = 0; d < xsk->n_devices; d++) {
		struct wm_xsk_device *device = &xsk->device[d];

		device->first = next;
		device->n = xsk->any ? 1 : device->port.queues;
		for (uint32_t i = 0; i < device->n; i++) {
			struct wm_xsk_queue *queue = &xsk->queue[next++];

			queue->queue = i;
			queue->area = xsk->area + length_of(xsk, device->first);
			queue->frames = length_of(xsk, i);
		}
	}
}

int wm_xsk_new(struct wm_xsk **out, const struct wm_xsk_shape *shape, int memfd,
	       struct wm_err *err)
{
	uint32_t n = wm_xsk_shape__sockets(shape);
	struct wm_xsk *xsk = calloc(1, sizeof(*xsk) + n * sizeof(*xsk->queue));
	int ret = -ENOMEM;

	if (!xsk)
		goto fail;
	for (uint32_t d = 0; d < shape->devices; d++)
		xsk->device[d].port = shape->device[d];
	xsk->n_devices = shape->devices;
	xsk->n = n;
	xsk->any = shape->any;
	xsk->ring = shape->ring;
	xsk->fill = 2 * shape->ring;
	xsk->memfd = -1;
	xsk->length = length_of(xsk, n);
	for (uint32_t i = 0; i < n; i++)
		xsk->queue[i].fd = -1;
	xsk->poll = calloc(n, sizeof(*xsk->poll));
	ret = xsk->poll ? map_area(xsk, memfd) : -ENOMEM;
	if (ret)
		goto fail;
	lay_out(xsk);
	*out = xsk;
	return 0;
fail:
	wm_xsk__close(xsk);
	return wm_err__sys(err, ret, "no memory for the packets of %s", shape->device[0].name);
}

static void unmap_rings(struct wm_xsk_queue *queue)
{
	for (int i = 0; i < 4; i++)
		if (queue->mapping[i].memory)
			munmap(queue->mapping[i].memory, queue->mapping[i].length);
}

void wm_xsk__close(struct wm_xsk *xsk)
{
	if (!xsk)
		return;
	for (uint32_t i = 0; i < xsk->n; i++) {
		struct wm_xsk_queue *queue = &xsk->queue[i];

		unmap_rings(queue);
		if (queue->socket)
			xsk_socket__delete(queue->socket);
		else if (queue->fd >= 0)
			close(queue->fd);
	}
	for (uint32_t d = 0; d < xsk->n_devices; d++)
		if (xsk->device[d].umem)
			xsk_umem__delete(xsk->device[d].umem);
	if (xsk->area)
		munmap(xsk->area, xsk->length);
	if (xsk->memfd >= 0)
		close(xsk->memfd);
	free(xsk->poll);
	free(xsk);
}
