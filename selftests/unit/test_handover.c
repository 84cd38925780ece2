// SPDX-License-Identifier: GPL-2.0
/*
 * Messages with descriptors, from peers that say what they like: each descriptor that
 * came is the caller's to close, whatever the message is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handover.h"

enum { SCM_MAX = 253 }; /* descriptors that the kernel lets one message have */

static int ours, theirs;

static int connect_both(void **state)
{
	int pair[2];

	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -1;
	ours = pair[0];
	theirs = pair[1];
	return 0;
}

static int close_both(void **state)
{
	(void)state;
	close(ours);
	close(theirs);
	return 0;
}

static size_t open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* `len` bytes and n times the same descriptor. */
static void put(const void *bytes, size_t len, size_t n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * SCM_MAX)];
	} control = {};
	struct iovec data = { (void *)bytes, len };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	int fds[SCM_MAX];

	for (size_t i = 0; i < n; i++)
		fds[i] = ours;
	if (n) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*CMSG_FIRSTHDR(&header) = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET,
							    SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&header)), fds, n * sizeof(int));
	}
	assert_int_equal(sendmsg(theirs, &header, 0), len);
}

static const struct wm_handover good = { .magic = WM_HANDOVER_MAGIC,
					 .version = WM_HANDOVER_VERSION,
					 .kind = WM_HANDOVER_NEW };

/* What is received has all of them, and nothing is left open once they are closed. */
static void expect(int result, size_t n)
{
	struct wm_handover_fds fds = { .n = 99 };
	struct wm_handover message;
	size_t before = open_fds();

	assert_int_equal(wm_handover__recv(ours, &message, &fds), result);
	assert_int_equal(fds.n, n);
	assert_int_equal(open_fds(), before + n);
	wm_handover__close_fds(fds.fd, fds.n);
	assert_int_equal(open_fds(), before);
}

static void test_good_messages(void **state)
{
	static const size_t counts[] = { 0, 1, 2, WM_HANDOVER_FDS };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		put(&good, sizeof(good), counts[i]);
		expect(0, counts[i]);
	}
	expect(-EAGAIN, 0);
}

static void test_no_descriptor_is_lost(void **state)
{
	static const size_t counts[] = { 1, 2, WM_HANDOVER_FDS, WM_HANDOVER_FDS + 1, SCM_MAX };
	char bytes[2 * sizeof(good)] = {};
	struct wm_handover other = good;

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		put("", 0, counts[i]);
		expect(-EBADMSG, counts[i]);
		put("x", 1, counts[i]);
		expect(-EBADMSG, counts[i]);
		put(bytes, sizeof(bytes), counts[i]); /* too long */
		expect(-EBADMSG, counts[i]);
		other.magic++;
		put(&other, sizeof(other), counts[i]);
		expect(-EBADMSG, counts[i]);
	}
	put(&good, sizeof(good), WM_HANDOVER_FDS + 1); /* more than anybody needs */
	expect(-EBADMSG, WM_HANDOVER_FDS + 1);
}

static void test_a_table_that_is_full(void **state)
{
	struct rlimit limit, few;
	int next = dup(ours);

	(void)state;
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = (struct rlimit){ next + 5, limit.rlim_max };
	put(&good, sizeof(good), 20);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	{
		struct wm_handover_fds fds;
		struct wm_handover message;
		int ret = wm_handover__recv(ours, &message, &fds);

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_int_equal(ret, -EBADMSG);
		assert_int_equal(fds.n, 5); /* the kernel gave as many as it could */
		wm_handover__close_fds(fds.fd, fds.n);
	}
	assert_int_equal(dup(ours), next);
	close(next);
}

static void test_a_look_takes_nothing(void **state)
{
	struct wm_handover message;
	size_t before = open_fds();

	(void)state;
	assert_int_equal(wm_handover__peek(ours, &message), -EAGAIN);
	put(&good, sizeof(good), 7);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(wm_handover__peek(ours, &message), 0);
		assert_memory_equal(&message, &good, sizeof(good));
		assert_int_equal(open_fds(), before);
	}
	expect(0, 7);
	put("", 0, 3);
	assert_int_equal(wm_handover__peek(ours, &message), -EBADMSG);
	expect(-EBADMSG, 3);
	shutdown(theirs, SHUT_WR);
	assert_int_equal(wm_handover__peek(ours, &message), -EPIPE);
	expect(-EPIPE, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, connect_both, close_both)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good_messages),
		TEST(test_no_descriptor_is_lost),
		TEST(test_a_table_that_is_full),
		TEST(test_a_look_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
