/* SPDX-License-Identifier: GPL-2.0 */
/* A configuration made true in the data plane. */
#ifndef WM_APPLY_H
#define WM_APPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "err.h"
#include "model.h"
#include "worker.h"

struct wm_daemon;

/* One change: what is wanted, and the way there. */
struct wm_change {
	struct wm_config view; /* the configuration as far as it can be served now */
	struct wm_plan *plan;
	int error;             /* of planning; then err says why */
	struct wm_err err;
};

/* ret: 0 and a summary, or -errno and what is wrong; for people. */
typedef void (*wm_apply_done)(struct wm_daemon *daemon, int ret, const char *text);

struct wm_apply {
	struct wm_worker *worker;
	struct wm_change change; /* under way, if busy */
	wm_apply_done done;
	bool busy, hops_due;
};

int wm_apply__init(struct wm_daemon *daemon);
void wm_apply__free(struct wm_apply *apply); /* waits for a plan that is being made */

/*
 * Plan and carry out the way from what the data plane holds to `config`, with
 * reals of unknown next hop kept out of the rings. On failure nothing has
 * changed. `summary` (may be NULL) gets what was done, for people.
 */
int wm_apply__config(struct wm_daemon *daemon, const struct wm_config *config, char *summary,
		     size_t size, struct wm_err *err);
/*
 * The same without holding up the loop: `done` is called from it in the end. `config`
 * stays as it is until then. -EBUSY: another change is under way; -ENOMEM.
 */
int wm_apply__start(struct wm_daemon *daemon, const struct wm_config *config, wm_apply_done done);

/* Before the first vip is published: what packets need besides. */
void wm_apply__control_page(struct wm_daemon *daemon, const struct wm_config *config);

/* Next hops became known or changed: now, or after the change under way. */
void wm_apply__hops(struct wm_daemon *daemon);
/* What had to wait for a change or a reload, which is over. */
void wm_apply__catch_up(struct wm_daemon *daemon);

#endif
