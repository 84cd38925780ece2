/* SPDX-License-Identifier: GPL-2.0 */
/* What the data plane holds when we come to it, as a model. */
#ifndef WM_ADOPT_H
#define WM_ADOPT_H

#include "err.h"

struct wm_daemon;

/* Sets daemon->model, and tells daemon->hops the next hops in use. Of a fresh data
 * plane it is empty. What contradicts itself is dropped, with a warning. */
int wm_adopt__model(struct wm_daemon *daemon, struct wm_err *err);

/* Tell daemon->hops the next hops of all live destinations. 0 or -ENOMEM. */
int wm_adopt__hops(struct wm_daemon *daemon);

#endif
