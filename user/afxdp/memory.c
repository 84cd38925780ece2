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

int wm_xsk_new(struct wm_xsk **out, const char *device, uint32_t n, uint32_t ring, int memfd,
	       struct wm_err *err)
{
	struct wm_xsk *xsk = calloc(1, sizeof(*xsk) + n * sizeof(*xsk->queue));
	int ret = -ENOMEM;

	if (!xsk)
		goto fail;
	strncpy(xsk->device, device, sizeof(xsk->device) - 1);
	xsk->n = n;
	xsk->ring = ring;
	xsk->fill = 2 * ring;
	xsk->memfd = -1;
	xsk->length = (size_t)n * xsk->fill * WM_XSK_FRAME;
	for (uint32_t i = 0; i < n; i++)
		xsk->queue[i].fd = -1;
	xsk->poll = calloc(n, sizeof(*xsk->poll));
	ret = xsk->poll ? map_area(xsk, memfd) : -ENOMEM;
	if (ret)
		goto fail;
	*out = xsk;
	return 0;
fail:
	wm_xsk__close(xsk);
	return wm_err__sys(err, ret, "no memory for the packets of %s", device);
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
	if (xsk->umem)
		xsk_umem__delete(xsk->umem);
	if (xsk->area)
		munmap(xsk->area, xsk->length);
	if (xsk->memfd >= 0)
		close(xsk->memfd);
	free(xsk->poll);
	free(xsk);
}
