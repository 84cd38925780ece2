/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of rules: which flows get one, when it goes, what happens when the
 * NIC refuses. Pure logic over an offload backend; time comes in by argument
 * (ns, CLOCK_MONOTONIC), so tests need no clock.
 */
#ifndef WM_RULES_H
#define WM_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "offload.h"

struct wm_rules;

struct wm_rules_options {
	uint32_t max_rules;
	uint32_t installs_per_second; /* at most */
	uint64_t idle_ns;
	uint32_t promote_after; /* packets after which flows are offered, at least; 0: never */
};

enum wm_rule_state {
	/* candidate -> installing -> active -> deleting -> (gone)
	 * The states are described where they are drawn, in rules.c. */
	WM_RULE_CANDIDATE,
	WM_RULE_INSTALLING,
	WM_RULE_ACTIVE,
	WM_RULE_DELETING,
	WM_RULE_STATES,
};

/* Why a rule ended. */
enum wm_rule_end {
	WM_END_IDLE,
	WM_END_CLOSED,    /* the flow ended, or all rules had to go */
	WM_END_DEST_GONE,
	WM_END_EVICTED,   /* for another, or because fewer are allowed now */
	WM_END_STALE,     /* the NIC's rules were not what they should be */
	WM_ENDS,
};

struct wm_rules_stats {
	uint64_t state[WM_RULE_STATES]; /* rules in each state now */
	uint64_t candidates;            /* flows offered */
	uint64_t installed, refused, full, failed_removals;
	uint64_t ended[WM_ENDS];
	uint64_t held;                  /* offers not taken: over budget, full, or backing off */
	uint64_t packets, bytes;        /* of all rules, also of those gone, as the NIC counted */
	uint32_t max_rules;             /* as bounded by the NIC's capacity */
	bool backing_off;
	/* What was learned of the NIC, and follows from it; see governor.h. */
	uint32_t rate, room;
	uint32_t pace, ask;
	bool flood;
};

/*
 * What the outside does when a rule comes or goes. May be NULL; must not call
 * back.
 *
 * `current` is asked just before a rule goes into the NIC: shall this flow's packets
 * still carry this mark? `used` tells that the rule had packets since last time, and asks
 * the same. Whoever says no has the
 * rule deleted. `used` is told of a rule that the NIC does not give up, too.
 *
 * A flow that was offered gets one `gone`, sooner or later: also when it was
 * not taken, or refused, so that whoever counts its packets may count anew. Who
 * is held because of a full table is then offered as often as it is heavy, and so
 * wins the places that come free.
 */
struct wm_rules_hooks {
	bool (*current)(void *arg, const struct wm_rule *rule);
	void (*active)(void *arg, const struct wm_flow *flow); /* installed */
	bool (*used)(void *arg, const struct wm_rule *rule);
	void (*gone)(void *arg, const struct wm_flow *flow);   /* not in the NIC (any more) */
	/* What time it is, in ns: how long does the NIC take? NULL: no time passes while
	 * it is asked. */
	uint64_t (*clock)(void *arg);
	void *arg;
};

struct wm_rules *wm_rules__new(const struct wm_offload_ops *ops, struct wm_offload *off,
			       const struct wm_rules_options *options,
			       const struct wm_rules_hooks *hooks);
/* Before the first offer: flows are hashed by this and not by chance, so that what is simulated
 * comes out the same in every run. */
void wm_rules__seed(struct wm_rules *rules, uint64_t seed);
/* After so long without a packet the NIC has no rule of a flow, if all goes well: the idle
 * time, until it is noticed, and some more for a NIC in a hurry. */
uint64_t wm_rules__gone_after_ns(uint64_t idle_ns);
/* Frees memory; rules stay in the NIC, and the backend open. */
void wm_rules__free(struct wm_rules *rules);
void wm_rules__configure(struct wm_rules *rules, const struct wm_rules_options *options);

/*
 * What the NIC holds at start: rules with a mark for which `valid` says yes are
 * taken over as active, the others are deleted. 0 or -errno of listing.
 */
int wm_rules__reconcile(struct wm_rules *rules,
			bool (*valid)(void *arg, const struct wm_rule *rule), void *arg,
			uint64_t now);

/*
 * Offers and closes are put into lists; the next tick acts on them, so call it
 * soon after.
 */
/* A flow proved itself. Offered again with another mark: its rule is replaced. */
void wm_rules__offer(struct wm_rules *rules, const struct wm_flow *flow, uint32_t mark,
		     uint64_t now);
/* A flow ended, or must leave the NIC. */
void wm_rules__close(struct wm_rules *rules, const struct wm_flow *flow, uint64_t now);
/* Delete every rule with this mark. */
void wm_rules__retire_mark(struct wm_rules *rules, uint32_t mark, uint64_t now);
/* Some rule of this mark may still be in the NIC. */
bool wm_rules__mark_in_use(const struct wm_rules *rules, uint32_t mark);
/* Delete all rules (before --detach). Call tick until no state counts a rule. No
 * offer is taken from here on, until wm_rules__configure(). */
void wm_rules__retire_all(struct wm_rules *rules, uint64_t now);

/* Something else needs so many places of the NIC's table: rules end, those that are least
 * worth their place first, and no more come than are left. Returns how many end; call
 * tick until no state counts a deletion, and tell when the places are taken. */
uint32_t wm_rules__give_way(struct wm_rules *rules, uint32_t n, uint64_t now);
void wm_rules__way_taken(struct wm_rules *rules);

/* Do what is due: install within the budget, delete, poll, read counters, age.
 * Returns the time at which to call again at the latest. */
uint64_t wm_rules__tick(struct wm_rules *rules, uint64_t now);

/* Packets after which flows are to be offered, as things are. */
uint32_t wm_rules__ask(const struct wm_rules *rules);
void wm_rules__stats(const struct wm_rules *rules, struct wm_rules_stats *out);
struct wm_rule_view {
	struct wm_rule rule;
	enum wm_rule_state state;
	struct wm_rule_stats stats;
	uint64_t since; /* when it came into this state */
};
bool wm_rules__find(const struct wm_rules *rules, const struct wm_flow *flow,
		    struct wm_rule_view *out);
void wm_rules__each(const struct wm_rules *rules,
		    bool (*each)(void *arg, const struct wm_rule_view *view), void *arg);
/* The same of some: those in the `n` places from *at on, which moves; false: that was the
 * end. In between rules may come and go. */
bool wm_rules__some(const struct wm_rules *rules, uint32_t *at, uint32_t n,
		    bool (*each)(void *arg, const struct wm_rule_view *view), void *arg);
const char *wm_rule_state__name(enum wm_rule_state state);
const char *wm_rule_end__name(enum wm_rule_end end);

#endif
