/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Steering rules: where the balancer has only some receive queues of a NIC, rules there
 * lead every packet for a vip to them, first ones and SYNs too. Which rules, and what to
 * do about a NIC that does not take them. Time comes in by argument (ns, CLOCK_MONOTONIC).
 */
#ifndef WM_STEERING_H
#define WM_STEERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "queueset.h"
#include "steer_ops.h"

enum {
	/* Rules of one vip at most: flows of many vips meet on the queues anyway. */
	WM_STEER_SHARES_MAX = 16,
	/* Rules together at most, unless there are more vips: NICs' tables are small, and
	 * flows want places there too. */
	WM_STEER_RULES_MAX = 1024,
};

/* So often it is seen to that they are there, for each 256 of them: a look lists them. */
#define WM_STEER_LOOK_NS 5000000000ull

/* What a rule is for. */
struct wm_steer_vip {
	__be32 address[4]; /* as in struct wm_flow */
	__be16 port;       /* 0: every port */
	uint8_t family, proto;
};

/* Into how many parts the packets of each vip are divided: a power of two. */
uint32_t wm_steer__shares(size_t queues, size_t vips);
/* The rules of one vip, so many parts over these queues (of which there is one at least). */
void wm_steer__rules(const struct wm_steer_vip *vip, uint32_t shares,
		     const struct wm_queueset *queues, struct wm_steer *rules);

struct wm_steering;

struct wm_steering_stats {
	uint32_t vips;    /* that are to be led */
	uint32_t steered; /* of them: those that are */
	uint32_t rules;   /* in the NIC */
	char why[WM_STEER_WORDS + 64]; /* why not all, or ""; for people */
};

/* NULL: no memory. Nothing is asked of the NIC yet. `ops` may be NULL: the NIC takes no such
 * rules; else `steerer` is open, and stays the caller's. `backend` is for people. */
struct wm_steering *wm_steering__new(const struct wm_steer_ops *ops, struct wm_steerer *steerer,
				     const char *backend, const char *interface);
/* Rules stay in the NIC. NULL is fine. */
void wm_steering__free(struct wm_steering *steering);
/* From the next tick on: these vips to these queues. No vip, or no queue: no rule. 0, or
 * -ENOMEM and all is as before. */
int wm_steering__want(struct wm_steering *steering, const struct wm_steer_vip *vips, size_t n,
		      const struct wm_queueset *queues);
/* While the device is away (or back, and without the program) no rule goes in. */
void wm_steering__hold(struct wm_steering *steering, bool hold);
/* Make it so, if it is time. Returns when to call again. */
uint64_t wm_steering__tick(struct wm_steering *steering, uint64_t now);
/* How many rules the NIC's table has no room for; 0: it is not full. */
uint32_t wm_steering__missing(const struct wm_steering *steering);
/* There is more room now: with the next tick all are tried anew. */
void wm_steering__again(struct wm_steering *steering);
void wm_steering__stats(const struct wm_steering *steering, struct wm_steering_stats *out);

#endif
