// SPDX-License-Identifier: GPL-2.0
/* Health checks without a server: from results to states, from states to who gets new flows, and
 * what the daemon and its child say to each other. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "healthcheck.h"
#include "seed.h"
#include "track.h"
#include "wire.h"

#define SECOND 1000000000ull

/* --- results and states --- */

/* Results, a letter each, a second apart: + good, - bad. States: ? unchecked, U up, D down; a
 * small one is not judged yet. */
struct course {
	enum wm_health_state from;
	uint32_t rise, fall;
	uint64_t hold_s;
	const char *results, *states;
};

static const struct course courses[] = {
	/* The first good result is enough for one who was taken to be up. */
	{ WM_HEALTH_UNCHECKED, 2, 3, 0, "+", "U" },
	{ WM_HEALTH_UNCHECKED, 2, 3, 0, "-", "?" },
	{ WM_HEALTH_UNCHECKED, 2, 3, 0, "--+", "??U" },
	{ WM_HEALTH_UNCHECKED, 2, 3, 0, "---", "??D" },
	{ WM_HEALTH_UNCHECKED, 5, 1, 0, "-", "D" },
	/* In a row. */
	{ WM_HEALTH_UP, 2, 3, 0, "+---", "UUUD" },
	{ WM_HEALTH_UP, 2, 3, 0, "--+--+---", "uuUUUUUUD" },
	{ WM_HEALTH_UP, 1, 1, 0, "-+-+", "DUDU" },
	{ WM_HEALTH_UP, 2, 1, 0, "-+-+-++", "DDDDDDU" },
	/* A state that was taken over is believed until results say otherwise. */
	{ WM_HEALTH_UP, 2, 3, 0, "--", "uu" },
	{ WM_HEALTH_UP, 2, 3, 0, "+", "U" },
	{ WM_HEALTH_DOWN, 2, 3, 0, "+", "d" },
	{ WM_HEALTH_DOWN, 2, 3, 0, "-", "D" },
	{ WM_HEALTH_DOWN, 2, 3, 0, "++", "dU" },
	{ WM_HEALTH_DOWN, 3, 3, 0, "++-+++", "ddDDDU" },
	/* Held down: since it went down, and not because it was when we came. */
	{ WM_HEALTH_UP, 1, 1, 3, "-++++", "DDDUU" },
	{ WM_HEALTH_UP, 1, 1, 3, "-++-+", "DDDDU" },
	{ WM_HEALTH_DOWN, 1, 1, 100, "+", "U" },
	{ WM_HEALTH_UP, 2, 1, 2, "-+++", "DDUU" },
};

static char letter(const struct wm_track *track)
{
	static const char judged[] = "?UD", not_judged[] = "?ud";

	return (track->judged ? judged : not_judged)[track->state];
}

static void test_courses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(courses) / sizeof(*courses); i++) {
		const struct course *c = &courses[i];
		const struct wm_check check = {
			.rise = c->rise, .fall = c->fall, .hold_ns = c->hold_s * SECOND,
		};
		struct wm_track track = { .state = c->from };

		for (size_t k = 0; c->results[k]; k++) {
			char before = letter(&track), after;
			bool news = wm_track__result(&track, &check, c->results[k] == '+',
						     (k + 1) * SECOND);

			after = letter(&track);
			if (after != c->states[k])
				fail_msg("course %zu: after %zu results %c, not %c", i, k + 1,
					 after, c->states[k]);
			if (news != (before != after))
				fail_msg("course %zu: result %zu is %snews", i, k + 1,
					 news ? "" : "no ");
		}
	}
}

/* However results come, a vip does not stay as it was taken over for ever. */
static void test_every_course_is_judged(void **state)
{
	(void)state;
	srandom(test_seed());
	for (int i = 0; i < 10000; i++) {
		const struct wm_check check = {
			.rise = 1 + random() % 10, .fall = 1 + random() % 10,
		};
		uint32_t most = check.rise > check.fall ? check.rise : check.fall, n = 0;
		struct wm_track track = { .state = random() % 3 };

		for (; !track.judged && n <= most; n++)
			wm_track__result(&track, &check, random() % 2, n);
		assert_true(track.judged);
	}
}

