/* SPDX-License-Identifier: GPL-2.0 */
/* Answers from a configuration file alone: no daemon, no root, nothing changed. */
#ifndef WM_OFFLINE_H
#define WM_OFFLINE_H

#include <jansson.h>

#include "command.h"
#include "err.h"

struct offline;

/* `in` is asked how to say warnings. */
int offline__open(struct offline **offline, const char *path, const struct invocation *in,
		  struct wm_err *err);
void offline__close(struct offline *offline);
int offline__call(struct offline *offline, const json_t *request, json_t **data,
		  struct wm_err *err);

#endif
