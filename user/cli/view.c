// SPDX-License-Identifier: GPL-2.0
/*
 * Rendering. Tables and blocks are both libsmartcols tables: a block is one of
 * two columns, title and text. With --raw a block becomes one line per key, "key
 * value", so that a script can read it without knowing our sentences.
 *
 * On a terminal that is too narrow for a table each row becomes a block, and texts are
 * folded: a line that the terminal breaks is a line that nobody can read in a column.
 */
#include "view.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

static const struct wm_request nothing;

/* All NULL where the daemon is not asked. */
static const struct wm_request *request_of(const struct view *view)
{
	return (view->request ? wm_protocol__find(view->request) : NULL) ?: &nothing;
}

const struct wm_field *view__keys(const struct view *view)
{
	return view->keys ?: request_of(view)->keys;
}

const char *view__list(const struct view *view)
{
	return view->list ?: request_of(view)->list;
}

const struct wm_field *view__columns(const struct view *view)
{
	return view->columns ?: request_of(view)->rows ?: view__keys(view);
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
	const struct wm_field *columns;
	struct wm_err *err;
};

static int check_key(void *arg, const char *key, size_t len)
{
	struct key_check *check = arg;
	const struct wm_field *c;
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
	flags |= JSON_ENSURE_ASCII; /* a terminal takes commands beyond it, too */
	if (json_dumpf(data, out->file, flags | JSON_REAL_PRECISION(15)))
		return -ENOMEM;
	fputc('\n', out->file);
	return 0;
}

/* --- width --- */

enum { GAP = 2, ROOM_MIN = 8 };

/* Of the terminal; 0: there is none, or lines are for a script. */
static size_t terminal_width(const struct output *out)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (out->raw || out->json)
		return 0;
	if (columns && atoi(columns) > 0)
		return atoi(columns);
	if (!isatty(fileno(out->file)) || ioctl(fileno(out->file), TIOCGWINSZ, &size))
		return 0;
	return size.ws_col;
}

/* Columns that the longest line of the text takes. */
static size_t text_width(const char *text)
{
	size_t longest = 0, width = 0;
	mbstate_t state = {};

	while (*text) {
		wchar_t c;
		size_t len = mbrtowc(&c, text, MB_CUR_MAX, &state);

		if (len == 0 || len > MB_CUR_MAX) { /* no letter of this locale */
			memset(&state, 0, sizeof(state));
			len = 1;
			c = L'?';
		}
		if (c == L'\n')
			width = 0;
		else
			width += wcwidth(c) > 0 ? wcwidth(c) : 0;
		longest = width > longest ? width : longest;
		text += len;
	}
	return longest;
}

/* Bytes of the line that fit: up to a blank if there is one, else cut in a word. */
static size_t piece(const char *line, size_t len, size_t room)
{
	size_t letters = 0, blank = 0, i;

	for (i = 0; i < len; i++) {
		if (((unsigned char)line[i] & 0xc0) == 0x80)
			continue; /* the rest of a letter of UTF-8 */
		if (line[i] == ' ')
			blank = i;
		if (letters++ == room)
			return blank ? blank : i;
	}
	return len;
}

/* No line longer than `room` (0: no limit). Takes the text over; NULL: no memory. */
static char *fold(char *text, size_t room)
{
	size_t len = text ? strlen(text) : 0, to = 0;
	const char *from = text;
	char *folded;

	if (!room || len <= room)
		return text;
	folded = malloc(2 * len + 1);
	while (folded && *from) {
		size_t line = strcspn(from, "\n"), fits = piece(from, line, room);

		memcpy(folded + to, from, fits);
		to += fits;
		from += fits;
		if (*from)
			folded[to++] = '\n';
		from += *from == '\n' || *from == ' ';
	}
	if (folded)
		folded[to] = '\0';
	free(text);
	return folded;
}

/* What titles of this width leave of a line; 0: no limit. */
static size_t room_beside(const struct output *out, size_t titles)
{
	size_t width = terminal_width(out);

	if (!width)
		return 0;
	return width > titles + GAP + ROOM_MIN ? width - titles - GAP : ROOM_MIN;
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
	const struct wm_field *all;
	const struct wm_field *shown[64];
	size_t n;
};

static const char *title_of(const struct wm_field *column)
{
	return column->heading ?: column->key;
}

static int add_column(struct table *table, const struct wm_field *column)
{
	int flags = column__right(column->type) ? SCOLS_FL_RIGHT : 0;

	if (table->n == sizeof(table->shown) / sizeof(*table->shown))
		return -E2BIG;
	if (!scols_table_new_column(table->scols, title_of(column), 0, flags))
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
	const struct wm_field *c;
	int ret = 0;

	if (chosen)
		return for_each_key(chosen, add_chosen, table);
	for (c = table->all; c->key && !ret; c++)
		if (c->heading)
			ret = add_column(table, c);
	return ret;
}

static int add_row(struct table *table, const json_t *row, bool raw)
{
	struct libscols_line *line = scols_table_new_line(table->scols, NULL);
	int ret = line ? 0 : -ENOMEM;

	for (size_t i = 0; i < table->n && !ret; i++) {
		const struct wm_field *c = table->shown[i];

		ret = set_cell(line, i, column__text(c->type, json__at(row, c->key), raw));
	}
	return ret;
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

static size_t widest_title(const struct table *table)
{
	size_t widest = 0;

	for (size_t i = 0; i < table->n; i++)
		if (text_width(title_of(table->shown[i])) > widest)
			widest = text_width(title_of(table->shown[i]));
	return widest;
}

/* A row as a block, with the columns' headings for titles. */
static int show_record(const struct table *table, const json_t *row, const struct output *out)
{
	size_t room = room_beside(out, widest_title(table));
	struct libscols_table *block = new_table(out, false);
	int ret = -ENOMEM;

	if (block && scols_table_new_column(block, "key", 0, 0))
		ret = add_value_column(block, false);
	for (size_t i = 0; i < table->n && !ret; i++) {
		const struct wm_field *c = table->shown[i];
		char *text = column__text(c->type, json__at(row, c->key), false);

		ret = add_pair(block, title_of(c), fold(text, room));
	}
	if (!ret)
		ret = scols_print_table(block);
	scols_unref_table(block);
	return ret;
}

static int show_records(const struct table *table, const json_t *rows, const struct output *out)
{
	const json_t *row;
	int ret = 0;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (!ret && i)
			fputc('\n', out->file);
		if (!ret)
			ret = show_record(table, row, out);
	}
	return ret;
}

