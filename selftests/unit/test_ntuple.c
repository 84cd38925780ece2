// SPDX-License-Identifier: GPL-2.0
/*
 * The backend `ntuple` without a NIC: its rules byte by byte, the locations that it gives
 * out, and the backend against fake_ntuple.h, which refuses, fills up, and holds
 * other people's rules. The array that stands for the data plane's is looked at after
 * every step: it must never name a rule that the NIC does not have.
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
#include <cmocka.h>

#include "fake_ntuple.h"
#include "locations.h"
#include "ntuple.h"
#include "ntuple_spec.h"
#include "rules.h"

static struct wm_rule rule_of(uint32_t n, uint32_t mark)
{
	struct wm_rule rule = { .mark = mark };

	rule.flow.proto = n & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	rule.flow.family = n & 2 ? WM_IPV6 : WM_IPV4;
	rule.flow.sport = htons(1000 + n);
	rule.flow.dport = htons(443);
	for (int i = 0; i < (n & 2 ? 4 : 1); i++) {
		rule.flow.src[i] = htonl(0x0a000001 + i);
		rule.flow.dst[i] = htonl(0x0a010001 + i);
	}
	return rule;
}

/* --- rules as bytes --- */

/* `ethtool -N eth0 flow-type tcp4 src-ip 10.0.0.1 dst-ip 10.1.0.1 src-port 1001 dst-port
 * 443 action Q loc 77`, and the same for the others: value and mask at these offsets of
 * struct ethtool_rx_flow_spec, zeroes everywhere else but for queue and location. */
static const struct {
	uint32_t n, type;
	uint8_t value[36];
	size_t len;
} written[] = {
	{ 1, 0x01, { 10, 0, 0, 1, 10, 1, 0, 1, 0x03, 0xe9, 0x01, 0xbb }, 12 },
	{ 4, 0x02, { 10, 0, 0, 1, 10, 1, 0, 1, 0x03, 0xec, 0x01, 0xbb }, 12 },
	{ 3, 0x05, { 10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 3, 10, 0, 0, 4, 10, 1, 0, 1, 10, 1, 0, 2,
		     10, 1, 0, 3, 10, 1, 0, 4, 0x03, 0xeb, 0x01, 0xbb }, 36 },
	{ 2, 0x06, { 10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 3, 10, 0, 0, 4, 10, 1, 0, 1, 10, 1, 0, 2,
		     10, 1, 0, 3, 10, 1, 0, 4, 0x03, 0xea, 0x01, 0xbb }, 36 },
};

static void test_rules_are_written_byte_by_byte(void **state)
{
	enum { VALUE = 4, MASK = 76, COOKIE = 152, LOCATION = 160, SIZE = 168 };

	(void)state;
	assert_int_equal(sizeof(struct ethtool_rx_flow_spec), SIZE);
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		struct wm_rule rule = rule_of(written[i].n, 0);
		struct ethtool_rx_flow_spec spec;
		uint8_t want[SIZE] = {};
		uint64_t queue;

		memset(&spec, 0xaa, sizeof(spec));
		wm_ntuple__write(&spec, &rule.flow, 77, 8);
		memcpy(want, &written[i].type, 4);
		memcpy(want + VALUE, written[i].value, written[i].len);
		memset(want + MASK, 0xff, written[i].len);
		queue = spec.ring_cookie;
		assert_in_range(queue, 0, 7);
		memcpy(want + COOKIE, &queue, 8);
		want[LOCATION] = 77;
		assert_memory_equal(&spec, want, SIZE);
	}
}

static void test_rules_read_back(void **state)
{
	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		struct wm_rule rule = rule_of(n, 0);
		struct ethtool_rx_flow_spec spec;
		struct wm_flow flow;

		memset(&flow, 0xaa, sizeof(flow));
		wm_ntuple__write(&spec, &rule.flow, 5, 8);
		assert_true(wm_ntuple__read(&spec, &flow));
		assert_memory_equal(&flow, &rule.flow, sizeof(flow));
	}
}

