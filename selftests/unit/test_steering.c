// SPDX-License-Identifier: GPL-2.0
/*
 * Steering rules without a NIC: which there are, and what is done about a NIC that takes
 * few of them, takes them without masks, or not at all. The NIC is a backend with a table
 * of such rules that does what the hook promises.
 */
#include <arpa/inet.h>
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
#include <unistd.h>
#include <cmocka.h>
#include <waymark/abi.h>

#include "logfile.h"
#include "steering.h"

enum { ROOM = 4096, SECOND = 1000000000 };

static struct wm_steer_vip vip_of(uint32_t n)
{
	struct wm_steer_vip vip = { .port = htons(443), .family = n & 2 ? WM_IPV6 : WM_IPV4 };

	vip.proto = n & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	for (int i = 0; i < (n & 2 ? 4 : 1); i++)
		vip.address[i] = htonl(0x0ac80001 + n / 4 + i);
	return vip;
}

static struct wm_queueset queues_of(const char *text)
{
	struct wm_queueset set = {};

	if (*text)
		assert_int_equal(wm_queueset__parse(&set, text), 0);
	return set;
}

/* --- which rules --- */

static void test_shares(void **state)
{
	static const uint32_t of[][3] = { /* queues, vips, shares */
		{ 1, 1, 1 }, { 2, 1, 2 }, { 3, 1, 2 }, { 4, 1, 4 }, { 7, 5, 4 }, { 8, 5, 8 },
		{ 63, 5, 16 }, { 1024, 1, 16 }, { 16, 64, 16 }, { 16, 65, 8 }, { 16, 512, 2 },
		{ 16, 513, 1 }, { 16, 4096, 1 }, { 0, 5, 1 }, { 4, 0, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++)
		assert_int_equal(wm_steer__shares(of[i][0], of[i][1]), of[i][2]);
}

/* The queue for packets from this port; it must be exactly one. */
static int queue_for(const struct wm_steer *rules, uint32_t n, uint16_t sport)
{
	int queue = -1;

	for (uint32_t i = 0; i < n; i++) {
		if ((htons(sport) & rules[i].sport_mask) != rules[i].sport)
			continue;
		assert_int_equal(queue, -1);
		queue = rules[i].queue;
	}
	assert_true(queue >= 0);
	return queue;
}

/* Whatever the client's port, and spread evenly even if all of them are even. */
static void test_every_port_has_one_queue(void **state)
{
	const struct wm_queueset queues = queues_of("3,5,8-9");
	const struct wm_steer_vip vip = vip_of(1);

	(void)state;
	for (uint32_t shares = 1; shares <= 4; shares *= 2) {
		uint32_t hits[10] = {}, used = 0;
		struct wm_steer rules[4];

		memset(rules, 0xaa, sizeof(rules));
		wm_steer__rules(&vip, shares, &queues, rules);
		for (uint32_t port = 0; port < 65536; port += 2)
			hits[queue_for(rules, shares, port)]++;
		for (uint32_t port = 1; port < 65536; port += 2)
			assert_true(hits[queue_for(rules, shares, port)]);
		for (uint32_t q = 0; q < 10; q++) {
			used += hits[q] != 0;
			assert_true(!hits[q] || hits[q] == 32768 / shares);
			assert_true(!hits[q] || wm_queueset__has(&queues, q));
		}
		assert_int_equal(used, shares);
	}
}

static void test_a_rule_is_the_vips(void **state)
{
	const struct wm_queueset queues = queues_of("7");

	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		struct wm_steer_vip vip = vip_of(n);
		struct wm_steer rule, want = { .queue = 7, .family = vip.family };

		want.proto = vip.proto;
		vip.port = n ? htons(443) : 0;
		want.dport = vip.port;
		memcpy(want.dst, vip.address, sizeof(want.dst));
		memset(&rule, 0xaa, sizeof(rule));
		wm_steer__rules(&vip, 1, &queues, &rule);
		assert_memory_equal(&rule, &want, sizeof(rule));
	}
}

