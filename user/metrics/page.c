// SPDX-License-Identifier: GPL-2.0
#include "page.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE_FIRST = 16384 };

void wm_page__free(struct wm_page *page)
{
	free(page->data);
	*page = (struct wm_page){};
}

char *wm_page__room(struct wm_page *page, size_t len)
{
	size_t size = page->size ? page->size : PAGE_FIRST;
	char *data;

	if (page->failed)
		return NULL;
	if (page->size - page->len >= len)
		return page->data + page->len;
	while (size - page->len < len)
		size *= 2;
	data = realloc(page->data, size);
	if (!data) {
		page->failed = true;
		return NULL;
	}
	page->data = data;
	page->size = size;
	return data + page->len;
}

void wm_page__put(struct wm_page *page, const char *data, size_t len)
{
	char *to = wm_page__room(page, len);

	if (!to)
		return;
	memcpy(to, data, len);
	page->len += len;
}

void wm_page__text(struct wm_page *page, const char *text)
{
	wm_page__put(page, text, strlen(text));
}

char *wm_number__write(char *to, uint64_t number)
{
	char digits[WM_NUMBER_DIGITS];
	int n = 0;

	do
		digits[n++] = '0' + number % 10;
	while (number /= 10);
	while (n)
		*to++ = digits[--n];
	return to;
}

void wm_page__number(struct wm_page *page, uint64_t number)
{
	char text[WM_NUMBER_DIGITS];

	wm_page__put(page, text, wm_number__write(text, number) - text);
}

/* The bytes of the UTF-8 character here; 0: it is none. JSON lets nothing else through, and
 * this makes sure for names that come another way. */
static size_t character(const unsigned char *c)
{
	size_t len = *c < 0x80 ? 1 : *c >> 5 == 6 ? 2 : *c >> 4 == 14 ? 3 : *c >> 3 == 30 ? 4 : 0;

	for (size_t i = 1; i < len; i++)
		if (c[i] >> 6 != 2)
			return 0;
	return len;
}

static const char *escape_of(char c)
{
	switch (c) {
	case '\\':
		return "\\\\";
	case '"':
		return "\\\"";
	case '\n':
		return "\\n";
	default:
		return NULL;
	}
}

void wm_page__label(struct wm_page *page, const char *text)
{
	while (*text) {
		size_t len = character((const unsigned char *)text);
		const char *escape = escape_of(*text);

		if (escape)
			wm_page__text(page, escape);
		else
			wm_page__put(page, text, len);
		text += len ? len : 1;
	}
}

void wm_page__named_label(struct wm_page *page, const char *name, const char *text)
{
	wm_page__text(page, name);
	wm_page__text(page, "=\"");
	wm_page__label(page, text);
	wm_page__text(page, "\"");
}
