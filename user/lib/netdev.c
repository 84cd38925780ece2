// SPDX-License-Identifier: GPL-2.0
/*
 * Dumps of all links and of all addresses. One that a change interrupts is made again by
 * whoever listens for changes.
 */
#include "netdev.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"

struct listing {
	struct wm_netdev *list;
	size_t n, room;
};

static enum wm_netdev_kind kind_of(const struct nlattr *info)
{
	static const struct {
		const char *name;
		enum wm_netdev_kind kind;
	} kinds[] = {
		{ "bond", WM_NETDEV_BOND },       { "team", WM_NETDEV_BOND },
		{ "bridge", WM_NETDEV_BRIDGE },   { "macvlan", WM_NETDEV_MACVLAN },
		{ "macvtap", WM_NETDEV_MACVLAN }, { "vlan", WM_NETDEV_VLAN },
		{ "vrf", WM_NETDEV_VRF },
	};
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info) {
		if (mnl_attr_get_type(attr) != IFLA_INFO_KIND ||
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
			continue;
		for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
			if (!strcmp(mnl_attr_get_str(attr), kinds[i].name))
				return kinds[i].kind;
	}
	return WM_NETDEV_OTHER;
}

static uint32_t number(const struct nlattr *attr)
{
	uint32_t value;

	return wm_nl__copy(attr, &value, sizeof(value)) ? value : 0;
}

static void read_attr(struct wm_netdev *dev, const struct nlattr *attr, bool *elsewhere)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0 &&
		    mnl_attr_get_payload_len(attr) <= sizeof(dev->name))
			strcpy(dev->name, mnl_attr_get_str(attr));
		break;
	case IFLA_MTU:
		dev->mtu = number(attr);
		break;
	case IFLA_MASTER:
		dev->master = number(attr);
		break;
	case IFLA_LINK:
		dev->lower = number(attr);
		break;
	case IFLA_LINK_NETNSID:
		*elsewhere = true; /* the number means a device of another namespace */
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(dev->mac))
			memcpy(dev->mac, mnl_attr_get_payload(attr), sizeof(dev->mac));
		break;
	case IFLA_LINKINFO:
		dev->kind = kind_of(attr);
		break;
	}
}

static struct wm_netdev *append(struct listing *l)
{
	size_t room = l->room ? 2 * l->room : 64;
	struct wm_netdev *list = l->list;

	if (l->n == l->room) {
		list = reallocarray(l->list, room, sizeof(*list));
		if (!list)
			return NULL;
		l->list = list;
		l->room = room;
	}
	return &list[l->n++];
}

bool wm_netdev__read(const struct nlmsghdr *msg, struct wm_netdev *dev)
{
	const struct ifinfomsg *head = wm_nl__head(msg, sizeof(*head));
	const struct nlattr *attr;
	bool elsewhere = false;

	*dev = (struct wm_netdev){};
	if (!head || msg->nlmsg_type != RTM_NEWLINK)
		return false;
	dev->ifindex = head->ifi_index;
	dev->up = head->ifi_flags & IFF_UP;
	dev->running = head->ifi_flags & IFF_RUNNING;
	mnl_attr_for_each(attr, msg, sizeof(*head))
		read_attr(dev, attr, &elsewhere);
	if (elsewhere)
		dev->lower = 0;
	return true;
}

static int each(const struct nlmsghdr *msg, void *arg)
{
	struct wm_netdev dev, *to;

	if (!wm_netdev__read(msg, &dev))
		return MNL_CB_OK;
	to = append(arg);
	if (!to)
		return MNL_CB_ERROR;
	*to = dev;
	return MNL_CB_OK;
}

/* A dump of this type, whose requests begin with `header` bytes. */
static int dump(uint16_t type, size_t header,
		int (*fn)(const struct nlmsghdr *msg, void *arg), void *arg)
{
	struct nlmsghdr *msg;
	struct wm_nl *nl;
	int ret;

	ret = wm_nl__open(&nl, NETLINK_ROUTE, NULL);
	if (ret)
		return ret;
	wm_nl__begin(nl);
	msg = wm_nl__add(nl, type, NLM_F_DUMP);
	mnl_nlmsg_put_extra_header(msg, header);
	if (type == RTM_GETLINK)
		mnl_attr_put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	ret = wm_nl__ask(nl, fn, arg, NULL);
	wm_nl__close(nl);
	return ret;
}

int wm_netdev__list(struct wm_netdev **list, size_t *n, struct wm_err *err)
{
	struct listing l = {};
	int ret = dump(RTM_GETLINK, sizeof(struct ifinfomsg), each, &l);

	if (ret) {
		free(l.list);
		return wm_err__sys(err, ret, "cannot list the network devices");
	}
	*list = l.list;
	*n = l.n;
	return 0;
}

int wm_netdev__addressed(const struct nlmsghdr *msg)
{
	const struct ifaddrmsg *head = wm_nl__head(msg, sizeof(*head));

	if (!head || msg->nlmsg_type != RTM_NEWADDR || head->ifa_scope >= RT_SCOPE_LINK)
		return 0;
	return head->ifa_index;
}

static int each_address(const struct nlmsghdr *msg, void *arg)
{
	int ifindex = wm_netdev__addressed(msg);
	struct listing *l = arg;

	for (size_t i = 0; i < l->n; i++)
		l->list[i].addressed |= l->list[i].ifindex == ifindex;
	return MNL_CB_OK;
}

int wm_netdev__addresses(struct wm_netdev *list, size_t n, struct wm_err *err)
{
	struct listing l = { .list = list, .n = n };
	int ret = dump(RTM_GETADDR, sizeof(struct ifaddrmsg), each_address, &l);

	return ret ? wm_err__sys(err, ret, "cannot list the addresses of network devices") : 0;
}

const struct wm_netdev *wm_netdev__find(const struct wm_netdev *list, size_t n, int ifindex)
{
	for (size_t i = 0; ifindex && i < n; i++)
		if (list[i].ifindex == ifindex)
			return &list[i];
	return NULL;
}

const struct wm_netdev *wm_netdev__named(const struct wm_netdev *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].name, name))
			return &list[i];
	return NULL;
}
