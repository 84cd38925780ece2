/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets from a source go by the NIC, the data plane and the daemon: the NIC
 * is card.h, the data plane's part is counting.h, and the daemon's is the code
 * that it runs itself, user/offload/rules.c, called as often as it calls it.
 */
#ifndef WM_REPLAY_H
#define WM_REPLAY_H

#include <stdint.h>

#include "counting.h"
#include "rules.h"
#include "source.h"

struct wm_replay_options {
	uint32_t capacity;            /* rules that the NIC holds */
	uint64_t install_delay_ns;
	struct wm_rules_options rules;
	struct wm_counting_options counting;
	uint64_t start;               /* time of the beginning; not 0 */
};

/* From wm_replay__measure() on. */
struct wm_replay_result {
	double seconds;
	uint64_t marked, software;    /* packets */
	uint64_t misses;              /* of these in software, not in the flow table */
	uint64_t played;              /* packets and ends of flows, from the beginning */
	double rules_mean;            /* in the NIC, over time */
	uint32_t rules_max;
	struct wm_rules_stats rules;  /* only what is counted */
	uint64_t counter[WM_COUNTERS_MAX]; /* the data plane's, but for marked packets */
};

struct wm_replay;

/* NULL: no memory. The source must outlive it. */
struct wm_replay *wm_replay__new(const struct wm_replay_options *options, struct wm_source *s);
void wm_replay__free(struct wm_replay *r);
/* Play until this time. 0 or -ENOMEM. */
int wm_replay__run(struct wm_replay *r, uint64_t until);
/* Forget what was counted so far. */
void wm_replay__measure(struct wm_replay *r);
void wm_replay__result(struct wm_replay *r, struct wm_replay_result *out);

#endif
