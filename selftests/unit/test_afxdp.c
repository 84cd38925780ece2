// SPDX-License-Identifier: GPL-2.0
/*
 * Bursts over rings in plain memory; the kernel's side of them is played here.
 * What must hold whatever happens: a frame is in exactly one place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "inside.h"
#include "packet.h"

enum { RING = 128, FRAMES = 2 * RING, HEADROOM = 256 };

/* The kernel's view of one socket. */
struct rig {
	struct wm_xsk *xsk;
	struct wm_xsk_queue *queue;
	uint32_t index[8]; /* producers and consumers */
	uint32_t flags[2];
	uint64_t fill[FRAMES], comp[FRAMES];
	struct xdp_desc rx[RING], tx[RING];
	uint32_t rx_made, tx_taken; /* the kernel's own positions */
	struct wm_kick_world world;
	bool idle;         /* takes nothing from the TX ring */
	uint32_t wakes;
};

static int wake(void *arg, int fd)
{
	struct rig *rig = arg;

	(void)fd;
	rig->wakes++;
	if (rig->idle)
		return -EAGAIN;
	while (rig->index[3] != rig->index[2]) /* TX -> completion */
		rig->comp[rig->index[6]++ % FRAMES] = rig->tx[rig->index[3]++ % RING].addr;
	return 0;
}

static uint64_t now(void *arg)
{
	(void)arg;
	return 0;
}

static struct rig *make(void)
{
	const struct wm_xsk_shape shape = { .frame = WM_XSK_FRAME, .ring = RING, .devices = 1,
					    .device = { { "none", 1 } } };
	struct rig *rig = calloc(1, sizeof(*rig));
	struct wm_err err;
	struct wm_xsk_queue *q;

	assert_int_equal(wm_xsk_new(&rig->xsk, &shape, -1, &err), 0);
	q = rig->queue = &rig->xsk->queue[0];
	q->rx = (struct xsk_ring_cons){ .mask = RING - 1, .size = RING, .ring = rig->rx,
					.producer = &rig->index[0], .consumer = &rig->index[1],
					.flags = &rig->flags[0] };
	q->tx = (struct xsk_ring_prod){ .mask = RING - 1, .size = RING, .ring = rig->tx,
					.producer = &rig->index[2], .consumer = &rig->index[3],
					.flags = &rig->flags[1], .cached_cons = RING };
	q->fill = (struct xsk_ring_prod){ .mask = FRAMES - 1, .size = FRAMES, .ring = rig->fill,
					  .producer = &rig->index[4], .consumer = &rig->index[5],
					  .flags = &rig->flags[0], .cached_cons = FRAMES };
	q->comp = (struct xsk_ring_cons){ .mask = FRAMES - 1, .size = FRAMES, .ring = rig->comp,
					  .producer = &rig->index[6], .consumer = &rig->index[7],
					  .flags = &rig->flags[0] };
	rig->flags[1] = XDP_RING_NEED_WAKEUP;
	wm_xsk_fill(rig->xsk);
	wm_xsk_ready(rig->xsk);
	rig->world = (struct wm_kick_world){ wake, now, rig };
	q->kick.world = &rig->world;
	return rig;
}

static void unmake(struct rig *rig)
{
	wm_xsk__close(rig->xsk);
	free(rig);
}

static uint32_t fill_level(const struct rig *rig)
{
	return rig->index[4] - rig->index[5];
}

static uint32_t rx_level(const struct rig *rig)
{
	return rig->index[0] - rig->index[1];
}

/* The kernel receives a packet of `parts` frames, of which the last carries `tag`. */
static bool arrive(struct rig *rig, uint32_t parts, uint8_t tag)
{
	if (fill_level(rig) < parts || RING - rx_level(rig) < parts)
		return false;
	for (uint32_t i = 0; i < parts; i++) {
		uint64_t frame = rig->fill[rig->index[5]++ % FRAMES];

		assert_true(frame < rig->xsk->length && !(frame % WM_XSK_FRAME));
		rig->rx[(rig->index[0] + i) % RING] = (struct xdp_desc){
			.addr = frame + HEADROOM, .len = 100,
			.options = i + 1 < parts ? XDP_PKT_CONTD : 0 };
		rig->xsk->area[frame + HEADROOM] = tag;
	}
	rig->index[0] += parts;
	return true;
}

