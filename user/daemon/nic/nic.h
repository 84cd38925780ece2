/* SPDX-License-Identifier: GPL-2.0 */
/* The offload backend that the configuration asks for, and the rules in it. */
#ifndef WM_NIC_H
#define WM_NIC_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "err.h"
#include "marks.h"
#include "model.h"
#include "offload.h"
#include "rules.h"
#include "steering.h"
#include "timer.h"

struct wm_running;

/* What is awaited of a NIC, and what comes then: when it is so, or when the time is over. */
struct wm_nic_wait {
	uint64_t until_ns; /* 0: nothing is awaited */
	void (*done)(void *arg);
	void *arg;
};

/* What takes the rules of one interface, or of all. */
struct wm_nic_card {
	char interface[IF_NAMESIZE];
	size_t position; /* in the configuration */
	bool mac;        /* its rules write marks into source addresses */
	struct wm_offload *off;
	struct wm_rules *rules;
	struct wm_steerer *steerer; /* NULL: the NIC takes no steering rules */
	struct wm_steering *steering;
	struct wm_nic_wait settling; /* for deletions to end */
	uint32_t way;     /* steering rules that rules of flows make way for */
	bool way_in_vain; /* they did, and nothing came of it */
};

struct wm_nic {
	const struct wm_running *running; /* since wm_nic__start() */
	const struct wm_offload_ops *ops;
	struct wm_nic_card *card;
	size_t n;
	enum wm_lane lane;    /* that the file asks for */
	char why[160];        /* why not one of the driver's own lanes; "": it is */
	struct wm_marks marks;
	uint32_t mark_bits;   /* what all of them carry; 0: no NIC */
	struct wm_nic_wait moving; /* for every rule to be gone */
	struct wm_nic_wait quiet;  /* for no card to await anything */
	struct wm_timer timer;
};

/* Choose and open the backend. Nothing is installed. */
int wm_nic__open(struct wm_nic *nic, const struct wm_config *config, struct wm_err *err);
/* A part of opening: by which lane do this card's marks come? That of the file's choice, or the
 * first that there is; what is not there is refused. With none: -EOPNOTSUPP if `choose` (nobody
 * asked for this backend), else a warning. */
int wm_nic__settle_lane(struct wm_nic *nic, size_t card, bool choose, struct wm_err *err);
/* Can rules be installed at all? */
bool wm_nic__works(const struct wm_nic *nic);
/* The width of marks to plan for. */
uint32_t wm_nic__mark_bits(const struct wm_nic *nic);
/* Can they, and does it bring anything? */
bool wm_nic__promotes(const struct wm_nic *nic);
/* Do rules write marks into source addresses? Those of one card at least. */
bool wm_nic__mac_lane(const struct wm_nic *nic);
/* How many locations of rules it hands up in place of marks; 0: marks. */
uint32_t wm_nic__locations(const struct wm_nic *nic);

/* Rules and steering rules, without changing the NIC's; then what it holds, reconciled, and from
 * then on its life. Stop leaves the rules in the NIC. */
int wm_nic__start(struct wm_nic *nic, sd_event *event, const struct wm_running *running,
		  struct wm_err *err);
int wm_nic__reconcile(struct wm_nic *nic, struct wm_err *err);
void wm_nic__stop(struct wm_nic *nic);
/*
 * The queues of a new configuration are others: every rule goes, and those that come lead to
 * the new ones. `done` is called from the loop when all have gone, after two seconds at the
 * latest. Until wm_nic__configure() none comes.
 */
void wm_nic__move(struct wm_nic *nic, const struct wm_config *config, void (*done)(void *arg),
		  void *arg);
/* `done` is called from the loop when every deletion under way in this card has ended, `ms`
 * from now at the latest. */
void wm_nic__when_settled(struct wm_nic *nic, struct wm_nic_card *card, uint32_t ms,
			  void (*done)(void *arg), void *arg);
/* `done` is called when no card awaits the end of its deletions any more: at once, or from
 * the loop. */
void wm_nic__when_quiet(struct wm_nic *nic, void (*done)(void *arg), void *arg);
/* Take over what a new configuration says about rules. */
void wm_nic__configure(struct wm_nic *nic, const struct wm_config *config);
/* There is something to do: do not wait for the timer's time. */
void wm_nic__hurry(struct wm_nic *nic);
/* Before the loop runs and after it only: wait until every deletion under way has ended and
 * nobody awaits one, `ms` at most. */
void wm_nic__settle(struct wm_nic *nic, uint32_t ms);
/* There as well: delete every rule, waiting `ms` at most. Returns how many are left. */
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
bool wm_nic__usage(const struct wm_nic *nic, struct wm_offload_usage *sum);
/* Whose card is it? NULL: it is all interfaces'. */
const char *wm_nic__interface(const struct wm_nic *nic, size_t i);

/* The live destination that a mark names, or NULL. */
const struct wm_model_dest *wm_nic__dest_of(const struct wm_nic *nic, uint32_t mark);

#endif
