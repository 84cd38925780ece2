// SPDX-License-Identifier: GPL-2.0
#include "handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
static void take_fds(struct msghdr *header, struct wm_handover_fds *fds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		size_t more = (c->cmsg_len - CMSG_LEN(0)) / sizeof(*fds->fd);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    more > WM_HANDOVER_TAKE - fds->n) /* more than the buffer holds cannot be */
			continue;
		memcpy(fds->fd + fds->n, CMSG_DATA(c), more * sizeof(*fds->fd));
		fds->n += more;
	}
}

static int check(const struct wm_handover *message, ssize_t len, int flags)
{
	bool ours = len == sizeof(*message) && !(flags & MSG_TRUNC) &&
		    message->magic == WM_HANDOVER_MAGIC &&
		    message->version == WM_HANDOVER_VERSION &&
		    memchr(message->text, 0, sizeof(message->text));

	return ours ? 0 : -EBADMSG;
}

static ssize_t receive(int sock, struct msghdr *header, int flags)
{
	ssize_t len = recvmsg(sock, header, MSG_CMSG_CLOEXEC | flags);

	if (len < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return len;
}

int wm_handover__recv(int sock, struct wm_handover *message, struct wm_handover_fds *fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(fds->fd))];
	} control;
	struct iovec data = { message, sizeof(*message) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t len;

	fds->n = 0;
	memset(message, 0, sizeof(*message));
	len = receive(sock, &header, 0);
	if (len < 0)
		return len;
	take_fds(&header, fds);
	if (!len && !fds->n)
		return -EPIPE;
	if (header.msg_flags & MSG_CTRUNC || fds->n > WM_HANDOVER_FDS)
		return -EBADMSG;
	return check(message, len, header.msg_flags);
}

int wm_handover__peek(int sock, struct wm_handover *message)
{
	struct iovec data = { message, sizeof(*message) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t len;

	memset(message, 0, sizeof(*message));
	len = receive(sock, &header, MSG_PEEK);
	if (len < 0)
		return len;
	/* An empty message is no end if descriptors came with it. */
	if (!len && !(header.msg_flags & MSG_CTRUNC))
		return -EPIPE;
	return check(message, len, header.msg_flags);
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
