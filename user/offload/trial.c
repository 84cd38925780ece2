// SPDX-License-Identifier: GPL-2.0
/*
 * One rule at a time is in the NIC, but for wm_trials__fit(). Handles are far above those that
 * backends give out, and a rule is asked for with NLM_F_EXCL, so nothing is replaced. What is
 * removed is named by its handle; at the end the list is read, and whatever has the cookie goes,
 * also what came of a request whose answer got lost.
 */
#include "trial.h"

#include <errno.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "monotonic.h"
#include "nobody.h"
#include "tc.h"
#include "trial_ntuple.h"

enum {
	HANDLE = 0x57000000, /* handles have 31 bits */
	MARKS = 16,          /* that the rules of wm_trials__fit() share, as flows share reals */
	SWEPT = 4096,        /* removed between two listings */
	SWEEPS = 3,
	PREF = WM_FLOWER_PREF_IPV4, /* where none was taken */
	WIDE = 0xffffff,     /* a mark that fills the source address */
};

#define PREFIX 0x574d02u /* locally administered, as wm_mac_prefix() makes them */
#define SKIP_SW TCA_CLS_FLAGS_SKIP_SW

int wm_trial__rewriting(const struct wm_offload_ops *ops, struct wm_offload *off)
{
	struct wm_rule rule = { .mark = 1 };
	int result, removed;

	wm_nobody__flow(&rule.flow, 0, WM_IPV4, IPPROTO_TCP);
	ops->mac_lane(off, PREFIX);
	ops->install(off, &rule, 1, &result);
	ops->remove(off, &rule.flow, 1, &removed);
	ops->mac_lane(off, 0);
	return result;
}

/* --- what is tried --- */

#define V4_UDP WM_IPV4, IPPROTO_UDP
#define V4_TCP WM_IPV4, IPPROTO_TCP
#define V6_UDP WM_IPV6, IPPROTO_UDP
#define V6_TCP WM_IPV6, IPPROTO_TCP

/* A flow is two arguments. */
#define TRIAL(name_, text_, kind_, family_, proto_, mark_, ...) \
	{ .name = name_, .text = text_, .kind = kind_, .family = family_, .proto = proto_, \
	  .mark = mark_, \
	  .shape = { .flags = SKIP_SW, .queue = -1, .trial = true, __VA_ARGS__ } }
#define MARK(name_, text_, flow_, mark_, ...) \
	TRIAL("mark-" name_, "mark: " text_, WM_TRIAL_MARK, flow_, mark_, .mark = true, \
	      __VA_ARGS__)
#define MAC(name_, text_, flow_, mark_, ...) \
	TRIAL("mac-" name_, "source address: " text_, WM_TRIAL_MAC, flow_, mark_, \
	      .mac_prefix = PREFIX, __VA_ARGS__)
#define BESIDE(name_, text_, ...) \
	{ .name = name_, .text = text_, .kind = WM_TRIAL_MARK, .family = WM_IPV4, \
	  .proto = IPPROTO_UDP, .mark = 1, .beside = true, \
	  .shape = { .trial = true, __VA_ARGS__ } }
#define NTUPLE(name_, text_, flow_, ...) \
	TRIAL("ntuple-" name_, "n-tuple: " text_, WM_TRIAL_NTUPLE, flow_, 0, __VA_ARGS__)

