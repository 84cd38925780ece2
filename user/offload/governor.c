// SPDX-License-Identifier: GPL-2.0
/*
 * Each part has one rule of thumb, and each forgets. Why these and where they are from is in
 * Documentation/design/2026-12-01-governor.md.
 */
#include "governor.h"

#include <errno.h>
#include <waymark/limits.h>

enum {
	FADE = 8,           /* an eighth of what is known goes with each call */
	OUTLIER = 4,        /* a call counts as so many times what was expected, at most */
	FIRST_BATCH = 8,    /* of a NIC of which nothing is known */
	SHARE_ALL = 1024,
	SHARE_LEAST = SHARE_ALL / 64,
	SHARE_STEP = SHARE_ALL / 8,
	PACE_LEAST = 10,    /* rules per second, so that a change is noticed */
	TROUBLE_PART = 8,   /* trouble is one rule out of so many */
	BEHIND_PART = 4,    /* behind is who has more waiting by so large a part of the answers, */
	BEHIND_FEW = 8,     /* and more than a few */
	STEP_FIRST = 16,    /* rules by which a capacity is tried anew */
	FLOOD = 4,          /* so many times the pace is a flood, */
	FLOOD_OVER = 2,     /* and not any more */
	FEW = 16,           /* offers that say nothing, whatever the pace */
	ASK_LESS = 8,       /* an eighth less is asked for where fewer come than can */
};

#define BATCH_NS (WM_SECOND_NS / 200)    /* what one call shall take */
#define CREDIT_NS (WM_SECOND_NS / 100)   /* saved up, at most */
#define DEBT_NS (WM_SECOND_NS / 4)       /* after a call that took long, at most */
#define WINDOW_NS WM_SECOND_NS

/* The part of each second that is spent on rules. */
#define DUTY(ns) ((ns) / 4 * 3)
#define DUTY_NS(work) ((work) / 3 * 4)

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* --- rate --- */

/* A stall is an outlier and is cut; a NIC that has become slower is believed after some
 * calls, since what is expected follows. */
static void learn(struct wm_governor_cost *cost, uint32_t n, uint64_t took_ns)
{
	uint64_t each = took_ns / n;

	if (cost->known && cost->ns)
		each = least(each, OUTLIER * cost->ns);
	cost->ns = cost->known ? cost->ns - cost->ns / FADE + each / FADE : each;
	cost->known = true;
}

static void set_pace(struct wm_governor *g)
{
	uint64_t cost = g->install.ns, bound = g->options.installs_per_second;
	uint64_t pace = cost ? least(bound, DUTY(WM_SECOND_NS) / cost) : bound;

	g->bucket.per_second = most(pace * g->share / SHARE_ALL, least(bound, PACE_LEAST));
}

static void spend(struct wm_governor *g, uint64_t took_ns)
{
	g->credit_ns -= least(took_ns, DEBT_NS);
	if (g->credit_ns < -(int64_t)DEBT_NS)
		g->credit_ns = -(int64_t)DEBT_NS;
}

static void earn(struct wm_governor *g, uint64_t now)
{
	uint64_t passed = now > g->credit_at ? least(now - g->credit_at, WM_SECOND_NS) : 0;

	g->credit_ns += DUTY(passed);
	if (g->credit_ns > (int64_t)CREDIT_NS)
		g->credit_ns = CREDIT_NS;
	if (now > g->credit_at)
		g->credit_at = now;
}

static uint32_t batch_of(const struct wm_governor_cost *cost)
{
	if (!cost->known)
		return FIRST_BATCH;
	return cost->ns ? most(1, least(BATCH_NS / cost->ns, WM_GOVERNOR_BATCH)) :
			  WM_GOVERNOR_BATCH;
}

uint32_t wm_governor__installs(const struct wm_governor *g)
{
	if (g->credit_ns <= 0)
		return 0;
	return least(wm_bucket__tokens(&g->bucket), batch_of(&g->install));
}

uint64_t wm_governor__allowed(const struct wm_governor *g)
{
	uint64_t cost = g->install.ns, tokens = wm_bucket__tokens(&g->bucket);

	if (g->credit_ns <= 0)
		return 0;
	return cost ? least(tokens, most(g->credit_ns / cost, 1)) : tokens;
}

uint32_t wm_governor__removals(const struct wm_governor *g)
{
	return g->credit_ns <= 0 ? 0 : batch_of(&g->remove);
}

uint64_t wm_governor__when(const struct wm_governor *g, uint32_t n)
{
	uint64_t when = wm_bucket__when(&g->bucket, n), paid = g->credit_at;

	if (g->credit_ns <= 0)
		paid += DUTY_NS((uint64_t)-g->credit_ns) + FADE;
	return most(when, paid);
}

void wm_governor__installed(struct wm_governor *g, uint32_t n, uint32_t answered, uint64_t took_ns)
{
	wm_bucket__take(&g->bucket, n);
	spend(g, took_ns);
	g->asked += n;
	if (!answered)
		return;
	learn(&g->install, answered, took_ns);
	set_pace(g);
}

void wm_governor__removed(struct wm_governor *g, uint32_t n, uint64_t took_ns)
{
	spend(g, took_ns);
	learn(&g->remove, n, took_ns);
}

/* --- trouble --- */

void wm_governor__accepted(struct wm_governor *g)
{
	g->accepted++;
}

void wm_governor__refused(struct wm_governor *g, int error)
{
	switch (error) {
	case -EAGAIN:
	case -EBUSY:
	case -EIO:
	case -ENOBUFS:
	case -ENOMEM:
	case -ETIMEDOUT:
		g->troubled++;
		break;
	}
}

