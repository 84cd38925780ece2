// SPDX-License-Identifier: GPL-2.0
/* What a running command asks of its command line, and how it ends. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const char *value_of(const struct option_desc *desc, size_t max, const char *const *value,
			    const char *name)
{
	for (size_t i = 0; i < max && desc[i].name; i++)
		if (!strcmp(desc[i].name, name))
			return value[i];
	return NULL;
}

const char *invocation__option(const struct invocation *in, const char *name)
{
	const char *own = NULL;

	if (in->command)
		own = value_of(in->command->options, OPTIONS_MAX, in->option, name);
	return own ?: value_of(global_options, GLOBAL_OPTIONS_MAX, in->global, name);
}

unsigned int invocation__number(const struct invocation *in, const char *name)
{
	const char *text = invocation__option(in, name) ?: "0";

	return strtoul(text, NULL, !strncasecmp(text, "0x", 2) ? 16 : 10);
}

static const struct wm_argument *argument_of(const struct view *view, const char *name)
{
	const struct wm_request *request = view && view->request ?
						   wm_protocol__find(view->request) : NULL;

	return request ? wm_protocol__argument(request, name) : NULL;
}

const struct wm_argument *command__sends(const struct command *command,
					 const struct option_desc *option)
{
	return argument_of(command->view, option->name) ?:
	       argument_of(command->view_bare, option->name);
}

const char *command__option_help(const struct command *command, const struct option_desc *option)
{
	const struct wm_argument *argument = option->help ? NULL : command__sends(command, option);

	return argument ? argument->text : option->help ?: "";
}

const struct view *invocation__view(const struct invocation *in)
{
	if (!in->n_arguments && in->command->view_bare)
		return in->command->view_bare;
	return in->command->view;
}

/* What somebody typed may be part of the text, and need not be UTF-8. */
static json_t *text_of(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value)
		return value;
	copy = strdup(text);
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	value = copy ? json_string(copy) : NULL;
	free(copy);
	return value;
}

/* One line on standard error, of the kind that the answer has: "error" or "warning". */
static void complain(const struct invocation *in, const char *kind, int code, const char *text)
{
	json_t *o = in->out.json ? json_pack("{s:b, s:o, s:i}", "ok", !code, kind, text_of(text),
					     "exit", code) : NULL;
	char plain[4096];

	if (in->out.file)
		fflush(in->out.file);
	if (o)
		json_dumpf(o, stderr, JSON_COMPACT | JSON_ENSURE_ASCII);
	wm_err__plain(plain, sizeof(plain), text); /* whoever answered chose it */
	if (!o)
		fprintf(stderr, "%s: %s", cli_name, plain);
	fputc('\n', stderr);
	json_decref(o);
}

int invocation__run(struct invocation *in)
{
	int code = in->command->run(in);
	char text[128];

	if ((fflush(stdout) || ferror(stdout)) && !code) {
		snprintf(text, sizeof(text), "cannot write the answer: %s", strerror(errno));
		code = invocation__fail(in, WM_EXIT_FAILED, text);
	}
	return code;
}

int invocation__usage(const struct invocation *in, const char *fmt, ...)
{
	const char *name = in->command && *in->command->name ? in->command->name : NULL;
	bool only = in->command && !name;
	char text[512], all[768];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(all, sizeof(all), "%s%s%s (see %s %s%s%s)", name ?: "", name ? ": " : "", text,
		 cli_name, only ? "--help" : "help", name ? " " : "", name ?: "");
	complain(in, "error", WM_EXIT_USAGE, all);
	return WM_EXIT_USAGE;
}

int invocation__fail(const struct invocation *in, int code, const char *text)
{
	complain(in, "error", code, text);
	return code;
}

void invocation__warn(const struct invocation *in, const char *text)
{
	complain(in, "warning", WM_EXIT_OK, text);
}

int invocation__error(const struct invocation *in, int error, const struct wm_err *err)
{
	const char *text = *err->text ? err->text : strerror(-error);

	switch (error) {
	case -ENOENT:
	case -ECONNREFUSED:
	case -EPIPE:
	case -ETIMEDOUT:
		return invocation__fail(in, WM_EXIT_NO_DAEMON, text);
	default:
		return invocation__fail(in, WM_EXIT_FAILED, text);
	}
}

int invocation__show(const struct invocation *in, const struct view *view, const json_t *data)
{
	struct wm_err err = { "" };
	int ret = view__show(view, data, &in->out, &err);

	return ret ? invocation__error(in, ret, &err) : WM_EXIT_OK;
}
