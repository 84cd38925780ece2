// SPDX-License-Identifier: GPL-2.0
/* devlink resources without a kernel: whose port an interface is, and what that device
 * says of its table. */
#include <errno.h>
#include <linux/devlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devlink.h"

enum { FAMILY = 0x15, PORTS = 3 };

struct port {
	const char *bus, *device, *name;
	uint32_t ifindex;
};

struct resource {
	const char *name;
	uint64_t size, used;
	bool tells_use;
};

/* A kernel with these devices. The resources are those of netdevsim7. */
struct kernel {
	struct port port[PORTS];
	struct resource resource[2];
	int resource_error;
	bool half; /* in two messages */
	_Alignas(8) char out[8192]; /* as libmnl writes it */
	size_t len;
	uint32_t seq;
	char asked_device[32];
};

static struct nlmsghdr *begin(struct kernel *k, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(k->out + k->len);

	msg->nlmsg_type = type;
	msg->nlmsg_flags = flags;
	msg->nlmsg_seq = k->seq;
	return msg;
}

static void end(struct kernel *k, const struct nlmsghdr *msg)
{
	k->len += MNL_ALIGN(msg->nlmsg_len);
	assert_true(k->len < sizeof(k->out));
}

static void put_done(struct kernel *k)
{
	struct nlmsghdr *msg = begin(k, NLMSG_DONE, NLM_F_MULTI);

	*(int *)mnl_nlmsg_put_extra_header(msg, sizeof(int)) = 0;
	end(k, msg);
}

static void put_error(struct kernel *k, int error)
{
	struct nlmsghdr *msg = begin(k, NLMSG_ERROR, NLM_F_CAPPED);
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(msg, sizeof(*e));

	e->error = error;
	end(k, msg);
}

static void put_family(struct kernel *k)
{
	struct nlmsghdr *msg = begin(k, GENL_ID_CTRL, 0);

	mnl_nlmsg_put_extra_header(msg, sizeof(struct genlmsghdr));
	mnl_attr_put_strz(msg, CTRL_ATTR_FAMILY_NAME, "devlink");
	mnl_attr_put_u16(msg, CTRL_ATTR_FAMILY_ID, FAMILY);
	end(k, msg);
}

static void put_ports(struct kernel *k)
{
	for (int i = 0; i < PORTS; i++) {
		struct nlmsghdr *msg = begin(k, FAMILY, NLM_F_MULTI);

		mnl_nlmsg_put_extra_header(msg, sizeof(struct genlmsghdr));
		mnl_attr_put_strz(msg, DEVLINK_ATTR_BUS_NAME, k->port[i].bus);
		mnl_attr_put_strz(msg, DEVLINK_ATTR_DEV_NAME, k->port[i].device);
		mnl_attr_put_u32(msg, DEVLINK_ATTR_PORT_INDEX, i);
		if (k->port[i].name) {
			mnl_attr_put_u32(msg, DEVLINK_ATTR_PORT_NETDEV_IFINDEX,
					 k->port[i].ifindex);
			mnl_attr_put_strz(msg, DEVLINK_ATTR_PORT_NETDEV_NAME, k->port[i].name);
		}
		end(k, msg);
	}
	put_done(k);
}

static void put_resource(struct nlmsghdr *msg, const struct resource *r, uint64_t id)
{
	struct nlattr *nest = mnl_attr_nest_start(msg, DEVLINK_ATTR_RESOURCE);

	mnl_attr_put_strz(msg, DEVLINK_ATTR_RESOURCE_NAME, r->name);
	mnl_attr_put_u64(msg, DEVLINK_ATTR_RESOURCE_SIZE, r->size);
	mnl_attr_put_u64(msg, DEVLINK_ATTR_RESOURCE_ID, id);
	if (r->tells_use)
		mnl_attr_put_u64(msg, DEVLINK_ATTR_RESOURCE_OCC, r->used);
	mnl_attr_nest_end(msg, nest);
}

