// SPDX-License-Identifier: GPL-2.0
/*
 * An echo request, and its reply is good. There are two ways to send one:
 *
 *   ping   a socket of type SOCK_DGRAM for each run, where net.ipv4.ping_group_range has our
 *          group: the kernel finds out whose a reply is;
 *   raw    one socket for all runs of a family, which was opened before we gave up the right
 *          to. Replies are found by their sequence number, and have to come from the real's
 *          address with the bytes that it was sent.
 *
 * The raw ones are closed where the other way is open.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>
#include <linux/icmp.h> /* behind netinet/in.h, which it respects */

#include "run.h"

enum {
	SLOTS = 1 << 13, /* of runs under way, by sequence number; there are fewer */
	REPLIES_AT_ONCE = 64,
};

struct message {
	uint8_t type, code;
	uint16_t checksum;
	__be16 id, sequence;
	uint64_t token; /* which nobody else knows */
};

struct wm_echo {
	bool ping;
	int raw[2];              /* IPv4, IPv6; below 0: none */
	sd_event_source *io[2];
	uint16_t id, next;       /* of raw messages */
	struct wm_run *run[SLOTS];
};

/* --- what both ways have in common --- */

static bool is_v6(const struct wm_run *run)
{
	return run->probe->address.family == WM_IPV6;
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint16_t *word = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* Of ICMPv6 the kernel makes the sum, which has the addresses in it. */
static struct message request(struct wm_run *run, uint16_t id, uint16_t sequence)
{
	struct message m = {
		.type = is_v6(run) ? ICMP6_ECHO_REQUEST : ICMP_ECHO,
		.id = htons(id), .sequence = htons(sequence),
	};

	if (getrandom(&run->token, sizeof(run->token), GRND_NONBLOCK) != sizeof(run->token))
		run->token = run->started_ns;
	m.token = run->token;
	if (!is_v6(run))
		m.checksum = checksum(&m, sizeof(m));
	return m;
}

static bool is_reply(const struct wm_run *run, const struct message *m, size_t len)
{
	return len >= sizeof(*m) && m->token == run->token &&
	       m->type == (is_v6(run) ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY);
}

static void replied(struct wm_run *run)
{
	wm_run__finish(run, WM_OUTCOME_GOOD, 0, "echo reply");
}

/* --- ping --- */

static int on_ping(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct message m;
	ssize_t n = recv(fd, &m, sizeof(m), MSG_DONTWAIT);

	(void)source;
	(void)events;
	if (n >= 0 && is_reply(arg, &m, n))
		replied(arg);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		wm_run__not_connected(arg, errno);
	return 0;
}

static int ping(struct wm_run *run)
{
	const struct message m = request(run, 0, 1); /* the kernel has an id for it */
	struct sockaddr_storage to;
	socklen_t len;
	int error;

	error = wm_run__socket(run, SOCK_DGRAM, is_v6(run) ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &to,
			       &len);
	if (error)
		return error;
	if (connect(run->fd, (struct sockaddr *)&to, len) ||
	    send(run->fd, &m, sizeof(m), 0) < 0)
		return errno;
	return sd_event_add_io(run->event, &run->io, run->fd, EPOLLIN, on_ping, run) < 0 ?
		ENOMEM : 0;
}

/* --- raw --- */

static bool is_from(const struct wm_run *run, const struct sockaddr_storage *from)
{
	struct sockaddr_storage to;

	wm_run__address(run, &to);
	if (from->ss_family != to.ss_family)
		return false;
	if (!is_v6(run))
		return ((struct sockaddr_in *)from)->sin_addr.s_addr ==
		       ((struct sockaddr_in *)&to)->sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&((struct sockaddr_in6 *)from)->sin6_addr,
				  &((struct sockaddr_in6 *)&to)->sin6_addr);
}

/* Whatever it is: other programs' echo replies come here, too. */
static void take(struct wm_echo *e, const uint8_t *packet, size_t len,
		 const struct sockaddr_storage *from)
{
	size_t header = from->ss_family == AF_INET && len ? 4 * (packet[0] & 15) : 0;
	struct message m;
	struct wm_run *run;

	if (len < header + sizeof(m))
		return;
	memcpy(&m, packet + header, sizeof(m));
	run = e->run[ntohs(m.sequence) % SLOTS];
	if (run && m.id == htons(e->id) && is_from(run, from) && is_reply(run, &m, sizeof(m)))
		replied(run);
}

