// SPDX-License-Identifier: GPL-2.0
/* Destinations on this machine: what the program says and counts, and what it puts
 * in front of the packet. Whether a socket gets it is for the network tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <waymark/xsk_abi.h>

#include "prog.h"

enum { BITS = 8, DEST = 1, DEST6 = 2, FAR = 3, SECOND = 4, GENERATION = 1 };

enum { LOOPBACK = 1 }; /* what test runs come by */

#define MARK(id) (GENERATION << BITS | (id))

static const struct packet_spec udp = { "10.0.0.3", "10.200.1.1", 4000, 53, .proto = IPPROTO_UDP,
					.payload = 30 };
static const struct packet_spec udp6 = { "fd00::3", "fd00:200:1::1", 4000, 53,
					 .proto = IPPROTO_UDP, .payload = 30 };

static struct wm_dp *dp;
static int xsk = -1;

static void put(uint16_t id, const char *addr, const char *real, enum wm_encap local,
		uint8_t consumer)
{
	struct wm_dest dest = prog_dest(MARK(id), id, addr, 53, IPPROTO_UDP, real);

	if (local) {
		dest.encap = local;
		memset(dest.real, 0, sizeof(dest.real));
		strcpy((char *)dest.real, "echo");
		((uint8_t *)dest.real)[WM_LOCAL_NUMBER] = consumer;
	}
	wm_dp__dest_set(dp, id, &dest);
	prog_ring(dp, id, id);
}

static int setup(void **state)
{
	const struct wm_dp_options options = { .dest_bits = BITS, .flow_buckets = 64 };
	const struct wm_vip vips[] = {
		prog_vip("10.200.1.1", 53, IPPROTO_UDP, DEST, DEST),
		prog_vip("fd00:200:1::1", 53, IPPROTO_UDP, DEST6, DEST6),
		prog_vip("10.200.1.2", 53, IPPROTO_UDP, FAR, FAR),
		prog_vip("10.200.1.3", 53, IPPROTO_UDP, SECOND, SECOND),
	};

	(void)state;
	dp = prog_open(&options);
	if (!dp)
		return 0;
	put(DEST, "10.200.1.1", "10.200.2.11", WM_ENCAP_LOCAL4, 0);
	put(DEST6, "fd00:200:1::1", "10.200.2.11", WM_ENCAP_LOCAL6, 0);
	put(FAR, "10.200.1.2", "10.200.2.11", WM_ENCAP_NONE, 0);
	put(SECOND, "10.200.1.3", "10.200.2.11", WM_ENCAP_LOCAL4, 3);
	prog_publish(dp, vips, sizeof(vips) / sizeof(*vips));
	prog_expect_counters(dp, NULL, "start");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (xsk >= 0)
		close(xsk);
	xsk = -1;
	wm_dp__close(dp);
	dp = NULL;
	return 0;
}

/* A socket with a ring is one, bound or not: the program cannot tell. */
static void enter_socket(uint32_t key)
{
	int entries = 64;

	if (xsk >= 0)
		close(xsk); /* its entry goes with it */
	xsk = socket(AF_XDP, SOCK_RAW, 0);
	assert_true(xsk >= 0);
	assert_int_equal(setsockopt(xsk, SOL_XDP, XDP_RX_RING, &entries, sizeof(entries)), 0);
	assert_int_equal(bpf_map_update_elem(wm_dp__xsks_fd(dp), &key, &xsk, 0), 0);
}

/* Runs it; checks verdict and counters. What stood in front of the packet goes to
 * *meta, and the rest must be the packet as it was. */
static void run(const struct packet_spec *spec, uint32_t mark, int verdict, const int *counters,
		struct wm_xsk_meta *meta)
{
	struct frame in, out;

	packet_build(spec, &in);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, mark, &out), verdict);
	prog_expect_counters(dp, counters, spec->dst);
	if (!meta)
		return;
	assert_int_equal(out.len, in.len + sizeof(*meta));
	memcpy(meta, out.data, sizeof(*meta));
	assert_memory_equal(out.data + sizeof(*meta), in.data, in.len);
}

static void without_a_socket_it_is_dropped_and_counted(void **state)
{
	static const int first[] = { WM_C_DROP_LOCAL, WM_C_FLOW_INSERT, -1 };
	static const int known[] = { WM_C_DROP_LOCAL, -1 };

	(void)state;
	prog_need_root();
	run(&udp, 0, XDP_DROP, first, NULL);
	run(&udp, 0, XDP_DROP, known, NULL);
	run(&udp, MARK(DEST), XDP_DROP, known, NULL);
	enter_socket(1); /* of another queue */
	run(&udp, 0, XDP_DROP, known, NULL);
}

