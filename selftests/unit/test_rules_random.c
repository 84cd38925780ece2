// SPDX-License-Identifier: GPL-2.0
/*
 * The life of rules under a million random steps: offers, closes, packets, marks
 * that are retired, and a NIC that refuses, delays and fills up. What must hold
 * after every step is in check_flow() and check_all().
 */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_nic.h"

enum { RANDOM_FLOWS = 600, RANDOM_MARKS = 20, RANDOM_RULES = 200, RANDOM_RATE = 2000 };

struct random {
	struct world *w;
	uint64_t seed;
	bool faults_that_lose;
	uint64_t began, tokens_from;
	bool offered[FLOWS]; /* and not yet gone */
};

static uint32_t draw(struct random *r, uint32_t below)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return (r->seed >> 20) % below;
}

static void random_gone(void *arg, const struct wm_flow *flow)
{
	struct random *r = arg;

	if (!r->faults_that_lose)
		assert_true(r->offered[nic_number(flow)]);
	r->offered[nic_number(flow)] = false;
}

static void random_faults(struct random *r)
{
	struct wm_offload *nic = &r->w->nic;

	nic->install_error = draw(r, 4) ? 0 : -EIO;
	nic->error_every = draw(r, 2) ? 0 : 1 + draw(r, 5);
	nic->remove_error = draw(r, 4) ? 0 : -EBUSY;
	nic->list_error = draw(r, 6) ? 0 : -EINTR;
	nic->late = !draw(r, 4);
	nic->full_at = draw(r, 3) ? 0 : nic->n + draw(r, 20);
	if (r->faults_that_lose) {
		nic->lose_installs = !draw(r, 4);
		nic->lose_removals = !draw(r, 4);
		if (!draw(r, 10))
			nic_drop(nic, draw(r, RANDOM_FLOWS));
	}
}

static void random_step(struct random *r)
{
	struct world *w = r->w;
	uint32_t n = draw(r, RANDOM_FLOWS), what = draw(r, 1000);

	if (what < 500) {
		r->offered[n] = true;
		world_offer(w, n, 1 + draw(r, 10) * (n % 2) + n % 10);
	} else if (what < 700) {
		world_close_flow(w, n);
	} else if (what < 800) {
		world_traffic(w, n, n + 20);
	} else if (what < 997) {
		w->now += draw(r, 4 * MS);
		world_tick(w);
	} else if (what < 998) {
		wm_rules__retire_mark(w->rules, 1 + draw(r, RANDOM_MARKS), w->now);
	} else {
		random_faults(r);
	}
}

/* The NIC's content is what the rules' states say. */
static void check_flow(struct random *r, uint32_t n)
{
	const struct slot *slot = &r->w->nic.slot[n];
	struct wm_flow flow = nic_flow_of(n);
	struct wm_rule_view view;
	bool known = wm_rules__find(r->w->rules, &flow, &view);

	assert_int_equal(known, r->offered[n]);
	if (slot->in) {
		assert_true(known && view.state != WM_RULE_CANDIDATE);
		assert_true(wm_rules__mark_in_use(r->w->rules, slot->mark));
	}
	if (known && view.state == WM_RULE_ACTIVE) {
		assert_true(slot->in);
		assert_int_equal(slot->mark, view.rule.mark);
	}
}

static void check_all(struct random *r)
{
	const struct world *w = r->w;
	uint64_t passed = w->now - r->began, allowed;
	struct wm_rules_stats s = world_stats(w);

	allowed = passed * RANDOM_RATE / SECOND + 1 + RANDOM_RATE / 10;
	assert_true(w->nic.asked <= allowed);
	assert_true(w->nic.most <= RANDOM_RULES);
	assert_true(s.state[WM_RULE_CANDIDATE] <= 4 * RANDOM_RATE);
	assert_true(w->nic.n <= s.state[WM_RULE_ACTIVE] + s.state[WM_RULE_INSTALLING] +
		    s.state[WM_RULE_DELETING]);
	for (uint32_t n = 0; n < RANDOM_FLOWS; n++)
		check_flow(r, n);
}

static void heal(struct world *w)
{
	w->nic.install_error = w->nic.remove_error = w->nic.list_error = 0;
	w->nic.full_at = 0;
	w->nic.late = w->nic.lose_installs = w->nic.lose_removals = false;
}

static void start_random(struct random *r)
{
	struct wm_rules_hooks hooks = {
		.gone = random_gone, .arg = r,
	};
	struct world *w = r->w;

	wm_rules__free(w->rules);
	w->options = (struct wm_rules_options){ RANDOM_RULES, RANDOM_RATE, 2 * SECOND, 0 };
	w->rules = wm_rules__new(&nic_ops, &w->nic, &w->options, &hooks);
	assert_non_null(w->rules);
	r->began = w->now;
}

static void end_random(struct random *r)
{
	struct world *w = r->w;
	struct wm_rules_stats s;

	heal(w);
	world_run(w, 20 * SECOND);
	s = world_stats(w); /* all of it has happened */
	assert_true(s.installed > 1000 && s.refused > 100 && s.full > 100 && s.held > 100);
	assert_true(s.failed_removals > 100 && s.packets > 1000);
	for (int end = 0; end < WM_ENDS; end++)
		assert_true(s.ended[end] > 10);
	wm_rules__retire_all(w->rules, w->now);
	world_run(w, 20 * SECOND);
	assert_int_equal(w->nic.n, 0);
	s = world_stats(w);
	for (int i = 0; i < WM_RULE_STATES; i++)
		assert_int_equal(s.state[i], 0);
	for (int n = 0; n < RANDOM_FLOWS; n++)
		assert_false(r->offered[n]);
}

static void test_random(void **state)
{
	struct random r = { .w = *state, .seed = 0x9e3779b97f4a7c15 };

	start_random(&r);
	for (int i = 0; i < 1000000; i++) {
		random_step(&r);
		if (i % 500 == 0)
			check_all(&r);
	}
	end_random(&r);
}

/* A NIC that loses rules and removals: afterwards everything is as it should be. */
static void test_random_with_losses(void **state)
{
	struct random r = { .w = *state, .seed = 4711, .faults_that_lose = true };

	start_random(&r);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 10000; i++)
			random_step(&r);
		heal(r.w);
		world_readings(r.w, 8, 0, RANDOM_FLOWS);
		for (uint32_t n = 0; n < RANDOM_FLOWS; n++)
			check_flow(&r, n);
	}
	end_random(&r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_random),
		T(test_random_with_losses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
