// SPDX-License-Identifier: GPL-2.0
/*
 * Queues without a kernel that has their commands: a list that Linux 6.18 gave, what is
 * sent, what comes back; and sets of queues as text.
 */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "fake_netdev.h"
#include "queue.h"
#include "queueset.h"

static struct wm_queues *open_with(struct fake_netdev *k)
{
	struct wm_nl_io io = fake_netdev__io(k);
	struct wm_queues *queues;

	assert_int_equal(wm_queues__open_io(&queues, &io, NULL), 0);
	return queues;
}

/* --- reading --- */

/* queue-get of a veth device with two queues, number 8: no NAPI, nothing else told. No
 * part has NLM_F_MULTI. */
static const char veth_6_18[] =
	"\x2c\x00\x00\x00\x14\x00\x00\x00\x01\x00\x00\x00\x67\x6f\x00\x00\x0a\x01\x00\x00"
	"\x08\x00\x01\x00\x00\x00\x00\x00\x08\x00\x03\x00\x00\x00\x00\x00\x08\x00\x02\x00"
	"\x08\x00\x00\x00\x2c\x00\x00\x00\x14\x00\x00\x00\x01\x00\x00\x00\x67\x6f\x00\x00"
	"\x0a\x01\x00\x00\x08\x00\x01\x00\x01\x00\x00\x00\x08\x00\x03\x00\x00\x00\x00\x00"
	"\x08\x00\x02\x00\x08\x00\x00\x00\x2c\x00\x00\x00\x14\x00\x00\x00\x01\x00\x00\x00"
	"\x67\x6f\x00\x00\x0a\x01\x00\x00\x08\x00\x01\x00\x00\x00\x00\x00\x08\x00\x03\x00"
	"\x01\x00\x00\x00\x08\x00\x02\x00\x08\x00\x00\x00\x2c\x00\x00\x00\x14\x00\x00\x00"
	"\x01\x00\x00\x00\x67\x6f\x00\x00\x0a\x01\x00\x00\x08\x00\x01\x00\x01\x00\x00\x00"
	"\x08\x00\x03\x00\x01\x00\x00\x00\x08\x00\x02\x00\x08\x00\x00\x00\x14\x00\x00\x00"
	"\x03\x00\x02\x00\x01\x00\x00\x00\x67\x6f\x00\x00\x00\x00\x00\x00";

static void a_recorded_list_is_read(void **state)
{
	static const struct wm_queue want[] = {
		{ .ifindex = 8, .id = 0, .type = WM_QUEUE_RX },
		{ .ifindex = 8, .id = 1, .type = WM_QUEUE_RX },
		{ .ifindex = 8, .id = 0, .type = WM_QUEUE_TX },
		{ .ifindex = 8, .id = 1, .type = WM_QUEUE_TX },
	};
	const struct nlmsghdr *msg = (const struct nlmsghdr *)veth_6_18;
	int len = sizeof(veth_6_18) - 1;
	struct wm_queue queue;
	size_t n = 0;

	(void)state;
	for (; mnl_nlmsg_ok(msg, len); msg = mnl_nlmsg_next(msg, &len)) {
		if (!wm_queue__read(msg, &queue))
			continue;
		assert_in_range(n, 0, 3);
		assert_memory_equal(&queue, &want[n++], sizeof(queue));
	}
	assert_int_equal(n, 4);
}

struct seen {
	struct wm_queue queue[2 * NETDEV_QUEUES];
	size_t n;
};

static void see(void *arg, const struct wm_queue *queue)
{
	struct seen *seen = arg;

	assert_in_range(seen->n, 0, 2 * NETDEV_QUEUES - 1);
	seen->queue[seen->n++] = *queue;
}

static void all_parts_of_a_list_are_taken(void **state)
{
	struct fake_netdev k = { .patched = true, .n = 5, .stopped[2] = true, .program[4] = 9 };
	struct wm_queues *queues = open_with(&k);
	struct seen seen = {};

	(void)state;
	assert_int_equal(wm_queues__list(queues, if_nametoindex("lo"), see, &seen, NULL), 0);
	assert_int_equal(seen.n, 5);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(seen.queue[i].id, i);
		assert_int_equal(seen.queue[i].napi, 300 + i);
		assert_int_equal(seen.queue[i].state,
				 i == 2 ? WM_QUEUE_STOPPED : WM_QUEUE_RUNNING);
		assert_int_equal(seen.queue[i].program, i == 4 ? 1009 : 0);
	}
	wm_queues__close(queues);
}

