// SPDX-License-Identifier: GPL-2.0
/*
 * Time goes from one thing that the daemon does to the next, and packets are
 * played in between:
 *
 *   packet --rule in the NIC?--yes--> marked
 *              | no
 *              v
 *          flow table (counting.c) --event--> waits in the perf buffer
 *                                                |  every 20 or 100 ms
 *                                                v
 *          NIC (card.c) <--install, remove-- rules.c: offer, close, tick
 *
 * A flow that has proved itself may rest: until the next tick of the data plane
 * its packets only count, if its entry stays as it is. Where the source can tell
 * afterwards how many there were, they are not played.
 *
 * The daemon's times are its own (times.h). Not played:
 * that the daemon is woken early when a perf buffer is half full, and events
 * that found it full; that packets cost time, so that CPUs may be too few.
 */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "card.h"
#include "times.h"

#define SECOND 1000000000ull

/* Packets that a rest must spare to be worth it. */
#define REST_MIN 4

/* What is on the way of a flow's number: it may be used again when none is left. */
struct state {
	uint32_t events; /* in the perf buffer */
	bool offered;    /* rules.c owes us a `gone` */
	bool ended;
	uint32_t rest;   /* place among the resting, from 1 on; 0: plays */
	uint64_t counted; /* resting: its packets are counted up to here */
};

struct queued {
	uint32_t flow, type;
};

struct wm_replay {
	struct wm_replay_options options;
	struct wm_source *source;
	struct wm_counting counting;
	struct wm_offload *card;
	struct wm_rules *rules;
	struct state *state;
	uint32_t n_states;
	struct queued *queue;
	uint32_t n_queued, max_queued;
	uint64_t now, next_tick, next_events, last_event;
	uint32_t *resting;
	uint32_t n_resting, max_resting;
	uint64_t tick_end; /* of the data plane: who rests wakes up */
	uint32_t *owner;   /* flow that entered itself last, by place in the flow table */
	bool failed;
	/* Measuring. */
	uint64_t began, played, software, misses;
	uint64_t marked_before;
	uint32_t rules_max;
	double rules_time; /* rules times ns */
	struct wm_rules_stats rules_before;
	uint64_t counter_before[WM_COUNTERS_MAX];
};

#define TICK (WM_COUNTING_JIFFY_NS << WM_COUNTING_TICK_SHIFT)

enum { NONE = UINT32_MAX };

/* --- flows --- */

static struct state *state_of(struct wm_replay *r, uint32_t flow)
{
	uint32_t max = flow + flow / 2 + 1024;
	struct state *state;

	if (flow < r->n_states)
		return &r->state[flow];
	state = realloc(r->state, max * sizeof(*state));
	if (!state) {
		r->failed = true;
		return NULL;
	}
	memset(state + r->n_states, 0, (max - r->n_states) * sizeof(*state));
	r->state = state;
	r->n_states = max;
	return &state[flow];
}

/* Give the number back if nobody will name the flow any more. */
static void let_go(struct wm_replay *r, uint32_t flow)
{
	struct state *state = state_of(r, flow);

	if (!state || !state->ended || state->events || state->offered)
		return;
	state->ended = false;
	r->source->forget(r->source, flow);
}

/* --- rest --- */

static void count_rest(struct wm_replay *r, uint32_t flow, uint64_t now)
{
	struct state *state = &r->state[flow];
	uint64_t last;

	r->software += r->source->passed(r->source, flow, state->counted, now, &last);
	state->counted = now;
}

/* The flow's packets count for more again, or a rule has them now. */
static void wake(struct wm_replay *r, uint32_t flow, uint64_t now, bool covered)
{
	struct state *state = flow < r->n_states ? &r->state[flow] : NULL;
	uint32_t last;

	if (!state || !state->rest)
		return;
	count_rest(r, flow, now);
	last = r->resting[--r->n_resting];
	r->resting[state->rest - 1] = last;
	r->state[last].rest = state->rest;
	state->rest = 0;
	if (!covered)
		r->source->cover(r->source, flow, false);
}

static bool more_rest(struct wm_replay *r)
{
	uint32_t max = 2 * r->max_resting + 1024;
	uint32_t *resting = realloc(r->resting, max * sizeof(*resting));

	if (!resting)
		return false; /* then it plays on */
	r->resting = resting;
	r->max_resting = max;
	return true;
}

static void rest(struct wm_replay *r, uint32_t flow, uint64_t now)
{
	struct state *state = state_of(r, flow);

	if (!state || state->rest || now >= r->tick_end ||
	    r->source->rate(r->source, flow) * (r->tick_end - now) < REST_MIN)
		return;
	if (r->n_resting == r->max_resting && !more_rest(r))
		return;
	r->resting[r->n_resting++] = flow;
	state->rest = r->n_resting;
	state->counted = now;
	r->source->cover(r->source, flow, true);
}

static void wake_all(struct wm_replay *r)
{
	while (r->n_resting)
		wake(r, r->resting[r->n_resting - 1], r->now, false);
	r->tick_end += TICK;
}

