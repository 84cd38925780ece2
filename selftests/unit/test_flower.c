// SPDX-License-Identifier: GPL-2.0
/*
 * The backend `flower` without a kernel: its messages attribute by attribute, listings
 * recorded from a kernel, and the backend against fake_tc.h, which refuses, fills up,
 * loses answers and changes behind its back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_pedit.h>
#include <linux/tc_act/tc_skbedit.h>
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

#include "fake_tc.h"
#include "flower.h"
#include "flower_dump.h"
#include "flower_msg.h"
#include "flower_steer.h"
#include "handles.h"
#include "logfile.h"
#include "rules.h"
#include "steering.h"

enum { IFINDEX = 7 };

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

/* --- messages --- */

struct want {
	uint16_t type;
	size_t len;
	const void *value;
};

/* These attributes, in any order, and no others. */
static void assert_attributes(const struct nlattr *nest, const struct want *want, size_t n)
{
	const struct nlattr *attr;
	size_t found = 0;

	mnl_attr_for_each_nested(attr, nest) {
		size_t i = 0;

		while (i < n && want[i].type != mnl_attr_get_type(attr))
			i++;
		if (i == n)
			fail_msg("attribute %u was not expected", mnl_attr_get_type(attr));
		found++;
		if (!want[i].value)
			continue;
		assert_int_equal(mnl_attr_get_payload_len(attr), want[i].len);
		assert_memory_equal(mnl_attr_get_payload(attr), want[i].value, want[i].len);
	}
	assert_int_equal(found, n);
}

static const struct nlattr *attribute(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == type)
			return attr;
	fail_msg("no attribute %u", type);
	return NULL;
}

static struct nlmsghdr *build_to(char *buffer, uint32_t n, uint32_t handle, uint32_t mark,
				 int queue)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct wm_rule rule = rule_of(n, mark);

	msg->nlmsg_type = RTM_NEWTFILTER;
	wm_flower__put_name(msg, IFINDEX, rule.flow.family, handle);
	wm_flower__put_rule(msg, &rule, queue, 0);
	assert_true(msg->nlmsg_len <= WM_NL_MESSAGE);
	return msg;
}

static struct nlmsghdr *build(char *buffer, uint32_t n, uint32_t handle, uint32_t mark)
{
	return build_to(buffer, n, handle, mark, -1);
}

/* The options of a message whose head is checked. */
static const struct nlattr *options_of(const struct nlmsghdr *msg, uint16_t pref, uint16_t protocol)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(msg);
	const struct nlattr *attr, *options = NULL;
	int others = 0;

	assert_int_equal(tcm->tcm_ifindex, IFINDEX);
	assert_int_equal(tcm->tcm_parent, 0xfffffff2);
	assert_int_equal(tcm->tcm_handle, 0x42);
	assert_int_equal(tcm->tcm_info, (uint32_t)pref << 16 | htons(protocol));
	mnl_attr_for_each(attr, msg, sizeof(*tcm)) {
		if (mnl_attr_get_type(attr) == TCA_KIND)
			assert_string_equal(mnl_attr_get_str(attr), "flower");
		else if (mnl_attr_get_type(attr) == TCA_OPTIONS)
			options = attr;
		else
			others++;
	}
	assert_int_equal(others, 0);
	assert_non_null(options);
	return options;
}

static void assert_action(const struct nlattr *options, uint32_t mark)
{
	const struct tc_skbedit how = { .action = TC_ACT_PIPE };
	const struct want action[] = {
		{ TCA_ACT_KIND, 8, "skbedit" },
		{ TCA_ACT_OPTIONS, 0, NULL },
		{ TCA_ACT_COOKIE, 8, "waymark1" },
	};
	const struct want skbedit[] = {
		{ TCA_SKBEDIT_PARMS, sizeof(how), &how },
		{ TCA_SKBEDIT_MARK, sizeof(mark), &mark },
	};
	const struct nlattr *first = attribute(attribute(options, TCA_FLOWER_ACT), 1);

	assert_attributes(first, action, 3);
	assert_attributes(attribute(first, TCA_ACT_OPTIONS), skbedit, 2);
}

static void test_message_tcp4(void **state)
{
	const uint16_t eth = htons(ETH_P_IP), sport = htons(1001), dport = htons(443);
	const uint16_t none = 0, syn_fin_rst = htons(0x007);
	const uint32_t src = htonl(0x0a000001), dst = htonl(0x0a010001), skip_sw = 2;
	const uint8_t proto = IPPROTO_TCP;
	const struct want want[] = {
		{ TCA_FLOWER_KEY_ETH_TYPE, 2, &eth }, { TCA_FLOWER_KEY_IP_PROTO, 1, &proto },
		{ TCA_FLOWER_KEY_IPV4_SRC, 4, &src }, { TCA_FLOWER_KEY_IPV4_DST, 4, &dst },
		{ TCA_FLOWER_KEY_TCP_SRC, 2, &sport }, { TCA_FLOWER_KEY_TCP_DST, 2, &dport },
		{ TCA_FLOWER_KEY_TCP_FLAGS, 2, &none },
		{ TCA_FLOWER_KEY_TCP_FLAGS_MASK, 2, &syn_fin_rst },
		{ TCA_FLOWER_FLAGS, 4, &skip_sw }, { TCA_FLOWER_ACT, 0, NULL },
	};
	char buffer[2 * WM_NL_MESSAGE];
	const struct nlattr *options;

	(void)state;
	options = options_of(build(buffer, 1, 0x42, 500), WM_FLOWER_PREF_IPV4, ETH_P_IP);
	assert_attributes(options, want, sizeof(want) / sizeof(want[0]));
	assert_action(options, 500);
}

static void test_message_udp6(void **state)
{
	const uint16_t eth = htons(ETH_P_IPV6), sport = htons(1002), dport = htons(443);
	const struct wm_rule rule = rule_of(2, 0);
	const uint8_t proto = IPPROTO_UDP;
	const uint32_t skip_sw = 2;
	const struct want want[] = {
		{ TCA_FLOWER_KEY_ETH_TYPE, 2, &eth }, { TCA_FLOWER_KEY_IP_PROTO, 1, &proto },
		{ TCA_FLOWER_KEY_IPV6_SRC, 16, rule.flow.src },
		{ TCA_FLOWER_KEY_IPV6_DST, 16, rule.flow.dst },
		{ TCA_FLOWER_KEY_UDP_SRC, 2, &sport }, { TCA_FLOWER_KEY_UDP_DST, 2, &dport },
		{ TCA_FLOWER_FLAGS, 4, &skip_sw }, { TCA_FLOWER_ACT, 0, NULL },
	};
	char buffer[2 * WM_NL_MESSAGE];
	const struct nlattr *options;

	(void)state;
	options = options_of(build(buffer, 2, 0x42, 65535), WM_FLOWER_PREF_IPV6, ETH_P_IPV6);
	assert_attributes(options, want, sizeof(want) / sizeof(want[0]));
	assert_action(options, 65535);
}

static void test_message_reads_back(void **state)
{
	char buffer[2 * WM_NL_MESSAGE];
	struct wm_flower_seen seen;

	(void)state;
	for (uint32_t n = 0; n < 4; n++) {
		struct wm_rule rule = rule_of(n, 1000 + n);

		assert_true(wm_flower__read(build(buffer, n, n + 1, rule.mark), 0, &seen));
		assert_true(seen.ours);
		assert_int_equal(seen.handle, n + 1);
		assert_memory_equal(&seen.rule, &rule, sizeof(rule));
	}
}

#define NOW 5000000000ull

/* --- source addresses --- */

enum { PREFIX = 0x563412, OTHER_PREFIX = 0x563416 };

static struct nlmsghdr *build_mac(char *buffer, uint32_t n, uint32_t mark, int queue)
{
	struct wm_rule rule = rule_of(n, mark);
	struct nlmsghdr *msg;

	memset(buffer, 0, 2 * WM_NL_MESSAGE); /* what is between attributes, too */
	msg = mnl_nlmsg_put_header(buffer);
	msg->nlmsg_type = RTM_NEWTFILTER;
	wm_flower__put_name(msg, IFINDEX, rule.flow.family, 0x42);
	wm_flower__put_rule(msg, &rule, queue, PREFIX);
	assert_true(msg->nlmsg_len <= WM_NL_MESSAGE);
	return msg;
}

