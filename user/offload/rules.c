// SPDX-License-Identifier: GPL-2.0
/*
 * The life of rules. The picture stands at struct life below; in words:
 *
 * Offers wait in a bounded queue until the governor (governor.h) lets them
 * go to the NIC in batches. Everything happens in wm_rules__tick(): offers and
 * closes only put rules into lists. An offer that cannot be taken is forgotten,
 * and so is a rule that the NIC refused: all this costs is speed. Whoever counts
 * the flow's packets is told by the hook `gone`, counts anew, and offers it
 * again if it is still worth it.
 *
 * The NIC's list of rules is read every quarter of the idle time. That reading
 * ages the rules, and it is where the two sides are compared: a rule that the
 * NIC has lost is forgotten, a rule that we do not know of is deleted, a rule
 * with another mark than we think is installed again.
 *
 * A full table moves towards the heaviest. A rule without a packet for a whole
 * reading makes room for a candidate, longest idle first. When every rule is in
 * use, the lightest few do: of a candidate nothing is known but that it was offered,
 * and the more packets a flow has, the sooner it is. Who finds no room is held,
 * counted anew and offered again, so flows compete in proportion to their packets.
 *
 * Single-threaded; the hooks must not call back into this file.
 */
#include "rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "governor.h"
#include "pace.h"
#include "refusals.h"
#include "ruletable.h"
#include "weights.h"

/*
 * Rule states.
 *
 *   offer --> CANDIDATE --budget, room--> INSTALLING --installed--> ACTIVE
 *                 |  ^                     |  |  ^                   |  |
 *                 |  +--table full, a------+  |  +----other mark,----+  |
 *                 |     victim goes           |       or offered        |
 *                 |                           |       again and again   |
 *                 |     refused, table full,  |                         |
 *                 |     no answer, closed     |       idle, closed, dest gone,
 *        closed,  |     meanwhile             |       evicted, stale    |
 *        held     |                           v                         |
 *                 |                       DELETING <--------------------+
 *                 |     nothing in        |   |  ^
 *                 v     the NIC           |   |  +-- the removal failed: later
 *               (gone) <------------------+---+ again
 *
 * INSTALLING is skipped by a NIC that answers at once. A rule that is replaced
 * (other mark) stays in the NIC until the new one is there; if that fails, the
 * old one is deleted, since the flow's packets belong elsewhere by now.
 * Each flow that was offered and not ignored as a duplicate gets one hook `gone`.
 */

enum {
	BATCH = WM_GOVERNOR_BATCH, /* rules a call of the backend */
	DELETES_A_TICK = 4096,
	QUEUE_MAX = 65536,
	OFFERS_TO_VERIFY = 3, /* offers of an active flow: the NIC may have lost the rule */
	MISSED_TO_FORGET = 2, /* readings without the rule: the NIC has lost it */
};

#define MS_NS (WM_SECOND_NS / 1000)
#define READING_MIN_NS (250 * MS_NS)
#define POLL_NS (2 * MS_NS)
#define ANSWER_NS (5 * WM_SECOND_NS)  /* after that the NIC will not answer any more */
#define TICK_NS WM_SECOND_NS          /* the longest that tick() may stay away */

struct wm_rules {
	const struct wm_offload_ops *ops;
	struct wm_offload *off;
	struct wm_offload_caps caps;
	struct wm_rules_options options;
	struct wm_rules_hooks hooks;
	struct wm_ruletable table;
	struct wm_rules_stats stats;
	struct wm_governor governor;
	struct wm_backoff install_backoff, remove_backoff;
	uint32_t left;    /* rules that stay while others get out of the way */
	uint32_t reading; /* number of the last reading */
	struct wm_weights weights; /* of the rules in use at the last reading */
	uint64_t next_reading;
	bool retiring;    /* take no offers: everything has to go */
	struct wm_refusals refusals;
	/* One batch. */
	uint32_t index[BATCH];
	struct wm_rule batch[BATCH];
	struct wm_flow flows[BATCH];
	int result[BATCH];
};

static struct wm_rule_entry *at(const struct wm_rules *r, uint32_t i)
{
	return wm_ruletable__at(&r->table, i);
}

static uint32_t first(const struct wm_rules *r, enum wm_rule_list list)
{
	return r->table.lists[list].first;
}

