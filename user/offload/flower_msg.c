// SPDX-License-Identifier: GPL-2.0
/*
 * A rule is
 *
 *   tcmsg: device, parent ffff:fff2 (ingress), handle, preference and protocol
 *   TCA_KIND flower
 *   TCA_OPTIONS
 *     TCA_FLOWER_KEY_...   5-tuple in full; TCP: none of SYN, FIN, RST
 *     TCA_FLOWER_FLAGS     skip_sw: in the NIC or not at all
 *     TCA_FLOWER_ACT 1     skbedit: mark, and our cookie
 *
 * or in the mac lane
 *
 *     TCA_FLOWER_ACT 1     pedit: the source address, in two words of the Ethernet header, and
 *                          our cookie
 *     TCA_FLOWER_ACT 2     gact: pass. A driver rewrites only what it then forwards
 *
 * and a steering rule
 *
 *     TCA_FLOWER_KEY_...   destination, protocol, its port if the vip has one, and bits of
 *                          the source port where packets are spread over queues
 *     TCA_FLOWER_FLAGS     skip_sw
 *     TCA_FLOWER_ACT 1     skbedit: queue_mapping, and our cookie
 *
 * The cookie says whose rule it is, so that somebody else's in our preference is never
 * taken for one of ours. It travels with each listing. A trial's rules (trial.c) have another
 * one, may have both actions, and match a VLAN's tag.
 *
 * Counters are the action's. `lastuse` counts from the installation on, so it says
 * something only where packets were counted.
 */
#include "flower_msg.h"

#include <arpa/inet.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_pedit.h>
#include <linux/tc_act/tc_skbedit.h>
#include <string.h>

enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TICK_NS = 10000000, /* USER_HZ is 100 for every user space */
	ACTIONS_MAX = 32,
	SMAC_WORDS = 2,
};

enum { COOKIE = 8 };

static const char cookie[COOKIE] = { 'w', 'a', 'y', 'm', 'a', 'r', 'k', '1' };
static const char trial_cookie[COOKIE] = { 'w', 'a', 'y', 'm', 't', 'r', 'y', '1' };

static uint16_t pref_of(uint8_t family)
{
	return family == WM_IPV6 ? WM_FLOWER_PREF_IPV6 : WM_FLOWER_PREF_IPV4;
}

static uint16_t steer_pref_of(uint8_t family)
{
	return family == WM_IPV6 ? WM_FLOWER_PREF_STEER_IPV6 : WM_FLOWER_PREF_STEER_IPV4;
}

static uint16_t protocol_of(uint8_t family)
{
	return family == WM_IPV6 ? ETH_P_IPV6 : ETH_P_IP;
}

/* --- write --- */

static struct tcmsg *put_ingress(struct nlmsghdr *msg, int ifindex)
{
	struct tcmsg *tcm = mnl_nlmsg_put_extra_header(msg, sizeof(*tcm));

	tcm->tcm_family = AF_UNSPEC;
	tcm->tcm_ifindex = ifindex;
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	return tcm;
}

static struct tcmsg *put_tcmsg(struct nlmsghdr *msg, int ifindex, uint8_t family, uint16_t pref)
{
	struct tcmsg *tcm = put_ingress(msg, ifindex);

	if (family)
		tcm->tcm_info = TC_H_MAKE((uint32_t)pref << 16, htons(protocol_of(family)));
	return tcm;
}

static struct tcmsg *put_only(struct nlmsghdr *msg, int ifindex)
{
	struct tcmsg *tcm = put_ingress(msg, ifindex);

	tcm->tcm_info = TC_H_MAKE(WM_FLOWER_PREF_ONLY << 16, htons(ETH_P_ALL));
	return tcm;
}

void wm_flower__put_name(struct nlmsghdr *msg, int ifindex, uint8_t family, uint32_t handle)
{
	put_tcmsg(msg, ifindex, family, pref_of(family))->tcm_handle = handle;
	mnl_attr_put_strz(msg, TCA_KIND, "flower");
}

void wm_flower__put_only_name(struct nlmsghdr *msg, int ifindex, uint32_t handle)
{
	put_only(msg, ifindex)->tcm_handle = handle;
	mnl_attr_put_strz(msg, TCA_KIND, "flower");
}

