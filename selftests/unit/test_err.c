// SPDX-License-Identifier: GPL-2.0
/* Texts of others, as they reach a terminal or the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "err.h"

static void test_plain(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "", "" },
		{ "vip \"web\": 10.0.0.1\\x", "vip \"web\": 10.0.0.1\\x" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80" },
		{ "\x1b[31mred\x07\t\r\x7f", "\\x1b[31mred\\x07\\x09\\x0d\\x7f" },
		{ "one\ntwo", "one\n  two" },
		/* commands of eight bits, in UTF-8 and not */
		{ "\xc2\x9b" "2J", "\\xc2\\x9b2J" },
		{ "\x9b" "2J", "\\x9b2J" },
		/* writing from right to left */
		{ "\xe2\x80\xae" "abc", "\\xe2\\x80\\xaeabc" },
		{ "\xe2\x81\xa6", "\\xe2\\x81\\xa6" },
		/* too long for what they say, a half of a pair, beyond the last, cut off */
		{ "\xc0\x9b", "\\xc0\\x9b" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
		{ "a\xe2\x82", "a\\xe2\\x82" },
		{ "\xff\xfe", "\\xff\\xfe" },
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(wm_err__plain(text, sizeof(text), cases[i].from),
				 strlen(cases[i].to));
		assert_string_equal(text, cases[i].to);
	}
}

static void test_plain_is_cut_between_characters(void **state)
{
	char text[6];

	(void)state;
	assert_int_equal(wm_err__plain(text, sizeof(text), "abc\x1b"), 3);
	assert_string_equal(text, "abc");
	assert_int_equal(wm_err__plain(text, sizeof(text), "abcd\xc3\xbc"), 4);
	assert_string_equal(text, "abcd");
	assert_int_equal(wm_err__plain(text, 1, "a"), 0);
	assert_string_equal(text, "");
	assert_int_equal(wm_err__plain(NULL, 0, "a"), 0);
}

static void test_mask(void **state)
{
	char text[] = "a\x1b" "b\xc2\x9b" "c\xe2\x80\xae" "d\xc3\xbc\xff";

	(void)state;
	assert_ptr_equal(wm_err__mask(text), text);
	assert_string_equal(text, "a\x1b" "b??c???d\xc3\xbc\xff");
	assert_null(wm_err__mask(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_mask),
		cmocka_unit_test(test_plain_is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
