// SPDX-License-Identifier: GPL-2.0
#include "wire.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "words.h"

/* --- requests --- */

static json_t *probe_object(const struct wm_probe *p)
{
	const struct wm_check *c = &p->check;
	char address[WM_ADDR_TEXT];

	return json_pack("{sI ss ss si ss* ss* si si sb ss* ss* ss* ss* sI sI si si si sI ss}",
			 "id", (json_int_t)p->id, "address", wm_addr__format(&p->address, address),
			 "type", wm_check_words[c->type], "port", c->port, "path", c->path, "host",
			 c->host, "status_min", c->status_min, "status_max", c->status_max,
			 "verify", (int)c->verify, "ca", c->ca, "send", c->send, "body", c->body,
			 "script", c->script, "interval", (json_int_t)c->interval_ns, "timeout",
			 (json_int_t)c->timeout_ns, "jitter", c->jitter, "rise", c->rise, "fall",
			 c->fall, "hold", (json_int_t)c->hold_ns, "state",
			 wm_health_words[p->state]);
}

char *wm_wire__request(enum wm_wire what, const struct wm_probe *probe)
{
	json_t *o = what == WM_WIRE_PROBE ? probe_object(probe) :
		json_pack("{ss}", "checks", what == WM_WIRE_BEGIN ? "begin" : "end");
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL, *line = NULL;

	if (text) {
		size_t len = strlen(text);

		line = realloc(text, len + 2);
		if (line)
			memcpy(line + len, "\n", 2);
		else
			free(text);
	}
	json_decref(o);
	return line;
}

/* What unpacking borrows from the object. */
struct texts {
	const char *address, *type, *path, *host, *ca, *send, *body, *script, *state;
};

static bool unpack_probe(json_t *o, struct wm_probe *p, struct texts *t)
{
	json_int_t id, interval, timeout, hold;
	struct wm_check *c = &p->check;
	int port, status_min, status_max, jitter, rise, fall, verify;

	if (json_unpack(o, "{sI ss ss si s?s s?s si si sb s?s s?s s?s s?s sI sI si si si sI ss !}",
			"id", &id, "address", &t->address, "type", &t->type, "port", &port,
			"path", &t->path, "host", &t->host, "status_min", &status_min,
			"status_max", &status_max, "verify", &verify, "ca", &t->ca,
			"send", &t->send, "body", &t->body, "script", &t->script,
			"interval", &interval,
			"timeout", &timeout, "jitter", &jitter, "rise", &rise, "fall", &fall,
			"hold", &hold, "state", &t->state))
		return false;
	if (id < 0 || id > UINT32_MAX || port < 0 || port > UINT16_MAX || interval < 1 ||
	    timeout < 1 || hold < 0 || jitter < 0 || jitter > 100 || rise < 1 || fall < 1 ||
	    status_min < 0 || status_max > 999)
		return false;
	p->id = id;
	*c = (struct wm_check){
		.port = port, .status_min = status_min, .status_max = status_max,
		.verify = verify, .interval_ns = interval, .timeout_ns = timeout,
		.jitter = jitter, .rise = rise, .fall = fall, .hold_ns = hold,
	};
	return true;
}

static int parse_probe(json_t *o, struct wm_probe *p)
{
	struct texts t = {};
	struct wm_check texts;
	int type, state;

	if (!unpack_probe(o, p, &t))
		return -EINVAL;
	type = wm_words__find(wm_check_words, t.type);
	state = wm_words__find(wm_health_words, t.state);
	p->check.type = type < 0 ? WM_CHECK_NONE : type;
	if (type < 1 || state < 0 || wm_addr__parse(t.address, &p->address) ||
	    (type == WM_CHECK_SCRIPT && !t.script) ||
	    (wm_check__needs_port(&p->check) && !p->check.port))
		return -EINVAL;
	p->state = state;
	texts = p->check;
	texts.path = (char *)t.path;
	texts.host = (char *)t.host;
	texts.ca = (char *)t.ca;
	texts.send = (char *)t.send;
	texts.body = (char *)t.body;
	texts.script = (char *)t.script;
	return wm_check__copy(&p->check, &texts) ? -ENOMEM : WM_WIRE_PROBE;
}

int wm_wire__parse_request(const char *line, size_t len, struct wm_probe *probe)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *mark = json_string_value(json_object_get(o, "checks"));
	int ret = -EINVAL;

	*probe = (struct wm_probe){};
	if (mark && !strcmp(mark, "begin"))
		ret = WM_WIRE_BEGIN;
	else if (mark && !strcmp(mark, "end"))
		ret = WM_WIRE_END;
	else if (o && !mark)
		ret = parse_probe(o, probe);
	json_decref(o);
	return ret;
}

/* --- results --- */

size_t wm_wire__result(char *buf, size_t size, const struct wm_result *r)
{
	json_t *o = json_pack("{sI ss sb ss}", "id", (json_int_t)r->id, "state",
			      wm_health_words[r->state], "judged", (int)r->judged, "said",
			      r->said);
	size_t len = o ? json_dumpb(o, buf, size, JSON_COMPACT) : 0;

	json_decref(o);
	if (!len || len + 1 > size)
		return 0;
	buf[len] = '\n';
	return len + 1;
}

int wm_wire__parse_result(const char *line, size_t len, struct wm_result *r)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	const char *state, *said;
	int ret = -EINVAL, judged, found;
	json_int_t id;
	size_t n;

	if (o && !json_unpack(o, "{sI ss sb ss% !}", "id", &id, "state", &state, "judged", &judged,
			      "said", &said, &n)) {
		found = wm_words__find(wm_health_words, state);
		if (found >= 0 && id >= 0 && id <= UINT32_MAX) {
			r->id = id;
			r->state = found;
			r->judged = judged;
			wm_text__show(r->said, sizeof(r->said), said, n);
			ret = 0;
		}
	}
	json_decref(o);
	return ret;
}