void wm_flower__put_shaped_name(struct nlmsghdr *msg, int ifindex, uint8_t family,
				const struct wm_flower_shape *shape, uint32_t handle)
{
	struct tcmsg *tcm = put_ingress(msg, ifindex);
	uint16_t protocol = shape->pref == WM_FLOWER_PREF_ONLY ? ETH_P_ALL :
			    shape->vlan ? ETH_P_8021Q : protocol_of(family);

	tcm->tcm_info = TC_H_MAKE((uint32_t)shape->pref << 16, htons(protocol));
	tcm->tcm_handle = handle;
	mnl_attr_put_strz(msg, TCA_KIND, "flower");
}

void wm_flower__put_seen(struct nlmsghdr *msg, int ifindex, const struct wm_flower_seen *seen)
{
	struct tcmsg *tcm = put_ingress(msg, ifindex);

	tcm->tcm_info = TC_H_MAKE((uint32_t)seen->pref << 16, htons(seen->protocol));
	tcm->tcm_handle = seen->handle;
	mnl_attr_put_strz(msg, TCA_KIND, seen->kind);
	mnl_attr_put_u32(msg, TCA_CHAIN, seen->chain);
}

void wm_flower__put_steer_name(struct nlmsghdr *msg, int ifindex, uint8_t family, uint32_t handle)
{
	put_tcmsg(msg, ifindex, family, steer_pref_of(family))->tcm_handle = handle;
	mnl_attr_put_strz(msg, TCA_KIND, "flower");
}

void wm_flower__put_list(struct nlmsghdr *msg, int ifindex, uint8_t family)
{
	put_tcmsg(msg, ifindex, family, pref_of(family));
	if (family)
		mnl_attr_put_u32(msg, TCA_CHAIN, 0);
}

void wm_flower__put_only_list(struct nlmsghdr *msg, int ifindex)
{
	put_only(msg, ifindex);
	mnl_attr_put_u32(msg, TCA_CHAIN, 0);
}

void wm_flower__put_steer_list(struct nlmsghdr *msg, int ifindex, uint8_t family)
{
	put_tcmsg(msg, ifindex, family, steer_pref_of(family));
	mnl_attr_put_u32(msg, TCA_CHAIN, 0);
}

static void put_address(struct nlmsghdr *msg, const struct wm_flow *flow)
{
	if (flow->family == WM_IPV6) {
		mnl_attr_put(msg, TCA_FLOWER_KEY_IPV6_SRC, sizeof(flow->src), flow->src);
		mnl_attr_put(msg, TCA_FLOWER_KEY_IPV6_DST, sizeof(flow->dst), flow->dst);
	} else {
		mnl_attr_put(msg, TCA_FLOWER_KEY_IPV4_SRC, sizeof(flow->src[0]), flow->src);
		mnl_attr_put(msg, TCA_FLOWER_KEY_IPV4_DST, sizeof(flow->dst[0]), flow->dst);
	}
}

static void put_be16(struct nlmsghdr *msg, uint16_t type, __be16 value)
{
	mnl_attr_put(msg, type, sizeof(value), &value);
}

static void put_ethernet(struct nlmsghdr *msg, uint8_t family, uint16_t vlan)
{
	put_be16(msg, TCA_FLOWER_KEY_ETH_TYPE, htons(vlan ? ETH_P_8021Q : protocol_of(family)));
	if (!vlan)
		return;
	mnl_attr_put_u16(msg, TCA_FLOWER_KEY_VLAN_ID, vlan);
	put_be16(msg, TCA_FLOWER_KEY_VLAN_ETH_TYPE, htons(protocol_of(family)));
}