static uint32_t length(const struct wm_rules *r, enum wm_rule_list list)
{
	return r->table.lists[list].n;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Rules that are to stay. */
static uint32_t staying(const struct wm_rules *r)
{
	return r->stats.state[WM_RULE_INSTALLING] + r->stats.state[WM_RULE_ACTIVE];
}

/* Rules that the NIC has or may have. */
static uint32_t in_nic(const struct wm_rules *r)
{
	return staying(r) + r->stats.state[WM_RULE_DELETING];
}

static uint32_t capacity(const struct wm_rules *r)
{
	return r->caps.capacity ? least(r->options.max_rules, r->caps.capacity) :
				  r->options.max_rules;
}

static uint32_t limit(const struct wm_rules *r)
{
	return least(capacity(r), least(wm_governor__capacity(&r->governor), r->left));
}

/* Can readings say which rules are in use? */
static bool tells_use(const struct wm_rules *r)
{
	return r->caps.stats || r->caps.uses;
}

static uint32_t queue_max(const struct wm_rules *r)
{
	return least(4ull * wm_governor__pace(&r->governor), QUEUE_MAX);
}

static uint64_t reading_interval(uint64_t idle_ns)
{
	return idle_ns / 4 > READING_MIN_NS ? idle_ns / 4 : READING_MIN_NS;
}

uint64_t wm_rules__gone_after_ns(uint64_t idle_ns)
{
	return idle_ns + 2 * reading_interval(idle_ns) + 2 * ANSWER_NS;
}

/* --- steps of a life --- */

static uint32_t create(struct wm_rules *r, const struct wm_flow *flow, enum wm_rule_state state,
		       uint64_t now)
{
	uint32_t i = wm_ruletable__add(&r->table, flow);

	if (i != WM_RULE_NONE) {
		at(r, i)->state = state;
		at(r, i)->since = now;
		r->stats.state[state]++;
	}
	return i;
}

static void enter(struct wm_rules *r, uint32_t i, enum wm_rule_state state,
		  enum wm_rule_list list, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);

	if (e->state != state) {
		r->stats.state[e->state]--;
		r->stats.state[state]++;
		e->state = state;
		e->since = now;
	}
	wm_ruletable__move(&r->table, i, list);
}

static void tell_gone(struct wm_rules *r, const struct wm_flow *flow)
{
	if (r->hooks.gone)
		r->hooks.gone(r->hooks.arg, flow);
}

/* The NIC has nothing of this rule: forget it. */
static void forget(struct wm_rules *r, uint32_t i)
{
	struct wm_flow flow = at(r, i)->flow;

	r->stats.state[at(r, i)->state]--;
	wm_ruletable__del(&r->table, i);
	tell_gone(r, &flow);
}

static void begin_delete(struct wm_rules *r, uint32_t i, enum wm_rule_end end, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);

	if (e->state != WM_RULE_INSTALLING) /* what was only wanted, the NIC never saw */
		wm_ruletable__clear_mark(&r->table, i, WM_WANTED);
	e->end = end;
	enter(r, i, WM_RULE_DELETING, WM_LIST_DELETING, now);
}

/* The rule has to go, in whatever state it is. */
static void end_rule(struct wm_rules *r, uint32_t i, enum wm_rule_end end, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);

	switch ((enum wm_rule_state)e->state) {
	case WM_RULE_CANDIDATE:
		forget(r, i);
		break;
	case WM_RULE_INSTALLING: /* the NIC has to answer first */
		e->closing = true;
		e->end = end;
		break;
	case WM_RULE_ACTIVE:
		begin_delete(r, i, end, now);
		break;
	case WM_RULE_DELETING:
	case WM_RULE_STATES:
		break;
	}
}

/* The NIC has the rule with this mark; `anew`: and had none of this flow. */
static void become_active(struct wm_rules *r, uint32_t i, uint32_t mark, bool anew, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);

	wm_ruletable__set_mark(&r->table, i, WM_IN_NIC, mark);
	enter(r, i, WM_RULE_ACTIVE, WM_LIST_NONE, now);
	e->fresh = true;
	e->offers = 0;
	e->missed = 0;
	e->seen = r->reading;
	e->used_at = now;
	if (anew && r->hooks.active)
		r->hooks.active(r->hooks.arg, &e->flow);
}

/* Install again: with another mark, or to be sure that it is there. */
static void install_again(struct wm_rules *r, uint32_t i, uint32_t mark)
{
	at(r, i)->offers = 0;
	wm_ruletable__set_mark(&r->table, i, WM_WANTED, mark);
	wm_ruletable__move(&r->table, i, WM_LIST_AGAIN);
}

/* --- offer and close --- */

static bool fits_nic(const struct wm_rules *r, uint32_t mark)
{
	return mark && (r->caps.mark_bits >= 32 || !(mark >> r->caps.mark_bits));
}

static bool may_take(struct wm_rules *r, const struct wm_flow *flow, uint64_t now)
{
	uint64_t hash = wm_ruletable__hash(&r->table, flow);

	return wm_governor__offer(&r->governor, hash) && r->ops->install && r->ops->remove &&
	       !r->retiring && capacity(r) && now >= r->install_backoff.until &&
	       length(r, WM_LIST_QUEUE) < queue_max(r) &&
	       !wm_refusals__has(&r->refusals, hash, now);
}

