// SPDX-License-Identifier: GPL-2.0
/* Generic netlink without a kernel: what one said of its families, recorded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "genl.h"

/* CTRL_CMD_NEWFAMILY of the family netdev, Linux 6.18. */
static const char netdev_6_18[] =
	"\x1c\x01\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00\x6b\x1a\x00\x00\x01\x02\x00\x00"
	"\x0b\x00\x02\x00\x6e\x65\x74\x64\x65\x76\x00\x00\x06\x00\x01\x00\x14\x00\x00\x00"
	"\x08\x00\x03\x00\x01\x00\x00\x00\x08\x00\x04\x00\x00\x00\x00\x00\x08\x00\x05\x00"
	"\x00\x00\x00\x00\xa4\x00\x06\x00\x14\x00\x01\x00\x08\x00\x01\x00\x01\x00\x00\x00"
	"\x08\x00\x02\x00\x0e\x00\x00\x00\x14\x00\x02\x00\x08\x00\x01\x00\x05\x00\x00\x00"
	"\x08\x00\x02\x00\x0e\x00\x00\x00\x14\x00\x03\x00\x08\x00\x01\x00\x0a\x00\x00\x00"
	"\x08\x00\x02\x00\x0e\x00\x00\x00\x14\x00\x04\x00\x08\x00\x01\x00\x0b\x00\x00\x00"
	"\x08\x00\x02\x00\x0e\x00\x00\x00\x14\x00\x05\x00\x08\x00\x01\x00\x0c\x00\x00\x00"
	"\x08\x00\x02\x00\x0c\x00\x00\x00\x14\x00\x06\x00\x08\x00\x01\x00\x0d\x00\x00\x00"
	"\x08\x00\x02\x00\x0b\x00\x00\x00\x14\x00\x07\x00\x08\x00\x01\x00\x0e\x00\x00\x00"
	"\x08\x00\x02\x00\x0b\x00\x00\x00\x14\x00\x08\x00\x08\x00\x01\x00\x0f\x00\x00\x00"
	"\x08\x00\x02\x00\x0a\x00\x00\x00\x38\x00\x07\x00\x18\x00\x01\x00\x08\x00\x02\x00"
	"\x04\x00\x00\x00\x09\x00\x01\x00\x6d\x67\x6d\x74\x00\x00\x00\x00\x1c\x00\x02\x00"
	"\x08\x00\x02\x00\x05\x00\x00\x00\x0e\x00\x01\x00\x70\x61\x67\x65\x2d\x70\x6f\x6f"
	"\x6c\x00\x00\x00";
enum { NETDEV_ID = 0x14 };

/* The kernel: answers a request with these bytes, or with an error. */
struct kernel {
	const void *reply;
	size_t len;
	int error;
	const char *words;
	char request[WM_NL_MESSAGE];
	size_t sent;
	bool due;
};

static ssize_t take(void *arg, const void *data, size_t len)
{
	struct kernel *k = arg;

	assert_true(len <= sizeof(k->request));
	memcpy(k->request, data, len);
	k->sent++;
	k->due = true;
	return len;
}

static size_t put_error(const struct kernel *k, void *data)
{
	const struct nlmsghdr *request = (const struct nlmsghdr *)k->request;
	struct nlmsghdr *msg = mnl_nlmsg_put_header(data);
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(msg, sizeof(*e));

	msg->nlmsg_type = NLMSG_ERROR;
	msg->nlmsg_flags = NLM_F_CAPPED | (k->words ? NLM_F_ACK_TLVS : 0);
	msg->nlmsg_seq = request->nlmsg_seq;
	e->error = k->error;
	e->msg = *request;
	if (k->words)
		mnl_attr_put_strz(msg, NLMSGERR_ATTR_MSG, k->words);
	return msg->nlmsg_len;
}

static ssize_t give(void *arg, void *data, size_t size)
{
	struct kernel *k = arg;

	if (!k->due) {
		errno = EAGAIN;
		return -1;
	}
	k->due = false;
	if (!k->reply)
		return put_error(k, data);
	assert_true(k->len <= size);
	memcpy(data, k->reply, k->len);
	((struct nlmsghdr *)data)->nlmsg_seq = ((struct nlmsghdr *)k->request)->nlmsg_seq;
	return k->len;
}

static struct wm_nl_io io_of(struct kernel *k)
{
	return (struct wm_nl_io){ take, give, NULL, k };
}

static struct wm_genl *netdev(struct kernel *k)
{
	struct wm_nl_io io = io_of(k);
	struct wm_genl *genl;

