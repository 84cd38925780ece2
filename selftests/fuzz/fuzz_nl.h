/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel that answers requests with the input. Headers are mostly those of an answer,
 * so that what reads the rest is reached; what lies in the buffer behind a datagram is
 * poisoned while it is read.
 */
#ifndef FUZZ_NL_H
#define FUZZ_NL_H

#include <errno.h>
#include <libmnl/libmnl.h>
#include <sanitizer/asan_interface.h>

#include "fuzz.h"
#include "netlink.h"

struct fuzz_kernel {
	struct fuzz *in;
	uint32_t seq;   /* of the last request */
	void *poisoned;
	size_t n_poisoned;
};

static inline void fuzz_kernel_heal(struct fuzz_kernel *k)
{
	if (k->n_poisoned)
		ASAN_UNPOISON_MEMORY_REGION(k->poisoned, k->n_poisoned);
	k->n_poisoned = 0;
}

static inline ssize_t fuzz_kernel_send(void *arg, const void *data, size_t len)
{
	struct fuzz_kernel *k = arg;

	fuzz_kernel_heal(k);
	if (len >= sizeof(struct nlmsghdr))
		k->seq = ((const struct nlmsghdr *)data)->nlmsg_seq;
	return len;
}

/* One message: its type and flags, then bytes; or plain bytes. */
static inline size_t fuzz_kernel_message(struct fuzz_kernel *k, char *to, size_t room)
{
	struct nlmsghdr head = { .nlmsg_seq = k->seq };
	uint8_t how = fuzz_u8(k->in);
	size_t len = fuzz_u16(k->in) % 1024;

	if (len > k->in->left)
		len = k->in->left;
	if (how == 0xff || room < NLMSG_HDRLEN + len + NLMSG_ALIGNTO) {
		len = len < room ? len : room;
		fuzz_bytes(k->in, to, len);
		return len;
	}
	head.nlmsg_type = how & 1 ? NLMSG_ERROR : how & 2 ? NLMSG_DONE : fuzz_u16(k->in);
	head.nlmsg_flags = (how & 4 ? NLM_F_MULTI : 0) | (how & 8 ? NLM_F_ACK_TLVS : 0) |
			   (how & 16 ? NLM_F_CAPPED : 0);
	head.nlmsg_seq += how >> 5 & 3;
	head.nlmsg_len = NLMSG_HDRLEN + len;
	memcpy(to, &head, sizeof(head));
	fuzz_bytes(k->in, to + NLMSG_HDRLEN, len);
	return MNL_ALIGN(head.nlmsg_len);
}

static inline ssize_t fuzz_kernel_receive(void *arg, void *data, size_t size)
{
	struct fuzz_kernel *k = arg;
	size_t used = 0;

	fuzz_kernel_heal(k);
	if (!k->in->left) {
		errno = EAGAIN;
		return -1;
	}
	memset(data, 0, size);
	do
		used += fuzz_kernel_message(k, (char *)data + used, size - used);
	while (k->in->left && fuzz_u8(k->in) & 1 && used + NLMSG_HDRLEN < size);
	k->poisoned = (char *)data + used;
	k->n_poisoned = size - used;
	ASAN_POISON_MEMORY_REGION(k->poisoned, k->n_poisoned);
	return used;
}

static inline void fuzz_kernel_close(void *arg)
{
	fuzz_kernel_heal(arg);
}

static inline struct wm_nl_io fuzz_kernel_io(struct fuzz_kernel *k)
{
	return (struct wm_nl_io){ fuzz_kernel_send, fuzz_kernel_receive, fuzz_kernel_close, k };
}

/* Messages are padded, and so are the buffers that they are read into: libmnl counts on it. */
static inline void *fuzz_room_for(size_t size)
{
	void *room = calloc(1, MNL_ALIGN(size) ?: 1);

	fuzz_require(room);
	return room;
}

/* The input as one message, header and all, exactly as long as it says. NULL: it is none. */
static inline struct nlmsghdr *fuzz_message(const uint8_t *data, size_t size)
{
	struct nlmsghdr *msg;

	if (size < sizeof(*msg))
		return NULL;
	msg = fuzz_room_for(size);
	memcpy(msg, data, size);
	msg->nlmsg_len = size;
	return msg;
}

#endif