static void offer_new(struct wm_rules *r, const struct wm_flow *flow, uint32_t mark, uint64_t now)
{
	uint32_t i = WM_RULE_NONE;

	r->stats.candidates++;
	if (!fits_nic(r, mark)) {
		r->stats.refused++;
		tell_gone(r, flow);
		return;
	}
	if (may_take(r, flow, now))
		i = create(r, flow, WM_RULE_CANDIDATE, now);
	if (i == WM_RULE_NONE) {
		r->stats.held++;
		tell_gone(r, flow);
		return;
	}
	wm_ruletable__set_mark(&r->table, i, WM_WANTED, mark);
	wm_ruletable__move(&r->table, i, WM_LIST_QUEUE);
}

void wm_rules__offer(struct wm_rules *r, const struct wm_flow *flow, uint32_t mark, uint64_t now)
{
	uint32_t i = wm_ruletable__find(&r->table, flow);
	struct wm_rule_entry *e;

	if (i == WM_RULE_NONE) {
		offer_new(r, flow, mark, now);
		return;
	}
	e = at(r, i);
	if (!fits_nic(r, mark)) {
		end_rule(r, i, WM_END_STALE, now);
		return;
	}
	switch ((enum wm_rule_state)e->state) {
	case WM_RULE_CANDIDATE:
		wm_ruletable__set_mark(&r->table, i, WM_WANTED, mark);
		break;
	case WM_RULE_INSTALLING:
		if (mark != e->mark[WM_WANTED])
			end_rule(r, i, WM_END_STALE, now);
		break;
	case WM_RULE_ACTIVE:
		if (e->has[WM_WANTED] || mark != e->mark[WM_IN_NIC] ||
		    ++e->offers >= OFFERS_TO_VERIFY)
			install_again(r, i, mark);
		break;
	case WM_RULE_DELETING:
		r->stats.held++;
		break;
	case WM_RULE_STATES:
		break;
	}
}

void wm_rules__close(struct wm_rules *r, const struct wm_flow *flow, uint64_t now)
{
	uint32_t i = wm_ruletable__find(&r->table, flow);

	if (i != WM_RULE_NONE)
		end_rule(r, i, WM_END_CLOSED, now);
}

void wm_rules__retire_mark(struct wm_rules *r, uint32_t mark, uint64_t now)
{
	uint32_t from = wm_ruletable__mark(&r->table, mark), i;

	while ((i = wm_ruletable__next_of_mark(&r->table, mark, &from)) != WM_RULE_NONE)
		end_rule(r, i, WM_END_DEST_GONE, now);
}

bool wm_rules__mark_in_use(const struct wm_rules *r, uint32_t mark)
{
	uint32_t from = wm_ruletable__mark(&r->table, mark), i;

	while ((i = wm_ruletable__next_of_mark(&r->table, mark, &from)) != WM_RULE_NONE) {
		const struct wm_rule_entry *e = at(r, i);

		if (e->has[WM_IN_NIC] && e->mark[WM_IN_NIC] == mark)
			return true;
		if (e->state == WM_RULE_INSTALLING || e->state == WM_RULE_DELETING)
			return true; /* wanted, and the NIC was asked for it */
	}
	return false;
}

void wm_rules__retire_all(struct wm_rules *r, uint64_t now)
{
	r->retiring = true;
	for (uint32_t i = 0; i < r->table.top; i++)
		if (at(r, i)->list != WM_LIST_FREE)
			end_rule(r, i, WM_END_CLOSED, now);
}

/* --- install --- */

/* Are there rules that would give up their places? Only readings can tell. */
static bool some_yield(const struct wm_rules *r)
{
	return length(r, WM_LIST_IDLE) || length(r, WM_LIST_LIGHT);
}

/* The rule that is least worth its place. */
static bool evict_least(struct wm_rules *r, uint64_t now)
{
	uint32_t victim = first(r, length(r, WM_LIST_IDLE) ? WM_LIST_IDLE : WM_LIST_LIGHT);

	if (victim == WM_RULE_NONE)
		return false;
	begin_delete(r, victim, WM_END_EVICTED, now);
	return true;
}

/* The NIC does not have what was wanted, and will not. */
static void give_up(struct wm_rules *r, uint32_t i, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);

	wm_ruletable__clear_mark(&r->table, i, WM_WANTED);
	if (e->has[WM_IN_NIC])
		begin_delete(r, i, e->closing ? e->end : WM_END_STALE, now);
	else
		forget(r, i);
}

/* It will not soon be tried again. */
static void refuse(struct wm_rules *r, uint32_t i, uint64_t now)
{
	r->stats.refused++;
	wm_refusals__add(&r->refusals, wm_ruletable__hash(&r->table, &at(r, i)->flow), now);
}

static void on_installed(struct wm_rules *r, uint32_t i, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);
	uint32_t mark = e->mark[WM_WANTED];

	r->stats.installed++;
	wm_governor__accepted(&r->governor);
	wm_ruletable__clear_mark(&r->table, i, WM_WANTED);
	become_active(r, i, mark, !e->has[WM_IN_NIC], now);
	if (e->closing)
		begin_delete(r, i, e->end, now);
}

