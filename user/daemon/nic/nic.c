// SPDX-License-Identifier: GPL-2.0
/*
 * Which backend, and its place in the loop: rules do what is due in
 * wm_rules__tick(), which says when to come again. That is bounded on both
 * sides, so that a backend in a hurry does not use up a whole CPU and one that sleeps is
 * still looked at.
 *
 * A NIC may take its time, or not answer at all. Nothing in the loop waits for it: what comes
 * after is called by the tick that finds it done, or that finds the time over.
 *
 * Each interface has its card, with a backend and a life of rules of its own: budget,
 * room, back-off. A flow is offered to all of them, since the next packet may
 * come in by another. Where none comes its rule is idle and goes.
 */
#include "nic.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ethtool.h"
#include "governor.h"
#include "ifindex.h"
#include "log.h"
#include "monotonic.h"
#include "running.h"
#include "times.h"
#include "trial.h"

enum {
	TICK_MIN_US = WM_RULES_TICK_MIN_NS / 1000,
	TICK_MAX_US = WM_RULES_TICK_MAX_NS / 1000,
	MOVE_WAIT_MS = 2000,
	LOOK_MS = 1000,       /* for marks that come back */
	QUIET_WAIT_MS = 2000, /* more than any card awaits */
	MARK_BITS_PLANNED = 16, /* without a NIC: as if there were an ordinary one */
};

/* --- backend --- */

static int refuse(struct wm_err *err, const char *name)
{
	return wm_err__set(err, -EOPNOTSUPP, "offload: backend %s is not in this version: "
			   "use flower, ntuple, sim (a softnic), none, or auto", name);
}

/* Without a choice of the file's it is the softnic if there is one. */
static const char *name_of(const struct wm_config *config)
{
	enum wm_backend backend = config->offload.backend;

	if (backend == WM_BACKEND_AUTO)
		backend = config->offload.sim_pin ? WM_BACKEND_SIM : WM_BACKEND_FLOWER;
	return wm_backend_words[backend];
}

/* What a card can do; nothing, if its backend does not say. */
static const struct wm_offload_caps *caps_of(const struct wm_nic *nic, size_t i)
{
	static const struct wm_offload_caps nothing;

	return nic->ops->caps ? nic->ops->caps(nic->card[i].off) : &nothing;
}

static int open_card(struct wm_nic *nic, const struct wm_config *config, size_t i,
		     struct wm_err *err)
{
	const char *pin = config->offload.sim_pin;
	struct wm_nic_card *card = &nic->card[nic->n];
	char *argument = NULL;
	int ret;

	if (pin) {
		argument = wm_config__path(config, pin);
		if (!argument)
			return wm_err__sys(err, -ENOMEM, "offload");
	}
	*card = (struct wm_nic_card){ .position = i };
	snprintf(card->interface, sizeof(card->interface), "%s", config->interfaces[i]);
	ret = nic->ops->open(&card->off, card->interface, argument, err);
	free(argument);
	if (!ret)
		nic->n++;
	return ret;
}

/* Has the card what the lane takes that the file asks for? */
static int check_lane(const struct wm_nic *nic, size_t card, struct wm_err *err)
{
	const struct wm_offload_caps *caps = caps_of(nic, card);
	const char *interface = nic->card[card].interface;

	if (nic->lane == WM_LANE_MAC && !caps->mac_bits)
		return wm_err__set(err, -EOPNOTSUPP, "offload: lane mac: rules of backend %s "
				   "cannot rewrite a frame's source address: use another lane, "
				   "or auto",
				   nic->ops->name);
	if (nic->lane == WM_LANE_KFUNC && (caps->software || !wm_dp__has_marks(interface)))
		return wm_err__set(err, -EOPNOTSUPP, "offload: lane kfunc: %s: this kernel or the "
				   "driver lacks bpf_xdp_metadata_rx_flow_mark, or backend %s "
				   "does not use it: use another lane, or auto", interface,
				   nic->ops->name);
	return 0;
}