/* Set bytes 6 to 11 of the Ethernet header to 12:34:56:78:9a:bc. Words are as in the frame, and
 * a mask has the bits that stay: 4 and 5 are the end of the destination. */
static const uint8_t pedit_parms[] = {
	0, 0, 0, 0,  0, 0, 0, 0,  3, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  2, 0, 0, 0,
	0xff, 0xff, 0, 0,  0, 0, 0x12, 0x34,  4, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
	0, 0, 0, 0,  0x56, 0x78, 0x9a, 0xbc,  8, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0,
};

/* Twice: a key of the Ethernet header (1), which is set (0). */
static const uint8_t pedit_keys[] = {
	20, 0, 6, 0x80,  6, 0, 1, 0, 1, 0, 0, 0,  6, 0, 2, 0, 0, 0, 0, 0,
	20, 0, 6, 0x80,  6, 0, 1, 0, 1, 0, 0, 0,  6, 0, 2, 0, 0, 0, 0, 0,
};

static const uint8_t no_percpu[] = { 1, 0, 0, 0, 1, 0, 0, 0 };
static const uint8_t pass_parms[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };

static void assert_rewrites(const struct nlattr *actions, int pass)
{
	const struct want pedit[] = {
		{ TCA_ACT_KIND, 6, "pedit" }, { TCA_ACT_OPTIONS, 0, NULL },
		{ TCA_ACT_COOKIE, 8, "waymark1" },
		{ TCA_ACT_FLAGS, sizeof(no_percpu), no_percpu },
	};
	const struct want how[] = {
		{ TCA_PEDIT_PARMS_EX, sizeof(pedit_parms), pedit_parms },
		{ TCA_PEDIT_KEYS_EX, sizeof(pedit_keys), pedit_keys },
	};
	const struct want gact[] = {
		{ TCA_ACT_KIND, 5, "gact" }, { TCA_ACT_OPTIONS, 0, NULL },
		{ TCA_ACT_FLAGS, sizeof(no_percpu), no_percpu },
	};
	const struct want pass_how[] = { { TCA_GACT_PARMS, sizeof(pass_parms), pass_parms } };

	assert_attributes(attribute(actions, 1), pedit, 4);
	assert_attributes(attribute(attribute(actions, 1), TCA_ACT_OPTIONS), how, 2);
	assert_attributes(attribute(actions, pass), gact, 3);
	assert_attributes(attribute(attribute(actions, pass), TCA_ACT_OPTIONS), pass_how, 1);
}

static int actions_in(const struct nlattr *actions)
{
	const struct nlattr *attr;
	int n = 0;

	mnl_attr_for_each_nested(attr, actions)
		n++;
	return n;
}

static void test_message_rewrites(void **state)
{
	char buffer[2 * WM_NL_MESSAGE];
	const struct nlattr *actions;

	(void)state;
	actions = attribute(options_of(build_mac(buffer, 1, 0xbc9a78, -1), WM_FLOWER_PREF_IPV4,
				       ETH_P_IP), TCA_FLOWER_ACT);
	assert_rewrites(actions, 2);
	assert_int_equal(actions_in(actions), 2);
	/* IPv6, TCP and a queue: the longest. What forwards comes last. */
	actions = attribute(options_of(build_mac(buffer, 3, 0xbc9a78, 5), WM_FLOWER_PREF_IPV6,
				       ETH_P_IPV6), TCA_FLOWER_ACT);
	assert_rewrites(actions, 3);
	assert_int_equal(actions_in(actions), 3);
}

static void test_message_rewrites_reads_back(void **state)
{
	char buffer[2 * WM_NL_MESSAGE];
	struct wm_flower_seen seen;

	(void)state;
	for (uint32_t n = 0; n < 8; n++) {
		struct wm_rule rule = rule_of(n % 4, 0xbc9a78);
		int queue = n < 4 ? -1 : 5;

		assert_true(wm_flower__read(build_mac(buffer, n % 4, rule.mark, queue), 0, &seen));
		assert_true(seen.ours && seen.rewrites);
		assert_false(seen.has_mark);
		assert_int_equal(seen.queue, queue);
		assert_memory_equal(&seen.rule.flow, &rule.flow, sizeof(rule.flow));
		assert_int_equal(wm_flower__mark(&seen, PREFIX), 0xbc9a78);
		assert_int_equal(wm_flower__mark(&seen, OTHER_PREFIX), 0);
		assert_int_equal(wm_flower__mark(&seen, 0), 0);
	}
	assert_true(wm_flower__read(build(buffer, 1, 1, 77), 0, &seen));
	assert_int_equal(wm_flower__mark(&seen, 0), 77);
	assert_int_equal(wm_flower__mark(&seen, PREFIX), 0);
}

/* One byte of what is done, or of whose it is, and it is somebody else's rule. */
static void test_nearly_rewrites(void **state)
{
	static const struct {
		const void *find;
		size_t size, at;
	} changes[] = {
		{ "waymark1", 8, 7 },     { "pedit", 6, 0 },
		{ pedit_parms, sizeof(pedit_parms), 20 /* nkeys */ },
		{ pedit_parms, sizeof(pedit_parms), 24 /* a mask */ },
		{ pedit_parms, sizeof(pedit_parms), 26 },
		{ pedit_parms, sizeof(pedit_parms), 32 /* where */ },
		{ pedit_parms, sizeof(pedit_parms), 40 /* where, by the packet */ },
		{ pedit_parms, sizeof(pedit_parms), 48 },
		{ pedit_parms, sizeof(pedit_parms), 56 },
		{ pedit_keys, sizeof(pedit_keys), 8 /* of which header */ },
		{ pedit_keys, sizeof(pedit_keys), 16 /* set or add */ },
		{ pedit_keys, sizeof(pedit_keys), 28 }, { pedit_keys, sizeof(pedit_keys), 36 },
	};
	char buffer[2 * WM_NL_MESSAGE];
	struct wm_flower_seen seen;

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct nlmsghdr *msg = build_mac(buffer, 1, 0xbc9a78, -1);
		uint8_t *place = memmem(msg, msg->nlmsg_len, changes[i].find, changes[i].size);

		assert_non_null(place);
		place[changes[i].at] ^= 1;
		wm_flower__read(msg, NOW, &seen);
		if (seen.ours || seen.rewrites)
			fail_msg("change %zu: taken for a rule of waymark's", i);
	}
}

static void test_rewrites_mangled(void **state)
{
	char buffer[2 * WM_NL_MESSAGE];
	struct nlmsghdr *whole = build_mac(buffer, 1, 0xbc9a78, 5);
	struct wm_flower_seen seen;

	(void)state;
	for (size_t len = sizeof(struct nlmsghdr); len <= whole->nlmsg_len; len += 4) {
		struct nlmsghdr *msg = malloc(len);

		memcpy(msg, whole, len);
		msg->nlmsg_len = len;
		wm_flower__read(msg, NOW, &seen);
		free(msg);
	}
	for (size_t at = 16; at < whole->nlmsg_len; at++) {
		uint8_t *msg = malloc(whole->nlmsg_len);

		memcpy(msg, whole, whole->nlmsg_len);
		msg[at] ^= 0xff;
		wm_flower__read((void *)msg, NOW, &seen);
		free(msg);
	}
}

/* --- listings of a real kernel --- */

static struct wm_flow flow_of(int af, const char *src, uint16_t sport, const char *dst,
			      uint8_t proto)
{
	struct wm_flow flow = { .sport = htons(sport), .dport = htons(80), .proto = proto };

	flow.family = af == AF_INET6 ? WM_IPV6 : WM_IPV4;
	assert_int_equal(inet_pton(af, src, flow.src), 1);
	assert_int_equal(inet_pton(af, dst, flow.dst), 1);
	return flow;
}

static void assert_listed(const void *message, const struct wm_flow *flow, uint32_t handle,
			  uint64_t bytes, uint64_t last_used)
{
	struct wm_flower_seen seen;

	assert_true(wm_flower__read(message, NOW, &seen));
	assert_true(seen.ours);
	assert_int_equal(seen.handle, handle);
	assert_memory_equal(&seen.rule.flow, flow, sizeof(*flow));
	assert_int_equal(seen.rule.mark, 0x1234);
	assert_int_equal(seen.stats.packets, 5);
	assert_int_equal(seen.stats.bytes, bytes);
	assert_int_equal(seen.stats.last_used_ns, last_used);
}