/* A key without a mask is matched in full. */
static void put_match(struct nlmsghdr *msg, const struct wm_flow *flow,
		      const struct wm_flower_shape *shape)
{
	put_ethernet(msg, flow->family, shape->vlan);
	mnl_attr_put_u8(msg, TCA_FLOWER_KEY_IP_PROTO, flow->proto);
	put_address(msg, flow);
	if (flow->proto == IPPROTO_TCP) {
		put_be16(msg, TCA_FLOWER_KEY_TCP_SRC, flow->sport);
		put_be16(msg, TCA_FLOWER_KEY_TCP_DST, flow->dport);
		if (shape->all_tcp)
			return;
		put_be16(msg, TCA_FLOWER_KEY_TCP_FLAGS, 0);
		put_be16(msg, TCA_FLOWER_KEY_TCP_FLAGS_MASK,
			 htons(TCP_FIN | TCP_SYN | TCP_RST));
	} else {
		put_be16(msg, TCA_FLOWER_KEY_UDP_SRC, flow->sport);
		put_be16(msg, TCA_FLOWER_KEY_UDP_DST, flow->dport);
	}
}

/* Bytes 6 to 11 of the frame, in the words at 4 and 8. A mask has the bits that stay. */
static const struct {
	uint32_t off;
	uint8_t mask[4];
} smac_words[SMAC_WORDS] = { { 4, { 0xff, 0xff } }, { 8, {} } };

struct pedit {
	struct tc_pedit_sel sel;
	struct tc_pedit_key key[SMAC_WORDS];
};

_Static_assert(sizeof(struct pedit) == sizeof(struct tc_pedit_sel) +
	       SMAC_WORDS * sizeof(struct tc_pedit_key), "keys follow without a gap");

static void put_key_headers(struct nlmsghdr *msg)
{
	struct nlattr *keys = mnl_attr_nest_start(msg, TCA_PEDIT_KEYS_EX), *key;

	for (int i = 0; i < SMAC_WORDS; i++) {
		key = mnl_attr_nest_start(msg, TCA_PEDIT_KEY_EX);
		mnl_attr_put_u16(msg, TCA_PEDIT_KEY_EX_HTYPE, TCA_PEDIT_KEY_EX_HDR_TYPE_ETH);
		mnl_attr_put_u16(msg, TCA_PEDIT_KEY_EX_CMD, TCA_PEDIT_KEY_EX_CMD_SET);
		mnl_attr_nest_end(msg, key);
	}
	mnl_attr_nest_end(msg, keys);
}

/* No software runs these actions, so there is nothing for each CPU to count. */
static void put_flags(struct nlmsghdr *msg)
{
	const struct nla_bitfield32 shared = {
		TCA_ACT_FLAGS_NO_PERCPU_STATS, TCA_ACT_FLAGS_NO_PERCPU_STATS,
	};

	mnl_attr_put(msg, TCA_ACT_FLAGS, sizeof(shared), &shared);
}

static void put_smac(struct nlmsghdr *msg, int number, const uint8_t smac[6], const char *whose)
{
	struct nlattr *action = mnl_attr_nest_start(msg, number), *options;
	struct pedit how = { .sel = { .action = TC_ACT_PIPE, .nkeys = SMAC_WORDS } };

	for (int i = 0; i < SMAC_WORDS; i++) {
		how.key[i].off = smac_words[i].off;
		memcpy(&how.key[i].mask, smac_words[i].mask, sizeof(how.key[i].mask));
	}
	memcpy((uint8_t *)&how.key[0].val + 2, smac, 2);
	memcpy(&how.key[1].val, smac + 2, 4);
	mnl_attr_put_strz(msg, TCA_ACT_KIND, "pedit");
	options = mnl_attr_nest_start(msg, TCA_ACT_OPTIONS);
	mnl_attr_put(msg, TCA_PEDIT_PARMS_EX, sizeof(how), &how);
	put_key_headers(msg);
	mnl_attr_nest_end(msg, options);
	mnl_attr_put(msg, TCA_ACT_COOKIE, COOKIE, whose);
	put_flags(msg);
	mnl_attr_nest_end(msg, action);
}

static void put_pass(struct nlmsghdr *msg, int number)
{
	struct nlattr *action = mnl_attr_nest_start(msg, number), *options;
	const struct tc_gact how = { .action = TC_ACT_OK };

	mnl_attr_put_strz(msg, TCA_ACT_KIND, "gact");
	options = mnl_attr_nest_start(msg, TCA_ACT_OPTIONS);
	mnl_attr_put(msg, TCA_GACT_PARMS, sizeof(how), &how);
	mnl_attr_nest_end(msg, options);
	put_flags(msg);
	mnl_attr_nest_end(msg, action);
}