/* One rule each: the queues share the vips. Three queues with two parts: none is left out. */
static void test_vips_are_spread_over_queues(void **state)
{
	const struct wm_queueset four = queues_of("0-3"), three = queues_of("4-6");
	uint32_t hits[7] = {};
	struct wm_steer rules[2];

	(void)state;
	for (uint32_t n = 0; n < 400; n++) {
		struct wm_steer_vip vip = vip_of(n);

		wm_steer__rules(&vip, 1, &four, rules);
		hits[rules[0].queue]++;
		wm_steer__rules(&vip, 2, &three, rules);
		hits[rules[0].queue]++;
		hits[rules[1].queue]++;
		assert_int_not_equal(rules[0].queue, rules[1].queue);
	}
	for (int q = 0; q < 4; q++)
		assert_in_range(hits[q], 60, 140);
	for (int q = 4; q < 7; q++)
		assert_in_range(hits[q], 200, 333);
}

/* --- a NIC --- */

struct wm_steerer {
	struct world *world;
};

struct world {
	struct wm_steerer nic;
	struct wm_steering *steering;
	struct wm_steer table[ROOM];
	size_t n, room;
	int error;              /* of the whole */
	bool no_masks, no_ipv6, none;
	size_t calls, asked;    /* and rules in them */
	size_t least;           /* rules that were there when fewest were */
	int saved;
	FILE *log;
};

static int opinion(const struct world *w, const struct wm_steer *rule, char *words)
{
	const char *why = w->none ? "no rules today" :
			  w->no_ipv6 && rule->family == WM_IPV6 ? "no IPv6" :
			  w->no_masks && rule->sport_mask ? "ports in full" : NULL;

	if (why && !*words)
		snprintf(words, WM_STEER_WORDS, "%s", why);
	return why ? -EOPNOTSUPP : 0;
}

static bool same_match(const struct wm_steer *a, const struct wm_steer *b)
{
	struct wm_steer x = *a, y = *b;

	x.queue = y.queue = 0;
	return !memcmp(&x, &y, sizeof(x));
}

static struct wm_steer *find(struct world *w, const struct wm_steer *rule)
{
	for (size_t i = 0; i < w->n; i++)
		if (same_match(&w->table[i], rule))
			return &w->table[i];
	return NULL;
}

static void drop_unwanted(struct world *w, const struct wm_steer *rules, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < n; k++)
			if (same_match(&w->table[i], &rules[k])) {
				w->table[kept++] = w->table[i];
				break;
			}
	w->n = kept;
	if (kept < w->least)
		w->least = kept;
}

static int nic_steer(struct wm_steerer *nic, const struct wm_steer *rules, size_t n, bool make_room,
		     int *result, char *words)
{
	struct world *w = nic->world;
	size_t before = w->n;
	bool all = true;

	w->calls++;
	w->asked += n;
	words[0] = '\0';
	if (w->error)
		return w->error;
	if (make_room)
		drop_unwanted(w, rules, n);
	for (size_t i = 0; i < n; i++) {
		struct wm_steer *old = find(w, &rules[i]);

		result[i] = opinion(w, &rules[i], words);
		if (!result[i] && old)
			*old = rules[i];
		else if (!result[i] && w->n >= w->room)
			result[i] = -ENOSPC;
		else if (!result[i])
			w->table[w->n++] = rules[i];
		all &= !result[i];
	}
	if (!all && !make_room)
		w->n = before;
	else
		drop_unwanted(w, rules, n);
	return 0;
}

static const struct wm_steer_ops nic = { .steer = nic_steer };

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->nic.world = w;
	w->room = ROOM;
	w->steering = wm_steering__new(&nic, &w->nic, "nic", "eth0");
	w->log = tmpfile();
	w->saved = dup(STDERR_FILENO);
	dup2(fileno(w->log), STDERR_FILENO);
	*state = w;
	return w->log && w->steering ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	wm_steering__free(w->steering);
	dup2(w->saved, STDERR_FILENO);
	close(w->saved);
	fclose(w->log);
	free(w);
	return 0;
}

static int logged(struct world *w, const char *text)
{
	return log_count(w->log, text);
}

static void want(struct world *w, size_t n, const char *queues)
{
	const struct wm_queueset set = queues_of(queues);
	struct wm_steer_vip vips[256];

	for (size_t i = 0; i < n; i++)
		vips[i] = vip_of(i);
	assert_int_equal(wm_steering__want(w->steering, vips, n, &set), 0);
}

