// SPDX-License-Identifier: GPL-2.0
/*
 * Several programs around one set of maps, as several NICs need that hand up marks: what
 * one of them learns the other knows. Bound to devices they are tested in a guest
 * (selftests/vm/interfaces.sh).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <linux/bpf.h>

#include "dataplane.h"
#include "dp.h"
#include "packet.h"
#include "prog.h"

enum { BITS = 12, NUMBER = 1, FIRST = 1, REALS = 3, LOCATIONS = 16 };

static struct wm_dp *open_dp(uint32_t locations)
{
	const struct wm_dp_options options = {
		.dest_bits = BITS, .flow_buckets = 64, .locations = locations,
	};
	struct wm_err err = {};
	struct wm_dp *dp;

	if (wm_dp__open(&dp, &options, &err))
		fail_msg("%s", err.text);
	return dp;
}

static void publish(struct wm_dp *dp)
{
	const struct wm_vip vip = prog_vip("10.200.1.1", 80, IPPROTO_TCP, NUMBER, 1);
	struct wm_err err = {};

	for (int i = 0; i < REALS; i++) {
		char real[] = "10.200.2.11";
		struct wm_dest dest;

		real[10] += i;
		dest = prog_dest(wm_mark(BITS, FIRST + i, 1), NUMBER, "10.200.1.1", 80,
				 IPPROTO_TCP, real);
		wm_dp__dest_set(dp, FIRST + i, &dest);
	}
	for (int slot = 0; slot < WM_RING_SLOTS; slot++)
		wm_dp__ring(dp, 1)->slot[slot] = FIRST + slot % REALS;
	if (wm_dp__vips_publish(dp, &vip, 1, &err))
		fail_msg("%s", err.text);
	prog_expect_counters(dp, NULL, "start");
}

/* Every flow to one real, whatever the ring said when it began. */
static void change_ring(struct wm_dp *dp, uint16_t to)
{
	for (int slot = 0; slot < WM_RING_SLOTS; slot++)
		wm_dp__ring(dp, 1)->slot[slot] = to;
}

static struct wm_dp_port load_port(struct wm_dp *dp)
{
	struct wm_dp_port port = { .name = "lo", .prog_fd = -1 };
	struct wm_err err = {};

	if (wm_dp_load_port(dp, &port, &err))
		fail_msg("%s", err.text);
	assert_true(port.prog_fd >= 0);
	assert_false(port.kfunc);
	return port;
}

static void test_flows_are_known_to_both(void **state)
{
	const int syn[] = { WM_C_TX_SYN, WM_C_FLOW_INSERT, -1 }, hit[] = { WM_C_TX_HIT, -1 };
	const int marked[] = { WM_C_TX_MARKED, -1 };
	struct packet_spec spec = {
		.src = "192.168.1.1", .sport = 31337, .dst = "10.200.1.1", .dport = 80,
		.flags = SYN,
	};
	struct frame in, first, second;
	struct wm_dp_port port;
	struct wm_dp *dp;

	(void)state;
	prog_need_root();
	dp = open_dp(0);
	publish(dp);
	port = load_port(dp);
	assert_true(wm_dp_shares_maps(dp, port.prog_fd));

	packet_build(&spec, &in);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, 0, &first), XDP_TX);
	prog_expect_counters(dp, syn, "syn by the one");
	spec.flags = ACK;
	packet_build(&spec, &in);
	prog_run(wm_dp__prog_fd(dp), &in, 0, &first);
	prog_expect_counters(dp, hit, "ack by the one");
	for (uint16_t to = FIRST; to < FIRST + REALS; to++) {
		change_ring(dp, to);
		assert_int_equal(prog_run(port.prog_fd, &in, 0, &second), XDP_TX);
		prog_expect_counters(dp, hit, "ack by the other");
		assert_memory_equal(first.data, second.data, first.len);
	}
	assert_int_equal(prog_run(port.prog_fd, &in, wm_mark(BITS, FIRST, 1), &second), XDP_TX);
	prog_expect_counters(dp, marked, "marked by the other");
	close(port.prog_fd);
	wm_dp__close(dp);
}

/* What is frozen when the first is loaded holds for the others: here, that marks are
 * locations of rules. */
static void test_frozen_parameters_are_the_same(void **state)
{
	const int marked[] = { WM_C_TX_MARKED, -1 };
	const struct packet_spec spec = {
		.src = "192.168.1.1", .sport = 31337, .dst = "10.200.1.1", .dport = 80,
		.flags = ACK,
	};
	struct wm_dp_port port;
	struct frame in, out;
	struct wm_dp *dp;

	(void)state;
	prog_need_root();
	dp = open_dp(LOCATIONS);
	publish(dp);
	wm_dp__locations(dp)[LOCATIONS - 1].mark = wm_mark(BITS, FIRST, 1);
	port = load_port(dp);
	packet_build(&spec, &in);
	assert_int_equal(prog_run(port.prog_fd, &in, LOCATIONS - 1, &out), XDP_TX);
	prog_expect_counters(dp, marked, "a location");
	close(port.prog_fd);
	wm_dp__close(dp);
}

static void test_another_data_plane_shares_nothing(void **state)
{
	struct wm_dp *one, *other;

	(void)state;
	prog_need_root();
	one = open_dp(0);
	other = open_dp(0);
	assert_true(wm_dp_shares_maps(one, wm_dp__prog_fd(one)));
	assert_false(wm_dp_shares_maps(one, wm_dp__prog_fd(other)));
	wm_dp__close(one);
	wm_dp__close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_are_known_to_both),
		cmocka_unit_test(test_frozen_parameters_are_the_same),
		cmocka_unit_test(test_another_data_plane_shares_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
