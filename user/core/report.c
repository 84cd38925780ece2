// SPDX-License-Identifier: GPL-2.0
#include "report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool known(const struct wm_report *report, const struct wm_report_line *new)
{
	for (size_t i = 0; i < report->n_lines; i++) {
		const struct wm_report_line *old = &report->lines[i];

		if (old->line == new->line && old->column == new->column &&
		    !strcmp(old->text, new->text))
			return true;
	}
	return false;
}

void wm_report__error(struct wm_report *report, size_t line, size_t column, const char *fmt, ...)
{
	struct wm_report_line new = { .line = line, .column = column };
	va_list args;
	int len;

	va_start(args, fmt);
	len = vasprintf(&new.text, fmt, args);
	va_end(args);
	if (len < 0) {
		report->no_memory = true;
		return;
	}
	if (known(report, &new)) {
		free(new.text);
		return;
	}
	report->errors++;
	if (report->n_lines < WM_REPORT_LINES)
		report->lines[report->n_lines++] = new;
	else
		free(new.text);
}

void wm_report__warning(struct wm_report *report, size_t line, size_t column, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int len;

	if (!report->warn)
		return;
	len = snprintf(text, sizeof(text), "%s:%zu:%zu: ", report->file, line, column);
	if (len < 0 || (size_t)len >= sizeof(text))
		len = 0; /* a path that long: better the text than the place */
	va_start(args, fmt);
	vsnprintf(text + len, sizeof(text) - len, fmt, args);
	va_end(args);
	report->warn(text, report->arg);
}

static int by_place(const void *left, const void *right)
{
	const struct wm_report_line *a = left, *b = right;

	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->column != b->column)
		return a->column < b->column ? -1 : 1;
	return strcmp(a->text, b->text);
}

/* Room that is kept free for the line that counts what did not fit. */
enum { MORE_ROOM = 40 };

static void write_lines(const struct wm_report *report, char *out, size_t size)
{
	size_t shown = 0, used = 0;

	while (shown < report->n_lines) {
		const struct wm_report_line *l = &report->lines[shown];
		bool last = shown + 1 == report->errors;
		size_t room = size - used - (last ? 0 : MORE_ROOM);
		int len = snprintf(out + used, room, "%s%s:%zu:%zu: %s", shown ? "\n" : "",
				   report->file, l->line, l->column, l->text);

		if (len < 0 || ((size_t)len >= room && shown)) {
			out[used] = '\0';
			break;
		}
		shown++;
		used += (size_t)len < room ? (size_t)len : room - 1;
	}
	if (shown < report->errors)
		snprintf(out + used, size - used, "\nand %zu more error%s", report->errors - shown,
			 report->errors - shown == 1 ? "" : "s");
}

int wm_report__finish(struct wm_report *report, struct wm_err *err)
{
	if (report->no_memory)
		return wm_err__sys(err, -ENOMEM, "cannot read %s", report->file);
	if (!report->errors)
		return 0;
	qsort(report->lines, report->n_lines, sizeof(*report->lines), by_place);
	if (err)
		write_lines(report, err->text, sizeof(err->text));
	return -EINVAL;
}

void wm_report__clear(struct wm_report *report)
{
	for (size_t i = 0; i < report->n_lines; i++)
		free(report->lines[i].text);
	report->n_lines = 0;
	report->errors = 0;
}
