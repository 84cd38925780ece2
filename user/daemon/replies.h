/* SPDX-License-Identifier: GPL-2.0 */
/* What each command answers; the keys stand in waymark/ctl.h. */
#ifndef WM_REPLIES_H
#define WM_REPLIES_H

#include <jansson.h>

#include "daemon.h"

/* All: 0 and a new reference in *data, or -errno with a text in err. */
#define WM_REPLY(name) \
	int wm_reply__##name(struct wm_daemon *daemon, const json_t *request, json_t **data, \
			     struct wm_err *err)

/* replies_status.c */
WM_REPLY(status);
WM_REPLY(stats);
WM_REPLY(xsk);
/* replies_model.c */
WM_REPLY(vip);
WM_REPLY(real);
WM_REPLY(dest);
WM_REPLY(ring);
WM_REPLY(mark);
/* replies_flow.c */
WM_REPLY(flow);
WM_REPLY(flows);
WM_REPLY(where);

#endif
