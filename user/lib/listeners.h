/* SPDX-License-Identifier: GPL-2.0 */
/* What listens on this machine (in this network namespace) for TCP and UDP. */
#ifndef WM_LISTENERS_H
#define WM_LISTENERS_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"

enum { WM_LISTENER_NAME = 24 };

struct wm_listener {
	struct wm_addr address; /* no address: every one that `families` says */
	uint8_t families;       /* bits 1 << enum wm_family, if there is no address */
	uint8_t proto;
	__be16 port;
	uint32_t inode;         /* of its socket */
	char name[WM_LISTENER_NAME]; /* of a process that has it; wm_listeners__name() */
};

struct wm_listeners {
	struct wm_listener *list;
	size_t n;
};

/* Every TCP socket that listens, every UDP socket that is not connected. 0 or -errno, with
 * what was found until then. */
int wm_listeners__find(struct wm_listeners *listeners);
void wm_listeners__free(struct wm_listeners *listeners);

/* Does this one get packets for the address? */
bool wm_listener__takes(const struct wm_listener *listener, const struct wm_addr *address);

/* Look for processes that have these sockets: as many as /proc shows to the caller. Takes
 * a while where there are many; names that are not found stay "". */
void wm_listeners__name(struct wm_listener *list, size_t n);

#endif
