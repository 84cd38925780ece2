// SPDX-License-Identifier: GPL-2.0
/* Lines out of a stream: the bytes that come decide nothing but the lines. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lines.h"

enum { MAX = 16 };

struct stream {
	int in, out;
	struct wm_lines lines;
};

static int open_stream(void **state)
{
	struct stream *s = calloc(1, sizeof(*s));
	int fd[2];

	if (!s || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd))
		return -1;
	s->out = fd[0];
	s->in = fd[1];
	wm_lines__init(&s->lines, MAX);
	*state = s;
	return 0;
}

static int close_stream(void **state)
{
	struct stream *s = *state;

	wm_lines__free(&s->lines);
	close(s->in);
	close(s->out);
	free(s);
	return 0;
}

static void put(struct stream *s, const char *bytes, size_t len)
{
	assert_int_equal(write(s->in, bytes, len), len);
}

static void expect_line(struct stream *s, const char *text)
{
	size_t len;
	char *line = wm_lines__next(&s->lines, &len);

	assert_non_null(line);
	assert_string_equal(line, text);
	assert_int_equal(len, strlen(text));
}

static void expect_none(struct stream *s)
{
	assert_null(wm_lines__next(&s->lines, NULL));
}

static void several_at_once(void **state)
{
	struct stream *s = *state;

	put(s, "one\n\ntwo\nth", 11);
	assert_int_equal(wm_lines__read(&s->lines, s->out), 11);
	expect_line(s, "one");
	expect_line(s, "");
	expect_line(s, "two");
	expect_none(s);
	assert_true(wm_lines__partial(&s->lines));
	put(s, "ree\n", 4);
	assert_int_equal(wm_lines__read(&s->lines, s->out), 4);
	expect_line(s, "three");
	assert_false(wm_lines__partial(&s->lines));
}

static void byte_by_byte(void **state)
{
	static const char text[] = "alpha\nbeta\n";
	struct stream *s = *state;

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		put(s, text + i, 1);
		assert_int_equal(wm_lines__read(&s->lines, s->out), 1);
		if (text[i] != '\n')
			expect_none(s);
		else
			expect_line(s, i < 6 ? "alpha" : "beta");
	}
}

/* The bound counts the newline: 15 letters are the longest line of 16. */
static void longest_line(void **state)
{
	struct stream *s = *state;

	for (int i = 0; i < 3; i++) {
		put(s, "123456789012345\n", 16);
		assert_int_equal(wm_lines__read(&s->lines, s->out), 16);
		expect_line(s, "123456789012345");
	}
}

static void line_too_long(void **state)
{
	struct stream *s = *state;

	put(s, "1234567890123456\n", 17);
	assert_int_equal(wm_lines__read(&s->lines, s->out), -EMSGSIZE);
	assert_int_equal(wm_lines__read(&s->lines, s->out), -EMSGSIZE);
}

/* What was taken makes room: only what is left counts. */
static void too_long_after_a_good_one(void **state)
{
	struct stream *s = *state;

	put(s, "ok\n1234567890123", 16);
	assert_int_equal(wm_lines__read(&s->lines, s->out), 16);
	expect_line(s, "ok");
	expect_none(s);
	put(s, "45\n", 3);
	assert_int_equal(wm_lines__read(&s->lines, s->out), 3);
	expect_line(s, "123456789012345");
	put(s, "12345678901234567", 17);
	assert_int_equal(wm_lines__read(&s->lines, s->out), -EMSGSIZE);
}

static void nul_inside(void **state)
{
	struct stream *s = *state;
	size_t len;
	char *line;

	put(s, "a\0b\n", 4);
	assert_int_equal(wm_lines__read(&s->lines, s->out), 4);
	line = wm_lines__next(&s->lines, &len);
	assert_non_null(line);
	assert_int_equal(len, 3);
	assert_memory_equal(line, "a\0b", 4);
}

static void nothing_yet_and_the_end(void **state)
{
	struct stream *s = *state;

	assert_int_equal(wm_lines__read(&s->lines, s->out), -EAGAIN);
	put(s, "half", 4);
	assert_int_equal(wm_lines__read(&s->lines, s->out), 4);
	close(s->in);
	s->in = -1;
	assert_int_equal(wm_lines__read(&s->lines, s->out), 0);
	expect_none(s);
	assert_true(wm_lines__partial(&s->lines));
}

/* Grows from its first size to a bound that is no multiple of it. */
static void grows(void **state)
{
	struct stream *s = *state;
	static char text[10000];
	size_t len;

	wm_lines__free(&s->lines);
	wm_lines__init(&s->lines, sizeof(text));
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	put(s, text, sizeof(text));
	while (!wm_lines__next(&s->lines, &len))
		assert_true(wm_lines__read(&s->lines, s->out) > 0);
	assert_int_equal(len, sizeof(text) - 1);
	put(s, text, sizeof(text) - 1);
	put(s, "yz", 2);
	for (int ret = 1; ret != -EMSGSIZE;) {
		ret = wm_lines__read(&s->lines, s->out);
		assert_true(ret > 0 || ret == -EMSGSIZE);
	}
}

#define LINES_TEST(name) cmocka_unit_test_setup_teardown(name, open_stream, close_stream)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINES_TEST(several_at_once),
		LINES_TEST(byte_by_byte),
		LINES_TEST(longest_line),
		LINES_TEST(line_too_long),
		LINES_TEST(too_long_after_a_good_one),
		LINES_TEST(nul_inside),
		LINES_TEST(nothing_yet_and_the_end),
		LINES_TEST(grows),
	};

	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
