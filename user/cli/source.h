/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where answers come from: a running daemon, or a configuration file alone
 * (commands `vip`, `ring` and `where` only). The same requests, the same shapes.
 */
#ifndef WM_SOURCE_H
#define WM_SOURCE_H

#include "command.h"

struct source;

/* With --config FILE that file, else the daemon. Errors as wm_client__open(), or
 * wm_config__load(). */
int source__open(struct source **source, const struct invocation *in, struct wm_err *err);
void source__close(struct source *source);

/* As wm_client__call(). */
int source__call(struct source *source, const json_t *request, json_t **data, struct wm_err *err);

/* The request of the invocation's command with its arguments and options. A vip
 * given by address and port is looked up: the request has its name. */
int source__request(struct source *source, const struct invocation *in, json_t **request,
		    struct wm_err *err);

#endif