static struct nlattr *begin_action(struct nlmsghdr *msg, int number, struct nlattr **options)
{
	const struct tc_skbedit how = { .action = TC_ACT_PIPE };
	struct nlattr *action = mnl_attr_nest_start(msg, number);

	mnl_attr_put_strz(msg, TCA_ACT_KIND, "skbedit");
	*options = mnl_attr_nest_start(msg, TCA_ACT_OPTIONS);
	mnl_attr_put(msg, TCA_SKBEDIT_PARMS, sizeof(how), &how);
	return action;
}

static void put_mark(struct nlmsghdr *msg, int number, uint32_t mark, const char *whose)
{
	struct nlattr *options, *action = begin_action(msg, number, &options);

	mnl_attr_put_u32(msg, TCA_SKBEDIT_MARK, mark);
	mnl_attr_nest_end(msg, options);
	mnl_attr_put(msg, TCA_ACT_COOKIE, COOKIE, whose);
	mnl_attr_nest_end(msg, action);
}

/* An action of its own: no driver takes two in one. On ingress the kernel wants to read
 * in the action, too, that software shall not do it. */
static void put_queue(struct nlmsghdr *msg, int number, uint16_t queue, const char *whose)
{
	const struct nla_bitfield32 skip_sw = { TCA_ACT_FLAGS_SKIP_SW, TCA_ACT_FLAGS_SKIP_SW };
	struct nlattr *options, *action = begin_action(msg, number, &options);

	mnl_attr_put_u16(msg, TCA_SKBEDIT_QUEUE_MAPPING, queue);
	mnl_attr_nest_end(msg, options);
	if (whose)
		mnl_attr_put(msg, TCA_ACT_COOKIE, COOKIE, whose);
	mnl_attr_put(msg, TCA_ACT_FLAGS, sizeof(skip_sw), &skip_sw);
	mnl_attr_nest_end(msg, action);
}

static void put_actions(struct nlmsghdr *msg, uint32_t mark, const struct wm_flower_shape *shape)
{
	const char *whose = shape->trial ? trial_cookie : cookie;
	bool named = shape->mac_prefix || shape->mark;
	uint8_t smac[6];
	int number = 1;

	if (shape->mac_prefix) {
		wm_mac_write(smac, shape->mac_prefix, mark);
		put_smac(msg, number++, smac, whose);
	}
	if (shape->mark)
		put_mark(msg, number++, mark, whose);
	if (shape->queue >= 0)
		put_queue(msg, number++, shape->queue, named ? NULL : whose);
	if (shape->mac_prefix)
		put_pass(msg, number);
}

void wm_flower__put_shaped(struct nlmsghdr *msg, const struct wm_rule *rule,
			   const struct wm_flower_shape *shape)
{
	struct nlattr *options = mnl_attr_nest_start(msg, TCA_OPTIONS), *actions;

	put_match(msg, &rule->flow, shape);
	actions = mnl_attr_nest_start(msg, TCA_FLOWER_ACT);
	put_actions(msg, rule->mark, shape);
	mnl_attr_nest_end(msg, actions);
	if (shape->flags)
		mnl_attr_put_u32(msg, TCA_FLOWER_FLAGS, shape->flags);
	mnl_attr_nest_end(msg, options);
}

void wm_flower__put_rule(struct nlmsghdr *msg, const struct wm_rule *rule, int queue,
			 uint32_t mac_prefix)
{
	const struct wm_flower_shape shape = {
		.flags = TCA_CLS_FLAGS_SKIP_SW, .queue = queue, .mac_prefix = mac_prefix,
		.mark = !mac_prefix,
	};

	wm_flower__put_shaped(msg, rule, &shape);
}

