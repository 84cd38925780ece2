/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reals are drained, disabled and enabled by people. It is a change like a reload: what can be
 * refused is checked, then it is kept in the file, planned and carried out; if one of these
 * fails, all is as it was before.
 */
#ifndef WM_BYHAND_H
#define WM_BYHAND_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "admin.h"
#include "err.h"
#include "timer.h"
#include "worker.h"

struct wm_apply;
struct wm_byhand_order;
struct wm_health;
struct wm_running;

struct wm_byhand_parts {
	const struct wm_running *running;
	struct wm_apply *apply;
	struct wm_health *health;
	struct wm_admin *admin; /* what holds now; written here alone */
	/* The order of this number has ended, well or not. */
	void (*ended)(void *arg, uint64_t number);
	void *arg;
};

struct wm_byhand_wish {
	const char *real; /* address, or name of a local consumer */
	const char *vip;  /* name; NULL: all that have the real */
	enum wm_admin_state state;
	bool force;       /* also where nobody is left */
};

struct wm_byhand {
	struct wm_byhand_parts with;
	char *path;               /* of the file */
	struct wm_worker *worker;
	struct wm_timer timer;
	struct wm_byhand_order *first, **last; /* the first one is under way, if busy */
	bool busy, waits; /* waits: for a change under way */
	unsigned int n;           /* of these orders */
	uint64_t number;          /* of the latest one */
	struct wm_admin other;    /* what is to hold; once it does, what held before */
	struct wm_err saved;
	int save_error;
	/* Of the one that ended last, for people. */
	int error;
	struct wm_err why;
	char *summary, *notes;    /* notes: a line each; NULL: no memory */
};

/* Reads the file, too; what is wrong with that is told in the log, and all are enabled then.
 * 0 or -errno. */
int wm_byhand__init(struct wm_byhand *byhand, sd_event *event,
		    const struct wm_byhand_parts *with);
void wm_byhand__free(struct wm_byhand *byhand);

/* The number of the order, which begins when those before it have ended; or 0 and what is wrong
 * with it, *ret being the errno. */
uint64_t wm_byhand__order(struct wm_byhand *byhand, const struct wm_byhand_wish *wish, int *ret,
			  struct wm_err *err);

/* Another configuration runs: reals that it does not have are forgotten. */
void wm_byhand__forget(struct wm_byhand *byhand);

#endif
