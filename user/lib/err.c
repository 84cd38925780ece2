// SPDX-License-Identifier: GPL-2.0
#include "err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int wm_err__set(struct wm_err *err, int code, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return code;
}

int wm_err__sys(struct wm_err *err, int code, const char *fmt, ...)
{
	va_list args;
	int len;

	if (!err)
		return code;
	va_start(args, fmt);
	len = vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	if (len >= 0 && (size_t)len < sizeof(err->text))
		snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(-code));
	return code;
}

/* --- for people's eyes --- */

/* How many bytes the character has that begins here, and its number; 0: none begins here. */
static size_t decode(const unsigned char *s, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 :
		   s[0] < 0xf8 ? 4 : 0;

	if (n < 2) {
		*c = s[0];
		return n;
	}
	*c = s[0] & (0xff >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80) /* the end, too */
			return 0;
		*c = *c << 6 | (s[i] & 0x3f);
	}
	return *c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c < 0xe000) ? 0 : n;
}

static bool is_harmless(uint32_t c)
{
	bool control = c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
	bool turns = c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
		     (c >= 0x2066 && c <= 0x2069);

	return !control && !turns;
}

size_t wm_err__plain(char *to, size_t size, const char *from)
{
	const unsigned char *s = (const unsigned char *)from;
	char piece[8];
	size_t used = 0, n, len;
	uint32_t c;

	for (; *s; s += n) {
		n = decode(s, &c);
		if (n && is_harmless(c)) {
			memcpy(piece, s, len = n);
		} else {
			n = 1;
			len = *s == '\n' ? snprintf(piece, sizeof(piece), "\n  ")
					: snprintf(piece, sizeof(piece), "\\x%02x", *s);
		}
		if (used + len >= size)
			break;
		memcpy(to + used, piece, len);
		used += len;
	}
	if (size)
		to[used] = '\0';
	return used;
}

char *wm_err__mask(char *text)
{
	uint32_t c;
	size_t n;

	for (char *at = text; at && *at; at += n ?: 1) {
		n = decode((const unsigned char *)at, &c);
		if (n > 1 && !is_harmless(c))
			memset(at, '?', n);
	}
	return text;
}