static void on_full(struct wm_rules *r, uint32_t i, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);
	bool again = !e->has[WM_IN_NIC] && !e->closing;

	r->stats.full++;
	wm_governor__full(&r->governor, in_nic(r) - (e->state != WM_RULE_CANDIDATE));
	if (again && evict_least(r, now)) {
		enter(r, i, WM_RULE_CANDIDATE, WM_LIST_NONE, now);
		wm_ruletable__move_first(&r->table, i, WM_LIST_QUEUE);
		return;
	}
	r->stats.held += again;
	give_up(r, i, now);
}

/* What came of a round of installs, for the back-off. */
struct round {
	bool accepted, refused;
};

static void settle(struct wm_rules *r, uint32_t i, int result, struct round *round, uint64_t now)
{
	switch (result) {
	case 0:
		round->accepted = true;
		on_installed(r, i, now);
		break;
	case -EINPROGRESS:
		enter(r, i, WM_RULE_INSTALLING, WM_LIST_WAITING, now);
		break;
	case -ENOSPC:
		on_full(r, i, now);
		break;
	default:
		round->refused = true;
		wm_governor__refused(&r->governor, result);
		refuse(r, i, now);
		give_up(r, i, now);
		break;
	}
}

/* A NIC that takes some rules is not to be left alone for those that it refuses:
 * these flows are remembered. */
static void pace_installs(struct wm_rules *r, const struct round *round, uint64_t now)
{
	if (round->accepted)
		wm_backoff__reset(&r->install_backoff);
	else if (round->refused)
		wm_backoff__grow(&r->install_backoff, now);
}

/* Take rules to be installed out of a list into the batch, behind the n that it holds. An
 * offer may have waited for long: whoever looks after the flow has the last word, for with
 * the rule it is bound to the destination. */
static uint32_t gather(struct wm_rules *r, enum wm_rule_list list, uint32_t n, uint32_t max,
		       uint64_t now)
{
	uint32_t i;

	while (n < max && (i = first(r, list)) != WM_RULE_NONE) {
		wm_ruletable__move(&r->table, i, WM_LIST_NONE);
		r->index[n] = i;
		r->batch[n] = (struct wm_rule){ at(r, i)->flow, at(r, i)->mark[WM_WANTED] };
		if (r->hooks.current && !r->hooks.current(r->hooks.arg, &r->batch[n]))
			give_up(r, i, now);
		else
			n++;
	}
	return n;
}

/* After a refusal one rule asks whether the NIC takes them again. */
static uint32_t install_max(const struct wm_rules *r)
{
	uint32_t max = wm_governor__installs(&r->governor);

	if (!r->install_backoff.step)
		return max;
	return length(r, WM_LIST_WAITING) ? 0 : least(max, 1);
}

/* The next batch. Rules to be installed again have their places. */
static uint32_t fill_batch(struct wm_rules *r, uint64_t now)
{
	uint32_t max = least(install_max(r), BATCH), used = in_nic(r), n;
	uint32_t room = used < limit(r) ? limit(r) - used : 0;

	n = gather(r, WM_LIST_AGAIN, 0, max, now);
	return gather(r, WM_LIST_QUEUE, n, least(max, n + least(room, BATCH)), now);
}

static uint64_t clock_of(const struct wm_rules *r)
{
	return r->hooks.clock ? r->hooks.clock(r->hooks.arg) : 0;
}

static void install_batch(struct wm_rules *r, uint32_t n)
{
	uint64_t begin = clock_of(r);
	uint32_t answered = 0;

	r->ops->install(r->off, r->batch, n, r->result);
	for (uint32_t k = 0; k < n; k++)
		answered += r->result[k] != -EINPROGRESS;
	wm_governor__installed(&r->governor, n, answered, clock_of(r) - begin);
}

static void install_due(struct wm_rules *r, uint64_t now)
{
	uint32_t n;

	while (now >= r->install_backoff.until && (n = fill_batch(r, now))) {
		struct round round = {};

		install_batch(r, n);
		for (uint32_t k = 0; k < n; k++)
			settle(r, r->index[k], r->result[k], &round, now);
		pace_installs(r, &round, now);
	}
}

/* --- room --- */

/* More rules than allowed, after a change of the configuration. */
static void shrink(struct wm_rules *r, uint64_t now)
{
	while (staying(r) > capacity(r) && evict_least(r, now))
		;
	for (uint32_t i = 0; i < r->table.top && staying(r) > capacity(r); i++) {
		if (at(r, i)->list != WM_LIST_FREE && at(r, i)->state == WM_RULE_ACTIVE)
			begin_delete(r, i, WM_END_EVICTED, now);
	}
}