static void test_rules_of_other_shapes_are_not_ours(void **state)
{
	struct wm_rule rule = rule_of(1, 0);
	struct ethtool_rx_flow_spec good, spec;
	struct wm_flow flow;

	(void)state;
	wm_ntuple__write(&good, &rule.flow, 5, 8);
	spec = good;
	spec.m_u.tcp_ip4_spec.psrc = 0;
	assert_false(wm_ntuple__read(&spec, &flow));
	spec = good;
	spec.m_u.tcp_ip4_spec.tos = 0xff;
	assert_false(wm_ntuple__read(&spec, &flow));
	spec = good;
	spec.flow_type |= FLOW_EXT;
	assert_false(wm_ntuple__read(&spec, &flow));
	spec = good;
	spec.flow_type = SCTP_V4_FLOW;
	assert_false(wm_ntuple__read(&spec, &flow));
	spec = good;
	spec.ring_cookie = RX_CLS_FLOW_DISC;
	assert_false(wm_ntuple__read(&spec, &flow));
	spec = good;
	spec.ring_cookie |= 1ull << 32; /* a virtual function's queue */
	assert_false(wm_ntuple__read(&spec, &flow));
}

static void test_flows_are_spread_over_all_queues(void **state)
{
	uint32_t in[8] = {};

	(void)state;
	for (uint32_t n = 0; n < 4000; n++) {
		struct wm_rule rule = rule_of(n, 0);
		struct ethtool_rx_flow_spec spec;

		wm_ntuple__write(&spec, &rule.flow, 1, 8);
		in[spec.ring_cookie]++;
	}
	for (int i = 0; i < 8; i++)
		assert_in_range(in[i], 400, 600);
}

/* --- locations --- */

#define SECOND 1000000000ull

static void test_locations_from_the_top_and_never_zero(void **state)
{
	const struct wm_rule other = rule_of(9, 0);
	struct wm_locations l;

	(void)state;
	assert_int_equal(wm_locations__init(&l, 4), 0);
	for (uint32_t n = 3; n > 0; n--) {
		struct wm_rule rule = rule_of(n, 0);

		assert_int_equal(wm_locations__take(&l, &rule.flow, SECOND), n);
		assert_int_equal(wm_locations__find(&l, &rule.flow), n);
	}
	assert_int_equal(wm_locations__take(&l, &other.flow, SECOND), 0);
	assert_int_equal(l.used, 3);
	wm_locations__free(&l);
}

static void test_a_location_rests_before_it_is_used_again(void **state)
{
	const struct wm_rule a = rule_of(1, 0), b = rule_of(2, 0);
	struct wm_locations l;

	(void)state;
	assert_int_equal(wm_locations__init(&l, 2), 0);
	assert_int_equal(wm_locations__take(&l, &a.flow, 5 * SECOND), 1);
	wm_locations__drop(&l, 1, 6 * SECOND);
	assert_int_equal(wm_locations__find(&l, &a.flow), 0);
	assert_int_equal(wm_locations__take(&l, &b.flow, 6 * SECOND), 0);
	assert_int_equal(wm_locations__take(&l, &b.flow, 6 * SECOND + WM_LOCATION_QUIET_NS - 1), 0);
	assert_int_equal(wm_locations__take(&l, &b.flow, 6 * SECOND + WM_LOCATION_QUIET_NS), 1);
	wm_locations__free(&l);
}