static int on_raw(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source;
	(void)events;
	for (int i = 0; i < REPLIES_AT_ONCE; i++) {
		uint8_t packet[sizeof(struct message) + 60] = {};
		struct sockaddr_storage from = {};
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, packet, sizeof(packet), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &len);

		if (n < 0)
			return 0; /* nothing is left, or an error of no run in particular */
		take(arg, packet, n, &from);
	}
	return 0;
}

/* A number whose slot is free: there are more slots than runs. */
static uint16_t take_slot(struct wm_echo *e, struct wm_run *run)
{
	while (e->run[++e->next % SLOTS])
		;
	e->run[e->next % SLOTS] = run;
	run->slot = e->next % SLOTS + 1;
	return e->next;
}

static int send_raw(struct wm_run *run)
{
	struct wm_echo *e = run->echo;
	struct sockaddr_storage to;
	socklen_t len = wm_run__address(run, &to);
	struct message m;

	if (is_v6(run))
		((struct sockaddr_in6 *)&to)->sin6_port = 0; /* a protocol, to raw sockets */
	m = request(run, e->id, take_slot(e, run));
	return sendto(e->raw[is_v6(run)], &m, sizeof(m), MSG_DONTWAIT, (struct sockaddr *)&to,
		      len) < 0 ? errno : 0;
}

/* --- runs --- */

static void icmp_start(struct wm_run *run)
{
	int error;

	if (!run->echo->ping && run->echo->raw[is_v6(run)] < 0) {
		wm_run__finish(run, WM_OUTCOME_UNKNOWN, EACCES,
			       "no echo request may be sent from here: waymarkd lacks CAP_NET_RAW, "
			       "and net.ipv4.ping_group_range has not group %u", getegid());
		return;
	}
	error = run->echo->ping ? ping(run) : send_raw(run);
	if (error)
		wm_run__not_connected(run, error);
}

static void icmp_stop(struct wm_run *run)
{
	if (run->slot)
		run->echo->run[run->slot - 1] = NULL;
	run->slot = 0;
	wm_run__close(run);
}

const struct wm_run_ops wm_run_icmp = { icmp_start, icmp_stop, "no echo reply" };

/* --- sockets --- */

void wm_echo__open_raw(int raw[2])
{
	struct icmp_filter only4 = { ~(1u << ICMP_ECHOREPLY) };
	struct icmp6_filter only6;

	ICMP6_FILTER_SETBLOCKALL(&only6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &only6);
	raw[0] = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
	raw[1] = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
	if (raw[0] >= 0)
		setsockopt(raw[0], SOL_RAW, ICMP_FILTER, &only4, sizeof(only4));
	if (raw[1] >= 0)
		setsockopt(raw[1], IPPROTO_ICMPV6, ICMP6_FILTER, &only6, sizeof(only6));
}

static bool may_ping(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void close_raw(struct wm_echo *e)
{
	for (int i = 0; i < 2; i++) {
		e->io[i] = sd_event_source_disable_unref(e->io[i]);
		if (e->raw[i] >= 0)
			close(e->raw[i]);
		e->raw[i] = -1;
	}
}

int wm_echo__new(struct wm_echo **out, sd_event *event, const int raw[2])
{
	struct wm_echo *e = calloc(1, sizeof(*e));
	int ret = 0;

	*out = e;
	if (!e)
		return -ENOMEM;
	memcpy(e->raw, raw, sizeof(e->raw));
	if (getrandom(&e->id, sizeof(e->id), GRND_NONBLOCK) != sizeof(e->id))
		e->id = getpid();
	e->ping = may_ping();
	if (e->ping)
		close_raw(e);
	for (int i = 0; i < 2 && ret >= 0; i++)
		if (e->raw[i] >= 0)
			ret = sd_event_add_io(event, &e->io[i], e->raw[i], EPOLLIN, on_raw, e);
	return ret < 0 ? ret : 0;
}

void wm_echo__free(struct wm_echo *echo)
{
	if (!echo)
		return;
	close_raw(echo);
	free(echo);
}
