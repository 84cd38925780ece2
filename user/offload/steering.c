// SPDX-License-Identifier: GPL-2.0
/*
 * One rule a queue would do, if it could say "a part of the flows". What a rule can say is
 * a source port by mask, so each vip's packets are divided into 2^k parts by k bits of it,
 * and each part goes to a queue. 2^k is the largest power of two that is not above the
 * number of queues: with more rules the fullest queue would get no less. The queue of the
 * first part differs from vip to vip, and so do the queues that are left out.
 *
 * The lowest bit of the port is not used: Linux gives connections even source ports for
 * as long as there are any, and half of the queues would get nothing.
 *
 * A NIC may refuse. Each vip goes down a ladder of its own, and what is left of it stays:
 *
 *   2^k parts --refused--> one rule --refused--> none: the NIC's own choice (RSS) decides
 *
 * A full table halves the parts of all vips. When each has one rule and there is still no
 * room, as many vips as fit are led. What the NIC refuses is said once. It is asked again
 * with each reload and, should it have refused everything, at each look with one rule:
 * somebody may have switched something on.
 *
 * At each look the rules are compared with the NIC's, so rules that got lost (a device
 * that was reset) come again.
 */
#include "steering.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "log.h"

enum { LOOK_RULES = 256 };

struct service {
	struct wm_steer_vip vip;
	uint32_t shares; /* 0: the NIC takes no rule for it */
	bool undivided;  /* it refused several */
};

struct wm_steering {
	const struct wm_steer_ops *ops; /* NULL: no rule goes in */
	struct wm_steerer *steerer;
	const char *backend;
	char interface[IF_NAMESIZE];
	struct service *service;
	size_t n;
	struct wm_queueset queues;
	uint32_t shares;         /* of a vip, if nothing is refused */
	struct wm_steer *rules;  /* room for all of them */
	int *result;
	size_t asked;            /* rules of the last attempt */
	char words[WM_STEER_WORDS];
	bool held, full;
	uint64_t due;
	struct wm_steering_stats is;
	bool told_undivided, told_refused, told_full;
};

/* --- which rules --- */

uint32_t wm_steer__shares(size_t queues, size_t vips)
{
	uint32_t shares = 1;

	while (shares * 2 <= queues && shares < WM_STEER_SHARES_MAX &&
	       shares * 2 * vips <= WM_STEER_RULES_MAX)
		shares *= 2;
	return shares;
}

/* Where a vip begins among the queues: the same for every process. */
static uint32_t first_of(const struct wm_steer_vip *vip)
{
	static const __u64 seed[4] = {
		0xa4093822299f31d0, 0x082efa98ec4e6c89, 0x13198a2e03707344, 0x243f6a8885a308d3,
	};
	struct wm_flow flow = { .dport = vip->port, .proto = vip->proto, .family = vip->family };

	memcpy(flow.dst, vip->address, sizeof(flow.dst));
	return wm_flow_hash(&flow, seed) >> 40;
}

static uint32_t queue_at(const struct wm_queueset *queues, uint32_t i)
{
	uint32_t id = wm_queueset__next(queues, 0);

	while (i--)
		id = wm_queueset__next(queues, id + 1);
	return id;
}

void wm_steer__rules(const struct wm_steer_vip *vip, uint32_t shares,
		     const struct wm_queueset *queues, struct wm_steer *rules)
{
	uint32_t n = wm_queueset__count(queues), first = first_of(vip) % n;

	for (uint32_t i = 0; i < shares; i++) {
		rules[i] = (struct wm_steer){
			.dport = vip->port,
			.sport = htons(i << 1),
			.sport_mask = htons((shares - 1) << 1),
			.queue = queue_at(queues, (first + i) % n),
			.family = vip->family,
			.proto = vip->proto,
		};
		memcpy(rules[i].dst, vip->address, sizeof(rules[i].dst));
	}
}

/* --- what the NIC says --- */

/* Not the NIC's opinion of the rule: another time it may go. */
static bool passes(int result)
{
	return result == -ENODEV || result == -EIO || result == -EEXIST || result == -ENOMEM ||
	       result == -EAGAIN || result == -EBUSY || result == -ENETDOWN;
}

static bool is_refusal(int result)
{
	return result && result != -ENOSPC && !passes(result);
}