static void test_other_peoples_locations_are_passed_by(void **state)
{
	const struct wm_rule a = rule_of(1, 0), b = rule_of(2, 0), c = rule_of(3, 0);
	struct wm_locations l;

	(void)state;
	assert_int_equal(wm_locations__init(&l, 4), 0);
	wm_locations__learn_foreign(&l, 3);
	wm_locations__learn(&l, 2, &a.flow);
	assert_int_equal(l.foreign, 1);
	assert_int_equal(wm_locations__take(&l, &b.flow, SECOND), 1);
	wm_locations__drop(&l, 3, SECOND);
	assert_int_equal(l.foreign, 0);
	assert_int_equal(wm_locations__take(&l, &c.flow, 3 * SECOND), 3);
	wm_locations__free(&l);
}

/* --- the backend --- */

struct bench {
	struct fake_ntuple nic;
	struct wm_location table[NT_LOCATIONS];
	struct wm_offload *off;
};

static const struct wm_offload_ops *const ops = &wm_offload_ntuple;

/* A daemon begins. */
static void start(struct bench *b)
{
	struct wm_ethtool_io io = fake_ntuple__io(&b->nic);
	struct wm_err err = {};

	if (wm_ntuple__start(&b->off, &io, "eth0", &err))
		fail_msg("%s", err.text);
	assert_int_equal(ops->locate(b->off, b->table, ops->caps(b->off)->locations), 0);
}

static void restart(struct bench *b)
{
	ops->close(b->off);
	start(b);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_ntuple__init(&b->nic);
	start(b);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	if (b->off)
		ops->close(b->off);
	free(b);
	return 0;
}

static int install(struct bench *b, uint32_t n, uint32_t mark)
{
	const struct wm_rule rule = rule_of(n, mark);
	int result = 1;

	ops->install(b->off, &rule, 1, &result);
	return result;
}

static int take_out(struct bench *b, uint32_t n)
{
	const struct wm_rule rule = rule_of(n, 0);
	int result = 1;

	ops->remove(b->off, &rule.flow, 1, &result);
	return result;
}

/* The location of this flow's rule in the NIC; 0: none. */
static uint32_t location_of(const struct bench *b, uint32_t n)
{
	const struct wm_rule rule = rule_of(n, 0);
	struct wm_flow flow;

	for (uint32_t i = 0; i < b->nic.n; i++)
		if (b->nic.used[i] && wm_ntuple__read(&b->nic.spec[i], &flow) &&
		    !memcmp(&flow, &rule.flow, sizeof(flow)))
			return i;
	return 0;
}

/* Entries of the array and rules of the NIC are the same. */
static void assert_agree(const struct bench *b)
{
	struct wm_flow flow;

	for (uint32_t i = 0; i < b->nic.n; i++) {
		if (!b->table[i].mark)
			continue;
		if (!b->nic.used[i] || !wm_ntuple__read(&b->nic.spec[i], &flow))
			fail_msg("location %u has a mark and no rule", i);
		assert_int_equal(b->table[i].check, wm_ntuple__check(&flow));
	}
}

struct listed {
	struct wm_rule rule[64];
	struct wm_rule_stats stats[64];
	size_t n;
};

static void on_rule(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats)
{
	struct listed *l = arg;

	l->rule[l->n] = *rule;
	l->stats[l->n++] = *stats;
}

static struct listed list(struct bench *b)
{
	struct listed l = {};

	assert_int_equal(ops->list(b->off, on_rule, &l), 0);
	assert_agree(b);
	return l;
}

static bool has(const struct listed *l, uint32_t n, uint32_t mark)
{
	const struct wm_rule rule = rule_of(n, mark);

	for (size_t i = 0; i < l->n; i++)
		if (!memcmp(&l->rule[i], &rule, sizeof(rule)))
			return true;
	return false;
}

static void put_foreign(struct bench *b, uint32_t n, uint32_t location)
{
	const struct wm_rule rule = rule_of(n, 0);
	struct ethtool_rx_flow_spec spec;

	wm_ntuple__write(&spec, &rule.flow, location, 1);
	fake_ntuple__put(&b->nic, &spec);
}

