// SPDX-License-Identifier: GPL-2.0
/*
 * The backend `flower` by hand, for the tests in the guest.
 *
 *   flower_tool DEV             opens the backend, then does what it reads
 *   flower_tool DEV COMMAND...  the same with this one command
 *   flower_tool DEV dump        what the kernel lists, as bytes, for tests without a guest
 *
 * Commands; all but the last answer with one line a rule, and "." at the end:
 *
 *   install FIRST N MARK        "NUMBER RESULT"
 *   remove FIRST N              "NUMBER RESULT"
 *   list                        "rule ..."
 *   time FIRST N MARK           as install, only what failed, then "ns NANOSECONDS"
 *
 * flow_of() makes a flow of a number: UDP and TCP, IPv4 and IPv6 in turn, from the
 * peer in the kernel's tests to the device under test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/in.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "offload.h"

enum {
	BATCH = 256,
	ODD = 50000,
	LINE = 256,
};

/* Port 1000 + n to port 80; numbers from ODD on are of a protocol that no NIC takes. */
static struct wm_flow flow_of(uint32_t n)
{
	struct wm_flow flow = { .sport = htons(1000 + n), .dport = htons(80) };

	flow.proto = n >= ODD ? IPPROTO_SCTP : n & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	flow.family = n & 2 ? WM_IPV6 : WM_IPV4;
	if (flow.family == WM_IPV6) {
		inet_pton(AF_INET6, "2001:db8::2", flow.src);
		inet_pton(AF_INET6, "2001:db8::1", flow.dst);
	} else {
		inet_pton(AF_INET, "192.0.2.2", flow.src);
		inet_pton(AF_INET, "192.0.2.1", flow.dst);
	}
	return flow;
}

static void show(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats)
{
	const struct wm_flow *flow = &rule->flow;
	int af = flow->family == WM_IPV6 ? AF_INET6 : AF_INET;
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];

	(void)arg;
	inet_ntop(af, flow->src, src, sizeof(src));
	inet_ntop(af, flow->dst, dst, sizeof(dst));
	printf("rule %s %s %u %s %u mark %u packets %llu bytes %llu used %d\n",
	       flow->proto == IPPROTO_TCP ? "tcp" : "udp", src, ntohs(flow->sport), dst,
	       ntohs(flow->dport), rule->mark, (unsigned long long)stats->packets,
	       (unsigned long long)stats->bytes, stats->last_used_ns != 0);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void say(uint32_t n, int result)
{
	printf("%u %s\n", n, result ? strerrorname_np(-result) : "0");
}

static void install(struct wm_offload *off, uint32_t first, uint32_t n, uint32_t mark, int loud)
{
	static struct wm_rule rules[BATCH];
	static int result[BATCH];

	for (uint32_t done = 0, part; done < n; done += part) {
		part = n - done < BATCH ? n - done : BATCH;
		for (uint32_t i = 0; i < part; i++)
			rules[i] = (struct wm_rule){ flow_of(first + done + i), mark };
		wm_offload_flower.install(off, rules, part, result);
		for (uint32_t i = 0; i < part; i++)
			if (loud || result[i])
				say(first + done + i, result[i]);
	}
}

static void remove_rules(struct wm_offload *off, uint32_t first, uint32_t n)
{
	struct wm_flow flow;
	int result;

	for (uint32_t i = 0; i < n; i++) {
		flow = flow_of(first + i);
		wm_offload_flower.remove(off, &flow, 1, &result);
		say(first + i, result);
	}
}

static int print_message(const struct nlmsghdr *msg, void *arg)
{
	const uint8_t *byte = (const uint8_t *)msg;

	(void)arg;
	for (uint32_t i = 0; i < msg->nlmsg_len; i++)
		printf("%s0x%02x,", i % 12 ? " " : "\n", byte[i]);
	printf("\n");
	return MNL_CB_OK;
}

/* For tests that have no such kernel: the messages as they come. */
static int dump(const char *interface)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_ROUTE);
	char buffer[32768];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct tcmsg *tcm = mnl_nlmsg_put_extra_header(msg, sizeof(*tcm));
	ssize_t got = 1;

	msg->nlmsg_type = RTM_GETTFILTER;
	msg->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	tcm->tcm_ifindex = if_nametoindex(interface);
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_sendto(nl, msg, msg->nlmsg_len) < 0)
		return 1;
	while (got > 0) {
		got = mnl_socket_recvfrom(nl, buffer, sizeof(buffer));
		if (got <= 0 || mnl_cb_run(buffer, got, 0, 0, print_message, NULL) <= MNL_CB_STOP)
			break;
	}
	mnl_socket_close(nl);
	return got <= 0;
}

static void timed_install(struct wm_offload *off, uint32_t first, uint32_t n, uint32_t mark)
{
	uint64_t start = now_ns();

	install(off, first, n, mark, 0);
	printf("ns %llu\n", (unsigned long long)(now_ns() - start));
}

static int act(struct wm_offload *off, const char *line)
{
	unsigned int first = 0, n = 0, mark = 0;
	char word[16] = "";
	int ret = 0;

	sscanf(line, "%15s %u %u %u", word, &first, &n, &mark);
	if (!strcmp(word, "list"))
		ret = wm_offload_flower.list(off, show, NULL);
	else if (!strcmp(word, "remove"))
		remove_rules(off, first, n);
	else if (!strcmp(word, "install"))
		install(off, first, n, mark, 1);
	else if (!strcmp(word, "time"))
		timed_install(off, first, n, mark);
	else
		ret = -EINVAL;
	if (ret)
		printf("%s %s\n", word, strerrorname_np(-ret));
	printf(".\n");
	fflush(stdout);
	return ret != 0;
}

static int obey(struct wm_offload *off, int argc, char **argv)
{
	char line[LINE] = "";
	int ret = 0;

	if (argc == 2) {
		while (fgets(line, sizeof(line), stdin))
			act(off, line);
		return 0;
	}
	for (int i = 2; i < argc; i++)
		ret += snprintf(line + ret, sizeof(line) - ret, "%s ", argv[i]);
	return act(off, line);
}

int main(int argc, char **argv)
{
	struct wm_offload *off;
	struct wm_err err = {};
	int ret;

	if (argc < 2 || argc > 6)
		return 2;
	wm_log__init("flower_tool", WM_LOG_INFO);
	if (argc == 3 && !strcmp(argv[2], "dump"))
		return dump(argv[1]);
	ret = wm_offload_flower.open(&off, argv[1], NULL, &err);
	if (ret) {
		printf("open %s: %s\n", strerrorname_np(-ret), err.text);
		return 1;
	}
	ret = obey(off, argc, argv);
	wm_offload_flower.close(off);
	return ret;
}
