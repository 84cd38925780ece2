/* SPDX-License-Identifier: GPL-2.0 */
/* Carries a configuration out in the data plane. */
#ifndef WM_APPLY_H
#define WM_APPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "err.h"
#include "model.h"
#include "worker.h"

struct wm_admin;
struct wm_health;
struct wm_hops;
struct wm_local;
struct wm_nic;
struct wm_ownaddr;
struct wm_retire;
struct wm_running;
struct wm_uplinks;

/* What a change is made of, and what it is told to. */
struct wm_apply_parts {
	struct wm_running *running;
	const char *file;             /* of the configuration, for the log */
	const struct wm_uplinks *uplinks;
	const struct wm_hops *hops;   /* NULL: no next hop is known but those that are given */
	const struct wm_local *local; /* NULL: no consumer is there */
	const struct wm_health *health; /* NULL: nobody is checked */
	const struct wm_admin *admin;   /* NULL: everybody is enabled */
	struct wm_nic *nic;
	struct wm_retire *retire;
	struct wm_ownaddr *ownaddr;
};

/* One change: what is wanted, and the way there. */
struct wm_change {
	struct wm_config view; /* the configuration as far as it can be served now */
	const struct wm_guard *guard;
	struct wm_plan *plan;
	int error;             /* of planning; then err says why */
	struct wm_err err;
};

/* ret: 0 and a summary, with the changes one by one (plan->changes), or -errno and what is
 * wrong; for people. */
typedef void (*wm_apply_done)(void *arg, int ret, const char *text, const char *changes);

struct wm_apply {
	struct wm_apply_parts with;
	struct wm_worker *worker;
	struct wm_change change; /* under way, if busy */
	wm_apply_done done;
	void *arg;
	bool busy, due;
	bool held; /* by a reload */
};

/* 0 or -errno. */
int wm_apply__init(struct wm_apply *apply, sd_event *event, const struct wm_apply_parts *with);
void wm_apply__free(struct wm_apply *apply); /* waits for a plan that is being made */

/*
 * Plan and carry out the way from what the data plane holds to `config`, with
 * reals of unknown next hop kept out of the rings. On failure nothing has
 * changed. What was done goes to the log. guard: see wm_plan__guard(); -EPERM is its.
 */
int wm_apply__config(struct wm_apply *apply, const struct wm_config *config,
		     const struct wm_guard *guard, struct wm_err *err);
/*
 * The same without holding up the loop: `done` is called from it in the end. `config`
 * and `guard` stay as they are until then. -EBUSY: another change is under way; -ENOMEM.
 */
int wm_apply__start(struct wm_apply *apply, const struct wm_config *config,
		    const struct wm_guard *guard, wm_apply_done done, void *arg);

/* Can it be given new flows, as far as the way there is concerned? */
bool wm_apply__is_there(const struct wm_apply *apply, const struct wm_config *config,
			const struct wm_addr *real);

/* Into the log, a line each. NULL: there was no memory for them. */
void wm_apply__tell(const char *changes);

/* Before the first vip is published: what packets need besides. */
void wm_apply__control_page(const struct wm_apply *apply, const struct wm_config *config);

/* Next hops became known or changed, a local consumer came or went, or a real is up or down
 * by its check: now, or after the change under way. */
void wm_apply__again(struct wm_apply *apply);
/* A reload has its file: it will bring along what wm_apply__again() is asked for, which waits. */
void wm_apply__hold(struct wm_apply *apply, bool hold);
/* What had to wait for a change or a reload, which is over. */
void wm_apply__catch_up(struct wm_apply *apply);

#endif
