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

#include "units.h"

enum {
	FOUND_TEXT = 96,
	KEYS_MAX = 32, /* of one table */
	NAME_MAX_LEN = 24, /* longest name that is compared with a misspelt one */
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

static bool has_type(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
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

	if (!has_type(r, key, node, YAML_SCALAR_NODE, what))
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
	if (!has_type(r, key, node, YAML_SEQUENCE_NODE, what))
		return 0;
	return node->data.sequence.items.top - node->data.sequence.items.start;
}

const yaml_node_t *wm_read__item(struct wm_reader *r, const yaml_node_t *list, size_t index)
{
	return yaml_document_get_node(r->doc, list->data.sequence.items.start[index]);
}

/* --- keys --- */

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/*
 * How many letters must be inserted, removed, changed or swapped with their
 * neighbour to get from a to b (optimal string alignment). Three rows suffice:
 * a swap looks two rows back.
 */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[3][NAME_MAX_LEN + 1];
	size_t m = strlen(a), n = strlen(b);

	if (m > NAME_MAX_LEN || n > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t j = 0; j <= n; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		unsigned int *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= n; j++) {
			bool same = a[i - 1] == b[j - 1];

			now[j] = least(up[j - 1] + !same, least(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], up2[j - 2] + 1);
		}
	}
	return row[m % 3][n];
}

static const struct wm_key *nearest(const struct wm_key *keys, const char *name)
{
	unsigned int best = strlen(name) > 3 ? 3 : 2; /* further away it is another word */
	const struct wm_key *found = NULL;

	for (; keys->name; keys++) {
		unsigned int d = distance(name, keys->name);

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
	key->read(r, key, value, (char *)w->base + key->offset);
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
			wm_read__error(r, node, "%s: expected the key \"%s\", which is missing",
				       what, key->name);
}

/* --- readers --- */

static void store(const struct wm_key *key, void *into, uint64_t value)
{
	switch (key->size) {
	case 1:
		*(uint8_t *)into = value;
		break;
	case 2:
		*(uint16_t *)into = value;
		break;
	case 4:
		*(uint32_t *)into = value;
		break;
	default:
		*(uint64_t *)into = value;
	}
}

void wm_read__count(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		    void *into)
{
	char what[96];
	const char *text;
	uint64_t n;

	snprintf(what, sizeof(what), "a whole number from %llu to %llu",
		 (unsigned long long)key->min, (unsigned long long)key->max);
	text = wm_read__scalar(r, key, value, what);
	if (!text)
		return;
	if (wm_count__parse(text, &n) || n < key->min || n > key->max)
		wm_read__expected(r, key, value, "%s", what);
	else
		store(key, into, n);
}

void wm_read__duration(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		       void *into)
{
	char what[96], min[WM_UNITS_TEXT], max[WM_UNITS_TEXT];
	const char *text;
	uint64_t ns;

	snprintf(what, sizeof(what), "a time from %s to %s, with its unit (ms, s, m, h)",
		 wm_duration__format(key->min, min), wm_duration__format(key->max, max));
	text = wm_read__scalar(r, key, value, what);
	if (!text)
		return;
	if (wm_duration__parse(text, &ns) || ns < key->min || ns > key->max)
		wm_read__expected(r, key, value, "%s", what);
	else
		store(key, into, ns);
}

static int find_word(const char *const *words, const char *text)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], text))
			return i;
	return -1;
}

void wm_read__bool(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		   void *into)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on", NULL };
	const char *text = wm_read__scalar(r, key, value, "true or false");
	int found;

	if (!text)
		return;
	found = find_word(words, text);
	if (found < 0)
		wm_read__expected(r, key, value, "true or false");
	else
		store(key, into, found % 2);
}

void wm_read__choice(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		     void *into)
{
	char what[128] = "";
	const char *text;
	size_t used = 0;
	int found;

	for (const char *const *word = key->words; *word && used < sizeof(what); word++)
		used += snprintf(what + used, sizeof(what) - used, "%s%s",
				 !used ? "" : word[1] ? ", " : " or ", *word);
	text = wm_read__scalar(r, key, value, what);
	if (!text)
		return;
	found = find_word(key->words, text);
	if (found < 0)
		wm_read__expected(r, key, value, "%s", what);
	else
		store(key, into, found);
}

void wm_read__mapping(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	wm_read__table(r, key->name, key->keys, value, into);
}

void wm_read__ignored(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	(void)into;
	if (has_type(r, key, value, YAML_MAPPING_NODE, "a mapping (key: value)"))
		wm_report__warning(r->report, value->start_mark.line + 1,
				   value->start_mark.column + 1,
				   "%s: not acted on by this version", key->name);
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
