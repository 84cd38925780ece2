// SPDX-License-Identifier: GPL-2.0
/* Watching queues is no condition for serving: what is in the way of it is said. The kernel's
 * side of it is played here. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "links.h"
#include "log.h"
#include "logfile.h"
#include "queue.h"
#include "queuewatch.h"
#include "running.h"

int __wrap_wm_queues__open(struct wm_queues **queues, struct wm_err *err);
int __wrap_wm_queues__listen(const struct wm_queues *queues, struct mnl_socket **socket,
			     struct wm_err *err);

static bool no_queues;

int __wrap_wm_queues__open(struct wm_queues **queues, struct wm_err *err)
{
	*queues = NULL;
	return no_queues ? wm_err__set(err, -ENOSYS, "no queues on this kernel") : 0;
}

int __wrap_wm_queues__listen(const struct wm_queues *queues, struct mnl_socket **socket,
			     struct wm_err *err)
{
	(void)queues;
	(void)err;
	*socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return *socket ? 0 : -errno;
}

/* How often the log has the text that `start` ends with. */
static int says(struct wm_queuewatch *watch, sd_event *event, const char *text)
{
	FILE *log = tmpfile();
	const struct wm_running running = {};
	const struct wm_links links = {};
	int saved = dup(STDERR_FILENO), n;

	wm_log__init("test", WM_LOG_DEBUG);
	dup2(fileno(log), STDERR_FILENO);
	wm_queuewatch__start(watch, event, &links, &running);
	dup2(saved, STDERR_FILENO);
	close(saved);
	n = log_count(log, text);
	fclose(log);
	return n;
}

/* A loop that takes no source: there is none. */
static void test_what_is_in_the_way_is_said(void **state)
{
	struct wm_queuewatch watch = {};

	(void)state;
	no_queues = true;
	assert_int_equal(says(&watch, NULL, "queues are not watched: no queues on this kernel"), 1);
	no_queues = false;
	assert_int_equal(says(&watch, NULL, "queues are not watched: cannot wait for "
			      "notifications"), 1);
	assert_null(watch.socket); /* all is undone */
}

static void test_nothing_in_the_way(void **state)
{
	struct wm_queuewatch watch = {};
	sd_event *event;

	(void)state;
	no_queues = false;
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(says(&watch, event, "not watched"), 0);
	assert_non_null(watch.io);
	wm_queuewatch__stop(&watch);
	sd_event_unref(event);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_in_the_way_is_said),
		cmocka_unit_test(test_nothing_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
