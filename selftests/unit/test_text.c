// SPDX-License-Identifier: GPL-2.0
/* What strangers say, as it may be shown; and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "rate.h"
#include "text.h"

static void expect(const char *from, size_t len, const char *shown)
{
	char text[WM_TEXT_SHOWN(64)];

	assert_true(len <= 64);
	assert_ptr_equal(wm_text__show(text, sizeof(text), from, len), text);
	assert_string_equal(text, shown);
}

static void test_plain_words_stay(void **state)
{
	(void)state;
	expect("eth0", 4, "eth0");
	expect("eth0 and \"others\" ~!", 20, "eth0 and \"others\" ~!");
	expect("eth0", 16, "eth0");  /* up to the NUL */
	expect("eth0.100", 4, "eth0"); /* up to the length: there need be no NUL */
	expect("", 0, "");
}

static void test_nobody_begins_a_line(void **state)
{
	(void)state;
	expect("a\n<3>b", 6, "a\\x0a<3>b");
	expect("\r\t\x1b[2J\x7f", 7, "\\x0d\\x09\\x1b[2J\\x7f");
	expect("\xc3\xa9\x9b\xe2\x80\xae", 6, "\\xc3\\xa9\\x9b\\xe2\\x80\\xae");
	expect("\\x41", 4, "\\x5cx41"); /* what is shown says what was there */
}

static void test_every_byte_is_printable(void **state)
{
	char text[WM_TEXT_SHOWN(1)];

	(void)state;
	for (int c = 1; c < 256; c++) {
		const char from = c;

		wm_text__show(text, sizeof(text), &from, 1);
		assert_in_range(strlen(text), 1, 4);
		for (const char *at = text; *at; at++)
			assert_in_range(*at, 0x20, 0x7e);
	}
}

static void test_is_cut_between_bytes(void **state)
{
	char text[16];

	(void)state;
	for (size_t size = 1; size < sizeof(text); size++) {
		memset(text, 'x', sizeof(text));
		wm_text__show(text, size, "a\n\n\n", 4);
		assert_true(memchr(text, 0, size));
		assert_int_equal(text[size], 'x');
		assert_true(!strncmp("a\\x0a\\x0a\\x0a", text, strlen(text)));
		assert_int_equal(strlen(text) ? (strlen(text) - 1) % 4 : 0, 0);
	}
	wm_text__show(text, 0, "a", 1); /* writes nothing */
}

/* What `text` makes of the log, as a line of the journal. */
static void log_as(const char *text, const char *lines)
{
	int fd = memfd_create("log", MFD_CLOEXEC), before = dup(STDERR_FILENO);
	char got[256] = {};

	fflush(stderr);
	assert_true(fd >= 0 && before >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	wm_warn("%s", text);
	fflush(stderr);
	dup2(before, STDERR_FILENO);
	assert_true(pread(fd, got, sizeof(got) - 1, 0) >= 0);
	close(before);
	close(fd);
	assert_string_equal(got, lines);
}

static void test_each_line_of_the_log_has_its_priority(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_as("one", "<4>warning: one\n");
	log_as("one\n<0>two", "<4>warning: one\n<4>warning: <0>two\n");
	log_as("a\r\t\x1b[2J\x7f\xc3\xa9", "<4>warning: a???[2J?\xc3\xa9\n");
	unsetenv("JOURNAL_STREAM");
	wm_log__init("test", WM_LOG_INFO);
	log_as("one\ntwo\n", "test: warning: one\ntest: warning: two\n");
	log_as("", "test: warning: \n");
}

static void test_a_burst_and_then_one_a_period(void **state)
{
	struct wm_rate rate = { .burst = 3, .period_ns = 1000 };
	uint64_t left_out = 99, told = 0, now = 5;

	(void)state;
	for (int i = 0; i < 10; i++)
		told += wm_rate__take(&rate, now, &left_out);
	assert_int_equal(told, 3);
	assert_int_equal(left_out, 0);
	assert_false(wm_rate__take(&rate, now + 999, &left_out));
	assert_true(wm_rate__take(&rate, now + 1000, &left_out));
	assert_int_equal(left_out, 8);
	assert_false(wm_rate__take(&rate, now + 1001, &left_out));
	/* After a rest the whole burst is there again, and no more. */
	now = 1000000;
	for (int i = told = 0; i < 10; i++)
		told += wm_rate__take(&rate, now, &left_out);
	assert_int_equal(told, 3);
	assert_int_equal(left_out, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_words_stay),
		cmocka_unit_test(test_nobody_begins_a_line),
		cmocka_unit_test(test_every_byte_is_printable),
		cmocka_unit_test(test_is_cut_between_bytes),
		cmocka_unit_test(test_each_line_of_the_log_has_its_priority),
		cmocka_unit_test(test_a_burst_and_then_one_a_period),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
