// SPDX-License-Identifier: GPL-2.0
/*
 * The interface's lock is held meanwhile, so that no daemon serves it and none begins to. What
 * is done is undone on every way out, also by a signal: rules, then the features that --enable
 * switched on, which drivers keep while rules are there.
 */
#include "trynic.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "interrupt.h"
#include "lock.h"
#include "nicfacts.h"
#include "trial.h"
#include "views.h"

#define NS 1e9

struct nic {
	struct invocation *in;
	const char *interface;
	struct wm_ethtool_io io; /* for features; the trials have their own */
	struct nicfacts facts;
	bool switched[NIC_FEATURES]; /* on by this command */
	bool right[2], only[2];      /* of mark and mac: in waymark's preferences, or in the only */
	json_t *data;
};

static const char *const kind_names[WM_TRIAL_KINDS] = { "mark", "mac", "ntuple" };

/* --- features --- */

/* As ethtool calls it that people type. */
static const char *typed(enum nic_feature feature)
{
	return feature == NIC_NTUPLE ? "ntuple" : nic_feature_names[feature];
}

static void explain_off(const struct nic *nic, enum nic_feature feature)
{
	char text[256];

	snprintf(text, sizeof(text), "%s of %s is off: ethtool -K %s %s on, or --enable for as "
		 "long as this command runs", nic_feature_names[feature], nic->interface,
		 nic->interface, typed(feature));
	invocation__warn(nic->in, text);
}

/* What may be switched, if that is wanted; else it is said how. */
static int see_to_features(struct nic *nic, struct wm_err *err)
{
	json_t *list = json_array();
	int ret = 0;

	json_object_set_new(nic->data, "switched_on", list);
	for (int i = NIC_TC; i <= NIC_NTUPLE && !ret; i++) {
		if (nic->facts.state[i] != WM_FEATURE_OFF)
			continue;
		if (!invocation__option(nic->in, "enable")) {
			explain_off(nic, i);
			continue;
		}
		ret = wm_ethtool__switch(&nic->io, nic_feature_names[i], true);
		if (ret)
			return wm_err__sys(err, ret, "cannot switch %s of %s on",
					   nic_feature_names[i], nic->interface);
		nic->switched[i] = true;
		json_array_append_new(list, json_string(nic_feature_names[i]));
	}
	return ret;
}

static int switch_back(struct nic *nic, struct wm_err *err)
{
	int ret = 0, one;

	for (int i = 0; i < NIC_FEATURES; i++) {
		if (!nic->switched[i])
			continue;
		one = wm_ethtool__switch(&nic->io, nic_feature_names[i], false);
		if (one)
			ret = wm_err__sys(err, one, "cannot switch %s of %s off again: ethtool "
					  "-K %s %s off", nic_feature_names[i], nic->interface,
					  nic->interface, typed(i));
	}
	return ret;
}

/* --- trials --- */

static const char *counted_as(uint8_t counted)
{
	return counted & TCA_ACT_HW_STATS_IMMEDIATE ? "immediate" :
	       counted & TCA_ACT_HW_STATS_DELAYED ? "delayed" : NULL;
}

static json_t *words_of(const char *words)
{
	json_t *text = *words ? json_string(words) : NULL;

	return text ?: json_null();
}

static const char *error_name(int result)
{
	return result ? strerrorname_np(-result) ?: strerror(-result) : NULL;
}

/* Seconds to the microsecond. */
static json_t *seconds(uint64_t ns)
{
	return json_real((double)(ns / 1000) / 1e6);
}

static json_t *if_taken(const struct wm_trial_result *r, bool value)
{
	return r->result ? json_null() : json_boolean(value);
}

static json_t *row_of(const struct wm_trial *trial, const struct wm_trial_result *r)
{
	json_t *row = json_pack("{s:s, s:s, s:b, s:s?, s:s?, s:o, s:o}", "trial", trial->name,
				"text", trial->text, "taken", !r->result, "counters",
				counted_as(r->counted), "error", error_name(r->result), "message",
				words_of(r->words), "took_s", seconds(r->ns));

	json_object_set_new(row, "pref", r->pref ? json_integer(r->pref) : json_null());
	json_object_set_new(row, "in_nic", if_taken(r, r->in_nic));
	json_object_set_new(row, "as_sent", if_taken(r, r->as_sent));
	json_object_set_new(row, "removed", if_taken(r, !r->removed));
	return row;
}

