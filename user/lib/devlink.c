// SPDX-License-Identifier: GPL-2.0
/*
 * Two questions: which device has this interface as a port, among all ports that there
 * are; and what resources that device has. Interfaces are compared by number and name, as
 * a device's ports may be in another network namespace, with numbers of its own.
 */
#include "devlink.h"

#include <errno.h>
#include <linux/devlink.h>
#include <net/if.h>
#include <string.h>

enum { NAME_SIZE = 64 };

static bool copy_text(const struct nlattr *attr, char text[NAME_SIZE])
{
	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) ||
	    mnl_attr_get_payload_len(attr) > NAME_SIZE)
		return false;
	strcpy(text, mnl_attr_get_str(attr));
	return true;
}

static bool copy_number(const struct nlattr *attr, uint64_t *number)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*number))
		return false;
	*number = mnl_attr_get_u64(attr);
	return true;
}

/* --- whose port is it? --- */

struct port {
	int ifindex;
	const char *interface;
	char bus[NAME_SIZE], device[NAME_SIZE];
	bool found;
};

static int on_port(const struct nlmsghdr *msg, void *arg)
{
	char bus[NAME_SIZE] = "", device[NAME_SIZE] = "", name[NAME_SIZE] = "";
	struct port *port = arg;
	const struct nlattr *attr;
	uint32_t ifindex = 0;

	mnl_attr_for_each(attr, msg, sizeof(struct genlmsghdr)) {
		switch (mnl_attr_get_type(attr)) {
		case DEVLINK_ATTR_BUS_NAME:
			copy_text(attr, bus);
			break;
		case DEVLINK_ATTR_DEV_NAME:
			copy_text(attr, device);
			break;
		case DEVLINK_ATTR_PORT_NETDEV_NAME:
			copy_text(attr, name);
			break;
		case DEVLINK_ATTR_PORT_NETDEV_IFINDEX:
			if (mnl_attr_get_payload_len(attr) == sizeof(ifindex))
				ifindex = mnl_attr_get_u32(attr);
			break;
		}
	}
	if (!*bus || !*device || ifindex != (uint32_t)port->ifindex ||
	    strcmp(name, port->interface))
		return MNL_CB_OK;
	strcpy(port->bus, bus);
	strcpy(port->device, device);
	port->found = true;
	return MNL_CB_OK;
}

/* --- what has it got? --- */

struct search {
	const char *name;
	struct wm_devlink_resource *out;
	bool found;
};

static void on_resource(const struct nlattr *nest, struct search *s)
{
	struct wm_devlink_resource is = {};
	const struct nlattr *attr;
	char name[NAME_SIZE] = "";
	bool sized = false;

	mnl_attr_for_each_nested(attr, nest) {
		switch (mnl_attr_get_type(attr)) {
		case DEVLINK_ATTR_RESOURCE_NAME:
			copy_text(attr, name);
			break;
		case DEVLINK_ATTR_RESOURCE_SIZE:
			sized = copy_number(attr, &is.size);
			break;
		case DEVLINK_ATTR_RESOURCE_OCC:
			is.has_used = copy_number(attr, &is.used);
			break;
		}
	}
	if (!sized || strcmp(name, s->name))
		return;
	*s->out = is;
	s->found = true;
}

/* Resources of the device itself; those that are parts of others are not looked at. */
static int on_resources(const struct nlmsghdr *msg, void *arg)
{
	const struct nlattr *list, *attr;
	struct search *s = arg;

	mnl_attr_for_each(list, msg, sizeof(struct genlmsghdr)) {
		if (mnl_attr_get_type(list) != DEVLINK_ATTR_RESOURCE_LIST)
			continue;
		mnl_attr_for_each_nested(attr, list)
			if (mnl_attr_get_type(attr) == DEVLINK_ATTR_RESOURCE)
				on_resource(attr, s);
	}
	return MNL_CB_OK;
}

int wm_devlink__ask(struct wm_genl *devlink, int ifindex, const char *interface,
		    const char *resource, struct wm_devlink_resource *out)
{
	struct port port = { .ifindex = ifindex, .interface = interface };
	struct search search = { .name = resource, .out = out };
	struct nlmsghdr *msg;
	int ret;

	wm_genl__request(devlink, DEVLINK_CMD_PORT_GET, NLM_F_DUMP);
	ret = wm_genl__ask(devlink, on_port, &port, NULL);
	if (ret || !port.found)
		return ret ? ret : -ENOENT;
	msg = wm_genl__request(devlink, DEVLINK_CMD_RESOURCE_DUMP, 0);
	mnl_attr_put_strz(msg, DEVLINK_ATTR_BUS_NAME, port.bus);
	mnl_attr_put_strz(msg, DEVLINK_ATTR_DEV_NAME, port.device);
	ret = wm_genl__ask(devlink, on_resources, &search, NULL);
	if (ret == -EOPNOTSUPP) /* it has none at all */
		return -ENOENT;
	return ret || search.found ? ret : -ENOENT;
}

int wm_devlink__resource(const char *interface, const char *resource,
			 struct wm_devlink_resource *out)
{
	int ifindex = if_nametoindex(interface), ret;
	struct wm_genl *devlink;

	if (!ifindex)
		return -errno;
	ret = wm_genl__open(&devlink, "devlink", NULL);
	if (ret)
		return ret;
	ret = wm_devlink__ask(devlink, ifindex, interface, resource, out);
	wm_genl__close(devlink);
	return ret;
}
