// SPDX-License-Identifier: GPL-2.0
/*
 * Slabs of rules with three indices over them, all made of 32-bit indices instead
 * of pointers (half the size, and a rule has eight):
 *
 *   by flow   chained buckets; the hash is seeded, since clients choose flows
 *   by mark   chained buckets of references (rule, which of its two marks); marks
 *             that share a bucket share its list, and the walk skips the others
 *   by list   doubly linked, so that a rule changes lists without a search
 *
 * Once the most rules that were ever there are allocated, nothing allocates.
 */
#include "ruletable.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <waymark/hash.h>

#define SLAB (1u << WM_RULE_SLAB_SHIFT)

/* --- by flow --- */

uint64_t wm_ruletable__hash(const struct wm_ruletable *t, const struct wm_flow *flow)
{
	return wm_flow_hash(flow, t->seed);
}

static uint32_t *bucket(const struct wm_ruletable *t, const struct wm_flow *flow)
{
	return &t->buckets[(wm_ruletable__hash(t, flow) >> 32) & (t->n_buckets - 1)];
}

uint32_t wm_ruletable__find(const struct wm_ruletable *t, const struct wm_flow *flow)
{
	uint32_t i = *bucket(t, flow);

	while (i != WM_RULE_NONE && memcmp(&wm_ruletable__at(t, i)->flow, flow, sizeof(*flow)))
		i = wm_ruletable__at(t, i)->chain;
	return i;
}

static void chain(struct wm_ruletable *t, uint32_t i)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);
	uint32_t *first = bucket(t, &e->flow);

	e->chain = *first;
	*first = i;
}

static void unchain(struct wm_ruletable *t, uint32_t i)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);
	uint32_t *at = bucket(t, &e->flow);

	while (*at != i)
		at = &wm_ruletable__at(t, *at)->chain;
	*at = e->chain;
}

static uint32_t *new_heads(uint32_t n)
{
	uint32_t *heads = malloc(n * sizeof(*heads));

	if (heads)
		memset(heads, 0xff, n * sizeof(*heads)); /* WM_RULE_NONE */
	return heads;
}

/* Not having the memory makes look-ups slower, no more. */
static void grow_buckets(struct wm_ruletable *t)
{
	uint32_t *heads = new_heads(2 * t->n_buckets);

	if (!heads)
		return;
	free(t->buckets);
	t->buckets = heads;
	t->n_buckets *= 2;
	for (uint32_t i = 0; i < t->top; i++)
		if (wm_ruletable__at(t, i)->list != WM_LIST_FREE)
			chain(t, i);
}

/* --- rules --- */

static int add_slab(struct wm_ruletable *t)
{
	struct wm_rule_entry **slabs, *slab;

	slabs = realloc(t->slabs, (t->n_slabs + 1) * sizeof(*slabs));
	if (!slabs)
		return -ENOMEM;
	t->slabs = slabs;
	slab = malloc(SLAB * sizeof(*slab));
	if (!slab)
		return -ENOMEM;
	t->slabs[t->n_slabs++] = slab;
	return 0;
}

static uint32_t allocate(struct wm_ruletable *t)
{
	uint32_t i = t->free;

	if (i != WM_RULE_NONE) {
		t->free = wm_ruletable__at(t, i)->chain;
		return i;
	}
	if (t->top >> WM_RULE_SLAB_SHIFT == t->n_slabs && add_slab(t))
		return WM_RULE_NONE;
	return t->top++;
}

uint32_t wm_ruletable__add(struct wm_ruletable *t, const struct wm_flow *flow)
{
	uint32_t i = allocate(t);
	struct wm_rule_entry *e;

	if (i == WM_RULE_NONE)
		return i;
	e = wm_ruletable__at(t, i);
	memset(e, 0, sizeof(*e)); /* and in WM_LIST_NONE */
	e->flow = *flow;
	chain(t, i);
	if (++t->used > t->n_buckets)
		grow_buckets(t);
	return i;
}

void wm_ruletable__del(struct wm_ruletable *t, uint32_t i)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);

	wm_ruletable__clear_mark(t, i, WM_IN_NIC);
	wm_ruletable__clear_mark(t, i, WM_WANTED);
	wm_ruletable__move(t, i, WM_LIST_NONE);
	unchain(t, i);
	e->list = WM_LIST_FREE;
	e->chain = t->free;
	t->free = i;
	t->used--;
}

/* --- by list --- */

static void leave_list(struct wm_ruletable *t, uint32_t i)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);

	if (e->list == WM_LIST_NONE)
		return;
	if (e->prev != WM_RULE_NONE)
		wm_ruletable__at(t, e->prev)->next = e->next;
	else
		t->lists[e->list].first = e->next;
	if (e->next != WM_RULE_NONE)
		wm_ruletable__at(t, e->next)->prev = e->prev;
	else
		t->lists[e->list].last = e->prev;
	t->lists[e->list].n--;
	e->list = WM_LIST_NONE;
}

