/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A column: one value of a reply, described once. Tables, blocks, --raw, the
 * promises in the manual and `help --json` are made from these descriptions.
 */
#ifndef WM_COLUMN_H
#define WM_COLUMN_H

#include <jansson.h>
#include <stdbool.h>

enum column_format {
	FORMAT_TEXT,     /* text as it is, yes or no, numbers as they are */
	FORMAT_NUMBER,   /* an id: digits alone */
	FORMAT_COUNT,    /* 1,234,567 */
	FORMAT_BYTES,    /* 1.2 GiB */
	FORMAT_SHARE,    /* 0..1 as percent */
	FORMAT_DURATION, /* seconds as 3 min 4 s */
	FORMAT_MARK,     /* hexadecimal */
	FORMAT_PORT,     /* 0 is every port: * */
	FORMAT_RATE,     /* a second: three digits count */
};

struct column {
	const char *key;   /* path in the object, a dot between levels; NULL ends an array */
	const char *title; /* heading; NULL: not shown in tables */
	enum column_format format;
	const char *text;  /* what the key says, for the manual */
};

/* The value at `path` ("rule.state") in `object`; NULL: there is none. */
const json_t *json__at(const json_t *object, const char *path);
/* Neither missing nor null, false, 0 or empty. */
bool json__is_true(const json_t *value);

/*
 * A value for people, or with `raw` for scripts: numbers plain, marks as 0x...,
 * lists joined by commas. "-" for null and for what is missing. The caller
 * frees it; NULL: out of memory.
 */
char *column__text(enum column_format format, const json_t *value, bool raw);
bool column__right(enum column_format format);
const struct column *column__find(const struct column *columns, const char *key, size_t len);

#endif
