/* SPDX-License-Identifier: GPL-2.0 */
/* The interfaces that are served: which are there, and what they are called now. */
#ifndef WM_LINKS_H
#define WM_LINKS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "err.h"

struct wm_links {
	int *ifindex; /* by position in the configuration; 0: not there */
	bool *seen;   /* it was there once */
	char (*name)[IF_NAMESIZE]; /* what it is called now */
	size_t n;
};

/* Look the interfaces up: one at least has to be there. linkwatch.c follows them. 0 or -errno. */
int wm_links__open(struct wm_links *links, const struct wm_config *config, struct wm_err *err);
void wm_links__close(struct wm_links *links);

/* Position of the interface; links->n: none of ours. */
size_t wm_links__find(const struct wm_links *links, int ifindex);

#endif
