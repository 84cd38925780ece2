/* SPDX-License-Identifier: GPL-2.0 */
/* The local consumer: gives it its sockets, keeps them while it lives. */
#ifndef WM_LOCAL_H
#define WM_LOCAL_H

#include <jansson.h>

#include "err.h"

struct wm_daemon;
struct wm_local;

/* Listen where the configuration says; without a consumer in it *local is NULL.
 * Nobody is answered before the loop runs. The data plane must be there. */
int wm_local__open(struct wm_daemon *daemon, struct wm_local **local, struct wm_err *err);
/* A consumer that there is goes on with what it has. */
void wm_local__close(struct wm_local *local);

/* For `waymark xsk stats`; the shape stands in waymark/ctl.h. */
int wm_local__report(struct wm_local *local, json_t **data, struct wm_err *err);

#endif