uint32_t wm_rules__give_way(struct wm_rules *r, uint32_t n, uint64_t now)
{
	uint32_t before = staying(r);

	while (before - staying(r) < n && evict_least(r, now))
		;
	for (uint32_t i = 0; i < r->table.top && before - staying(r) < n; i++) {
		if (at(r, i)->list != WM_LIST_FREE && at(r, i)->state == WM_RULE_ACTIVE)
			begin_delete(r, i, WM_END_EVICTED, now);
	}
	r->left = staying(r);
	return before - staying(r);
}

void wm_rules__way_taken(struct wm_rules *r)
{
	r->left = UINT32_MAX;
}

/* Idle and light rules go for the candidates that the budget would let in now. */
static void make_room(struct wm_rules *r, uint64_t now)
{
	uint64_t now_at_most = r->install_backoff.step ? install_max(r) :
			       wm_governor__allowed(&r->governor);
	uint64_t come = least(length(r, WM_LIST_QUEUE), now_at_most);

	shrink(r, now);
	while (staying(r) + come > limit(r) && evict_least(r, now))
		;
}

static void hold_first(struct wm_rules *r)
{
	r->stats.held++;
	forget(r, first(r, WM_LIST_QUEUE));
}

/* More wait than the NIC takes in time, or every place is taken by a rule that has
 * packets: the candidates have to wait for better times. */
static void hold_surplus(struct wm_rules *r)
{
	while (length(r, WM_LIST_QUEUE) > queue_max(r))
		hold_first(r);
	if (staying(r) < limit(r) || some_yield(r) || length(r, WM_LIST_DELETING))
		return;
	while (length(r, WM_LIST_QUEUE)) {
		r->stats.full++;
		wm_governor__no_place(&r->governor);
		hold_first(r);
	}
}

/* --- answers that come later --- */

struct polled {
	struct wm_rules *rules;
	struct round round;
	uint64_t now;
};

static void on_answer(void *arg, const struct wm_rule *rule, int result)
{
	struct polled *p = arg;
	uint32_t i = wm_ruletable__find(&p->rules->table, &rule->flow);
	const struct wm_rule_entry *e;

	wm_governor__answer(&p->rules->governor);
	if (i == WM_RULE_NONE)
		return; /* too late: if it was installed, the next reading finds it */
	e = at(p->rules, i);
	if (e->state == WM_RULE_INSTALLING && e->mark[WM_WANTED] == rule->mark)
		settle(p->rules, i, result, &p->round, p->now);
}

/* A rule that the NIC does not speak of any more may be there or not: delete it. */
static void give_up_waiting(struct wm_rules *r, uint64_t now)
{
	struct round round = { .refused = true };
	uint32_t i;

	while ((i = first(r, WM_LIST_WAITING)) != WM_RULE_NONE &&
	       now - at(r, i)->since >= ANSWER_NS) {
		wm_governor__refused(&r->governor, -ETIMEDOUT);
		refuse(r, i, now);
		begin_delete(r, i, at(r, i)->closing ? at(r, i)->end : WM_END_STALE, now);
		pace_installs(r, &round, now);
	}
}

static void poll_due(struct wm_rules *r, uint64_t now)
{
	struct polled polled = { .rules = r, .now = now };

	if (!length(r, WM_LIST_WAITING))
		return;
	if (r->ops->poll)
		r->ops->poll(r->off, on_answer, &polled);
	pace_installs(r, &polled.round, now);
	give_up_waiting(r, now);
}

/* --- delete --- */

/* A rule that had packets: does it still belong to its flow? */
static bool still_used(struct wm_rules *r, uint32_t i)
{
	const struct wm_rule_entry *e = at(r, i);
	struct wm_rule rule = { e->flow, e->mark[e->has[WM_IN_NIC] ? WM_IN_NIC : WM_WANTED] };

	return !r->hooks.used || r->hooks.used(r->hooks.arg, &rule);
}

static uint32_t fill_removals(struct wm_rules *r)
{
	uint32_t max = wm_governor__removals(&r->governor), n = 0, i;

	for (; n < max && (i = first(r, WM_LIST_DELETING)) != WM_RULE_NONE; n++) {
		wm_ruletable__move(&r->table, i, WM_LIST_NONE);
		r->index[n] = i;
		r->flows[n] = at(r, i)->flow;
	}
	return n;
}

static bool remove_batch(struct wm_rules *r, uint32_t n)
{
	uint64_t begin = clock_of(r);
	bool failed = false;

	r->ops->remove(r->off, r->flows, n, r->result);
	wm_governor__removed(&r->governor, n, clock_of(r) - begin);
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = r->index[k];

		if (!r->result[k] || r->result[k] == -ENOENT) {
			r->stats.ended[at(r, i)->end]++;
			forget(r, i);
			continue;
		}
		failed = true;
		r->stats.failed_removals++;
		still_used(r, i);
		wm_ruletable__move(&r->table, i, WM_LIST_FAILED);
	}
	return failed;
}