static void put_meta(struct rig *rig, uint32_t flags, uint32_t mark, uint32_t hash)
{
	struct wm_xsk_meta meta = { WM_XSK_META_MAGIC, flags, hash, { mark } };
	uint64_t at = rig->rx[(rig->index[0] - 1) % RING].addr;

	memcpy(rig->xsk->area + at - sizeof(meta), &meta, sizeof(meta));
}

/* Every frame in exactly one of the rings (nothing is out in a burst). */
static void check_frames(struct rig *rig)
{
	uint8_t seen[FRAMES] = {};
	uint32_t i, total = 0;

	for (i = rig->index[5]; i != rig->index[4]; i++, total++)
		seen[rig->fill[i % FRAMES] / WM_XSK_FRAME]++;
	for (i = rig->index[1]; i != rig->index[0]; i++, total++)
		seen[rig->rx[i % RING].addr / WM_XSK_FRAME]++;
	for (i = rig->index[3]; i != rig->index[2]; i++, total++)
		seen[rig->tx[i % RING].addr / WM_XSK_FRAME]++;
	for (i = rig->index[7]; i != rig->index[6]; i++, total++)
		seen[rig->comp[i % FRAMES] / WM_XSK_FRAME]++;
	assert_int_equal(total, FRAMES);
	for (i = 0; i < FRAMES; i++)
		assert_int_equal(seen[i], 1);
}

static void test_begins_with_every_frame_in_the_fill_ring(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;

	(void)state;
	assert_int_equal(fill_level(rig), FRAMES);
	check_frames(rig);
	assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), 0);
	unmake(rig);
}

/* The kernel's frames never run out while we work off a full RX ring. */
static void test_a_full_rx_ring_leaves_as_many_frames_to_the_kernel(void **state)
{
	struct rig *rig = make();

	(void)state;
	for (int i = 0; i < RING; i++)
		assert_true(arrive(rig, 1, i));
	assert_int_equal(fill_level(rig), RING);
	unmake(rig);
}

static void test_packets_come_in_order_and_frames_return(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;

	(void)state;
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 10; i++)
			assert_true(arrive(rig, 1, round * 10 + i));
		assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), 10);
		for (int i = 0; i < 10; i++)
			assert_int_equal(*burst.packet[i].part->data, (uint8_t)(round * 10 + i));
		wm_xsk__release(rig->xsk, &burst);
		assert_int_equal(fill_level(rig), FRAMES);
		check_frames(rig);
	}
	assert_int_equal(rig->queue->stats.packets, 500);
	unmake(rig);
}

/* 62 singles and a packet of 3: the burst's end would cut the latter. */
static void test_a_packet_of_several_parts_is_whole(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;

	(void)state;
	for (int i = 0; i < WM_XSK_BURST - 2; i++)
		assert_true(arrive(rig, 1, 1));
	assert_true(arrive(rig, 3, 2));
	assert_true(arrive(rig, 1, 3));
	assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), WM_XSK_BURST - 2);
	assert_int_equal(burst.n_parts, WM_XSK_BURST - 2);
	wm_xsk__release(rig->xsk, &burst);
	check_frames(rig);

	assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), 2);
	assert_int_equal(burst.packet[0].n_parts, 3);
	assert_int_equal(burst.packet[0].len, 300);
	assert_int_equal(*burst.packet[0].part[2].data, 2);
	assert_int_equal(burst.packet[1].n_parts, 1);
	assert_int_equal(*burst.packet[1].part->data, 3);
	wm_xsk__release(rig->xsk, &burst);
	check_frames(rig);
	unmake(rig);
}

static void test_mark_and_hash_are_read_and_wiped(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;

	(void)state;
	assert_true(arrive(rig, 1, 0));
	put_meta(rig, WM_XSK_META_MARK | WM_XSK_META_HASH, 0x1003, 77);
	assert_true(arrive(rig, 1, 0));
	put_meta(rig, WM_XSK_META_HASH, 5, 78);
	assert_true(arrive(rig, 1, 0));
	assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), 3);
	assert_true(burst.packet[0].has_mark && burst.packet[0].has_hash);
	assert_int_equal(burst.packet[0].mark, 0x1003);
	assert_int_equal(burst.packet[0].hash, 77);
	assert_false(burst.packet[1].has_mark);
	assert_int_equal(burst.packet[1].mark, 0);
	assert_false(burst.packet[2].has_mark || burst.packet[2].has_hash);
	wm_xsk__release(rig->xsk, &burst);

	/* All frames once more, without: nothing old is believed. */
	for (int i = 0; i < FRAMES; i++) {
		assert_true(arrive(rig, 1, 0));
		assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), 1);
		assert_false(burst.packet[0].has_mark || burst.packet[0].has_hash);
		wm_xsk__release(rig->xsk, &burst);
	}
	unmake(rig);
}