/* --- states and who gets new flows --- */

/* Reals, two letters each: U up, D down, w without weight or out of reach; and when it went down.
 * Who is out: x. */
struct judgement {
	uint32_t max_down;
	enum wm_check_fail fail;
	const char *reals, *out;
};

static const struct judgement judgements[] = {
	{ 100, WM_CHECK_FAIL_OPEN, "U0U0U0", "..." },
	{ 100, WM_CHECK_FAIL_OPEN, "U0D1U0", ".x." },
	{ 100, WM_CHECK_FAIL_OPEN, "D2D1U0", "xx." },
	/* All are down. */
	{ 100, WM_CHECK_FAIL_OPEN, "D2D1D3", "..." },
	{ 100, WM_CHECK_FAIL_CLOSED, "D2D1D3", "xxx" },
	{ 50, WM_CHECK_FAIL_CLOSED, "D2D1D3", "xxx" },
	{ 50, WM_CHECK_FAIL_OPEN, "D2D1D3", "..." },
	{ 100, WM_CHECK_FAIL_OPEN, "D1", "." },
	{ 100, WM_CHECK_FAIL_CLOSED, "D1", "x" },
	/* Those first that went down first, and of several at a time the first in the file. */
	{ 50, WM_CHECK_FAIL_OPEN, "D3D1D2U0", ".xx." },
	{ 50, WM_CHECK_FAIL_OPEN, "D2D1U0", ".x." },
	{ 34, WM_CHECK_FAIL_OPEN, "D1D1U0", "x.." },
	{ 33, WM_CHECK_FAIL_OPEN, "D1D1U0", "..." },
	{ 0, WM_CHECK_FAIL_CLOSED, "D1U0", ".." },
	{ 50, WM_CHECK_FAIL_OPEN, "D1U0", "x." },
	/* Who gets no flows anyhow neither counts nor is taken out. */
	{ 100, WM_CHECK_FAIL_OPEN, "D1w1U0", "x.." },
	{ 100, WM_CHECK_FAIL_OPEN, "D1w1", ".." },
	{ 100, WM_CHECK_FAIL_CLOSED, "D1w1", "x." },
	{ 50, WM_CHECK_FAIL_OPEN, "D1w1w1U0", "x..." },
	{ 100, WM_CHECK_FAIL_CLOSED, "w1", "." },
	{ 100, WM_CHECK_FAIL_CLOSED, "", "" },
};

static void test_judgements(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judgements) / sizeof(*judgements); i++) {
		const struct judgement *j = &judgements[i];
		const struct wm_check check = { .max_down = j->max_down, .fail = j->fail };
		size_t n = strlen(j->reals) / 2, out, expected = 0;
		struct wm_standing list[8];
		char got[9] = "";

		for (size_t k = 0; k < n; k++) {
			list[k] = (struct wm_standing){
				.eligible = j->reals[2 * k] != 'w',
				.down = j->reals[2 * k] != 'U',
				.since_ns = j->reals[2 * k + 1] - '0', .place = k,
			};
			expected += j->out[k] == 'x';
		}
		out = wm_standing__judge(&check, list, n);
		for (size_t k = 0; k < n; k++)
			got[list[k].place] = list[k].out ? 'x' : '.';
		if (strcmp(got, j->out) || out != expected)
			fail_msg("judgement %zu (%s): %s and not %s", i, j->reals, got, j->out);
	}
}

/* --- what is sent --- */

