/* SPDX-License-Identifier: GPL-2.0 */
/* A configuration made true in the data plane. */
#ifndef WM_APPLY_H
#define WM_APPLY_H

#include <stddef.h>

#include "config.h"
#include "err.h"

struct wm_daemon;

/*
 * Plan and carry out the way from what the data plane holds to `config`, with
 * reals of unknown next hop kept out of the rings. On failure nothing has
 * changed. `summary` (may be NULL) gets what was done, for people.
 */
int wm_apply__config(struct wm_daemon *daemon, const struct wm_config *config, char *summary,
		     size_t size, struct wm_err *err);

/* Before the first vip is published: what packets need besides. */
void wm_apply__control_page(struct wm_daemon *daemon, const struct wm_config *config);

/* Next hops became known or changed. */
void wm_apply__hops(struct wm_daemon *daemon);

#endif