const struct wm_trial wm_trial_table[] = {
	MARK("pref-11", "IPv4 UDP, preference 11", V4_UDP, 1, .pref = 11),
	MARK("pref-12", "the same, preference 12", V4_UDP, 1, .pref = 12),
	MARK("pref-13", "the same, preference 13", V4_UDP, 1, .pref = 13),
	MARK("pref-14", "the same, preference 14", V4_UDP, 1, .pref = 14),
	MARK("pref-1", "the same, preference 1", V4_UDP, 1, .pref = 1),
	MARK("tcp", "IPv4 TCP but SYN, FIN, RST", V4_TCP, 1),
	MARK("tcp-all", "IPv4 TCP, all packets", V4_TCP, 1, .all_tcp = true),
	MARK("ipv6", "IPv6 UDP", V6_UDP, 1),
	MARK("ipv6-tcp", "IPv6 TCP but SYN, FIN, RST", V6_TCP, 1),
	MARK("vlan", "IPv4 UDP in a VLAN", V4_UDP, 1, .vlan = WM_TRIAL_VLAN),
	MARK("16-bits", "of 16 bits", V4_UDP, 0xffff),
	MARK("24-bits", "of 24 bits", V4_UDP, WIDE),
	MARK("32-bits", "of 32 bits", V4_UDP, 0xffffffff),
	MAC("pref-11", "IPv4 UDP, preference 11", V4_UDP, 1, .pref = 11),
	MAC("pref-12", "the same, preference 12", V4_UDP, 1, .pref = 12),
	MAC("pref-13", "the same, preference 13", V4_UDP, 1, .pref = 13),
	MAC("pref-14", "the same, preference 14", V4_UDP, 1, .pref = 14),
	MAC("pref-1", "the same, preference 1", V4_UDP, 1, .pref = 1),
	MAC("tcp", "IPv4 TCP but SYN, FIN, RST", V4_TCP, 1),
	MAC("tcp-all", "IPv4 TCP, all packets", V4_TCP, 1, .all_tcp = true),
	MAC("ipv6", "IPv6 UDP", V6_UDP, 1),
	MAC("ipv6-tcp", "IPv6 TCP but SYN, FIN, RST", V6_TCP, 1),
	MAC("vlan", "IPv4 UDP in a VLAN", V4_UDP, 1, .vlan = WM_TRIAL_VLAN),
	MAC("24-bits", "all 24 bits of a mark", V4_UDP, WIDE),
	MAC("and-mark", "and a mark, in one rule", V4_UDP, 1, .mark = true),
	BESIDE("queue", "a receive queue and no mark", .flags = SKIP_SW, .queue = 0),
	BESIDE("either", "mark: in the NIC if it will", .flags = TCA_CLS_FLAGS_VERBOSE,
	       .queue = -1, .mark = true),
	BESIDE("software", "mark: not in the NIC (skip_hw)", .flags = TCA_CLS_FLAGS_SKIP_HW,
	       .queue = -1, .mark = true),
	NTUPLE("udp", "IPv4 UDP", V4_UDP),
	NTUPLE("tcp", "IPv4 TCP", V4_TCP),
	NTUPLE("ipv6", "IPv6 UDP", V6_UDP),
	NTUPLE("ipv6-tcp", "IPv6 TCP", V6_TCP),
	NTUPLE("vlan", "IPv4 UDP in a VLAN", V4_UDP, .vlan = WM_TRIAL_VLAN),
	{ .name = NULL },
};

const struct wm_trial wm_trial_fits[WM_TRIAL_KINDS] = {
	MARK("rules", "rules that fit", V4_UDP, 0),
	MAC("rules", "rules that fit", V4_UDP, 0),
	NTUPLE("rules", "rules that fit", V4_UDP),
};

/* --- one filter --- */

struct wm_trials {
	struct wm_tc tc;
	struct wm_trial_ntuple ntuple;
	uint16_t pref[WM_TRIAL_KINDS]; /* that was taken; 0: none */
	bool taken[WM_TRIAL_KINDS];
	size_t leftovers;
};

struct wanted {
	uint32_t handle;
	struct wm_flower_seen seen;
};

static int on_filter(const struct nlmsghdr *msg, void *arg)
{
	struct wanted *wanted = arg;
	struct wm_flower_seen seen;

	if (wm_flower__read(msg, 0, &seen) && seen.trial && seen.handle == wanted->handle)
		wanted->seen = seen;
	return MNL_CB_OK;
}

static bool reads_as_sent(const struct wm_trial *trial, const struct wm_flower_shape *shape,
			  const struct wm_flower_seen *seen)
{
	uint8_t smac[6];

	wm_mac_write(smac, shape->mac_prefix, trial->mark);
	return seen->trial && seen->rewrites == !!shape->mac_prefix &&
	       (!seen->rewrites || !memcmp(smac, seen->smac, sizeof(smac))) &&
	       seen->has_mark == shape->mark && (!shape->mark || seen->mark == trial->mark) &&
	       seen->queue == shape->queue;
}