static void delete_due(struct wm_rules *r, uint64_t now)
{
	bool failed = false;
	uint32_t done = 0, n;

	if (now >= r->remove_backoff.until)
		for (uint32_t i; (i = first(r, WM_LIST_FAILED)) != WM_RULE_NONE;)
			wm_ruletable__move(&r->table, i, WM_LIST_DELETING);
	while (done < DELETES_A_TICK && (n = fill_removals(r))) {
		failed |= remove_batch(r, n);
		done += n;
	}
	if (failed && now >= r->remove_backoff.until)
		wm_backoff__grow(&r->remove_backoff, now);
	else if (!failed && !length(r, WM_LIST_FAILED))
		wm_backoff__reset(&r->remove_backoff);
}

/* --- readings --- */

struct reader {
	struct wm_rules *rules;
	uint64_t now;
};

/* A rule in the NIC that should not be there. */
static void delete_unknown(struct wm_rules *r, const struct wm_rule *rule, uint64_t now)
{
	uint32_t i = create(r, &rule->flow, WM_RULE_DELETING, now);

	if (i == WM_RULE_NONE)
		return; /* no memory; the next reading shows it again */
	at(r, i)->end = WM_END_STALE;
	wm_ruletable__set_mark(&r->table, i, WM_IN_NIC, rule->mark);
	wm_ruletable__move(&r->table, i, WM_LIST_DELETING);
}

/* Counters start again from zero when a rule is replaced. */
static uint64_t grown(uint64_t is, uint64_t was)
{
	return is >= was ? is - was : is;
}

static void account(struct wm_rules *r, struct wm_rule_entry *e, const struct wm_rule_stats *s,
		    uint64_t now)
{
	uint64_t packets = grown(s->packets, e->nic_packets), bytes = grown(s->bytes, e->nic_bytes);

	e->nic_packets = s->packets;
	e->nic_bytes = s->bytes;
	e->packets += packets;
	e->bytes += bytes;
	e->lately = packets < UINT32_MAX ? packets : UINT32_MAX;
	r->stats.packets += packets;
	r->stats.bytes += bytes;
	if (packets || (r->caps.uses && s->last_used_ns > e->used_at)) {
		bool known = s->last_used_ns > e->used_at && s->last_used_ns <= now;

		e->used_at = known ? s->last_used_ns : now;
		e->moved = true; /* until the reading is complete */
	}
}

/* The NIC holds the rule with this mark, whatever we thought. */
static void correct_mark(struct wm_rules *r, uint32_t i, uint32_t mark, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);
	uint32_t want = e->mark[e->has[WM_WANTED] ? WM_WANTED : WM_IN_NIC];

	if (e->has[WM_IN_NIC] && e->mark[WM_IN_NIC] == mark)
		return;
	if (e->state == WM_RULE_INSTALLING && e->mark[WM_WANTED] == mark)
		return;
	if (e->state == WM_RULE_CANDIDATE)
		become_active(r, i, mark, true, now);
	else
		wm_ruletable__set_mark(&r->table, i, WM_IN_NIC, mark);
	if (e->state == WM_RULE_ACTIVE)
		install_again(r, i, want);
}

static void on_listed(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats)
{
	struct reader *reader = arg;
	struct wm_rules *r = reader->rules;
	uint32_t i = wm_ruletable__find(&r->table, &rule->flow);

	if (i == WM_RULE_NONE) {
		delete_unknown(r, rule, reader->now);
		return;
	}
	correct_mark(r, i, rule->mark, reader->now);
	at(r, i)->seen = r->reading;
	if (tells_use(r) && stats)
		account(r, at(r, i), stats, reader->now);
}

/* After a reading: who yields in a full table, a part of the rules that were weighed
 * (a NIC may hold fewer than it is allowed). Without packet counters nobody does: then
 * all rules in use weigh the same. */
static void choose_light(struct wm_rules *r)
{
	wm_weights__share_out(&r->weights);
	for (uint32_t i = 0; i < r->table.top; i++) {
		const struct wm_rule_entry *e = at(r, i);

		if (e->list == WM_LIST_NONE && e->state == WM_RULE_ACTIVE && e->lately &&
		    wm_weights__take(&r->weights, e->lately))
			wm_ruletable__move(&r->table, i, WM_LIST_LIGHT);
	}
}

/* false: the rule has to go. */
static bool note_use(struct wm_rules *r, uint32_t i)
{
	bool keep = true;
	struct wm_rule_entry *e = at(r, i);

	if (e->fresh)
		e->lately = 0; /* it had no whole reading */
	if (e->lately)
		wm_weights__add(&r->weights, e->lately);
	if (e->moved) {
		e->offers = 0;
		if (e->list == WM_LIST_IDLE || e->list == WM_LIST_LIGHT)
			wm_ruletable__move(&r->table, i, WM_LIST_NONE);
		keep = still_used(r, i);
	} else if (!e->fresh && tells_use(r) &&
		   (e->list == WM_LIST_NONE || e->list == WM_LIST_LIGHT)) {
		wm_ruletable__move(&r->table, i, WM_LIST_IDLE);
	}
	e->fresh = false;
	e->moved = false;
	return keep;
}