static void test_bytes_of_a_datagram(void **state)
{
	static const struct {
		const char *text, *bytes;
		int n;
	} cases[] = {
		{ "a", "a", 1 }, { "", "", -EINVAL }, { "\\x00\\xFf", "\0\xff", 2 },
		{ "a\\n\\r\\t\\\\b", "a\n\r\t\\b", 6 }, { "\\", "", -EINVAL },
		{ "a\\", "", -EINVAL }, { "\\x", "", -EINVAL }, { "\\x1", "", -EINVAL },
		{ "\\x1g", "", -EINVAL }, { "\\q", "", -EINVAL }, { "\xc3\xa4", "\xc3\xa4", 2 },
	};
	uint8_t bytes[WM_CHECK_SEND_MAX];
	char text[WM_CHECK_SEND_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(wm_check__unescape(cases[i].text, bytes), cases[i].n);
		if (cases[i].n > 0)
			assert_memory_equal(bytes, cases[i].bytes, cases[i].n);
	}
	memset(text, 'a', sizeof(text));
	text[WM_CHECK_SEND_MAX] = '\0';
	assert_int_equal(wm_check__unescape(text, bytes), WM_CHECK_SEND_MAX);
	strcat(text, "b");
	assert_int_equal(wm_check__unescape(text, bytes), -EINVAL);
}

/* --- the wire --- */

static const struct wm_probe probe = {
	.id = 4000000000, .state = WM_HEALTH_DOWN,
	.address = { { 0x0100000a }, WM_IPV4 },
	.check = {
		.type = WM_CHECK_HTTP, .port = 65535, .path = (char *)"/a?\"b\"",
		.host = (char *)"h",
		.ca = (char *)"/ca", .send = (char *)"\\x00", .verify = true,
		.script = (char *)"/a b",
		.status_min = 200, .status_max = 204, .body = (char *)"\xc3\xa4\\",
		.interval_ns = 3600 * SECOND, .timeout_ns = SECOND, .jitter = 7, .rise = 2,
		.fall = 3, .hold_ns = 4,
	},
};

static void check_request(const struct wm_probe *p)
{
	char *line = wm_wire__request(WM_WIRE_PROBE, p);
	struct wm_probe back;

	assert_non_null(line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_int_equal(wm_wire__parse_request(line, strlen(line), &back), WM_WIRE_PROBE);
	assert_int_equal(back.id, p->id);
	assert_int_equal(back.state, p->state);
	assert_true(wm_addr__equal(&back.address, &p->address));
	assert_true(wm_check__same(&back.check, &p->check));
	wm_check__clear(&back.check);
	free(line);
}

static void test_requests_come_through(void **state)
{
	struct wm_probe least = probe;

	(void)state;
	check_request(&probe);
	least.check.path = least.check.host = least.check.body = NULL;
	least.check.ca = least.check.send = least.check.script = NULL;
	least.check.verify = false;
	least.check.type = WM_CHECK_TCP;
	least.check.status_min = least.check.status_max = 0;
	least.check.hold_ns = 0;
	assert_int_equal(wm_addr__parse("fc00::1", &least.address), 0);
	check_request(&least);
}

static void test_the_longest_request_fits(void **state)
{
	char path[1024], host[254], body[256], ca[4096], sent[2048], script[1024], *line;
	struct wm_probe p = probe;

	(void)state;
	memset(path, '"', 1023);
	memset(host, '"', 253);
	memset(body, 1, 255);
	memset(ca, 1, 4095);
	memset(sent, '\\', 2047);
	memset(script, '"', 1023);
	path[1023] = host[253] = body[255] = ca[4095] = sent[2047] = script[1023] = '\0';
	p.check.ca = ca;
	p.check.send = sent;
	p.check.script = script;
	p.check.path = path;
	p.check.host = host;
	p.check.body = body;
	line = wm_wire__request(WM_WIRE_PROBE, &p);
	assert_true(strlen(line) < WM_WIRE_LINE_MAX);
	free(line);
}

static void test_marks_of_a_list(void **state)
{
	static const enum wm_wire marks[] = { WM_WIRE_BEGIN, WM_WIRE_END };
	struct wm_probe back;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char *line = wm_wire__request(marks[i], NULL);

		assert_int_equal(wm_wire__parse_request(line, strlen(line), &back), marks[i]);
		free(line);
	}
}

