// SPDX-License-Identifier: GPL-2.0
/*
 * A family is what the control family ("nlctrl", the one with a fixed number) says of
 * it: its number, its commands, its multicast groups. That is asked once, when the
 * family is opened; a family does not change while its module is there.
 */
#include "genl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { GROUPS_MAX = 8, COMMANDS = 256 };

struct group {
	char name[GENL_NAMSIZ];
	uint32_t id;
};

struct wm_genl {
	struct wm_nl *nl;
	char name[GENL_NAMSIZ];
	uint16_t id;
	uint8_t version;
	bool has[COMMANDS];
	struct group group[GROUPS_MAX];
	size_t n_groups;
};

/* --- what the control family says --- */

static void read_command(struct wm_genl *genl, const struct nlattr *nest)
{
	const struct nlattr *attr;
	uint32_t id = COMMANDS;

	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == CTRL_ATTR_OP_ID &&
		    mnl_attr_get_payload_len(attr) >= sizeof(id))
			id = mnl_attr_get_u32(attr);
	if (id < COMMANDS)
		genl->has[id] = true;
}

static void read_group(struct wm_genl *genl, const struct nlattr *nest)
{
	const struct nlattr *attr;
	struct group group = {};
	size_t len;

	mnl_attr_for_each_nested(attr, nest) {
		if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID &&
		    mnl_attr_get_payload_len(attr) >= sizeof(group.id))
			group.id = mnl_attr_get_u32(attr);
		len = mnl_attr_get_payload_len(attr);
		if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_NAME &&
		    len <= sizeof(group.name))
			memcpy(group.name, mnl_attr_get_payload(attr), len);
	}
	group.name[sizeof(group.name) - 1] = '\0';
	if (group.id && genl->n_groups < GROUPS_MAX)
		genl->group[genl->n_groups++] = group;
}

static void read_list(struct wm_genl *genl, const struct nlattr *list,
		      void (*each)(struct wm_genl *genl, const struct nlattr *nest))
{
	const struct nlattr *nest;

	mnl_attr_for_each_nested(nest, list)
		each(genl, nest);
}

static int read_family(const struct nlmsghdr *msg, void *arg)
{
	struct wm_genl *genl = arg;
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(struct genlmsghdr))
		return MNL_CB_ERROR;
	mnl_attr_for_each(attr, msg, sizeof(struct genlmsghdr)) {
		size_t len = mnl_attr_get_payload_len(attr);

		switch (mnl_attr_get_type(attr)) {
		case CTRL_ATTR_FAMILY_ID:
			genl->id = len >= sizeof(uint16_t) ? mnl_attr_get_u16(attr) : 0;
			break;
		case CTRL_ATTR_VERSION:
			genl->version = len >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
			break;
		case CTRL_ATTR_OPS:
			read_list(genl, attr, read_command);
			break;
		case CTRL_ATTR_MCAST_GROUPS:
			read_list(genl, attr, read_group);
			break;
		}
	}
	return MNL_CB_OK;
}

static struct nlmsghdr *begin(struct wm_nl *nl, uint16_t type, uint8_t command, uint8_t version,
			      uint16_t flags)
{
	struct genlmsghdr *head;
	struct nlmsghdr *msg;

	wm_nl__begin(nl);
	msg = wm_nl__add(nl, type, flags);
	head = mnl_nlmsg_put_extra_header(msg, sizeof(*head));
	head->cmd = command;
	head->version = version;
	return msg;
}

/* --- open and close --- */

static int find(struct wm_genl *genl, struct wm_err *err)
{
	struct nlmsghdr *msg = begin(genl->nl, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1, 0);
	int ret;

	mnl_attr_put_strz(msg, CTRL_ATTR_FAMILY_NAME, genl->name);
	ret = wm_nl__ask(genl->nl, read_family, genl, NULL);
	if (ret == -ENOENT)
		return wm_err__set(err, ret, "this kernel has no generic netlink family %s",
				   genl->name);
	if (!ret && !genl->id)
		ret = -EPROTO;
	return ret ? wm_err__sys(err, ret, "cannot ask the kernel for its netlink family %s",
				 genl->name) : 0;
}

static int open_on(struct wm_genl **out, struct wm_nl *nl, const char *family, struct wm_err *err)
{
	struct wm_genl *genl = calloc(1, sizeof(*genl));
	int ret;

	if (!genl)
		return wm_err__sys(err, -ENOMEM, "netlink family %s", family);
	genl->nl = nl;
	strncpy(genl->name, family, sizeof(genl->name) - 1);
	ret = find(genl, err);
	if (ret)
		free(genl);
	else
		*out = genl;
	return ret;
}

int wm_genl__open(struct wm_genl **out, const char *family, struct wm_err *err)
{
	struct wm_nl *nl;
	int ret;

	*out = NULL;
	ret = wm_nl__open(&nl, NETLINK_GENERIC, err);
	if (ret)
		return ret;
	ret = open_on(out, nl, family, err);
	if (ret)
		wm_nl__close(nl);
	return ret;
}

int wm_genl__open_io(struct wm_genl **out, const struct wm_nl_io *io, const char *family,
		     struct wm_err *err)
{
	struct wm_nl *nl;
	int ret;

	*out = NULL;
	ret = wm_nl__open_io(&nl, io);
	if (ret)
		return wm_err__sys(err, ret, "netlink family %s", family);
	ret = open_on(out, nl, family, err);
	if (ret)
		wm_nl__close(nl);
	return ret;
}

void wm_genl__close(struct wm_genl *genl)
{
	if (!genl)
		return;
	wm_nl__close(genl->nl);
	free(genl);
}

/* --- use --- */

bool wm_genl__has(const struct wm_genl *genl, uint8_t command)
{
	return genl->has[command];
}

struct nlmsghdr *wm_genl__request(struct wm_genl *genl, uint8_t command, uint16_t flags)
{
	return begin(genl->nl, genl->id, command, genl->version, flags);
}

int wm_genl__ask(struct wm_genl *genl, int (*each)(const struct nlmsghdr *msg, void *arg),
		 void *arg, char *words)
{
	return wm_nl__ask(genl->nl, each, arg, words);
}

static uint32_t group_id(const struct wm_genl *genl, const char *name)
{
	for (size_t i = 0; i < genl->n_groups; i++)
		if (!strcmp(genl->group[i].name, name))
			return genl->group[i].id;
	return 0;
}

int wm_genl__listen(const struct wm_genl *genl, const char *group, struct mnl_socket **out,
		    struct wm_err *err)
{
	uint32_t id = group_id(genl, group);
	struct mnl_socket *socket;

	*out = NULL;
	if (!id)
		return wm_err__set(err, -ENOENT, "netlink family %s has no group %s", genl->name,
				   group);
	socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &id, sizeof(id))) {
		int ret = -errno;

		if (socket)
			mnl_socket_close(socket);
		return wm_err__sys(err, ret, "cannot listen to netlink family %s", genl->name);
	}
	*out = socket;
	return 0;
}
