// SPDX-License-Identifier: GPL-2.0
/*
 * Which backend, and its place in the loop: rules do what is due in
 * wm_rules__tick(), which says when to come again. That is bounded on both
 * sides, so that a backend in a hurry does not eat a CPU and one that sleeps is
 * still looked at.
 *
 * Each interface has its card, with a backend and a life of rules of its own: budget,
 * room, back-off. A flow is offered to all of them, since the next packet may
 * come in by another. Where none comes its rule is idle and goes.
 */
#include "nic.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "ethtool.h"
#include "log.h"
#include "times.h"

enum {
	TICK_MIN_US = WM_RULES_TICK_MIN_NS / 1000,
	TICK_MAX_US = WM_RULES_TICK_MAX_NS / 1000,
	MOVE_WAIT_MS = 2000,
	MARK_BITS_PLANNED = 16, /* without a NIC: as if there were an ordinary one */
};

/* --- backend --- */

static int refuse(struct wm_err *err, const char *name)
{
	return wm_err__set(err, -EOPNOTSUPP, "offload: backend %s is not in this version: "
			   "use flower, ntuple, sim (a software NIC), none, or auto", name);
}

static const char *name_of(const struct wm_config *config)
{
	switch (config->offload.backend) {
	case WM_BACKEND_AUTO:
		return config->offload.sim_pin ? "sim" : "flower";
	case WM_BACKEND_NONE:
		return "none";
	case WM_BACKEND_SIM:
		return "sim";
	case WM_BACKEND_FLOWER:
		return "flower";
	case WM_BACKEND_NTUPLE:
		return "ntuple";
	}
	return "?";
}

/* The software NIC stands for all interfaces, and rules that are known by their
 * location need a table of locations each: there is one. */
static bool is_one_for_all(const char *name)
{
	return strcmp(name, "flower");
}

static int open_card(struct wm_nic *nic, const struct wm_config *config, size_t i,
		     struct wm_err *err)
{
	const char *pin = config->offload.sim_pin;
	struct wm_nic_card *card = &nic->card[nic->n];
	char *argument = NULL;
	int ret;

	if (pin) {
		argument = wm_daemon__path(config, pin);
		if (!argument)
			return wm_err__sys(err, -ENOMEM, "offload");
	}
	*card = (struct wm_nic_card){ .interface = config->interfaces[i], .position = i };
	ret = nic->ops->open(&card->off, card->interface, argument, err);
	free(argument);
	if (!ret)
		nic->n++;
	return ret;
}

/* Rules are of no use where their marks do not come back with the packets. */
static int check_marks(const struct wm_nic *nic, const struct wm_config *config,
		       const char *interface, bool choose, struct wm_err *why)
{
	bool software = nic->ops == &wm_offload_sim ||
			(nic->ops == &wm_offload_ntuple && config->offload.sim_pin);

	if (!nic->ops->install || software || wm_dp__has_marks(interface) ||
	    wm_ethtool__feature(interface, "rx-xdp-mark") == WM_FEATURE_ON)
		return 0;
	wm_err__set(why, -EOPNOTSUPP, "%s has no flow marks for XDP: this kernel or its driver "
		    "lacks bpf_xdp_metadata_rx_flow_mark, and ethtool -K %s rx-xdp-mark is not on",
		    interface, interface);
	if (choose)
		return -EOPNOTSUPP;
	wm_warn("offload %s: rules will bring nothing: %s", nic->ops->name, why->text);
	return 0;
}

/* The next card, unless it would be of no use. */
static int add_card(struct wm_nic *nic, const struct wm_config *config, size_t i, bool choose,
		    struct wm_err *err)
{
	struct wm_err why = {};
	int ret = open_card(nic, config, i, choose ? &why : err);

