// SPDX-License-Identifier: GPL-2.0
#include "help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "views.h"

enum { LINE_WIDTH = 78, NAME_WIDTH = 22 };

const struct exit_code exit_codes[] = {
	{ WM_EXIT_OK, "done" },
	{ WM_EXIT_FAILED, "it failed: the daemon refused, or its answer makes no sense" },
	{ WM_EXIT_USAGE, "the command line is wrong" },
	{ WM_EXIT_NO_DAEMON, "no daemon: not running, or it gave no answer" },
	{ WM_EXIT_UNSUPPORTED, "this kernel, the device's driver, or what is installed here cannot "
	  "do it" },
	{ WM_EXIT_UNSERVED, "status: the daemon runs, but an interface is not served" },
};
const size_t n_exit_codes = sizeof(exit_codes) / sizeof(*exit_codes);

/* --- pieces --- */

static void print_arguments(FILE *file, const struct command *command)
{
	const struct argument *argument = command->arguments;
	bool together = command->all_or_none;

	for (; argument->name; argument++) {
		bool first = argument == command->arguments, last = !argument[1].name;
		bool open = argument->optional && (!together || first);
		bool close = argument->optional && (!together || last);

		fprintf(file, " %s%s%s", open ? "[" : "", argument->name, close ? "]" : "");
	}
}

void help__synopsis(FILE *file, const struct command *command)
{
	fprintf(file, "%s", command->name);
	print_arguments(file, command);
	for (size_t i = 0; i < OPTIONS_MAX && command->options[i].name; i++) {
		const struct option_desc *o = &command->options[i];

		fprintf(file, " %s--%s%s%s%s", o->required ? "" : "[", o->name, o->value ? " " : "",
			o->value ?: "", o->required ? "" : "]");
	}
}

void help__option_name(FILE *file, const struct option_desc *option)
{
	if (option->letter)
		fprintf(file, "-%c, ", option->letter);
	fprintf(file, "--%s%s%s", option->name, option->value ? " " : "", option->value ?: "");
}

void help__each_key(const struct view *view, help_key *each, void *arg)
{
	const char *list = view->made ? NULL : view__list(view);
	const struct wm_field *field;
	char key[128];

	for (field = view__keys(view); field && field->key; field++)
		each(arg, field->key, field);
	for (field = list ? view__columns(view) : NULL; field && field->key; field++) {
		snprintf(key, sizeof(key), "%s%s%s", list, *list ? "." : "", field->key);
		each(arg, key, field);
	}
}

/* Paragraphs are kept, lines are broken between words. */
static void print_wrapped(FILE *file, const char *text, int indent, int at)
{
	while (*text) {
		int len = strcspn(text, " \n");

		if (*text == '\n') {
			fprintf(file, "\n");
			at = 0;
			text++;
			continue;
		}
		if (at && at + 1 + len > LINE_WIDTH) {
			fprintf(file, "\n");
			at = 0;
		}
		if (!at)
			at += fprintf(file, "%*s%.*s", indent, "", len, text);
		else
			at += fprintf(file, at > indent ? " %.*s" : "%.*s", len, text);
		text += len + (text[len] == ' ');
	}
	fprintf(file, "\n");
}

/* "  name    text", the text broken at its own left edge. */
static void print_entry(FILE *file, const char *name, const char *text)
{
	int indent = NAME_WIDTH + 3;
	int at = fprintf(file, "  %-*s ", NAME_WIDTH, name);

	if (at > indent) {
		fprintf(file, "\n");
		at = 0;
	}
	print_wrapped(file, text, indent, at);
}

/* Of a command, or with NULL those that all take. */
static void print_options(FILE *file, const struct command *command)
{
	const struct option_desc *options = command ? command->options : global_options;
	size_t max = command ? OPTIONS_MAX : GLOBAL_OPTIONS_MAX;

	for (size_t i = 0; i < max && options[i].name; i++) {
		char *name = NULL;
		size_t len;
		FILE *memory = open_memstream(&name, &len);

		if (!memory)
			return;
		help__option_name(memory, &options[i]);
		if (options[i].required)
			fputs(" (required)", memory);
		fclose(memory);
		print_entry(file, name, command__option_help(command, &options[i]));
		free(name);
	}
}

