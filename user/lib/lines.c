// SPDX-License-Identifier: GPL-2.0
/*
 * Bytes are appended at `used`, lines are taken from `start`, and a read
 * first moves what is left to the front. `scanned` remembers how far there is
 * no newline, so that a long line that comes in small pieces is looked at once.
 */
#include "lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plain.h"

enum { LINES_FIRST = 4096 };

void wm_lines__init(struct wm_lines *lines, size_t max)
{
	*lines = (struct wm_lines){ .max = max };
}

void wm_lines__free(struct wm_lines *lines)
{
	free(lines->data);
	wm_lines__init(lines, lines->max);
}

static void move_to_front(struct wm_lines *lines)
{
	if (!lines->start)
		return;
	memmove(lines->data, lines->data + lines->start, lines->used - lines->start);
	lines->used -= lines->start;
	lines->scanned -= lines->start;
	lines->start = 0;
}

static int make_room(struct wm_lines *lines)
{
	size_t size = lines->size ? 2 * lines->size : LINES_FIRST;
	char *data;

	if (lines->used < lines->size)
		return 0;
	if (size > lines->max)
		size = lines->max;
	data = realloc(lines->data, size);
	if (!data)
		return -ENOMEM;
	lines->data = data;
	lines->size = size;
	return 0;
}

static char *find_newline(struct wm_lines *lines)
{
	char *found = NULL;

	if (lines->used > lines->scanned)
		found = memchr(lines->data + lines->scanned, '\n', lines->used - lines->scanned);
	if (!found)
		lines->scanned = lines->used;
	return found;
}

ssize_t wm_lines__read(struct wm_lines *lines, int sock)
{
	ssize_t got;
	int ret;

	move_to_front(lines);
	if (lines->used >= lines->max)
		return -EMSGSIZE;
	ret = make_room(lines);
	if (ret)
		return ret;
	got = wm_plain__recv(sock, lines->data + lines->used, lines->size - lines->used);
	if (got < 0)
		return got;
	lines->used += got;
	if (lines->used >= lines->max && !find_newline(lines))
		return -EMSGSIZE;
	return got;
}

char *wm_lines__next(struct wm_lines *lines, size_t *len)
{
	char *newline = find_newline(lines), *line;

	if (!newline)
		return NULL;
	line = lines->data + lines->start;
	*newline = '\0';
	if (len)
		*len = newline - line;
	lines->start = lines->scanned = newline - lines->data + 1;
	return line;
}

bool wm_lines__partial(const struct wm_lines *lines)
{
	return lines->used > lines->start;
}
