// SPDX-License-Identifier: GPL-2.0
/*
 * Descriptors whose close() sleeps, here TCP sockets that linger for ten minutes: who gets
 * one from a stranger goes on, and in the end it is closed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "closer.h"
#include "linger.h"
#include "plain.h"

/* cmocka's run has no end of its own: a test that sleeps for ten minutes has failed. */
enum { PATIENCE_S = 60 };

static void pass_on(int sock, int flags, const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec data = { (void *)text, strlen(text) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control,
				 .msg_controllen = sizeof(control) };

	control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	assert_int_equal(sendmsg(sock, &header, flags), strlen(text));
}

static void wait_until_empty(struct wm_closer *closer)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	time_t deadline = time(NULL) + PATIENCE_S;

	while (wm_closer__waiting(closer)) {
		assert_true(time(NULL) < deadline);
		nanosleep(&pause, NULL);
	}
}

/* Linux has closed it when the peer, which has read all, sees the end. */
static bool has_ended(struct linger_pair *pair)
{
	char bytes[65536];
	struct pollfd readable = { .fd = pair->peer, .events = POLLIN };

	while (poll(&readable, 1, PATIENCE_S * 1000) == 1)
		if (recv(pair->peer, bytes, sizeof(bytes), 0) <= 0)
			return true;
	return false;
}

static void test_lingering_sockets_are_closed_elsewhere(void **state)
{
	struct linger_pair pair[3];
	struct wm_closer *closer;
	time_t began = time(NULL);
	int pipe_fd[2];
	char byte;

	(void)state;
	assert_int_equal(wm_closer__new(&closer), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(linger_open(&pair[i]), 0);
		wm_closer__close(closer, &pair[i].sock, 1);
	}
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	wm_closer__close(closer, &pipe_fd[1], 1);
	assert_int_equal(read(pipe_fd[0], &byte, 1), 0); /* nobody keeps it from its turn */
	close(pipe_fd[0]);
	for (int i = 0; i < 3; i++) {
		assert_true(has_ended(&pair[i]));
		linger_close(&pair[i]);
	}
	wait_until_empty(closer);
	assert_true(time(NULL) - began < LINGER_S);
	wm_closer__free(closer);
}

/* A connection that holds such a socket in a message that nobody has read. */
static void test_a_connection_ends_at_once(void **state)
{
	struct linger_pair pair;
	struct wm_closer *closer;
	char bytes[16];
	int both[2];

	(void)state;
	assert_int_equal(wm_closer__new(&closer), 0);
	assert_int_equal(linger_open(&pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both), 0);
	for (int i = 0; i < 10; i++)
		pass_on(both[1], 0, "hello", pair.sock);
	close(pair.sock);
	assert_int_equal(send(both[0], "no", 2, 0), 2);
	wm_closer__hang_up(closer, both[0]);
	assert_int_equal(recv(both[1], bytes, sizeof(bytes), 0), 2); /* what was said last */
	assert_int_equal(recv(both[1], bytes, sizeof(bytes), 0), 0);
	wait_until_empty(closer);
	assert_true(has_ended(&pair));
	linger_close(&pair);
	close(both[1]);
	wm_closer__free(closer);
}

/* What a stranger passed may be somebody else's too: nothing is read from it. */
static void test_others_lose_no_bytes(void **state)
{
	struct wm_closer *closer;
	int both[2], copy;
	char byte;

	(void)state;
	assert_int_equal(wm_closer__new(&closer), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both), 0);
	assert_int_equal(send(both[1], "x", 1, 0), 1);
	copy = dup(both[0]);
	wm_closer__close(closer, &copy, 1);
	wait_until_empty(closer);
	assert_int_equal(recv(both[0], &byte, 1, MSG_DONTWAIT), 1);
	close(both[0]);
	close(both[1]);
	wm_closer__free(closer);
}

static void test_all_of_many_are_closed(void **state)
{
	int both[2], fd[WM_CLOSER_FULL], pipe_fd[2];
	struct wm_closer *closer;
	struct linger_pair pair;

	(void)state;
	assert_int_equal(wm_closer__new(&closer), 0);
	assert_false(wm_closer__full(closer));
	assert_int_equal(pipe2(pipe_fd, O_CLOEXEC), 0);
	for (size_t i = 0; i < WM_CLOSER_FULL; i++)
		fd[i] = dup(pipe_fd[1]);
	close(pipe_fd[1]);
	/* The first keeps the others waiting for a moment. */
	assert_int_equal(linger_open(&pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both), 0);
	wm_closer__close(closer, &pair.sock, 1);
	wm_closer__close(closer, fd, WM_CLOSER_FULL);
	wait_until_empty(closer);
	assert_false(wm_closer__full(closer));
	assert_int_equal(read(pipe_fd[0], fd, 1), 0); /* nobody has it any more */
	close(pipe_fd[0]);
	close(both[0]);
	close(both[1]);
	linger_close(&pair);
	wm_closer__free(closer);
}

static void expect_bytes(int sock, const char *text)
{
	char bytes[64] = {};

	assert_int_equal(wm_plain__recv(sock, bytes, sizeof(bytes) - 1), strlen(text));
	assert_string_equal(bytes, text);
}

/* As on a kernel that does not refuse them at their sender. */
static void test_descriptors_are_not_taken(void **state)
{
	static const int flags[] = { 0, MSG_OOB };
	const int yes = 1;
	char bytes[64];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct linger_pair pair;
		int both[2];

		assert_int_equal(linger_open(&pair), 0);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both), 0);
		setsockopt(both[0], SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes));
		assert_int_equal(wm_plain__recv(both[0], bytes, sizeof(bytes)), -EAGAIN);
		assert_int_equal(send(both[1], "one", 3, 0), 3);
		expect_bytes(both[0], "one");
		assert_int_equal(send(both[1], "two", 3, 0), 3);
		pass_on(both[1], flags[i], "3", pair.sock); /* behind bytes that are fine */
		if (flags[i] == MSG_OOB)
			expect_bytes(both[0], "two"); /* reading ends before such a byte */
		assert_int_equal(wm_plain__recv(both[0], bytes, sizeof(bytes)), -EPERM);
		linger_close(&pair);
		close(pair.sock);
		close(both[0]);
		close(both[1]);
	}
}

static void test_they_are_refused_at_their_sender(void **state)
{
	char x = 'x';
	struct iovec data = { &x, 1 };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	int both[2], no = 1;
	socklen_t len = sizeof(no);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both), 0);
	wm_plain__refuse_rights(both[0]);
	if (getsockopt(both[0], SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &no, &len)) {
		print_message("# this kernel has no SO_PASSRIGHTS\n");
		skip();
	}
	assert_int_equal(no, 0);
	control.align = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.align), &both[1], sizeof(int));
	header.msg_control = &control;
	header.msg_controllen = sizeof(control);
	assert_int_equal(sendmsg(both[1], &header, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(send(both[1], "y", 1, 0), 1);
	expect_bytes(both[0], "y");
	close(both[0]);
	close(both[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lingering_sockets_are_closed_elsewhere),
		cmocka_unit_test(test_a_connection_ends_at_once),
		cmocka_unit_test(test_others_lose_no_bytes),
		cmocka_unit_test(test_all_of_many_are_closed),
		cmocka_unit_test(test_descriptors_are_not_taken),
		cmocka_unit_test(test_they_are_refused_at_their_sender),
	};

	alarm(3 * PATIENCE_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
