// SPDX-License-Identifier: GPL-2.0
/*
 * One table describes one kind of mapping. wm_read__table() looks every key of
 * the file up in it, calls the key's reader with the place to fill, and then
 * asks for required keys that did not come. A reader that finds an error
 * reports it and leaves its place alone, and reading goes on: one run finds all
 * errors.
 */
#include "schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "distance.h"
#include "units.h"

enum {
	FOUND_TEXT = 96,
	KEYS_MAX = 32, /* of one table */
};

void wm_read__error(struct wm_reader *r, const yaml_node_t *node, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	wm_report__error(r->report, node->start_mark.line + 1, node->start_mark.column + 1, "%s",
			 text);
}

static bool is_null(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || !strcmp(text, "~") || !strcmp(text, "null"));
}

/* What stands there, for a message: short, and in ASCII, which every reader can show. */
static const char *describe(const yaml_node_t *node, char buf[FOUND_TEXT])
{
	const char *text = (const char *)node->data.scalar.value;
	size_t len = node->data.scalar.length, shown = len;

	if (node->type == YAML_MAPPING_NODE)
		return "a mapping";
	if (node->type == YAML_SEQUENCE_NODE)
		return "a list";
	if (is_null(node))
		return "nothing";
	if (shown > FOUND_TEXT - sizeof("\"...\""))
		shown = FOUND_TEXT - sizeof("\"...\"");
	buf[0] = '"';
	for (size_t i = 0; i < shown; i++)
		buf[1 + i] = text[i] < ' ' || text[i] > '~' ? '?' : text[i];
	strcpy(buf + 1 + shown, shown < len ? "...\"" : "\"");
	return buf;
}

void wm_read__expected(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		       const char *fmt, ...)
{
	char expected[320], found[FOUND_TEXT];
	va_list args;

	va_start(args, fmt);
	vsnprintf(expected, sizeof(expected), fmt, args);
	va_end(args);
	wm_read__error(r, node, "%s: expected %s, found %s", key->name, expected,
		       describe(node, found));
}

/* A tag of someone's own (!include, !env) asks for something that would not happen. */
static bool plain_tag(struct wm_reader *r, const char *what, const yaml_node_t *node)
{
	static const char core[] = "tag:yaml.org,2002:";

	if (!node->tag || !strncmp((const char *)node->tag, core, sizeof(core) - 1))
		return true;
	wm_read__error(r, node, "%s: tags such as %.40s are not known here", what, node->tag);
	return false;
}

bool wm_read__has_type(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		       yaml_node_type_t type, const char *what)
{
	if (!plain_tag(r, key->name, node))
		return false;
	if (node->type == type)
		return true;
	wm_read__expected(r, key, node, "%s", what);
	return false;
}

const char *wm_read__scalar(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
			    const char *what)
{
	const unsigned char *text = node->data.scalar.value;

	if (!wm_read__has_type(r, key, node, YAML_SCALAR_NODE, what))
		return NULL;
	if (is_null(node)) {
		wm_read__expected(r, key, node, "%s", what);
		return NULL;
	}
	for (size_t i = 0; i < node->data.scalar.length; i++)
		if (text[i] < ' ' || text[i] == 0x7f) {
			wm_read__error(r, node,
				       "%s: expected %s, found a control character (0x%02x)",
				       key->name, what, text[i]);
			return NULL;
		}
	return (const char *)text;
}

size_t wm_read__list(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		     const char *what)
{
	if (!wm_read__has_type(r, key, node, YAML_SEQUENCE_NODE, what))
		return 0;
	return node->data.sequence.items.top - node->data.sequence.items.start;
}

const yaml_node_t *wm_read__item(struct wm_reader *r, const yaml_node_t *list, size_t index)
{
	return yaml_document_get_node(r->doc, list->data.sequence.items.start[index]);
}

/* --- keys --- */

