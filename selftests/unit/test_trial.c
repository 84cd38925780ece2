// SPDX-License-Identifier: GPL-2.0
/*
 * What a NIC takes, found out by rules: against a kernel (fake_tc.h) and a driver
 * (fake_ntuple.h) that refuse one thing or another, lose answers and hold others' rules.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_ntuple.h"
#include "fake_tc.h"
#include "nobody.h"
#include "ntuple_spec.h"
#include "trial.h"

enum { TRIALS_MAX = 64, IFINDEX = 7 };

struct nic {
	struct fake_tc tc;
	struct fake_ntuple nt;
	struct wm_trial_result result[TRIALS_MAX];
	struct wm_err err;
};

static int set_up(void **state)
{
	struct nic *nic = calloc(1, sizeof(*nic));

	fake_tc__init(&nic->tc);
	fake_ntuple__init(&nic->nt);
	*state = nic;
	return 0;
}

static int tear_down(void **state)
{
	struct nic *nic = *state;

	fake_tc__free(&nic->tc);
	free(nic);
	return 0;
}

static int begin(struct nic *nic, struct wm_trials **trials)
{
	struct wm_ethtool_io driver = fake_ntuple__io(&nic->nt);
	struct wm_nl_io kernel = fake_tc__io(&nic->tc);
	struct wm_nl *nl;

	assert_int_equal(wm_nl__open_io(&nl, &kernel), 0);
	return wm_trials__open(trials, nl, &driver, "eth0", &nic->err);
}

static void run_all(struct nic *nic, struct wm_trials *trials)
{
	size_t n = 0;

	for (const struct wm_trial *t = wm_trial_table; t->name; t++) {
		assert_true(n < TRIALS_MAX);
		wm_trials__run(trials, t, &nic->result[n++]);
	}
}

/* All trials, and nothing is left. */
static void try_all(struct nic *nic)
{
	struct wm_trials *trials;

	assert_int_equal(begin(nic, &trials), 0);
	run_all(nic, trials);
	assert_int_equal(wm_trials__close(trials, &nic->err), 0);
	assert_int_equal(nic->tc.n_filters, 0);
	assert_int_equal(nic->nt.rules, 0);
	assert_false(nic->tc.qdisc);
}

static const struct wm_trial_result *result_of(const struct nic *nic, const char *name)
{
	for (size_t i = 0; wm_trial_table[i].name; i++)
		if (!strcmp(wm_trial_table[i].name, name))
			return &nic->result[i];
	fail_msg("no trial %s", name);
	return NULL;
}

static void assert_refused(const struct nic *nic, const char *name, int result, const char *words)
{
	const struct wm_trial_result *r = result_of(nic, name);

	assert_int_equal(r->result, result);
	assert_string_equal(r->words, words);
	assert_false(r->in_nic);
}

static void assert_taken(const struct nic *nic, const char *name)
{
	const struct wm_trial_result *r = result_of(nic, name);

	assert_int_equal(r->result, 0);
	assert_true(r->in_nic && r->as_sent && !r->removed);
}

static bool never(void)
{
	return false;
}

static uint32_t patience;

static bool soon(void)
{
	return !patience--;
}

/* --- what is tried --- */

static void names_are_unique(void **state)
{
	(void)state;
	for (size_t i = 0; wm_trial_table[i].name; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(wm_trial_table[i].name, wm_trial_table[k].name);
}

static void flows_are_nobodys(void **state)
{
	static const uint32_t numbers[] = { 0, 1, 65534, 65535, 99999, WM_NOBODY_FLOWS - 1 };
	struct wm_flow flow, other;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		wm_nobody__flow(&flow, numbers[i], WM_IPV4, IPPROTO_TCP);
		assert_int_equal(ntohl(flow.src[0]) & 0xffffff00, 0xc6336400);
		assert_int_equal(ntohl(flow.dst[0]) & 0xffffff00, 0xc0000200);
		assert_true(flow.sport && wm_nobody__is(&flow));
		wm_nobody__flow(&other, numbers[i], WM_IPV6, IPPROTO_UDP);
		assert_int_equal(ntohl(other.src[0]), 0x20010db8);
		assert_int_equal(ntohl(other.dst[0]), 0x20010db8);
		assert_true(wm_nobody__is(&other));
		other.src[0] = htonl(0x20010db9);
		assert_false(wm_nobody__is(&other));
		flow.dport = htons(80);
		assert_false(wm_nobody__is(&flow));
	}
}

