// SPDX-License-Identifier: GPL-2.0
/*
 * The work of a scrape, counted: requests for memory, lines, and bytes. What is written
 * stands in test_metrics.py, which runs the program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exposition.h"

enum { DEST_BITS = 13, DESTS = 4096, CPUS = 2, FAMILIES = 8 };

static unsigned int requests;

void *__real_realloc(void *memory, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
	requests++;
	return __real_realloc(memory, size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	requests++;
	return __real_calloc(n, size);
}

static json_t *dests(size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("[iisiib]", 0, (int)i + 1, "255.255.255.255",
						      100, 16, 1));
	return list;
}

static struct wm_facts *make_facts(size_t n)
{
	json_t *root = json_pack("{s:i,s:[],s:{},s:[[ssisi]],s:o}", "abi", WM_ABI_VERSION,
				 "counters", "numbers", "vips", "a-name-of-a-vip", "10.0.0.1", 80,
				 "tcp", (int)n, "dests", dests(n));
	struct wm_facts *facts;
	struct wm_err err;

	assert_int_equal(wm_facts__new(&facts, root, DEST_BITS, &err), 0);
	return facts;
}

static json_t *make_state(size_t n)
{
	json_t *live = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(live, json_integer(7));
	return json_pack("{s:o}", "live", live);
}

static struct wm_counters *counters(void)
{
	static struct wm_cpu_stats cpus[CPUS];
	static struct wm_dest_stats stats[CPUS << DEST_BITS];
	static struct wm_counters all = { cpus, stats, CPUS, CPUS, DEST_BITS };

	for (size_t i = 0; i < CPUS << DEST_BITS; i++)
		stats[i] = (struct wm_dest_stats){ UINT32_MAX, 1000000, 1ull << 60, 1000 };
	return &all;
}

static size_t lines_of(const struct wm_page *page)
{
	size_t n = 0;

	for (size_t i = 0; i < page->len; i++)
		n += page->data[i] == '\n';
	return n;
}

/* Requests for memory, and lines, of a page of `n` destinations. */
static size_t write_page(size_t n, struct wm_page *page)
{
	struct wm_facts *facts = make_facts(n);
	json_t *state = make_state(n);
	const struct wm_exposition exposition = { facts, state, counters(), true };

	requests = 0;
	wm_exposition__write(&exposition, WM_FORMAT_OPENMETRICS, page);
	assert_false(page->failed);
	wm_facts__free(facts);
	json_decref(state);
	return requests;
}

static void work_of_a_scrape(void **state)
{
	struct wm_page few = {}, many = {};
	size_t requests_few = write_page(1, &few), requests_many = write_page(DESTS, &many);

	(void)state;
	/* A line for each destination and family, and nothing else that grows. */
	assert_int_equal(lines_of(&many) - lines_of(&few), FAMILIES * (DESTS - 1));
	assert_true(many.len - few.len < FAMILIES * DESTS * 90);
	/* Memory is asked for by doubling what there is: never by line. */
	assert_true(requests_many <= requests_few + FAMILIES);
	/* What is allocated is not much more than what is written. */
	assert_true(many.size < 4 * many.len);
	wm_page__free(&few);
	wm_page__free(&many);
}

static void numbers(void **state)
{
	static const struct {
		uint64_t number;
		const char *text;
	} list[] = {
		{ 0, "0" }, { 9, "9" }, { 10, "10" }, { 1234567890, "1234567890" },
		{ UINT64_MAX, "18446744073709551615" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		char text[WM_NUMBER_DIGITS + 1];

		*wm_number__write(text, list[i].number) = '\0';
		assert_string_equal(text, list[i].text);
	}
}

static void labels(void **state)
{
	static const struct {
		const char *from, *to;
	} list[] = {
		{ "", "" }, { "web", "web" }, { "a\"b", "a\\\"b" }, { "\\", "\\\\" },
		{ "a\nb", "a\\nb" }, { "g\303\274n", "g\303\274n" },
		{ "\360\237\230\200", "\360\237\230\200" },
		{ "cut\303", "cut" }, { "\377\200x", "x" }, { "\303\"", "\\\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct wm_page page = {};

		wm_page__label(&page, list[i].from);
		wm_page__put(&page, "", 1);
		assert_string_equal(page.data, list[i].to);
		wm_page__free(&page);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_of_a_scrape),
		cmocka_unit_test(numbers),
		cmocka_unit_test(labels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