static void try_all(struct nic *nic, struct wm_trials *trials)
{
	json_t *rows = json_array();
	struct wm_trial_result r;

	json_object_set_new(nic->data, "trials", rows);
	for (const struct wm_trial *t = wm_trial_table; t->name && !interrupt__came(); t++) {
		wm_trials__run(trials, t, &r);
		json_array_append_new(rows, row_of(t, &r));
		if (t->shape.pref == WM_FLOWER_PREF_IPV4)
			nic->right[t->kind] = !r.result;
		else if (t->shape.pref == WM_FLOWER_PREF_IPV6)
			nic->right[t->kind] &= !r.result;
		else if (t->shape.pref == WM_FLOWER_PREF_ONLY)
			nic->only[t->kind] = !r.result;
	}
}

static json_t *per_second(uint32_t n, uint64_t ns)
{
	return n && ns ? json_integer(n * NS / ns) : json_null();
}

static json_t *fit_row(enum wm_trial_kind kind, const struct wm_trial_fit *fit)
{
	return json_pack("{s:s, s:I, s:I, s:s?, s:o, s:o, s:o, s:o}", "rules", kind_names[kind],
			 "asked", (json_int_t)fit->asked, "fit", (json_int_t)fit->fit, "error",
			 error_name(fit->result), "message", words_of(fit->words), "took_s",
			 seconds(fit->ns), "per_second", per_second(fit->fit, fit->ns),
			 "removed_per_second", per_second(fit->fit, fit->removal_ns));
}

static void fit_all(struct nic *nic, struct wm_trials *trials)
{
	uint32_t count = invocation__number(nic->in, "count") ?: NIC_COUNT_DEFAULT;
	json_t *rows = json_array();
	struct wm_trial_fit fit;

	json_object_set_new(nic->data, "fits", rows);
	for (int kind = 0; kind < WM_TRIAL_KINDS; kind++) {
		if (!wm_trials__taken(trials, kind) || interrupt__came())
			continue;
		wm_trials__fit(trials, kind, count, interrupt__came, &fit);
		json_array_append_new(rows, fit_row(kind, &fit));
	}
}

/* --- what follows from it --- */

/* Lanes that would work, and for those with rules that would not: why. */
struct verdict {
	json_t *lanes, *lines;
};

static void add_line(struct verdict *v, const char *lane, const char *text)
{
	json_array_append_new(v->lines, json_sprintf("%s: %s", lane, text));
}

static void add_lane(struct verdict *v, const char *lane, const char *text)
{
	json_array_append_new(v->lanes, json_string(lane));
	add_line(v, lane, text);
}

/* Where the daemon would put rules of this kind; false: nowhere. */
static bool has_place(const struct nic *nic, enum wm_trial_kind kind)
{
	return nic->right[kind] || nic->only[kind];
}

static void judge_mark(const struct nic *nic, struct verdict *v)
{
	if (!has_place(nic, WM_TRIAL_MARK))
		add_line(v, "kfunc", "rules with a mark are taken, but neither with both "
			 "preferences 11 and 12 nor with 1, and waymark needs these");
	else if (nic->facts.kfunc)
		add_lane(v, "kfunc", "works: backend flower, and the driver hands marks up");
	else
		add_line(v, "kfunc", "rules with a mark are taken, but this kernel or its driver "
			 "lacks bpf_xdp_metadata_rx_flow_mark (kernel-patches/)");
	if (has_place(nic, WM_TRIAL_MARK) && nic->facts.state[NIC_XDP_MARK] == WM_FEATURE_ON)
		add_lane(v, "meta", "works: backend flower, and rx-xdp-mark is on");
}

static void judge_mac(const struct nic *nic, struct verdict *v)
{
	if (has_place(nic, WM_TRIAL_MAC))
		add_lane(v, "mac", "works: backend flower, with any kernel");
	else
		add_line(v, "mac", "rules that rewrite the source address are taken, but neither "
			 "with both preferences 11 and 12 nor with 1, and waymark needs these");
}

static void judge_ntuple(const struct nic *nic, struct verdict *v)
{
	if (nic->facts.kfunc)
		add_lane(v, "kfunc (ntuple)", "works if packets carry their rule's location: "
			 "backend ntuple");
	else
		add_line(v, "kfunc (ntuple)", "n-tuple rules are taken, but this kernel or its "
			 "driver lacks bpf_xdp_metadata_rx_flow_mark");
}