/* Why this card's marks would not come by the lanes that a driver has; false: they do. */
static bool lacks_marks(const struct wm_nic *nic, size_t card, char *why, size_t size)
{
	const char *interface = nic->card[card].interface;

	if (caps_of(nic, card)->software ||
	    (nic->lane != WM_LANE_META && wm_dp__has_marks(interface)) ||
	    wm_ethtool__feature(interface, "rx-xdp-mark") == WM_FEATURE_ON)
		return false;
	snprintf(why, size, "%s%s, and ethtool -K %s rx-xdp-mark is not on",
		 nic->lane == WM_LANE_META ? "lane: meta does without " :
		 "this kernel or its driver lacks ", "bpf_xdp_metadata_rx_flow_mark", interface);
	return true;
}

int wm_nic__settle_lane(struct wm_nic *nic, size_t card, bool choose, struct wm_err *err)
{
	struct wm_nic_card *c = &nic->card[card];
	int ret = nic->ops->install ? check_lane(nic, card, err) : 0, refused;

	c->mac = !ret && nic->lane == WM_LANE_MAC;
	if (ret || !nic->ops->install || c->mac ||
	    !lacks_marks(nic, card, nic->why, sizeof(nic->why)))
		return ret;
	refused = nic->lane == WM_LANE_AUTO && caps_of(nic, card)->mac_bits ?
		  wm_trial__rewriting(nic->ops, nic->card[card].off) : -EOPNOTSUPP;
	if (!refused) {
		c->mac = true;
		wm_info("offload %s: %s: marks come in source addresses: %s", nic->ops->name,
			c->interface, nic->why);
		return 0;
	}
	wm_err__set(err, -EOPNOTSUPP, "%s has no flow marks for XDP: %s; it does not rewrite "
		    "source addresses: %s", c->interface, nic->why, strerror(-refused));
	*nic->why = '\0';
	if (choose)
		return -EOPNOTSUPP;
	wm_warn("offload %s: rules will bring nothing: %s", nic->ops->name, err->text);
	return 0;
}

/* The next card, unless it would be of no use. */
static int add_card(struct wm_nic *nic, const struct wm_config *config, size_t i, bool choose,
		    struct wm_err *err)
{
	struct wm_err why = {}, *reason = choose ? &why : err;
	int ret = open_card(nic, config, i, reason);

	if (!ret) {
		ret = wm_nic__settle_lane(nic, nic->n - 1, choose, reason);
		if (ret)
			nic->ops->close(nic->card[--nic->n].off);
	}
	if (!ret || !choose)
		return ret;
	wm_info("no rules in the NIC, all in software: %s", why.text);
	return 0;
}

static void close_cards(struct wm_nic *nic)
{
	while (nic->n)
		nic->ops->close(nic->card[--nic->n].off);
	free(nic->card);
	nic->card = NULL;
	nic->ops = NULL;
}

/* Where it works, or (if nobody leaves us the choice) everywhere. */
static int open_backend(struct wm_nic *nic, const struct wm_config *config, const char *name,
			bool choose, struct wm_err *err)
{
	bool one;
	int ret = 0;

	nic->ops = wm_offload__find(name);
	if (!nic->ops)
		return refuse(err, name);
	one = nic->ops->scope != WM_SCOPE_EACH;
	nic->card = calloc(config->n_interfaces, sizeof(*nic->card));
	if (!nic->card)
		return wm_err__sys(err, -ENOMEM, "offload");
	for (size_t i = 0; i < config->n_interfaces && !ret && !(one && nic->n); i++) {
		if (wm_ifindex__of(config->interfaces[i]) != -ENODEV)
			ret = add_card(nic, config, i, choose, err);
		else if (nic->ops->install && !one)
			wm_warn("offload %s: interface %s is not there: no rules in its NIC until "
				"a restart", name, config->interfaces[i]);
	}
	if (!ret && nic->n)
		return 0;
	close_cards(nic);
	return ret ? ret : -EOPNOTSUPP;
}

static void learn_mark_bits(struct wm_nic *nic)
{
	for (size_t i = 0; i < nic->n; i++) {
		uint32_t bits = nic->card[i].mac ? caps_of(nic, i)->mac_bits :
						   caps_of(nic, i)->mark_bits;

		if (!i || bits < nic->mark_bits)
			nic->mark_bits = bits;
	}
}

static void tell_queues(struct wm_nic *nic, const struct wm_config *config)
{
	for (size_t i = 0; nic->ops->queues && i < nic->n; i++)
		nic->ops->queues(nic->card[i].off, &config->queues[nic->card[i].position]);
}