static void test_install_list_remove(void **state)
{
	struct bench *b = *state;
	struct listed l;
	uint32_t at;

	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(install(b, n, 100 + n), 0);
	assert_int_equal(b->nic.rules, 4);
	for (uint32_t n = 0; n < 4; n++)
		assert_int_equal(b->table[location_of(b, n)].mark, 100 + n);
	l = list(b);
	assert_int_equal(l.n, 4);
	for (uint32_t n = 0; n < 4; n++)
		assert_true(has(&l, n, 100 + n));

	at = location_of(b, 2);
	assert_int_equal(take_out(b, 2), 0);
	assert_int_equal(location_of(b, 2), 0);
	assert_int_equal(b->table[at].mark, 0);
	assert_int_equal(take_out(b, 2), -ENOENT);
	assert_int_equal(list(b).n, 3);
}

static void entry_must_be_there(void *arg, uint32_t location)
{
	struct bench *b = arg;

	assert_int_equal(b->table[location].mark, 55);
}

static void test_the_entry_is_written_before_the_rule(void **state)
{
	struct bench *b = *state;

	b->nic.on_insert = entry_must_be_there;
	b->nic.arg = b;
	assert_int_equal(install(b, 1, 55), 0);
	assert_int_equal(b->nic.inserts, 1);
}

static void test_another_mark_needs_no_other_rule(void **state)
{
	struct bench *b = *state;
	uint32_t at;

	assert_int_equal(install(b, 1, 55), 0);
	at = location_of(b, 1);
	assert_int_equal(install(b, 1, 0x12345678), 0);
	assert_int_equal(b->nic.inserts, 1);
	assert_int_equal(b->table[at].mark, 0x12345678);
	assert_int_equal(b->nic.rules, 1);
}

static void test_a_lost_rule_is_put_back(void **state)
{
	struct bench *b = *state;
	uint32_t at;

	assert_int_equal(install(b, 1, 55), 0);
	at = location_of(b, 1);
	fake_ntuple__drop(&b->nic, at);
	assert_int_equal(install(b, 1, 55), 0); /* as rules.c does to be sure */
	assert_int_equal(location_of(b, 1), at);
	assert_int_equal(b->table[at].mark, 55);

	fake_ntuple__drop(&b->nic, at);
	assert_int_equal(list(b).n, 0);
	assert_int_equal(b->table[at].mark, 0);
}

static void test_foreign_rules_stay(void **state)
{
	struct bench *b = *state;
	uint32_t n_free = NT_LOCATIONS - 1;

	put_foreign(b, 500, NT_LOCATIONS - 1); /* known since the listing at start */
	restart(b);
	assert_int_equal(ops->caps(b->off)->capacity, (n_free - 1) - (n_free - 1) / 16);
	put_foreign(b, 501, NT_LOCATIONS - 2); /* since then */
	assert_int_equal(install(b, 1, 55), 0);
	assert_int_equal(location_of(b, 1), NT_LOCATIONS - 3);
	assert_int_equal(location_of(b, 500), NT_LOCATIONS - 1);
	assert_int_equal(location_of(b, 501), NT_LOCATIONS - 2);
	assert_int_equal(list(b).n, 1);
	assert_int_equal(take_out(b, 500), -ENOENT);
	assert_int_equal(b->nic.deletes, 0);
	assert_int_equal(b->nic.rules, 3);
}

/* Somebody deleted our rule and wrote one of their own at its location. */
static void test_a_location_taken_over_is_left(void **state)
{
	struct bench *b = *state;
	uint32_t at;

	assert_int_equal(install(b, 1, 55), 0);
	at = location_of(b, 1);
	put_foreign(b, 600, at);
	assert_int_equal(take_out(b, 1), -ENOENT);
	assert_int_equal(location_of(b, 600), at);
	assert_int_equal(b->table[at].mark, 0);

	assert_int_equal(install(b, 2, 56), 0);
	at = location_of(b, 2);
	put_foreign(b, 601, at);
	assert_int_equal(install(b, 2, 57), 0);
	assert_int_equal(location_of(b, 601), at);
	assert_int_not_equal(location_of(b, 2), 0);
	assert_int_equal(b->table[location_of(b, 2)].mark, 57);
	assert_int_equal(b->table[at].mark, 0);
}

