// SPDX-License-Identifier: GPL-2.0
/*
 * Where a packet goes, from a configuration alone: the ring's slot as Katran
 * picks it, the real in it, the outer source, for all four encapsulations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "maglev.h"
#include "model.h"

static const char text[] =
	"interface: eth0\n"
	"vips:\n"
	"- { name: v4, address: 10.200.1.1, port: 80, reals: &v4 [\n"
	"    { address: 10.0.0.1, weight: 1 }, { address: 10.0.0.2, weight: 1 },\n"
	"    { address: 10.0.0.3, weight: 1 } ] }\n"
	"- { name: every, address: 10.200.1.1, port: any, reals: [ { address: 10.0.0.2 } ] }\n"
	"- { name: 4in6, address: 10.200.1.2, port: 80, reals: &v6 [ { address: fc00::1 } ] }\n"
	"- { name: 6in4, address: fc00:1::1, port: 80, reals: *v4 }\n"
	"- { name: 6in6, address: fc00:1::2, port: 80, reals: *v6 }\n"
	"- { name: every6, address: fc00:1::1, port: any, reals: *v4 }\n"
	"- { name: nobody, address: 10.200.1.3, port: 80, reals: [] }\n"
	"- { name: spent, address: 10.200.1.4, port: 80,\n"
	"    reals: [ { address: 10.0.0.1, weight: 0 } ] }\n";

struct fixture {
	struct wm_config *config;
	struct wm_plan *plan; /* from nothing, with the widest limits, as for `-c FILE` */
};

static int set_up(void **state)
{
	static const struct wm_model_limits widest = { WM_DEST_BITS_MAX, 32, WM_VIPS_MAX,
						       WM_RINGS_MAX };
	struct fixture *f = calloc(1, sizeof(*f));
	struct wm_model *empty = wm_model__new(&widest);
	struct wm_err err = {};

	if (wm_config__parse("f", text, strlen(text), &f->config, &err, NULL, NULL) ||
	    wm_plan__make(empty, f->config, &f->plan, &err))
		fail_msg("%s", err.text);
	wm_model__free(empty);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	wm_plan__free(f->plan);
	wm_config__free(f->config);
	free(f);
	return 0;
}

static struct wm_flow flow(const char *src, const char *dst, uint8_t proto)
{
	struct wm_flow flow = { .proto = proto };
	struct wm_addr a;

	assert_int_equal(wm_endpoint__parse(src, &a, &flow.sport), 0);
	memcpy(flow.src, a.word, sizeof(flow.src));
	assert_int_equal(wm_endpoint__parse(dst, &a, &flow.dport), 0);
	memcpy(flow.dst, a.word, sizeof(flow.dst));
	flow.family = a.family;
	return flow;
}

static struct wm_where where(const struct fixture *f, const char *src, const char *dst,
			     uint8_t proto)
{
	struct wm_flow packet = flow(src, dst, proto);
	struct wm_where w;

	assert_int_equal(wm_model__where(f->plan->next, f->config, &packet, &w), 0);
	return w;
}

static void assert_text(const struct wm_addr *addr, const char *wanted)
{
	char buf[WM_ADDR_TEXT];

	assert_string_equal(wm_addr__format(addr, buf), wanted);
}

/* What is wanted for each packet; slots are Katran's where the client is its own. */
static const struct {
	const char *src, *dst, *vip, *real, *outer;
	uint32_t slot;
} packets[] = {
	{ "192.168.1.1:31337", "10.200.1.1:80", "v4", NULL, "172.16.104.123", 48717 },
	{ "192.168.1.1:31337", "10.200.1.1:81", "every", "10.0.0.2", "172.16.104.123", 39962 },
	{ "192.168.1.1:31337", "10.200.1.2:80", "4in6", "fc00::1", "100::bac1:101", 48717 },
	{ "[fc00:2::1]:31337", "[fc00:1::2]:80", "6in6", "fc00::1", "100::7a69:1", 37505 },
	{ "[fc00:2::1]:31337", "[fc00:1::1]:80", "6in4", NULL, "172.16.105.123", 37505 },
};

static void packets_go_where_katran_sends_them(void **state)
{
	const struct fixture *f = *state;
	uint16_t *ring = malloc(WM_RING_SLOTS * sizeof(*ring));

	for (size_t i = 0; i < sizeof(packets) / sizeof(*packets); i++) {
		struct wm_where w = where(f, packets[i].src, packets[i].dst, IPPROTO_TCP);
		const struct wm_model_dest *dest;

		assert_non_null(w.vip);
		assert_string_equal(w.vip->name, packets[i].vip);
		assert_int_equal(w.slot, packets[i].slot);
		assert_int_equal(wm_model__ring(f->plan->next, w.vip, ring), 0);
		assert_int_equal(w.dest, ring[packets[i].slot]);
		dest = wm_model__dest(f->plan->next, w.dest);
		assert_true(wm_addr__equal(&dest->real, &w.real));
		if (packets[i].real)
			assert_text(&w.real, packets[i].real);
		assert_int_equal(w.outer_src.family, w.real.family);
		assert_text(&w.outer_src, packets[i].outer);
	}
	free(ring);
}