static const struct wm_key *nearest(const struct wm_key *keys, const char *name)
{
	unsigned int best = strlen(name) > 3 ? 3 : 2; /* further away it is another word */
	const struct wm_key *found = NULL;

	for (; keys->name; keys++) {
		unsigned int d = wm_distance(name, keys->name);

		if (d < best) {
			best = d;
			found = keys;
		}
	}
	return found;
}

/* A mapping while it is read. */
struct walk {
	const char *what;
	const struct wm_key *keys;
	void *base;
	const yaml_node_t *seen[KEYS_MAX]; /* by key: its name in the file */
	bool misspelt[KEYS_MAX];           /* by key: reported as probably meant */
};

static void report_unknown(struct wm_reader *r, struct walk *w, const yaml_node_t *name)
{
	const struct wm_key *near = nearest(w->keys, (const char *)name->data.scalar.value);
	char found[FOUND_TEXT], known[320] = "";
	size_t used = 0;

	if (near) {
		w->misspelt[near - w->keys] = true;
		wm_read__error(r, name, "unknown key %s in %s; did you mean \"%s\"?",
			       describe(name, found), w->what, near->name);
		return;
	}
	for (const struct wm_key *key = w->keys; key->name && used < sizeof(known); key++)
		used += snprintf(known + used, sizeof(known) - used, "%s%s", used ? ", " : "",
				 key->name);
	wm_read__error(r, name, "unknown key %s in %s; expected one of: %s", describe(name, found),
		       w->what, known);
}

static const struct wm_key *key_of(struct wm_reader *r, struct walk *w, const yaml_node_t *name)
{
	char found[FOUND_TEXT];

	if (name->type != YAML_SCALAR_NODE) {
		wm_read__error(r, name, "expected a key of %s, found %s", w->what,
			       describe(name, found));
		return NULL;
	}
	for (const struct wm_key *key = w->keys; key->name; key++)
		if (strlen(key->name) == name->data.scalar.length &&
		    !memcmp(key->name, name->data.scalar.value, name->data.scalar.length))
			return key;
	report_unknown(r, w, name);
	return NULL;
}

static void read_pair(struct wm_reader *r, struct walk *w, const yaml_node_pair_t *pair)
{
	const yaml_node_t *name = yaml_document_get_node(r->doc, pair->key);
	const yaml_node_t *value = yaml_document_get_node(r->doc, pair->value);
	const struct wm_key *key = key_of(r, w, name);
	const yaml_node_t **seen;

	if (!key)
		return;
	seen = &w->seen[key - w->keys];
	if (*seen) {
		wm_read__error(r, name,
			       "key \"%s\" was given in line %zu already; expected it once",
			       key->name, (*seen)->start_mark.line + 1);
		return;
	}
	*seen = name;
	key->type->read(r, key, value, (char *)w->base + key->offset);
}

void wm_read__table(struct wm_reader *r, const char *what, const struct wm_key *keys,
		    const yaml_node_t *node, void *base)
{
	struct walk w = { .what = what, .keys = keys, .base = base };
	char found[FOUND_TEXT];

	if (!plain_tag(r, what, node))
		return;
	if (node->type != YAML_MAPPING_NODE) {
		wm_read__error(r, node, "%s: expected a mapping (key: value), found %s", what,
			       describe(node, found));
		return;
	}
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++)
		read_pair(r, &w, pair);
	for (const struct wm_key *key = keys; key->name; key++)
		if (key->required && !w.seen[key - keys] && !w.misspelt[key - keys])
			wm_read__error(r, node, "%s: expected the key \"%s\", which is missing%s%s",
				       what, key->name, key->write ? "; write " : "",
				       key->write ?: "");
}

void wm_read__copy(struct wm_reader *r, const char *text, char **into)
{
	char *copy = strdup(text);

	if (!copy) {
		r->report->no_memory = true;
		return;
	}
	free(*into);
	*into = copy;
}