static void put_vip(struct nlmsghdr *msg, const struct wm_steer *rule)
{
	bool tcp = rule->proto == IPPROTO_TCP;

	put_be16(msg, TCA_FLOWER_KEY_ETH_TYPE, htons(protocol_of(rule->family)));
	mnl_attr_put_u8(msg, TCA_FLOWER_KEY_IP_PROTO, rule->proto);
	if (rule->family == WM_IPV6)
		mnl_attr_put(msg, TCA_FLOWER_KEY_IPV6_DST, sizeof(rule->dst), rule->dst);
	else
		mnl_attr_put(msg, TCA_FLOWER_KEY_IPV4_DST, sizeof(rule->dst[0]), rule->dst);
	if (rule->dport)
		put_be16(msg, tcp ? TCA_FLOWER_KEY_TCP_DST : TCA_FLOWER_KEY_UDP_DST, rule->dport);
	if (!rule->sport_mask)
		return;
	put_be16(msg, tcp ? TCA_FLOWER_KEY_TCP_SRC : TCA_FLOWER_KEY_UDP_SRC, rule->sport);
	put_be16(msg, tcp ? TCA_FLOWER_KEY_TCP_SRC_MASK : TCA_FLOWER_KEY_UDP_SRC_MASK,
		 rule->sport_mask);
}

void wm_flower__put_steer(struct nlmsghdr *msg, const struct wm_steer *rule)
{
	struct nlattr *options = mnl_attr_nest_start(msg, TCA_OPTIONS), *actions;

	put_vip(msg, rule);
	actions = mnl_attr_nest_start(msg, TCA_FLOWER_ACT);
	put_queue(msg, 1, rule->queue, cookie);
	mnl_attr_nest_end(msg, actions);
	mnl_attr_put_u32(msg, TCA_FLOWER_FLAGS, TCA_CLS_FLAGS_SKIP_SW);
	mnl_attr_nest_end(msg, options);
}

/* --- read --- */

/* Attributes by type, up to `max`. */
static void read_nest(const struct nlattr *nest, const struct nlattr **tb, int max)
{
	const struct nlattr *attr;

	memset(tb, 0, sizeof(*tb) * (max + 1));
	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) <= max)
			tb[mnl_attr_get_type(attr)] = attr;
}

static bool copy(const struct nlattr *attr, void *to, size_t size)
{
	if (!attr || mnl_attr_get_payload_len(attr) < size)
		return false;
	memcpy(to, mnl_attr_get_payload(attr), size);
	return true;
}

static void copy_text(const struct nlattr *attr, char *to, size_t size)
{
	size_t len = attr ? mnl_attr_get_payload_len(attr) : 0;

	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(to, mnl_attr_get_payload(attr), len);
	to[len] = '\0';
}

/* What is in the NIC is counted as hardware's; a driver that does not tell them apart
 * has one counter only. The 64-bit count follows the one that it belongs to. */
static void read_stats(const struct nlattr *nest, struct wm_rule_stats *stats)
{
	struct gnet_stats_basic basic;
	const struct nlattr *attr;
	bool hardware = false, last_taken = false;

	mnl_attr_for_each_nested(attr, nest) {
		switch (mnl_attr_get_type(attr)) {
		case TCA_STATS_BASIC:
		case TCA_STATS_BASIC_HW:
			last_taken = !hardware || mnl_attr_get_type(attr) == TCA_STATS_BASIC_HW;
			hardware |= mnl_attr_get_type(attr) == TCA_STATS_BASIC_HW;
			memset(&basic, 0, sizeof(basic));
			if (!last_taken || !copy(attr, &basic, sizeof(basic.bytes) +
						 sizeof(basic.packets)))
				continue;
			stats->packets = basic.packets;
			stats->bytes = basic.bytes;
			break;
		case TCA_STATS_PKT64:
			if (last_taken)
				copy(attr, &stats->packets, sizeof(stats->packets));
			break;
		}
	}
}

static void read_last_used(const struct nlattr *attr, uint64_t now, struct wm_rule_stats *stats)
{
	struct tcf_t times;
	uint64_t ago;

	if (!stats->packets || !copy(attr, &times, sizeof(times)))
		return;
	ago = times.lastuse * (uint64_t)TICK_NS;
	stats->last_used_ns = ago < now ? now - ago : 1;
}