static void takes_everything(void **state)
{
	struct nic *nic = *state;

	try_all(nic);
	for (size_t i = 0; wm_trial_table[i].name; i++) {
		const struct wm_trial_result *r = &nic->result[i];

		assert_int_equal(r->result, 0);
		assert_true(r->as_sent);
		assert_int_equal(r->removed, 0);
		/* Those of the NIC's choice, or not for it, are in no fake's NIC. */
		assert_int_equal(r->in_nic, strcmp(wm_trial_table[i].name, "either") &&
				 strcmp(wm_trial_table[i].name, "software"));
	}
	assert_int_equal(nic->tc.most_filters, 1); /* one at a time */
	assert_int_equal(result_of(nic, "mark-tcp")->pref, 11);
	assert_int_equal(result_of(nic, "mac-pref-1")->pref, 1);
}

/* --- refusals --- */

static void without_rewriting(void **state)
{
	struct nic *nic = *state;

	nic->tc.no_rewriting = true;
	try_all(nic);
	assert_taken(nic, "mark-tcp");
	assert_refused(nic, "mac-pref-1", -EOPNOTSUPP, TC_REWRITING_TEXT);
	assert_refused(nic, "mac-ipv6-tcp", -EOPNOTSUPP, TC_REWRITING_TEXT);
	assert_refused(nic, "mac-and-mark", -EOPNOTSUPP, TC_REWRITING_TEXT);
}

static void one_action_at_a_time(void **state)
{
	struct nic *nic = *state;

	nic->tc.no_both = nic->tc.no_queues = true;
	try_all(nic);
	assert_taken(nic, "mark-vlan");
	assert_taken(nic, "mac-vlan");
	assert_refused(nic, "mac-and-mark", -EOPNOTSUPP, TC_BOTH_TEXT);
	assert_refused(nic, "queue", -EOPNOTSUPP, TC_QUEUES_TEXT);
}

/* The first preference that is taken is that of all further trials of its kind. */
static void one_preference(void **state)
{
	struct nic *nic = *state;

	nic->tc.max_pref = 1;
	try_all(nic);
	assert_refused(nic, "mark-pref-11", -EOPNOTSUPP, TC_PREF_TEXT);
	assert_refused(nic, "mac-pref-14", -EOPNOTSUPP, TC_PREF_TEXT);
	assert_taken(nic, "mark-pref-1");
	assert_taken(nic, "mark-ipv6-tcp");
	assert_taken(nic, "mac-and-mark");
	assert_int_equal(result_of(nic, "mac-tcp")->pref, 1);
}

static void no_classifier(void **state)
{
	struct nic *nic = *state;

	nic->tc.no_flower = true;
	nic->nt.count_error = -EOPNOTSUPP;
	try_all(nic);
	assert_refused(nic, "software", -ENOENT, "TC classifier not found");
	assert_refused(nic, "ntuple-udp", -EOPNOTSUPP, "");
}

static void no_qdisc(void **state)
{
	struct nic *nic = *state;

	nic->tc.no_clsact = true;
	try_all(nic);
	assert_refused(nic, "mark-tcp", -EINVAL, "Parent Qdisc doesn't exists");
	assert_taken(nic, "ntuple-tcp");
}

