// SPDX-License-Identifier: GPL-2.0
/*
 * The table of requests by itself, and those who go by it: the daemon, which refuses what the
 * table does not have, and the command line, which names nothing else.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command.h"
#include "protocol.h"
#include "replies.h"
#include "request.h"

/* --- the table --- */

static void expect_sentence(const char *text)
{
	assert_non_null(text);
	assert_true(isupper((unsigned char)*text));
	assert_int_equal(text[strlen(text) - 1], '.');
}

static void names_are_unique(void **state)
{
	(void)state;
	for (const struct wm_request *r = wm_requests; r->name; r++) {
		assert_ptr_equal(wm_protocol__find(r->name), r);
		expect_sentence(r->text);
	}
	assert_null(wm_protocol__find("nosuch"));
	assert_null(wm_protocol__find(""));
}

/* Only what a client can send and the daemon checks. */
static void arguments_are_words_numbers_or_flags(void **state)
{
	(void)state;
	for (const struct wm_request *r = wm_requests; r->name; r++) {
		const struct wm_argument *a;

		for (a = r->arguments; a->name; a++) {
			const char *type = wm_value__json(a->type);

			assert_ptr_equal(wm_protocol__argument(r, a->name), a);
			assert_string_not_equal(a->name, "command");
			assert_true(!strcmp(type, "string") || !strcmp(type, "integer") ||
				    !strcmp(type, "boolean"));
			assert_true(a->text && *a->text);
		}
		assert_true(a - r->arguments <= WM_ARGUMENTS_MAX);
		assert_null(wm_protocol__argument(r, "nosuch"));
	}
}

/* "offload" and "offload.rules" cannot both be keys, nor can "rules" be twice. */
static void expect_no_clash(const struct wm_field *a, const struct wm_field *b)
{
	size_t len = strlen(a->key);

	assert_string_not_equal(a->key, b->key);
	assert_false(!strncmp(a->key, b->key, len) && b->key[len] == '.');
}

static void expect_fields(const struct wm_field *fields)
{
	for (const struct wm_field *f = fields; f && f->key; f++) {
		const char *end = strrchr(f->key, '_');
		bool seconds = f->type == WM_VALUE_SECONDS;

		assert_true(f->text && *f->text);
		assert_int_equal(end && !strcmp(end, "_s"), seconds);
		if (f->object_null || f->object_absent)
			assert_non_null(strchr(f->key, '.'));
		for (const struct wm_field *other = fields; other->key; other++)
			if (other != f)
				expect_no_clash(f, other);
	}
}

static void keys_are_unique_and_described(void **state)
{
	(void)state;
	for (const struct wm_request *r = wm_requests; r->name; r++) {
		expect_fields(r->keys);
		expect_fields(r->rows);
	}
}

static void an_answer_is_an_object_or_rows(void **state)
{
	(void)state;
	for (const struct wm_request *r = wm_requests; r->name; r++) {
		assert_int_equal(!r->list, !r->rows);
		assert_int_equal(!r->keys, r->list && !*r->list);
		for (const struct wm_field *f = r->keys; r->list && f && f->key; f++)
			assert_string_not_equal(f->key, r->list);
	}
}

/* --- the daemon --- */

static void every_request_is_answered(void **state)
{
	(void)state;
	for (const struct wm_request *r = wm_requests; r->name; r++)
		assert_non_null(wm_request__reply(r->name));
}

static void every_answer_has_a_request(void **state)
{
	const struct wm_reply *const all[] = { wm_replies_status, wm_replies_model,
					       wm_replies_flow };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (const struct wm_reply *reply = all[i]; reply->request; reply++) {
			assert_non_null(wm_protocol__find(reply->request));
			assert_non_null(reply->make);
			assert_ptr_equal(wm_request__reply(reply->request), reply);
		}
}

/* Refused as no request at all, before any daemon is looked at; takes `request` over. */
static void expect_refused(json_t *request, const char *said)
{
	char *line = json_dumps(request, JSON_COMPACT);
	struct wm_answer answer;

	wm_request__answer(NULL, line, strlen(line), false, &answer);
	assert_true(answer.bad);
	answer.line[answer.len - 1] = '\0';
	if (!strstr(answer.line, said))
		fail_msg("%s: %s does not say %s", line, answer.line, said);
	free(answer.line);
	free(line);
	json_decref(request);
}

static json_t *value_of(enum wm_value type)
{
	if (type == WM_VALUE_TEXT)
		return json_string("text");
	return type == WM_VALUE_FLAG ? json_true() : json_integer(1);
}

/* With all its arguments but this one (NULL: with all). */
static json_t *request_without(const struct wm_request *r, const struct wm_argument *without)
{
	json_t *request = json_pack("{s:s}", "command", r->name);

	for (const struct wm_argument *a = r->arguments; a->name; a++)
		if (a != without)
			json_object_set_new(request, a->name, value_of(a->type));
	return request;
}

