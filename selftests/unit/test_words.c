// SPDX-License-Identifier: GPL-2.0
/* Words that people type: how near one is to another, and those for a program's mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "distance.h"
#include "words.h"
#include "xdpmode.h"

static void test_place_in_a_list(void **state)
{
	static const char *const words[] = { "up", "down", "", NULL }, *const none[] = { NULL };

	(void)state;
	assert_int_equal(wm_words__find(words, "up"), 0);
	assert_int_equal(wm_words__find(words, "down"), 1);
	assert_int_equal(wm_words__find(words, ""), 2);
	assert_int_equal(wm_words__find(words, "Up"), -1);
	assert_int_equal(wm_words__find(words, "dow"), -1);
	assert_int_equal(wm_words__find(words, NULL), -1);
	assert_int_equal(wm_words__find(none, "up"), -1);
}

static void test_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned int distance;
	} cases[] = {
		{ "", "", 0 }, { "idle", "idle", 0 }, { "", "idle", 4 },
		{ "xyzw", "xywz", 1 },                     /* a swap */
		{ "xywza", "xyzw", 2 },                    /* a swap, and one goes */
		{ "ca", "abc", 3 },                        /* what was swapped is not split */
		{ "reals", "real", 1 }, { "promote", "promte", 1 }, { "mode", "node", 1 },
		{ "kitten", "sitting", 3 }, { "vip", "flow", 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(wm_distance(cases[i].a, cases[i].b), cases[i].distance);
		assert_int_equal(wm_distance(cases[i].b, cases[i].a), cases[i].distance);
	}
}

static void test_long_words_are_far_from_all(void **state)
{
	char word[WM_DISTANCE_MAX + 2] = "";

	(void)state;
	memset(word, 'a', WM_DISTANCE_MAX);
	assert_int_equal(wm_distance(word, word), 0);
	word[WM_DISTANCE_MAX] = 'a';
	assert_int_equal(wm_distance(word, word), WM_DISTANCE_MAX);
	assert_int_equal(wm_distance("a", word), WM_DISTANCE_MAX);
}

static void test_modes(void **state)
{
	(void)state;
	for (int mode = WM_XDP_AUTO; mode <= WM_XDP_GENERIC; mode++)
		assert_int_equal(wm_xdp_mode__parse(wm_xdp_mode_words[mode]), mode);
	assert_null(wm_xdp_mode_words[WM_XDP_GENERIC + 1]);
	assert_int_equal(wm_xdp_mode__parse("native"), WM_XDP_NATIVE);
	assert_int_equal(wm_xdp_mode__parse("nat"), -1);
	assert_int_equal(wm_xdp_mode__parse(""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place_in_a_list),
		cmocka_unit_test(test_distance),
		cmocka_unit_test(test_long_words_are_far_from_all),
		cmocka_unit_test(test_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