static struct wm_steering_stats tick_at(struct world *w, uint64_t seconds)
{
	struct wm_steering_stats stats;

	w->least = w->n;
	wm_steering__tick(w->steering, seconds * SECOND);
	wm_steering__stats(w->steering, &stats);
	return stats;
}

static void assert_stats(struct world *w, uint64_t seconds, uint32_t steered, uint32_t vips,
			 uint32_t rules, const char *why)
{
	struct wm_steering_stats stats = tick_at(w, seconds);

	assert_int_equal(stats.vips, vips);
	assert_int_equal(stats.steered, steered);
	assert_int_equal(stats.rules, rules);
	assert_string_equal(stats.why, why);
	assert_int_equal(w->n, rules);
}

/* --- its life --- */

static void test_vips_come_and_go(void **state)
{
	struct world *w = *state;

	want(w, 4, "2-3");
	assert_stats(w, 1, 4, 4, 8, "");
	want(w, 6, "2-3");
	assert_stats(w, 2, 6, 6, 12, "");
	assert_int_equal(w->least, 8);
	want(w, 3, "2-3");
	assert_stats(w, 3, 3, 3, 6, "");
	want(w, 3, "0-7"); /* more and others: those of before go when these are there */
	assert_stats(w, 4, 3, 3, 24, "");
	assert_true(w->least >= 6);
	want(w, 3, ""); /* all queues are ours */
	assert_stats(w, 5, 0, 0, 0, "");
	want(w, 0, "2-3");
	assert_stats(w, 6, 0, 0, 0, "");
}

static void test_what_is_not_wanted_is_not_looked_after(void **state)
{
	struct world *w = *state;

	w->table[w->n++] = (struct wm_steer){ .queue = 9 }; /* of a daemon before */
	want(w, 3, "");
	assert_true(wm_steering__tick(w->steering, SECOND) == UINT64_MAX);
	assert_int_equal(w->n, 0);
	assert_int_equal(w->calls, 1);
	assert_true(wm_steering__tick(w->steering, 100ull * SECOND) == UINT64_MAX);
	assert_int_equal(w->calls, 1);
}

static void test_lost_rules_come_again(void **state)
{
	struct world *w = *state;

	want(w, 4, "0");
	assert_stats(w, 1, 4, 4, 4, "");
	w->n = 0;
	assert_true(wm_steering__tick(w->steering, 2ull * SECOND) == SECOND + WM_STEER_LOOK_NS);
	assert_int_equal(w->n, 0); /* not so often */
	assert_stats(w, 7, 4, 4, 4, "");
}

/* Many of them are listed more seldom. */
static void test_a_look_at_many_is_seldom(void **state)
{
	struct world *w = *state;
	uint64_t now = SECOND;

	want(w, 128, "0-3");
	assert_true(wm_steering__tick(w->steering, now) == now + WM_STEER_LOOK_NS);
	now += WM_STEER_LOOK_NS; /* 512 rules */
	assert_true(wm_steering__tick(w->steering, now) == now + 3 * WM_STEER_LOOK_NS);
}

static void test_without_masks_one_rule_a_vip(void **state)
{
	struct world *w = *state;
	uint32_t hits[4] = {};

	w->no_masks = true;
	want(w, 64, "0-3");
	assert_stats(w, 1, 64, 64, 64, "");
	for (size_t i = 0; i < w->n; i++)
		hits[w->table[i].queue]++;
	for (int q = 0; q < 4; q++)
		assert_in_range(hits[q], 6, 26);
	want(w, 65, "0-3"); /* it is asked again, and what was there stays meanwhile */
	assert_stats(w, 2, 65, 65, 65, "");
	assert_int_equal(w->least, 64);
	assert_int_equal(logged(w, "ports in full"), 1);
	assert_int_equal(logged(w, "takes no steering rules"), 0);
	w->no_masks = false;
	want(w, 64, "0-3");
	assert_stats(w, 3, 64, 64, 256, "");
}