static void test_listed_rules(void **state)
{
	struct wm_flow tcp = flow_of(AF_INET, "192.0.2.2", 1001, "192.0.2.1", IPPROTO_TCP);
	struct wm_flow udp = flow_of(AF_INET6, "2001:db8::2", 1002, "2001:db8::1", IPPROTO_UDP);

	(void)state;
	assert_listed((const void *)dump_tcp4, &tcp, 2, 470, NOW - 2940000000ull);
	assert_listed((const void *)dump_udp6, &udp, 3, 510, NOW - 2920000000ull);
}

static void test_listed_others(void **state)
{
	struct wm_flower_seen seen;

	(void)state;
	assert_true(wm_flower__read((const void *)dump_foreign, NOW, &seen));
	assert_false(seen.ours);
	assert_true(seen.has_mark);
	assert_int_equal(seen.mark, 1234);
	assert_int_equal(seen.pref, 3);
	assert_true(wm_flower__read((const void *)dump_matchall, NOW, &seen));
	assert_false(seen.ours);
	assert_true(seen.has_mark);
	assert_int_equal(seen.mark, 99);
	assert_string_equal(seen.kind, "matchall");
}

/* A rule of ours is one in every respect, or not at all: one bit of kind, cookie, chain
 * or preference makes it somebody else's. */
static void test_listed_nearly_ours(void **state)
{
	static const size_t places[] = { 34 /* pref */, 40 /* kind */, 52 /* chain */ };
	uint8_t copy[sizeof(dump_tcp4)];
	struct wm_flower_seen seen;
	uint8_t *cookie;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		memcpy(copy, dump_tcp4, sizeof(copy));
		copy[places[i]] ^= 1;
		wm_flower__read((void *)copy, NOW, &seen);
		assert_false(seen.ours);
	}
	memcpy(copy, dump_tcp4, sizeof(copy));
	cookie = memmem(copy, sizeof(copy), "waymark1", 8);
	assert_non_null(cookie);
	cookie[7] = '2';
	assert_true(wm_flower__read((void *)copy, NOW, &seen));
	assert_false(seen.ours);
}

/* Cut anywhere, and with any length in any attribute: nothing is read outside (the
 * copy ends where the memory ends, for the sanitizer). */
static void test_listed_mangled(void **state)
{
	struct wm_flower_seen seen;

	(void)state;
	for (size_t len = sizeof(struct nlmsghdr); len <= sizeof(dump_tcp4); len += 4) {
		struct nlmsghdr *msg = malloc(len);

		memcpy(msg, dump_tcp4, len);
		msg->nlmsg_len = len;
		wm_flower__read(msg, NOW, &seen);
		free(msg);
	}
	for (size_t at = 16; at < sizeof(dump_tcp4); at++) {
		uint8_t *msg = malloc(sizeof(dump_tcp4));

		memcpy(msg, dump_tcp4, sizeof(dump_tcp4));
		msg[at] ^= 0xff;
		wm_flower__read((void *)msg, NOW, &seen);
		free(msg);
	}
}

/* --- the backend --- */

struct world {
	struct fake_tc tc;
	struct wm_offload *off;
	struct wm_steerer *steerer;
	struct wm_err err;
	/* What list() told. */
	size_t listed;
	uint32_t mark_sum;
	/* What the backend wrote on standard error. */
	int saved;
	FILE *log;
};

static struct wm_nl *open_nl(struct world *w)
{
	struct wm_nl_io io = fake_tc__io(&w->tc);
	struct wm_nl *nl;

	assert_int_equal(wm_nl__open_io(&nl, &io), 0);
	return nl;
}

static int open_off(struct world *w)
{
	w->err.text[0] = '\0';
	return wm_flower__start(&w->off, open_nl(w), "nic0", &w->err);
}

static void open_steerer(struct world *w)
{
	assert_int_equal(wm_flower_steer__start(&w->steerer, open_nl(w), "nic0"), 0);
}

static void close_off(struct world *w)
{
	if (w->off)
		wm_offload_flower.close(w->off);
	if (w->steerer)
		wm_steer_flower.close(w->steerer);
	w->off = NULL;
	w->steerer = NULL;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	fake_tc__init(&w->tc);
	w->log = tmpfile();
	w->saved = dup(STDERR_FILENO);
	dup2(fileno(w->log), STDERR_FILENO);
	*state = w;
	return w->log ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	close_off(w);
	dup2(w->saved, STDERR_FILENO);
	close(w->saved);
	fclose(w->log);
	fake_tc__free(&w->tc);
	free(w);
	return 0;
}

static int logged(struct world *w, const char *text)
{
	return log_count(w->log, text);
}

static void install(struct world *w, uint32_t first, size_t n, uint32_t mark, int *result)
{
	struct wm_rule *rules = calloc(n, sizeof(*rules));

	for (size_t i = 0; i < n; i++)
		rules[i] = rule_of(first + i, mark);
	wm_offload_flower.install(w->off, rules, n, result);
	free(rules);
}

static int install_one(struct world *w, uint32_t n, uint32_t mark)
{
	int result = 1;

	install(w, n, 1, mark, &result);
	return result;
}

static int remove_one(struct world *w, uint32_t n)
{
	struct wm_flow flow = rule_of(n, 0).flow;
	int result = 1;

	wm_offload_flower.remove(w->off, &flow, 1, &result);
	return result;
}

static void on_rule(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats)
{
	struct world *w = arg;

	assert_non_null(stats);
	w->listed++;
	w->mark_sum += rule->mark;
}

static int list(struct world *w)
{
	w->listed = 0;
	w->mark_sum = 0;
	return wm_offload_flower.list(w->off, on_rule, w);
}

static void test_open(void **state)
{
	struct world *w = *state;
	const struct wm_offload_caps *caps;

	assert_int_equal(open_off(w), 0);
	assert_true(w->tc.qdisc);
	assert_int_equal(w->tc.n_filters, 0);
	caps = wm_offload_flower.caps(w->off);
	assert_int_equal(caps->mark_bits, 16);
	assert_true(caps->tcp_flags && caps->stats);
	close_off(w);
	assert_int_equal(open_off(w), 0); /* with the qdisc that is there */
}

/* In the mac lane: other marks, and rules of the other lane and of other prefixes are of no use. */
static void test_mac_lane(void **state)
{
	struct world *w = *state;

	assert_int_equal(open_off(w), 0);
	assert_int_equal(wm_offload_flower.caps(w->off)->mac_bits, 24);
	assert_int_equal(install_one(w, 1, 5), 0);
	wm_offload_flower.mac_lane(w->off, PREFIX);
	assert_int_equal(wm_offload_flower.caps(w->off)->mark_bits, 24);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 1);
	assert_int_equal(w->mark_sum, 0);
	assert_int_equal(install_one(w, 1, 0x800001), 0); /* in its place */
	assert_int_equal(install_one(w, 2, 0x123456), 0);
	assert_int_equal(install_one(w, 3, 1 << 24), -ERANGE);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 2);
	assert_int_equal(w->mark_sum, 0x800001 + 0x123456);
	wm_offload_flower.mac_lane(w->off, OTHER_PREFIX);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 2);
	assert_int_equal(w->mark_sum, 0);
	assert_int_equal(remove_one(w, 1), 0);
	assert_int_equal(remove_one(w, 2), 0);
	assert_int_equal(w->tc.n_filters, 0);
}

static void test_mac_lane_refused(void **state)
{
	struct world *w = *state;
	int result[4];

	w->tc.no_rewriting = true;
	assert_int_equal(open_off(w), 0);
	wm_offload_flower.mac_lane(w->off, PREFIX);
	install(w, 0, 4, 7, result);
	for (int i = 0; i < 4; i++)
		assert_int_equal(result[i], -EOPNOTSUPP);
	assert_int_equal(logged(w, TC_REWRITING_TEXT), 1);
	assert_int_equal(w->tc.n_filters, 0);
}

static void test_open_refused(void **state)
{
	struct world *w = *state;

	w->tc.ifindex = 0;
	assert_int_equal(open_off(w), -ENODEV);
	assert_non_null(strstr(w->err.text, "nic0"));
	w->tc.ifindex = IFINDEX;
	w->tc.no_clsact = true;
	assert_int_equal(open_off(w), -ENOENT);
	assert_non_null(strstr(w->err.text, "CONFIG_NET_SCH_INGRESS"));
	assert_non_null(strstr(w->err.text, "Specified qdisc kind is unknown"));
	w->tc.no_clsact = false;
	w->tc.no_flower = true;
	assert_int_equal(open_off(w), -EOPNOTSUPP);
	assert_non_null(strstr(w->err.text, "CONFIG_NET_CLS_FLOWER"));
	assert_null(w->off);
}

