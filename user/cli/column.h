/* SPDX-License-Identifier: GPL-2.0 */
/* One value of an answer, shown as what its description (struct wm_field) says that it is. */
#ifndef WM_COLUMN_H
#define WM_COLUMN_H

#include <jansson.h>
#include <stdbool.h>

#include "protocol.h"

/* The value at `path` ("rule.state") in `object`; NULL: there is none. */
const json_t *json__at(const json_t *object, const char *path);
/* Neither missing nor null, false, 0 or empty. */
bool json__is_true(const json_t *value);

/*
 * A value for people, or with `raw` for scripts: numbers plain, marks as 0x...,
 * lists joined by commas. "-" for null and for what is missing. The caller
 * frees it; NULL: out of memory.
 */
char *column__text(enum wm_value type, const json_t *value, bool raw);
bool column__right(enum wm_value type);
const struct wm_field *column__find(const struct wm_field *fields, const char *key, size_t len);

#endif
