/* SPDX-License-Identifier: GPL-2.0 */
/* The offload backend that the configuration asks for, and the rules in it. */
#ifndef WM_NIC_H
#define WM_NIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "err.h"
#include "model.h"
#include "offload.h"
#include "rules.h"
#include "steering.h"
#include "timer.h"

struct wm_daemon;

/* What takes the rules of one interface, or of all. */
struct wm_nic_card {
	const char *interface; /* the configuration's */
	size_t position;       /* there */
	struct wm_offload *off;
	struct wm_rules *rules;
	struct wm_steering *steering;
	bool way_in_vain; /* rules made way for steering rules, and nothing came of it */
	struct wm_daemon *daemon;
};

struct wm_nic {
	const struct wm_offload_ops *ops;
	struct wm_nic_card *card;
	size_t n;
	uint32_t mark_bits;   /* what all of them carry; 0: no NIC */
	struct wm_timer timer;
};

/* Choose and open the backend. Nothing is installed. */
int wm_nic__open(struct wm_nic *nic, const struct wm_config *config, struct wm_err *err);
/* Can rules be installed at all? */
bool wm_nic__works(const struct wm_nic *nic);
/* The width of marks to plan for. */
uint32_t wm_nic__mark_bits(const struct wm_nic *nic);
/* How many locations of rules it hands up in place of marks; 0: marks. */
uint32_t wm_nic__locations(const struct wm_nic *nic);

/* Rules and steering rules, without changing the NIC's; then what it holds, reconciled, and from
 * then on its life. Stop leaves the rules in the NIC. */
int wm_nic__start(struct wm_daemon *daemon, struct wm_err *err);
int wm_nic__reconcile(struct wm_daemon *daemon, struct wm_err *err);
void wm_nic__stop(struct wm_nic *nic);
/* The queues of a new configuration are others: every rule goes (two seconds at most are
 * waited for that), and those that come lead to the new ones. */
void wm_nic__move(struct wm_nic *nic, const struct wm_config *config);
/* Take over what a new configuration says about rules. */
void wm_nic__configure(struct wm_nic *nic, const struct wm_config *config);
/* There is something to do: do not wait for the timer's time. */
void wm_nic__hurry(struct wm_nic *nic);
/* Wait until every deletion under way has ended, `ms` at most. */
void wm_nic__settle(struct wm_nic *nic, uint32_t ms);
/* Delete every rule, waiting `ms` at most. Returns how many are left. */
uint64_t wm_nic__retire_all(struct wm_nic *nic, uint32_t ms);

/* As in rules.h, on every card; sums of their numbers, and what one of them says of a
 * flow: that which had most of its packets. */
void wm_nic__offer(struct wm_nic *nic, const struct wm_flow *flow, uint32_t mark, uint64_t now);
void wm_nic__close_flow(struct wm_nic *nic, const struct wm_flow *flow, uint64_t now);
void wm_nic__retire_mark(struct wm_nic *nic, uint32_t mark, uint64_t now);
bool wm_nic__mark_in_use(const struct wm_nic *nic, uint32_t mark);
void wm_nic__stats(const struct wm_nic *nic, struct wm_rules_stats *out);
bool wm_nic__find(const struct wm_nic *nic, const struct wm_flow *flow, struct wm_rule_view *out);
/* Of all cards together; false: one of them does not say. */
bool wm_nic__room(const struct wm_nic *nic, struct wm_offload_room *sum);
/* Whose card is it? NULL: it is all interfaces'. */
const char *wm_nic__interface(const struct wm_nic *nic, size_t i);

/* The live destination that a mark names, or NULL. */
const struct wm_model_dest *wm_nic__dest_of(const struct wm_daemon *daemon, uint32_t mark);

#endif
