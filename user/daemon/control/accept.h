/* SPDX-License-Identifier: GPL-2.0 */
/* Accepts connections to a listening socket, even when the process has no descriptor left. */
#ifndef WM_ACCEPT_H
#define WM_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "timer.h"

struct wm_accept {
	sd_event_source *io;
	struct wm_timer again; /* after a pause */
	int listener, spare;
	const char *what;      /* whose, for the log */
	uint64_t told_ns;
	void (*take)(void *arg, int fd);
	void (*refuse)(void *arg, int fd);
	bool (*full)(void *arg);
	void *arg;
};

/*
 * take() gets each connection, close-on-exec and non-blocking. Where the process or the
 * system is out of descriptors, refuse() gets it instead: say why, and close it at once.
 * Both own the descriptor. If not even that is possible, or full() (may be NULL) says that
 * there is no place for one just now, listening pauses for a moment, since a connection that
 * waits would wake the loop again and again. 0 or -errno.
 */
int wm_accept__start(struct wm_accept *accept, sd_event *event, int listener, const char *what,
		     void (*take)(void *arg, int fd), void (*refuse)(void *arg, int fd),
		     bool (*full)(void *arg), void *arg);
/* Also of one that is {} or failed to start. The listener stays open. */
void wm_accept__stop(struct wm_accept *accept);

#endif
