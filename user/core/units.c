// SPDX-License-Identifier: GPL-2.0
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit count_units[] = {
	{ "", 1 }, { "k", 1000 }, { "M", 1000000 }, { "G", 1000000000 }, {},
};

/* The largest first, so that format() finds the largest that fits. */
static const struct unit time_units[] = {
	{ "h", 3600000000000 }, { "m", 60000000000 }, { "s", 1000000000 }, { "ms", 1000000 }, {},
};

static int parse(const char *text, const struct unit *units, uint64_t *out)
{
	uint64_t n = 0;
	const char *p;

	for (p = text; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p - '0', &n))
			return -ERANGE;
	if (p == text)
		return -EINVAL;
	for (; units->name; units++)
		if (!strcmp(p, units->name))
			return __builtin_mul_overflow(n, units->factor, out) ? -ERANGE : 0;
	return -EINVAL;
}

int wm_count__parse(const char *text, uint64_t *count)
{
	return parse(text, count_units, count);
}

int wm_duration__parse(const char *text, uint64_t *ns)
{
	return parse(text, time_units, ns);
}

char *wm_duration__format(uint64_t ns, char *buf)
{
	const struct unit *u = time_units;

	while (u[1].name && (!ns || ns % u->factor))
		u++;
	snprintf(buf, WM_UNITS_TEXT, "%" PRIu64 "%s", ns / u->factor, u->name);
	return buf;
}