static void what_is_not_told_stays_untold(void **state)
{
	struct fake_netdev k = { .n = 1 };
	struct wm_queues *queues = open_with(&k);
	struct wm_queue queue;

	(void)state;
	assert_int_equal(wm_queues__get(queues, "lo", 0, &queue, NULL), 0);
	assert_int_equal(queue.state, WM_QUEUE_UNTOLD);
	assert_null(wm_queue_state__name(queue.state));
	assert_null(wm_queue_memory__name(queue.memory));
	wm_queues__close(queues);
}

/* --- asking --- */

/* ifindex, type, id in this order and size. */
static void assert_sent(const struct fake_netdev *k, uint8_t command, uint32_t id, int fd)
{
	const struct nlmsghdr *msg = (const struct nlmsghdr *)k->request;
	uint32_t want[] = { 2 << 16 | 8, if_nametoindex("lo"), 3 << 16 | 8, 0, 1 << 16 | 8, id,
			    66 << 16 | 8, fd };
	size_t words = fd ? 8 : 6;

	assert_int_equal(msg->nlmsg_len, 20 + 4 * words);
	assert_int_equal(msg->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	assert_int_equal(k->request[16], command);
	assert_memory_equal(k->request + 20, want, 4 * words);
}

static void changes_name_the_queue(void **state)
{
	struct fake_netdev k = { .patched = true, .n = 4 };
	struct wm_queues *queues = open_with(&k);

	(void)state;
	assert_int_equal(wm_queues__do(queues, WM_QUEUE_STOP, "lo", 3, NULL), 0);
	assert_sent(&k, 64, 3, 0);
	assert_true(k.stopped[3]);
	assert_int_equal(wm_queues__do(queues, WM_QUEUE_START, "lo", 3, NULL), 0);
	assert_sent(&k, 65, 3, 0);
	assert_false(k.stopped[3]);
	assert_int_equal(wm_queues__do(queues, WM_QUEUE_RESTART, "lo", 1, NULL), 0);
	assert_sent(&k, 66, 1, 0);
	assert_int_equal(wm_queues__set_program(queues, "lo", 2, 11, NULL), 0);
	assert_sent(&k, 67, 2, 11);
	assert_int_equal(wm_queues__set_program(queues, "lo", 2, -1, NULL), 0);
	assert_sent(&k, 67, 2, -1);
	assert_int_equal(k.program[2], 0);
	wm_queues__close(queues);
}

static void a_kernel_without_the_commands_is_not_asked(void **state)
{
	static const enum wm_queue_action all[] = { WM_QUEUE_STOP, WM_QUEUE_START,
						    WM_QUEUE_RESTART };
	struct fake_netdev k = { .n = 4 };
	struct wm_queues *queues = open_with(&k);
	struct mnl_socket *socket;
	struct wm_err err;

	(void)state;
	k.request[16] = 0;
	for (size_t i = 0; i < 3; i++) {
		assert_false(wm_queues__can(queues, all[i]));
		assert_int_equal(wm_queues__do(queues, all[i], "lo", 0, &err), -ENOSYS);
	}
	assert_non_null(strstr(err.text, "no queue-restart"));
	assert_int_equal(wm_queues__set_program(queues, "lo", 0, 5, &err), -ENOSYS);
	assert_non_null(strstr(err.text, "no queue-set"));
	assert_int_equal(wm_queues__listen(queues, &socket, &err), -ENOSYS);
	assert_int_equal(k.request[16], 0);
	wm_queues__close(queues);
}

static void a_kernel_without_queues_is_said(void **state)
{
	struct fake_netdev k = { .no_queue_get = true };
	struct wm_nl_io io = fake_netdev__io(&k);
	struct wm_queues *queues;
	struct wm_err err;

	(void)state;
	assert_int_equal(wm_queues__open_io(&queues, &io, &err), -ENOSYS);
	assert_non_null(strstr(err.text, "no queue-get"));
}

static void the_kernels_words_are_shown(void **state)
{
	struct fake_netdev k = { .patched = true, .n = 4, .fail_command = WM_QUEUE_STOP,
				 .fail_queue = 1, .fail_errno = -EBUSY,
				 .fail_words = "queue has an AF_XDP pool" };
	struct wm_queues *queues = open_with(&k);
	struct wm_queue queue;
	struct wm_err err;

	(void)state;
	assert_int_equal(wm_queues__do(queues, WM_QUEUE_STOP, "lo", 1, &err), -EBUSY);
	assert_string_equal(err.text, "cannot stop rx queue 1 of lo: Device or resource busy "
			    "(queue has an AF_XDP pool)");
	k.fail_errno = -EPERM;
	k.fail_words = NULL;
	assert_int_equal(wm_queues__do(queues, WM_QUEUE_STOP, "lo", 1, &err), -EPERM);
	assert_string_equal(err.text, "cannot stop rx queue 1 of lo: Operation not permitted; "
			    "needs root (CAP_NET_ADMIN)");
	assert_int_equal(wm_queues__get(queues, "lo", 4, &queue, &err), -ENOENT);
	assert_int_equal(wm_queues__do(queues, WM_QUEUE_STOP, "no-such-dev", 1, &err), -ENODEV);
	assert_int_equal(k.changes, 0);
	wm_queues__close(queues);
}

/* --- sets --- */

static void sets_as_text(void **state)
{
	static const struct {
		const char *in, *out; /* out: NULL: none */
		int error;
		size_t count;
	} cases[] = {
		{ "0", "0", 0, 1 },
		{ "0-3", "0-3", 0, 4 },
		{ "6,0-3", "0-3,6", 0, 5 },
		{ "3,2,1", "1-3", 0, 3 },
		{ "62-65", "62-65", 0, 4 },
		{ "1023", "1023", 0, 1 },
		{ "0-1023", "0-1023", 0, 1024 },
		{ "1024", NULL, -EINVAL, 0 }, { "0-1024", NULL, -EINVAL, 0 },
		{ "99999999999999999999", NULL, -EINVAL, 0 },
		{ "", NULL, -EINVAL, 0 }, { "-1", NULL, -EINVAL, 0 }, { "1-", NULL, -EINVAL, 0 },
		{ "3-1", NULL, -EINVAL, 0 }, { "1,", NULL, -EINVAL, 0 }, { "a", NULL, -EINVAL, 0 },
		{ "1 ", NULL, -EINVAL, 0 }, { "1--2", NULL, -EINVAL, 0 },
		{ "1,1", NULL, -EEXIST, 0 }, { "0-3,2", NULL, -EEXIST, 0 },
	};
	char text[WM_QUEUESET_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct wm_queueset set = {};

		assert_int_equal(wm_queueset__parse(&set, cases[i].in), cases[i].error);
		if (cases[i].error)
			continue;
		assert_int_equal(wm_queueset__count(&set), cases[i].count);
		wm_queueset__format(&set, ",", text, sizeof(text));
		assert_string_equal(text, cases[i].out);
	}
}

static void a_set_is_walked_in_order(void **state)
{
	struct wm_queueset set = {}, copy = {};
	uint32_t last = 0, n = 0;

	(void)state;
	for (uint32_t id = 1; id < WM_QUEUES_MAX; id += 2)
		wm_queueset__add(&set, id);
	wm_queueset__each(id, &set) {
		assert_true(id % 2 && id > last);
		last = id;
		n++;
		wm_queueset__add(&copy, id);
	}
	assert_int_equal(n, WM_QUEUES_MAX / 2);
	assert_memory_equal(&set, &copy, sizeof(set));
	assert_false(wm_queueset__has(&set, WM_QUEUES_MAX + 1));
}

/* The longest text there is fits the size that the header gives. */
static void the_longest_text_fits(void **state)
{
	char text[WM_QUEUESET_TEXT + 100], again[WM_QUEUESET_TEXT];
	struct wm_queueset set = {}, back = {};

	(void)state;
	for (uint32_t id = 0; id < WM_QUEUES_MAX; id += 2)
		wm_queueset__add(&set, id);
	wm_queueset__format(&set, ", ", text, sizeof(text));
	assert_true(strlen(text) < WM_QUEUESET_TEXT);
	wm_queueset__format(&set, ",", again, sizeof(again));
	assert_int_equal(wm_queueset__parse(&back, again), 0);
	assert_memory_equal(&set, &back, sizeof(set));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_recorded_list_is_read),
		cmocka_unit_test(all_parts_of_a_list_are_taken),
		cmocka_unit_test(what_is_not_told_stays_untold),
		cmocka_unit_test(changes_name_the_queue),
		cmocka_unit_test(a_kernel_without_the_commands_is_not_asked),
		cmocka_unit_test(a_kernel_without_queues_is_said),
		cmocka_unit_test(the_kernels_words_are_shown),
		cmocka_unit_test(sets_as_text),
		cmocka_unit_test(a_set_is_walked_in_order),
		cmocka_unit_test(the_longest_text_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