static void what_is_needed_must_be_there(void **state)
{
	(void)state;
	for (const struct wm_request *r = wm_requests; r->name; r++)
		for (const struct wm_argument *a = r->arguments; a->name; a++)
			if (a->needed)
				expect_refused(request_without(r, a), a->name);
}

static void what_is_unknown_is_refused(void **state)
{
	(void)state;
	expect_refused(json_pack("{s:s}", "command", "nosuch"), "nosuch");
	for (const struct wm_request *r = wm_requests; r->name; r++) {
		json_t *request = request_without(r, NULL);

		json_object_set_new(request, "nosuch", json_true());
		expect_refused(request, "nosuch");
	}
}

static void expect_type_refused(const struct wm_request *r, const struct wm_argument *a,
				json_t *value)
{
	json_t *request = request_without(r, NULL);

	json_object_set_new(request, a->name, value);
	expect_refused(request, a->name);
}

static void other_types_are_refused(void **state)
{
	(void)state;
	for (const struct wm_request *r = wm_requests; r->name; r++)
		for (const struct wm_argument *a = r->arguments; a->name; a++) {
			bool text = a->type == WM_VALUE_TEXT, flag = a->type == WM_VALUE_FLAG;

			expect_type_refused(r, a, text ? json_integer(1) : json_string("1"));
			expect_type_refused(r, a, flag ? json_integer(1) : json_true());
			expect_type_refused(r, a, json_integer(-1));
			expect_type_refused(r, a, json_real(1));
			expect_type_refused(r, a, json_null());
			expect_type_refused(r, a, json_array());
			expect_type_refused(r, a, json_object());
		}
}

/* --- the command line --- */

static const struct wm_request *request_of(const struct view *view)
{
	return view && view->request ? wm_protocol__find(view->request) : NULL;
}

static void commands_ask_what_there_is(void **state)
{
	(void)state;
	for (const struct command *c = commands; c->name; c++) {
		const struct wm_request *row = request_of(c->view);
		size_t n = 0, has = 0;

		if (c->view->request)
			assert_non_null(row);
		if (c->view_bare)
			assert_non_null(request_of(c->view_bare));
		while (c->arguments[n].name)
			n++;
		while (row && row->arguments[has].name)
			has++;
		if (row)
			assert_true(n <= has);
	}
}

static void options_have_a_text(void **state)
{
	(void)state;
	for (const struct command *c = commands; c->name; c++)
		for (size_t i = 0; i < OPTIONS_MAX && c->options[i].name; i++)
			assert_true(*command__option_help(c, &c->options[i]));
}

/* A key, or the object that keys are in. */
static void expect_known(const struct view *view, const char *name, size_t len)
{
	const struct wm_field *f;

	for (f = view__keys(view); f->key; f++)
		if (!strncmp(f->key, name, len) && (!f->key[len] || f->key[len] == '.'))
			return;
	fail_msg("%s: no key %.*s", view->request ? view->request : "-", (int)len, name);
}

/* "{a} of {b/c}" */
static void expect_known_keys(const struct view *view, const char *text)
{
	while ((text = strchr(text, '{'))) {
		size_t end = strcspn(text, "}"), len = strcspn(text + 1, "/}");

		expect_known(view, text + 1, len);
		if (text[1 + len] == '/')
			expect_known(view, text + len + 2, end - len - 2);
		text += end;
	}
}

/* "a !b" */
static void expect_known_conditions(const struct view *view, const char *when)
{
	while (when && *when) {
		size_t len;

		when += *when == '!';
		len = strcspn(when, " ");
		expect_known(view, when, len);
		when += len + (when[len] == ' ');
	}
}

static void lines_name_keys_that_there_are(void **state)
{
	size_t n = 0;

	(void)state;
	for (const struct command *c = commands; c->name; c++)
		for (const struct view_line *l = c->view->lines; l && l->text; l++, n++) {
			expect_known_keys(c->view, l->text);
			expect_known_conditions(c->view, l->when);
		}
	assert_true(n > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique),
		cmocka_unit_test(arguments_are_words_numbers_or_flags),
		cmocka_unit_test(keys_are_unique_and_described),
		cmocka_unit_test(an_answer_is_an_object_or_rows),
		cmocka_unit_test(every_request_is_answered),
		cmocka_unit_test(every_answer_has_a_request),
		cmocka_unit_test(what_is_needed_must_be_there),
		cmocka_unit_test(what_is_unknown_is_refused),
		cmocka_unit_test(other_types_are_refused),
		cmocka_unit_test(commands_ask_what_there_is),
		cmocka_unit_test(options_have_a_text),
		cmocka_unit_test(lines_name_keys_that_there_are),
	};

	return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}
