// SPDX-License-Identifier: GPL-2.0
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *program = "waymark";
static enum wm_log_level highest = WM_LOG_INFO;

void wm_log__init(const char *name, enum wm_log_level max)
{
	program = name;
	highest = max;
}

static const char *word(enum wm_log_level level)
{
	switch (level) {
	case WM_LOG_ERROR:
		return "error: ";
	case WM_LOG_WARN:
		return "warning: ";
	case WM_LOG_DEBUG:
		return "debug: ";
	case WM_LOG_INFO:
		break;
	}
	return "";
}

void wm_log(enum wm_log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	if (level > highest)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s%s\n", level, word(level), line);
	else
		fprintf(stderr, "%s: %s%s\n", program, word(level), line);
}
