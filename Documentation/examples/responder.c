// SPDX-License-Identifier: GPL-2.0
/*
 * A local consumer: answers the UDP packets of every vip that names it as a real.
 *
 *   responder [-d] SOCKET     SOCKET: `local: socket` of waymark.yaml
 *
 * Sends payloads back as they are; with -d it answers DNS questions for an IPv4
 * address, always with 192.0.2.1. Needs no privileges. With SIGINT or SIGTERM it
 * ends and prints what it did, one "key value" a line.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "consumer.h"
#include "frame.h"
#include "stdfd.h"

static volatile sig_atomic_t ending;

static void on_signal(int number)
{
	(void)number;
	ending = 1;
}

/* --- DNS, as far as it goes: one question, one answer (RFC 1035) --- */

enum { DNS_HEADER = 12, DNS_NAME_MAX = 255, TYPE_A = 1, CLASS_IN = 1 };

static const uint8_t dns_answer[16] = {
	0xc0, DNS_HEADER,       /* the name that was asked for */
	0, TYPE_A, 0, CLASS_IN,
	0, 0, 0, 60,            /* seconds to live */
	0, 4, 192, 0, 2, 1,
};

/* Length of the question that begins at `q`; 0: not one for an IPv4 address. */
static uint32_t question_length(const uint8_t *q, uint32_t len)
{
	uint32_t at = 0;

	while (at < len && at < DNS_NAME_MAX && q[at] && q[at] < 64)
		at += 1 + q[at];
	if (at + 5 > len || q[at])
		return 0;
	if (q[at + 1] || q[at + 2] != TYPE_A || q[at + 3] || q[at + 4] != CLASS_IN)
		return 0;
	return at + 5;
}

/* Makes the payload of a question that of its answer. false: no answer to that. */
static bool answer_dns(struct wm_frame *frame, struct wm_xsk_packet *packet)
{
	uint8_t *dns = frame->payload;
	uint32_t question, length;

	if (frame->payload_here < DNS_HEADER || dns[2] & 0x80 || dns[4] || dns[5] != 1)
		return false;
	question = question_length(dns + DNS_HEADER, frame->payload_here - DNS_HEADER);
	if (!question)
		return false;
	length = DNS_HEADER + question + sizeof(dns_answer);
	if (wm_frame__resize(frame, packet, length))
		return false;
	memcpy(dns + DNS_HEADER + question, dns_answer, sizeof(dns_answer));
	dns[2] = 0x84 | (dns[2] & 0x01); /* an answer, of authority; recursion as was desired */
	dns[3] = 0;
	memset(dns + 6, 0, 6);
	dns[7] = 1;
	return true;
}

/* --- packets --- */

static void answer(struct wm_xsk *xsk, struct wm_xsk_burst *burst, bool dns)
{
	struct wm_frame frame;

	for (uint32_t i = 0; i < burst->n_packets; i++) {
		struct wm_xsk_packet *packet = &burst->packet[i];

		if (wm_frame__parse(packet, &frame) || frame.proto != IPPROTO_UDP)
			continue;
		if (dns && !answer_dns(&frame, packet))
			continue;
		wm_frame__turn(&frame, packet);
		wm_xsk__send(xsk, burst, packet);
	}
}

static void serve(struct wm_xsk *xsk, bool dns)
{
	static struct wm_xsk_burst burst;

	for (uint32_t i = 0; i < wm_xsk__sockets(xsk); i++)
		while (wm_xsk__receive(xsk, i, &burst)) {
			answer(xsk, &burst, dns);
			wm_xsk__release(xsk, &burst);
		}
}

static void print_stats(const struct wm_xsk *xsk)
{
	struct wm_xsk_stats sum = {}, one;

	for (uint32_t i = 0; i < wm_xsk__sockets(xsk); i++) {
		wm_xsk__stats(xsk, i, &one);
		sum.packets += one.packets;
		sum.marked += one.marked;
		sum.sent += one.sent;
		sum.tx_full += one.tx_full;
		sum.wakeups_tx += one.wakeups_tx;
		sum.stall_kicks += one.stall_kicks;
		sum.rx_dropped += one.rx_dropped + one.rx_ring_full;
		sum.rx_fill_empty += one.rx_fill_empty;
	}
	printf("sockets %u\npackets %llu\nmarked %llu\nsent %llu\ntx_full %llu\nwakeups_tx %llu\n"
	       "stall_kicks %llu\ndropped %llu\nfill_empty %llu\n", wm_xsk__sockets(xsk),
	       (unsigned long long)sum.packets, (unsigned long long)sum.marked,
	       (unsigned long long)sum.sent, (unsigned long long)sum.tx_full,
	       (unsigned long long)sum.wakeups_tx, (unsigned long long)sum.stall_kicks,
	       (unsigned long long)sum.rx_dropped, (unsigned long long)sum.rx_fill_empty);
}

static int loop(struct wm_consumer *consumer, bool dns)
{
	int ready = 0;

	while (!ending && (ready >= 0 || ready == -EINTR)) {
		ready = wm_consumer__wait(consumer, -1);
		serve(wm_consumer__xsk(consumer), dns);
	}
	return ending ? 0 : ready;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct wm_consumer *consumer;
	bool dns = false;
	struct wm_err err;
	int option, ret;

	wm_stdfd__hold();
	while ((option = getopt(argc, argv, "d")) == 'd')
		dns = true;
	if (option != -1 || optind + 1 != argc) {
		fprintf(stderr, "usage: responder [-d] SOCKET\n");
		return 2;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (wm_consumer__connect(&consumer, argv[optind], &err)) {
		fprintf(stderr, "responder: %s\n", err.text);
		return 1;
	}
	printf("ready\n");
	fflush(stdout);
	ret = loop(consumer, dns);
	if (ret)
		fprintf(stderr, "responder: %s\n", strerror(-ret));
	print_stats(wm_consumer__xsk(consumer));
	wm_consumer__close(consumer);
	return ret ? 1 : 0;
}