static void test_what_was_sent_comes_back_through_completion(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;

	(void)state;
	assert_true(arrive(rig, 1, 1) && arrive(rig, 2, 2));
	assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), 2);
	assert_int_equal(wm_xsk__send(rig->xsk, &burst, &burst.packet[1]), 0);
	assert_true(burst.packet[1].sent);
	wm_xsk__release(rig->xsk, &burst);
	assert_int_equal(rig->tx[0].options, XDP_PKT_CONTD);
	assert_int_equal(rig->tx[1].options, 0);
	assert_int_equal(rig->wakes, 1);
	assert_int_equal(fill_level(rig), FRAMES - 2); /* in the completion ring */
	check_frames(rig);
	wm_xsk__receive(rig->xsk, 0, &burst);
	assert_int_equal(fill_level(rig), FRAMES);
	check_frames(rig);
	unmake(rig);
}

static void test_a_full_tx_ring_is_said_and_loses_no_frame(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;
	int full = 0;

	(void)state;
	rig->idle = true;
	for (int i = 0; i < RING + 5; i++) {
		assert_true(arrive(rig, 1, i));
		assert_int_equal(wm_xsk__receive(rig->xsk, 0, &burst), 1);
		if (wm_xsk__send(rig->xsk, &burst, &burst.packet[0]) == -ENOBUFS)
			full++;
		wm_xsk__release(rig->xsk, &burst);
		check_frames(rig);
	}
	assert_int_equal(full, 5);
	assert_int_equal(rig->queue->stats.tx_full, 5);
	rig->idle = false;
	assert_int_equal(wm_kick__push(&rig->queue->kick), 0);
	assert_false(wm_kick__pending(&rig->queue->kick));
	check_frames(rig);
	unmake(rig);
}

/* Any mixture for a long time: arrivals, bursts, packets sent or dropped. */
static void test_frames_are_conserved(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;
	unsigned int seed = 7;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		for (int i = rand_r(&seed) % 30; i > 0; i--)
			arrive(rig, 1 + rand_r(&seed) % 4, i);
		rig->idle = rand_r(&seed) % 4;
		if (wm_xsk__receive(rig->xsk, 0, &burst)) {
			for (uint32_t i = 0; i < burst.n_packets; i++)
				if (rand_r(&seed) % 2)
					wm_xsk__send(rig->xsk, &burst, &burst.packet[i]);
			wm_xsk__release(rig->xsk, &burst);
		}
		if (round % 16 == 0)
			check_frames(rig);
	}
	check_frames(rig);
	assert_true(rig->queue->stats.sent > 1000 && rig->queue->stats.tx_full > 0);
	unmake(rig);
}

/* Each device's part of the memory begins at address 0 of its own, and no two sockets
 * share a byte of it. */
static void test_devices_share_no_memory(void **state)
{
	const struct wm_xsk_shape shape = { .frame = WM_XSK_FRAME, .ring = RING, .devices = 3,
					    .device = { { "a", 2 }, { "b", 1 }, { "c", 3 } } };
	const uint64_t frames[] = { 0, 1, 0, 0, 1, 2 }, areas[] = { 0, 0, 2, 3, 3, 3 };
	const size_t share = (size_t)FRAMES * WM_XSK_FRAME;
	struct wm_xsk *xsk;
	struct wm_err err;

	(void)state;
	assert_int_equal(wm_xsk_new(&xsk, &shape, -1, &err), 0);
	assert_int_equal(wm_xsk__sockets(xsk), 6);
	assert_int_equal(xsk->length, 6 * share);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(xsk->queue[i].frames, frames[i] * share);
		assert_ptr_equal(xsk->queue[i].area, xsk->area + areas[i] * share);
		assert_int_equal(xsk->queue[i].queue, frames[i]);
	}
	wm_xsk__close(xsk);
}