static void no_device(void **state)
{
	struct nic *nic = *state;
	struct wm_trials *trials;

	nic->tc.ifindex = 0;
	assert_int_equal(begin(nic, &trials), -ENODEV);
	assert_null(trials);
	assert_non_null(strstr(nic->err.text, "eth0"));
}

static void not_permitted(void **state)
{
	struct nic *nic = *state;
	struct wm_trials *trials;

	nic->tc.send_errno = EPERM;
	assert_int_equal(begin(nic, &trials), -EPERM);
}

/* An answer got lost: what may be there is looked for, and goes. */
static void answers_get_lost(void **state)
{
	struct nic *nic = *state;

	for (size_t from = 4; from < 60; from++) {
		nic->tc.answers = 0;
		nic->tc.lose_from = from;
		nic->tc.lose = 1;
		try_all(nic);
	}
}

/* --- how many fit --- */

static void fit(struct nic *nic, enum wm_trial_kind kind, uint32_t n, bool (*stop)(void),
		struct wm_trial_fit *result)
{
	struct wm_trials *trials;

	assert_int_equal(begin(nic, &trials), 0);
	run_all(nic, trials);
	assert_true(wm_trials__taken(trials, kind));
	wm_trials__fit(trials, kind, n, stop, result);
	assert_int_equal(nic->tc.n_filters, 0); /* at once, not by close() */
	assert_int_equal(nic->nt.rules, 0);
	assert_int_equal(wm_trials__close(trials, &nic->err), 0);
}

static void all_fit(void **state)
{
	struct nic *nic = *state;
	struct wm_trial_fit f;

	fit(nic, WM_TRIAL_MAC, 1000, never, &f);
	assert_int_equal(f.fit, 1000);
	assert_int_equal(f.result, 0);
	assert_int_equal(nic->tc.most_filters, 1000);
	fit(nic, WM_TRIAL_NTUPLE, NT_LOCATIONS, never, &f);
	assert_int_equal(f.fit, NT_LOCATIONS);
}

static void table_is_full(void **state)
{
	struct nic *nic = *state;
	struct wm_trial_fit f;

	nic->tc.capacity = 300;
	fit(nic, WM_TRIAL_MARK, 1000, never, &f);
	assert_int_equal(f.fit, 300);
	assert_int_equal(f.result, -ENOSPC);
	assert_string_equal(f.words, TC_FULL_TEXT);
	nic->nt.pool = 20;
	fit(nic, WM_TRIAL_NTUPLE, 1000, never, &f);
	assert_int_equal(f.fit, 20);
	assert_int_equal(f.result, -ENOSPC);
}

static void interrupted(void **state)
{
	struct nic *nic = *state;
	struct wm_trial_fit f;

	patience = 2;
	fit(nic, WM_TRIAL_MARK, 2000, soon, &f);
	assert_int_equal(f.fit, 2 * WM_NL_BATCH);
	assert_int_equal(f.result, 0);
	patience = 3;
	fit(nic, WM_TRIAL_NTUPLE, 1000, soon, &f);
	assert_int_equal(f.fit, 3);
}

static void only_what_is_taken_counts(void **state)
{
	struct nic *nic = *state;
	struct wm_trials *trials;

	nic->tc.no_rewriting = true;
	nic->nt.insert_error = -EINVAL;
	assert_int_equal(begin(nic, &trials), 0);
	run_all(nic, trials);
	assert_true(wm_trials__taken(trials, WM_TRIAL_MARK));
	assert_false(wm_trials__taken(trials, WM_TRIAL_MAC));
	assert_false(wm_trials__taken(trials, WM_TRIAL_NTUPLE));
	assert_int_equal(wm_trials__close(trials, &nic->err), 0);
}

/* --- others' rules --- */

