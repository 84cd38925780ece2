/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Queues of network devices as the kernel's netdev family has them: list them, stop, start
 * and restart one, give one an XDP program of its own. A kernel may know only the first;
 * the others come with the patches in kernel-patches/.
 */
#ifndef WM_QUEUE_H
#define WM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "netlink.h"

enum wm_queue_type { WM_QUEUE_RX, WM_QUEUE_TX };
/* The kernel may not tell; then it is the first. */
enum wm_queue_state { WM_QUEUE_UNTOLD, WM_QUEUE_RUNNING, WM_QUEUE_STOPPED };
/* Whose memory packets of the queue go to. Nobody's: the driver's, or not told. */
enum wm_queue_memory { WM_QUEUE_OWN, WM_QUEUE_XSK, WM_QUEUE_DMABUF, WM_QUEUE_IO_URING };

/* What can be asked for, by the number of the command. */
enum wm_queue_action {
	WM_QUEUE_STOP = 64,
	WM_QUEUE_START = 65,
	WM_QUEUE_RESTART = 66,
	WM_QUEUE_SET = 67, /* wm_queues__set_program() */
};

struct wm_queue {
	int ifindex;
	uint32_t id;
	enum wm_queue_type type;
	uint32_t napi;    /* 0: none */
	enum wm_queue_memory memory;
	enum wm_queue_state state;
	uint32_t program; /* id of the queue's own XDP program; 0: none */
};

struct wm_queues;

/* -ENOSYS: this kernel does not know queues at all. Needs no privilege. */
int wm_queues__open(struct wm_queues **queues, struct wm_err *err);
int wm_queues__open_io(struct wm_queues **queues, const struct wm_nl_io *io, struct wm_err *err);
void wm_queues__close(struct wm_queues *queues);

/* Has the kernel the command? A driver may refuse it nevertheless. */
bool wm_queues__can(const struct wm_queues *queues, enum wm_queue_action action);
/* 0, or -ENOSYS and in words what is missing and what to try. */
int wm_queues__require(const struct wm_queues *queues, enum wm_queue_action action,
		       struct wm_err *err);

/* Every queue of a device (0: of all), in the kernel's order. A device that is down has
 * none. */
int wm_queues__list(struct wm_queues *queues, int ifindex,
		    void (*each)(void *arg, const struct wm_queue *queue), void *arg,
		    struct wm_err *err);
/* One receive queue as it is now. */
int wm_queues__get(struct wm_queues *queues, const char *device, uint32_t id,
		   struct wm_queue *queue, struct wm_err *err);

/* Stop, start or restart a receive queue; needs CAP_NET_ADMIN. -ENOSYS: the kernel lacks
 * the command; -EOPNOTSUPP: the driver does. */
int wm_queues__do(struct wm_queues *queues, enum wm_queue_action action, const char *device,
		  uint32_t id, struct wm_err *err);
/* Give a receive queue its own XDP program, which then runs there instead of the device's;
 * -1: take it away. Errors as above. */
int wm_queues__set_program(struct wm_queues *queues, const char *device, uint32_t id, int prog_fd,
			   struct wm_err *err);

/* A socket that hears of every queue that is changed; the caller closes it. What it
 * receives is read by wm_queue__read(). -ENOSYS: the kernel tells nothing. */
int wm_queues__listen(const struct wm_queues *queues, struct mnl_socket **socket,
		      struct wm_err *err);
/* False: the message (an answer, or a notification of a change) speaks of no queue. */
bool wm_queue__read(const struct nlmsghdr *msg, struct wm_queue *queue);

const char *wm_queue_type__name(enum wm_queue_type type);     /* "rx", "tx" */
const char *wm_queue_state__name(enum wm_queue_state state);  /* NULL: not told */
const char *wm_queue_memory__name(enum wm_queue_memory memory); /* NULL: the driver's own */

#endif