/* --- help --- */

static void print_overview(FILE *file)
{
	fprintf(file, "%s: %s\n\nUsage: %s [OPTIONS] [COMMAND [ARGUMENTS] [OPTIONS]]\n\n",
		cli_name, cli_summary, cli_name);
	fprintf(file, "Commands:\n");
	for (const struct command *c = commands; c->name; c++)
		print_entry(file, c->name, c->help);
	fprintf(file, "\nOptions of every command:\n");
	print_options(file, NULL);
	fprintf(file, "\nExit codes:\n");
	for (size_t i = 0; i < n_exit_codes; i++) {
		char code[8];

		snprintf(code, sizeof(code), "%d", exit_codes[i].code);
		print_entry(file, code, exit_codes[i].text);
	}
	fprintf(file, "\nCommands may be shortened while that is unambiguous.\n");
}

static void print_key(void *arg, const char *key, const struct wm_field *field)
{
	print_entry(arg, key, field->text);
}

static void print_keys(FILE *file, const struct command *command)
{
	if (command->view_bare) {
		fprintf(file, "\nJSON keys without arguments:\n");
		help__each_key(command->view_bare, print_key, file);
	}
	fprintf(file, "\nJSON keys:\n");
	help__each_key(command->view, print_key, file);
}

static void print_command(FILE *file, const struct command *command)
{
	bool only = !*command->name;

	fprintf(file, "Usage: %s%s", cli_name, only ? "" : " ");
	help__synopsis(file, command);
	fprintf(file, "\n\n%s: %s.\n\n", only ? cli_name : command->name, command->help);
	print_wrapped(file, command->text, 0, 0);
	if (command->options[0].name) {
		fprintf(file, "\nOptions:\n");
		print_options(file, command);
	}
	print_keys(file, command);
	fprintf(file, "\nExample:\n  %s\n", command->example);
}

/* "decap" alone, which is no command: all that begin with it. */
static bool print_group(FILE *file, const char *first)
{
	size_t len = strlen(first);
	bool any = false;

	for (const struct command *c = commands; c->name; c++) {
		if (!strcmp(c->name, first))
			return false;
		if (strncmp(c->name, first, len) || c->name[len] != ' ')
			continue;
		if (!any)
			fprintf(file, "Commands:\n");
		any = true;
		print_entry(file, c->name, c->help);
	}
	return any;
}

static int print_help_on(const struct invocation *in)
{
	const char *words[2] = { in->argument[0], in->argument[1] };
	const struct command *command;
	struct wm_err err = { "" };
	char both[64];
	size_t n, used;
	char *blank;

	/* --help gives two words in one. */
	snprintf(both, sizeof(both), "%s", words[0]);
	blank = strchr(both, ' ');
	if (blank) {
		*blank = '\0';
		words[0] = both;
		words[1] = blank + 1;
	}
	n = words[1] ? 2 : 1;
	if (n == 1 && print_group(in->out.file, words[0]))
		return WM_EXIT_OK;
	command = args__find(words, n, &used, &err);
	if (!command)
		return invocation__fail(in, WM_EXIT_USAGE, err.text);
	print_command(in->out.file, command);
	return WM_EXIT_OK;
}

/* --- JSON --- */

/* A table that does not fit into memory is not worth a message of its own: what
 * is missing shows. */
static void append(json_t *list, json_t *value)
{
	json_array_append_new(list, value);
}

/* Of a command, or with NULL those that all take. */
static json_t *options_json(const struct command *command)
{
	const struct option_desc *options = command ? command->options : global_options;
	size_t max = command ? OPTIONS_MAX : GLOBAL_OPTIONS_MAX;
	json_t *list = json_array();

	for (size_t i = 0; i < max && options[i].name; i++) {
		char letter[2] = { options[i].letter };

		append(list, json_pack("{s:s, s:s?, s:s?, s:b, s:s}",
				       "name", options[i].name,
				       "letter", *letter ? letter : NULL,
				       "value", options[i].value,
				       "required", options[i].required,
				       "help", command__option_help(command, &options[i])));
	}
	return list;
}

