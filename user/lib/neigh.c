// SPDX-License-Identifier: GPL-2.0
/*
 * Two rtnetlink sockets: `ask` for requests, of which one is under way at a
 * time and answered within its call, and `hear` for the neighbour events that
 * the kernel sends by itself. The second never blocks.
 *
 * NTF_USE is what a packet would do to a neighbour entry: it makes one, starts
 * resolution, or has an entry probed that went stale.
 */
#include "neigh.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	MESSAGE_SIZE = 256,         /* more than any request of ours */
	BATCH_SIZE = 64 * 1024,
	HEAR_BUFFER = 4 << 20,      /* thousands of neighbours may move at once */
	USABLE = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE,
};

struct wm_neigh {
	struct mnl_socket *ask, *hear;
	unsigned int seq;
	wm_neigh_event event;
	void *arg;
};

static int open_socket(struct mnl_socket **socket, int flags, unsigned int groups)
{
	*socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	if (!*socket || mnl_socket_bind(*socket, groups, MNL_SOCKET_AUTOPID))
		return -errno;
	return 0;
}

int wm_neigh__open(struct wm_neigh **out, wm_neigh_event event, void *arg, struct wm_err *err)
{
	struct wm_neigh *neigh = calloc(1, sizeof(*neigh));
	int ret, buffer = HEAR_BUFFER, yes = 1;

	*out = NULL;
	if (!neigh)
		return wm_err__sys(err, -ENOMEM, "rtnetlink");
	neigh->event = event;
	neigh->arg = arg;
	ret = open_socket(&neigh->ask, 0, 0);
	if (!ret)
		ret = open_socket(&neigh->hear, SOCK_NONBLOCK, RTMGRP_NEIGH);
	if (ret) {
		wm_neigh__close(neigh);
		return wm_err__sys(err, ret, "cannot open an rtnetlink socket");
	}
	/* Without the privilege the default stays: -ENOBUFS is handled anyway. */
	setsockopt(mnl_socket_get_fd(neigh->hear), SOL_SOCKET, SO_RCVBUFFORCE, &buffer,
		   sizeof(buffer));
	/* The answers need no copy of the question. */
	setsockopt(mnl_socket_get_fd(neigh->ask), SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof(yes));
	*out = neigh;
	return 0;
}

void wm_neigh__close(struct wm_neigh *neigh)
{
	if (!neigh)
		return;
	if (neigh->ask)
		mnl_socket_close(neigh->ask);
	if (neigh->hear)
		mnl_socket_close(neigh->hear);
	free(neigh);
}

int wm_neigh__fd(const struct wm_neigh *neigh)
{
	return mnl_socket_get_fd(neigh->hear);
}

/* --- messages --- */

static uint8_t to_af(const struct wm_addr *addr)
{
	return addr->family == WM_IPV6 ? AF_INET6 : AF_INET;
}

static size_t addr_len(uint8_t af)
{
	return af == AF_INET6 ? 16 : 4;
}

static void put_addr(struct nlmsghdr *msg, uint16_t type, const struct wm_addr *addr)
{
	mnl_attr_put(msg, type, addr_len(to_af(addr)), addr->word);
}

static int get_addr(const struct nlattr *attr, uint8_t af, struct wm_addr *addr)
{
	if (mnl_attr_get_payload_len(attr) < addr_len(af))
		return -EPROTO;
	*addr = (struct wm_addr){ .family = af == AF_INET6 ? WM_IPV6 : WM_IPV4 };
	memcpy(addr->word, mnl_attr_get_payload(attr), addr_len(af));
	return 0;
}

/* Send one request and let `parse` see its answer. */
static int ask(struct wm_neigh *neigh, struct nlmsghdr *msg, mnl_cb_t parse, void *arg)
{
	char buffer[8192];
	ssize_t got;

	msg->nlmsg_seq = ++neigh->seq;
	if (mnl_socket_sendto(neigh->ask, msg, msg->nlmsg_len) < 0)
		return -errno;
	got = mnl_socket_recvfrom(neigh->ask, buffer, sizeof(buffer));
	if (got < 0 || mnl_cb_run(buffer, got, neigh->seq, mnl_socket_get_portid(neigh->ask),
				  parse, arg) < 0)
		return -errno;
	return 0;
}

/* --- route --- */

struct route {
	struct wm_hop hop; /* via.family 0: on the link */
	uint8_t type;
	int error;
};

/* RTA_VIA: a gateway of another family than the destination. */
static int get_via(const struct nlattr *attr, struct wm_addr *addr)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);

	if (len < sizeof(*via) || len < sizeof(*via) + addr_len(via->rtvia_family))
		return -EPROTO;
	*addr = (struct wm_addr){ .family = via->rtvia_family == AF_INET6 ? WM_IPV6 : WM_IPV4 };
	memcpy(addr->word, via->rtvia_addr, addr_len(via->rtvia_family));
	return 0;
}

static int parse_route(const struct nlmsghdr *msg, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(msg);
	const struct nlattr *attr;
	struct route *route = arg;

	if (msg->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	route->type = rtm->rtm_type;
	mnl_attr_for_each(attr, msg, sizeof(*rtm)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			route->hop.ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			route->error = get_addr(attr, rtm->rtm_family, &route->hop.via);
			break;
		case RTA_VIA:
			route->error = get_via(attr, &route->hop.via);
			break;
		}
	}
	return MNL_CB_STOP;
}

int wm_neigh__route(struct wm_neigh *neigh, const struct wm_addr *to, int ifindex,
		    struct wm_hop *hop)
{
	char buffer[MESSAGE_SIZE];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct route route = {};
	struct rtmsg *rtm;
	int ret;

