// SPDX-License-Identifier: GPL-2.0
/*
 * Rules that mark (flower.c) and rules that steer (flower_steer.c) are filters of the same
 * device. Each has a socket of its own and looks the device up for itself, so that neither
 * needs the other.
 */
#include "tc.h"

#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "ethtool.h"
#include "flower_msg.h"

enum { PROBE_HANDLE = 1 };

int wm_tc__check_feature(const char *interface, struct wm_err *err)
{
	int ret = wm_ethtool__feature(interface, "hw-tc-offload");

	switch (ret) {
	case WM_FEATURE_ON:
		return 0;
	case WM_FEATURE_OFF:
		return wm_err__set(err, -EOPNOTSUPP, "offload flower: hw-tc-offload of %s is off: "
				   "ethtool -K %s hw-tc-offload on", interface, interface);
	case WM_FEATURE_NONE:
		return wm_err__set(err, -EOPNOTSUPP, "offload flower: the driver of %s takes no "
				   "rules (it has no hw-tc-offload)", interface);
	}
	return wm_err__sys(err, ret, "offload flower: features of %s", interface);
}

static int read_link(const struct nlmsghdr *msg, void *arg)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(msg);

	if (msg->nlmsg_type == RTM_NEWLINK && mnl_nlmsg_get_payload_len(msg) >= sizeof(*link))
		*(int *)arg = link->ifi_index;
	return MNL_CB_OK;
}

int wm_tc__look_up(struct wm_tc *tc, int *ifindex)
{
	struct nlmsghdr *msg;
	int ret;

	wm_nl__begin(tc->nl);
	msg = wm_nl__add(tc->nl, RTM_GETLINK, 0);
	mnl_nlmsg_put_extra_header(msg, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(msg, IFLA_IFNAME, tc->interface);
	*ifindex = 0;
	ret = wm_nl__ask(tc->nl, read_link, ifindex, NULL);
	return ret ? ret : *ifindex ? 0 : -ENODEV;
}

static void put_qdisc(struct wm_tc *tc, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *msg;
	struct tcmsg *tcm;

	wm_nl__begin(tc->nl);
	msg = wm_nl__add(tc->nl, type, NLM_F_ACK | flags);
	tcm = mnl_nlmsg_put_extra_header(msg, sizeof(*tcm));
	tcm->tcm_ifindex = tc->ifindex;
	tcm->tcm_parent = TC_H_CLSACT;
	tcm->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(msg, TCA_KIND, "clsact");
}

/* A qdisc of the kind ingress serves as well, and answers with -EEXIST. */
static int make_qdisc(struct wm_tc *tc, char *words)
{
	int ret;

	put_qdisc(tc, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
	ret = wm_nl__ask(tc->nl, NULL, NULL, words);
	tc->made |= !ret;
	return ret == -EEXIST ? 0 : ret;
}

static int on_any(const struct nlmsghdr *msg, void *arg)
{
	*(bool *)arg |= msg->nlmsg_type == RTM_NEWTFILTER;
	return MNL_CB_OK;
}

/* Has anybody a filter there? */
static int look_for_filters(struct wm_tc *tc, uint32_t where, bool *any)
{
	struct nlmsghdr *msg;
	struct tcmsg *tcm;

	wm_nl__begin(tc->nl);
	msg = wm_nl__add(tc->nl, RTM_GETTFILTER, NLM_F_DUMP);
	tcm = mnl_nlmsg_put_extra_header(msg, sizeof(*tcm));
	tcm->tcm_ifindex = tc->ifindex;
	tcm->tcm_parent = TC_H_MAKE(TC_H_CLSACT, where);
	return wm_nl__ask(tc->nl, on_any, any, NULL);
}

int wm_tc__drop_qdisc(struct wm_tc *tc)
{
	bool any = false;
	int ret;

	if (!tc->made)
		return 0;
	ret = look_for_filters(tc, TC_H_MIN_INGRESS, &any) ?:
	      look_for_filters(tc, TC_H_MIN_EGRESS, &any);
	if (ret || any)
		return ret;
	put_qdisc(tc, RTM_DELQDISC, 0);
	return wm_nl__ask(tc->nl, NULL, NULL, NULL);
}

int wm_tc__refresh(struct wm_tc *tc, bool *other, struct wm_err *err)
{
	char words[WM_NL_WORDS] = "";
	int ifindex, ret;

	*other = false;
	ret = wm_tc__look_up(tc, &ifindex);
	if (ret)
		return wm_err__sys(err, ret, "offload flower: interface %s", tc->interface);
	*other = ifindex != tc->ifindex;
	tc->ifindex = ifindex;
	ret = make_qdisc(tc, words);
	if (ret)
		return wm_err__sys(err, ret, "offload flower: %s gets no clsact qdisc "
				   "(CONFIG_NET_SCH_INGRESS?)%s%s", tc->interface,
				   *words ? ": " : "", words);
	return 0;
}

/* A filter without options: refused as invalid by flower, and as unknown by a kernel
 * that has no flower. Nothing is made either way. */
int wm_tc__probe(struct wm_tc *tc, struct wm_err *err)
{
	char words[WM_NL_WORDS];
	struct nlmsghdr *msg;
	int ret;

	wm_nl__begin(tc->nl);
	msg = wm_nl__add(tc->nl, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	wm_flower__put_name(msg, tc->ifindex, WM_IPV4, PROBE_HANDLE);
	ret = wm_nl__ask(tc->nl, NULL, NULL, words);
	if (ret == -ENOENT)
		return wm_err__set(err, -EOPNOTSUPP, "offload flower: this kernel has no flower "
				   "classifier (CONFIG_NET_CLS_FLOWER): %s", words);
	if (ret == -EINVAL || ret == -EEXIST)
		return 0;
	return wm_err__sys(err, ret ? ret : -EPROTO, "offload flower: %s does not take filters%s%s",
			   tc->interface, *words ? ": " : "", words);
}
