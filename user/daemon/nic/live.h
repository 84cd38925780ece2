/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How many flows each destination has now: the entries of the flow table, and rules of
 * the NIC, whose flows no longer change their entries. Counted when somebody asks, in
 * slices, so that only the one who asked waits for it.
 */
#ifndef WM_LIVE_H
#define WM_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timer.h"

struct wm_census;
struct wm_nic;
struct wm_running;

enum { WM_LIVE_TCP_IDLE_S = 900 }; /* a TCP flow without a packet for so long does not count */

struct wm_live {
	const struct wm_running *running;
	const struct wm_nic *nic;
	void (*counted)(void *arg);
	void *arg;
	struct wm_timer timer;
	struct wm_census *census; /* under way */
	uint32_t *found;          /* what the last one found, by destination */
	bool busy, known;         /* known: the last one came to its end */
	bool rules;               /* the table is through, the rules are not */
	size_t at;                /* where it is: place of the table, */
	size_t card;              /* card, and place of its rules */
	uint32_t rule;
	uint64_t number;          /* of those that have ended */
	uint64_t cost_ns;         /* of the one under way so far, or of the last */
	uint64_t ended_ns;
};

/* `counted` is called from the loop when a count has ended. 0 or -errno. */
int wm_live__init(struct wm_live *live, sd_event *event, const struct wm_running *running,
		  const struct wm_nic *nic, void (*counted)(void *arg), void *arg);
void wm_live__free(struct wm_live *live);

/* A count that is not old: 0 if there is one, else the number of the one that will be:
 * live->number is that when it has ended. */
uint64_t wm_live__want(struct wm_live *live);
/* What the last count found; false: it failed. */
bool wm_live__of(const struct wm_live *live, uint16_t dest, uint32_t *flows);

#endif