static void test_install_many(void **state)
{
	struct world *w = *state;
	int result[300];
	size_t before;

	assert_int_equal(open_off(w), 0);
	before = w->tc.sends;
	install(w, 0, 300, 5, result);
	for (int i = 0; i < 300; i++)
		assert_int_equal(result[i], 0);
	assert_int_equal(w->tc.n_filters, 300);
	assert_int_equal(w->tc.sends - before, 3); /* 128, 128, 44 */
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 300);
	assert_int_equal(w->mark_sum, 1500);
}

static void test_refused_in_the_middle(void **state)
{
	struct world *w = *state;
	struct wm_rule rules[5];
	int result[5];

	assert_int_equal(open_off(w), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5; i++)
			rules[i] = rule_of(i, i == 2 ? TC_REFUSED_MARK : 5);
		wm_offload_flower.install(w->off, rules, 5, result);
		for (int i = 0; i < 5; i++)
			assert_int_equal(result[i], i == 2 ? -EOPNOTSUPP : 0);
	}
	assert_int_equal(w->tc.n_filters, 4);
	assert_int_equal(logged(w, TC_REFUSED_TEXT), 1);
	assert_int_equal(remove_one(w, 2), -ENOENT);
	assert_int_equal(install_one(w, 2, 5), 0);
}

/* --- queues --- */

static struct wm_queueset queues_of(const char *text)
{
	struct wm_queueset set = {};

	if (*text)
		assert_int_equal(wm_queueset__parse(&set, text), 0);
	return set;
}

static void use_queues(struct world *w, const char *text)
{
	struct wm_queueset set = queues_of(text);

	wm_offload_flower.queues(w->off, &set);
}

/* A second action with the queue and, in itself, skip_sw; the first is as it was. */
static void test_message_names_a_queue(void **state)
{
	const struct nla_bitfield32 skip_sw = { 4, 4 };
	const struct tc_skbedit how = { .action = TC_ACT_PIPE };
	const uint16_t queue = 300;
	const struct want action[] = {
		{ TCA_ACT_KIND, 8, "skbedit" },
		{ TCA_ACT_OPTIONS, 0, NULL },
		{ TCA_ACT_FLAGS, sizeof(skip_sw), &skip_sw },
	};
	const struct want skbedit[] = {
		{ TCA_SKBEDIT_PARMS, sizeof(how), &how },
		{ TCA_SKBEDIT_QUEUE_MAPPING, sizeof(queue), &queue },
	};
	char buffer[2 * WM_NL_MESSAGE];
	const struct nlattr *options, *second;
	struct nlmsghdr *msg = build_to(buffer, 3, 0x42, 500, queue);
	struct wm_flower_seen seen;

	(void)state;
	options = options_of(msg, WM_FLOWER_PREF_IPV6, ETH_P_IPV6);
	assert_action(options, 500);
	second = attribute(attribute(options, TCA_FLOWER_ACT), 2);
	assert_attributes(second, action, 3);
	assert_attributes(attribute(second, TCA_ACT_OPTIONS), skbedit, 2);
	assert_true(wm_flower__read(msg, 0, &seen) && seen.ours);
	assert_int_equal(seen.mark, 500);
	assert_int_equal(seen.queue, 300);
	assert_true(wm_flower__read(build(buffer, 3, 0x42, 500), 0, &seen));
	assert_int_equal(seen.queue, -1);
}

/* Every rule to one of them, and no queue is left out. */
static void test_rules_lead_to_the_queues(void **state)
{
	struct world *w = *state;
	int result[200], hits[8] = {};

	assert_int_equal(open_off(w), 0);
	use_queues(w, "1-3,6");
	install(w, 0, 200, 5, result);
	for (int i = 0; i < 200; i++) {
		int queue = fake_tc__queue(&w->tc, i + 1);

		assert_int_equal(result[i], 0);
		assert_in_range(queue, 0, 7);
		hits[queue]++;
	}
	for (int q = 0; q < 8; q++)
		assert_true((hits[q] > 20) == ((q >= 1 && q <= 3) || q == 6));
	assert_int_equal(list(w), 0);
	assert_int_equal(w->mark_sum, 1000);
	use_queues(w, "");
	assert_int_equal(install_one(w, 500, 5), 0);
	assert_int_equal(fake_tc__queue(&w->tc, 201), -1);
}

/* With mark 0, which nobody holds on to: whoever reconciles deletes them. */
static void test_rules_that_lead_elsewhere_are_told(void **state)
{
	struct world *w = *state;
	int result[100];
	uint32_t right = 0;

	assert_int_equal(open_off(w), 0);
	install(w, 0, 50, 5, result);
	use_queues(w, "0-1");
	install(w, 50, 50, 5, result);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 100);
	assert_int_equal(w->mark_sum, 50 * 5); /* the first name no queue */
	use_queues(w, "1-2");
	for (uint32_t handle = 51; handle <= 100; handle++)
		right += fake_tc__queue(&w->tc, handle) == 1;
	assert_int_equal(list(w), 0);
	assert_in_range(right, 1, 49);
	assert_int_equal(w->mark_sum, right * 5);
	use_queues(w, "");
	assert_int_equal(list(w), 0);
	assert_int_equal(w->mark_sum, 50 * 5);
}

/* A NIC that cannot name queues marks all the same; said once. */
static void test_a_nic_that_only_marks(void **state)
{
	struct world *w = *state;
	struct wm_rule rules[5];
	int result[5];

	assert_int_equal(open_off(w), 0);
	w->tc.no_queues = true;
	use_queues(w, "0-3");
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5; i++)
			rules[i] = rule_of(i, i == 3 ? TC_REFUSED_MARK : 5);
		wm_offload_flower.install(w->off, rules, 5, result);
		for (int i = 0; i < 5; i++)
			assert_int_equal(result[i], i == 3 ? -EOPNOTSUPP : 0);
	}
	assert_int_equal(w->tc.n_filters, 4);
	assert_int_equal(logged(w, "does not let rules name a queue"), 1);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->mark_sum, 20);
}

static void expect_all(const int *result, size_t n, int want)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(result[i], want);
}

/* Both families, in either lane; and a daemon that comes after finds them. */
static void test_a_nic_with_one_preference(void **state)
{
	struct world *w = *state;
	int result[30];

	for (int lane = 0; lane < 2; lane++) {
		w->tc.max_pref = 1;
		assert_int_equal(open_off(w), 0);
		wm_offload_flower.mac_lane(w->off, lane ? PREFIX : 0);
		install(w, 0, 30, 5, result);
		expect_all(result, 30, 0);
		assert_int_equal(w->tc.n_filters, 30);
		assert_int_equal(logged(w, "takes rules with pref 1 only"), 1 + lane);
		install(w, 0, 30, 6, result); /* replaced where they are */
		expect_all(result, 30, 0);
		assert_int_equal(list(w), 0);
		assert_int_equal(w->mark_sum, 30 * 6);
		close_off(w);
		assert_int_equal(open_off(w), 0);
		wm_offload_flower.mac_lane(w->off, lane ? PREFIX : 0);
		assert_int_equal(list(w), 0);
		assert_int_equal(w->listed, 30);
		assert_int_equal(w->mark_sum, 30 * 6);
		install(w, 30, 2, 7, result);
		expect_all(result, 2, 0);
		for (uint32_t i = 0; i < 32; i++)
			assert_int_equal(remove_one(w, i), 0);
		assert_int_equal(w->tc.n_filters, 0);
		close_off(w);
	}
}

static void test_one_preference_and_no_queues(void **state)
{
	struct world *w = *state;
	int result[5];

	w->tc.max_pref = 1;
	w->tc.no_queues = true;
	assert_int_equal(open_off(w), 0);
	use_queues(w, "0-3");
	install(w, 0, 5, 5, result);
	expect_all(result, 5, 0);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->mark_sum, 25);
}

