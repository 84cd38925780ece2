// SPDX-License-Identifier: GPL-2.0
/*
 * The types of keys that every table may use: how their values are read, printed and compared.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"
#include "units.h"
#include "words.h"

/* --- numbers --- */

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

uint64_t wm_number__of(const struct wm_key *key, const void *value)
{
	switch (key->size) {
	case 1:
		return *(const uint8_t *)value;
	case 2:
		return *(const uint16_t *)value;
	case 4:
		return *(const uint32_t *)value;
	default:
		return *(const uint64_t *)value;
	}
}

bool wm_number__init(const struct wm_key *key, void *into)
{
	store(key, into, key->number);
	return true;
}

bool wm_number__same(const struct wm_key *key, const void *a, const void *b)
{
	return wm_number__of(key, a) == wm_number__of(key, b);
}

static void read_count(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
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

static void print_count(const struct wm_key *key, const void *value, FILE *out)
{
	fprintf(out, "%" PRIu64, wm_number__of(key, value));
}

const struct wm_key_type wm_key_count = { read_count, .print = print_count, WM_NUMBER };

static void read_duration(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
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

static void print_duration(const struct wm_key *key, const void *value, FILE *out)
{
	char text[WM_UNITS_TEXT];

	fputs(wm_duration__format(wm_number__of(key, value), text), out);
}

const struct wm_key_type wm_key_duration = { read_duration, .print = print_duration, WM_NUMBER };

static void read_bool(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on", NULL };
	const char *text = wm_read__scalar(r, key, value, "true or false");
	int found;

	if (!text)
		return;
	found = wm_words__find(words, text);
	if (found < 0)
		wm_read__expected(r, key, value, "true or false");
	else
		store(key, into, found % 2);
}

static void print_bool(const struct wm_key *key, const void *value, FILE *out)
{
	fputs(wm_number__of(key, value) ? "true" : "false", out);
}

const struct wm_key_type wm_key_bool = { read_bool, .print = print_bool, WM_NUMBER };

static void read_choice(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
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
	found = wm_words__find(key->words, text);
	if (found < 0)
		wm_read__expected(r, key, value, "%s", what);
	else
		store(key, into, found);
}

static void print_choice(const struct wm_key *key, const void *value, FILE *out)
{
	fputs(key->words[wm_number__of(key, value)], out);
}

const struct wm_key_type wm_key_choice = { read_choice, .print = print_choice, WM_NUMBER };

/* --- texts --- */

bool wm_text__init(const struct wm_key *key, void *into)
{
	char *copy = key->text ? strdup(key->text) : NULL;

	*(char **)into = copy;
	return copy || !key->text;
}

void wm_text__print(const struct wm_key *key, const void *value, FILE *out)
{
	(void)key;
	wm_print__text(*(char *const *)value, out);
}

bool wm_text__same(const struct wm_key *key, const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	(void)key;
	return x == y || (x && y && !strcmp(x, y));
}

bool wm_text__absent(const struct wm_key *key, const void *value)
{
	(void)key;
	return !*(char *const *)value;
}

void wm_print__text(const char *text, FILE *out)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

/* --- tables in tables --- */

static void read_mapping(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			 void *into)
{
	wm_read__table(r, key->name, key->keys, value, into);
}

static bool init_mapping(const struct wm_key *key, void *into)
{
	return wm_key__init(key->keys, into);
}

static void print_mapping(const struct wm_key *key, const void *value, FILE *out)
{
	if (!key->block) {
		wm_key__print_flow(key->keys, value, out);
		return;
	}
	putc('\n', out);
	wm_key__print(key->keys, value, "  ", "  ", out);
}

static bool same_mapping(const struct wm_key *key, const void *a, const void *b)
{
	return wm_key__same(key->keys, a, b);
}

static bool absent_mapping(const struct wm_key *key, const void *value)
{
	return wm_key__absent(key->keys, value);
}

const struct wm_key_type wm_key_mapping = {
	read_mapping, init_mapping, print_mapping, same_mapping, absent_mapping,
};