void wm_governor__lost(struct wm_governor *g)
{
	g->troubled++;
}

/* A NIC that takes none at all is left alone by the back-off in rules.c; it would be wrong
 * to be slow as well when that is over. */
static void weigh_trouble(struct wm_governor *g)
{
	if (!g->troubled || (uint64_t)g->troubled * TROUBLE_PART < g->asked)
		g->share = least(g->share + SHARE_STEP, SHARE_ALL);
	else if (g->accepted)
		g->share = most(g->share / 2, SHARE_LEAST);
	g->asked = g->accepted = g->troubled = 0;
}

/* --- answers that come later --- */

void wm_governor__answer(struct wm_governor *g)
{
	g->answered++;
}

/* More and more rules wait: so many as were answered is all that the NIC manages. Else
 * nothing is known but that it manages more. */
static void weigh_answers(struct wm_governor *g, uint32_t waiting, uint64_t passed)
{
	uint64_t more = (uint64_t)g->waiting + g->answered / BEHIND_PART + BEHIND_FEW;
	bool behind = g->waiting && waiting > more;

	if (behind && g->answered)
		learn(&g->install, g->answered, passed);
	else if (g->answered)
		g->install.ns -= g->install.ns / FADE;
	g->waiting = waiting;
	g->answered = 0;
}

/* --- capacity --- */

void wm_governor__full(struct wm_governor *g, uint32_t rules)
{
	g->capacity = least(g->capacity, rules);
	g->step = STEP_FIRST;
}

void wm_governor__reading(struct wm_governor *g, uint32_t rules)
{
	if (g->capacity == WM_GOVERNOR_NO_LIMIT || rules < g->capacity)
		return;
	g->capacity = least((uint64_t)g->capacity + g->step, WM_GOVERNOR_NO_LIMIT);
	g->step = least(2ull * g->step, WM_GOVERNOR_NO_LIMIT);
}

/* --- demand --- */

/* Was the flow offered before, as far as is known? From here on it was. */
static bool recall(struct wm_governor *g, uint64_t hash)
{
	uint32_t *slot = &g->memory[hash % WM_GOVERNOR_MEMORY], print = hash >> 32 | 1;
	bool known = *slot == print;

	*slot = print;
	return known;
}

static uint64_t offers(uint32_t times, const struct wm_governor *g)
{
	return (uint64_t)times * (g->bucket.per_second + FEW);
}

bool wm_governor__offer(struct wm_governor *g, uint64_t hash)
{
	if (recall(g, hash)) {
		g->repeated++;
		return true;
	}
	g->fresh++;
	if (g->fresh > offers(FLOOD, g))
		g->flood = true;
	return !g->flood;
}

void wm_governor__no_place(struct wm_governor *g)
{
	g->placeless++;
}

static uint64_t per_second(uint64_t n, uint64_t passed)
{
	return n * WM_SECOND_NS / passed;
}

static void weigh_demand(struct wm_governor *g, uint64_t passed)
{
	uint64_t offered = (uint64_t)g->fresh + g->repeated;
	uint64_t demand = per_second(offered - least(offered, g->placeless), passed);
	uint32_t lowest = g->options.promote_after, pace = g->bucket.per_second;

	if (demand > pace + FEW)
		g->ask = least(2ull * g->ask, WM_PROMOTE_AFTER_MAX);
	else if (demand <= pace / 2)
		g->ask = most(g->ask - (g->ask + ASK_LESS - 1) / ASK_LESS, lowest);
	if (per_second(g->fresh, passed) <= offers(FLOOD_OVER, g))
		g->flood = false;
	g->fresh = g->repeated = g->placeless = 0;
}

/* --- all of it --- */

void wm_governor__tick(struct wm_governor *g, uint32_t waiting, uint64_t now)
{
	uint64_t passed = now > g->since ? now - g->since : 0;

	wm_bucket__fill(&g->bucket, now);
	earn(g, now);
	if (passed < WINDOW_NS)
		return;
	if (g->since) {
		weigh_demand(g, passed);
		weigh_answers(g, waiting, passed);
		weigh_trouble(g);
		set_pace(g);
	}
	g->since = now;
}

void wm_governor__configure(struct wm_governor *g, const struct wm_governor_options *options)
{
	if (g->ask == g->options.promote_after || g->ask < options->promote_after ||
	    !options->promote_after)
		g->ask = options->promote_after;
	g->options = *options;
	set_pace(g);
}

void wm_governor__init(struct wm_governor *g, const struct wm_governor_options *options)
{
	g->share = SHARE_ALL;
	g->capacity = WM_GOVERNOR_NO_LIMIT;
	g->credit_ns = CREDIT_NS;
	wm_governor__configure(g, options);
	g->bucket.credit = wm_bucket__burst(&g->bucket) * WM_SECOND_NS;
}

/* --- show --- */

uint32_t wm_governor__rate(const struct wm_governor *g)
{
	uint64_t cost = g->install.ns;

	return cost ? least(most(WM_SECOND_NS / cost, 1), WM_GOVERNOR_NO_LIMIT) : 0;
}

uint32_t wm_governor__capacity(const struct wm_governor *g)
{
	return g->capacity;
}

uint32_t wm_governor__pace(const struct wm_governor *g)
{
	return g->bucket.per_second;
}

uint32_t wm_governor__ask(const struct wm_governor *g)
{
	return g->ask;
}

bool wm_governor__in_flood(const struct wm_governor *g)
{
	return g->flood;
}
