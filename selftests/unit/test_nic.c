// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing in the daemon's loop waits for a NIC: one that does not give up its rules holds up
 * neither who else is in the loop nor the NIC of another interface, and not for ever what
 * comes after it. The loop is the real one; the clock goes on, and jumps where a test says so.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "logfile.h"
#include "monotonic.h"
#include "nic.h"
#include "running.h"

enum {
	CARDS = 2,
	RULES = 40,
	TURNS = 20000, /* of the loop: an end, should a test fail */
	JUMP_S = 3,    /* more than anybody waits for a NIC */
};

static uint64_t ahead_ns;

uint64_t __real_wm_now_ns(void);
uint64_t __wrap_wm_now_ns(void);

uint64_t __wrap_wm_now_ns(void)
{
	return __real_wm_now_ns() + ahead_ns;
}

/* --- NICs --- */

struct wm_offload {
	bool keeps; /* refuses to give up a rule */
	size_t rules, asked;
	uint32_t mac_prefix;
	bool rewrites; /* takes rules in the mac lane */
	struct wm_offload_caps caps;
};

static void nic_install(struct wm_offload *off, const struct wm_rule *rules, size_t n, int *result)
{
	(void)rules;
	off->rules += n;
	memset(result, 0, n * sizeof(*result));
}

static void nic_remove(struct wm_offload *off, const struct wm_flow *flows, size_t n, int *result)
{
	(void)flows;
	off->asked++;
	for (size_t i = 0; i < n; i++)
		result[i] = off->keeps ? -EBUSY : 0;
	off->rules -= off->keeps ? 0 : n;
}

static void mac_install(struct wm_offload *off, const struct wm_rule *rules, size_t n,
			int *result)
{
	(void)rules;
	for (size_t i = 0; i < n; i++)
		result[i] = off->mac_prefix && off->rewrites ? 0 : -EOPNOTSUPP;
	off->rules += off->rewrites ? n : 0;
}

static void mac_lane(struct wm_offload *off, uint32_t prefix)
{
	off->mac_prefix = prefix;
}

static const struct wm_offload_caps *nic_caps(struct wm_offload *off)
{
	return &off->caps;
}

static void nic_close(struct wm_offload *off)
{
	(void)off;
}

static const struct wm_offload_ops nic_ops = {
	.name = "test", .scope = WM_SCOPE_EACH, .close = nic_close, .install = nic_install,
	.remove = nic_remove,
};

/* A card of which nothing is known but what rules may do. */
static const struct wm_offload_ops mac_ops = {
	.name = "test", .scope = WM_SCOPE_EACH, .close = nic_close, .install = mac_install,
	.remove = nic_remove, .caps = nic_caps, .mac_lane = mac_lane,
};

/* --- a daemon --- */

struct world {
	sd_event *event;
	struct wm_running running;
	struct wm_nic nic;
	struct wm_config config;
	struct wm_queueset queues[CARDS];
	struct wm_offload off[CARDS];
	int request;     /* eventfd: somebody asks */
	unsigned served;
	unsigned done;   /* how often what was awaited came */
	int saved;
	FILE *log;
};

static int on_request(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct world *w = arg;
	eventfd_t n;

	(void)source;
	(void)revents;
	if (!eventfd_read(fd, &n))
		w->served++;
	return 0;
}

static void on_done(void *arg)
{
	((struct world *)arg)->done++;
}

static void count(void *arg)
{
	++*(unsigned *)arg;
}