static void test_a_nic_that_refuses_all(void **state)
{
	struct world *w = *state;
	size_t asked;

	w->none = true;
	want(w, 64, "0-3");
	assert_stats(w, 1, 0, 64, 0, "no rules today");
	assert_int_equal(logged(w, "no steering rules for 64 of 64 vips (no rules today)"), 1);
	assert_int_equal(logged(w, "ethtool -N eth0"), 1);
	asked = w->asked;
	for (uint64_t t = 10; t < 100; t += 10)
		assert_stats(w, t, 0, 64, 0, "no rules today");
	assert_int_equal(w->asked - asked, 9); /* one rule each time */
	assert_int_equal(logged(w, "takes no steering rules"), 1);
	w->none = false; /* somebody switched something on */
	assert_stats(w, 100, 64, 64, 256, "");
}

/* The others do not pay for it. */
static void test_a_nic_that_refuses_some(void **state)
{
	struct world *w = *state;

	w->no_ipv6 = true;
	want(w, 64, "0-3");
	assert_stats(w, 1, 32, 64, 128, "no IPv6");
	assert_int_equal(logged(w, "takes no steering rules for 32 of 64 vips (no IPv6)"), 1);
	assert_int_equal(logged(w, "does not divide"), 0);
	assert_stats(w, 10, 32, 64, 128, "no IPv6");
	assert_int_equal(logged(w, "takes no steering rules"), 1);
}

static void test_a_small_table(void **state)
{
	struct world *w = *state;

	w->room = 70;
	want(w, 32, "0-3");
	assert_stats(w, 1, 32, 32, 64, "the NIC's table is full");
	assert_int_equal(wm_steering__missing(w->steering), 64);
	assert_stats(w, 10, 32, 32, 64, "the NIC's table is full");
	want(w, 80, "0-3"); /* as many as fit */
	assert_stats(w, 11, 70, 80, 70, "the NIC's table is full");
	assert_stats(w, 20, 70, 80, 70, "the NIC's table is full");
	assert_int_equal(logged(w, "has no room for all steering rules"), 1);
	assert_int_equal(logged(w, "takes no steering rules"), 0);
	w->room = ROOM;
	assert_stats(w, 30, 80, 80, 80, "the NIC's table is full"); /* whole again: at a reload */
	wm_steering__again(w->steering);
	assert_stats(w, 31, 80, 80, 320, "");
	assert_int_equal(wm_steering__missing(w->steering), 0);
}

static void test_a_device_that_is_away(void **state)
{
	struct world *w = *state;

	want(w, 4, "0-3");
	assert_stats(w, 1, 4, 4, 16, "");
	wm_steering__hold(w->steering, true);
	w->n = 0;
	assert_true(wm_steering__tick(w->steering, 10ull * SECOND) == UINT64_MAX);
	assert_stats(w, 20, 0, 4, 0, "");
	wm_steering__hold(w->steering, false);
	w->error = -ENODEV;
	assert_stats(w, 21, 0, 4, 0, "No such device");
	w->error = 0;
	assert_stats(w, 30, 4, 4, 16, "");
}

static void test_a_backend_without_them(void **state)
{
	struct wm_steering_stats stats;
	struct world *w = *state;

	wm_steering__free(w->steering);
	w->steering = wm_steering__new(NULL, NULL, "none", "eth0");
	want(w, 4, "");
	assert_stats(w, 1, 0, 0, 0, "");
	assert_int_equal(logged(w, "steering"), 0);
	want(w, 4, "1");
	stats = tick_at(w, 2);
	assert_non_null(strstr(stats.why, "backend none"));
	want(w, 4, "1");
	tick_at(w, 3);
	assert_int_equal(logged(w, "takes no steering rules for 4 of 4 vips"), 1);
}

#define W(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_every_port_has_one_queue),
		cmocka_unit_test(test_a_rule_is_the_vips),
		cmocka_unit_test(test_vips_are_spread_over_queues),
		W(test_vips_come_and_go),
		W(test_what_is_not_wanted_is_not_looked_after),
		W(test_lost_rules_come_again),
		W(test_a_look_at_many_is_seldom),
		W(test_without_masks_one_rule_a_vip),
		W(test_a_nic_that_refuses_all),
		W(test_a_nic_that_refuses_some),
		W(test_a_small_table),
		W(test_a_device_that_is_away),
		W(test_a_backend_without_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