/* The preferences of the families stay where it was not for them that a rule was refused. */
static void test_another_refusal_changes_no_preference(void **state)
{
	struct world *w = *state;
	int result[5];

	assert_int_equal(open_off(w), 0);
	assert_int_equal(install_one(w, 0, TC_REFUSED_MARK), -EOPNOTSUPP);
	install(w, 0, 5, 5, result);
	expect_all(result, 5, 0);
	assert_int_equal(logged(w, "takes rules with pref 1 only"), 0);
	w->tc.max_pref = 1; /* rules that are there count for more than a refusal */
	assert_int_equal(install_one(w, 7, 5), -EOPNOTSUPP);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 5);
}

/* Another device under the same name is asked anew. */
static void test_another_device_takes_other_preferences(void **state)
{
	struct world *w = *state;

	w->tc.max_pref = 1;
	assert_int_equal(open_off(w), 0);
	assert_int_equal(install_one(w, 1, 5), 0);
	memset(w->tc.filter, 0, sizeof(w->tc.filter));
	w->tc.n_filters = 0;
	w->tc.ifindex++;
	w->tc.max_pref = 0;
	assert_int_equal(list(w), 0);
	assert_int_equal(install_one(w, 1, 5), 0);
	w->tc.max_pref = 1;
	assert_int_equal(install_one(w, 2, 5), -EOPNOTSUPP); /* so it was not pref 1 */
}

static void test_the_only_preference_is_taken(void **state)
{
	uint8_t copy[sizeof(dump_foreign)];
	struct world *w = *state;
	int result[5];

	memcpy(copy, dump_foreign, sizeof(copy));
	copy[34] = WM_FLOWER_PREF_ONLY;
	w->tc.foreign[0] = copy;
	w->tc.max_pref = 1;
	assert_int_equal(open_off(w), 0);
	for (int i = 0; i < 3; i++) {
		install(w, 0, 5, 5, result);
		expect_all(result, 5, -EOPNOTSUPP);
	}
	assert_int_equal(logged(w, "the flower filter with handle 0x1 is there; move it"), 1);
	assert_int_equal(w->tc.n_filters, 0);
	w->tc.foreign[0] = NULL;
	install(w, 0, 5, 5, result);
	expect_all(result, 5, 0);
}

/* Where something else is refused, rules go on naming queues. */
static void test_another_refusal_changes_no_queue(void **state)
{
	struct world *w = *state;

	assert_int_equal(open_off(w), 0);
	use_queues(w, "2");
	assert_int_equal(install_one(w, 1, TC_REFUSED_MARK), -EOPNOTSUPP);
	assert_int_equal(logged(w, "does not let rules name a queue"), 0);
	assert_int_equal(install_one(w, 2, 5), 0);
	assert_int_equal(fake_tc__queue(&w->tc, 1), 2);
}

/* --- steering rules --- */

/* Part `part` of four of vip n: n & 2: IPv6, n & 1: TCP; n & 4: every port. */
static struct wm_steer steer_of(uint32_t n, uint32_t part, uint16_t queue)
{
	struct wm_steer rule = { .queue = queue, .family = n & 2 ? WM_IPV6 : WM_IPV4 };

	rule.proto = n & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	rule.dport = n & 4 ? 0 : htons(443);
	rule.sport = htons(part << 1);
	rule.sport_mask = htons(3 << 1);
	for (int i = 0; i < (n & 2 ? 4 : 1); i++)
		rule.dst[i] = htonl(0x0ac80101 + n + i);
	return rule;
}

static struct nlmsghdr *build_steer(char *buffer, const struct wm_steer *rule, uint32_t handle)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);

	msg->nlmsg_type = RTM_NEWTFILTER;
	wm_flower__put_steer_name(msg, IFINDEX, rule->family, handle);
	wm_flower__put_steer(msg, rule);
	assert_true(msg->nlmsg_len <= WM_NL_MESSAGE);
	return msg;
}

/* What `tc filter add ... pref 13 protocol ip flower skip_sw ip_proto tcp dst_ip D dst_port
 * 443 src_port 4/6 action skbedit queue_mapping 2 skip_sw` sends, and a cookie. */
static void test_message_steers(void **state)
{
	const uint16_t eth = htons(ETH_P_IP), dport = htons(443), sport = htons(4), mask = htons(6);
	const uint32_t dst = htonl(0x0ac80102), skip_sw = 2;
	const uint8_t proto = IPPROTO_TCP;
	const struct nla_bitfield32 act_skip_sw = { 4, 4 };
	const struct tc_skbedit how = { .action = TC_ACT_PIPE };
	const uint16_t queue = 2;
	const struct want want[] = {
		{ TCA_FLOWER_KEY_ETH_TYPE, 2, &eth }, { TCA_FLOWER_KEY_IP_PROTO, 1, &proto },
		{ TCA_FLOWER_KEY_IPV4_DST, 4, &dst }, { TCA_FLOWER_KEY_TCP_DST, 2, &dport },
		{ TCA_FLOWER_KEY_TCP_SRC, 2, &sport }, { TCA_FLOWER_KEY_TCP_SRC_MASK, 2, &mask },
		{ TCA_FLOWER_FLAGS, 4, &skip_sw }, { TCA_FLOWER_ACT, 0, NULL },
	};
	const struct want action[] = {
		{ TCA_ACT_KIND, 8, "skbedit" }, { TCA_ACT_OPTIONS, 0, NULL },
		{ TCA_ACT_COOKIE, 8, "waymark1" },
		{ TCA_ACT_FLAGS, sizeof(act_skip_sw), &act_skip_sw },
	};
	const struct want skbedit[] = {
		{ TCA_SKBEDIT_PARMS, sizeof(how), &how },
		{ TCA_SKBEDIT_QUEUE_MAPPING, sizeof(queue), &queue },
	};
	const struct wm_steer rule = steer_of(1, 2, queue);
	const struct nlattr *options, *first;
	char buffer[2 * WM_NL_MESSAGE];

	(void)state;
	options = options_of(build_steer(buffer, &rule, 0x42), WM_FLOWER_PREF_STEER_IPV4, ETH_P_IP);
	assert_attributes(options, want, sizeof(want) / sizeof(want[0]));
	first = attribute(attribute(options, TCA_FLOWER_ACT), 1);
	assert_attributes(first, action, 4);
	assert_attributes(attribute(first, TCA_ACT_OPTIONS), skbedit, 2);
}

/* Every port of a vip, from every port: these keys are not there at all. */
static void test_message_steers_all_ports(void **state)
{
	const uint16_t eth = htons(ETH_P_IPV6);
	const uint32_t skip_sw = 2;
	const uint8_t proto = IPPROTO_UDP;
	struct wm_steer rule = steer_of(2 | 4, 0, 7);
	const struct want want[] = {
		{ TCA_FLOWER_KEY_ETH_TYPE, 2, &eth }, { TCA_FLOWER_KEY_IP_PROTO, 1, &proto },
		{ TCA_FLOWER_KEY_IPV6_DST, 16, rule.dst },
		{ TCA_FLOWER_FLAGS, 4, &skip_sw }, { TCA_FLOWER_ACT, 0, NULL },
	};
	char buffer[2 * WM_NL_MESSAGE];

	(void)state;
	rule.sport_mask = 0;
	assert_attributes(options_of(build_steer(buffer, &rule, 0x42), WM_FLOWER_PREF_STEER_IPV6,
				     ETH_P_IPV6), want, sizeof(want) / sizeof(want[0]));
}

/* A steering rule is no mark rule, and the other way round. */
static void test_message_steers_reads_back(void **state)
{
	char buffer[2 * WM_NL_MESSAGE];
	struct wm_flower_seen seen;
	uint8_t *cookie;

	(void)state;
	for (uint32_t n = 0; n < 8; n++) {
		struct wm_steer rule = steer_of(n, n % 4, n);
		struct nlmsghdr *msg = build_steer(buffer, &rule, n + 1);

		assert_true(wm_flower__read(msg, 0, &seen));
		assert_true(seen.steers && !seen.ours && !seen.has_mark);
		assert_int_equal(seen.handle, n + 1);
		assert_memory_equal(&seen.steer, &rule, sizeof(rule));
		((struct tcmsg *)mnl_nlmsg_get_payload(msg))->tcm_info ^= 1 << 16;
		assert_true(wm_flower__read(msg, 0, &seen) && !seen.steers);
		msg = build_steer(buffer, &rule, n + 1);
		cookie = memmem(msg, msg->nlmsg_len, "waymark1", 8);
		cookie[0]++;
		assert_true(wm_flower__read(msg, 0, &seen) && !seen.steers);
	}
	assert_true(wm_flower__read(build_to(buffer, 1, 2, 500, 3), 0, &seen));
	assert_true(seen.ours && !seen.steers);
}

