// SPDX-License-Identifier: GPL-2.0
#include "words.h"

#include <stddef.h>
#include <string.h>

int wm_words__find(const char *const *words, const char *text)
{
	for (int i = 0; text && words[i]; i++)
		if (!strcmp(words[i], text))
			return i;
	return -1;
}
