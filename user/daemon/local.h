/* SPDX-License-Identifier: GPL-2.0 */
/* Local consumers: gives them their sockets, keeps them while they live. */
#ifndef WM_LOCAL_H
#define WM_LOCAL_H

#include <jansson.h>

#include "err.h"

struct wm_daemon;
struct wm_local;

/* Before the data plane gets the vips of the configuration: what it holds of other
 * consumers goes. -EOPNOTSUPP: more of them than this kernel can serve. */
int wm_local__prepare(struct wm_daemon *daemon, struct wm_err *err);
/* Listen where the configuration says; without a consumer in it *local is NULL.
 * Nobody is answered before the loop runs. The data plane must be there. */
int wm_local__open(struct wm_daemon *daemon, struct wm_local **local, struct wm_err *err);
/* A consumer that there is goes on with what it has. */
void wm_local__close(struct wm_local *local);

/* An interface that was gone is served again: consumers need other sockets for it. */
void wm_local__device_is_back(struct wm_daemon *daemon);

/* For `waymark xsk stats`; the shape stands in waymark/ctl.h. `name` may be NULL where there
 * is one. */
int wm_local__report(struct wm_local *local, const char *name, json_t **data, struct wm_err *err);

#endif
