// SPDX-License-Identifier: GPL-2.0
/* Messages between daemon and consumer, from either side: of any length, with any number of
 * descriptors. None of these is lost, and what the message says is believed only as far
 * as it holds together. */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "handover.h"
#include "text.h"

enum { SCM_MAX = 253, MESSAGES = 4 };

static void put(int sock, const void *bytes, size_t len, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * SCM_MAX)];
	} control = {};
	struct iovec data = { (void *)bytes, len };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	int *fds = (int *)CMSG_DATA(&control.align);

	if (n_fds) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align = (struct cmsghdr){ CMSG_LEN(n_fds * sizeof(int)), SOL_SOCKET,
						  SCM_RIGHTS };
		for (size_t i = 0; i < n_fds; i++)
			fds[i] = sock;
	}
	fuzz_require(sendmsg(sock, &header, 0) == (ssize_t)len);
}

/* A shape that holds together, with sockets of a number that may be right. */
static void heal(struct wm_xsk_shape *shape, uint8_t how)
{
	shape->frame = WM_XSK_FRAME;
	shape->ring = WM_XSK_RING_MIN;
	shape->any = how & 1;
	shape->devices = 1 + how % WM_XSK_DEVICES_MAX;
	for (uint32_t i = 0; i < shape->devices; i++) {
		shape->device[i].name[IF_NAMESIZE - 1] = '\0';
		shape->device[i].queues = 1 + how / 32;
	}
}

/* Any bytes, or such that begin as they should. */
static size_t make(struct fuzz *in, uint8_t *bytes, size_t room)
{
	const struct wm_handover good = { .magic = WM_HANDOVER_MAGIC,
					  .version = WM_HANDOVER_VERSION };
	uint8_t how = fuzz_u8(in);
	size_t len = how & 8 ? sizeof(good) : fuzz_u16(in) % room;

	fuzz_bytes(in, bytes, len);
	if (how & 2 && len >= sizeof(good))
		memcpy(bytes, &good, 8);
	if (how & 4 && len >= sizeof(good))
		heal(&((struct wm_handover *)bytes)->shape, how);
	return len;
}

static void check_shape(const struct wm_xsk_shape *shape)
{
	uint32_t n = wm_xsk_shape__sockets(shape), sum = 0;

	fuzz_require(n <= WM_XSK_SOCKETS_MAX);
	for (uint32_t i = 0; i < shape->devices && n; i++) {
		fuzz_require(strnlen(shape->device[i].name, IF_NAMESIZE) < IF_NAMESIZE);
		sum += shape->any ? 1 : shape->device[i].queues;
	}
	fuzz_require(!n || n == sum);
}

static void check_text(const struct wm_handover *message)
{
	char text[WM_TEXT_SHOWN(sizeof(message->text))];

	wm_text__show(text, sizeof(text), message->text, sizeof(message->text));
	for (const char *at = text; *at; at++)
		fuzz_require(*at >= 0x20 && *at < 0x7f);
}

/* Sockets that are none: refused, whatever their number and shape. */
static void check_adopt(const struct wm_handover *message, const struct wm_handover_fds *fds)
{
	struct wm_xsk *xsk;
	struct wm_err err;

	fuzz_require(wm_xsk__adopt(&xsk, message, fds->fd, fds->n, &err) < 0 && !xsk);
}

static void step(int ours, int theirs, struct fuzz *in)
{
	size_t n = fuzz_u8(in) % (SCM_MAX + 1), len;
	static _Alignas(struct wm_handover) uint8_t bytes[2 * sizeof(struct wm_handover)];
	struct wm_handover message, looked;
	struct wm_handover_fds fds;
	int seen, ret;

	len = make(in, bytes, sizeof(bytes));
	put(theirs, bytes, len, n);
	seen = wm_handover__peek(ours, &looked);
	ret = wm_handover__recv(ours, &message, &fds);
	fuzz_require(fds.n == n);
	fuzz_require(!ret == (!seen && n <= WM_HANDOVER_FDS));
	if (!ret) {
		fuzz_require(len == sizeof(message) && !memcmp(&message, bytes, len) &&
			     !memcmp(&looked, bytes, len));
		check_shape(&message.shape);
		check_text(&message);
		check_adopt(&message, &fds);
	}
	wm_handover__close_fds(fds.fd, fds.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	int pair[2], next;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return 0;
	next = dup(pair[0]);
	close(next);
	for (int i = 0; i < MESSAGES && in.left; i++)
		step(pair[0], pair[1], &in);
	fuzz_require(dup(pair[0]) == next); /* none is left open */
	close(next);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