static void look_at(struct wm_trials *t, const struct wm_trial *trial,
		    const struct wm_flower_shape *shape, struct wm_trial_result *r)
{
	struct wanted wanted = { .handle = HANDLE };

	wm_nl__begin(t->tc.nl);
	wm_flower__put_shaped_name(wm_nl__add(t->tc.nl, RTM_GETTFILTER, 0), t->tc.ifindex,
				   trial->family, shape, HANDLE);
	wm_nl__ask(t->tc.nl, on_filter, &wanted, NULL);
	r->as_sent = reads_as_sent(trial, shape, &wanted.seen);
	r->in_nic = wanted.seen.flags & TCA_CLS_FLAGS_IN_HW;
	r->counted = wanted.seen.counted;
}

static void put_rule(struct wm_trials *t, const struct wm_trial *trial,
		     const struct wm_flower_shape *shape, uint32_t n, uint32_t mark)
{
	struct wm_rule rule = { .mark = mark };
	struct nlmsghdr *msg;

	wm_nobody__flow(&rule.flow, n, trial->family, trial->proto);
	msg = wm_nl__add(t->tc.nl, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	wm_flower__put_shaped_name(msg, t->tc.ifindex, trial->family, shape, HANDLE + n);
	wm_flower__put_shaped(msg, &rule, shape);
}

static void put_removal(struct wm_trials *t, const struct wm_trial *trial,
			const struct wm_flower_shape *shape, uint32_t n)
{
	wm_flower__put_shaped_name(wm_nl__add(t->tc.nl, RTM_DELTFILTER, NLM_F_ACK), t->tc.ifindex,
				   trial->family, shape, HANDLE + n);
}

static struct wm_flower_shape shape_of(const struct wm_trials *t, const struct wm_trial *trial)
{
	struct wm_flower_shape shape = trial->shape;

	if (!shape.pref)
		shape.pref = t->pref[trial->kind] ? t->pref[trial->kind] : PREF;
	return shape;
}

/* --- all that is there --- */

struct sweep {
	struct wm_trials *t;
	struct wm_flower_seen found[SWEPT];
	size_t n;
	int result;
};

static int on_left(const struct nlmsghdr *msg, void *arg)
{
	struct sweep *s = arg;
	struct wm_flower_seen seen;

	if (s->n < SWEPT && wm_flower__read(msg, 0, &seen) && seen.trial)
		s->found[s->n++] = seen;
	return MNL_CB_OK;
}

static int list_trials(struct sweep *s)
{
	struct wm_trials *t = s->t;

	s->n = 0;
	wm_nl__begin(t->tc.nl);
	wm_flower__put_list(wm_nl__add(t->tc.nl, RTM_GETTFILTER, NLM_F_DUMP), t->tc.ifindex, 0);
	return wm_nl__ask(t->tc.nl, on_left, s, NULL);
}

static void on_swept(void *arg, size_t i, int result, const char *words)
{
	struct sweep *s = arg;

	(void)i;
	(void)words;
	if (result && result != -ENOENT)
		s->result = result;
}

static int remove_listed(struct sweep *s)
{
	struct wm_nl *nl = s->t->tc.nl;
	int ret = 0;

	wm_nl__begin(nl);
	for (size_t i = 0; !ret && i < s->n; i++) {
		wm_flower__put_seen(wm_nl__add(nl, RTM_DELTFILTER, NLM_F_ACK), s->t->tc.ifindex,
				    &s->found[i]);
		if (wm_nl__added(nl) < WM_NL_BATCH && i + 1 < s->n)
			continue;
		ret = wm_nl__run(nl, on_swept, s);
		wm_nl__begin(nl);
	}
	return ret;
}

/* 0, or -errno: there may be some still. */
static int sweep(struct wm_trials *t, size_t *removed)
{
	struct sweep *s = calloc(1, sizeof(*s));
	int ret = s ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i <= WM_NOBODY_FLOWS / SWEPT + SWEEPS; i++) {
		s->t = t;
		ret = list_trials(s);
		if (ret || !s->n)
			break;
		ret = remove_listed(s) ?: s->result;
		if (!ret)
			*removed += s->n;
	}
	free(s);
	return ret == -EINVAL || ret == -ENODEV ? 0 : ret; /* no qdisc, no device: no rules */
}