static char words[WM_STEER_WORDS];

/* Vips 0 to n - 1, four parts each, over queues from `queue` on. Returns the results that
 * are not 0. */
static size_t steer(struct world *w, size_t n, uint16_t queue, bool make_room)
{
	struct wm_steer *rules = calloc(4 * n + 1, sizeof(*rules));
	int *result = calloc(4 * n + 1, sizeof(*result));
	size_t bad = 0;

	for (size_t i = 0; i < 4 * n; i++)
		rules[i] = steer_of(i / 4, i % 4, queue + i % 4);
	memset(result, 0xff, 4 * n * sizeof(*result));
	assert_int_equal(wm_steer_flower.steer(w->steerer, rules, 4 * n, make_room, result, words),
			 0);
	for (size_t i = 0; i < 4 * n; i++)
		bad += result[i] != 0;
	free(rules);
	free(result);
	return bad;
}

static void test_steering_is_made_so(void **state)
{
	struct world *w = *state;
	size_t adds;

	open_steerer(w);
	assert_int_equal(steer(w, 50, 2, false), 0);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 200);
	for (int queue = 2; queue < 6; queue++)
		assert_int_equal(fake_tc__steers(&w->tc, queue), 50);
	assert_string_equal(words, "");
	adds = w->tc.adds;
	assert_int_equal(steer(w, 50, 2, false), 0);
	assert_int_equal(w->tc.adds, adds); /* all is there */
	assert_int_equal(steer(w, 40, 2, false), 0);
	assert_int_equal(w->tc.adds, adds);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 160);
	assert_int_equal(steer(w, 0, 2, false), 0);
	assert_int_equal(w->tc.n_filters, 0);
}

/* Never fewer of them on the way, which a table without a spare place would show. */
static void test_steering_replaces_where_the_queue_differs(void **state)
{
	struct world *w = *state;
	size_t deletes;

	open_steerer(w);
	assert_int_equal(steer(w, 10, 0, false), 0);
	deletes = w->tc.deletes;
	assert_int_equal(steer(w, 10, 4, false), 0);
	assert_int_equal(w->tc.deletes, deletes);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 40);
	for (int queue = 4; queue < 8; queue++)
		assert_int_equal(fake_tc__steers(&w->tc, queue), 10);
}

static void test_steering_survives_a_restart(void **state)
{
	struct world *w = *state;
	size_t adds;

	open_steerer(w);
	assert_int_equal(steer(w, 10, 0, false), 0);
	close_off(w);
	open_steerer(w);
	adds = w->tc.adds;
	assert_int_equal(steer(w, 10, 0, false), 0);
	assert_int_equal(w->tc.adds, adds + 1); /* the probe */
	assert_int_equal(w->tc.n_filters, 40);
}

/* Each kind minds its own: mark rules are listed, steering rules are not. */
static void test_steering_and_marks_do_not_meet(void **state)
{
	struct world *w = *state;
	int result[30];

	assert_int_equal(open_off(w), 0);
	open_steerer(w);
	install(w, 0, 30, 5, result);
	assert_int_equal(steer(w, 10, 0, false), 0);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 30);
	assert_int_equal(steer(w, 0, 0, false), 0);
	assert_int_equal(w->tc.n_filters, 30);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 30);
}

/* Somebody's filter in the same preference keeps its handle. */
static void test_steering_leaves_others_alone(void **state)
{
	struct tc_filter *foreign;
	struct world *w = *state;
	uint8_t *cookie;

	open_steerer(w);
	assert_int_equal(steer(w, 1, 0, false), 0);
	foreign = &w->tc.filter[0];
	cookie = memmem(foreign->message, sizeof(foreign->message), "waymark1", 8);
	cookie[7] = '2';
	assert_int_equal(steer(w, 0, 0, false), 0);
	assert_int_equal(w->tc.n_filters, 1);
	assert_int_equal(steer(w, 2, 0, false), 0);
	assert_int_equal(w->tc.n_filters, 9);
	assert_true(foreign->used);
	assert_non_null(memmem(foreign->message, sizeof(foreign->message), "waymark2", 8));
}

/* All or none, with the NIC's words. */
static void test_steering_refused_changes_nothing(void **state)
{
	struct world *w = *state;

	open_steerer(w);
	assert_int_equal(steer(w, 10, 0, false), 0);
	w->tc.no_masks = true;
	assert_int_equal(steer(w, 12, 0, false), 8);
	assert_string_equal(words, TC_MASK_TEXT);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 40);
	w->tc.no_masks = false;
	w->tc.capacity = 44;
	assert_int_equal(steer(w, 12, 0, false), 4);
	assert_string_equal(words, TC_FULL_TEXT);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 40);
	assert_int_equal(steer(w, 12, 0, true), 4);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 44); /* what fits */
}

/* Old ones have to go first, and do so when that is asked for. */
static void test_steering_makes_room(void **state)
{
	struct wm_steer other = steer_of(30, 0, 5);
	struct world *w = *state;
	int result = 1;

	w->tc.capacity = 8;
	open_steerer(w);
	assert_int_equal(steer(w, 2, 0, false), 0);
	assert_int_equal(wm_steer_flower.steer(w->steerer, &other, 1, false, &result, words), 0);
	assert_int_equal(result, -ENOSPC);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 8);
	assert_int_equal(wm_steer_flower.steer(w->steerer, &other, 1, true, &result, words), 0);
	assert_int_equal(result, 0);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 1);
	assert_int_equal(fake_tc__steers(&w->tc, 5), 1);
}

/* A rule whose answer got lost is there: taken back like the others. */
static void test_steering_with_lost_answers(void **state)
{
	struct world *w = *state;

	open_steerer(w);
	assert_int_equal(steer(w, 1, 0, false), 0);
	/* device, qdisc, two listings of four rules and their ends; then an answer */
	w->tc.lose_from = w->tc.answers + 2 + 4 + 2 + 1;
	w->tc.lose = 1;
	assert_int_equal(steer(w, 2, 0, false), 1);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 4);
	assert_int_equal(steer(w, 2, 0, false), 0);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 8);
}

static void test_steering_of_a_device_that_changes(void **state)
{
	struct wm_steer rule = steer_of(1, 0, 3);
	struct world *w = *state;
	int result;

	open_steerer(w);
	assert_int_equal(steer(w, 3, 0, false), 0);
	w->tc.ifindex = 0;
	assert_int_equal(wm_steer_flower.steer(w->steerer, &rule, 1, false, &result, words),
			 -ENODEV);
	w->tc.ifindex = 8;
	w->tc.qdisc = false;
	memset(w->tc.filter, 0, sizeof(w->tc.filter));
	w->tc.n_filters = 0;
	assert_int_equal(steer(w, 3, 0, false), 0);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 12);
}

/* A kernel or device that takes none: said in words that a person can act on, and asked
 * again. Nothing is made on a device that shall have none. */
static void test_steering_of_a_device_without_filters(void **state)
{
	struct world *w = *state;

	w->tc.no_clsact = true;
	open_steerer(w);
	assert_int_equal(steer(w, 0, 0, false), 0);
	assert_string_equal(words, "");
	assert_int_equal(steer(w, 2, 0, false), 8);
	assert_non_null(strstr(words, "CONFIG_NET_SCH_INGRESS"));
	w->tc.no_clsact = false;
	assert_int_equal(steer(w, 0, 0, false), 0);
	assert_false(w->tc.qdisc);
	w->tc.no_flower = true;
	assert_int_equal(steer(w, 2, 0, false), 8);
	assert_non_null(strstr(words, "CONFIG_NET_CLS_FLOWER"));
	w->tc.no_flower = false;
	assert_int_equal(steer(w, 2, 0, false), 0);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 8);
}

/* Whether it takes any is asked of each device once. */
static void test_steering_asks_once(void **state)
{
	struct world *w = *state;
	size_t adds;

	open_steerer(w);
	assert_int_equal(steer(w, 2, 0, false), 0);
	adds = w->tc.adds;
	assert_int_equal(steer(w, 2, 0, false), 0);
	assert_int_equal(w->tc.adds, adds);
	w->tc.ifindex = 8;
	assert_int_equal(steer(w, 2, 0, false), 0);
	assert_int_equal(w->tc.adds, adds + 1);
}