int wm_nic__open(struct wm_nic *nic, const struct wm_config *config, struct wm_err *err)
{
	bool choose = config->offload.backend == WM_BACKEND_AUTO && !config->offload.sim_pin;
	int ret;

	nic->lane = config->offload.lane;
	ret = open_backend(nic, config, name_of(config), choose, err);
	if (ret == -EOPNOTSUPP && choose)
		ret = open_backend(nic, config, "none", false, err);
	if (ret)
		return ret;
	if (config->n_interfaces > 1 && nic->ops->scope == WM_SCOPE_FIRST)
		wm_warn("offload: rules go into %s only", config->interfaces[0]);
	learn_mark_bits(nic);
	tell_queues(nic, config);
	return 0;
}

bool wm_nic__works(const struct wm_nic *nic)
{
	return nic->ops && nic->ops->install;
}

bool wm_nic__mac_lane(const struct wm_nic *nic)
{
	for (size_t i = 0; i < nic->n; i++)
		if (nic->card[i].mac)
			return true;
	return false;
}

uint32_t wm_nic__mark_bits(const struct wm_nic *nic)
{
	return nic->mark_bits ? nic->mark_bits : MARK_BITS_PLANNED;
}

uint32_t wm_nic__locations(const struct wm_nic *nic)
{
	return nic->n ? caps_of(nic, 0)->locations : 0;
}

static uint16_t id_of(const struct wm_nic *nic, uint32_t mark)
{
	return mark & ((1u << wm_dp__params(nic->running->dp)->dest_bits) - 1);
}

const struct wm_model_dest *wm_nic__dest_of(const struct wm_nic *nic, uint32_t mark)
{
	const struct wm_model *model = nic->running->model;
	const struct wm_model_dest *dest = wm_model__dest(model, id_of(nic, mark));

	if (!dest || dest->state != WM_DEST_LIVE || wm_model__dest_mark(model, dest) != mark)
		return NULL;
	return dest;
}

/* --- rules --- */

/* A rule that goes into the NIC binds the flow: from before that until it is gone its
 * entry says so, and no packet moves it. */
static bool on_current(void *arg, const struct wm_rule *rule)
{
	const struct wm_nic *nic = arg;
	struct wm_flow_slot slot;

	return wm_dp__flow_find(nic->running->dp, &rule->flow, &slot) &&
	       slot.state == WM_FLOW_PROMOTED && slot.dest == id_of(nic, rule->mark) &&
	       wm_dp__flow_keep(nic->running->dp, &rule->flow, slot.dest);
}

/* Packets that the NIC marks pass the flow table by: it must neither age nor be lost. */
static bool on_used(void *arg, const struct wm_rule *rule)
{
	const struct wm_nic *nic = arg;

	/* A mark of a destination that is gone sends no packet. */
	return wm_nic__dest_of(nic, rule->mark) &&
	       wm_dp__flow_keep(nic->running->dp, &rule->flow, id_of(nic, rule->mark));
}

/* The flow is bound no more, unless another card has a rule of it. */
static void on_gone(void *arg, const struct wm_flow *flow)
{
	const struct wm_nic *nic = arg;
	struct wm_rule_view view;

	if (!wm_nic__find(nic, flow, &view))
		wm_dp__flow_restart(nic->running->dp, flow);
}

static uint64_t on_clock(void *arg)
{
	(void)arg;
	return wm_now_ns();
}

static uint64_t deletions_of(const struct wm_nic_card *card)
{
	struct wm_rules_stats stats;

	wm_rules__stats(card->rules, &stats);
	return stats.state[WM_RULE_DELETING];
}

static uint64_t rules_left(const struct wm_nic *nic)
{
	struct wm_rules_stats stats;

	wm_nic__stats(nic, &stats);
	return stats.state[WM_RULE_INSTALLING] + stats.state[WM_RULE_ACTIVE] +
	       stats.state[WM_RULE_DELETING];
}

/* Has what is awaited come, or is the time over? `done` may await something again. */
static void end_wait(struct wm_nic_wait *wait, bool has_come, uint64_t now)
{
	const struct wm_nic_wait was = *wait;

	if (!was.until_ns || (!has_come && now < was.until_ns))
		return;
	*wait = (struct wm_nic_wait){};
	was.done(was.arg);
}