static json_t *arguments_json(const struct command *command)
{
	const char *request = command->view->request;
	const struct wm_request *row = request ? wm_protocol__find(request) : NULL;
	json_t *list = json_array();

	for (size_t i = 0; i < ARGUMENTS_MAX && command->arguments[i].name; i++)
		append(list, json_pack("{s:s, s:b, s:s?}",
				       "name", command->arguments[i].name,
				       "optional", command->arguments[i].optional,
				       "key", row ? row->arguments[i].name : NULL));
	return list;
}

static void append_key(void *arg, const char *key, const struct wm_field *field)
{
	(void)field;
	append(arg, json_string(key));
}

static json_t *keys_json(const struct view *view)
{
	json_t *list = json_array();

	help__each_key(view, append_key, list);
	return list;
}

static void add_request(json_t *requests, const struct view *view)
{
	if (view && view->request)
		json_object_set_new(requests, view->request, keys_json(view));
}

static json_t *command_json(const struct command *command)
{
	json_t *requests = json_object();

	add_request(requests, command->view);
	add_request(requests, command->view_bare);
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}",
			 "name", command->name,
			 "help", command->help,
			 "arguments", arguments_json(command),
			 "options", options_json(command),
			 "requests", requests,
			 "keys", keys_json(command->view));
}

static json_t *fields_json(const struct wm_field *field)
{
	json_t *list = field ? json_array() : json_null();

	for (; field && field->key; field++)
		append(list, json_pack("{s:s, s:s, s:b, s:b, s:b, s:s}",
				       "key", field->key,
				       "type", wm_value__json(field->type),
				       "null", field->null,
				       "object_null", field->object_null,
				       "object_absent", field->object_absent,
				       "text", field->text));
	return list;
}

static json_t *request_json(const struct wm_request *request)
{
	json_t *arguments = json_array();

	for (const struct wm_argument *a = request->arguments; a->name; a++)
		append(arguments, json_pack("{s:s, s:s, s:b, s:s}",
					    "name", a->name,
					    "type", wm_value__json(a->type),
					    "needed", a->needed,
					    "text", a->text));
	return json_pack("{s:s, s:s, s:o, s:o, s:s?, s:o}",
			 "request", request->name,
			 "text", request->text,
			 "arguments", arguments,
			 "keys", fields_json(request->keys),
			 "list", request->list,
			 "rows", fields_json(request->rows));
}

static int print_json(const struct invocation *in)
{
	json_t *list = json_array(), *codes = json_array(), *protocol = json_array(), *all;
	int ret;

	for (const struct command *c = commands; c->name; c++)
		append(list, command_json(c));
	for (size_t i = 0; i < n_exit_codes; i++)
		append(codes, json_pack("{s:i, s:s}", "code", exit_codes[i].code,
					"text", exit_codes[i].text));
	for (const struct wm_request *r = wm_requests; r->name; r++)
		append(protocol, request_json(r));
	all = json_pack("{s:o, s:o, s:o, s:o}",
			"commands", list,
			"options", options_json(NULL),
			"exit_codes", codes,
			"protocol", protocol);
	ret = all ? view__show_json(all, &in->out) : -ENOMEM;
	json_decref(all);
	return ret ? WM_EXIT_FAILED : WM_EXIT_OK;
}

int help__run(struct invocation *in)
{
	if (invocation__option(in, "completion"))
		help__completion(in->out.file);
	else if (invocation__option(in, "man"))
		help__manual(in->out.file);
	else if (invocation__option(in, "protocol"))
		help__protocol(in->out.file);
	else if (in->out.json)
		return print_json(in);
	else if (in->n_arguments)
		return print_help_on(in);
	else if (!*commands->name)
		print_command(in->out.file, commands);
	else
		print_overview(in->out.file);
	return WM_EXIT_OK;
}

int help__version(struct invocation *in)
{
	json_t *data = json_pack("{s:s}", "version", WM_VERSION);
	int ret = data ? invocation__show(in, &view_version, data) : WM_EXIT_FAILED;

	json_decref(data);
	return ret;
}