/* A flow is entered; the one that had the place has to begin anew. */
static void take_place(struct wm_replay *r, uint32_t flow, uint64_t now)
{
	uint32_t *owner = &r->owner[r->counting.slot];

	if (*owner != flow && *owner != NONE)
		wake(r, *owner, now, false);
	*owner = flow;
}

static void on_active(void *arg, const struct wm_flow *flow)
{
	struct wm_replay *r = arg;

	wake(r, wm_source__number(flow), r->now, true);
}

static bool on_used(void *arg, const struct wm_rule *rule)
{
	struct wm_replay *r = arg;

	wm_counting__touch(&r->counting, &rule->flow, r->now);
	return true;
}

static void on_gone(void *arg, const struct wm_flow *flow)
{
	struct wm_replay *r = arg;
	uint32_t number = wm_source__number(flow);
	struct state *state = state_of(r, number);

	wm_counting__restart(&r->counting, flow);
	wake(r, number, r->now, false);
	if (!state)
		return;
	state->offered = false;
	let_go(r, number);
}

/* --- packets --- */

static void enqueue(struct wm_replay *r, uint32_t flow, uint32_t type)
{
	struct state *state = state_of(r, flow);
	struct queued *queue;

	if (r->n_queued == r->max_queued) {
		uint32_t max = 2 * r->max_queued + 1024;

		queue = realloc(r->queue, max * sizeof(*queue));
		if (!queue) {
			r->failed = true;
			return;
		}
		r->queue = queue;
		r->max_queued = max;
	}
	if (!state)
		return;
	r->queue[r->n_queued++] = (struct queued){ flow, type };
	state->events++;
}

static void end_flow(struct wm_replay *r, const struct wm_packet *p)
{
	struct state *state = state_of(r, p->flow);

	wm_card__settle(r->card, p->flow, p->at);
	wake(r, p->flow, p->at, true); /* there is no more of it to play */
	if (!state)
		return;
	state->ended = true;
	let_go(r, p->flow);
}

static void play(struct wm_replay *r, const struct wm_packet *p)
{
	enum wm_counter verdict;
	struct wm_flow flow;

	/* A source that is told which flows are covered gives no packet of theirs. */
	if (!r->source->cover && wm_card__marks(r->card, p))
		return;
	r->software++;
	r->source->name(r->source, p->flow, &flow);
	verdict = wm_counting__packet(&r->counting, &flow, p->flags, p->at);
	r->misses += verdict == WM_C_TX_MISS;
	if (r->counting.raised)
		enqueue(r, p->flow, r->counting.raised->type);
	if (!r->owner)
		return;
	if (r->counting.entered)
		take_place(r, p->flow, p->at);
	if (r->counting.done)
		rest(r, p->flow, p->at);
}

static void play_until(struct wm_replay *r, uint64_t until)
{
	struct wm_packet p;

	while (!r->failed && r->source->next(r->source, until, &p)) {
		r->played++;
		if (p.end)
			end_flow(r, &p);
		else
			play(r, &p);
	}
}

/* --- the daemon --- */

static void read_event(struct wm_replay *r, const struct queued *event)
{
	struct state *state = state_of(r, event->flow);
	struct wm_rule_view view;
	struct wm_flow flow;

	r->source->name(r->source, event->flow, &flow);
	state->events--;
	if (event->type == WM_EVENT_CLOSE) {
		wm_rules__close(r->rules, &flow, r->now);
		if (!wm_rules__find(r->rules, &flow, &view))
			wm_counting__restart(&r->counting, &flow);
	} else if (wm_counting__proven(&r->counting, &flow)) {
		state->offered = true;
		wm_rules__offer(r->rules, &flow, WM_COUNTING_MARK, r->now);
	}
	let_go(r, event->flow);
}

static void read_events(struct wm_replay *r)
{
	for (uint32_t i = 0; i < r->n_queued; i++)
		read_event(r, &r->queue[i]);
	if (r->n_queued) {
		r->last_event = r->now;
		if (r->next_tick > r->now + WM_RULES_TICK_MIN_NS)
			r->next_tick = r->now + WM_RULES_TICK_MIN_NS;
	}
	r->n_queued = 0;
	r->next_events = r->now + (r->now - r->last_event < WM_EVENTS_BUSY_FOR_NS ?
				   WM_EVENTS_BUSY_NS : WM_EVENTS_IDLE_NS);
}

static void count_rules(struct wm_replay *r, uint64_t since)
{
	struct wm_card_stats stats;

	wm_card__stats(r->card, &stats);
	r->rules_time += (double)stats.rules * (r->now - since);
	if (stats.rules > r->rules_max)
		r->rules_max = stats.rules;
	r->failed |= stats.failed | r->source->failed;
}

static void tick(struct wm_replay *r)
{
	uint64_t next, wait;

	wm_card__set_time(r->card, r->now);
	next = wm_rules__tick(r->rules, r->now);
	if (r->options.rules.promote_after)
		r->counting.ctl.promote_after = wm_rules__ask(r->rules);
	wait = next > r->now ? next - r->now : 0;
	if (wait < WM_RULES_TICK_MIN_NS)
		wait = WM_RULES_TICK_MIN_NS;
	if (wait > WM_RULES_TICK_MAX_NS)
		wait = WM_RULES_TICK_MAX_NS;
	r->next_tick = r->now + wait;
}