	msg->nlmsg_type = RTM_GETROUTE;
	msg->nlmsg_flags = NLM_F_REQUEST;
	rtm = mnl_nlmsg_put_extra_header(msg, sizeof(*rtm));
	rtm->rtm_family = to_af(to);
	rtm->rtm_dst_len = 8 * addr_len(rtm->rtm_family);
	put_addr(msg, RTA_DST, to);
	if (ifindex)
		mnl_attr_put_u32(msg, RTA_OIF, ifindex);
	ret = ask(neigh, msg, parse_route, &route);
	if (ret || route.error)
		return ret ? ret : route.error;
	if (route.type == RTN_LOCAL)
		return -EADDRNOTAVAIL;
	if (route.type != RTN_UNICAST || !route.hop.ifindex)
		return -EHOSTUNREACH;
	if (!route.hop.via.family)
		route.hop.via = *to;
	*hop = route.hop;
	return 0;
}

/* --- neighbour --- */

struct neighbour {
	struct wm_hop hop;
	uint16_t state;
	uint8_t mac[6];
	bool known;
};

static int parse_neighbour(const struct nlmsghdr *msg, void *arg)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(msg);
	struct neighbour *found = arg;
	const struct nlattr *attr;
	bool has_mac = false;

	*found = (struct neighbour){ .hop.ifindex = ndm->ndm_ifindex, .state = ndm->ndm_state };
	if (msg->nlmsg_type != RTM_NEWNEIGH ||
	    (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, msg, sizeof(*ndm)) {
		if (mnl_attr_get_type(attr) == NDA_DST)
			get_addr(attr, ndm->ndm_family, &found->hop.via);
		if (mnl_attr_get_type(attr) != NDA_LLADDR ||
		    mnl_attr_get_payload_len(attr) != sizeof(found->mac))
			continue;
		memcpy(found->mac, mnl_attr_get_payload(attr), sizeof(found->mac));
		has_mac = true;
	}
	found->known = has_mac && found->hop.via.family && ndm->ndm_state & USABLE;
	return MNL_CB_OK;
}

static struct nlmsghdr *put_neighbour(char *buffer, uint16_t type, uint16_t flags,
				      const struct wm_hop *hop)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct ndmsg *ndm;

	msg->nlmsg_type = type;
	msg->nlmsg_flags = NLM_F_REQUEST | flags;
	ndm = mnl_nlmsg_put_extra_header(msg, sizeof(*ndm));
	ndm->ndm_family = to_af(&hop->via);
	ndm->ndm_ifindex = hop->ifindex;
	put_addr(msg, NDA_DST, &hop->via);
	return msg;
}

int wm_neigh__find(struct wm_neigh *neigh, const struct wm_hop *hop, uint8_t mac[6])
{
	struct neighbour found = {};
	char buffer[MESSAGE_SIZE];
	int ret;

	ret = ask(neigh, put_neighbour(buffer, RTM_GETNEIGH, 0, hop), parse_neighbour, &found);
	if (ret)
		return ret;
	if (!found.known)
		return -ENOENT;
	memcpy(mac, found.mac, sizeof(found.mac));
	return 0;
}

/* What somebody entered by hand. NTF_USE would make it an ordinary entry (since
 * Linux 5.16), so it must not be used. */
static bool is_fixed(struct wm_neigh *neigh, const struct wm_hop *hop)
{
	struct neighbour found = {};
	char buffer[MESSAGE_SIZE];

	return !ask(neigh, put_neighbour(buffer, RTM_GETNEIGH, 0, hop), parse_neighbour, &found) &&
	       found.state & (NUD_PERMANENT | NUD_NOARP);
}

/* Only what fails is answered, while it is sent, with sequence number 0. That a
 * neighbour cannot be used (its device is down, say) shows by no event coming. */
static int send_batch(struct wm_neigh *neigh, const char *batch, size_t len)
{
	char answer[8192];

	if (len && mnl_socket_sendto(neigh->ask, batch, len) < 0)
		return -errno;
	while (recv(mnl_socket_get_fd(neigh->ask), answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	return 0;
}

int wm_neigh__use(struct wm_neigh *neigh, const struct wm_hop *hops, size_t n)
{
	char *batch = malloc(BATCH_SIZE);
	struct nlmsghdr *msg;
	size_t used = 0;
	int ret = 0;

	if (!batch)
		return -ENOMEM;
	for (size_t i = 0; i < n && !ret; i++) {
		if (is_fixed(neigh, &hops[i]))
			continue;
		msg = put_neighbour(batch + used, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE,
				    &hops[i]);
		((struct ndmsg *)mnl_nlmsg_get_payload(msg))->ndm_flags = NTF_USE;
		used += MNL_ALIGN(msg->nlmsg_len);
		if (used + MESSAGE_SIZE <= BATCH_SIZE)
			continue;
		ret = send_batch(neigh, batch, used);
		used = 0;
	}
	if (!ret)
		ret = send_batch(neigh, batch, used);
	free(batch);
	return ret;
}

/* --- events --- */

static int hear(const struct nlmsghdr *msg, void *arg)
{
	struct wm_neigh *neigh = arg;
	struct neighbour found;

	parse_neighbour(msg, &found);
	if (found.known)
		neigh->event(neigh->arg, &found.hop, found.mac);
	return MNL_CB_OK;
}

int wm_neigh__read(struct wm_neigh *neigh)
{
	char buffer[16384];
	ssize_t got;

	while ((got = mnl_socket_recvfrom(neigh->hear, buffer, sizeof(buffer))) > 0)
		mnl_cb_run(buffer, got, 0, 0, hear, neigh);
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}