/* Put one in as another process would. */
static void put_rule(struct nic *nic, bool trial)
{
	const struct wm_flower_shape shape = {
		.pref = 11, .queue = -1, .mark = true, .trial = trial,
		.flags = TCA_CLS_FLAGS_SKIP_SW,
	};
	struct wm_nl_io kernel = fake_tc__io(&nic->tc);
	struct wm_rule rule = { .mark = 5 };
	struct nlmsghdr *msg;
	struct wm_nl *nl;

	nic->tc.qdisc = true;
	assert_int_equal(wm_nl__open_io(&nl, &kernel), 0);
	wm_nobody__flow(&rule.flow, 77, WM_IPV4, IPPROTO_UDP);
	wm_nl__begin(nl);
	msg = wm_nl__add(nl, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE);
	wm_flower__put_shaped_name(msg, IFINDEX, WM_IPV4, &shape, trial ? 0x57000001 : 1);
	wm_flower__put_shaped(msg, &rule, &shape);
	assert_int_equal(wm_nl__ask(nl, NULL, NULL, NULL), 0);
	wm_nl__close(nl);
}

static void rules_of_others_stay(void **state)
{
	struct ethtool_rx_flow_spec spec;
	struct nic *nic = *state;
	struct wm_trials *trials;
	struct wm_flow flow;

	put_rule(nic, false);
	/* At the last location, where a trial begins; and one that a trial could have. */
	wm_nobody__flow(&flow, 0, WM_IPV4, IPPROTO_UDP);
	flow.dport = htons(80);
	wm_ntuple__write(&spec, &flow, NT_LOCATIONS - 1, 1);
	fake_ntuple__put(&nic->nt, &spec);
	assert_int_equal(begin(nic, &trials), 0);
	assert_int_equal(wm_trials__leftovers(trials), 0);
	run_all(nic, trials);
	assert_int_equal(wm_trials__close(trials, &nic->err), 0);
	assert_taken(nic, "ntuple-udp");
	assert_taken(nic, "mark-pref-11");
	assert_int_equal(nic->tc.n_filters, 1);
	assert_int_equal(fake_tc__mark(&nic->tc, 1), 5);
	assert_true(nic->tc.qdisc);
	assert_int_equal(nic->nt.rules, 1);
	assert_memory_equal(&nic->nt.spec[NT_LOCATIONS - 1], &spec, sizeof(spec));
}

static void what_a_killed_one_left(void **state)
{
	struct ethtool_rx_flow_spec spec;
	struct nic *nic = *state;
	struct wm_trials *trials;
	struct wm_flow flow;

	put_rule(nic, true);
	wm_nobody__flow(&flow, 3, WM_IPV6, IPPROTO_TCP);
	wm_ntuple__write(&spec, &flow, 9, 1);
	fake_ntuple__put(&nic->nt, &spec);
	assert_int_equal(begin(nic, &trials), 0);
	assert_int_equal(wm_trials__leftovers(trials), 2);
	assert_int_equal(nic->tc.n_filters, 0);
	assert_int_equal(nic->nt.rules, 0);
	assert_int_equal(wm_trials__close(trials, &nic->err), 0);
}

/* A NIC that does not let go: that is no success. */
static void a_rule_that_stays_is_told(void **state)
{
	struct nic *nic = *state;
	struct wm_trials *trials;

	assert_int_equal(begin(nic, &trials), 0);
	nic->nt.delete_error = -EIO;
	run_all(nic, trials);
	assert_int_equal(result_of(nic, "ntuple-udp")->removed, -EIO);
	assert_int_equal(wm_trials__close(trials, &nic->err), -EIO);
	assert_non_null(strstr(nic->err.text, "may be left"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique), cmocka_unit_test(flows_are_nobodys),
		TEST(takes_everything), TEST(without_rewriting), TEST(one_action_at_a_time),
		TEST(one_preference), TEST(no_classifier), TEST(no_qdisc), TEST(no_device),
		TEST(not_permitted), TEST(answers_get_lost), TEST(all_fit), TEST(table_is_full),
		TEST(interrupted), TEST(only_what_is_taken_counts), TEST(rules_of_others_stay),
		TEST(what_a_killed_one_left), TEST(a_rule_that_stays_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