static bool has_cookie(const struct nlattr *attr, const char *whose)
{
	return attr && mnl_attr_get_payload_len(attr) == COOKIE &&
	       !memcmp(mnl_attr_get_payload(attr), whose, COOKIE);
}

static bool has_our_cookie(const struct nlattr *attr)
{
	return has_cookie(attr, cookie);
}

/* How many packets, when the last came, and how the NIC knows. */
static void read_use(const struct nlattr **tb, const struct nlattr *times, uint64_t now,
		     struct wm_flower_seen *seen)
{
	struct nla_bitfield32 counted;

	if (tb[TCA_ACT_STATS])
		read_stats(tb[TCA_ACT_STATS], &seen->stats);
	read_last_used(times, now, &seen->stats);
	if (copy(tb[TCA_ACT_USED_HW_STATS], &counted, sizeof(counted)))
		seen->counted = counted.value & counted.selector;
}

/* Does it set just these words of the Ethernet header? */
static bool reads_as_smac(const struct nlattr **opt, const struct pedit *how)
{
	const struct nlattr *key, *tb[TCA_PEDIT_KEY_EX_MAX + 1];
	uint16_t header, command;
	int n = 0;

	if (how->sel.nkeys != SMAC_WORDS || !opt[TCA_PEDIT_KEYS_EX])
		return false;
	for (int i = 0; i < SMAC_WORDS; i++)
		if (how->key[i].off != smac_words[i].off || how->key[i].offmask ||
		    memcmp(&how->key[i].mask, smac_words[i].mask, sizeof(how->key[i].mask)))
			return false;
	mnl_attr_for_each_nested(key, opt[TCA_PEDIT_KEYS_EX]) {
		read_nest(key, tb, TCA_PEDIT_KEY_EX_MAX);
		if (!copy(tb[TCA_PEDIT_KEY_EX_HTYPE], &header, sizeof(header)) ||
		    !copy(tb[TCA_PEDIT_KEY_EX_CMD], &command, sizeof(command)) ||
		    header != TCA_PEDIT_KEY_EX_HDR_TYPE_ETH || command != TCA_PEDIT_KEY_EX_CMD_SET)
			return false;
		n++;
	}
	return n == SMAC_WORDS;
}

/* Only of our making: what others rewrite is not asked. */
static void read_pedit(const struct nlattr **tb, uint64_t now, struct wm_flower_seen *seen)
{
	bool trial = has_cookie(tb[TCA_ACT_COOKIE], trial_cookie);
	const struct nlattr *opt[TCA_PEDIT_MAX + 1];
	struct pedit how;

	read_nest(tb[TCA_ACT_OPTIONS], opt, TCA_PEDIT_MAX);
	if (seen->rewrites || (!trial && !has_our_cookie(tb[TCA_ACT_COOKIE])) ||
	    !copy(opt[TCA_PEDIT_PARMS_EX], &how, sizeof(how)) || !reads_as_smac(opt, &how))
		return;
	memcpy(seen->smac, (uint8_t *)&how.key[0].val + 2, 2);
	memcpy(seen->smac + 2, &how.key[1].val, 4);
	read_use(tb, opt[TCA_PEDIT_TM], now, seen);
	seen->rewrites = true;
	seen->ours = !trial;
	seen->trial = trial;
}

static void read_action(const struct nlattr *action, uint64_t now, struct wm_flower_seen *seen)
{
	const struct nlattr *tb[TCA_ACT_MAX + 1], *opt[TCA_SKBEDIT_MAX + 1];
	uint16_t queue;
	char kind[16];

	read_nest(action, tb, TCA_ACT_MAX);
	copy_text(tb[TCA_ACT_KIND], kind, sizeof(kind));
	if (!strcmp(kind, "pedit") && tb[TCA_ACT_OPTIONS])
		read_pedit(tb, now, seen);
	if (strcmp(kind, "skbedit") || !tb[TCA_ACT_OPTIONS])
		return;
	read_nest(tb[TCA_ACT_OPTIONS], opt, TCA_SKBEDIT_MAX);
	seen->trial |= has_cookie(tb[TCA_ACT_COOKIE], trial_cookie);
	if (copy(opt[TCA_SKBEDIT_QUEUE_MAPPING], &queue, sizeof(queue))) {
		seen->queue = queue;
		seen->our_queue = has_our_cookie(tb[TCA_ACT_COOKIE]);
	}
	if (seen->has_mark || !copy(opt[TCA_SKBEDIT_MARK], &seen->mark, sizeof(seen->mark)))
		return;
	seen->has_mark = true;
	if (seen->rewrites) /* has its counters, and the cookie */
		return;
	read_use(tb, opt[TCA_SKBEDIT_TM], now, seen);
	seen->ours = has_our_cookie(tb[TCA_ACT_COOKIE]);
}

