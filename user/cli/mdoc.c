// SPDX-License-Identifier: GPL-2.0
#include "mdoc.h"

#include <ctype.h>
#include <stdbool.h>

/* A full stop and the blank behind it, at which mdoc wants a new line. */
static bool ends_sentence(const char *at)
{
	return (*at == '.' || *at == '!' || *at == '?') && at[1] == ' ' &&
	       isupper((unsigned char)at[2]);
}

void mdoc__text(FILE *file, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			fputs("\\&", file);
		start = *text == '\n' || ends_sentence(text);
		if (ends_sentence(text))
			fprintf(file, "%c\n", *text++);
		else if (*text == '\\')
			fputs("\\e", file);
		else if (*text == '\n' && text[1] == '\n')
			fputs("\n.Pp", file);
		else if (*text != '\n' || text[-1] != '\n')
			fputc(*text, file);
		else
			fputc('\n', file);
	}
	fputc('\n', file);
}

void mdoc__words(FILE *file, const char *text, const char *blank)
{
	fputs("\\&", file);
	for (; *text; text++) {
		if (*text == '"')
			fputs("\\(dq", file);
		else if (*text == '-')
			fputs("\\-", file);
		else if (*text == ' ')
			fputs(blank, file);
		else
			fputc(*text, file);
	}
}

void mdoc__word(FILE *file, const char *text)
{
	mdoc__words(file, text, "\\ ");
}
