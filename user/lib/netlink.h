/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests to the kernel by netlink, many at once: each has its own answer, and
 * the words with which the kernel refuses (extended acks) are kept.
 */
#ifndef WM_NETLINK_H
#define WM_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

enum {
	WM_NL_BATCH = 128,   /* requests in one send */
	WM_NL_MESSAGE = 512, /* bytes that one request may have */
	WM_NL_WORDS = 160,   /* kept of a refusal's text */
};

/* How bytes get to the kernel. A test puts itself here. As send() and recv(): -1
 * and errno; receive never waits. */
struct wm_nl_io {
	ssize_t (*send)(void *arg, const void *data, size_t len);
	ssize_t (*receive)(void *arg, void *data, size_t size);
	void (*close)(void *arg);
	void *arg;
};

struct wm_nl;

int wm_nl__open(struct wm_nl **nl, int protocol, struct wm_err *err);
int wm_nl__open_io(struct wm_nl **nl, const struct wm_nl_io *io);
void wm_nl__close(struct wm_nl *nl);

/* Forget what was added. */
void wm_nl__begin(struct wm_nl *nl);
/* The next request, to be filled by mnl_...put...(); at most WM_NL_BATCH. */
struct nlmsghdr *wm_nl__add(struct wm_nl *nl, uint16_t type, uint16_t flags);
size_t wm_nl__added(const struct wm_nl *nl);

/* The kernel's answer to request i: 0 or -errno, and its words ("" if none). */
typedef void (*wm_nl_answer)(void *arg, size_t i, int result, const char *words);

/*
 * Send what was added and hand out the answers, in order. -EIO for a request whose
 * answer got lost: it may or may not have been done. Returns 0, or -errno if
 * nothing could be sent; then there are no answers.
 */
int wm_nl__run(struct wm_nl *nl, wm_nl_answer answer, void *arg);

/* Send the one request that was added (with NLM_F_DUMP or not) and hand out the
 * messages that come back. 0 or -errno; `words` (WM_NL_WORDS bytes) may be NULL. */
int wm_nl__ask(struct wm_nl *nl, int (*each)(const struct nlmsghdr *msg, void *arg), void *arg,
	       char *words);

/* --- reading --- */

/* The header behind the netlink header; NULL if the message is too short for one. */
const void *wm_nl__head(const struct nlmsghdr *msg, size_t size);
/* An attribute's first `size` bytes, wherever they lie; false if there are fewer, or if
 * attr is NULL. */
bool wm_nl__copy(const struct nlattr *attr, void *to, size_t size);

/*
 * Hand out what the kernel sent by itself to a socket that is in its groups; never waits.
 * Other processes may write to such a socket, too: what does not come from the kernel is
 * passed over. It ends after a number of reads, so that a flood of them does not hold up
 * who calls: the socket stays readable then. 0 or -errno; -ENOBUFS: something was missed.
 */
int wm_nl__hear(struct mnl_socket *socket, void (*each)(const struct nlmsghdr *msg, void *arg),
		void *arg);

#endif
