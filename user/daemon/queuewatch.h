/* SPDX-License-Identifier: GPL-2.0 */
/* Watches the receive queues that are served: one may be stopped, or lose its program,
 * under us. On kernels that tell. */
#ifndef WM_QUEUEWATCH_H
#define WM_QUEUEWATCH_H

#include <systemd/sd-event.h>

struct wm_daemon;
struct wm_queues;
struct mnl_socket;

struct wm_queuewatch {
	struct wm_queues *queues;
	struct mnl_socket *socket;
	sd_event_source *io;
};

/* The program must be attached by then. A kernel that tells nothing is no error. */
void wm_queuewatch__start(struct wm_daemon *daemon);
void wm_queuewatch__stop(struct wm_queuewatch *watch);

#endif