void wm_ruletable__move(struct wm_ruletable *t, uint32_t i, enum wm_rule_list list)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);

	leave_list(t, i);
	if (list == WM_LIST_NONE)
		return;
	e->list = list;
	e->next = WM_RULE_NONE;
	e->prev = t->lists[list].last;
	if (e->prev != WM_RULE_NONE)
		wm_ruletable__at(t, e->prev)->next = i;
	else
		t->lists[list].first = i;
	t->lists[list].last = i;
	t->lists[list].n++;
}

void wm_ruletable__move_first(struct wm_ruletable *t, uint32_t i, enum wm_rule_list list)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);

	leave_list(t, i);
	e->list = list;
	e->prev = WM_RULE_NONE;
	e->next = t->lists[list].first;
	if (e->next != WM_RULE_NONE)
		wm_ruletable__at(t, e->next)->prev = i;
	else
		t->lists[list].last = i;
	t->lists[list].first = i;
	t->lists[list].n++;
}

/* --- by mark --- */

static uint32_t *mark_bucket(const struct wm_ruletable *t, uint32_t mark)
{
	return &t->marks[mark * 0x9e3779b1u >> (32 - WM_RULE_MARK_BITS)];
}

static struct wm_rule_entry *referred(const struct wm_ruletable *t, uint32_t ref)
{
	return wm_ruletable__at(t, ref >> 1);
}

void wm_ruletable__clear_mark(struct wm_ruletable *t, uint32_t i, enum wm_rule_mark which)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);
	uint32_t prev = e->mark_prev[which], next = e->mark_next[which];

	if (!e->has[which])
		return;
	if (prev != WM_RULE_NONE)
		referred(t, prev)->mark_next[prev & 1] = next;
	else
		*mark_bucket(t, e->mark[which]) = next;
	if (next != WM_RULE_NONE)
		referred(t, next)->mark_prev[next & 1] = prev;
	e->has[which] = false;
}

void wm_ruletable__set_mark(struct wm_ruletable *t, uint32_t i, enum wm_rule_mark which,
			    uint32_t mark)
{
	struct wm_rule_entry *e = wm_ruletable__at(t, i);
	uint32_t *first, ref = i << 1 | which;

	wm_ruletable__clear_mark(t, i, which);
	first = mark_bucket(t, mark);
	e->mark[which] = mark;
	e->has[which] = true;
	e->mark_prev[which] = WM_RULE_NONE;
	e->mark_next[which] = *first;
	if (*first != WM_RULE_NONE)
		referred(t, *first)->mark_prev[*first & 1] = ref;
	*first = ref;
}

uint32_t wm_ruletable__mark(const struct wm_ruletable *t, uint32_t mark)
{
	return *mark_bucket(t, mark);
}

/*
 * Both references of one rule may follow each other. They are reported once, and
 * `from` is left behind both, so that the caller may delete the rule.
 */
uint32_t wm_ruletable__next_of_mark(const struct wm_ruletable *t, uint32_t mark, uint32_t *from)
{
	uint32_t found = WM_RULE_NONE, ref;

	for (ref = *from; ref != WM_RULE_NONE; ref = referred(t, ref)->mark_next[ref & 1]) {
		if (found != WM_RULE_NONE && ref >> 1 != found)
			break;
		if (referred(t, ref)->mark[ref & 1] == mark)
			found = ref >> 1;
	}
	*from = ref;
	return found;
}

/* --- the table --- */

int wm_ruletable__init(struct wm_ruletable *t, uint32_t expect)
{
	memset(t, 0, sizeof(*t));
	t->free = WM_RULE_NONE;
	for (int i = 0; i < WM_LISTS; i++)
		t->lists[i].first = t->lists[i].last = WM_RULE_NONE;
	for (t->n_buckets = 1024; t->n_buckets < expect && t->n_buckets < 1u << 24;)
		t->n_buckets *= 2;
	t->buckets = new_heads(t->n_buckets);
	t->marks = new_heads(1u << WM_RULE_MARK_BITS);
	if (!t->buckets || !t->marks) {
		wm_ruletable__fini(t);
		return -ENOMEM;
	}
	if (getrandom(t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
		t->seed[1] = 0x9e3779b97f4a7c15ull; /* early boot: an unseeded hash still works */
	return 0;
}

void wm_ruletable__fini(struct wm_ruletable *t)
{
	for (uint32_t i = 0; i < t->n_slabs; i++)
		free(t->slabs[i]);
	free(t->slabs);
	free(t->buckets);
	free(t->marks);
}