static void await(struct wm_nic *nic, struct wm_nic_wait *wait, uint32_t ms,
		  void (*done)(void *arg), void *arg)
{
	*wait = (struct wm_nic_wait){ wm_now_ns() + ms * 1000000ull, done, arg };
	wm_nic__hurry(nic);
}

static bool is_quiet(const struct wm_nic *nic)
{
	for (size_t i = 0; i < nic->n; i++)
		if (nic->card[i].settling.until_ns)
			return false;
	return true;
}

static void end_waits(struct wm_nic *nic, uint64_t now)
{
	uint64_t left;

	for (size_t i = 0; i < nic->n; i++)
		if (nic->card[i].settling.until_ns)
			end_wait(&nic->card[i].settling, !deletions_of(&nic->card[i]), now);
	end_wait(&nic->quiet, is_quiet(nic), now);
	if (!nic->moving.until_ns)
		return;
	left = rules_left(nic);
	if (left && now >= nic->moving.until_ns)
		wm_warn("offload %s: the NIC keeps some rules for queues that are not ours any "
			"more", nic->ops->name);
	end_wait(&nic->moving, !left, now);
}

/* Marks that arrived, whatever they were worth. */
static uint64_t marks_in(const uint64_t counter[WM_COUNTERS_MAX])
{
	static const enum wm_counter marks[] = {
		WM_C_TX_MARKED, WM_C_MARK_UNKNOWN, WM_C_MARK_STALE, WM_C_MARK_GONE,
		WM_C_MARK_MISMATCH, WM_C_MARK_CONTROL,
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(marks) / sizeof(*marks); i++)
		sum += counter[marks[i]];
	return sum;
}

static void retire_all(struct wm_nic *nic)
{
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__retire_all(nic->card[i].rules, wm_now_ns());
}

/* The lane does not do what it promised. If it was our choice, no rules are better than
 * rules that cost the NIC's time. */
static void marks_are_missing(struct wm_nic *nic)
{
	struct wm_dp *dp = nic->running->dp;

	wm_warn("offload %s: rules have counted %d packets, and no mark has arrived by lane %s%s",
		nic->ops->name, WM_MARKS_ENOUGH, wm_dp__lane_name(dp),
		nic->lane == WM_LANE_AUTO ? ": all in software from here on" : "");
	if (nic->lane != WM_LANE_AUTO)
		return;
	wm_dp__ctl(dp)->promote_after = 0;
	retire_all(nic);
}

/* Until marks were seen, once a second. */
static void look_for_marks(struct wm_nic *nic, uint64_t now)
{
	struct wm_dp *dp = nic->running->dp;
	uint64_t counter[WM_COUNTERS_MAX], bytes;
	struct wm_rules_stats stats;

	if (!dp || !wm_nic__works(nic) || nic->marks.state == WM_MARKS_SEEN ||
	    now < nic->marks.looked_ns + LOOK_MS * 1000000ull)
		return;
	nic->marks.looked_ns = now;
	wm_nic__stats(nic, &stats);
	wm_dp__counters(dp, counter, &bytes);
	if (!wm_marks__judge(&nic->marks, marks_in(counter), counter[WM_C_TX_HIT], stats.packets))
		return;
	if (nic->marks.state == WM_MARKS_MISSING)
		marks_are_missing(nic);
	else
		wm_info("offload %s: marks arrive, by lane %s", nic->ops->name,
			wm_dp__lane_name(dp));
}

bool wm_nic__promotes(const struct wm_nic *nic)
{
	return wm_nic__works(nic) &&
	       (nic->marks.state != WM_MARKS_MISSING || nic->lane != WM_LANE_AUTO);
}

/* A flow gets a rule in every card, so that decides which asks for most. */
static void tell_ask(struct wm_nic *nic)
{
	struct wm_dp *dp = nic->running->dp;
	uint32_t ask = 0;

	if (!dp || !wm_nic__promotes(nic))
		return;
	for (size_t i = 0; i < nic->n; i++) {
		uint32_t one = wm_rules__ask(nic->card[i].rules);

		ask = one > ask ? one : ask;
	}
	if (wm_dp__ctl(dp)->promote_after != ask)
		wm_dp__ctl(dp)->promote_after = ask;
}

