// SPDX-License-Identifier: GPL-2.0
#include "source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "client.h"
#include "offline.h"
#include "protocol.h"
#include "service.h"

struct source {
	struct wm_client *daemon; /* one of the two */
	struct offline *offline;
};

int source__open(struct source **out, const struct invocation *in, struct wm_err *err)
{
	const char *config = invocation__option(in, "config");
	struct source *source = calloc(1, sizeof(*source));
	int ret;

	*out = NULL;
	if (!source)
		return wm_err__sys(err, -ENOMEM, "cannot ask");
	if (config)
		ret = offline__open(&source->offline, config, in, err);
	else
		ret = wm_client__open(&source->daemon, in->socket, in->timeout_ms, err);
	if (!ret) {
		*out = source;
		return 0;
	}
	free(source);
	/* That a file is missing does not mean that a daemon is. */
	return config && ret == -ENOENT ? -EINVAL : ret;
}

void source__close(struct source *source)
{
	if (!source)
		return;
	wm_client__close(source->daemon);
	offline__close(source->offline);
	free(source);
}

int source__call(struct source *source, const json_t *request, json_t **data, struct wm_err *err)
{
	if (source->offline)
		return offline__call(source->offline, request, data, err);
	return wm_client__call(source->daemon, request, data, err);
}

/* --- vips by address --- */

/* "ADDR:PORT/PROTO", or "ADDR:PORT" of either protocol. */
struct wanted {
	struct wm_service service;
	bool any_protocol;
};

static int parse_wanted(const char *text, struct wanted *wanted)
{
	char with_protocol[WM_SERVICE_TEXT + 2];

	wanted->any_protocol = !strchr(text, '/');
	if (!wanted->any_protocol)
		return wm_service__parse(text, &wanted->service);
	if (strlen(text) >= WM_SERVICE_TEXT - 4)
		return -EINVAL;
	sprintf(with_protocol, "%s/tcp", text);
	return wm_service__parse(with_protocol, &wanted->service);
}

static const char *text_at(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

static bool serves(const json_t *vip, const struct wanted *wanted)
{
	json_int_t port = json_integer_value(json_object_get(vip, "port"));
	struct wm_addr address;

	return !wm_addr__parse(text_at(vip, "address"), &address) &&
	       wm_addr__equal(&address, &wanted->service.address) &&
	       port == ntohs(wanted->service.port) &&
	       (wanted->any_protocol ||
		wm_proto__parse(text_at(vip, "protocol")) == wanted->service.proto);
}

/* *name: the vip's, or `text` where nothing fits: the answer will say so. */
static int choose_vip(const json_t *vips, const char *text, const struct wanted *wanted,
		      json_t **name, struct wm_err *err)
{
	const char *found = NULL;
	const json_t *vip;
	size_t i;

	json_array_foreach(vips, i, vip)
		if (!strcmp(text_at(vip, "name"), text))
			wanted = NULL; /* a vip without a name of its own is called so */
	json_array_foreach(vips, i, vip) {
		if (!wanted || !serves(vip, wanted))
			continue;
		if (found)
			return wm_err__set(err, -EINVAL, "%s is both %s and %s: add /tcp or /udp",
					   text, found, text_at(vip, "name"));
		found = text_at(vip, "name");
	}
	*name = json_string(found ?: text);
	return *name ? 0 : -ENOMEM;
}

static int vip_name(struct source *source, const char *text, json_t **name, struct wm_err *err)
{
	json_t *request, *vips = NULL;
	struct wanted wanted;
	int ret;

	if (parse_wanted(text, &wanted)) {
		*name = json_string(text);
		return *name ? 0 : wm_err__set(err, -EINVAL, "a vip's name must be UTF-8 text");
	}
	request = json_pack("{s:s}", "command", "vip");
	ret = request ? source__call(source, request, &vips, err) : -ENOMEM;
	if (!ret)
		ret = choose_vip(vips, text, &wanted, name, err);
	json_decref(vips);
	json_decref(request);
	return ret;
}

/* --- requests --- */

static json_t *number(const char *text)
{
	return json_integer(strtoll(text, NULL, !strncasecmp(text, "0x", 2) ? 16 : 10));
}

static int add_value(struct source *source, json_t *request, const struct wm_argument *argument,
		     enum kind kind, const char *text, struct wm_err *err)
{
	json_t *value = NULL;
	int ret = 0;

	if (kind == KIND_VIP)
		ret = vip_name(source, text, &value, err);
	else if (argument->type == WM_VALUE_FLAG)
		value = json_true();
	else if (argument->type == WM_VALUE_TEXT)
		value = json_string(text);
	else
		value = number(text);
	if (ret)
		return ret;
	return json_object_set_new(request, argument->name, value) ? -ENOMEM : 0;
}

/* What was given: words by their place in the row, options by their name. */
static int add_values(struct source *source, const struct invocation *in,
		      const struct wm_request *row, json_t *request, struct wm_err *err)
{
	const struct option_desc *options = in->command->options;
	const struct wm_argument *argument;
	int ret = 0;

	for (size_t i = 0; i < in->n_arguments && !ret; i++)
		ret = add_value(source, request, &row->arguments[i],
				in->command->arguments[i].kind, in->argument[i], err);
	for (size_t i = 0; i < OPTIONS_MAX && options[i].name && !ret; i++) {
		argument = in->option[i] ? wm_protocol__argument(row, options[i].name) : NULL;
		if (argument)
			ret = add_value(source, request, argument, options[i].kind, in->option[i],
					err);
	}
	return ret;
}

int source__request(struct source *source, const struct invocation *in, json_t **request,
		    struct wm_err *err)
{
	const char *name = invocation__view(in)->request;
	const struct wm_request *row = wm_protocol__find(name);
	int ret;

	*request = NULL;
	if (!row)
		return wm_err__set(err, -EINVAL, "the protocol has no request '%s'", name);
	*request = json_pack("{s:s}", "command", name);
	ret = *request ? add_values(source, in, row, *request, err) : -ENOMEM;
	if (!ret)
		return 0;
	json_decref(*request);
	*request = NULL;
	return ret;
}
