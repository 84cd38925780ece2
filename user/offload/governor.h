/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much is asked of a NIC that takes rules. What it bears is learned from how long it takes,
 * what it refuses and what it loses; see Documentation/design/2026-12-01-governor.md. Times and
 * outcomes come in by argument, decisions go out: nothing here asks a clock or a NIC.
 *
 * Rate.      A rule costs the NIC's time, which is measured. A part of each second is spent on
 *            rules and no more, so that a NIC that gets slower under load is given less of it.
 * Trouble.   Where rules are refused as if the NIC were busy, get no answer or get lost, a smaller
 *            share of that rate is asked for, and more again once it is over.
 * Capacity.  A refusal for lack of space says how many rules there are room for. It is
 *            forgotten in steps, each of which the NIC has to confirm.
 * Demand.    While more flows are offered than can get a rule, flows have to have more packets
 *            before they are offered. In a flood, flows that do not come again get no rule.
 */
#ifndef WM_GOVERNOR_H
#define WM_GOVERNOR_H

#include <stdbool.h>
#include <stdint.h>

#include "pace.h"

enum {
	WM_GOVERNOR_BATCH = 256,    /* rules of one call, at most */
	WM_GOVERNOR_MEMORY = 65536, /* flows that are known to have been offered */
	WM_GOVERNOR_NO_LIMIT = UINT32_MAX,
};

struct wm_governor_options {
	uint32_t installs_per_second; /* at most */
	uint32_t promote_after;       /* packets, at least; 0: flows are not promoted */
};

/* What one kind of request costs: the time of one rule, as it was lately. */
struct wm_governor_cost {
	uint64_t ns;
	bool known;
};

struct wm_governor {
	struct wm_governor_options options;
	/* Rate. */
	struct wm_governor_cost install, remove;
	struct wm_bucket bucket; /* rules that may be installed */
	int64_t credit_ns;       /* time that may be spent on rules */
	uint64_t credit_at;
	/* Trouble. */
	uint32_t share; /* of the rate, in 1024ths */
	uint32_t asked, accepted, troubled;
	/* Late answers. */
	uint32_t answered, waiting;
	/* Capacity. */
	uint32_t capacity, step;
	/* Demand. */
	uint64_t since; /* the window of a second that is counted now */
	uint32_t fresh, repeated, placeless;
	uint32_t ask;
	bool flood;
	uint32_t memory[WM_GOVERNOR_MEMORY];
};

/* `governor` is zeroed. */
void wm_governor__init(struct wm_governor *governor, const struct wm_governor_options *options);
void wm_governor__configure(struct wm_governor *governor,
			    const struct wm_governor_options *options);

/* Time passes. `waiting`: rules that the NIC has not answered for. */
void wm_governor__tick(struct wm_governor *governor, uint32_t waiting, uint64_t now);

/* Rules that may be installed now, and removed, by one call; 0: none before
 * wm_governor__when(), which says when `n` more may be installed. */
uint32_t wm_governor__installs(const struct wm_governor *governor);
uint64_t wm_governor__allowed(const struct wm_governor *governor); /* by calls that follow */
uint32_t wm_governor__removals(const struct wm_governor *governor);
uint64_t wm_governor__when(const struct wm_governor *governor, uint32_t n);

/* A call of the backend took so long. Of the `n` rules `answered` have been answered for. */
void wm_governor__installed(struct wm_governor *governor, uint32_t n, uint32_t answered,
			    uint64_t took_ns);
void wm_governor__removed(struct wm_governor *governor, uint32_t n, uint64_t took_ns);
/* The answer to a rule that was waiting. */
void wm_governor__answer(struct wm_governor *governor);
/* A rule is in the NIC; was refused, or got no answer; was in it and is lost. Refusals that
 * say nothing about the NIC's load are left out. */
void wm_governor__accepted(struct wm_governor *governor);
void wm_governor__refused(struct wm_governor *governor, int error);
void wm_governor__lost(struct wm_governor *governor);

/* There was no space for one more than `rules`. */
void wm_governor__full(struct wm_governor *governor, uint32_t rules);
/* Once in a while, with so many rules in the NIC. */
void wm_governor__reading(struct wm_governor *governor, uint32_t rules);

/* A flow without a rule is offered; `hash` is its own. May it get one? */
bool wm_governor__offer(struct wm_governor *governor, uint64_t hash);
/* One that was taken found no place: it was no question of the rate. */
void wm_governor__no_place(struct wm_governor *governor);

/* What was learned: installs per second that the NIC manages (0: not known yet), rules that it
 * has room for (WM_GOVERNOR_NO_LIMIT: it has not said); and what follows: installs per second,
 * and packets after which flows are to be offered. */
uint32_t wm_governor__rate(const struct wm_governor *governor);
uint32_t wm_governor__capacity(const struct wm_governor *governor);
uint32_t wm_governor__pace(const struct wm_governor *governor);
uint32_t wm_governor__ask(const struct wm_governor *governor);
bool wm_governor__in_flood(const struct wm_governor *governor);

#endif
