// SPDX-License-Identifier: GPL-2.0
#include "rtmsg.h"

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink.h"

/* Its payload from `skip` on is an address of this family. */
static bool get_addr(const struct nlattr *attr, size_t skip, uint8_t af, struct wm_addr *addr)
{
	size_t len = af == AF_INET6 ? 16 : 4;

	if ((af != AF_INET && af != AF_INET6) || mnl_attr_get_payload_len(attr) < skip + len)
		return false;
	*addr = (struct wm_addr){ .family = af == AF_INET6 ? WM_IPV6 : WM_IPV4 };
	memcpy(addr->word, (const char *)mnl_attr_get_payload(attr) + skip, len);
	return true;
}

/* --- links --- */

/* Nothing but a whole name that fits. */
static void get_name(const struct nlattr *attr, char name[IF_NAMESIZE])
{
	if (!mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) &&
	    mnl_attr_get_payload_len(attr) <= IF_NAMESIZE)
		strcpy(name, mnl_attr_get_str(attr));
}

bool wm_rtmsg__link(const struct nlmsghdr *msg, struct wm_rtmsg_link *link)
{
	const struct ifinfomsg *head = wm_nl__head(msg, sizeof(*head));
	const struct nlattr *attr;

	*link = (struct wm_rtmsg_link){};
	if (!head || (msg->nlmsg_type != RTM_NEWLINK && msg->nlmsg_type != RTM_DELLINK))
		return false;
	link->ifindex = head->ifi_index;
	link->family = head->ifi_family;
	mnl_attr_for_each(attr, msg, sizeof(*head))
		if (mnl_attr_get_type(attr) == IFLA_IFNAME)
			get_name(attr, link->name);
	return true;
}

static bool is_veth(const struct nlattr *info)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, info)
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			return !mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) &&
			       !strcmp(mnl_attr_get_str(attr), "veth");
	return false;
}

static bool has_program(const struct nlattr *xdp)
{
	const struct nlattr *attr;
	uint8_t attached;

	mnl_attr_for_each_nested(attr, xdp)
		if (mnl_attr_get_type(attr) == IFLA_XDP_ATTACHED)
			return wm_nl__copy(attr, &attached, sizeof(attached)) &&
			       attached != XDP_ATTACHED_NONE;
	return false;
}

bool wm_rtmsg__end(const struct nlmsghdr *msg, struct wm_rtmsg_end *end)
{
	const struct ifinfomsg *head = wm_nl__head(msg, sizeof(*head));
	const struct nlattr *attr;

	*end = (struct wm_rtmsg_end){ .netns = -1 };
	if (!head || msg->nlmsg_type != RTM_NEWLINK)
		return false;
	mnl_attr_for_each(attr, msg, sizeof(*head)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			get_name(attr, end->name);
			break;
		case IFLA_LINK:
			wm_nl__copy(attr, &end->peer, sizeof(end->peer));
			break;
		case IFLA_LINK_NETNSID:
			wm_nl__copy(attr, &end->netns, sizeof(end->netns));
			break;
		case IFLA_LINKINFO:
			end->veth = is_veth(attr);
			break;
		case IFLA_XDP:
			end->program = has_program(attr);
			break;
		}
	}
	return true;
}

/* --- neighbours --- */

bool wm_rtmsg__neighbour(const struct nlmsghdr *msg, struct wm_rtmsg_neighbour *neighbour)
{
	const struct ndmsg *head = wm_nl__head(msg, sizeof(*head));
	const struct nlattr *attr;

	*neighbour = (struct wm_rtmsg_neighbour){};
	if (!head || msg->nlmsg_type != RTM_NEWNEIGH)
		return false;
	neighbour->ifindex = head->ndm_ifindex;
	neighbour->state = head->ndm_state;
	mnl_attr_for_each(attr, msg, sizeof(*head)) {
		if (mnl_attr_get_type(attr) == NDA_DST)
			get_addr(attr, 0, head->ndm_family, &neighbour->addr);
		/* Other lengths are of links that are no Ethernet. */
		if (mnl_attr_get_type(attr) == NDA_LLADDR &&
		    mnl_attr_get_payload_len(attr) == sizeof(neighbour->mac))
			neighbour->has_mac = wm_nl__copy(attr, neighbour->mac,
							 sizeof(neighbour->mac));
	}
	return neighbour->addr.family;
}

/* --- routes --- */

/* RTA_VIA: a gateway of another family than the destination. */
static bool get_via(const struct nlattr *attr, struct wm_addr *addr)
{
	struct rtvia via;

	return wm_nl__copy(attr, &via, sizeof(via)) &&
	       get_addr(attr, sizeof(via), via.rtvia_family, addr);
}

static uint32_t get_mtu(const struct nlattr *metrics)
{
	const struct nlattr *attr;
	uint32_t mtu;

	mnl_attr_for_each_nested(attr, metrics)
		if (mnl_attr_get_type(attr) == RTAX_MTU && wm_nl__copy(attr, &mtu, sizeof(mtu)))
			return mtu;
	return 0;
}

static bool expires(const struct nlattr *attr)
{
	struct rta_cacheinfo info;

	return wm_nl__copy(attr, &info, sizeof(info)) && info.rta_expires;
}

bool wm_rtmsg__route(const struct nlmsghdr *msg, struct wm_rtmsg_route *route)
{
	const struct rtmsg *head = wm_nl__head(msg, sizeof(*head));
	const struct nlattr *attr;
	bool good = true;

	*route = (struct wm_rtmsg_route){};
	if (!head || msg->nlmsg_type != RTM_NEWROUTE)
		return false;
	route->type = head->rtm_type;
	mnl_attr_for_each(attr, msg, sizeof(*head)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			good &= wm_nl__copy(attr, &route->ifindex, sizeof(route->ifindex));
			break;
		case RTA_GATEWAY:
			good &= get_addr(attr, 0, head->rtm_family, &route->via);
			break;
		case RTA_VIA:
			good &= get_via(attr, &route->via);
			break;
		case RTA_METRICS:
			route->mtu = get_mtu(attr);
			break;
		case RTA_CACHEINFO:
			route->learned = expires(attr);
			break;
		}
	}
	return good;
}
