/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A NIC for the tests of user/offload/rules.c that does what a test tells it:
 * refuse, delay, lose, fill up; and a world around it with a clock that stands
 * still until a test moves it. Flow number n is the flow with n in its source
 * address, so the NIC's table is an array.
 */
#ifndef SELFTEST_FAKE_NIC_H
#define SELFTEST_FAKE_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include "rules.h"

#define MS 1000000ull
#define SECOND (1000 * MS)
#define T0 (1000 * SECOND) /* when every test begins */

enum { FLOWS = 4096, PENDING_MAX = 4096 };

struct slot {
	bool in;
	uint32_t mark;
	uint64_t packets, bytes, used;
};

struct wm_offload {
	struct wm_offload_caps caps;
	struct slot slot[FLOWS];
	uint32_t n, most; /* rules in it now, and ever */
	/* What it does wrong. */
	uint32_t full_at;    /* 0: never */
	int install_error, remove_error, list_error;
	uint32_t error_every; /* 0: every install */
	uint32_t answers;     /* most that one poll tells; 0: all */
	bool lose_installs, lose_removals, late;
	bool no_packets; /* it tells when a rule was used, not how often */
	/* How long it takes for each rule; so much more in every second call; and in the
	 * next one only. The world's clock is late by what was spent. */
	uint64_t install_ns, jitter_ns, stall_ns, remove_ns;
	uint64_t spent_ns, longest_ns; /* since the last tick; and by one call */
	/* What it was asked. */
	uint32_t asked, removals, calls;
	struct wm_rule pending[PENDING_MAX];
	uint32_t n_pending;
};

extern const struct wm_offload_ops nic_ops;

uint32_t nic_number(const struct wm_flow *flow);
struct wm_flow nic_flow_of(uint32_t n);
/* Behind the back of the rules: a rule appears, or is lost. */
int nic_put(struct wm_offload *nic, const struct wm_rule *rule);
void nic_drop(struct wm_offload *nic, uint32_t n);

struct world {
	struct wm_offload nic;
	struct wm_rules *rules;
	struct wm_rules_options options;
	uint64_t now;
	int active[FLOWS], used[FLOWS], gone[FLOWS]; /* calls of the hooks */
	bool outdated[FLOWS]; /* what the hooks answer: the rule is not wanted any more */
};

/* Fixtures of cmocka. The rules are made with 1000 rules, 10000 installs a
 * second, 4 s of idle time and marks of 16 bits; for others, change
 * w->options or w->nic.caps and restart. */
int world_set_up(void **state);
int world_tear_down(void **state);
void world_restart(struct world *w);

void world_offer(struct world *w, uint32_t n, uint32_t mark);
void world_offer_range(struct world *w, uint32_t from, uint32_t to, uint32_t mark);
void world_close_flow(struct world *w, uint32_t n);
void world_tick(struct world *w);
/* As a daemon would: sleep until the time that tick() names. Fails if the rules
 * would keep the daemon awake. */
void world_run(struct world *w, uint64_t ns);
/* Ten packets for each of these flows that has a rule in the NIC. */
void world_traffic(struct world *w, uint32_t from, uint32_t to);
/* Long enough for `n` readings, with packets for some flows in each. */
void world_readings(struct world *w, int n, uint32_t busy_from, uint32_t busy_to);

struct wm_rules_stats world_stats(const struct world *w);
int world_state_of(const struct world *w, uint32_t n); /* -1: no such rule */
bool world_in_nic(const struct world *w, uint32_t n, uint32_t mark);

#endif
