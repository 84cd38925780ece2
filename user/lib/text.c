// SPDX-License-Identifier: GPL-2.0
#include "text.h"

#include <stdbool.h>
#include <stdio.h>

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

char *wm_text__show(char *to, size_t size, const char *from, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < len && from[i]; i++) {
		unsigned char c = from[i];
		size_t need = is_plain(c) ? 1 : 4;

		if (used + need >= size)
			break;
		if (is_plain(c))
			to[used] = c;
		else
			snprintf(to + used, size - used, "\\x%02x", c);
		used += need;
	}
	if (size)
		to[used] = '\0';
	return to;
}
