// SPDX-License-Identifier: GPL-2.0
#include "handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inside.h"

int wm_handover__send(int sock, const struct wm_handover *message, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * WM_HANDOVER_FDS)];
	} control = {};
	struct iovec data = { (void *)message, sizeof(*message) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *rights;

	if (n > WM_HANDOVER_FDS)
		return -E2BIG;
	if (n) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(n * sizeof(*fds));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(n * sizeof(*fds));
		memcpy(CMSG_DATA(rights), fds, n * sizeof(*fds));
	}
	return sendmsg(sock, &header, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void wm_handover__close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

/* Descriptors that came along, whatever the message is: they are open now. */
static size_t take_fds(struct msghdr *header, int *fds)
{
	size_t n = 0, more;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		more = (c->cmsg_len - CMSG_LEN(0)) / sizeof(*fds);
		if (n + more > WM_HANDOVER_FDS)
			break; /* more than the buffer holds cannot be */
		memcpy(fds + n, CMSG_DATA(c), more * sizeof(*fds));
		n += more;
	}
	return n;
}

static bool is_ours(const struct wm_handover *message, ssize_t len)
{
	return len == sizeof(*message) && message->magic == WM_HANDOVER_MAGIC &&
	       message->version == WM_HANDOVER_VERSION &&
	       memchr(message->text, 0, sizeof(message->text));
}

int wm_handover__recv(int sock, struct wm_handover *message, int fds[WM_HANDOVER_FDS], size_t *n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * WM_HANDOVER_FDS)];
	} control;
	struct iovec data = { message, sizeof(*message) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t len;

	*n = 0;
	memset(message, 0, sizeof(*message));
	len = recvmsg(sock, &header, MSG_CMSG_CLOEXEC);
	if (len < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (!len)
		return -EPIPE;
	*n = take_fds(&header, fds);
	if (is_ours(message, len) && !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return 0;
	wm_handover__close_fds(fds, *n);
	*n = 0;
	return -EBADMSG;
}

uint32_t wm_xsk_shape__sockets(const struct wm_xsk_shape *shape)
{
	uint32_t ring = shape->ring, n = 0;

	if (shape->frame != WM_XSK_FRAME || ring < WM_XSK_RING_MIN || ring > WM_XSK_RING_MAX ||
	    ring & (ring - 1) || shape->any > 1 || shape->devices > WM_XSK_DEVICES_MAX)
		return 0;
	for (uint32_t i = 0; i < shape->devices; i++) {
		const struct wm_xsk_port *port = &shape->device[i];

		if (!memchr(port->name, 0, sizeof(port->name)) || !port->queues ||
		    port->queues > WM_XSK_QUEUES_MAX)
			return 0;
		n += shape->any ? 1 : port->queues;
	}
	return n <= WM_XSK_SOCKETS_MAX ? n : 0;
}

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