static void test_results_come_through(void **state)
{
	const struct wm_result r = { 7, WM_HEALTH_UP, true, "HTTP 200 after 12 ms" };
	struct wm_result back = {};
	char line[512];
	size_t n;

	(void)state;
	n = wm_wire__result(line, sizeof(line), &r);
	assert_true(n > 0 && line[n - 1] == '\n');
	assert_int_equal(wm_wire__parse_result(line, n, &back), 0);
	assert_int_equal(back.id, r.id);
	assert_int_equal(back.state, r.state);
	assert_true(back.judged);
	assert_string_equal(back.said, r.said);
	assert_int_equal(wm_wire__result(line, 20, &r), 0);
}

#define RESULT(said) "{\"id\": 1, \"state\": \"up\", \"judged\": true, \"said\": \"" said "\"}"

static void test_words_of_a_stranger_are_shown_safely(void **state)
{
	char line[16 * WM_SAID] = "{\"id\": 1, \"state\": \"up\", \"judged\": true, \"said\": \"";
	static const char evil[] = RESULT("a\\n\\u001b[2Jwaymarkd: \xc3\xa4%n");
	struct wm_result r;
	size_t used = strlen(line);

	(void)state;
	assert_int_equal(wm_wire__parse_result(evil, strlen(evil), &r), 0);
	assert_string_equal(r.said, "a\\x0a\\x1b[2Jwaymarkd: \\xc3\\xa4%n");
	memset(line + used, 'x', sizeof(line) - used - 3);
	strcpy(line + sizeof(line) - 3, "\"}");
	assert_int_equal(wm_wire__parse_result(line, strlen(line), &r), 0);
	assert_int_equal(strlen(r.said), WM_SAID - 1);
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const lines[] = {
		"", "x", "{", "[]", "7", "null", "{}", "{\"id\": 1}", "\"up\"",
		"{\"id\": -1, \"state\": \"up\", \"judged\": true, \"said\": \"\"}",
		"{\"id\": 4294967296, \"state\": \"up\", \"judged\": true, \"said\": \"\"}",
		"{\"id\": \"1\", \"state\": \"up\", \"judged\": true, \"said\": \"\"}",
		"{\"id\": 1, \"state\": \"upp\", \"judged\": true, \"said\": \"\"}",
		"{\"id\": 1, \"state\": \"up\", \"judged\": 1, \"said\": \"\"}",
		"{\"id\": 1, \"state\": \"up\", \"judged\": true, \"said\": null}",
		"{\"id\": 1, \"state\": \"up\", \"judged\": true, \"said\": \"\", \"more\": 1}",
		"{\"id\": 1, \"id\": 2, \"state\": \"up\", \"judged\": true, \"said\": \"\"}",
		RESULT("") RESULT(""), RESULT("\xff"),
	};
	struct wm_result r;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (!wm_wire__parse_result(lines[i], strlen(lines[i]), &r))
			fail_msg("taken for a result: %s", lines[i]);
}

/* One byte of a good request is another one: it is understood or refused, and leaks nothing. */
static void test_requests_with_a_wrong_byte(void **state)
{
	char *line = wm_wire__request(WM_WIRE_PROBE, &probe);
	size_t len = strlen(line);
	struct wm_probe back;

	(void)state;
	srandom(test_seed());
	for (int i = 0; i < 5000; i++) {
		size_t at = random() % len;
		char was = line[at];

		line[at] = random();
		if (wm_wire__parse_request(line, len, &back) == WM_WIRE_PROBE) {
			assert_true(back.check.type && back.check.port && back.check.interval_ns);
			wm_check__clear(&back.check);
		}
		line[at] = was;
	}
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_courses),
		cmocka_unit_test(test_every_course_is_judged),
		cmocka_unit_test(test_judgements),
		cmocka_unit_test(test_bytes_of_a_datagram),
		cmocka_unit_test(test_requests_come_through),
		cmocka_unit_test(test_the_longest_request_fits),
		cmocka_unit_test(test_marks_of_a_list),
		cmocka_unit_test(test_results_come_through),
		cmocka_unit_test(test_words_of_a_stranger_are_shown_safely),
		cmocka_unit_test(test_nonsense_is_refused),
		cmocka_unit_test(test_requests_with_a_wrong_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