static void tick(void *arg)
{
	struct wm_nic *nic = arg;
	uint64_t now = wm_now_ns(), next = UINT64_MAX, us;

	look_for_marks(nic, now);
	for (size_t i = 0; i < nic->n; i++) {
		uint64_t due = wm_rules__tick(nic->card[i].rules, now);
		uint64_t steer = wm_steering__tick(nic->card[i].steering, now);

		due = steer < due ? steer : due;
		next = due < next ? due : next;
	}
	tell_ask(nic);
	us = next > now ? (next - now) / 1000 : 0;
	if (us < TICK_MIN_US)
		us = TICK_MIN_US;
	wm_timer__arm(&nic->timer, us < TICK_MAX_US ? us : TICK_MAX_US);
	end_waits(nic, now);
}

void wm_nic__hurry(struct wm_nic *nic)
{
	wm_timer__arm_within(&nic->timer, TICK_MIN_US);
}

static struct wm_rules_options options_of(const struct wm_config *config)
{
	return (struct wm_rules_options){
		.max_rules = config->offload.max_rules,
		.installs_per_second = config->offload.installs_per_second,
		.promote_after = config->offload.promote_after,
		.idle_ns = config->offload.idle_ns,
	};
}

void wm_nic__configure(struct wm_nic *nic, const struct wm_config *config)
{
	struct wm_rules_options options = options_of(config);

	for (size_t i = 0; i < nic->n; i++)
		wm_rules__configure(nic->card[i].rules, &options);
}

static int start_steering(struct wm_nic *nic, size_t i, struct wm_err *err)
{
	const struct wm_steer_ops *ops = caps_of(nic, i)->steer;
	struct wm_nic_card *card = &nic->card[i];
	int ret = ops ? ops->open(&card->steerer, card->interface, err) : 0;

	if (ret)
		return ret;
	card->steering = wm_steering__new(ops, card->steerer, nic->ops->name, card->interface);
	return card->steering ? 0 : wm_err__sys(err, -ENOMEM, "offload");
}

static void stop_steering(struct wm_nic *nic, size_t i)
{
	struct wm_nic_card *card = &nic->card[i];

	wm_steering__free(card->steering);
	if (card->steerer)
		caps_of(nic, i)->steer->close(card->steerer);
}

static int start_card(struct wm_nic *nic, size_t i, struct wm_err *err)
{
	const struct wm_rules_hooks hooks = { .current = on_current, .used = on_used,
					      .gone = on_gone, .clock = on_clock, .arg = nic };
	struct wm_rules_options options = options_of(nic->running->config);
	const struct wm_offload_ops *ops = nic->ops;
	struct wm_nic_card *card = &nic->card[i];
	struct wm_dp *dp = nic->running->dp;
	int ret = 0;

	if (card->mac)
		ops->mac_lane(card->off, wm_dp__params(dp)->mac_prefix);
	if (ops->locate)
		ret = ops->locate(card->off, wm_dp__locations(dp), wm_dp__params(dp)->locations);
	if (ret)
		return wm_err__sys(err, ret, "offload %s: cannot list the rules of %s",
				   ops->name, card->interface);
	card->rules = wm_rules__new(ops, card->off, &options, &hooks);
	return card->rules ? start_steering(nic, i, err) : wm_err__sys(err, -ENOMEM, "offload");
}

int wm_nic__start(struct wm_nic *nic, sd_event *event, const struct wm_running *running,
		  struct wm_err *err)
{
	int ret = 0;

	nic->running = running;
	for (size_t i = 0; i < nic->n && !ret; i++)
		ret = start_card(nic, i, err);
	if (ret)
		return ret;
	ret = wm_timer__init(&nic->timer, event, tick, nic);
	return ret < 0 ? wm_err__sys(err, ret, "cannot make a timer") : 0;
}

/* --- what is asked of all cards --- */

void wm_nic__offer(struct wm_nic *nic, const struct wm_flow *flow, uint32_t mark, uint64_t now)
{
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__offer(nic->card[i].rules, flow, mark, now);
}