static void it_goes_to_the_socket_as_it_came(void **state)
{
	static const int miss[] = { WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 };
	static const int hit[] = { WM_C_TX_HIT, -1 };
	static const int marked[] = { WM_C_TX_MARKED, -1 };
	static const struct {
		const struct packet_spec *spec;
		uint16_t dest;
	} cases[] = { { &udp, DEST }, { &udp6, DEST6 } };
	struct wm_xsk_meta first, meta;

	(void)state;
	prog_need_root();
	enter_socket(0);
	for (int i = 0; i < 2; i++) {
		run(cases[i].spec, 0, XDP_REDIRECT, miss, &first);
		assert_int_equal(first.magic, WM_XSK_META_MAGIC);
		assert_int_equal(first.flags, WM_XSK_META_MARK | WM_XSK_META_HASH);
		assert_int_equal(first.md.mark, MARK(cases[i].dest));
		run(cases[i].spec, 0, XDP_REDIRECT, hit, &meta);
		assert_memory_equal(&meta, &first, sizeof(meta));
		/* The marked way puts the same there. */
		run(cases[i].spec, MARK(cases[i].dest), XDP_REDIRECT, marked, &meta);
		assert_memory_equal(&meta, &first, sizeof(meta));
	}
}

static void flows_differ_in_their_hash(void **state)
{
	struct packet_spec spec = udp;
	struct wm_xsk_meta meta;
	uint32_t hash[16];

	(void)state;
	prog_need_root();
	enter_socket(0);
	wm_dp__ctl(dp)->promote_after = 0;
	for (int i = 0; i < 16; i++) {
		static const int miss[] = { WM_C_TX_MISS, WM_C_FLOW_INSERT, -1 };

		spec.sport = 5000 + i;
		run(&spec, 0, XDP_REDIRECT, miss, &meta);
		hash[i] = meta.hash;
		for (int k = 0; k < i; k++)
			assert_int_not_equal(hash[k], hash[i]);
	}
}

static void packets_and_bytes_are_the_destinations(void **state)
{
	struct wm_dest_stats stats;
	struct frame in, out;

	(void)state;
	prog_need_root();
	enter_socket(0);
	packet_build(&udp, &in);
	for (int i = 0; i < 5; i++)
		prog_run(wm_dp__prog_fd(dp), &in, i == 4 ? MARK(DEST) : 0, &out);
	wm_dp__dest_stats(dp, DEST, &stats);
	assert_int_equal(stats.packets, 5);
	assert_int_equal(stats.marked, 1);
	assert_int_equal(stats.bytes, 5 * (20 + 8 + 30));
	assert_int_equal(stats.flows, 1);
}

/* What is at the key is the consumer's, the device's and the queue's alone. */
static void each_consumer_has_its_sockets_by_device(void **state)
{
	static const int lost[] = { WM_C_DROP_LOCAL, -1 };
	static const int lost_first[] = { WM_C_DROP_LOCAL, WM_C_FLOW_INSERT, -1 };
	static const int hit[] = { WM_C_TX_HIT, -1 };
	struct packet_spec second = udp;
	struct wm_xsk_meta meta;

	(void)state;
	prog_need_root();
	second.dst = "10.200.1.3";
	enter_socket(wm_xsk_key(0, 0, 0));
	run(&second, 0, XDP_DROP, lost_first, NULL);
	enter_socket(wm_xsk_key(3, 0, 0));
	run(&second, 0, XDP_REDIRECT, hit, &meta);
	assert_int_equal(meta.md.mark, MARK(SECOND));
	wm_dp__ctl(dp)->local_port[1] = LOOPBACK; /* it is the third device */
	run(&second, 0, XDP_DROP, lost, NULL);
	enter_socket(wm_xsk_key(3, 2, 0));
	run(&second, 0, XDP_REDIRECT, hit, &meta);
	run(&second, MARK(SECOND), XDP_REDIRECT, (int[]){ WM_C_TX_MARKED, -1 }, &meta);
	run(&udp, 0, XDP_DROP, lost_first, NULL);
}

/* A number that cannot be, from tables that somebody else wrote. */
static void a_consumer_out_of_range_gets_nothing(void **state)
{
	static const int lost[] = { WM_C_DROP_LOCAL, WM_C_FLOW_INSERT, -1 };

	(void)state;
	prog_need_root();
	put(SECOND, "10.200.1.3", "10.200.2.11", WM_ENCAP_LOCAL4, 255);
	enter_socket(wm_xsk_key(3, 3, 0));
	wm_dp__ctl(dp)->local_port[2] = LOOPBACK;
	struct packet_spec second = udp;

	second.dst = "10.200.1.3";
	run(&second, 0, XDP_DROP, lost, NULL);
}

/* A socket that is there changes nothing for a distant real. */
static void others_are_wrapped_as_ever(void **state)
{
	struct packet_spec spec = udp;
	struct frame in, out;

	(void)state;
	prog_need_root();
	enter_socket(0);
	spec.dst = "10.200.1.2";
	packet_build(&spec, &in);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, 0, &out), XDP_TX);
	assert_int_equal(out.len, in.len + 20);
	assert_int_equal(prog_run(wm_dp__prog_fd(dp), &in, MARK(FAR), &out), XDP_TX);
	assert_int_equal(out.len, in.len + 20);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_a_socket_it_is_dropped_and_counted),
		TEST(it_goes_to_the_socket_as_it_came),
		TEST(flows_differ_in_their_hash),
		TEST(each_consumer_has_its_sockets_by_device),
		TEST(a_consumer_out_of_range_gets_nothing),
		TEST(packets_and_bytes_are_the_destinations),
		TEST(others_are_wrapped_as_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
