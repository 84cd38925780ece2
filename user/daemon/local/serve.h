/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One request of a local consumer, on a worker's thread: making AF_XDP sockets waits for
 * queues that the last consumer has just left, closing them waits for the driver, and what a
 * stranger passes may make any system call wait.
 */
#ifndef WM_SERVE_H
#define WM_SERVE_H

#include "err.h"
#include "handover.h"

/* All of it is the worker's own: nothing else has to live as long. */
struct wm_serving {
	void *whose; /* for the loop, when it is done */
	int sock;  /* another descriptor of the peer's; -1: there are only sockets to close */
	uint32_t kind; /* enum wm_handover_kind: what it wants */

	char device[WM_XSK_DEVICES_MAX][IF_NAMESIZE];
	const char *devices[WM_XSK_DEVICES_MAX];
	struct wm_xsk_options options;

	struct wm_handover_fds old; /* to be closed before anything else */

	int ret;
	struct wm_err err;
	/* If ret is 0: what to answer, and the memory's descriptor and the sockets', in
	 * the order of a message. Else there may be some all the same. */
	struct wm_handover offer;
	struct wm_handover_fds fds;
	struct wm_handover_fds waste; /* what nobody needs: for a closer */
};

/* NULL: out of memory. */
struct wm_serving *wm_serving__new(void *whose);
/* For wm_worker__start(); arg is the struct above. */
void wm_serving__work(void *arg);

#endif
