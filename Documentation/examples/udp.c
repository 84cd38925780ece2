// SPDX-License-Identifier: GPL-2.0
/*
 * UDP by ordinary sockets, for comparison with responder.c.
 *
 *   udp serve PORT                     sends payloads back, 64 packets a system call
 *   udp load ADDRESS PORT SECONDS      asks with 16 flows of 8 packets under way
 *
 * Load looks at every answer: it must be one that is due on its flow, byte for
 * byte. It prints one line: answers, seconds, lost (nothing came for 100 ms, and not
 * later either) and wrong.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "stdfd.h"

enum { BATCH = 64, FLOWS = 16, WINDOW = 8, LENGTH = 64, PATIENCE_MS = 100, SEEN = 1024 };

static volatile sig_atomic_t ending;

static void on_signal(int number)
{
	(void)number;
	ending = 1;
}

struct batch {
	struct mmsghdr message[BATCH];
	struct iovec part[BATCH];
	struct sockaddr_in from[BATCH];
	uint8_t data[BATCH][2048];
};

static void prepare(struct batch *batch, bool addresses)
{
	for (int i = 0; i < BATCH; i++) {
		struct msghdr *header = &batch->message[i].msg_hdr;

		batch->part[i] = (struct iovec){ batch->data[i], sizeof(batch->data[i]) };
		*header = (struct msghdr){ .msg_iov = &batch->part[i], .msg_iovlen = 1 };
		if (addresses) {
			header->msg_name = &batch->from[i];
			header->msg_namelen = sizeof(batch->from[i]);
		}
	}
}

/* --- serve --- */

static int serve(int sock)
{
	static struct batch batch;
	int n, sent;

	printf("ready\n");
	fflush(stdout);
	while (!ending) {
		prepare(&batch, true);
		n = recvmmsg(sock, batch.message, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0 && errno != EINTR)
			return 1;
		for (int i = 0; i < n; i++)
			batch.part[i].iov_len = batch.message[i].msg_len;
		for (int at = 0; at < n; at += sent) {
			sent = sendmmsg(sock, batch.message + at, n - at, 0);
			if (sent <= 0)
				break;
		}
	}
	return 0;
}

/* --- load --- */

enum state { ANSWERED, DUE, GIVEN_UP };

struct flow {
	int sock;
	uint32_t next;        /* number of the next packet */
	uint32_t under_way;
	uint8_t due[SEEN];    /* by number: enum state */
};

struct load {
	struct flow flow[FLOWS];
	struct pollfd poll[FLOWS];
	struct batch batch;
	uint64_t answers, lost, wrong;
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void fill(uint8_t *data, uint32_t flow, uint32_t number)
{
	memset(data, (uint8_t)(flow * 31 + number), LENGTH);
	memcpy(data, &flow, sizeof(flow));
	memcpy(data + sizeof(flow), &number, sizeof(number));
}

static void ask(struct load *load, uint32_t which)
{
	struct flow *flow = &load->flow[which];
	int n = WINDOW - flow->under_way, sent;

	prepare(&load->batch, false);
	for (int i = 0; i < n; i++) {
		fill(load->batch.data[i], which, flow->next + i);
		load->batch.part[i].iov_len = LENGTH;
	}
	sent = n ? sendmmsg(flow->sock, load->batch.message, n, MSG_DONTWAIT) : 0;
	for (int i = 0; i < sent; i++)
		flow->due[flow->next++ % SEEN] = DUE;
	flow->under_way += sent > 0 ? sent : 0;
}

static void check(struct load *load, uint32_t which, const uint8_t *data, uint32_t len)
{
	struct flow *flow = &load->flow[which];
	uint8_t want[LENGTH];
	uint32_t number;

	memcpy(&number, data + sizeof(which), sizeof(number));
	fill(want, which, number);
	if (len != LENGTH || memcmp(data, want, LENGTH) || flow->next - number > SEEN ||
	    flow->due[number % SEEN] == ANSWERED) {
		load->wrong++;
		return;
	}
	if (flow->due[number % SEEN] == DUE)
		flow->under_way--;
	else
		load->lost--; /* late */
	flow->due[number % SEEN] = ANSWERED;
	load->answers++;
}

static void hear(struct load *load, uint32_t which)
{
	int n;

	prepare(&load->batch, false);
	n = recvmmsg(load->flow[which].sock, load->batch.message, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		check(load, which, load->batch.data[i], load->batch.message[i].msg_len);
}

/* What was under way will hardly be answered any more. */
static void give_up(struct load *load)
{
	for (int i = 0; i < FLOWS; i++) {
		load->lost += load->flow[i].under_way;
		load->flow[i].under_way = 0;
		for (int k = 0; k < SEEN; k++)
			if (load->flow[i].due[k] == DUE)
				load->flow[i].due[k] = GIVEN_UP;
	}
}

static void run(struct load *load, double seconds)
{
	double start = now_s();

	for (int i = 0; i < FLOWS; i++)
		ask(load, i);
	while (!ending && now_s() - start < seconds) {
		if (!poll(load->poll, FLOWS, PATIENCE_MS))
			give_up(load);
		for (int i = 0; i < FLOWS; i++) {
			if (load->poll[i].revents)
				hear(load, i);
			ask(load, i);
		}
	}
	printf("answers %llu seconds %.3f lost %llu wrong %llu\n",
	       (unsigned long long)load->answers, now_s() - start,
	       (unsigned long long)load->lost, (unsigned long long)load->wrong);
}

static int load(const struct sockaddr_in *to, double seconds)
{
	struct load *load = calloc(1, sizeof(*load));

	for (int i = 0; load && i < FLOWS; i++) {
		load->flow[i].sock = socket(AF_INET, SOCK_DGRAM, 0);
		if (connect(load->flow[i].sock, (const struct sockaddr *)to, sizeof(*to))) {
			perror("udp: connect");
			return 1;
		}
		load->poll[i] = (struct pollfd){ load->flow[i].sock, POLLIN, 0 };
	}
	if (!load)
		return 1;
	run(load, seconds);
	free(load);
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int sock;

	wm_stdfd__hold();
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		addr.sin_port = htons(atoi(argv[2]));
		sock = socket(AF_INET, SOCK_DGRAM, 0);
		if (sock < 0 || bind(sock, (struct sockaddr *)&addr, sizeof(addr))) {
			perror("udp: bind");
			return 1;
		}
		return serve(sock);
	}
	if (argc == 5 && !strcmp(argv[1], "load") &&
	    inet_pton(AF_INET, argv[2], &addr.sin_addr) == 1) {
		addr.sin_port = htons(atoi(argv[3]));
		return load(&addr, strtod(argv[4], NULL));
	}
	fprintf(stderr, "usage: udp serve PORT | udp load ADDRESS PORT SECONDS\n");
	return 2;
}