/* 10.0.0.3:11991 is sent from 172.16.215.45, as Katran's example shows. */
static void outer_ipv4_source(void **state)
{
	struct wm_where w = where(*state, "10.0.0.3:11991", "10.200.1.1:80", IPPROTO_TCP);

	assert_text(&w.outer_src, "172.16.215.45");
	/* IPv6 clients: the last word of the address stands for the IPv4 address */
	w = where(*state, "[fc00:2::a00:3]:11991", "[fc00:1::1]:80", IPPROTO_TCP);
	assert_int_equal(w.real.family, WM_IPV4);
	assert_text(&w.outer_src, "172.16.215.45");
}

/* The ring of 10.0.0.1 to .3 with equal weights begins 2 1 3 2 1 3 3 1. */
static void reals_stand_in_the_ring_as_katrans(void **state)
{
	static const char *const reals[] = { "10.0.0.2", "10.0.0.1", "10.0.0.3", "10.0.0.2",
					     "10.0.0.1", "10.0.0.3", "10.0.0.3", "10.0.0.1" };
	const struct fixture *f = *state;
	unsigned int seen = 0;

	for (unsigned int host = 0; host < 1 << 20 && seen != 0xff; host++) {
		struct wm_flow packet = flow("10.0.0.0:4711", "10.200.1.1:80", IPPROTO_TCP);
		struct wm_where w;
		uint32_t slot;

		packet.src[0] = htonl(0x0a000000 + host);
		slot = wm_slot_v4(packet.src[0], wm_ports(packet.sport, packet.dport),
				  WM_RING_SEED_V4);
		if (slot >= 8 || seen >> slot & 1)
			continue; /* looking at each ring costs a millisecond */
		seen |= 1 << slot;
		assert_int_equal(wm_model__where(f->plan->next, f->config, &packet, &w), 0);
		assert_int_equal(w.slot, slot);
		assert_text(&w.real, reals[slot]);
	}
	assert_int_equal(seen, 0xff);
}

/* For a vip of every port the destination port neither finds nor moves anything. */
static void port_0_ignores_the_port(void **state)
{
	struct wm_where a = where(*state, "10.0.0.3:4711", "10.200.1.1:81", IPPROTO_TCP);
	struct wm_where b = where(*state, "10.0.0.3:4711", "10.200.1.1:65535", IPPROTO_TCP);
	struct wm_where c = where(*state, "[fc00:2::1]:4711", "[fc00:1::1]:81", IPPROTO_TCP);
	struct wm_where d = where(*state, "[fc00:2::1]:4711", "[fc00:1::1]:9", IPPROTO_TCP);

	assert_string_equal(a.vip->name, "every");
	assert_int_equal(a.slot, b.slot);
	assert_string_equal(c.vip->name, "every6");
	assert_int_equal(c.slot, d.slot);
	assert_int_equal(c.dest, d.dest);
}

static void not_ours(void **state)
{
	assert_null(where(*state, "10.0.0.3:1", "10.200.1.9:80", IPPROTO_TCP).vip);
	assert_null(where(*state, "10.0.0.3:1", "10.200.1.1:80", IPPROTO_UDP).vip);
	assert_null(where(*state, "10.0.0.3:1", "10.200.1.2:81", IPPROTO_TCP).vip);
	assert_null(where(*state, "[fc00::3]:1", "[fc00:1::3]:80", IPPROTO_TCP).vip);
}

static void ours_but_nobody_there(void **state)
{
	static const char *const dsts[] = { "10.200.1.3:80", "10.200.1.4:80" };

	for (int i = 0; i < 2; i++) {
		struct wm_where w = where(*state, "10.0.0.3:4711", dsts[i], IPPROTO_TCP);

		assert_non_null(w.vip);
		assert_int_equal(w.dest, 0);
		assert_int_equal(w.real.family, 0);
		assert_int_equal(w.outer_src.family, 0);
		assert_true(w.slot < WM_RING_SLOTS);
	}
}

static void configured_seeds_and_sources(void **state)
{
	const struct fixture *f = *state;
	struct wm_config other = *f->config;
	struct wm_flow packet = flow("192.168.1.1:31337", "10.200.1.2:80", IPPROTO_TCP);
	struct wm_where w;

	other.ring_seed_v4++;
	wm_addr__parse("2001:db8::", &other.source6);
	assert_int_equal(wm_model__where(f->plan->next, &other, &packet, &w), 0);
	assert_int_not_equal(w.slot, 48717);
	assert_text(&w.outer_src, "2001:db8::bac1:101");
	packet.family = 0;
	assert_int_equal(wm_model__where(f->plan->next, &other, &packet, &w), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_go_where_katran_sends_them),
		cmocka_unit_test(outer_ipv4_source),
		cmocka_unit_test(reals_stand_in_the_ring_as_katrans),
		cmocka_unit_test(port_0_ignores_the_port),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(ours_but_nobody_there),
		cmocka_unit_test(configured_seeds_and_sources),
	};

	return cmocka_run_group_tests_name("where", tests, set_up, tear_down);
}