static int show_table(const struct table *table, const json_t *rows, const struct output *out)
{
	size_t width = out->no_headings ? 0 : terminal_width(out);
	char *text = NULL;
	int ret;

	if (!width)
		return scols_print_table(table->scols);
	scols_table_set_termforce(table->scols, SCOLS_TERMFORCE_NEVER);
	ret = scols_print_table_to_string(table->scols, &text);
	if (!ret && text_width(text) > width)
		ret = show_records(table, rows, out);
	else if (!ret)
		fprintf(out->file, "%s\n", text);
	free(text);
	return ret;
}

int view__show_rows(const struct view *view, const json_t *rows, const struct output *out,
		    struct wm_err *err)
{
	struct table table = { .scols = new_table(out, true), .all = view__columns(view) };
	const json_t *row;
	size_t i;
	int ret;

	ret = table.scols ? add_columns(&table, out->columns) : -ENOMEM;
	json_array_foreach(rows, i, row)
		if (!ret)
			ret = add_row(&table, row, out->raw);
	if (!ret && json_array_size(rows))
		ret = show_table(&table, rows, out);
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
	text = column__text(WM_VALUE_SHARE, share, false);
	json_decref(share);
	free(part);
	return text;
}

static char *key_text(const struct view *view, const json_t *data, const char *path)
{
	const struct wm_field *c = column__find(view__keys(view), path, strlen(path));
	const char *slash = strchr(path, '/');

	if (slash)
		return share_text(data, path, slash);
	return column__text(c ? c->type : WM_VALUE_TEXT, json__at(data, path), false);
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

/* Tables escape what they show by themselves. Gives the text back, line by line, or NULL. */
static char *plain(char *text)
{
	size_t size = text ? 4 * strlen(text) + 1 : 0, used = 0;
	char *copy = text ? malloc(size) : NULL, *rest = text, *line;

	while (copy && (line = strsep(&rest, "\n"))) {
		used += wm_err__plain(copy + used, size - used, line);
		if (rest)
			copy[used++] = '\n';
	}
	free(text);
	return copy;
}

static int add_sentences(struct libscols_table *table, const struct view *view,
			 const json_t *data, const struct output *out)
{
	size_t titles = 0;
	const struct view_line *line;
	int ret = 0;

	for (line = view->lines; line->text; line++)
		if (line->title && line_applies(line, data) && text_width(line->title) > titles)
			titles = text_width(line->title);
	for (line = view->lines; line->text && !ret; line++) {
		char *text;

		if (!line_applies(line, data))
			continue;
		text = fill_in(view, data, line->text);
		if (line->title) {
			ret = add_pair(table, line->title, fold(text, room_beside(out, titles)));
		} else {
			text = fold(plain(text), terminal_width(out));
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
	size_t room;
};

static int add_key(void *arg, const char *key, size_t len)
{
	struct pairs *pairs = arg;
	const struct wm_field *c = column__find(view__keys(pairs->view), key, len);

	return add_pair(pairs->table, c->key,
			fold(column__text(c->type, json__at(pairs->data, c->key), pairs->raw),
			     pairs->room));
}

static int add_keys(struct libscols_table *table, const struct view *view, const json_t *data,
		    const struct output *out)
{
	struct pairs pairs = { table, view, data, out->raw, 0 };
	const struct wm_field *c;
	size_t titles = 0;
	int ret = 0;

	for (c = view__keys(view); c->key; c++)
		titles = strlen(c->key) > titles ? strlen(c->key) : titles;
	pairs.room = room_beside(out, titles);
	if (out->columns)
		return for_each_key(out->columns, add_key, &pairs);
	for (c = view__keys(view); c->key && !ret; c++)
		ret = add_key(&pairs, c->key, strlen(c->key));
	return ret;
}

static int show_block(const struct view *view, const json_t *data, const struct output *out)
{
	struct libscols_table *table = new_table(out, false);
	int ret = -ENOMEM;

	if (table && scols_table_new_column(table, "key", 0, 0))
		ret = add_value_column(table, out->raw);
	if (!ret)
		ret = out->raw || out->columns || !view->lines ?
			      add_keys(table, view, data, out) :
			      add_sentences(table, view, data, out);
	if (!ret && scols_table_get_nlines(table))
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

int view__show(const struct view *view, const json_t *data, const struct output *out,
	       struct wm_err *err)
{
	const char *list = view__list(view);
	const json_t *rows = list && *list ? json__at(data, list) : data;
	int ret;

	if (list ? !json_is_array(rows) : !json_is_object(data) || (view->made && !out->json))
		return wm_err__set(err, -EBADMSG, "waymarkd's answer has another shape than this "
				   "command knows: are both of the same version?");
	if (out->json)
		ret = view__show_json(data, out);
	else if (list)
		return view__show_rows(view, rows, out, err);
	else
		ret = show_block(view, data, out);
	return ret ? wm_err__sys(err, ret, "cannot show the answer") : 0;
}
