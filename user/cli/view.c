// SPDX-License-Identifier: GPL-2.0
/*
 * Rendering. Tables and blocks are both libsmartcols tables: a block is one of
 * two columns, title and text. With --raw a block becomes one line a key, "key
 * value", so that a script can read it without knowing our sentences.
 */
#include "view.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>

const struct column *view__columns(const struct view *view)
{
	return view->columns ?: view->keys;
}

/* Calls `each` for every key in a list by commas. */
static int for_each_key(const char *keys, int (*each)(void *arg, const char *key, size_t len),
			void *arg)
{
	int ret = 0;

	while (!ret) {
		size_t len = strcspn(keys, ",");

		ret = each(arg, keys, len);
		if (!keys[len])
			break;
		keys += len + 1;
	}
	return ret;
}

struct key_check {
	const struct column *columns;
	struct wm_err *err;
};

static int check_key(void *arg, const char *key, size_t len)
{
	struct key_check *check = arg;
	const struct column *c;
	char known[512] = "";

	if (column__find(check->columns, key, len))
		return 0;
	for (c = check->columns; c->key; c++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, " %s", c->key);
	}
	return wm_err__set(check->err, -EINVAL, "no column '%.*s'; there are:%s", (int)len, key,
			   known);
}

int view__check_columns(const struct view *view, const char *chosen, struct wm_err *err)
{
	struct key_check check = { view__columns(view), err };

	return for_each_key(chosen, check_key, &check);
}

int view__show_json(const json_t *data, const struct output *out)
{
	size_t flags = JSON_ENCODE_ANY | (out->raw ? JSON_COMPACT : JSON_INDENT(2));

	/* 15 digits give back what was written, "0.4" and not 0.40000000000000002 */
	if (json_dumpf(data, out->file, flags | JSON_REAL_PRECISION(15)))
		return -ENOMEM;
	fputc('\n', out->file);
	return 0;
}

static struct libscols_table *new_table(const struct output *out, bool headings)
{
	struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	scols_table_set_stream(table, out->file);
	scols_table_enable_raw(table, out->raw);
	scols_table_enable_noheadings(table, !headings || out->no_headings);
	if (!out->raw && scols_table_set_column_separator(table, "  ")) {
		scols_unref_table(table);
		return NULL;
	}
	return table;
}

static int set_cell(struct libscols_line *line, size_t column, char *text)
{
	if (!text)
		return -ENOMEM;
	return scols_line_refer_data(line, column, text); /* the line frees it */
}

/* --- tables --- */

struct table {
	struct libscols_table *scols;
	const struct column *all;
	const struct column *shown[64];
	size_t n;
};

static int add_column(struct table *table, const struct column *column)
{
	int flags = column__right(column->format) ? SCOLS_FL_RIGHT : 0;
	const char *title = column->title ?: column->key;

	if (table->n == sizeof(table->shown) / sizeof(*table->shown))
		return -E2BIG;
	if (!scols_table_new_column(table->scols, title, 0, flags))
		return -ENOMEM;
	table->shown[table->n++] = column;
	return 0;
}

static int add_chosen(void *arg, const char *key, size_t len)
{
	struct table *table = arg;

	return add_column(table, column__find(table->all, key, len));
}

static int add_columns(struct table *table, const char *chosen)
{
	const struct column *c;
	int ret = 0;

	if (chosen)
		return for_each_key(chosen, add_chosen, table);
	for (c = table->all; c->key && !ret; c++)
		if (c->title)
			ret = add_column(table, c);
	return ret;
}

static int add_row(struct table *table, const json_t *row, bool raw)
{
	struct libscols_line *line = scols_table_new_line(table->scols, NULL);
	int ret = line ? 0 : -ENOMEM;

	for (size_t i = 0; i < table->n && !ret; i++) {
		const struct column *c = table->shown[i];

		ret = set_cell(line, i, column__text(c->format, json__at(row, c->key), raw));
	}
	return ret;
}

int view__show_rows(const struct view *view, const json_t *rows, const struct output *out,
		    struct wm_err *err)
{
	struct table table = { .scols = new_table(out, true), .all = view->columns };
	const json_t *row;
	size_t i;
	int ret;

	ret = table.scols ? add_columns(&table, out->columns) : -ENOMEM;
	json_array_foreach(rows, i, row)
		if (!ret)
			ret = add_row(&table, row, out->raw);
	if (!ret && json_array_size(rows))
		ret = scols_print_table(table.scols);
	else if (!ret && view->empty && !out->raw)
		fprintf(out->file, "%s\n", view->empty);
	scols_unref_table(table.scols);
	return ret ? wm_err__sys(err, ret, "cannot show a table") : 0;
}

/* --- blocks --- */

static int append(char **text, char *piece)
{
	char *longer = NULL;
	int ret = piece && asprintf(&longer, "%s%s", *text ?: "", piece) >= 0 ? 0 : -ENOMEM;

	free(piece);
	if (ret)
		return ret;
	free(*text);
	*text = longer;
	return 0;
}

