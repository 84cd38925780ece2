/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be asked of waymarkd on its control socket, and what it answers. The table in
 * protocol.c has one row per request with all that there is to say of it: the daemon checks
 * requests by it, the command line sends and shows by it, and the manual pages are printed
 * from it. How requests and replies lie on the socket: waymark-protocol(7).
 */
#ifndef WM_PROTOCOL_H
#define WM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

/* What a value is: its type in JSON, and how people read it. */
enum wm_value {
	WM_VALUE_TEXT,
	WM_VALUE_TEXTS,   /* an array of texts */
	WM_VALUE_LINES,   /* the same, each worth a line of its own */
	WM_VALUE_FLAG,    /* true or false */
	WM_VALUE_NUMBER,  /* an integer that names something: digits alone */
	WM_VALUE_NUMBERS, /* an array of them */
	WM_VALUE_COUNT,   /* an integer: 1,234,567 */
	WM_VALUE_BYTES,   /* an integer: 1.2 GiB */
	WM_VALUE_MARK,    /* an integer: 0x1003 */
	WM_VALUE_PORT,    /* an integer; 0 is every port: * */
	WM_VALUE_SHARE,   /* a number from 0 to 1: 12.5 % */
	WM_VALUE_SECONDS, /* a number: 3 min 4 s */
	WM_VALUE_RATE,    /* a number of something per second: three digits count */
	WM_VALUE_DECIMAL, /* a number as it is */
};

/* "string", "array of strings", "boolean", "integer", "array of integers" or "number". */
const char *wm_value__json(enum wm_value type);

/* One value of an answer. */
struct wm_field {
	const char *key;     /* path in the object, a dot between levels; NULL ends an array */
	enum wm_value type;
	const char *text;    /* what it says */
	const char *heading; /* of its column in a table; NULL: not shown unless asked for */
	bool null;           /* it may be null */
	bool object_null;    /* the object that it is in may be null instead */
	bool object_absent;  /* that object may be absent */
};

#define WM_FIELD(key_, type_, text_, ...) \
	{ .key = key_, .type = WM_VALUE_##type_, .text = text_, __VA_ARGS__ }
/* The same with a heading. */
#define WM_COLUMN(key_, heading_, type_, text_, ...) \
	WM_FIELD(key_, type_, text_, .heading = heading_, __VA_ARGS__)
#define WM_FIELDS_END { .key = NULL }

struct wm_argument {
	const char *name; /* NULL ends an array */
	enum wm_value type;
	bool needed;
	const char *text;
};

enum { WM_ARGUMENTS_MAX = 3 };

/* Rules that `flows` lists where the request does not say how many. */
#define WM_FLOWS_DEFAULT 1000

struct wm_request {
	const char *name; /* NULL ends the table */
	const char *text; /* whole sentences */
	struct wm_argument arguments[WM_ARGUMENTS_MAX + 1];
	const struct wm_field *keys; /* of the answer; NULL: it is an array */
	const char *list; /* key of the array of rows in it; "": it is the array; NULL: no rows */
	const struct wm_field *rows; /* keys of each */
};

extern const struct wm_request wm_requests[];

/* The row of this name, or NULL. */
const struct wm_request *wm_protocol__find(const char *name);
const struct wm_argument *wm_protocol__argument(const struct wm_request *request,
						const char *name);

#endif
