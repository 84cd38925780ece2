// SPDX-License-Identifier: GPL-2.0
#include "fake_netdev.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <net/if.h>
#include <string.h>

enum {
	FAMILY = 0x14,
	QUEUE_GET = 10, QUEUE_STOP = 64, QUEUE_START, QUEUE_RESTART, QUEUE_SET,
	ID = 1, IFINDEX, TYPE, NAPI, STATE = 64, PROG_ID, PROG_FD,
};

static struct nlmsghdr *reply(struct fake_netdev *k, uint16_t type, uint8_t command)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(k->out + k->used);
	struct genlmsghdr *head;

	msg->nlmsg_type = type;
	msg->nlmsg_seq = k->seq;
	if (type < NLMSG_MIN_TYPE)
		return msg;
	head = mnl_nlmsg_put_extra_header(msg, sizeof(*head));
	head->cmd = command;
	return msg;
}

static void end(struct fake_netdev *k, const struct nlmsghdr *msg)
{
	k->used += MNL_ALIGN(msg->nlmsg_len);
}

static void put_result(struct fake_netdev *k, int error, const char *words)
{
	struct nlmsghdr *msg = reply(k, NLMSG_ERROR, 0);
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(msg, sizeof(*e));

	msg->nlmsg_flags = NLM_F_CAPPED | (words ? NLM_F_ACK_TLVS : 0);
	e->error = error;
	if (words)
		mnl_attr_put_strz(msg, NLMSGERR_ATTR_MSG, words);
	end(k, msg);
}

static void put_family(struct fake_netdev *k)
{
	static const uint8_t all[] = { QUEUE_GET, QUEUE_STOP, QUEUE_START, QUEUE_RESTART,
				       QUEUE_SET };
	struct nlmsghdr *msg = reply(k, GENL_ID_CTRL, CTRL_CMD_NEWFAMILY);
	struct nlattr *list, *one;

	mnl_attr_put_u16(msg, CTRL_ATTR_FAMILY_ID, FAMILY);
	mnl_attr_put_u32(msg, CTRL_ATTR_VERSION, 1);
	list = mnl_attr_nest_start(msg, CTRL_ATTR_OPS);
	for (size_t i = 0; i < sizeof(all); i++) {
		if ((all[i] == QUEUE_GET && k->no_queue_get) || (all[i] > 63 && !k->patched))
			continue;
		one = mnl_attr_nest_start(msg, i + 1);
		mnl_attr_put_u32(msg, CTRL_ATTR_OP_ID, all[i]);
		mnl_attr_nest_end(msg, one);
	}
	mnl_attr_nest_end(msg, list);
	end(k, msg);
}

/* Its parts do not say that they are parts: so the real one does it. */
static void put_queue(struct fake_netdev *k, uint32_t id)
{
	struct nlmsghdr *msg = reply(k, FAMILY, QUEUE_GET);

	mnl_attr_put_u32(msg, ID, id);
	mnl_attr_put_u32(msg, TYPE, 0);
	mnl_attr_put_u32(msg, IFINDEX, if_nametoindex("lo"));
	mnl_attr_put_u32(msg, NAPI, 300 + id);
	if (k->patched)
		mnl_attr_put_u32(msg, STATE, k->stopped[id]);
	if (k->program[id])
		mnl_attr_put_u32(msg, PROG_ID, 1000 + k->program[id]);
	end(k, msg);
}

static void put_list(struct fake_netdev *k)
{
	struct nlmsghdr *msg;

	for (uint32_t id = 0; id < k->n; id++)
		put_queue(k, id);
	msg = reply(k, NLMSG_DONE, 0);
	*(int *)mnl_nlmsg_put_extra_header(msg, sizeof(int)) = 0;
	msg->nlmsg_flags = NLM_F_MULTI;
	end(k, msg);
}

static uint32_t value_of(const struct nlmsghdr *msg, uint16_t type, uint32_t missing)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, msg, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == type)
			return mnl_attr_get_u32(attr);
	return missing;
}

static int change(struct fake_netdev *k, const struct nlmsghdr *msg, uint8_t command, uint32_t id)
{
	int fd = value_of(msg, PROG_FD, 0);

	switch (command) {
	case QUEUE_STOP:
		k->stopped[id] = true;
		break;
	case QUEUE_START:
		k->stopped[id] = false;
		break;
	case QUEUE_SET:
		if (!fd)
			return -EINVAL;
		k->program[id] = fd < 0 ? 0 : fd;
		break;
	}
	k->changes++;
	return 0;
}

static void answer(struct fake_netdev *k, const struct nlmsghdr *msg)
{
	const struct genlmsghdr *head = mnl_nlmsg_get_payload(msg);
	uint32_t id = value_of(msg, ID, k->n);

	if (msg->nlmsg_type == GENL_ID_CTRL)
		put_family(k);
	else if ((msg->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
		put_list(k);
	else if (head->cmd == k->fail_command && id == k->fail_queue)
		put_result(k, k->fail_errno, k->fail_words);
	else if (value_of(msg, IFINDEX, 0) != if_nametoindex("lo"))
		put_result(k, -ENODEV, NULL);
	else if (id >= k->n || value_of(msg, TYPE, 9))
		put_result(k, -ENOENT, NULL);
	else if (head->cmd == QUEUE_GET)
		put_queue(k, id);
	else
		put_result(k, change(k, msg, head->cmd, id), NULL);
}

static ssize_t take(void *arg, const void *data, size_t len)
{
	struct fake_netdev *k = arg;

	if (len > sizeof(k->request)) {
		errno = EMSGSIZE;
		return -1;
	}
	memset(k->request, 0, sizeof(k->request));
	memcpy(k->request, data, len);
	k->seq = ((const struct nlmsghdr *)k->request)->nlmsg_seq;
	k->used = 0;
	answer(k, (const struct nlmsghdr *)k->request);
	return len;
}

static ssize_t give(void *arg, void *data, size_t size)
{
	struct fake_netdev *k = arg;
	size_t len = k->used;

	if (!len || len > size) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(data, k->out, len);
	k->used = 0;
	return len;
}

struct wm_nl_io fake_netdev__io(struct fake_netdev *kernel)
{
	return (struct wm_nl_io){ take, give, NULL, kernel };
}