/* {a/b}: 0 of 0 is no share at all. */
static char *share_text(const json_t *data, const char *path, const char *slash)
{
	char *part = strndup(path, slash - path);
	double of = json_number_value(json__at(data, slash + 1));
	json_t *share;
	char *text;

	if (!part)
		return NULL;
	share = of ? json_real(json_number_value(json__at(data, part)) / of) : json_null();
	text = column__text(FORMAT_SHARE, share, false);
	json_decref(share);
	free(part);
	return text;
}

static char *key_text(const struct view *view, const json_t *data, const char *path)
{
	const struct column *c = column__find(view->keys, path, strlen(path));
	const char *slash = strchr(path, '/');

	if (slash)
		return share_text(data, path, slash);
	return column__text(c ? c->format : FORMAT_TEXT, json__at(data, path), false);
}

/* The line's text with its keys filled in; NULL: out of memory. */
static char *fill_in(const struct view *view, const json_t *data, const char *from)
{
	char *text = NULL;
	int ret = append(&text, strdup(""));

	while (*from && !ret) {
		size_t len = strcspn(from, "{");
		char *path;

		if (len) {
			ret = append(&text, strndup(from, len));
			from += len;
			continue;
		}
		len = strcspn(from, "}");
		path = strndup(from + 1, len - 1);
		ret = path ? append(&text, key_text(view, data, path)) : -ENOMEM;
		free(path);
		from += len + 1;
	}
	if (!ret)
		return text;
	free(text);
	return NULL;
}

static bool line_applies(const struct view_line *line, const json_t *data)
{
	const char *term = line->when ?: "";
	bool all = true;

	while (*term && all) {
		bool negated = *term == '!';
		size_t len;
		char key[64];

		term += negated;
		len = strcspn(term, " ");
		snprintf(key, sizeof(key), "%.*s", (int)len, term);
		all = json__is_true(json__at(data, key)) != negated;
		term += len + (term[len] == ' ');
	}
	return all;
}

static int add_pair(struct libscols_table *table, const char *title, char *text)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int ret = line ? scols_line_set_data(line, 0, title) : -ENOMEM;

	if (ret)
		free(text);
	else
		ret = set_cell(line, 1, text);
	return ret;
}

static int add_sentences(struct libscols_table *table, const struct view *view,
			 const json_t *data, const struct output *out)
{
	const struct view_line *line;
	int ret = 0;

	for (line = view->lines; line->text && !ret; line++) {
		char *text;

		if (!line_applies(line, data))
			continue;
		text = fill_in(view, data, line->text);
		if (line->title) {
			ret = add_pair(table, line->title, text);
		} else {
			fprintf(out->file, "%s\n", text ?: "");
			free(text);
		}
	}
	return ret;
}

struct pairs {
	struct libscols_table *table;
	const struct view *view;
	const json_t *data;
	bool raw;
};

static int add_key(void *arg, const char *key, size_t len)
{
	struct pairs *pairs = arg;
	const struct column *c = column__find(pairs->view->keys, key, len);

	return add_pair(pairs->table, c->key,
			column__text(c->format, json__at(pairs->data, c->key), pairs->raw));
}

static int add_keys(struct libscols_table *table, const struct view *view, const json_t *data,
		    const struct output *out)
{
	struct pairs pairs = { table, view, data, out->raw };
	const struct column *c;
	int ret = 0;

	if (out->columns)
		return for_each_key(out->columns, add_key, &pairs);
	for (c = view->keys; c->key && !ret; c++)
		ret = add_key(&pairs, c->key, strlen(c->key));
	return ret;
}

/* What spans lines (the errors of a configuration) keeps them, but for scripts. */
static int add_value_column(struct libscols_table *table, bool raw)
{
	struct libscols_column *value;

	value = scols_table_new_column(table, "value", 0, raw ? 0 : SCOLS_FL_WRAP);
	if (!value)
		return -ENOMEM;
	if (raw)
		return 0;
	return scols_column_set_wrapfunc(value, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
					 NULL) ?:
	       scols_column_set_safechars(value, "\n");
}

static int show_block(const struct view *view, const json_t *data, const struct output *out)
{
	struct libscols_table *table = new_table(out, false);
	int ret = -ENOMEM;

	if (table && scols_table_new_column(table, "key", 0, 0))
		ret = add_value_column(table, out->raw);
	if (!ret)
		ret = out->raw || out->columns ? add_keys(table, view, data, out) :
						 add_sentences(table, view, data, out);
	if (!ret && scols_table_get_nlines(table))
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

int view__show(const struct view *view, const json_t *data, const struct output *out,
	       struct wm_err *err)
{
	const json_t *rows = view->list && *view->list ? json__at(data, view->list) : data;
	int ret;

	if (view->list ? !json_is_array(rows) : !json_is_object(data) || (view->made && !out->json))
		return wm_err__set(err, -EBADMSG, "waymarkd's answer has another shape than this "
				   "command knows: are both of the same version?");
	if (out->json)
		ret = view__show_json(data, out);
	else if (view->list)
		return view__show_rows(view, rows, out, err);
	else
		ret = show_block(view, data, out);
	return ret ? wm_err__sys(err, ret, "cannot show the answer") : 0;
}