static uint64_t earliest(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t least = a < b ? a : b;

	return least < c ? least : c;
}

int wm_replay__run(struct wm_replay *r, uint64_t until)
{
	while (r->now < until && !r->failed) {
		uint64_t since = r->now;

		r->now = earliest(r->next_tick, r->next_events,
				  until < r->tick_end ? until : r->tick_end);
		play_until(r, r->now);
		count_rules(r, since);
		if (r->now == r->tick_end)
			wake_all(r);
		if (r->now == r->next_events)
			read_events(r);
		if (r->now == r->next_tick)
			tick(r);
	}
	return r->failed ? -ENOMEM : 0;
}

/* --- measuring --- */

static void settle(struct wm_replay *r)
{
	wm_card__settle_all(r->card, r->now);
	for (uint32_t i = 0; i < r->n_resting; i++)
		count_rest(r, r->resting[i], r->now);
}

void wm_replay__measure(struct wm_replay *r)
{
	struct wm_card_stats stats;

	settle(r);
	wm_card__stats(r->card, &stats);
	wm_rules__stats(r->rules, &r->rules_before);
	memcpy(r->counter_before, r->counting.stats.counter, sizeof(r->counter_before));
	r->marked_before = stats.marked;
	r->began = r->now;
	r->software = r->misses = 0;
	r->rules_max = stats.rules;
	r->rules_time = 0;
}

static void subtract(struct wm_rules_stats *is, const struct wm_rules_stats *was)
{
	is->candidates -= was->candidates;
	is->installed -= was->installed;
	is->refused -= was->refused;
	is->full -= was->full;
	is->held -= was->held;
	for (int i = 0; i < WM_ENDS; i++)
		is->ended[i] -= was->ended[i];
}

void wm_replay__result(struct wm_replay *r, struct wm_replay_result *out)
{
	struct wm_card_stats stats;

	settle(r);
	wm_card__stats(r->card, &stats);
	*out = (struct wm_replay_result){
		.seconds = (double)(r->now - r->began) / SECOND,
		.marked = stats.marked - r->marked_before,
		.software = r->software,
		.misses = r->misses,
		.played = r->played,
		.rules_max = r->rules_max,
	};
	if (r->now > r->began)
		out->rules_mean = r->rules_time / (r->now - r->began);
	wm_rules__stats(r->rules, &out->rules);
	subtract(&out->rules, &r->rules_before);
	for (int i = 0; i < WM_COUNTERS_MAX; i++)
		out->counter[i] = r->counting.stats.counter[i] - r->counter_before[i];
}

/* --- making --- */

/* Only for sources whose flows may rest. */
static bool make_owners(struct wm_replay *r)
{
	size_t n = (size_t)WM_FLOW_WAYS * r->options.counting.flow_buckets;

	r->owner = malloc(n * sizeof(*r->owner));
	if (r->owner)
		memset(r->owner, 0xff, n * sizeof(*r->owner)); /* NONE */
	return r->owner;
}

struct wm_replay *wm_replay__new(const struct wm_replay_options *options, struct wm_source *s)
{
	const struct wm_card_options card = { options->capacity, options->install_delay_ns, s };
	struct wm_replay *r = calloc(1, sizeof(*r));
	const struct wm_rules_hooks hooks = { .active = on_active, .used = on_used,
					      .gone = on_gone, .arg = r };

	if (!r)
		return NULL;
	r->options = *options;
	r->source = s;
	r->now = r->began = options->start;
	r->next_tick = r->now + WM_RULES_TICK_MIN_NS;
	r->next_events = r->now + WM_EVENTS_BUSY_NS;
	r->last_event = r->now;
	r->tick_end = (r->now / TICK + 1) * TICK;
	if (wm_counting__init(&r->counting, &options->counting))
		goto free_replay;
	r->counting.ctl.rule_idle = wm_rules__gone_after_ns(options->rules.idle_ns) / TICK;
	if (s->cover && !make_owners(r))
		goto fini_counting;
	r->card = wm_card__new(&card);
	if (!r->card)
		goto free_owners;
	r->rules = wm_rules__new(&wm_card_ops, r->card, &options->rules, &hooks);
	if (!r->rules)
		goto free_card;
	wm_rules__seed(r->rules, options->counting.seed);
	return r;
free_card:
	wm_card__free(r->card);
free_owners:
	free(r->owner);
fini_counting:
	wm_counting__fini(&r->counting);
free_replay:
	free(r);
	return NULL;
}

void wm_replay__free(struct wm_replay *r)
{
	if (!r)
		return;
	wm_rules__free(r->rules);
	wm_card__free(r->card);
	wm_counting__fini(&r->counting);
	free(r->state);
	free(r->queue);
	free(r->resting);
	free(r->owner);
	free(r);
}