/* What a reading means for an active rule. Without counters a rule lives for the
 * idle time, then its flow must prove itself again. */
static void judge(struct wm_rules *r, uint32_t i, bool listed, uint64_t now)
{
	struct wm_rule_entry *e = at(r, i);

	if (listed && e->seen != r->reading) {
		e->lately = 0;
		if (++e->missed >= MISSED_TO_FORGET) {
			r->stats.ended[WM_END_STALE]++;
			wm_governor__lost(&r->governor);
			forget(r, i);
		}
		return;
	}
	e->missed = 0;
	if (!note_use(r, i))
		begin_delete(r, i, WM_END_STALE, now);
	else if (now - e->used_at >= r->options.idle_ns && now >= e->used_at)
		begin_delete(r, i, WM_END_IDLE, now);
}

static void read_due(struct wm_rules *r, uint64_t now)
{
	struct reader reader = { r, now };
	bool listed = r->ops->list;
	int ret;

	if (!r->next_reading)
		r->next_reading = now + reading_interval(r->options.idle_ns);
	if (now < r->next_reading)
		return;
	r->next_reading = now + reading_interval(r->options.idle_ns);
	wm_governor__reading(&r->governor, in_nic(r));
	r->weights = (struct wm_weights){};
	r->reading++;
	ret = listed ? r->ops->list(r->off, on_listed, &reader) : 0;
	if (ret && ret != -ENODEV)
		return; /* half a list would make rules look lost; no device has none */
	for (uint32_t i = 0; i < r->table.top; i++)
		if (at(r, i)->list != WM_LIST_FREE && at(r, i)->state == WM_RULE_ACTIVE)
			judge(r, i, listed, now);
	choose_light(r);
}

/* --- start --- */

struct reconciler {
	struct wm_rules *rules;
	bool (*valid)(void *arg, const struct wm_rule *rule);
	void *arg;
	uint64_t now;
};

static void on_found(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats)
{
	struct reconciler *c = arg;
	struct wm_rules *r = c->rules;
	uint32_t i;

	if (wm_ruletable__find(&r->table, &rule->flow) != WM_RULE_NONE)
		return;
	if (!rule->mark || !c->valid(c->arg, rule)) {
		delete_unknown(r, rule, c->now);
		return;
	}
	i = create(r, &rule->flow, WM_RULE_ACTIVE, c->now);
	if (i == WM_RULE_NONE)
		return;
	if (stats) {
		at(r, i)->packets = at(r, i)->nic_packets = stats->packets;
		at(r, i)->bytes = at(r, i)->nic_bytes = stats->bytes;
	}
	become_active(r, i, rule->mark, true, c->now);
}

int wm_rules__reconcile(struct wm_rules *r, bool (*valid)(void *arg, const struct wm_rule *rule),
			void *arg, uint64_t now)
{
	struct reconciler c = { r, valid, arg, now };

	return r->ops->list ? r->ops->list(r->off, on_found, &c) : 0;
}

/* --- tick --- */

static uint64_t next_install(const struct wm_rules *r)
{
	uint32_t waiting = length(r, WM_LIST_AGAIN);
	uint64_t part = wm_governor__pace(&r->governor) / 100, ready;

	if (in_nic(r) < limit(r) || (staying(r) >= limit(r) && some_yield(r)))
		waiting += length(r, WM_LIST_QUEUE);
	if (!waiting)
		return UINT64_MAX;
	if (r->install_backoff.step) {
		ready = length(r, WM_LIST_WAITING) ? UINT64_MAX :
						     wm_governor__when(&r->governor, 1);
		return ready > r->install_backoff.until ? ready : r->install_backoff.until;
	}
	/* Some at once: every call of the backend costs. */
	part = part ? part : 1;
	return wm_governor__when(&r->governor, waiting < part ? waiting : part);
}

static uint64_t next_due(const struct wm_rules *r, uint64_t now)
{
	uint64_t next = least(r->next_reading, now + TICK_NS);

	next = least(next, next_install(r));
	if (length(r, WM_LIST_WAITING))
		next = least(next, now + POLL_NS);
	if (length(r, WM_LIST_FAILED))
		next = least(next, r->remove_backoff.until);
	if (length(r, WM_LIST_DELETING) && r->ops->remove)
		next = least(next, wm_governor__when(&r->governor, 0));
	return next > now ? next : now;
}