/* All rules as they are wanted now. 0, or -errno: ask again later. */
static int attempt(struct wm_steering *s, bool make_room)
{
	size_t n = 0;
	int ret;

	for (size_t i = 0; i < s->n; i++) {
		wm_steer__rules(&s->service[i].vip, s->service[i].shares, &s->queues, &s->rules[n]);
		n += s->service[i].shares;
	}
	s->words[0] = '\0';
	s->asked = n;
	ret = s->ops->steer(s->steerer, s->rules, n, make_room, s->result, s->words);
	for (size_t i = 0; i < n && !ret; i++)
		if (passes(s->result[i]))
			ret = s->result[i];
	return ret;
}

/* One step down the ladder for each vip that was refused. */
static bool step_down(struct wm_steering *s)
{
	const int *result = s->result;
	bool refused = false;

	for (size_t i = 0; i < s->n; i++) {
		struct service *service = &s->service[i];
		uint32_t shares = service->shares;
		bool no = false;

		for (uint32_t k = 0; k < shares; k++)
			no |= is_refusal(*result++);
		if (!no)
			continue;
		refused = true;
		service->undivided = shares > 1;
		service->shares = shares > 1;
	}
	if (refused)
		snprintf(s->is.why, sizeof(s->is.why), "%s", *s->words ? s->words :
			 "the NIC does not say why");
	return refused;
}

static bool is_full(const struct wm_steering *s)
{
	for (size_t i = 0; i < s->asked; i++)
		if (s->result[i] == -ENOSPC)
			return true;
	return false;
}

static bool halve(struct wm_steering *s)
{
	bool less = false;

	for (size_t i = 0; i < s->n; i++) {
		less |= s->service[i].shares > 1;
		s->service[i].shares = (s->service[i].shares + 1) / 2;
	}
	return less;
}

/* Down the ladder until the NIC is content. 0 or -errno. */
static int settle(struct wm_steering *s)
{
	int ret;

	for (;;) {
		ret = attempt(s, false);
		if (ret)
			return ret;
		if (step_down(s))
			continue;
		if (!is_full(s))
			return 0;
		s->full = true;
		snprintf(s->is.why, sizeof(s->is.why), "the NIC's table is full");
		if (!halve(s))
			return attempt(s, true);
	}
}

static void start_over(struct wm_steering *s)
{
	for (size_t i = 0; i < s->n; i++) {
		s->service[i].shares = s->shares;
		s->service[i].undivided = false;
	}
	s->full = false;
	s->is.why[0] = '\0';
}

/* --- what there is to say --- */

static void count(struct wm_steering *s)
{
	const int *result = s->result;

	s->is.steered = s->is.rules = 0;
	for (size_t i = 0; i < s->n; i++) {
		bool all = s->service[i].shares;

		for (uint32_t k = 0; k < s->service[i].shares; k++, result++) {
			all &= !*result;
			s->is.rules += !*result;
		}
		s->is.steered += all;
	}
	if (s->is.steered == s->is.vips && !s->full)
		s->is.why[0] = '\0';
}

static void tell_refusal(struct wm_steering *s)
{
	uint32_t first = wm_queueset__next(&s->queues, 0);

	if (s->told_refused)
		return;
	s->told_refused = true;
	wm_warn("offload %s: %s takes no steering rules for %u of %u vips (%s): of their packets "
		"only those that the NIC itself (RSS) puts into waymark's queues are balanced; "
		"try to lead them there by hand: ethtool -N %s flow-type tcp4 dst-ip ADDRESS "
		"action %u, or ethtool -X; said once", s->backend, s->interface,
		s->is.vips - s->is.steered, s->is.vips, s->is.why, s->interface, first);
}

static void tell_undivided(struct wm_steering *s, const char *why)
{
	for (size_t i = 0; i < s->n && !s->told_undivided; i++) {
		if (!s->service[i].undivided || !s->service[i].shares)
			continue;
		s->told_undivided = true;
		wm_info("offload %s: %s does not divide a vip's packets by their source port (%s): "
			"all packets of a vip go to one queue; said once", s->backend,
			s->interface, why);
	}
}