static bool judge(const struct nic *nic, const struct wm_trials *trials)
{
	struct verdict v = { json_array(), json_array() };

	json_object_set_new(nic->data, "lanes", v.lanes);
	json_object_set_new(nic->data, "verdict", v.lines);
	if (wm_trials__taken(trials, WM_TRIAL_MARK))
		judge_mark(nic, &v);
	if (wm_trials__taken(trials, WM_TRIAL_MAC))
		judge_mac(nic, &v);
	if (wm_trials__taken(trials, WM_TRIAL_NTUPLE))
		judge_ntuple(nic, &v);
	if (!json_array_size(v.lines))
		json_array_append_new(v.lines, json_string("the NIC takes no rule that marks: "
							   "waymark runs in software here"));
	return json_array_size(v.lanes);
}

/* --- run --- */

static int open_trials(const struct nic *nic, struct wm_trials **trials, struct wm_err *err)
{
	struct wm_ethtool_io io;
	struct wm_nl *nl;
	int ret = wm_nl__open(&nl, NETLINK_ROUTE, err);

	if (ret)
		return ret;
	ret = wm_ethtool__open(&io, nic->interface);
	if (!ret)
		return wm_trials__open(trials, nl, &io, nic->interface, err);
	wm_nl__close(nl);
	return wm_err__sys(err, ret, "%s", nic->interface);
}

static int run_trials(struct nic *nic, struct wm_err *err)
{
	struct wm_trials *trials;
	int ret = open_trials(nic, &trials, err);

	if (ret)
		return ret;
	json_object_set_new(nic->data, "leftovers",
			    json_integer(wm_trials__leftovers(trials)));
	try_all(nic, trials);
	fit_all(nic, trials);
	ret = judge(nic, trials) ? WM_EXIT_OK : WM_EXIT_UNSUPPORTED;
	json_object_set_new(nic->data, "interrupted", json_boolean(interrupt__came()));
	return wm_trials__close(trials, err) ?: ret;
}

static int show(const struct nic *nic)
{
	const struct output *out = &nic->in->out;
	int ret = 0;

	if (!out->json && !out->raw && !out->columns)
		ret = invocation__show(nic->in, &view_nic_facts, nic->data);
	ret = ret ?: invocation__show(nic->in, &view_nic, nic->data);
	if (!ret && !out->json && !out->raw && !out->columns &&
	    json_array_size(json_object_get(nic->data, "fits")))
		ret = invocation__show(nic->in, &view_nic_fits, nic->data);
	return ret;
}

/* An exit code, or -errno. */
static int try_nic(struct nic *nic, struct wm_err *err)
{
	struct wm_err again = { "" };
	int ret, back;

	ret = wm_ethtool__open(&nic->io, nic->interface);
	if (ret)
		return wm_err__sys(err, ret, "%s", nic->interface);
	ret = nicfacts__read(&nic->io, nic->interface, &nic->facts, nic->data) ?:
	      see_to_features(nic, err) ?: run_trials(nic, err);
	back = switch_back(nic, &again);
	nic->io.close(nic->io.arg);
	if (!back || ret < 0)
		return ret;
	*err = again;
	return back;
}

static int failed(const struct nic *nic, int error, const struct wm_err *err)
{
	return invocation__fail(nic->in, error == -EOPNOTSUPP ? WM_EXIT_UNSUPPORTED :
				WM_EXIT_FAILED, *err->text ? err->text : strerror(-error));
}

int trynic__run(struct invocation *in)
{
	struct nic nic = { .in = in, .interface = in->argument[0], .data = json_object() };
	struct wm_lock lock = {};
	struct wm_err err = { "" };
	int ret, shown;

	if (invocation__number(in, "count") > NIC_COUNT_MAX)
		return invocation__usage(in, "--count: up to %d", NIC_COUNT_MAX);
	interrupt__catch();
	ret = wm_lock__interface(&lock, nic.interface, &err);
	if (!ret)
		ret = try_nic(&nic, &err);
	wm_lock__release(&lock);
	shown = json_object_get(nic.data, "trials") ? show(&nic) : 0;
	json_decref(nic.data);
	if (ret < 0)
		return failed(&nic, ret, &err);
	if (interrupt__came())
		return invocation__fail(in, WM_EXIT_FAILED, "interrupted; all rules are out again");
	return shown ?: ret;
}