static void read_actions(const struct nlattr *nest, uint64_t now, struct wm_flower_seen *seen)
{
	const struct nlattr *action;
	int n = 0;

	mnl_attr_for_each_nested(action, nest)
		if (++n <= ACTIONS_MAX)
			read_action(action, now, seen);
}

static bool read_ports(const struct nlattr **tb, struct wm_flow *flow)
{
	bool tcp = flow->proto == IPPROTO_TCP;

	if (!tcp && flow->proto != IPPROTO_UDP)
		return false;
	return copy(tb[tcp ? TCA_FLOWER_KEY_TCP_SRC : TCA_FLOWER_KEY_UDP_SRC], &flow->sport,
		    sizeof(flow->sport)) &&
	       copy(tb[tcp ? TCA_FLOWER_KEY_TCP_DST : TCA_FLOWER_KEY_UDP_DST], &flow->dport,
		    sizeof(flow->dport));
}

static bool read_flow(const struct nlattr **tb, uint16_t protocol, struct wm_flow *flow)
{
	bool six = protocol == ETH_P_IPV6;
	size_t len = six ? sizeof(flow->src) : sizeof(flow->src[0]);

	*flow = (struct wm_flow){ .family = six ? WM_IPV6 : WM_IPV4 };
	return copy(tb[TCA_FLOWER_KEY_IP_PROTO], &flow->proto, sizeof(flow->proto)) &&
	       copy(tb[six ? TCA_FLOWER_KEY_IPV6_SRC : TCA_FLOWER_KEY_IPV4_SRC], flow->src, len) &&
	       copy(tb[six ? TCA_FLOWER_KEY_IPV6_DST : TCA_FLOWER_KEY_IPV4_DST], flow->dst, len) &&
	       read_ports(tb, flow);
}

/* A port and what of it counts: of a key that does not count the kernel lists nothing. */
static void read_port(const struct nlattr *value, const struct nlattr *mask, __be16 *port,
		      __be16 *counts)
{
	*port = *counts = 0;
	if (!copy(value, port, sizeof(*port)))
		return;
	*counts = 0xffff;
	copy(mask, counts, sizeof(*counts));
}

static bool read_steer_ports(const struct nlattr **tb, struct wm_steer *rule)
{
	__be16 counts;

	if (rule->proto == IPPROTO_TCP) {
		read_port(tb[TCA_FLOWER_KEY_TCP_SRC], tb[TCA_FLOWER_KEY_TCP_SRC_MASK],
			  &rule->sport, &rule->sport_mask);
		read_port(tb[TCA_FLOWER_KEY_TCP_DST], tb[TCA_FLOWER_KEY_TCP_DST_MASK],
			  &rule->dport, &counts);
	} else {
		read_port(tb[TCA_FLOWER_KEY_UDP_SRC], tb[TCA_FLOWER_KEY_UDP_SRC_MASK],
			  &rule->sport, &rule->sport_mask);
		read_port(tb[TCA_FLOWER_KEY_UDP_DST], tb[TCA_FLOWER_KEY_UDP_DST_MASK],
			  &rule->dport, &counts);
	}
	return !counts || counts == 0xffff;
}

static bool read_steer(const struct nlattr **tb, const struct wm_flower_seen *seen,
		       struct wm_steer *rule)
{
	bool six = seen->protocol == ETH_P_IPV6;

