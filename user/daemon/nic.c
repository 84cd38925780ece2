// SPDX-License-Identifier: GPL-2.0
/*
 * Which backend, and its place in the loop: rules do what is due in
 * wm_rules__tick(), which says when to come again. That is bounded on both
 * sides, so that a backend in a hurry does not eat a CPU and one that sleeps is
 * still looked at.
 */
#include "nic.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

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

static int open_backend(struct wm_nic *nic, const struct wm_config *config, const char *name,
			struct wm_err *err)
{
	const char *pin = config->offload.sim_pin;
	char *argument = NULL;
	int ret;

	nic->ops = wm_offload__find(name);
	if (!nic->ops)
		return refuse(err, name);
	if (pin) {
		argument = wm_daemon__path(config, pin);
		if (!argument)
			return wm_err__sys(err, -ENOMEM, "offload");
	}
	ret = nic->ops->open(&nic->off, config->interfaces[0], argument, err);
	free(argument);
	if (ret)
		nic->ops = NULL;
	return ret;
}

/* Rules are of no use where their marks do not come back with the packets. */
static int check_marks(struct wm_nic *nic, const char *interface, bool choose,
		       struct wm_err *why)
{
	if (!nic->ops->install || nic->ops == &wm_offload_sim || wm_dp__has_marks(interface) ||
	    wm_ethtool__feature(interface, "rx-xdp-mark") == WM_FEATURE_ON)
		return 0;
	wm_err__set(why, -EOPNOTSUPP, "%s has no flow marks for XDP: this kernel or its driver "
		    "lacks bpf_xdp_metadata_rx_flow_mark, and ethtool -K %s rx-xdp-mark is not on",
		    interface, interface);
	if (!choose) {
		wm_warn("offload %s: rules will bring nothing: %s", nic->ops->name, why->text);
		return 0;
	}
	nic->ops->close(nic->off);
	nic->ops = NULL;
	return -EOPNOTSUPP;
}

int wm_nic__open(struct wm_nic *nic, const struct wm_config *config, struct wm_err *err)
{
	bool choose = config->offload.backend == WM_BACKEND_AUTO && !config->offload.sim_pin;
	struct wm_err why = {};
	int ret = open_backend(nic, config, name_of(config), choose ? &why : err);

	if (!ret)
		ret = check_marks(nic, config->interfaces[0], choose, &why);
	if (ret && choose) {
		wm_info("no rules in the NIC, all in software: %s", why.text);
		ret = open_backend(nic, config, "none", err);
	}
	if (ret)
		return ret;
	if (config->n_interfaces > 1 && nic->ops->install)
		wm_warn("offload: rules go into %s only", config->interfaces[0]);
	if (nic->ops->queues)
		nic->ops->queues(nic->off, &config->queues[0]);
	if (nic->ops->caps)
		nic->mark_bits = nic->ops->caps(nic->off)->mark_bits;
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
	return nic->ops && nic->ops->caps ? nic->ops->caps(nic->off)->locations : 0;
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
	struct wm_daemon *d = arg;

	wm_dp__flow_touch(d->dp, flow);
}

static void on_gone(void *arg, const struct wm_flow *flow)
{
	struct wm_daemon *d = arg;

	wm_dp__flow_restart(d->dp, flow);
}

static void tick(void *arg)
{
	struct wm_nic *nic = arg;
	uint64_t now = wm_now_ns(), next = wm_rules__tick(nic->rules, now);
	uint64_t us = next > now ? (next - now) / 1000 : 0;

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

	wm_rules__configure(nic->rules, &options);
}

int wm_nic__start(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_rules_hooks hooks = { .used = on_used, .gone = on_gone, .arg = d };
	struct wm_rules_options options = options_of(d->config);
	struct wm_nic *nic = &d->nic;
	int ret = 0;

	if (nic->ops->locate)
		ret = nic->ops->locate(nic->off, wm_dp__locations(d->dp),
				       wm_dp__params(d->dp)->locations);
	if (ret)
		return wm_err__sys(err, ret, "offload %s: cannot list the rules of %s",
				   nic->ops->name, d->config->interfaces[0]);
	nic->rules = wm_rules__new(nic->ops, nic->off, &options, &hooks);
	if (!nic->rules)
		return wm_err__sys(err, -ENOMEM, "offload");
	ret = wm_timer__init(&nic->timer, d->event, tick, nic);
	return ret < 0 ? wm_err__sys(err, ret, "cannot make a timer") : 0;
}

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
	int ret = wm_rules__reconcile(d->nic.rules, is_valid, d, wm_now_ns());

	if (ret)
		return wm_err__sys(err, ret, "offload %s: cannot list the rules of %s",
				   d->nic.ops->name, d->config->interfaces[0]);
	wm_nic__hurry(&d->nic);
	return 0;
}

void wm_nic__stop(struct wm_nic *nic)
{
	wm_timer__free(&nic->timer);
	wm_rules__free(nic->rules);
	if (nic->ops)
		nic->ops->close(nic->off);
	*nic = (struct wm_nic){};
}

static uint64_t deletions_left(const struct wm_rules *rules)
{
	struct wm_rules_stats stats;

	wm_rules__stats(rules, &stats);
	return stats.state[WM_RULE_DELETING];
}

void wm_nic__settle(struct wm_nic *nic, uint32_t ms)
{
	uint64_t end = wm_now_ns() + ms * 1000000ull;

	while (deletions_left(nic->rules) && wm_now_ns() < end) {
		wm_rules__tick(nic->rules, wm_now_ns());
		if (deletions_left(nic->rules))
			poll(NULL, 0, TICK_MIN_US / WM_TIMER_MS);
	}
}

static uint64_t rules_left(const struct wm_rules *rules)
{
	struct wm_rules_stats stats;

	wm_rules__stats(rules, &stats);
	return stats.state[WM_RULE_INSTALLING] + stats.state[WM_RULE_ACTIVE] +
	       stats.state[WM_RULE_DELETING];
}

uint64_t wm_nic__retire_all(struct wm_nic *nic, uint32_t ms)
{
	uint64_t end = wm_now_ns() + ms * 1000000ull, left;

	if (!nic->rules)
		return 0;
	wm_rules__retire_all(nic->rules, wm_now_ns());
	for (;;) {
		wm_rules__tick(nic->rules, wm_now_ns());
		left = rules_left(nic->rules);
		if (!left || wm_now_ns() >= end)
			return left;
		poll(NULL, 0, TICK_MIN_US / WM_TIMER_MS);
	}
}

void wm_nic__move(struct wm_nic *nic, const struct wm_config *config)
{
	if (nic->ops->queues)
		nic->ops->queues(nic->off, &config->queues[0]);
	if (wm_nic__works(nic) && wm_nic__retire_all(nic, MOVE_WAIT_MS))
		wm_warn("offload %s: the NIC keeps some rules for queues that are not ours any "
			"more", nic->ops->name);
	wm_nic__configure(nic, config);
}