/* --- one trial --- */

static void run_flower(struct wm_trials *t, const struct wm_trial *trial,
		       struct wm_trial_result *r)
{
	struct wm_flower_shape shape = shape_of(t, trial);
	uint64_t start = wm_now_ns();
	size_t swept = 0;

	r->pref = shape.pref;
	wm_nl__begin(t->tc.nl);
	put_rule(t, trial, &shape, 0, trial->mark);
	r->result = wm_nl__ask(t->tc.nl, NULL, NULL, r->words);
	r->ns = wm_now_ns() - start;
	if (r->result) {
		r->removed = r->result == -EIO ? sweep(t, &swept) : 0;
		return;
	}
	look_at(t, trial, &shape, r);
	if (!trial->beside && !t->pref[trial->kind])
		t->pref[trial->kind] = shape.pref;
	wm_nl__begin(t->tc.nl);
	put_removal(t, trial, &shape, 0);
	r->removed = wm_nl__ask(t->tc.nl, NULL, NULL, NULL);
}

static void run_ntuple(struct wm_trials *t, const struct wm_trial *trial,
		       struct wm_trial_result *r)
{
	uint64_t start = wm_now_ns();
	struct wm_flow flow;
	uint32_t at;

	wm_nobody__flow(&flow, 0, trial->family, trial->proto);
	r->result = wm_trial_ntuple__add(&t->ntuple, &flow, trial->shape.vlan, &at);
	r->ns = wm_now_ns() - start;
	if (r->result)
		return;
	r->as_sent = r->in_nic = wm_trial_ntuple__shows(&t->ntuple, &flow, trial->shape.vlan, at);
	r->removed = wm_trial_ntuple__remove(&t->ntuple, &flow, trial->shape.vlan, at);
}

void wm_trials__run(struct wm_trials *t, const struct wm_trial *trial, struct wm_trial_result *r)
{
	*r = (struct wm_trial_result){};
	if (trial->kind == WM_TRIAL_NTUPLE)
		run_ntuple(t, trial, r);
	else
		run_flower(t, trial, r);
	t->taken[trial->kind] |= !r->result && !trial->beside;
}

bool wm_trials__taken(const struct wm_trials *t, enum wm_trial_kind kind)
{
	return t->taken[kind];
}

/* --- how many fit --- */

struct batch {
	struct wm_trial_fit *fit;
	bool refused; /* from the first one on: those behind it count for nothing */
};

static void on_added(void *arg, size_t i, int result, const char *words)
{
	struct batch *b = arg;

	(void)i;
	if (!result && !b->refused)
		b->fit->fit++;
	if (!result || b->refused)
		return;
	b->refused = true;
	b->fit->result = result;
	snprintf(b->fit->words, sizeof(b->fit->words), "%s", words);
}

static void on_ignored(void *arg, size_t i, int result, const char *words)
{
	(void)arg;
	(void)i;
	(void)result;
	(void)words;
}

static uint32_t size_of_batch(uint32_t from, uint32_t n)
{
	return n - from < WM_NL_BATCH ? n - from : WM_NL_BATCH;
}

