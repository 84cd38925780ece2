// SPDX-License-Identifier: GPL-2.0
/*
 * What a table of keys is good for besides reading: defaults, the canonical form, and what
 * differs. A key whose type does not print is not acted on, and never differs.
 */
#include <string.h>

#include "schema.h"

enum { NAME_BYTES = 64 }; /* of "offload: sim: pin" */

static const void *value_of(const struct wm_key *key, const void *base)
{
	return (const char *)base + key->offset;
}

bool wm_key__init(const struct wm_key *keys, void *base)
{
	bool ok = true;

	for (const struct wm_key *key = keys; key->name; key++)
		if (key->type->init)
			ok &= key->type->init(key, (char *)base + key->offset);
	return ok;
}

static bool is_printed(const struct wm_key *key, const void *base)
{
	if (!key->type->print)
		return false;
	return !key->type->absent || !key->type->absent(key, value_of(key, base));
}

bool wm_key__absent(const struct wm_key *keys, const void *base)
{
	for (const struct wm_key *key = keys; key->name; key++)
		if (is_printed(key, base))
			return false;
	return true;
}

void wm_key__print(const struct wm_key *keys, const void *base, const char *first,
		   const char *next, FILE *out)
{
	const char *before = first;

	for (const struct wm_key *key = keys; key->name; key++) {
		if (!is_printed(key, base))
			continue;
		fprintf(out, "%s%s:%s", before, key->name, key->block ? "" : " ");
		key->type->print(key, value_of(key, base), out);
		if (!key->block)
			putc('\n', out);
		before = next;
	}
}

void wm_key__print_list(const struct wm_key *keys, const void *list, size_t n, size_t size,
			FILE *out)
{
	fputs(n ? "\n" : " []\n", out);
	for (size_t i = 0; i < n; i++)
		wm_key__print(keys, (const char *)list + i * size, "  - ", "    ", out);
}

void wm_key__print_flow(const struct wm_key *keys, const void *base, FILE *out)
{
	const char *before = "{ ";

	for (const struct wm_key *key = keys; key->name; key++) {
		if (!is_printed(key, base))
			continue;
		fprintf(out, "%s%s: ", before, key->name);
		key->type->print(key, value_of(key, base), out);
		before = ", ";
	}
	fputs(" }", out);
}

static bool is_same(const struct wm_key *key, const void *a, const void *b)
{
	return !key->type->same || key->type->same(key, value_of(key, a), value_of(key, b));
}

bool wm_key__same(const struct wm_key *keys, const void *a, const void *b)
{
	for (const struct wm_key *key = keys; key->name; key++)
		if (!is_same(key, a, b))
			return false;
	return true;
}

bool wm_key__same_list(const struct wm_key *keys, const void *a, size_t n_a, const void *b,
		       size_t n_b, size_t size)
{
	if (n_a != n_b)
		return false;
	for (size_t i = 0; i < n_a; i++)
		if (!wm_key__same(keys, (const char *)a + i * size, (const char *)b + i * size))
			return false;
	return true;
}

/* `within`: the keys that lead here, as "offload: ". */
static void differ(const struct wm_key *keys, const char *within, const void *a, const void *b,
		   void (*fn)(void *arg, const struct wm_key *key, const char *name), void *arg)
{
	char name[NAME_BYTES];

	for (const struct wm_key *key = keys; key->name; key++) {
		if (is_same(key, a, b))
			continue;
		snprintf(name, sizeof(name), "%s%s%s", within, key->name, key->keys ? ": " : "");
		if (key->keys)
			differ(key->keys, name, value_of(key, a), value_of(key, b), fn, arg);
		else
			fn(arg, key, name);
	}
}

void wm_key__differ(const struct wm_key *keys, const void *a, const void *b,
		    void (*fn)(void *arg, const struct wm_key *key, const char *name), void *arg)
{
	differ(keys, "", a, b, fn, arg);
}
