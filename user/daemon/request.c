// SPDX-License-Identifier: GPL-2.0
/*
 * The table of commands, and the checking of requests against it, so that a
 * handler sees only arguments of the right names and types.
 */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/ctl.h>

#include "replies.h"

#define FLOW_ARGUMENTS \
	{ { "protocol", WM_ARGUMENT_TEXT, true }, { "source", WM_ARGUMENT_TEXT, true }, \
	  { "destination", WM_ARGUMENT_TEXT, true } }

static const struct wm_command commands[] = {
	{ "status", {}, wm_reply__status },
	{ "vip", {}, wm_reply__vip },
	{ "real", { { "vip", WM_ARGUMENT_TEXT, false } }, wm_reply__real },
	{ "dest", {}, wm_reply__dest },
	{ "flow", FLOW_ARGUMENTS, wm_reply__flow },
	{ "flows", { { "max", WM_ARGUMENT_COUNT, false } }, wm_reply__flows },
	{ "mark", { { "mark", WM_ARGUMENT_COUNT, true } }, wm_reply__mark },
	{ "stats", {}, wm_reply__stats },
	{ "ring", { { "vip", WM_ARGUMENT_TEXT, true } }, wm_reply__ring },
	{ "where", FLOW_ARGUMENTS, wm_reply__where },
	{ "reload", {}, NULL }, /* wm_request__reloaded(), when it has ended */
	{ "xsk", { { "name", WM_ARGUMENT_TEXT, false } }, wm_reply__xsk },
};

static const struct wm_command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static const struct wm_argument *find_argument(const struct wm_command *command, const char *name)
{
	for (int i = 0; i < WM_ARGUMENTS_MAX && command->arguments[i].name; i++)
		if (!strcmp(command->arguments[i].name, name))
			return &command->arguments[i];
	return NULL;
}

/* --- check --- */

static int check_type(const struct wm_command *command, const struct wm_argument *argument,
		      const json_t *value, struct wm_err *err)
{
	switch (argument->type) {
	case WM_ARGUMENT_TEXT:
		if (json_is_string(value))
			return 0;
		return wm_err__set(err, -EINVAL, "%s: \"%s\" must be text", command->name,
				   argument->name);
	case WM_ARGUMENT_COUNT:
		if (json_is_integer(value) && json_integer_value(value) >= 0)
			return 0;
		return wm_err__set(err, -EINVAL, "%s: \"%s\" must be an integer, not negative",
				   command->name, argument->name);
	}
	return -EINVAL;
}

static int check_arguments(const struct wm_command *command, json_t *request, struct wm_err *err)
{
	const struct wm_argument *argument;
	const char *key;
	json_t *value;
	int ret;

	json_object_foreach(request, key, value) {
		if (!strcmp(key, "command"))
			continue;
		argument = find_argument(command, key);
		if (!argument)
			return wm_err__set(err, -EINVAL, "%s has no argument \"%.64s\"",
					   command->name, key);
		ret = check_type(command, argument, value, err);
		if (ret)
			return ret;
	}
	for (int i = 0; i < WM_ARGUMENTS_MAX && command->arguments[i].name; i++)
		if (command->arguments[i].required &&
		    !json_object_get(request, command->arguments[i].name))
			return wm_err__set(err, -EINVAL, "%s needs the argument \"%s\"",
					   command->name, command->arguments[i].name);
	return 0;
}

/* The command of a well-formed request, or NULL and why it is none. */
static const struct wm_command *check(json_t *request, const json_error_t *where,
				      struct wm_err *err)
{
	const struct wm_command *command;
	const char *name;

	if (!request) {
		wm_err__set(err, -EINVAL, "the request is no JSON: %s", where->text);
		return NULL;
	}
	if (!json_is_object(request)) {
		wm_err__set(err, -EINVAL, "the request is no JSON object");
		return NULL;
	}
	name = json_string_value(json_object_get(request, "command"));
	if (!name) {
		wm_err__set(err, -EINVAL, "the request has no \"command\" that is text");
		return NULL;
	}
	command = find_command(name);
	if (!command) {
		wm_err__set(err, -EINVAL, "unknown command \"%.64s\"", name);
		return NULL;
	}
	return check_arguments(command, request, err) ? NULL : command;
}

/* --- reply --- */

/* As one line; takes over the reference. 12 digits: no 4.5759999999999996. */
static char *to_line(json_t *reply, size_t *len)
{
	char *text = reply ? json_dumps(reply, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;

	json_decref(reply);
	if (!text)
		return NULL;
	*len = strlen(text);
	text[(*len)++] = '\n'; /* over the NUL: the length goes along */
	return text;
}

char *wm_request__refuse(const char *why, int code, size_t *len)
{
	/* What the peer sent may be part of the text, and need not be UTF-8. */
	json_t *text = json_string(why);

	if (!text)
		text = json_string("the request is no JSON: it is not UTF-8");
	return to_line(json_pack("{s:b, s:o, s:i}", "ok", 0, "error", text, "errno", code), len);
}

static char *accept_reply(json_t *data, size_t *len)
{
	char *line = to_line(json_pack("{s:b, s:o}", "ok", 1, "data", data), len);

	if (!line || *len <= WM_CTL_REPLY_MAX)
		return line;
	free(line);
	return wm_request__refuse("the answer is too long: ask for less", EMSGSIZE, len);
}

void wm_request__answer(struct wm_daemon *daemon, const char *line, size_t len,
			struct wm_answer *answer)
{
	json_error_t where;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where), *data = NULL;
	const struct wm_command *command;
	struct wm_err err = {};
	int ret = -EINVAL;

	*answer = (struct wm_answer){};
	command = check(request, &where, &err);
	answer->bad = !command;
	if (command && !command->reply)
		answer->reload = wm_reload__request(daemon);
	else if (command)
		ret = command->reply(daemon, request, &data, &err);
	json_decref(request);
	if (answer->reload)
		return;
	if (!ret && data)
		answer->line = accept_reply(data, &answer->len);
	else
		answer->line = wm_request__refuse(*err.text ? err.text : strerror(-ret), -ret,
						  &answer->len);
}

char *wm_request__reloaded(struct wm_daemon *daemon, size_t *out_len)
{
	const struct wm_reload *reload = &daemon->reload;

	if (reload->error)
		return wm_request__refuse(reload->text, -reload->error, out_len);
	return accept_reply(json_pack("{s:s}", "summary", reload->text), out_len);
}