static void fit_flower(struct wm_trials *t, const struct wm_trial *trial, uint32_t n,
		       bool (*stop)(void), struct wm_trial_fit *fit)
{
	struct wm_flower_shape shape = shape_of(t, trial);
	struct batch batch = { .fit = fit };
	uint64_t start = wm_now_ns();
	uint32_t sent = 0;
	int ret = 0;

	while (sent < n && !batch.refused && !ret && !stop()) {
		uint32_t more = size_of_batch(sent, n);

		wm_nl__begin(t->tc.nl);
		for (uint32_t i = 0; i < more; i++, sent++)
			put_rule(t, trial, &shape, sent, 1 + sent % MARKS);
		ret = wm_nl__run(t->tc.nl, on_added, &batch);
	}
	fit->ns = wm_now_ns() - start;
	fit->result = ret ?: fit->result;
	start = wm_now_ns();
	for (uint32_t from = 0; from < sent; from += WM_NL_BATCH) {
		wm_nl__begin(t->tc.nl);
		for (uint32_t i = 0; i < size_of_batch(from, sent); i++)
			put_removal(t, trial, &shape, from + i);
		wm_nl__run(t->tc.nl, on_ignored, NULL); /* close() sees to what stays */
	}
	fit->removal_ns = wm_now_ns() - start;
}

static void fit_ntuple(struct wm_trials *t, const struct wm_trial *trial, uint32_t n,
		       bool (*stop)(void), struct wm_trial_fit *fit)
{
	uint32_t *at = calloc(n, sizeof(*at));
	uint64_t start = wm_now_ns();
	struct wm_flow flow;

	fit->result = at ? 0 : -ENOMEM;
	while (fit->fit < n && !fit->result && !stop()) {
		wm_nobody__flow(&flow, fit->fit, trial->family, trial->proto);
		fit->result = wm_trial_ntuple__add(&t->ntuple, &flow, 0, &at[fit->fit]);
		fit->fit += !fit->result;
	}
	fit->ns = wm_now_ns() - start;
	start = wm_now_ns();
	for (uint32_t i = 0; i < fit->fit; i++) {
		wm_nobody__flow(&flow, i, trial->family, trial->proto);
		wm_trial_ntuple__remove(&t->ntuple, &flow, 0, at[i]);
	}
	fit->removal_ns = wm_now_ns() - start;
	free(at);
}

void wm_trials__fit(struct wm_trials *t, enum wm_trial_kind kind, uint32_t n, bool (*stop)(void),
		    struct wm_trial_fit *fit)
{
	*fit = (struct wm_trial_fit){ .asked = n };
	if (kind == WM_TRIAL_NTUPLE)
		fit_ntuple(t, &wm_trial_fits[kind], n, stop, fit);
	else
		fit_flower(t, &wm_trial_fits[kind], n, stop, fit);
}

/* --- open and close --- */

size_t wm_trials__leftovers(const struct wm_trials *t)
{
	return t->leftovers;
}

int wm_trials__open(struct wm_trials **trials, struct wm_nl *nl, const struct wm_ethtool_io *io,
		    const char *interface, struct wm_err *err)
{
	struct wm_trials *t = calloc(1, sizeof(*t));
	bool other;
	int ret;

	*trials = NULL;
	if (!t) {
		wm_nl__close(nl);
		if (io->close)
			io->close(io->arg);
		return wm_err__sys(err, -ENOMEM, "%s", interface);
	}
	t->tc.nl = nl;
	snprintf(t->tc.interface, sizeof(t->tc.interface), "%s", interface);
	wm_trial_ntuple__open(&t->ntuple, io);
	t->leftovers = t->ntuple.leftovers;
	ret = wm_tc__refresh(&t->tc, &other, err);
	if (ret == -ENOENT) /* a kernel without such a qdisc: each trial will say so */
		ret = 0;
	if (!ret && sweep(t, &t->leftovers))
		ret = wm_err__set(err, -EIO, "%s: the rules of an earlier trial cannot be removed",
				  interface);
	if (ret)
		wm_trials__close(t, NULL);
	else
		*trials = t;
	return ret;
}

int wm_trials__close(struct wm_trials *t, struct wm_err *err)
{
	size_t swept = 0;
	uint32_t n = 0;
	int ret = t->tc.ifindex ? sweep(t, &swept) : 0;

	ret = wm_trial_ntuple__sweep(&t->ntuple, &n) ?: ret;
	if (ret)
		wm_err__sys(err, ret, "%s: rules of the trial may be left there", t->tc.interface);
	else
		ret = wm_tc__drop_qdisc(&t->tc);
	wm_trial_ntuple__close(&t->ntuple);
	wm_nl__close(t->tc.nl);
	free(t);
	return ret;
}