/* The daemon's hooks want a data plane: rules get none. */
static void give_rules(struct world *w, size_t i)
{
	const struct wm_rules_options options = {
		.max_rules = 1000, .installs_per_second = 100000, .idle_ns = 3600ull * 1000000000,
	};
	struct wm_nic_card *card = &w->nic.card[i];

	wm_rules__free(card->rules);
	card->rules = wm_rules__new(&nic_ops, card->off, &options, NULL);
	for (uint32_t n = 0; n < RULES; n++) {
		struct wm_flow flow = { .src = { n + 1 }, .family = WM_IPV4, .proto = 6 };

		wm_rules__offer(card->rules, &flow, 7, wm_now_ns());
	}
	wm_rules__tick(card->rules, wm_now_ns());
	assert_int_equal(w->off[i].rules, RULES);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct wm_err err = {};

	*state = w;
	ahead_ns = 0;
	w->log = tmpfile();
	w->saved = dup(STDERR_FILENO);
	dup2(fileno(w->log), STDERR_FILENO);
	assert_true(sd_event_new(&w->event) >= 0);
	w->request = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(sd_event_add_io(w->event, NULL, w->request, EPOLLIN, on_request, w) >= 0);
	w->config.queues = w->queues;
	w->config.n_interfaces = CARDS;
	w->running.config = &w->config;
	w->nic.ops = &nic_ops;
	w->nic.n = CARDS;
	w->nic.card = calloc(CARDS, sizeof(*w->nic.card));
	for (size_t i = 0; i < CARDS; i++)
		w->nic.card[i] = (struct wm_nic_card){ "nic", .position = i, .off = &w->off[i] };
	if (wm_nic__start(&w->nic, w->event, &w->running, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < CARDS; i++)
		give_rules(w, i);
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	wm_nic__stop(&w->nic);
	sd_event_unref(w->event);
	close(w->request);
	dup2(w->saved, STDERR_FILENO);
	close(w->saved);
	fclose(w->log);
	free(w);
	return 0;
}

/* Turns of the loop until it is so. */
#define RUN_UNTIL(w, so) do {						\
	for (int turn = 0; !(so); turn++) {				\
		if (turn == TURNS)					\
			fail_msg("never: %s", #so);			\
		assert_true(sd_event_run((w)->event, 100000) >= 0);	\
	}								\
} while (0)

/* Whoever asks now has an answer before the NIC has given one. */
static void assert_serves(struct world *w)
{
	unsigned before = w->served, done = w->done;

	eventfd_write(w->request, 1);
	RUN_UNTIL(w, w->served > before);
	assert_int_equal(w->done, done);
}

/* --- tests --- */

static void test_a_slow_nic_holds_up_nobody(void **state)
{
	struct world *w = *state;

	w->off[0].keeps = true;
	wm_nic__move(&w->nic, &w->config, on_done, w);
	assert_int_equal(w->off[0].asked, 0); /* that is the loop's */
	assert_serves(w);
	RUN_UNTIL(w, w->off[1].rules == 0);
	RUN_UNTIL(w, w->off[0].asked >= 3);
	assert_serves(w);
	assert_int_equal(w->off[0].rules, RULES);
	w->off[0].keeps = false;
	RUN_UNTIL(w, w->done);
	assert_int_equal(w->off[0].rules, 0);
	assert_int_equal(log_count(w->log, "keeps some rules"), 0);
}

static void test_a_nic_that_keeps_its_rules_is_left_alone(void **state)
{
	struct world *w = *state;

	w->off[0].keeps = true;
	wm_nic__move(&w->nic, &w->config, on_done, w);
	RUN_UNTIL(w, w->off[0].asked >= 3);
	assert_int_equal(w->done, 0);
	ahead_ns = JUMP_S * 1000000000ull;
	RUN_UNTIL(w, w->done);
	assert_int_equal(w->off[0].rules, RULES);
	assert_int_equal(log_count(w->log, "keeps some rules"), 1);
}

/* What is done may be the beginning of the next: nothing of the first is left by then. */
static void test_nothing_to_wait_for(void **state)
{
	struct world *w = *state;

	wm_nic__move(&w->nic, &w->config, on_done, w);
	assert_int_equal(w->done, 0);
	RUN_UNTIL(w, w->done == 1);
	wm_nic__move(&w->nic, &w->config, on_done, w);
	RUN_UNTIL(w, w->done == 2);
	assert_serves(w);
}

/* Of one card only, and with the rules that stay. */
static void test_deletions_of_a_card(void **state)
{
	struct wm_nic_card *card;
	struct world *w = *state;

	card = &w->nic.card[0];
	w->off[0].keeps = w->off[1].keeps = true;
	wm_rules__retire_all(w->nic.card[1].rules, wm_now_ns());
	assert_int_equal(wm_rules__give_way(card->rules, 5, wm_now_ns()), 5);
	wm_nic__when_settled(&w->nic, card, 1000, on_done, w);
	assert_serves(w);
	RUN_UNTIL(w, w->off[0].asked >= 3);
	assert_int_equal(w->done, 0);
	w->off[0].keeps = false;
	RUN_UNTIL(w, w->done);
	assert_int_equal(w->off[0].rules, RULES - 5);
	assert_int_equal(w->off[1].rules, RULES);
}

/* Who waits for all of them comes after the last, and at once where there is none. */
static void test_all_that_is_awaited(void **state)
{
	struct wm_nic_card *card;
	struct world *w = *state;
	unsigned made = 0;

	wm_nic__when_quiet(&w->nic, on_done, w);
	assert_int_equal(w->done, 1);
	w->off[0].keeps = w->off[1].keeps = true;
	for (size_t i = 0; i < CARDS; i++) {
		card = &w->nic.card[i];
		assert_int_equal(wm_rules__give_way(card->rules, 5, wm_now_ns()), 5);
		wm_nic__when_settled(&w->nic, card, 1000, count, &made);
	}
	wm_nic__when_quiet(&w->nic, on_done, w);
	w->off[0].keeps = false;
	RUN_UNTIL(w, made == 1);
	assert_serves(w);
	assert_int_equal(w->done, 1);
	w->off[1].keeps = false;
	RUN_UNTIL(w, w->done == 2);
	assert_int_equal(made, 2);
}

/* Before the loop runs there is nobody to hold up. */
static void test_settling_before_the_loop_runs(void **state)
{
	struct world *w = *state;

	assert_int_equal(wm_rules__give_way(w->nic.card[0].rules, 5, wm_now_ns()), 5);
	wm_nic__when_settled(&w->nic, &w->nic.card[0], 10000, on_done, w);
	wm_nic__settle(&w->nic, 10000);
	assert_int_equal(w->done, 1);
	assert_int_equal(w->off[0].rules, RULES - 5);
}

#define W(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* --- lanes --- */

struct lane_case {
	enum wm_lane lane;
	bool can, rewrites, choose; /* as far as it knows, in fact, and if we have the choice */
	bool mac;
	int ret;
	const char *why;
};

static void expect_lane(const struct lane_case *c)
{
	struct wm_offload off = {
		.rewrites = c->rewrites, .keeps = !c->rewrites, .caps = { .mark_bits = 16 },
	};
	struct wm_nic_card card = { .interface = "no-such", .off = &off };
	struct wm_nic nic = { .ops = &mac_ops, .card = &card, .n = 1, .lane = c->lane };
	struct wm_err err = {};

	off.caps.mac_bits = c->can ? 24 : 0;
	assert_int_equal(wm_nic__settle_lane(&nic, 0, c->choose, &err), c->ret);
	assert_int_equal(card.mac, c->mac);
	assert_int_equal(wm_nic__mac_lane(&nic), c->mac);
	assert_int_equal(off.rules, 0); /* what was tried has gone */
	assert_int_equal(off.mac_prefix, 0);
	if (c->why && !strstr(c->ret || !c->mac ? err.text : nic.why, c->why))
		fail_msg("\"%s\" and \"%s\" say nothing of \"%s\"", err.text, nic.why, c->why);
}

static void test_lanes(void **state)
{
	static const struct lane_case cases[] = {
		{ WM_LANE_AUTO, true, true, true, .mac = true, .why = "rx-xdp-mark" },
		{ WM_LANE_AUTO, true, true, false, .mac = true, .why = "rx_flow_mark" },
		{ WM_LANE_AUTO, true, false, true, .ret = -EOPNOTSUPP, .why = "rewrite" },
		{ WM_LANE_AUTO, true, false, false, .why = "rewrite" },
		{ WM_LANE_AUTO, false, false, true, .ret = -EOPNOTSUPP, .why = "rx-xdp-mark" },
		{ WM_LANE_MAC, true, true, true, .mac = true },
		{ WM_LANE_MAC, true, false, false, .mac = true }, /* its rules say what is wrong */
		{ WM_LANE_MAC, false, false, false, .ret = -EOPNOTSUPP, .why = "lane mac" },
		{ WM_LANE_KFUNC, true, true, false, .ret = -EOPNOTSUPP, .why = "lane kfunc" },
		{ WM_LANE_META, true, true, true, .ret = -EOPNOTSUPP, .why = "lane: meta" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		expect_lane(&cases[i]);
}

static void test_marks_are_believed_when_seen(void **state)
{
	struct wm_marks marks = {};

	(void)state;
	assert_false(wm_marks__judge(&marks, 700, 5000, 0)); /* from before us */
	assert_false(wm_marks__judge(&marks, 700, 9000, WM_MARKS_ENOUGH - 1));
	assert_string_equal(wm_marks__word(&marks), "awaited");
	assert_true(wm_marks__judge(&marks, 700, 9000, WM_MARKS_ENOUGH));
	assert_string_equal(wm_marks__word(&marks), "missing");
	assert_false(wm_marks__judge(&marks, 700, 9000, WM_MARKS_ENOUGH + 1));
	assert_true(wm_marks__judge(&marks, 701, 9000, WM_MARKS_ENOUGH + 2)); /* after all */
	assert_string_equal(wm_marks__word(&marks), "seen");
	assert_false(wm_marks__judge(&marks, 701, 99000, 99000));

	/* The program was not there for these packets. */
	marks = (struct wm_marks){};
	assert_false(wm_marks__judge(&marks, 0, 70, 0));
	assert_false(wm_marks__judge(&marks, 0, 69 + WM_MARKS_ENOUGH, 99000));
	assert_true(wm_marks__judge(&marks, 0, 70 + WM_MARKS_ENOUGH, 99000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		W(test_a_slow_nic_holds_up_nobody),
		W(test_a_nic_that_keeps_its_rules_is_left_alone),
		W(test_nothing_to_wait_for),
		W(test_deletions_of_a_card),
		W(test_all_that_is_awaited),
		W(test_settling_before_the_loop_runs),
		cmocka_unit_test(test_lanes),
		cmocka_unit_test(test_marks_are_believed_when_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