static void tell(struct wm_steering *s, const struct wm_steering_stats *before)
{
	char queues[WM_QUEUESET_TEXT];

	if (s->full && !s->told_full) {
		s->told_full = true;
		wm_warn("offload %s: %s has no room for all steering rules; said once",
			s->backend, s->interface);
	}
	if (s->is.steered < s->is.vips && !s->full)
		tell_refusal(s);
	if (s->is.rules != before->rules || s->is.steered != before->steered)
		wm_info("%s: %u steering rules lead %u of %u vips to queues %s", s->interface,
			s->is.rules, s->is.steered, s->is.vips,
			wm_queueset__format(&s->queues, ",", queues, sizeof(queues)));
}

/* --- life --- */

struct wm_steering *wm_steering__new(const struct wm_steer_ops *ops, struct wm_steerer *steerer,
				     const char *backend, const char *interface)
{
	struct wm_steering *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->ops = ops;
	s->steerer = steerer;
	s->backend = backend;
	snprintf(s->interface, sizeof(s->interface), "%s", interface);
	return s;
}

void wm_steering__free(struct wm_steering *s)
{
	if (!s)
		return;
	free(s->service);
	free(s->rules);
	free(s->result);
	free(s);
}

int wm_steering__want(struct wm_steering *s, const struct wm_steer_vip *vips, size_t n,
		      const struct wm_queueset *queues)
{
	size_t n_queues = wm_queueset__count(queues), room;
	uint32_t shares = wm_steer__shares(n_queues, n);
	struct service *service;
	struct wm_steer *rules;
	int *result;

	n = n_queues ? n : 0;
	room = n * shares + 1;
	service = calloc(n + 1, sizeof(*service));
	rules = calloc(room, sizeof(*rules));
	result = calloc(room, sizeof(*result));
	if (!service || !rules || !result) {
		free(service);
		free(rules);
		free(result);
		return -ENOMEM;
	}
	free(s->service);
	free(s->rules);
	free(s->result);
	for (size_t i = 0; i < n; i++)
		service[i].vip = vips[i];
	s->service = service;
	s->rules = rules;
	s->result = result;
	s->n = s->is.vips = n;
	s->shares = shares;
	s->queues = *queues;
	s->due = 0;
	start_over(s);
	return 0;
}

void wm_steering__hold(struct wm_steering *s, bool hold)
{
	s->held = hold;
	s->due = 0;
	if (hold)
		s->is.rules = s->is.steered = 0;
}

/* A NIC that refused everything is asked with one rule, and with all if it takes that. */
static void ask_again(struct wm_steering *s)
{
	if (!s->n || s->is.rules)
		return;
	s->service[0].shares = 1;
	if (!attempt(s, false) && !s->result[0])
		start_over(s);
	else
		s->service[0].shares = 0;
}

static bool has_refused_all(const struct wm_steering *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->service[i].shares)
			return false;
	return s->n;
}

static void look(struct wm_steering *s)
{
	const struct wm_steering_stats before = s->is;
	char why[sizeof(s->is.why)];
	int ret;

	if (has_refused_all(s))
		ask_again(s);
	ret = settle(s);
	if (ret) {
		s->is.rules = s->is.steered = 0;
		snprintf(s->is.why, sizeof(s->is.why), "%s", strerror(-ret));
		return;
	}
	memcpy(why, s->is.why, sizeof(why));
	count(s);
	tell_undivided(s, why);
	if (s->n)
		tell(s, &before);
	else
		s->due = UINT64_MAX; /* nothing to look after */
}

uint64_t wm_steering__tick(struct wm_steering *s, uint64_t now)
{
	if (s->held || now < s->due)
		return s->held ? UINT64_MAX : s->due;
	if (s->ops) {
		s->due = now + (1 + s->is.rules / LOOK_RULES) * WM_STEER_LOOK_NS;
		look(s);
		return s->due;
	}
	s->due = UINT64_MAX;
	if (s->n) {
		snprintf(s->is.why, sizeof(s->is.why), "backend %s has none", s->backend);
		tell_refusal(s);
	}
	return s->due;
}

uint32_t wm_steering__missing(const struct wm_steering *s)
{
	return s->full ? s->n * s->shares - s->is.rules : 0;
}

void wm_steering__again(struct wm_steering *s)
{
	start_over(s);
	s->due = 0;
}

void wm_steering__stats(const struct wm_steering *s, struct wm_steering_stats *out)
{
	*out = s->is;
}
