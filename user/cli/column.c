// SPDX-License-Identifier: GPL-2.0
#include "column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"

const json_t *json__at(const json_t *object, const char *path)
{
	const char *dot = strchr(path, '.');
	char key[64];

	if (!dot)
		return json_object_get(object, path);
	snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
	return json__at(json_object_get(object, key), dot + 1);
}

bool json__is_true(const json_t *value)
{
	if (json_is_number(value))
		return json_number_value(value) != 0;
	if (json_is_string(value))
		return *json_string_value(value);
	return json_is_true(value) || json_is_object(value) || json_array_size(value);
}

static char *format_count(json_int_t value)
{
	char digits[24], text[32], *to = text;
	const char *from = digits;
	size_t left;

	snprintf(digits, sizeof(digits), "%" JSON_INTEGER_FORMAT, value);
	if (*from == '-')
		*to++ = *from++;
	for (left = strlen(from); left; left--) {
		*to++ = *from++;
		if (left > 1 && left % 3 == 1)
			*to++ = ',';
	}
	*to = '\0';
	return strdup(text);
}

static char *format_bytes(double value)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t unit = 0;
	char text[32];

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1024;
		unit++;
	}
	snprintf(text, sizeof(text), "%.*f %s", unit ? 1 : 0, value, units[unit]);
	return strdup(text);
}

/* The two largest units: nobody reads the minutes of a fortnight. */
static char *format_duration(double seconds)
{
	unsigned long long s = seconds < 0 ? 0 : seconds;
	char text[48];

	if (seconds < 10)
		snprintf(text, sizeof(text), "%.1f s", seconds);
	else if (s < 60)
		snprintf(text, sizeof(text), "%llu s", s);
	else if (s < 3600)
		snprintf(text, sizeof(text), "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, sizeof(text), "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(text, sizeof(text), "%llu d %llu h", s / 86400, s / 3600 % 24);
	return strdup(text);
}

static char *format_rate(double value)
{
	char text[32];

	if (value >= 100)
		return format_count(value + 0.5);
	snprintf(text, sizeof(text), value ? "%.3g" : "0", value);
	return strdup(text);
}

static char *format_plain(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", value);
	return strdup(text);
}

static char *format_integer(json_int_t value, const char *format)
{
	char text[32];

	snprintf(text, sizeof(text), format, value);
	return strdup(text);
}

static char *format_raw(enum wm_value type, const json_t *value)
{
	if (type == WM_VALUE_MARK && json_is_integer(value))
		return format_integer(json_integer_value(value), "0x%llx");
	if (json_is_integer(value))
		return format_integer(json_integer_value(value), "%" JSON_INTEGER_FORMAT);
	return format_plain(json_real_value(value));
}

static char *format_number(enum wm_value type, const json_t *value)
{
	double number = json_number_value(value);
	char text[32];

	switch (type) {
	case WM_VALUE_COUNT:
		return json_is_integer(value) ? format_count(json_integer_value(value)) :
						format_rate(number);
	case WM_VALUE_BYTES:
		return format_bytes(number);
	case WM_VALUE_SHARE:
		snprintf(text, sizeof(text), "%.1f %%", 100 * number);
		return strdup(text);
	case WM_VALUE_SECONDS:
		return format_duration(number);
	case WM_VALUE_PORT:
		if (!number)
			return strdup("*");
		break;
	case WM_VALUE_RATE:
		return format_rate(number);
	default:
		break;
	}
	return format_raw(type, value);
}

static char *join_list(enum wm_value type, const json_t *list, bool raw)
{
	char *all = NULL, *item;
	const char *separator;
	const json_t *value;
	size_t i, len = 0;

	json_array_foreach(list, i, value) {
		char *longer = NULL;

		separator = !i ? "" : raw ? "," : type == WM_VALUE_LINES ? "\n" : ", ";
		item = column__text(type, value, raw);
		if (item && asprintf(&longer, "%s%s%s", len ? all : "", separator, item) < 0)
			longer = NULL;
		free(item);
		free(all);
		all = longer;
		if (!all)
			return NULL;
		len = strlen(all);
	}
	return all ?: strdup("-");
}

char *column__text(enum wm_value type, const json_t *value, bool raw)
{
	const char *text = "-";

	if (json_is_array(value))
		return join_list(type, value, raw);
	if (json_is_number(value))
		return raw ? format_raw(type, value) : format_number(type, value);
	if (json_is_string(value))
		text = json_string_value(value);
	else if (json_is_boolean(value))
		text = json_is_true(value) ? "yes" : "no";
	return wm_err__mask(strdup(*text ? text : "-"));
}

bool column__right(enum wm_value type)
{
	return type != WM_VALUE_TEXT && type != WM_VALUE_TEXTS && type != WM_VALUE_LINES &&
	       type != WM_VALUE_FLAG;
}

const struct wm_field *column__find(const struct wm_field *fields, const char *key, size_t len)
{
	for (; fields && fields->key; fields++)
		if (strlen(fields->key) == len && !memcmp(fields->key, key, len))
			return fields;
	return NULL;
}
