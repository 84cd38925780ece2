/* SPDX-License-Identifier: GPL-2.0 */
/* Watches the interfaces that are served: a link may be deleted or lose its
 * program under us. */
#ifndef WM_LINKS_H
#define WM_LINKS_H

#include <stddef.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "err.h"

struct wm_daemon;
struct mnl_socket;

struct wm_links {
	struct mnl_socket *socket;
	sd_event_source *io;
	int *ifindex; /* by position in the configuration; 0: gone */
	size_t n;
};

/* Look the interfaces up; from wm_links__start() on they are watched. The program
 * must be attached by then. */
int wm_links__open(struct wm_links *links, const struct wm_config *config, struct wm_err *err);
int wm_links__start(struct wm_daemon *daemon, struct wm_err *err);
void wm_links__close(struct wm_links *links);

#endif