static void test_shapes_that_lie_are_refused(void **state)
{
	const struct wm_xsk_shape good = { .frame = WM_XSK_FRAME, .ring = RING, .devices = 2,
					   .device = { { "a", 100 }, { "b", 28 } } };
	struct wm_xsk_shape bad[9];

	(void)state;
	assert_int_equal(wm_xsk_shape__sockets(&good), 128);
	for (int i = 0; i < 9; i++)
		bad[i] = good;
	bad[0].frame = 4096;
	bad[1].ring = RING + 1;
	bad[2].ring = WM_XSK_RING_MAX * 2;
	bad[3].devices = WM_XSK_DEVICES_MAX + 1;
	bad[4].devices = 0;
	bad[5].device[1].queues = 0;
	bad[6].device[1].queues = 29;
	bad[7].device[1].queues = UINT32_MAX - 90; /* a sum that runs over */
	memset(bad[8].device[0].name, 'x', sizeof(bad[8].device[0].name));
	for (int i = 0; i < 9; i++)
		assert_int_equal(wm_xsk_shape__sockets(&bad[i]), 0);
	bad[0] = good;
	bad[0].any = 1;
	assert_int_equal(wm_xsk_shape__sockets(&bad[0]), 2);
}

static void test_sleeps_no_longer_than_the_watchdog_allows(void **state)
{
	struct rig *rig = make();
	struct wm_xsk_burst burst;

	(void)state;
	assert_int_equal(wm_xsk__tend(rig->xsk), -1);
	rig->idle = true;
	assert_true(arrive(rig, 1, 0));
	wm_xsk__receive(rig->xsk, 0, &burst);
	wm_xsk__send(rig->xsk, &burst, &burst.packet[0]);
	wm_xsk__release(rig->xsk, &burst);
	assert_int_equal(wm_xsk__tend(rig->xsk), 1);
	unmake(rig);
}

/* --- frames --- */

struct one {
	struct wm_xsk_packet packet;
	struct wm_xsk_part part;
	struct frame frame;
};

static void build(struct one *one, const struct packet_spec *spec)
{
	packet_build(spec, &one->frame);
	one->part = (struct wm_xsk_part){ one->frame.data, one->frame.len, 2048 };
	one->packet = (struct wm_xsk_packet){ .part = &one->part, .n_parts = 1,
					      .len = one->frame.len };
}