static void put_resources(struct kernel *k)
{
	for (int part = 0; part < (k->half ? 2 : 1); part++) {
		struct nlmsghdr *msg = begin(k, FAMILY, NLM_F_MULTI);
		struct nlattr *list;

		mnl_nlmsg_put_extra_header(msg, sizeof(struct genlmsghdr));
		list = mnl_attr_nest_start(msg, DEVLINK_ATTR_RESOURCE_LIST);
		for (int i = part; i < (k->half ? part + 1 : 2); i++)
			put_resource(msg, &k->resource[i], i + 1);
		mnl_attr_nest_end(msg, list);
		end(k, msg);
	}
	put_done(k);
}

static void note_device(struct kernel *k, const struct nlmsghdr *req)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, req, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == DEVLINK_ATTR_DEV_NAME)
			strcpy(k->asked_device, mnl_attr_get_str(attr));
}

static ssize_t take(void *arg, const void *data, size_t len)
{
	const struct nlmsghdr *req = data;
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(req);
	struct kernel *k = arg;

	k->len = 0;
	k->seq = req->nlmsg_seq;
	if (req->nlmsg_type == GENL_ID_CTRL) {
		put_family(k);
	} else if (genl->cmd == DEVLINK_CMD_PORT_GET) {
		assert_int_equal(req->nlmsg_flags & NLM_F_DUMP, NLM_F_DUMP);
		put_ports(k);
	} else {
		assert_int_equal(genl->cmd, DEVLINK_CMD_RESOURCE_DUMP);
		note_device(k, req);
		if (k->resource_error)
			put_error(k, k->resource_error);
		else
			put_resources(k);
	}
	return len;
}

static ssize_t give(void *arg, void *data, size_t size)
{
	struct kernel *k = arg;
	size_t len = k->len;

	if (!len) {
		errno = EAGAIN;
		return -1;
	}
	assert_true(len <= size);
	memcpy(data, k->out, len);
	k->len = 0;
	return len;
}

static const struct kernel usual = {
	.port = {
		{ "pci", "0000:01:00.0", "eth0", 2 },
		{ "netdevsim", "netdevsim7", "eth1", 3 },
		{ "netdevsim", "netdevsim8", NULL, 0 },
	},
	.resource = { { "fib", 1000, 10, true }, { "flow-table", 512, 37, true } },
};

static int ask(struct kernel *k, int ifindex, const char *interface,
	       struct wm_devlink_resource *out)
{
	struct wm_nl_io io = { take, give, NULL, k };
	struct wm_genl *genl;
	int ret;

	assert_int_equal(wm_genl__open_io(&genl, &io, "devlink", NULL), 0);
	ret = wm_devlink__ask(genl, ifindex, interface, "flow-table", out);
	wm_genl__close(genl);
	return ret;
}

static void test_size_and_use(void **state)
{
	struct wm_devlink_resource table;
	struct kernel k = usual;

	(void)state;
	for (int half = 0; half < 2; half++) {
		k.half = half;
		memset(&table, 0xaa, sizeof(table));
		assert_int_equal(ask(&k, 3, "eth1", &table), 0);
		assert_string_equal(k.asked_device, "netdevsim7");
		assert_int_equal(table.size, 512);
		assert_true(table.has_used);
		assert_int_equal(table.used, 37);
	}
}

static void test_use_may_be_untold(void **state)
{
	struct wm_devlink_resource table;
	struct kernel k = usual;

	(void)state;
	k.resource[1].tells_use = false;
	assert_int_equal(ask(&k, 3, "eth1", &table), 0);
	assert_int_equal(table.size, 512);
	assert_false(table.has_used);
}

static void test_what_is_not_there(void **state)
{
	struct wm_devlink_resource table;
	struct kernel k = usual;

	(void)state;
	assert_int_equal(ask(&k, 9, "eth9", &table), -ENOENT); /* nobody's port */
	/* The number is one's in another network namespace. */
	assert_int_equal(ask(&k, 3, "wan0", &table), -ENOENT);
	assert_string_equal(k.asked_device, "");
	k.resource[1].name = "rules";
	assert_int_equal(ask(&k, 3, "eth1", &table), -ENOENT);
	k.resource_error = -EOPNOTSUPP; /* a device without any */
	assert_int_equal(ask(&k, 3, "eth1", &table), -ENOENT);
	k.resource_error = -EPERM;
	assert_int_equal(ask(&k, 3, "eth1", &table), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_and_use),
		cmocka_unit_test(test_use_may_be_untold),
		cmocka_unit_test(test_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