uint64_t wm_rules__tick(struct wm_rules *r, uint64_t now)
{
	wm_governor__tick(&r->governor, length(r, WM_LIST_WAITING), now);
	poll_due(r, now);
	read_due(r, now);
	make_room(r, now);
	if (r->ops->remove)
		delete_due(r, now);
	if (r->ops->install)
		install_due(r, now);
	hold_surplus(r);
	return next_due(r, now);
}

/* --- set up --- */

static struct wm_governor_options governed_by(const struct wm_rules_options *options)
{
	return (struct wm_governor_options){ options->installs_per_second,
					     options->promote_after };
}

struct wm_rules *wm_rules__new(const struct wm_offload_ops *ops, struct wm_offload *off,
			       const struct wm_rules_options *options,
			       const struct wm_rules_hooks *hooks)
{
	static const struct wm_offload_caps plain = { .mark_bits = 32 };
	const struct wm_governor_options governor = governed_by(options);
	struct wm_rules *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->ops = ops;
	r->off = off;
	r->caps = ops->caps ? *ops->caps(off) : plain;
	r->options = *options;
	if (hooks)
		r->hooks = *hooks;
	r->left = UINT32_MAX;
	wm_governor__init(&r->governor, &governor);
	if (wm_ruletable__init(&r->table, capacity(r) + queue_max(r))) {
		free(r);
		return NULL;
	}
	return r;
}

void wm_rules__seed(struct wm_rules *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->table.seed[i] = (seed + i) * 0x9e3779b97f4a7c15ull;
}

void wm_rules__free(struct wm_rules *r)
{
	if (!r)
		return;
	wm_ruletable__fini(&r->table);
	free(r);
}

void wm_rules__configure(struct wm_rules *r, const struct wm_rules_options *options)
{
	const struct wm_governor_options governor = governed_by(options);

	r->options = *options;
	wm_governor__configure(&r->governor, &governor);
	r->next_reading = 0;
	r->retiring = false;
}

/* --- show --- */

void wm_rules__stats(const struct wm_rules *r, struct wm_rules_stats *out)
{
	*out = r->stats;
	out->max_rules = capacity(r);
	out->backing_off = r->install_backoff.step;
	out->rate = wm_governor__rate(&r->governor);
	out->pace = wm_governor__pace(&r->governor);
	out->room = wm_governor__capacity(&r->governor);
	out->ask = wm_governor__ask(&r->governor);
	out->flood = wm_governor__in_flood(&r->governor);
}

uint32_t wm_rules__ask(const struct wm_rules *r)
{
	return wm_governor__ask(&r->governor);
}

static void view(const struct wm_rule_entry *e, struct wm_rule_view *out)
{
	*out = (struct wm_rule_view){
		.rule.flow = e->flow,
		.rule.mark = e->mark[e->has[WM_IN_NIC] ? WM_IN_NIC : WM_WANTED],
		.state = e->state,
		.stats.packets = e->packets,
		.stats.bytes = e->bytes,
		.stats.last_used_ns = e->packets ? e->used_at : 0,
		.since = e->since,
	};
}

bool wm_rules__find(const struct wm_rules *r, const struct wm_flow *flow, struct wm_rule_view *out)
{
	uint32_t i = wm_ruletable__find(&r->table, flow);

	if (i == WM_RULE_NONE)
		return false;
	view(at(r, i), out);
	return true;
}

bool wm_rules__some(const struct wm_rules *r, uint32_t *from, uint32_t n,
		    bool (*each)(void *arg, const struct wm_rule_view *view), void *arg)
{
	struct wm_rule_view shown;

	for (; n && *from < r->table.top; n--) {
		const struct wm_rule_entry *e = at(r, (*from)++);

		if (e->list == WM_LIST_FREE)
			continue;
		view(e, &shown);
		if (!each(arg, &shown))
			return false;
	}
	return *from < r->table.top;
}

void wm_rules__each(const struct wm_rules *r,
		    bool (*each)(void *arg, const struct wm_rule_view *view), void *arg)
{
	uint32_t from = 0;

	wm_rules__some(r, &from, UINT32_MAX, each, arg);
}

const char *wm_rule_state__name(enum wm_rule_state state)
{
	static const char *const names[WM_RULE_STATES] = {
		[WM_RULE_CANDIDATE] = "candidate",
		[WM_RULE_INSTALLING] = "installing",
		[WM_RULE_ACTIVE] = "active",
		[WM_RULE_DELETING] = "deleting",
	};

	return state < WM_RULE_STATES ? names[state] : "?";
}

const char *wm_rule_end__name(enum wm_rule_end end)
{
	static const char *const names[WM_ENDS] = {
		[WM_END_IDLE] = "idle",
		[WM_END_CLOSED] = "closed",
		[WM_END_DEST_GONE] = "dest-gone",
		[WM_END_EVICTED] = "evicted",
		[WM_END_STALE] = "stale",
	};

	return end < WM_ENDS ? names[end] : "?";
}