	if (!ret) {
		ret = check_marks(nic, config, config->interfaces[i], choose, &why);
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
	size_t n = is_one_for_all(name) ? 1 : config->n_interfaces;
	int ret = 0;

	nic->ops = wm_offload__find(name);
	if (!nic->ops)
		return refuse(err, name);
	nic->card = calloc(n, sizeof(*nic->card));
	if (!nic->card)
		return wm_err__sys(err, -ENOMEM, "offload");
	for (size_t i = 0; i < n && !ret; i++)
		ret = add_card(nic, config, i, choose, err);
	if (!ret && nic->n)
		return 0;
	close_cards(nic);
	return ret ? ret : -EOPNOTSUPP;
}

static void learn_mark_bits(struct wm_nic *nic)
{
	for (size_t i = 0; nic->ops->caps && i < nic->n; i++) {
		uint32_t bits = nic->ops->caps(nic->card[i].off)->mark_bits;

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
	int ret = open_backend(nic, config, name_of(config), choose, err);

	if (ret == -EOPNOTSUPP && choose)
		ret = open_backend(nic, config, "none", false, err);
	if (ret)
		return ret;
	if (config->n_interfaces > 1 && nic->ops->locate)
		wm_warn("offload: rules go into %s only", config->interfaces[0]);
	learn_mark_bits(nic);
	tell_queues(nic, config);
	return 0;
}

bool wm_nic__works(const struct wm_nic *nic)
{
	return nic->ops && nic->ops->install;
}

uint32_t wm_nic__mark_bits(const struct wm_nic *nic)
{
	return nic->mark_bits ? nic->mark_bits : MARK_BITS_PLANNED;
}

uint32_t wm_nic__locations(const struct wm_nic *nic)
{
	return nic->n && nic->ops->caps ? nic->ops->caps(nic->card[0].off)->locations : 0;
}

const struct wm_model_dest *wm_nic__dest_of(const struct wm_daemon *d, uint32_t mark)
{
	uint32_t id = mark & ((1u << wm_dp__params(d->dp)->dest_bits) - 1);
	const struct wm_model_dest *dest = wm_model__dest(d->model, id);

	if (!dest || dest->state != WM_DEST_LIVE || wm_model__dest_mark(d->model, dest) != mark)
		return NULL;
	return dest;
}

/* --- rules --- */

/* Packets that the NIC marks pass the flow table by: it must not age. */
static void on_used(void *arg, const struct wm_flow *flow)
{
	const struct wm_nic_card *card = arg;

	wm_dp__flow_touch(card->daemon->dp, flow);
}

/* Counted anew, unless another card has a rule of the flow: while the flow counts as
 * proven its end is told. */
static void on_gone(void *arg, const struct wm_flow *flow)
{
	const struct wm_nic_card *card = arg;
	const struct wm_nic *nic = &card->daemon->nic;
	struct wm_rule_view view;

	for (size_t i = 0; i < nic->n; i++)
		if (&nic->card[i] != card && wm_rules__find(nic->card[i].rules, flow, &view))
			return;
	wm_dp__flow_restart(card->daemon->dp, flow);
}

static void tick(void *arg)
{
	struct wm_nic *nic = arg;
	uint64_t now = wm_now_ns(), next = UINT64_MAX, us;

	for (size_t i = 0; i < nic->n; i++) {
		uint64_t due = wm_rules__tick(nic->card[i].rules, now);
		uint64_t steer = wm_steering__tick(nic->card[i].steering, now);

		due = steer < due ? steer : due;
		next = due < next ? due : next;
	}
	us = next > now ? (next - now) / 1000 : 0;
	if (us < TICK_MIN_US)
		us = TICK_MIN_US;
	wm_timer__arm(&nic->timer, us < TICK_MAX_US ? us : TICK_MAX_US);
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
		.idle_ns = config->offload.idle_ns,
	};
}

void wm_nic__configure(struct wm_nic *nic, const struct wm_config *config)
{
	struct wm_rules_options options = options_of(config);

	for (size_t i = 0; i < nic->n; i++)
		wm_rules__configure(nic->card[i].rules, &options);
}

static int start_card(struct wm_daemon *d, struct wm_nic_card *card, struct wm_err *err)
{
	const struct wm_rules_hooks hooks = { .used = on_used, .gone = on_gone, .arg = card };
	struct wm_rules_options options = options_of(d->config);
	const struct wm_offload_ops *ops = d->nic.ops;
	int ret = 0;

	card->daemon = d;
	if (ops->locate)
		ret = ops->locate(card->off, wm_dp__locations(d->dp),
				  wm_dp__params(d->dp)->locations);
	if (ret)
		return wm_err__sys(err, ret, "offload %s: cannot list the rules of %s",
				   ops->name, card->interface);
	card->rules = wm_rules__new(ops, card->off, &options, &hooks);
	card->steering = wm_steering__new(ops, card->off, card->interface);
	return card->rules && card->steering ? 0 : wm_err__sys(err, -ENOMEM, "offload");
}

int wm_nic__start(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_nic *nic = &d->nic;
	int ret = 0;

	for (size_t i = 0; i < nic->n && !ret; i++)
		ret = start_card(d, &nic->card[i], err);
	if (ret)
		return ret;
	ret = wm_timer__init(&nic->timer, d->event, tick, nic);
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
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__close(nic->card[i].rules, flow, now);
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
}

void wm_nic__stats(const struct wm_nic *nic, struct wm_rules_stats *out)
{
	struct wm_rules_stats one;

	*out = (struct wm_rules_stats){};
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

bool wm_nic__room(const struct wm_nic *nic, struct wm_offload_room *sum)
{
	struct wm_offload_room one;

	*sum = (struct wm_offload_room){};
	for (size_t i = 0; i < nic->n; i++) {
		if (!nic->ops->room || nic->ops->room(nic->card[i].off, &one))
			return false;
		sum->size += one.size;
		sum->used += one.used;
	}
	return nic->n;
}

const char *wm_nic__interface(const struct wm_nic *nic, size_t i)
{
	bool is_all = is_one_for_all(nic->ops->name) && !nic->ops->locate;

	return is_all ? NULL : nic->card[i].interface;
}

/* --- what the NIC holds --- */

/* Did the flow end while nobody listened? */
static bool has_ended(const struct wm_daemon *d, const struct wm_flow *flow)
{
	struct wm_flow_slot slot;

	return wm_dp__flow_find(d->dp, flow, &slot) && slot.state == WM_FLOW_CLOSING;
}

/* Does a rule that the NIC holds send its flow where the flow table would? */
static bool is_valid(void *arg, const struct wm_rule *rule)
{
	const struct wm_daemon *d = arg;
	const struct wm_model_dest *dest = wm_nic__dest_of(d, rule->mark);
	const struct wm_flow *flow = &rule->flow;
	struct wm_addr to = { .family = flow->family };
	const struct wm_model_vip *vip;

	if (!dest || wm_dp__dest(d->dp, dest->id)->mark != rule->mark)
		return false;
	for (int i = 0; i < 4; i++)
		to.word[i] = flow->dst[i];
	vip = wm_model__vip_of(d->model, &to, flow->dport, flow->proto);
	return vip && vip->number == dest->vip && vip->offload && !has_ended(d, flow);
}

int wm_nic__reconcile(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_nic *nic = &d->nic;

	for (size_t i = 0; i < nic->n; i++) {
		int ret = wm_rules__reconcile(nic->card[i].rules, is_valid, d, wm_now_ns());

		if (ret)
			return wm_err__sys(err, ret, "offload %s: cannot list the rules of %s",
					   nic->ops->name, nic->card[i].interface);
	}
	wm_nic__hurry(nic);
	return 0;
}

void wm_nic__stop(struct wm_nic *nic)
{
	wm_timer__free(&nic->timer);
	for (size_t i = 0; i < nic->n; i++)
		wm_steering__free(nic->card[i].steering);
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__free(nic->card[i].rules);
	if (nic->ops)
		close_cards(nic);
	*nic = (struct wm_nic){};
}

static uint64_t deletions_left(const struct wm_nic *nic)
{
	struct wm_rules_stats stats;

	wm_nic__stats(nic, &stats);
	return stats.state[WM_RULE_DELETING];
}

static void tick_all(struct wm_nic *nic)
{
	for (size_t i = 0; i < nic->n; i++)
		wm_rules__tick(nic->card[i].rules, wm_now_ns());
}

void wm_nic__settle(struct wm_nic *nic, uint32_t ms)
{
	uint64_t end = wm_now_ns() + ms * 1000000ull;

	while (deletions_left(nic) && wm_now_ns() < end) {
		tick_all(nic);
		if (deletions_left(nic))
			poll(NULL, 0, TICK_MIN_US / WM_TIMER_MS);
	}
}

static uint64_t rules_left(const struct wm_nic *nic)
{
	struct wm_rules_stats stats;

	wm_nic__stats(nic, &stats);
	return stats.state[WM_RULE_INSTALLING] + stats.state[WM_RULE_ACTIVE] +
	       stats.state[WM_RULE_DELETING];
}

uint64_t wm_nic__retire_all(struct wm_nic *nic, uint32_t ms)
{
	uint64_t end = wm_now_ns() + ms * 1000000ull, left;

	for (size_t i = 0; i < nic->n; i++)
		wm_rules__retire_all(nic->card[i].rules, wm_now_ns());
	for (;;) {
		tick_all(nic);
		left = rules_left(nic);
		if (!left || wm_now_ns() >= end)
			return left;
		poll(NULL, 0, TICK_MIN_US / WM_TIMER_MS);
	}
}

void wm_nic__move(struct wm_nic *nic, const struct wm_config *config)
{
	tell_queues(nic, config);
	if (wm_nic__works(nic) && wm_nic__retire_all(nic, MOVE_WAIT_MS))
		wm_warn("offload %s: the NIC keeps some rules for queues that are not ours any "
			"more", nic->ops->name);
	wm_nic__configure(nic, config);
}
