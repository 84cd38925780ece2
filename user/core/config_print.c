// SPDX-License-Identifier: GPL-2.0
/*
 * A configuration as text, and two of them beside each other. What is to be said of each key
 * stands in its row of the tables in config.c and config_vip.c.
 */
#include <errno.h>
#include <string.h>

#include "config_inside.h"

void wm_config__print(const struct wm_config *config, FILE *out)
{
	wm_key__print(wm_config__keys(), config, "", "", out);
}

/* The keys that differ, as a text. */
struct differences {
	char *text;
	size_t size, used;
};

static void add(void *arg, const struct wm_key *key, const char *name)
{
	struct differences *d = arg;

	if (strcmp(key->name, "vips") && d->used < d->size)
		d->used += snprintf(d->text + d->used, d->size - d->used, "%s%s",
				    d->used ? ", " : "", name);
}

void wm_config__differences(const struct wm_config *a, const struct wm_config *b, char *text,
			    size_t size)
{
	struct differences d = { .text = text, .size = size };

	*text = '\0';
	wm_key__differ(wm_config__keys(), a, b, add, &d);
}

bool wm_config__equal(const struct wm_config *a, const struct wm_config *b)
{
	return wm_key__same(wm_config__keys(), a, b);
}

struct fixed {
	const struct wm_config *a, *b;
	const char *file;
	struct wm_err *err;
	int ret;
};

static void refuse(void *arg, const struct wm_key *key, const char *name)
{
	struct fixed *f = arg;

	if (f->ret || !key->fixed || (key->stays && key->stays(key, f->a, f->b)))
		return;
	f->ret = wm_err__set(f->err, -EINVAL, "%s: \"%s\" differs from what waymarkd runs with; "
			     "that is fixed while it runs: %s", f->file, name, key->fixed);
}

int wm_config__may_follow(const struct wm_config *next, const struct wm_config *now,
			  const char *file, struct wm_err *err)
{
	struct fixed f = { .a = now, .b = next, .file = file, .err = err };

	wm_key__differ(wm_config__keys(), now, next, refuse, &f);
	return f.ret;
}