/* The same, found by nothing but listings: each looks at some rules again. */
static void test_listings_find_what_was_taken_over(void **state)
{
	struct bench *b = *state;
	uint32_t at;

	assert_int_equal(install(b, 1, 55), 0);
	at = location_of(b, 1);
	put_foreign(b, 600, at);
	for (int i = 0; i < NT_LOCATIONS / 64; i++)
		ops->list(b->off, on_rule, &(struct listed){});
	assert_int_equal(list(b).n, 0);
	assert_int_equal(b->table[at].mark, 0);
}

static void test_the_next_daemon_finds_its_rules(void **state)
{
	struct bench *b = *state;
	struct listed l;

	for (uint32_t n = 0; n < 8; n++)
		assert_int_equal(install(b, n, 100 + n), 0);
	put_foreign(b, 700, 9);
	b->table[20].mark = 77; /* a leftover, without its rule */
	restart(b);
	l = list(b);
	assert_int_equal(l.n, 8);
	for (uint32_t n = 0; n < 8; n++)
		assert_true(has(&l, n, 100 + n));
	assert_int_equal(b->table[20].mark, 0);
	assert_int_equal(take_out(b, 3), 0);
	assert_int_equal(install(b, 100, 5), 0);
	assert_int_equal(list(b).n, 8);
}

static void test_without_the_array_rules_are_anybodys(void **state)
{
	struct bench *b = *state;
	uint32_t at;

	assert_int_equal(install(b, 1, 55), 0);
	at = location_of(b, 1);
	memset(b->table, 0, sizeof(b->table));
	restart(b);
	assert_int_equal(list(b).n, 0);
	assert_int_equal(install(b, 2, 56), 0);
	assert_int_equal(location_of(b, 1), at);
}

/* One check in 65,536 fits another flow: here none does. */
static void test_a_check_of_another_flow_is_not_ours(void **state)
{
	struct bench *b = *state;
	uint32_t at;

	assert_int_equal(install(b, 1, 55), 0);
	at = location_of(b, 1);
	b->table[at].check ^= 1;
	restart(b);
	assert_int_equal(list(b).n, 0);
	assert_int_equal(b->table[at].mark, 0);
}

static void test_full_in_two_ways(void **state)
{
	struct bench *b = *state;

	b->nic.pool = 2; /* a pool that other functions of the card share */
	assert_int_equal(install(b, 1, 1), 0);
	assert_int_equal(install(b, 2, 2), 0);
	assert_int_equal(install(b, 3, 3), -ENOSPC);
	assert_agree(b);
	ops->close(b->off);
	b->nic.n = 3;
	b->nic.pool = 0;
	memset(b->nic.used, 0, sizeof(b->nic.used));
	memset(b->table, 0, sizeof(b->table));
	b->nic.rules = 0;
	start(b);
	assert_int_equal(ops->caps(b->off)->capacity, 2);
	assert_int_equal(install(b, 1, 1), 0);
	assert_int_equal(install(b, 2, 2), 0);
	assert_int_equal(install(b, 3, 3), -ENOSPC);
	assert_int_equal(take_out(b, 1), 0);
	assert_int_equal(install(b, 3, 3), -ENOSPC); /* its location rests */
	assert_agree(b);
}

