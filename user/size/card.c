// SPDX-License-Identifier: GPL-2.0
/*
 * Rules are found by the number of their flow, and listed in a dense array.
 * A rule's packets are counted one by one, or asked from the source when it is
 * read (see struct wm_source, passed). Its rules match no SYN, FIN or RST.
 */
#include "card.h"

#include <errno.h>
#include <stdlib.h>

enum { NONE = UINT32_MAX };

struct rule {
	uint32_t index;  /* in `listed`; NONE: not in the NIC */
	uint32_t mark;
	uint32_t ticket; /* of its install in progress; 0: none */
	uint64_t packets, last_used;
	uint64_t settled; /* packets are counted up to here */
};

/* Installs in progress, the oldest first. */
struct pending {
	struct wm_rule rule;
	uint32_t ticket;
	uint64_t due;
};

struct wm_offload {
	struct wm_offload_caps caps;
	struct wm_card_options options;
	uint64_t now;
	struct rule *rule;
	uint32_t n_rules; /* as many flows are known */
	uint32_t *listed;
	uint32_t n_listed;
	struct pending *pending; /* a ring */
	uint32_t first, n_pending, max_pending, tickets;
	uint64_t marked;
	bool failed;
};

/* --- memory --- */

static struct rule *rule_of(struct wm_offload *card, uint32_t flow)
{
	uint32_t max = flow + flow / 2 + 1024;
	struct rule *rule;

	if (flow < card->n_rules)
		return &card->rule[flow];
	rule = realloc(card->rule, max * sizeof(*rule));
	if (!rule) {
		card->failed = true;
		return NULL;
	}
	for (uint32_t i = card->n_rules; i < max; i++)
		rule[i] = (struct rule){ .index = NONE };
	card->rule = rule;
	card->n_rules = max;
	return &rule[flow];
}

static bool more_pending(struct wm_offload *card)
{
	uint32_t max = 2 * card->max_pending + 256;
	struct pending *ring = malloc(max * sizeof(*ring));

	if (!ring) {
		card->failed = true;
		return false;
	}
	for (uint32_t i = 0; i < card->n_pending; i++)
		ring[i] = card->pending[(card->first + i) % card->max_pending];
	free(card->pending);
	card->pending = ring;
	card->first = 0;
	card->max_pending = max;
	return true;
}

/* --- packets --- */

void wm_card__settle(struct wm_offload *card, uint32_t flow, uint64_t now)
{
	struct wm_source *s = card->options.source;
	struct rule *rule = flow < card->n_rules ? &card->rule[flow] : NULL;
	uint64_t n;

	if (!rule || rule->index == NONE || !s->passed)
		return;
	n = s->passed(s, flow, rule->settled, now, &rule->last_used);
	rule->packets += n;
	card->marked += n;
	rule->settled = now;
}

void wm_card__settle_all(struct wm_offload *card, uint64_t now)
{
	for (uint32_t i = 0; i < card->n_listed; i++)
		wm_card__settle(card, card->listed[i], now);
}

bool wm_card__marks(struct wm_offload *card, const struct wm_packet *p)
{
	struct rule *rule = p->flow < card->n_rules ? &card->rule[p->flow] : NULL;

	if (!rule || rule->index == NONE || p->flags & (WM_SYN | WM_FIN | WM_RST))
		return false;
	rule->packets++;
	rule->last_used = p->at;
	card->marked++;
	return true;
}

/* --- rules --- */

static int put(struct wm_offload *card, const struct wm_rule *wanted)
{
	struct wm_source *s = card->options.source;
	uint32_t flow = wm_source__number(&wanted->flow);
	struct rule *rule = rule_of(card, flow);

	if (!rule)
		return -ENOMEM;
	rule->mark = wanted->mark;
	if (rule->index != NONE)
		return 0;
	if (card->n_listed == card->options.capacity)
		return -ENOSPC;
	rule->index = card->n_listed;
	rule->packets = rule->last_used = 0;
	rule->settled = card->now;
	card->listed[card->n_listed++] = flow;
	if (s->cover)
		s->cover(s, flow, true);
	return 0;
}