	k->reply = netdev_6_18;
	k->len = sizeof(netdev_6_18) - 1;
	assert_int_equal(wm_genl__open_io(&genl, &io, "netdev", NULL), 0);
	k->reply = NULL;
	return genl;
}

static void the_family_is_asked_for_by_name(void **state)
{
	static const char wanted[] =
		"\x20\x00\x00\x00\x10\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00\x00"
		"\x03\x01\x00\x00\x0b\x00\x02\x00netdev\x00";
	struct kernel k = {};

	(void)state;
	wm_genl__close(netdev(&k));
	assert_int_equal(k.sent, 1);
	assert_memory_equal(k.request, wanted, sizeof(wanted));
}

static void its_commands_are_those_that_it_lists(void **state)
{
	static const uint8_t there[] = { 1, 5, 10, 11, 12, 13, 14, 15 };
	struct kernel k = {};
	struct wm_genl *genl = netdev(&k);
	size_t n = 0;

	(void)state;
	for (int command = 0; command < 256; command++)
		n += wm_genl__has(genl, command);
	assert_int_equal(n, sizeof(there));
	for (size_t i = 0; i < sizeof(there); i++)
		assert_true(wm_genl__has(genl, there[i]));
	wm_genl__close(genl);
}

static void requests_carry_number_and_version(void **state)
{
	struct kernel k = { .error = -EOPNOTSUPP, .words = "no queue management" };
	struct wm_genl *genl = netdev(&k);
	const struct nlmsghdr *sent = (const struct nlmsghdr *)k.request;
	const struct genlmsghdr *head;
	char words[WM_NL_WORDS];

	(void)state;
	mnl_attr_put_u32(wm_genl__request(genl, 64, NLM_F_ACK), 2, 7);
	assert_int_equal(wm_genl__ask(genl, NULL, NULL, words), -EOPNOTSUPP);
	assert_string_equal(words, "no queue management");
	head = mnl_nlmsg_get_payload(sent);
	assert_int_equal(sent->nlmsg_type, NETDEV_ID);
	assert_int_equal(sent->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	assert_int_equal(sent->nlmsg_len, 16 + 4 + 8);
	assert_int_equal(head->cmd, 64);
	assert_int_equal(head->version, 1);
	wm_genl__close(genl);
}

static void a_kernel_without_the_family_is_said(void **state)
{
	struct kernel k = { .error = -ENOENT };
	struct wm_nl_io io = io_of(&k);
	struct wm_err err = {};
	struct wm_genl *genl;

	(void)state;
	assert_int_equal(wm_genl__open_io(&genl, &io, "netdev", &err), -ENOENT);
	assert_null(genl);
	assert_string_equal(err.text, "this kernel has no generic netlink family netdev");
	k.error = -EPERM;
	assert_int_equal(wm_genl__open_io(&genl, &io, "netdev", &err), -EPERM);
}

/* Cut anywhere: an error, or a family that can less; never a read beyond the end (the
 * copy ends where the message does, so that sanitizers see one). */
static void what_is_cut_is_no_family(void **state)
{
	struct kernel k = {};
	struct wm_nl_io io = io_of(&k);

	(void)state;
	for (size_t len = 16; len < sizeof(netdev_6_18) - 1; len += 4) {
		char *copy = test_malloc(len);
		struct wm_genl *genl;

		memcpy(copy, netdev_6_18, len);
		((struct nlmsghdr *)copy)->nlmsg_len = len;
		k.reply = copy;
		k.len = len;
		if (!wm_genl__open_io(&genl, &io, "netdev", NULL)) {
			assert_true(len >= 40); /* as far as its number */
			assert_false(wm_genl__has(genl, 64));
			wm_genl__close(genl);
		}
		test_free(copy);
	}
}

static void no_such_group_is_said(void **state)
{
	struct kernel k = {};
	struct wm_genl *genl = netdev(&k);
	struct mnl_socket *socket;
	struct wm_err err = {};

	(void)state;
	assert_int_equal(wm_genl__listen(genl, "weather", &socket, &err), -ENOENT);
	assert_string_equal(err.text, "netlink family netdev has no group weather");
	wm_genl__close(genl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_family_is_asked_for_by_name),
		cmocka_unit_test(its_commands_are_those_that_it_lists),
		cmocka_unit_test(requests_carry_number_and_version),
		cmocka_unit_test(a_kernel_without_the_family_is_said),
		cmocka_unit_test(what_is_cut_is_no_family),
		cmocka_unit_test(no_such_group_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