/* One's-complement sum over pseudo header and segment: 0xffff if all is well. */
static uint16_t udp_sum(const struct wm_frame *frame)
{
	uint32_t len = frame->payload - frame->l4 + frame->payload_len, sum = 17 + len;
	uint32_t addresses = frame->family == WM_IPV4 ? 8 : 32;
	const uint8_t *from = frame->ip + (frame->family == WM_IPV4 ? 12 : 8);

	for (uint32_t i = 0; i < addresses; i++)
		sum += from[i] << (i % 2 ? 0 : 8);
	for (uint32_t i = 0; i < len; i++)
		sum += frame->l4[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void check_turned(const struct one *one, const char *src, uint16_t sport, uint32_t payload)
{
	char text[WM_ADDR_TEXT];
	struct wm_frame frame;
	struct wm_addr addr;
	__be16 port;

	assert_int_equal(wm_frame__parse(&one->packet, &frame), 0);
	wm_frame__source(&frame, &addr, &port);
	assert_string_equal(wm_addr__format(&addr, text), src);
	assert_int_equal(ntohs(port), sport);
	assert_int_equal(frame.payload_len, payload);
	assert_int_equal(udp_sum(&frame), 0xffff);
}

static void test_udp_is_turned_round(void **state)
{
	static const char *const ends[][2] = {
		{ "10.0.0.1", "10.0.0.2" },
		{ "fd00::1", "fd00::2" },
	};
	struct wm_frame frame;
	struct one one;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		for (uint16_t payload = 0; payload < 40; payload++) {
			struct packet_spec spec = { ends[v6][0], ends[v6][1], 4000, 53,
						    .proto = IPPROTO_UDP, .payload = payload };

			build(&one, &spec);
			assert_int_equal(wm_frame__parse(&one.packet, &frame), 0);
			wm_frame__turn(&frame, &one.packet);
			check_turned(&one, ends[v6][1], 53, payload);

			/* Longer and shorter than it was. */
			assert_int_equal(wm_frame__resize(&frame, &one.packet, 55 - payload), 0);
			wm_frame__turn(&frame, &one.packet);
			check_turned(&one, ends[v6][0], 4000, 55 - payload);
		}
	}
	assert_int_equal(wm_frame__resize(&frame, &one.packet, 4096), -EMSGSIZE);
}

/* A checksum over parts of odd lengths is that of the whole. */
static void test_udp_in_several_parts(void **state)
{
	struct packet_spec spec = { "10.0.0.1", "10.0.0.2", 1, 2, .proto = IPPROTO_UDP,
				    .payload = 501 };
	struct wm_xsk_part part[3];
	struct wm_frame frame;
	struct one one;

	(void)state;
	build(&one, &spec);
	part[0] = (struct wm_xsk_part){ one.frame.data, 101, 2048 };
	part[1] = (struct wm_xsk_part){ one.frame.data + 101, 77, 2048 };
	part[2] = (struct wm_xsk_part){ one.frame.data + 178, one.frame.len - 178, 2048 };
	one.packet.part = part;
	one.packet.n_parts = 3;
	assert_int_equal(wm_frame__parse(&one.packet, &frame), 0);
	assert_int_equal(frame.payload_here, 101 - 42);
	wm_frame__turn(&frame, &one.packet);
	assert_int_equal(wm_frame__resize(&frame, &one.packet, 5), -EINVAL);
	one.packet.part = &one.part;
	one.packet.n_parts = 1;
	check_turned(&one, "10.0.0.2", 2, 501);
}

static void test_frames_that_lie_are_refused(void **state)
{
	static const struct packet_spec bad[] = {
		{ "10.0.0.1", "10.0.0.2", 1, 2, .proto = IPPROTO_UDP, .payload = 9, .cut = 10 },
		{ "10.0.0.1", "10.0.0.2", 1, 2, .proto = IPPROTO_UDP, .len_lie = 3 },
		{ "10.0.0.1", "10.0.0.2", 1, 2, .proto = IPPROTO_UDP, .len_lie = -3 },
		{ "10.0.0.1", "10.0.0.2", 1, 2, .proto = IPPROTO_UDP, .frag = 0x2000 },
		{ "10.0.0.1", "10.0.0.2", 1, 2, .proto = IPPROTO_ICMP },
		{ "fd00::1", "fd00::2", 1, 2, .proto = IPPROTO_UDP, .nexthdr = 60 },
		{ "10.0.0.1", "10.0.0.2", 1, 2, .ethertype = 0x0806 },
	};
	const struct packet_spec good = { "10.0.0.1", "10.0.0.2", 1, 2, .payload = 3 };
	struct wm_frame frame;
	struct one one;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		build(&one, &bad[i]);
		assert_int_equal(wm_frame__parse(&one.packet, &frame), -EINVAL);
	}
	build(&one, &good);
	for (uint32_t len = 0; len < one.frame.len; len++) {
		one.part.len = one.packet.len = len;
		assert_int_equal(wm_frame__parse(&one.packet, &frame), -EINVAL);
	}
	one.part.len = one.packet.len = one.frame.len;
	assert_int_equal(wm_frame__parse(&one.packet, &frame), 0);
	assert_int_equal(frame.payload_len, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_begins_with_every_frame_in_the_fill_ring),
		cmocka_unit_test(test_a_full_rx_ring_leaves_as_many_frames_to_the_kernel),
		cmocka_unit_test(test_packets_come_in_order_and_frames_return),
		cmocka_unit_test(test_a_packet_of_several_parts_is_whole),
		cmocka_unit_test(test_mark_and_hash_are_read_and_wiped),
		cmocka_unit_test(test_what_was_sent_comes_back_through_completion),
		cmocka_unit_test(test_a_full_tx_ring_is_said_and_loses_no_frame),
		cmocka_unit_test(test_frames_are_conserved),
		cmocka_unit_test(test_devices_share_no_memory),
		cmocka_unit_test(test_shapes_that_lie_are_refused),
		cmocka_unit_test(test_sleeps_no_longer_than_the_watchdog_allows),
		cmocka_unit_test(test_udp_is_turned_round),
		cmocka_unit_test(test_udp_in_several_parts),
		cmocka_unit_test(test_frames_that_lie_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
