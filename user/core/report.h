/* SPDX-License-Identifier: GPL-2.0 */
/* What is wrong with a file: lines "file:line:column: text", in the file's order. */
#ifndef WM_REPORT_H
#define WM_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum { WM_REPORT_LINES = 64 }; /* kept; the others are only counted */

struct wm_report_line {
	size_t line, column;
	char *text;
};

struct wm_report {
	const char *file;
	void (*warn)(const char *text, void *arg); /* may be NULL */
	void *arg;
	bool no_memory;
	size_t errors;
	size_t n_lines;
	struct wm_report_line lines[WM_REPORT_LINES];
};

/* Lines and columns count from 1. The same error at the same place (a part of
 * the file that is used twice) is reported once. */
void wm_report__error(struct wm_report *report, size_t line, size_t column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void wm_report__warning(struct wm_report *report, size_t line, size_t column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* 0: nothing was wrong; else -EINVAL (or -ENOMEM) with the lines in err->text,
 * the last one telling how many more there are if they do not fit. */
int wm_report__finish(struct wm_report *report, struct wm_err *err);
void wm_report__clear(struct wm_report *report);

#endif