/* A table full of flows' rules; as the daemon does it when a vip comes. */
static void test_flows_make_way_for_steering(void **state)
{
	const struct wm_rules_options options = { 1000, 1000, 10000000000ull, 0 };
	const struct wm_steer_vip vip = { .port = 80, .family = WM_IPV4, .proto = IPPROTO_TCP };
	struct wm_queueset queues = queues_of("0-3");
	struct wm_steering *steering;
	struct world *w = *state;
	struct wm_rules *rules;

	w->tc.capacity = 40;
	assert_int_equal(open_off(w), 0);
	rules = wm_rules__new(&wm_offload_flower, w->off, &options, NULL);
	open_steerer(w);
	steering = wm_steering__new(&wm_steer_flower, w->steerer, "flower", "nic0");
	for (uint32_t n = 0; n < 40; n++) {
		struct wm_rule rule = rule_of(n, 5);

		wm_rules__offer(rules, &rule.flow, 5, NOW);
	}
	wm_rules__tick(rules, NOW);
	assert_int_equal(w->tc.n_filters, 40);
	assert_int_equal(wm_steering__want(steering, &vip, 1, &queues), 0);
	wm_steering__tick(steering, NOW);
	assert_int_equal(wm_steering__missing(steering), 4);
	assert_int_equal(wm_rules__give_way(rules, 4, NOW), 4);
	wm_rules__tick(rules, NOW);
	wm_steering__again(steering);
	wm_steering__tick(steering, NOW);
	assert_int_equal(wm_steering__missing(steering), 0);
	assert_int_equal(fake_tc__steers(&w->tc, -1), 4);
	assert_int_equal(w->tc.n_filters, 40);
	wm_steering__free(steering);
	wm_rules__free(rules);
}

/* Of an interface that has no qdisc, on a kernel that may have no filters at all. */
static void test_no_steering_at_all(void **state)
{
	const struct {
		const char *interface;
		int result;
	} cases[] = { { "lo", 0 }, { "nosuchdevice0", -ENODEV } };
	struct wm_steerer *steerer;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wm_steer_flower.open(&steerer, cases[i].interface, NULL), 0);
		assert_int_equal(wm_steer_flower.steer(steerer, NULL, 0, false, NULL, words),
				 cases[i].result);
		wm_steer_flower.close(steerer);
	}
}

static void test_words_behind_the_request(void **state)
{
	struct world *w = *state;

	w->tc.bare_acks = true;
	assert_int_equal(open_off(w), 0);
	assert_int_equal(install_one(w, 1, TC_REFUSED_MARK), -EOPNOTSUPP);
	assert_int_equal(logged(w, TC_REFUSED_TEXT), 1);
}

static void test_full(void **state)
{
	struct world *w = *state;
	int result[200];

	w->tc.capacity = 150;
	assert_int_equal(open_off(w), 0);
	install(w, 0, 200, 5, result);
	for (int i = 0; i < 200; i++)
		assert_int_equal(result[i], i < 150 ? 0 : -ENOSPC);
	assert_int_equal(logged(w, TC_FULL_TEXT), 1);
	assert_int_equal(install_one(w, 0, 6), -ENOSPC); /* the old one stays, known */
	assert_int_equal(fake_tc__mark(&w->tc, 1), 5);
	assert_int_equal(remove_one(w, 0), 0);
	assert_int_equal(install_one(w, 199, 5), 0);
	assert_int_equal(w->tc.n_filters, 150);
}

static void test_mark_too_wide(void **state)
{
	struct world *w = *state;
	size_t before;

	assert_int_equal(open_off(w), 0);
	before = w->tc.adds;
	assert_int_equal(install_one(w, 0, 65536), -ERANGE);
	assert_int_equal(w->tc.adds, before);
	assert_int_equal(install_one(w, 0, 65535), 0);
}

static void test_replace(void **state)
{
	struct world *w = *state;

	assert_int_equal(open_off(w), 0);
	assert_int_equal(install_one(w, 3, 5), 0);
	assert_true(w->tc.last_flags & NLM_F_EXCL);
	assert_int_equal(install_one(w, 3, 6), 0);
	assert_false(w->tc.last_flags & NLM_F_EXCL);
	assert_int_equal(w->tc.n_filters, 1);
	assert_int_equal(fake_tc__mark(&w->tc, 1), 6);
	assert_int_equal(install_one(w, 3, TC_REFUSED_MARK), -EOPNOTSUPP);
	assert_int_equal(remove_one(w, 3), 0); /* still known by its handle */
	assert_int_equal(w->tc.n_filters, 0);
}

static void test_restart(void **state)
{
	struct world *w = *state;
	int result[200];

	assert_int_equal(open_off(w), 0);
	install(w, 0, 200, 5, result);
	assert_int_equal(remove_one(w, 100), 0);
	close_off(w);
	assert_int_equal(open_off(w), 0);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 199);
	install(w, 50, 200, 6, result); /* old ones and new ones */
	for (int i = 0; i < 200; i++)
		assert_int_equal(result[i], 0);
	assert_int_equal(w->tc.n_filters, 250);
	for (uint32_t n = 0; n < 250; n++)
		assert_int_equal(remove_one(w, n), 0);
	assert_int_equal(w->tc.n_filters, 0);
}

/* A second daemon, say: handles that this one takes for free are in use. */
static void test_handles_taken_behind_our_back(void **state)
{
	struct world *w = *state;
	struct wm_offload *first;
	int result[10];

	assert_int_equal(open_off(w), 0);
	first = w->off;
	assert_int_equal(open_off(w), 0);
	install(w, 100, 10, 5, result);
	close_off(w);
	w->off = first;
	install(w, 200, 10, 6, result);
	for (int i = 0; i < 10; i++)
		assert_int_equal(result[i], 0);
	assert_int_equal(w->tc.n_filters, 20); /* nothing was overwritten */
	assert_int_equal(install_one(w, 100, 7), 0);
	assert_int_equal(w->tc.n_filters, 20);
}

static void test_lost_answers(void **state)
{
	struct world *w = *state;
	int result[10];

	assert_int_equal(open_off(w), 0);
	w->tc.lose_from = w->tc.answers + 3;
	w->tc.lose = 2;
	install(w, 0, 10, 5, result);
	for (int i = 0; i < 10; i++)
		assert_int_equal(result[i], i == 3 || i == 4 ? -EIO : 0);
	assert_int_equal(remove_one(w, 3), 0); /* it was there after all */
	assert_int_equal(install_one(w, 4, 6), 0);
	assert_int_equal(w->tc.n_filters, 9);
	w->tc.lose_from = w->tc.answers + 1; /* and at the end, where none follows */
	install(w, 20, 3, 5, result);
	assert_int_equal(result[0], 0);
	assert_int_equal(result[1], -EIO);
	assert_int_equal(result[2], -EIO);
}

/* Half a list would make rules look lost. */
static void test_broken_listing(void **state)
{
	struct world *w = *state;
	int result[10];

	assert_int_equal(open_off(w), 0);
	install(w, 0, 10, 5, result);
	w->tc.lose_from = w->tc.answers + 4;
	w->tc.lose = SIZE_MAX / 2;
	assert_true(list(w) < 0);
	w->tc.lose = 0;
	for (uint32_t n = 0; n < 10; n++)
		assert_int_equal(remove_one(w, n), 0);
}

static void test_send_fails(void **state)
{
	struct world *w = *state;
	int result[3];

	assert_int_equal(open_off(w), 0);
	w->tc.send_errno = EPERM;
	install(w, 0, 3, 5, result);
	assert_int_equal(result[0], -EPERM);
	assert_int_equal(result[2], -EPERM);
	assert_int_equal(list(w), -EPERM);
	w->tc.send_errno = 0;
	install(w, 0, 3, 5, result);
	assert_int_equal(result[2], 0);
}

static void test_device_changes(void **state)
{
	struct world *w = *state;
	int result[3];

	assert_int_equal(open_off(w), 0);
	install(w, 0, 3, 5, result);
	w->tc.ifindex = 0;
	assert_int_equal(list(w), -ENODEV);
	assert_int_equal(install_one(w, 5, 5), -ENODEV);
	assert_int_equal(remove_one(w, 0), -ENOENT);
	/* it comes back as another one */
	w->tc.ifindex = 8;
	w->tc.qdisc = false;
	memset(w->tc.filter, 0, sizeof(w->tc.filter));
	w->tc.n_filters = 0;
	assert_int_equal(install_one(w, 5, 5), 0);
	assert_int_equal(w->tc.n_filters, 1);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 1);
	assert_int_equal(logged(w, "another device than before"), 1);
}