void wm_nic__close_flow(struct wm_nic *nic, const struct wm_flow *flow, uint64_t now)
{
	struct wm_rule_view view;

	for (size_t i = 0; i < nic->n; i++)
		wm_rules__close(nic->card[i].rules, flow, now);
	/* A promotion that was lost, or not taken: nobody else would say so. */
	if (!wm_nic__find(nic, flow, &view))
		wm_dp__flow_restart(nic->running->dp, flow);
}

void wm_nic__retire_mark(struct wm_nic *nic, uint32_t mark, uint64_t now)
{
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__retire_mark(nic->card[i].rules, mark, now);
}

bool wm_nic__mark_in_use(const struct wm_nic *nic, uint32_t mark)
{
	for (size_t i = 0; i < nic->n; i++)
		if (wm_rules__mark_in_use(nic->card[i].rules, mark))
			return true;
	return false;
}

/* Of all cards, if one of them has said it at least. */
static uint32_t sum_of_room(uint32_t sum, uint32_t one)
{
	if (sum == WM_GOVERNOR_NO_LIMIT || one == WM_GOVERNOR_NO_LIMIT)
		return sum < one ? sum : one;
	return sum + one;
}

static void add_stats(struct wm_rules_stats *sum, const struct wm_rules_stats *one)
{
	for (int state = 0; state < WM_RULE_STATES; state++)
		sum->state[state] += one->state[state];
	for (int end = 0; end < WM_ENDS; end++)
		sum->ended[end] += one->ended[end];
	sum->candidates += one->candidates;
	sum->installed += one->installed;
	sum->refused += one->refused;
	sum->full += one->full;
	sum->failed_removals += one->failed_removals;
	sum->held += one->held;
	sum->packets += one->packets;
	sum->bytes += one->bytes;
	sum->max_rules += one->max_rules;
	sum->backing_off |= one->backing_off;
	sum->rate += one->rate;
	sum->pace += one->pace;
	sum->room = sum_of_room(sum->room, one->room);
	sum->ask = one->ask > sum->ask ? one->ask : sum->ask;
	sum->flood |= one->flood;
}

void wm_nic__stats(const struct wm_nic *nic, struct wm_rules_stats *out)
{
	struct wm_rules_stats one;

	*out = (struct wm_rules_stats){ .room = WM_GOVERNOR_NO_LIMIT };
	for (size_t i = 0; i < nic->n; i++) {
		wm_rules__stats(nic->card[i].rules, &one);
		add_stats(out, &one);
	}
}

bool wm_nic__find(const struct wm_nic *nic, const struct wm_flow *flow, struct wm_rule_view *out)
{
	struct wm_rule_view one;
	bool found = false;

	for (size_t i = 0; i < nic->n; i++) {
		if (!wm_rules__find(nic->card[i].rules, flow, &one))
			continue;
		if (!found || one.stats.packets > out->stats.packets)
			*out = one;
		found = true;
	}
	return found;
}

bool wm_nic__usage(const struct wm_nic *nic, struct wm_offload_usage *sum)
{
	struct wm_offload_usage one;

	*sum = (struct wm_offload_usage){};
	for (size_t i = 0; i < nic->n; i++) {
		if (!nic->ops->usage || nic->ops->usage(nic->card[i].off, &one))
			return false;
		sum->size += one.size;
		sum->used += one.used;
	}
	return nic->n;
}

const char *wm_nic__interface(const struct wm_nic *nic, size_t i)
{
	return nic->ops->scope == WM_SCOPE_ALL ? NULL : nic->card[i].interface;
}

/* --- what the NIC holds --- */

/* Does a rule that the NIC holds send its flow where the flow table would? Then the flow
 * table knows of it from here on. */
static bool is_valid(void *arg, const struct wm_rule *rule)
{
	const struct wm_nic *nic = arg;
	const struct wm_running *running = nic->running;
	const struct wm_model_dest *dest = wm_nic__dest_of(nic, rule->mark);
	const struct wm_flow *flow = &rule->flow;
	struct wm_addr to = { .family = flow->family };
	const struct wm_model_vip *vip;

	if (!dest || wm_dp__dest(running->dp, dest->id)->mark != rule->mark)
		return false;
	for (int i = 0; i < 4; i++)
		to.word[i] = flow->dst[i];
	vip = wm_model__vip_of(running->model, &to, flow->dport, flow->proto);
	return vip && vip->number == dest->vip && vip->offload &&
	       wm_dp__flow_keep(running->dp, flow, dest->id);
}