static void test_refusals_leave_nothing(void **state)
{
	struct bench *b = *state;

	b->nic.insert_error = -EOPNOTSUPP;
	assert_int_equal(install(b, 1, 55), -EOPNOTSUPP);
	assert_agree(b);
	b->nic.insert_error = 0;
	assert_int_equal(install(b, 1, 55), 0);

	b->nic.delete_error = -EBUSY; /* during a reset */
	assert_int_equal(take_out(b, 1), -EBUSY);
	assert_int_equal(b->table[location_of(b, 1)].mark, 55);
	b->nic.delete_error = 0;
	assert_int_equal(take_out(b, 1), 0);

	b->nic.get_error = -ENODEV;
	assert_int_equal(install(b, 2, 55), -ENODEV);
	assert_int_equal(b->nic.inserts, 2);
	assert_agree(b);
}

static void test_half_a_listing_forgets_nothing(void **state)
{
	struct bench *b = *state;
	struct listed l = {};
	uint32_t at;

	assert_int_equal(install(b, 1, 55), 0);
	at = location_of(b, 1);
	b->nic.list_error = -EIO;
	assert_int_equal(ops->list(b->off, on_rule, &l), -EIO);
	assert_int_equal(l.n, 0);
	b->nic.list_error = 0;
	put_foreign(b, 800, 3);
	b->nic.get_error = -EIO;
	assert_int_equal(ops->list(b->off, on_rule, &l), -EIO);
	b->nic.get_error = 0;
	assert_int_equal(b->table[at].mark, 55);
	assert_int_equal(list(b).n, 1);
}

/* The data plane writes the tick of a rule's last packet. */
static void test_use_is_told(void **state)
{
	struct bench *b = *state;
	struct listed l;

	assert_int_equal(install(b, 1, 55), 0);
	l = list(b);
	assert_int_equal(l.stats[0].last_used_ns, 0);
	b->table[location_of(b, 1)].used = 17;
	l = list(b);
	assert_int_not_equal(l.stats[0].last_used_ns, 0);
	assert_int_equal(l.stats[0].packets, 0);
	l = list(b);
	assert_int_equal(l.stats[0].last_used_ns, 0);
}

static void test_queues_may_become_fewer(void **state)
{
	struct bench *b = *state;

	b->nic.queues = 1;
	list(b);
	for (uint32_t n = 0; n < 16; n++)
		assert_int_equal(install(b, n, 1), 0);
}

/* Rules lead to the queues that are ours; those that do not are told with mark 0. */
static void test_rules_lead_to_our_queues(void **state)
{
	struct bench *b = *state;
	struct wm_queueset two = {}, all = {};
	struct listed l;
	size_t wrong = 0;

	for (uint32_t n = 0; n < 16; n++)
		assert_int_equal(install(b, n, 1), 0);
	wm_queueset__parse(&two, "2,5");
	for (int round = 0; round < 2; round++) {
		ops->queues(b->off, &two);
		l = list(b);
		wrong = 0;
		for (size_t i = 0; i < l.n; i++)
			wrong += !l.rule[i].mark;
		assert_in_range(wrong, 4, 16); /* 16 flows over 8 queues: most */
		restart(b); /* learnt from the NIC, not remembered */
	}
	for (uint32_t n = 0; n < 16; n++)
		assert_int_equal(take_out(b, n), 0);
	ops->queues(b->off, &two);
	for (uint32_t n = 100; n < 132; n++)
		assert_int_equal(install(b, n, 1), 0);
	l = list(b);
	assert_int_equal(l.n, 32);
	for (size_t i = 0; i < l.n; i++)
		assert_int_equal(l.rule[i].mark, 1);
	ops->queues(b->off, &all);
	l = list(b);
	for (size_t i = 0; i < l.n; i++)
		assert_int_equal(l.rule[i].mark, 1);
}

/* Who takes steering rules is open()'s to say, for a NIC that has TC filters as well. */
static void test_a_driver_alone_takes_no_steering_rules(void **state)
{
	struct bench *b = *state;

	assert_null(ops->caps(b->off)->steer);
	assert_false(ops->caps(b->off)->software);
}