	*rule = (struct wm_steer){ .family = six ? WM_IPV6 : WM_IPV4, .queue = seen->queue };
	return copy(tb[TCA_FLOWER_KEY_IP_PROTO], &rule->proto, sizeof(rule->proto)) &&
	       copy(tb[six ? TCA_FLOWER_KEY_IPV6_DST : TCA_FLOWER_KEY_IPV4_DST], rule->dst,
		    six ? sizeof(rule->dst) : sizeof(rule->dst[0])) &&
	       read_steer_ports(tb, rule) && seen->pref == steer_pref_of(rule->family);
}

/* Where the classifiers that may carry an action keep it. */
static int action_of(const char *kind)
{
	static const struct {
		const char *kind;
		int type;
	} places[] = {
		{ "flower", TCA_FLOWER_ACT }, { "matchall", TCA_MATCHALL_ACT },
		{ "u32", TCA_U32_ACT }, { "bpf", TCA_BPF_ACT }, { "basic", TCA_BASIC_ACT },
		{ "fw", TCA_FW_ACT },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!strcmp(kind, places[i].kind))
			return places[i].type;
	return -1;
}

/* A filter of protocol `all` has it among its keys. */
static uint16_t protocol_in(const struct nlattr **tb, const struct wm_flower_seen *seen)
{
	uint16_t protocol;

	if (seen->protocol != ETH_P_ALL)
		return seen->protocol;
	return copy(tb[TCA_FLOWER_KEY_ETH_TYPE], &protocol, sizeof(protocol)) ? ntohs(protocol) : 0;
}

static void read_options(const struct nlattr *options, uint64_t now, struct wm_flower_seen *seen)
{
	const struct nlattr *tb[TCA_FLOWER_MAX + 1];
	int act = action_of(seen->kind);

	bool may_be = !strcmp(seen->kind, "flower") && !seen->chain;

	if (act < 0)
		return;
	read_nest(options, tb, TCA_FLOWER_MAX);
	if (tb[act])
		read_actions(tb[act], now, seen);
	if (may_be)
		copy(tb[TCA_FLOWER_FLAGS], &seen->flags, sizeof(seen->flags));
	seen->trial = seen->trial && may_be;
	seen->rule.mark = seen->mark;
	seen->steers = seen->our_queue && !seen->has_mark && may_be &&
		       read_steer(tb, seen, &seen->steer);
	seen->only = seen->pref == WM_FLOWER_PREF_ONLY && seen->protocol == ETH_P_ALL;
	seen->ours = seen->ours && may_be &&
		     read_flow(tb, protocol_in(tb, seen), &seen->rule.flow) &&
		     (seen->only || seen->pref == pref_of(seen->rule.flow.family));
}

uint32_t wm_flower__mark(const struct wm_flower_seen *seen, uint32_t mac_prefix)
{
	if (!mac_prefix)
		return seen->rewrites ? 0 : seen->mark;
	return seen->rewrites && !seen->has_mark ? wm_mac_read(seen->smac, mac_prefix) : 0;
}

bool wm_flower__read(const struct nlmsghdr *msg, uint64_t now, struct wm_flower_seen *seen)
{
	const struct nlattr *tb[TCA_MAX + 1] = {}, *attr;
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(msg);

	*seen = (struct wm_flower_seen){ .queue = -1 };
	if (msg->nlmsg_type != RTM_NEWTFILTER || mnl_nlmsg_get_payload_len(msg) < sizeof(*tcm))
		return false;
	mnl_attr_for_each(attr, msg, sizeof(*tcm))
		if (mnl_attr_get_type(attr) <= TCA_MAX)
			tb[mnl_attr_get_type(attr)] = attr;
	seen->handle = tcm->tcm_handle;
	seen->pref = TC_H_MAJ(tcm->tcm_info) >> 16;
	seen->protocol = ntohs(TC_H_MIN(tcm->tcm_info));
	copy_text(tb[TCA_KIND], seen->kind, sizeof(seen->kind));
	copy(tb[TCA_CHAIN], &seen->chain, sizeof(seen->chain));
	/* A filter of which nothing but the head is listed has no handle. */
	if (!seen->handle || !tb[TCA_OPTIONS])
		return false;
	read_options(tb[TCA_OPTIONS], now, seen);
	return true;
}
