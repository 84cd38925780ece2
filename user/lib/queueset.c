// SPDX-License-Identifier: GPL-2.0
#include "queueset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool wm_queueset__has(const struct wm_queueset *set, uint32_t id)
{
	return id < WM_QUEUES_MAX && set->bit[id / 64] >> id % 64 & 1;
}

void wm_queueset__add(struct wm_queueset *set, uint32_t id)
{
	if (id < WM_QUEUES_MAX)
		set->bit[id / 64] |= 1ull << id % 64;
}

size_t wm_queueset__count(const struct wm_queueset *set)
{
	size_t n = 0;

	for (size_t i = 0; i < WM_QUEUES_MAX / 64; i++)
		n += __builtin_popcountll(set->bit[i]);
	return n;
}

uint32_t wm_queueset__next(const struct wm_queueset *set, uint32_t from)
{
	while (from < WM_QUEUES_MAX && !wm_queueset__has(set, from))
		from++;
	return from;
}

/* --- text --- */

/* A number below WM_QUEUES_MAX; moves behind it. */
static bool take_number(const char **text, uint32_t *id)
{
	const char *p = *text;

	for (*id = 0; *p >= '0' && *p <= '9' && *id < WM_QUEUES_MAX; p++)
		*id = *id * 10 + (*p - '0');
	if (p == *text || *id >= WM_QUEUES_MAX)
		return false;
	*text = p;
	return true;
}

static int take_range(struct wm_queueset *set, const char **text)
{
	uint32_t first, last;

	if (!take_number(text, &first))
		return -EINVAL;
	last = first;
	if (**text == '-') {
		(*text)++;
		if (!take_number(text, &last) || last < first)
			return -EINVAL;
	}
	for (; first <= last; first++) {
		if (wm_queueset__has(set, first))
			return -EEXIST;
		wm_queueset__add(set, first);
	}
	return 0;
}

int wm_queueset__parse(struct wm_queueset *set, const char *text)
{
	int ret = take_range(set, &text);

	while (!ret && *text == ',') {
		text++;
		ret = take_range(set, &text);
	}
	return ret ? ret : *text ? -EINVAL : 0;
}

char *wm_queueset__format(const struct wm_queueset *set, const char *separator, char *buf,
			  size_t size)
{
	uint32_t last;
	size_t used = 0;

	*buf = '\0';
	for (uint32_t id = wm_queueset__next(set, 0); id < WM_QUEUES_MAX && used < size;
	     id = wm_queueset__next(set, last + 1)) {
		for (last = id; wm_queueset__has(set, last + 1);)
			last++;
		used += snprintf(buf + used, size - used, "%s%u", used ? separator : "", id);
		if (last > id && used < size)
			used += snprintf(buf + used, size - used, "-%u", last);
	}
	return buf;
}