static void test_drivers_that_say_nothing_else(void **state)
{
	struct bench *b = *state;

	b->nic.none = -ENOENT;
	b->nic.special = true;
	restart(b);
	assert_int_equal(ops->caps(b->off)->locations, NT_LOCATIONS);
	assert_int_equal(install(b, 1, 55), 0);
	assert_int_equal(list(b).n, 1);
}

static void refused(struct bench *b, const char *why)
{
	struct wm_ethtool_io io = fake_ntuple__io(&b->nic);
	struct wm_err err = {};
	struct wm_offload *off;

	assert_true(wm_ntuple__start(&off, &io, "eth0", &err) < 0);
	assert_null(off);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void test_nics_that_cannot_are_refused(void **state)
{
	struct bench *b = *state;

	b->nic.count_error = -EOPNOTSUPP;
	refused(b, "takes no n-tuple rules");
	b->nic.count_error = 0;
	b->nic.n = 1;
	refused(b, "room for 1 rules");
	b->nic.n = NT_LOCATIONS;
	b->nic.queues_error = -EOPNOTSUPP;
	refused(b, "receive queues");
}

/* A rule in use stays, one that is not goes: by the tick alone. */
static void test_rules_age_by_use(void **state)
{
	const struct wm_rules_options options = {
		.max_rules = 100, .installs_per_second = 1000, .idle_ns = 4 * SECOND,
	};
	struct bench *b = *state;
	struct wm_rules *rules = wm_rules__new(ops, b->off, &options, NULL);
	struct wm_rules_stats stats;
	uint64_t now = SECOND; /* the backend has a clock of its own: ours is behind it */

	for (uint32_t n = 1; n <= 2; n++) {
		const struct wm_rule rule = rule_of(n, n);

		wm_rules__offer(rules, &rule.flow, rule.mark, now);
	}
	for (uint64_t end = now + 10 * SECOND; now < end; now += SECOND / 4) {
		wm_rules__tick(rules, now);
		b->table[location_of(b, 1)].used++;
	}
	assert_int_not_equal(location_of(b, 1), 0);
	assert_int_equal(location_of(b, 2), 0);
	wm_rules__stats(rules, &stats);
	assert_int_equal(stats.ended[WM_END_IDLE], 1);
	assert_int_equal(stats.packets, 0);
	wm_rules__free(rules);
	assert_agree(b);
}

#define BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_are_written_byte_by_byte),
		cmocka_unit_test(test_rules_read_back),
		cmocka_unit_test(test_rules_of_other_shapes_are_not_ours),
		cmocka_unit_test(test_flows_are_spread_over_all_queues),
		cmocka_unit_test(test_locations_from_the_top_and_never_zero),
		cmocka_unit_test(test_a_location_rests_before_it_is_used_again),
		cmocka_unit_test(test_other_peoples_locations_are_passed_by),
		BENCH(test_install_list_remove),
		BENCH(test_the_entry_is_written_before_the_rule),
		BENCH(test_another_mark_needs_no_other_rule),
		BENCH(test_a_lost_rule_is_put_back),
		BENCH(test_foreign_rules_stay),
		BENCH(test_a_location_taken_over_is_left),
		BENCH(test_listings_find_what_was_taken_over),
		BENCH(test_the_next_daemon_finds_its_rules),
		BENCH(test_without_the_array_rules_are_anybodys),
		BENCH(test_a_check_of_another_flow_is_not_ours),
		BENCH(test_full_in_two_ways),
		BENCH(test_refusals_leave_nothing),
		BENCH(test_half_a_listing_forgets_nothing),
		BENCH(test_use_is_told),
		BENCH(test_queues_may_become_fewer),
		BENCH(test_rules_lead_to_our_queues),
		BENCH(test_a_driver_alone_takes_no_steering_rules),
		BENCH(test_drivers_that_say_nothing_else),
		BENCH(test_nics_that_cannot_are_refused),
		BENCH(test_rules_age_by_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
