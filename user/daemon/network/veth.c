// SPDX-License-Identifier: GPL-2.0
/*
 * A pair of veth is everybody's first lab, and it loses packets in three ways of which the
 * kernel says nothing. An end takes frames that XDP sends only if it polls (NAPI), and it does
 * so only with a program of its own or with GRO on. An end leaves checksums to a hardware
 * that there is not: a frame that XDP sends on arrives with a wrong one. And it leaves VLAN
 * tags to that hardware: the program does not see them, whatever this end's features are,
 * and what it sends on has none. All are features of the other end, which may be in another
 * network namespace. There an XDP program can be seen from here, and features cannot.
 */
#include "veth.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "ethtool.h"
#include "log.h"
#include "netlink.h"
#include "rtmsg.h"

static int read_end(const struct nlmsghdr *msg, void *arg)
{
	struct wm_rtmsg_end end;

	if (wm_rtmsg__end(msg, &end))
		*(struct wm_rtmsg_end *)arg = end;
	return MNL_CB_OK;
}

/* Of this namespace, or of the one with this number. */
static int ask(struct wm_nl *nl, int ifindex, int netns, struct wm_rtmsg_end *end)
{
	struct ifinfomsg *info;
	struct nlmsghdr *msg;

	*end = (struct wm_rtmsg_end){ .netns = -1 };
	wm_nl__begin(nl);
	msg = wm_nl__add(nl, RTM_GETLINK, 0);
	info = mnl_nlmsg_put_extra_header(msg, sizeof(*info));
	info->ifi_index = ifindex;
	if (netns >= 0)
		mnl_attr_put_u32(msg, IFLA_TARGET_NETNSID, netns);
	return wm_nl__ask(nl, read_end, end, NULL);
}

static int look(const char *interface, struct wm_rtmsg_end *here, struct wm_rtmsg_end *there)
{
	struct wm_nl *nl;
	int ret;

	ret = wm_nl__open(&nl, NETLINK_ROUTE, NULL);
	if (ret)
		return ret;
	ret = ask(nl, if_nametoindex(interface), -1, here);
	if (!ret && here->veth && here->peer)
		ret = ask(nl, here->peer, here->netns, there);
	wm_nl__close(nl);
	return ret;
}

/* The other end is here too: only what is wrong. */
static void advise_here(const char *interface, const struct wm_rtmsg_end *peer, bool native,
			char text[WM_VETH_TEXT])
{
	bool deaf = native && !peer->program &&
		    wm_ethtool__feature(peer->name, "rx-gro") == WM_FEATURE_OFF;
	bool lazy = wm_ethtool__feature(peer->name, "tx-checksum-ip-generic") == WM_FEATURE_ON;
	bool bare = wm_ethtool__feature(peer->name, "tx-vlan-hw-insert") == WM_FEATURE_ON;

	if (!deaf && !lazy && !bare)
		return;
	snprintf(text, WM_VETH_TEXT,
		 "%s is one end of a pair of veth, and %s, the other one, %s%s%s%s%s: "
		 "ethtool -K %s%s%s%s",
		 interface, peer->name,
		 deaf ? "drops what XDP sends (no XDP program there, and GRO is off)" : "",
		 deaf && (lazy || bare) ? ", and " : "",
		 lazy ? "sends packets without checksums, which then arrive with wrong ones" : "",
		 lazy && bare ? ", and " : "",
		 bare ? "sends VLAN tags beside the frames, which then leave without them" : "",
		 peer->name, deaf ? " gro on" : "", lazy ? " tx off" : "",
		 bare ? " txvlan off" : "");
}

/* Only what is surely right is not spoken of. */
static void advise_there(const char *interface, const struct wm_rtmsg_end *peer, bool native,
			 char text[WM_VETH_TEXT])
{
	const char *name = *peer->name ? peer->name : "PEER";
	bool deaf = native && !peer->program;

	snprintf(text, WM_VETH_TEXT,
		 "%s is one end of a pair of veth, and the other one%s%s, is in another network "
		 "namespace, where its features cannot be seen from here. It must %smake "
		 "checksums and VLAN tags itself, or packets arrive with wrong ones and without "
		 "tags. If nothing gets through, do there: ethtool -K %s%s tx off txvlan off",
		 interface, *peer->name ? ", " : "", peer->name,
		 deaf ? "have GRO on or an XDP program, or it drops what XDP sends, and " : "",
		 name, deaf ? " gro on" : "");
}

void wm_veth__advice(const char *interface, bool native, char text[WM_VETH_TEXT])
{
	struct wm_rtmsg_end here, there = {};

	*text = '\0';
	if (look(interface, &here, &there) || !here.veth)
		return;
	if (here.netns < 0 && *there.name)
		advise_here(interface, &there, native, text);
	else
		advise_there(interface, &there, native, text);
}

void wm_veth__warn(const char *interface, bool native)
{
	char text[WM_VETH_TEXT];

	wm_veth__advice(interface, native, text);
	if (*text)
		wm_warn("%s", text);
}
