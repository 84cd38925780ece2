// SPDX-License-Identifier: GPL-2.0
/*
 * Requests are checked against their rows in protocol.c before anybody answers them, so that
 * who does sees only arguments of the right names and types.
 */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/sockets.h>

#include "protocol.h"
#include "replies.h"

static uint64_t by_hand(struct wm_daemon *daemon, const json_t *request,
			enum wm_admin_state state, int *ret, struct wm_err *err)
{
	const struct wm_byhand_wish wish = {
		.real = json_string_value(json_object_get(request, "real")),
		.vip = json_string_value(json_object_get(request, "vip")),
		.state = state,
		.force = json_is_true(json_object_get(request, "force")),
	};

	return wm_byhand__order(&daemon->byhand, &wish, ret, err);
}

static uint64_t begin_enable(struct wm_daemon *daemon, const json_t *request, int *ret,
			     struct wm_err *err)
{
	return by_hand(daemon, request, WM_ADMIN_ENABLED, ret, err);
}

static uint64_t begin_drain(struct wm_daemon *daemon, const json_t *request, int *ret,
			    struct wm_err *err)
{
	return by_hand(daemon, request, WM_ADMIN_DRAINED, ret, err);
}

static uint64_t begin_disable(struct wm_daemon *daemon, const json_t *request, int *ret,
			      struct wm_err *err)
{
	return by_hand(daemon, request, WM_ADMIN_DISABLED, ret, err);
}

/* Answered when they have ended. */
static const struct wm_reply own[] = {
	{ .request = "reload" },
	{ .request = "real_enable", .begin = begin_enable },
	{ .request = "real_drain", .begin = begin_drain },
	{ .request = "real_disable", .begin = begin_disable },
	{ .request = NULL },
};

static const struct wm_reply *const replies[] = {
	wm_replies_status, wm_replies_model, wm_replies_flow, own,
};

const struct wm_reply *wm_request__reply(const char *name)
{
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		for (const struct wm_reply *reply = replies[i]; reply->request; reply++)
			if (!strcmp(reply->request, name))
				return reply;
	return NULL;
}

/* --- check --- */

static int check_type(const struct wm_request *row, const struct wm_argument *argument,
		      const json_t *value, struct wm_err *err)
{
	switch (argument->type) {
	case WM_VALUE_TEXT:
		if (json_is_string(value))
			return 0;
		return wm_err__set(err, -EINVAL, "%s: \"%s\" must be text", row->name,
				   argument->name);
	case WM_VALUE_FLAG:
		if (json_is_boolean(value))
			return 0;
		return wm_err__set(err, -EINVAL, "%s: \"%s\" must be true or false", row->name,
				   argument->name);
	default:
		if (json_is_integer(value) && json_integer_value(value) >= 0)
			return 0;
		return wm_err__set(err, -EINVAL, "%s: \"%s\" must be an integer, not negative",
				   row->name, argument->name);
	}
}

static int check_arguments(const struct wm_request *row, json_t *request, struct wm_err *err)
{
	const struct wm_argument *argument;
	const char *key;
	json_t *value;
	int ret;

	json_object_foreach(request, key, value) {
		if (!strcmp(key, "command"))
			continue;
		argument = wm_protocol__argument(row, key);
		if (!argument)
			return wm_err__set(err, -EINVAL, "%s has no argument \"%.64s\"",
					   row->name, key);
		ret = check_type(row, argument, value, err);
		if (ret)
			return ret;
	}
	for (argument = row->arguments; argument->name; argument++)
		if (argument->needed && !json_object_get(request, argument->name))
			return wm_err__set(err, -EINVAL, "%s needs the argument \"%s\"",
					   row->name, argument->name);
	return 0;
}

/* Who answers a well-formed request, or NULL and why it is none. */
static const struct wm_reply *check(json_t *request, const json_error_t *where,
				    struct wm_err *err)
{
	const struct wm_request *row;
	const struct wm_reply *reply;
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
	row = wm_protocol__find(name);
	reply = wm_request__reply(name);
	if (!row || !reply) {
		wm_err__set(err, -EINVAL, "unknown command \"%.64s\"", name);
		return NULL;
	}
	return check_arguments(row, request, err) ? NULL : reply;
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

	if (!line || *len <= WM_REPLY_MAX)
		return line;
	free(line);
	return wm_request__refuse("the answer is too long: ask for less", EMSGSIZE, len);
}

void wm_request__answer(struct wm_daemon *daemon, const char *line, size_t len, bool again,
			struct wm_answer *answer)
{
	json_error_t where;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where), *data = NULL;
	const struct wm_reply *reply;
	struct wm_err err = {};
	int ret = -EINVAL;

	*answer = (struct wm_answer){};
	reply = check(request, &where, &err);
	answer->bad = !reply;
	if (reply && reply->tells_flows && !again)
		answer->count = wm_live__want(&daemon->live);
	if (reply && reply->begin)
		answer->change = reply->begin(daemon, request, &ret, &err);
	else if (reply && !reply->make)
		answer->reload = wm_reload__request(
			&daemon->reload, json_is_true(json_object_get(request, "force")));
	else if (reply && !answer->count)
		ret = reply->make(daemon, request, &data, &err);
	json_decref(request);
	if (answer->reload || answer->count || answer->change)
		return;
	if (!ret && data)
		answer->line = accept_reply(data, &answer->len);
	else
		answer->line = wm_request__refuse(*err.text ? err.text : strerror(-ret), -ret,
						  &answer->len);
}

static json_t *lines_of(const char *text)
{
	json_t *list = json_array();

	for (size_t len; text && *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		json_array_append_new(list, json_stringn(text, len));
	}
	return list;
}

char *wm_request__reloaded(struct wm_daemon *daemon, size_t *out_len)
{
	const struct wm_reload *reload = &daemon->reload;

	if (reload->error)
		return wm_request__refuse(reload->text, -reload->error, out_len);
	return accept_reply(json_pack("{s:s, s:o}", "summary", reload->text, "changes",
				      lines_of(reload->changes)), out_len);
}

char *wm_request__changed(struct wm_daemon *daemon, size_t *out_len)
{
	const struct wm_byhand *byhand = &daemon->byhand;

	if (byhand->error)
		return wm_request__refuse(byhand->why.text, -byhand->error, out_len);
	return accept_reply(json_pack("{s:s, s:o}", "summary",
				      byhand->summary ? byhand->summary : "done", "changes",
				      lines_of(byhand->notes)), out_len);
}
