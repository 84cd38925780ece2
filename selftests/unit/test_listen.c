// SPDX-License-Identifier: GPL-2.0
/* Sockets in the file system that the daemon listens on: whose file it is, who may use it,
 * and what is said where it cannot be had. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "listen.h"

static const struct wm_listen_options options = {
	.what = "test socket", .type = SOCK_STREAM, .mode = 0640, .in_use = ": two of them?",
};

struct place {
	char dir[64];
	char path[96]; /* in a directory that is not there yet */
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	*state = p;
	strcpy(p->dir, "/tmp/test_listen.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/run/sock", p->dir);
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	*strrchr(p->path, '/') = '\0';
	rmdir(p->path);
	rmdir(p->dir);
	free(p);
	return 0;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) ? 0 : st.st_mode & 07777;
}

static void open_one(struct wm_listen *l, const char *path)
{
	struct wm_err err = {};

	if (wm_listen__open(l, path, &options, &err))
		fail_msg("%s", err.text);
}

static void refused(const char *path, int code, const char *text)
{
	struct wm_err err = {};
	struct wm_listen l;

	assert_int_equal(wm_listen__open(&l, path, &options, &err), code);
	assert_int_equal(l.fd, -1);
	if (!strstr(err.text, text) || !strstr(err.text, "test socket"))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void test_comes_and_goes(void **state)
{
	const struct place *p = *state;
	struct wm_listen l;

	open_one(&l, p->path);
	assert_int_equal(mode_of(p->path), 0640);
	wm_listen__close(&l);
	assert_int_equal(mode_of(p->path), 0);
	wm_listen__close(&l); /* nothing is done twice */
}

static void test_one_listens(void **state)
{
	const struct place *p = *state;
	struct wm_listen l;
	char text[64];

	open_one(&l, p->path);
	snprintf(text, sizeof(text), "is in use by process %d: two of them?", getpid());
	refused(p->path, -EADDRINUSE, text);
	assert_int_equal(mode_of(p->path), 0640); /* still there */
	wm_listen__close(&l);
}

/* Of a process that was killed. */
static void test_a_dead_one_is_replaced(void **state)
{
	const struct place *p = *state;
	struct wm_listen dead, l;

	open_one(&dead, p->path);
	close(dead.fd);
	open_one(&l, p->path);
	wm_listen__close(&l);
	assert_int_equal(mode_of(p->path), 0);
}

static void test_what_is_no_socket_stays(void **state)
{
	const struct place *p = *state;
	char directory[128], long_path[200];
	struct wm_listen l;
	FILE *file;

	open_one(&l, p->path); /* makes the directory */
	wm_listen__close(&l);
	file = fopen(p->path, "w");
	assert_non_null(file);
	fclose(file);
	refused(p->path, -EEXIST, "is there and is no socket");
	assert_true(mode_of(p->path));
	snprintf(directory, sizeof(directory), "%s/not/there/sock", p->dir);
	refused(directory, -ENOENT, "cannot make");
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	refused(long_path, -ENAMETOOLONG, "more than 107 bytes");
}

#define W(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		W(test_comes_and_goes),
		W(test_one_listens),
		W(test_a_dead_one_is_replaced),
		W(test_what_is_no_socket_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
