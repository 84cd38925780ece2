/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where rules.c keeps its rules: found by flow, by mark, and by what has to be
 * done with them next. Rules are named by their index; they never move. Memory
 * grows by slabs and is given back at the end only.
 */
#ifndef WM_RULETABLE_H
#define WM_RULETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waymark/abi.h>

enum {
	WM_RULE_NONE = UINT32_MAX, /* no rule */
	WM_RULE_SLAB_SHIFT = 10,
	WM_RULE_MARK_BITS = 15, /* buckets of the index by mark; marks in use are few */
};

/* What is to be done with a rule; each is in one list, or in none. */
enum wm_rule_list {
	WM_LIST_NONE,     /* nothing */
	WM_LIST_QUEUE,    /* candidates, in the order of their offers */
	WM_LIST_AGAIN,    /* active rules to install again */
	WM_LIST_WAITING,  /* the NIC has not yet answered, oldest first */
	WM_LIST_IDLE,     /* active rules without packets, longest idle first */
	WM_LIST_LIGHT,    /* active rules with the fewest packets, when all have some */
	WM_LIST_DELETING, /* to be deleted */
	WM_LIST_FAILED,   /* a removal failed, try again later */
	WM_LIST_FREE,     /* no rule at all */
	WM_LISTS,
};

/* The two marks of a rule. */
enum wm_rule_mark {
	WM_IN_NIC, /* the NIC has the rule with this mark, or may have */
	WM_WANTED, /* to be installed */
	WM_RULE_MARKS,
};

struct wm_rule_entry {
	struct wm_flow flow;
	uint32_t mark[WM_RULE_MARKS];
	bool has[WM_RULE_MARKS];
	/* Owned by the table. */
	uint8_t list;
	uint32_t chain, prev, next;
	uint32_t mark_prev[WM_RULE_MARKS], mark_next[WM_RULE_MARKS];
	/* Owned by rules.c. */
	uint8_t state;    /* enum wm_rule_state */
	uint8_t end;      /* enum wm_rule_end, once it has to go */
	bool closing;     /* delete it as soon as the NIC has answered */
	bool fresh;       /* active since the last reading */
	bool moved;       /* had packets in the last reading */
	uint32_t lately;  /* so many since the one before; 0 too if it was new then */
	uint8_t offers;   /* offered again while active */
	uint8_t missed;   /* readings in which the NIC did not show it */
	uint32_t seen;    /* number of the reading that showed it last */
	uint64_t since;   /* in this state */
	uint64_t used_at; /* last packet, as far as known */
	uint64_t packets, bytes;         /* of this rule */
	uint64_t nic_packets, nic_bytes; /* what the NIC's counters showed last */
};

struct wm_ruletable {
	struct wm_rule_entry **slabs;
	uint32_t n_slabs;
	uint32_t top;  /* indices below were used at some time */
	uint32_t free; /* free indices below top */
	uint32_t used;
	__u64 seed[4];
	uint32_t *buckets; /* by flow: first index */
	uint32_t n_buckets;
	uint32_t *marks; /* by mark: first reference, index << 1 | enum wm_rule_mark */
	struct {
		uint32_t first, last, n;
	} lists[WM_LISTS];
};

/* Ready for about `expect` rules without growing. 0 or -ENOMEM. */
int wm_ruletable__init(struct wm_ruletable *t, uint32_t expect);
void wm_ruletable__fini(struct wm_ruletable *t);

static inline struct wm_rule_entry *wm_ruletable__at(const struct wm_ruletable *t, uint32_t i)
{
	return &t->slabs[i >> WM_RULE_SLAB_SHIFT][i & ((1u << WM_RULE_SLAB_SHIFT) - 1)];
}

uint64_t wm_ruletable__hash(const struct wm_ruletable *t, const struct wm_flow *flow);
/* WM_RULE_NONE: not there. */
uint32_t wm_ruletable__find(const struct wm_ruletable *t, const struct wm_flow *flow);
/* A zeroed rule for a flow that has none; WM_RULE_NONE: no memory. */
uint32_t wm_ruletable__add(struct wm_ruletable *t, const struct wm_flow *flow);
void wm_ruletable__del(struct wm_ruletable *t, uint32_t i);

/* Take the rule out of its list and put it at the end of another (or in front). */
void wm_ruletable__move(struct wm_ruletable *t, uint32_t i, enum wm_rule_list list);
void wm_ruletable__move_first(struct wm_ruletable *t, uint32_t i, enum wm_rule_list list);

void wm_ruletable__set_mark(struct wm_ruletable *t, uint32_t i, enum wm_rule_mark which,
			    uint32_t mark);
void wm_ruletable__clear_mark(struct wm_ruletable *t, uint32_t i, enum wm_rule_mark which);
/*
 * Walk the references of a mark: begin with *from = wm_ruletable__mark(), end at
 * WM_RULE_NONE. Rules may be deleted on the way, but only the one returned.
 */
uint32_t wm_ruletable__mark(const struct wm_ruletable *t, uint32_t mark);
uint32_t wm_ruletable__next_of_mark(const struct wm_ruletable *t, uint32_t mark, uint32_t *from);

#endif
