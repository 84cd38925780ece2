// SPDX-License-Identifier: GPL-2.0
/* What a running command asks of its command line, and how it ends. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/ctl.h>

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

const struct view *invocation__view(const struct invocation *in)
{
	if (!in->n_arguments && in->command->view_bare)
		return in->command->view_bare;
	return in->command->view;
}

int invocation__usage(const struct invocation *in, const char *fmt, ...)
{
	const char *name = in->command ? in->command->name : NULL;
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "%s: %s%s%s", cli_name, name ?: "", name ? ": " : "", text);
	fprintf(stderr, " (see %s help%s%s)\n", cli_name, name ? " " : "", name ?: "");
	return WM_EXIT_USAGE;
}

int invocation__fail(const struct invocation *in, int code, const char *text)
{
	fflush(in->out.file);
	fprintf(stderr, "%s: %s\n", cli_name, text);
	return code;
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
