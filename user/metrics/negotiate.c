// SPDX-License-Identifier: GPL-2.0
/*
 * Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5. What the client likes
 * best is given, among what it lists; the text format to all others, so that a browser shows it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exposition.h"

#define OPENMETRICS "application/openmetrics-text"

static const char *const content_types[WM_FORMATS] = {
	[WM_FORMAT_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
	[WM_FORMAT_OPENMETRICS] = OPENMETRICS "; version=1.0.0; charset=utf-8",
};

const char *wm_format__content_type(enum wm_format format)
{
	return content_types[format];
}

/* The name and the value of a parameter, with blanks around it, is this. */
static bool is(const char *text, size_t len, const char *word)
{
	while (len && strchr(" \t\"", *text)) {
		text++;
		len--;
	}
	while (len && strchr(" \t\"", text[len - 1]))
		len--;
	return len == strlen(word) && !strncasecmp(text, word, len);
}

/* Thousandths; a preference that cannot be read is none. */
static int preference(const char *text, size_t len)
{
	char digits[8] = "";

	if (len >= sizeof(digits) || !len || strspn(text, "0123456789.") < len)
		return 0;
	memcpy(digits, text, len);
	return strtod(digits, NULL) * 1000;
}

/* One element of the list: its type, and how much it is liked. false: another version. */
static bool judge(const char *element, size_t len, int *liking, bool *openmetrics, bool *text)
{
	const char *end = element + len, *part = element;
	size_t first = strcspn(element, ";,");

	*openmetrics = is(element, first, OPENMETRICS);
	*text = is(element, first, "text/plain") || is(element, first, "text/*") ||
		is(element, first, "*/*");
	*liking = 1000;
	for (part += first; part < end && *part == ';'; part += strcspn(part, ";,")) {
		const char *equals;
		size_t size;

		part++;
		size = strcspn(part, ";,");
		equals = memchr(part, '=', size);
		if (!equals)
			continue;
		if (is(part, equals - part, "q"))
			*liking = preference(equals + 1, part + size - equals - 1);
		else if (is(part, equals - part, "version") && *openmetrics &&
			 !is(equals + 1, part + size - equals - 1, "1.0.0"))
			return false;
	}
	return true;
}

enum wm_format wm_format__choose(const char *accept)
{
	int openmetrics = 0, text = 0;

	while (accept && *accept) {
		size_t len = strcspn(accept, ",");
		bool is_openmetrics, is_text;
		int liking;

		if (judge(accept, len, &liking, &is_openmetrics, &is_text)) {
			if (is_openmetrics && liking > openmetrics)
				openmetrics = liking;
			if (is_text && liking > text)
				text = liking;
		}
		accept += len + (accept[len] == ',');
	}
	return openmetrics && openmetrics >= text ? WM_FORMAT_OPENMETRICS : WM_FORMAT_TEXT;
}