static int ask(struct wm_offload *card, const struct wm_rule *wanted)
{
	struct rule *rule = rule_of(card, wm_source__number(&wanted->flow));

	if (!card->options.delay_ns)
		return put(card, wanted);
	if (!rule || (card->n_pending == card->max_pending && !more_pending(card)))
		return -ENOMEM;
	rule->ticket = ++card->tickets;
	card->pending[(card->first + card->n_pending++) % card->max_pending] = (struct pending){
		*wanted, rule->ticket, card->now + card->options.delay_ns,
	};
	return -EINPROGRESS;
}

static void install(struct wm_offload *card, const struct wm_rule *rules, size_t n, int *result)
{
	for (size_t i = 0; i < n; i++)
		result[i] = ask(card, &rules[i]);
}

static int take_out(struct wm_offload *card, uint32_t flow)
{
	struct wm_source *s = card->options.source;
	struct rule *rule = rule_of(card, flow);
	uint32_t last;

	if (!rule)
		return -ENOMEM;
	rule->ticket = 0; /* its install, if one is under way, comes to nothing */
	if (rule->index == NONE)
		return -ENOENT;
	wm_card__settle(card, flow, card->now);
	last = card->listed[--card->n_listed];
	card->listed[rule->index] = last;
	card->rule[last].index = rule->index;
	rule->index = NONE;
	if (s->cover)
		s->cover(s, flow, false);
	return 0;
}

static void take_rules_out(struct wm_offload *card, const struct wm_flow *flows, size_t n,
			   int *result)
{
	for (size_t i = 0; i < n; i++)
		result[i] = take_out(card, wm_source__number(&flows[i]));
}

static int answer(struct wm_offload *card,
		  void (*done)(void *arg, const struct wm_rule *rule, int result), void *arg)
{
	int answers = 0;

	while (card->n_pending && card->pending[card->first].due <= card->now) {
		struct pending p = card->pending[card->first];
		struct rule *rule = rule_of(card, wm_source__number(&p.rule.flow));

		card->first = (card->first + 1) % card->max_pending;
		card->n_pending--;
		if (!rule || rule->ticket != p.ticket)
			continue;
		rule->ticket = 0;
		done(arg, &p.rule, put(card, &p.rule));
		answers++;
	}
	return answers;
}

static int list(struct wm_offload *card,
		void (*each)(void *arg, const struct wm_rule *rule,
			     const struct wm_rule_stats *stats),
		void *arg)
{
	struct wm_source *s = card->options.source;

	for (uint32_t i = 0; i < card->n_listed; i++) {
		uint32_t flow = card->listed[i];
		const struct rule *rule = &card->rule[flow];
		struct wm_rule_stats stats;
		struct wm_rule view;

		wm_card__settle(card, flow, card->now);
		stats = (struct wm_rule_stats){ rule->packets, 0, rule->last_used };
		view.mark = rule->mark;
		s->name(s, flow, &view.flow);
		each(arg, &view, &stats);
	}
	return 0;
}

static const struct wm_offload_caps *caps(struct wm_offload *card)
{
	return &card->caps;
}

const struct wm_offload_ops wm_card_ops = {
	.name = "card",
	.caps = caps,
	.install = install,
	.remove = take_rules_out,
	.poll = answer,
	.list = list,
};

/* --- the card --- */

struct wm_offload *wm_card__new(const struct wm_card_options *options)
{
	struct wm_offload *card = calloc(1, sizeof(*card));

	if (!card)
		return NULL;
	card->options = *options;
	card->caps = (struct wm_offload_caps){
		.mark_bits = 32, .capacity = options->capacity, .tcp_flags = true, .stats = true,
	};
	card->listed = calloc(options->capacity, sizeof(*card->listed));
	if (!card->listed) {
		free(card);
		return NULL;
	}
	return card;
}

void wm_card__free(struct wm_offload *card)
{
	if (!card)
		return;
	free(card->rule);
	free(card->listed);
	free(card->pending);
	free(card);
}

void wm_card__set_time(struct wm_offload *card, uint64_t now)
{
	card->now = now;
}

void wm_card__stats(const struct wm_offload *card, struct wm_card_stats *out)
{
	*out = (struct wm_card_stats){ card->n_listed, card->marked, card->failed };
}