static void test_rules_taken_behind_our_back(void **state)
{
	struct world *w = *state;
	int result[3];

	assert_int_equal(open_off(w), 0);
	install(w, 0, 3, 5, result);
	memset(w->tc.filter, 0, sizeof(w->tc.filter));
	w->tc.n_filters = 0;
	assert_int_equal(remove_one(w, 0), -ENOENT);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 0);
	assert_int_equal(install_one(w, 1, 5), 0);
	assert_true(w->tc.last_flags & NLM_F_EXCL); /* not known any more */
	w->tc.qdisc = false;
	assert_int_equal(install_one(w, 2, 5), -EINVAL);
	assert_int_equal(install_one(w, 2, 5), 0);
}

static void test_foreign_marks(void **state)
{
	struct world *w = *state;

	w->tc.foreign[0] = dump_foreign;
	w->tc.foreign[1] = dump_matchall;
	assert_int_equal(open_off(w), 0);
	assert_int_equal(logged(w, "2 filters that are not waymark's set marks"), 1);
	assert_int_equal(logged(w, "flower filter with pref 3 handle 0x1 chain 0, mark 1234"), 1);
	assert_int_equal(list(w), 0);
	assert_int_equal(w->listed, 0);
}

static void test_foreign_pref(void **state)
{
	uint8_t copy[sizeof(dump_foreign)];
	struct world *w = *state;

	memcpy(copy, dump_foreign, sizeof(copy));
	copy[34] = WM_FLOWER_PREF_IPV6;
	w->tc.foreign[0] = copy;
	assert_int_equal(open_off(w), -EBUSY);
	assert_non_null(strstr(w->err.text, "pref 12 handle 0x1"));
}

/* --- handles --- */

static void test_handles(void **state)
{
	struct wm_handles h;
	uint32_t handle[3000];

	(void)state;
	assert_int_equal(wm_handles__init(&h), 0);
	for (uint32_t n = 0; n < 3000; n++) {
		struct wm_flow flow = rule_of(n, 0).flow;

		assert_int_equal(wm_handles__find(&h, &flow), WM_HANDLE_NONE);
		handle[n] = wm_handles__take(&h, &flow);
		assert_int_equal(handle[n], n + 1); /* small and dense */
	}
	for (uint32_t n = 0; n < 3000; n++) {
		struct wm_flow flow = rule_of(n, 0).flow;

		assert_int_equal(wm_handles__find(&h, &flow), handle[n]);
		if (n % 2)
			wm_handles__drop(&h, handle[n]);
	}
	for (uint32_t n = 5000; n < 6500; n++) {
		struct wm_flow flow = rule_of(n, 0).flow;

		assert_true(wm_handles__take(&h, &flow) <= 3000); /* used again */
	}
	assert_int_equal(h.used, 3000);
	wm_handles__free(&h);
}

static void test_handles_learnt(void **state)
{
	struct wm_flow a = rule_of(1, 0).flow, b = rule_of(2, 0).flow, c = rule_of(3, 0).flow;
	struct wm_handles h;

	(void)state;
	assert_int_equal(wm_handles__init(&h), 0);
	assert_int_equal(wm_handles__learn(&h, 5000, &a), 0);
	assert_int_equal(wm_handles__learn(&h, 3, &b), 0);
	assert_int_equal(wm_handles__find(&h, &a), 5000);
	for (uint32_t n = 10; n < 5008; n++) { /* 1..4999 but 3, none twice */
		struct wm_flow flow = rule_of(n, 0).flow;
		uint32_t i = wm_handles__take(&h, &flow);

		assert_true(i && i != 3 && i != 5000 && i < 5000);
	}
	assert_int_equal(wm_handles__learn(&h, 3, &c), 0); /* another flow under b's */
	assert_int_equal(wm_handles__find(&h, &b), WM_HANDLE_NONE);
	assert_int_equal(wm_handles__learn(&h, 5001, &c), 0); /* the flow has moved */
	assert_int_equal(wm_handles__find(&h, &c), 5001);
	wm_handles__begin(&h);
	assert_int_equal(wm_handles__learn(&h, 5000, &a), 0);
	wm_handles__end(&h);
	assert_int_equal(h.used, 1);
	assert_int_equal(wm_handles__learn(&h, WM_HANDLE_NONE, &b), -ERANGE);
	wm_handles__free(&h);
}

/* A filter that is listed may have any handle: it costs one entry. */
static void test_handles_of_any_size(void **state)
{
	static const uint32_t huge[] = { UINT32_MAX, 0x1ffffff, 1u << 31, 1u << 20 };
	struct wm_handles h;

	(void)state;
	assert_int_equal(wm_handles__init(&h), 0);
	for (uint32_t n = 0; n < 4; n++) {
		struct wm_flow flow = rule_of(n, 0).flow;

		assert_int_equal(wm_handles__learn(&h, huge[n], &flow), 0);
		assert_int_equal(wm_handles__find(&h, &flow), huge[n]);
		assert_true(wm_handles__in_nic(&h, huge[n]));
	}
	assert_true(h.size <= 1024);
	for (uint32_t n = 4; n < 8; n++) {
		struct wm_flow flow = rule_of(n, 0).flow;

		assert_int_equal(wm_handles__take(&h, &flow), n - 3);
	}
	wm_handles__drop(&h, UINT32_MAX);
	assert_false(wm_handles__in_nic(&h, UINT32_MAX));
	assert_int_equal(h.used, 7);
	wm_handles__free(&h);
}

#define W(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_message_tcp4),
	cmocka_unit_test(test_message_udp6),
	cmocka_unit_test(test_message_reads_back),
	cmocka_unit_test(test_message_rewrites),
	cmocka_unit_test(test_message_rewrites_reads_back),
	cmocka_unit_test(test_nearly_rewrites),
	cmocka_unit_test(test_rewrites_mangled),
	cmocka_unit_test(test_listed_rules),
	cmocka_unit_test(test_listed_others),
	cmocka_unit_test(test_listed_nearly_ours),
	cmocka_unit_test(test_listed_mangled),
	W(test_open),
	W(test_mac_lane),
	W(test_mac_lane_refused),
	W(test_open_refused),
	W(test_install_many),
	W(test_refused_in_the_middle),
	cmocka_unit_test(test_message_names_a_queue),
	W(test_rules_lead_to_the_queues),
	W(test_rules_that_lead_elsewhere_are_told),
	W(test_a_nic_that_only_marks),
	W(test_a_nic_with_one_preference),
	W(test_one_preference_and_no_queues),
	W(test_another_refusal_changes_no_preference),
	W(test_another_device_takes_other_preferences),
	W(test_the_only_preference_is_taken),
	W(test_another_refusal_changes_no_queue),
	cmocka_unit_test(test_message_steers),
	cmocka_unit_test(test_message_steers_all_ports),
	cmocka_unit_test(test_message_steers_reads_back),
	W(test_steering_is_made_so),
	W(test_steering_replaces_where_the_queue_differs),
	W(test_steering_survives_a_restart),
	W(test_steering_and_marks_do_not_meet),
	W(test_steering_leaves_others_alone),
	W(test_steering_refused_changes_nothing),
	W(test_steering_makes_room),
	W(test_steering_with_lost_answers),
	W(test_steering_of_a_device_that_changes),
	W(test_steering_of_a_device_without_filters),
	W(test_steering_asks_once),
	W(test_flows_make_way_for_steering),
	cmocka_unit_test(test_no_steering_at_all),
	W(test_words_behind_the_request),
	W(test_full),
	W(test_mark_too_wide),
	W(test_replace),
	W(test_restart),
	W(test_handles_taken_behind_our_back),
	W(test_lost_answers),
	W(test_broken_listing),
	W(test_send_fails),
	W(test_device_changes),
	W(test_rules_taken_behind_our_back),
	W(test_foreign_marks),
	W(test_foreign_pref),
	cmocka_unit_test(test_handles),
	cmocka_unit_test(test_handles_learnt),
	cmocka_unit_test(test_handles_of_any_size),
};

int main(void)
{
	return cmocka_run_group_tests(tests, NULL, NULL);
}