struct ruled {
	struct wm_dp *dp;
	uint64_t *places; /* a bit for each place of the flow table */
};

static bool note_place(void *arg, const struct wm_rule_view *view)
{
	const struct ruled *r = arg;
	int64_t place = wm_dp__flow_place(r->dp, &view->rule.flow);

	if (place >= 0)
		r->places[place / 64] |= 1ull << place % 64;
	return true;
}

/* What the flow table says of rules is from before us: offers and ends of flows that the
 * last daemon had in its memory are lost. Only the rules that the NIC holds count. */
static int release_flows(struct wm_nic *nic)
{
	struct wm_dp *dp = nic->running->dp;
	size_t n = (size_t)WM_FLOW_WAYS * wm_dp__params(dp)->flow_buckets;
	struct ruled ruled = { dp, calloc(n / 64 + 1, sizeof(uint64_t)) };

	if (!ruled.places)
		return -ENOMEM;
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__each(nic->card[i].rules, note_place, &ruled);
	wm_dp__flow_release(dp, ruled.places);
	free(ruled.places);
	return 0;
}

int wm_nic__reconcile(struct wm_nic *nic, struct wm_err *err)
{
	for (size_t i = 0; i < nic->n; i++) {
		int ret = wm_rules__reconcile(nic->card[i].rules, is_valid, nic, wm_now_ns());

		if (ret)
			return wm_err__sys(err, ret, "offload %s: cannot list the rules of %s",
					   nic->ops->name, nic->card[i].interface);
	}
	if (nic->ops->list && release_flows(nic))
		return wm_err__sys(err, -ENOMEM, "offload: the flows of the running data plane");
	wm_nic__hurry(nic);
	return 0;
}

void wm_nic__stop(struct wm_nic *nic)
{
	wm_timer__free(&nic->timer);
	for (size_t i = 0; i < nic->n; i++)
		stop_steering(nic, i);
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__free(nic->card[i].rules);
	if (nic->ops)
		close_cards(nic);
	*nic = (struct wm_nic){};
}

static void tick_all(struct wm_nic *nic)
{
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__tick(nic->card[i].rules, wm_now_ns());
}

static bool is_settled(const struct wm_nic *nic)
{
	for (size_t i = 0; i < nic->n; i++)
		if (deletions_of(&nic->card[i]))
			return false;
	return is_quiet(nic);
}

void wm_nic__settle(struct wm_nic *nic, uint32_t ms)
{
	uint64_t end = wm_now_ns() + ms * 1000000ull;

	while (!is_settled(nic) && wm_now_ns() < end) {
		tick_all(nic);
		end_waits(nic, wm_now_ns());
		if (!is_settled(nic))
			poll(NULL, 0, TICK_MIN_US / WM_TIMER_MS);
	}
}

void wm_nic__when_settled(struct wm_nic *nic, struct wm_nic_card *card, uint32_t ms,
			  void (*done)(void *arg), void *arg)
{
	await(nic, &card->settling, ms, done, arg);
}

void wm_nic__when_quiet(struct wm_nic *nic, void (*done)(void *arg), void *arg)
{
	if (is_quiet(nic))
		done(arg);
	else
		await(nic, &nic->quiet, QUIET_WAIT_MS, done, arg);
}

uint64_t wm_nic__retire_all(struct wm_nic *nic, uint32_t ms)
{
	uint64_t end = wm_now_ns() + ms * 1000000ull, left;

	retire_all(nic);
	for (;;) {
		tick_all(nic);
		left = rules_left(nic);
		if (!left || wm_now_ns() >= end)
			return left;
		poll(NULL, 0, TICK_MIN_US / WM_TIMER_MS);
	}
}

void wm_nic__move(struct wm_nic *nic, const struct wm_config *config, void (*done)(void *arg),
		  void *arg)
{
	tell_queues(nic, config);
	retire_all(nic);
	await(nic, &nic->moving, MOVE_WAIT_MS, done, arg);
}
