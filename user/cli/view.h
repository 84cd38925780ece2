/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a reply is shown: as a table (a row for each object), as a block (a line for
 * each thing worth knowing), or as JSON. Views are data; view.c renders them.
 */
#ifndef WM_VIEW_H
#define WM_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "column.h"
#include "err.h"

/* One line of a block. */
struct view_line {
	/* Conditions by blanks, all must hold: "key" is true (json__is_true), "!key"
	 * is not. NULL: always. */
	const char *when;
	const char *title; /* NULL: the text stands alone, at the left */
	/* {key} is replaced by the key's value in its column's format, {a/b} by
	 * the share of a in b. NULL ends an array. */
	const char *text;
};

struct view {
	const char *request;            /* to the daemon: what is not here is in its row */
	const struct wm_field *keys;    /* keys of the answer itself */
	const char *list;               /* key of the array of rows; "": the answer is the array */
	const struct wm_field *columns; /* of the rows */
	bool made;                      /* the command makes the rows: columns are no JSON keys */
	const struct view_line *lines;  /* a block; NULL: a line for each key */
	const char *empty;              /* said of a table without rows */
};

struct output {
	FILE *file;
	bool json;
	bool raw;            /* for scripts: no units, no alignment; JSON on one line */
	bool no_headings;
	const char *columns; /* keys of the columns to show, by commas; NULL: the view's choice */
};

/* Members of the view, or of its request's row. */
const struct wm_field *view__keys(const struct view *view);
const char *view__list(const struct view *view);
/* The columns that --columns chooses from. */
const struct wm_field *view__columns(const struct view *view);
/* 0, or -EINVAL when `chosen` names a column that there is not. */
int view__check_columns(const struct view *view, const char *chosen, struct wm_err *err);

/* Show a reply. -EBADMSG: it has not the view's shape; for a view whose rows the
 * command makes, all but JSON. 0 or -ENOMEM. */
int view__show(const struct view *view, const json_t *data, const struct output *out,
	       struct wm_err *err);
/* The same for a view whose rows the command made. */
int view__show_rows(const struct view *view, const json_t *rows, const struct output *out,
		    struct wm_err *err);
int view__show_json(const json_t *data, const struct output *out);

#endif
