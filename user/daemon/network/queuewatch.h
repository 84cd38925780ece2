/* SPDX-License-Identifier: GPL-2.0 */
/* Watches the receive queues that are served: somebody may stop one or take its program
 * off. Works on kernels that send notifications of queues. */
#ifndef WM_QUEUEWATCH_H
#define WM_QUEUEWATCH_H

#include <systemd/sd-event.h>

struct wm_links;
struct wm_queues;
struct wm_running;
struct mnl_socket;

struct wm_queuewatch {
	const struct wm_links *links;
	const struct wm_running *running;
	struct wm_queues *queues;
	struct mnl_socket *socket;
	sd_event_source *io;
};

/* The program must be attached by then. A kernel that tells nothing is no error. */
void wm_queuewatch__start(struct wm_queuewatch *watch, sd_event *event,
			  const struct wm_links *links, const struct wm_running *running);
void wm_queuewatch__stop(struct wm_queuewatch *watch);

#endif
