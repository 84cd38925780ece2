/* SPDX-License-Identifier: GPL-2.0 */
/* What each request is answered; arguments and keys are those of its row in protocol.c. */
#ifndef WM_REPLIES_H
#define WM_REPLIES_H

#include <jansson.h>
#include <stdbool.h>

#include "daemon.h"

struct wm_reply {
	const char *request; /* its name; NULL ends an array */
	/* 0 and a new reference in *data, or -errno with a text in err. The arguments that the
	 * request has are those of the row and of its types. NULL: see request.c. */
	int (*make)(struct wm_daemon *daemon, const json_t *request, json_t **data,
		    struct wm_err *err);
	/* The number of a change by hand whose end is the reply; or 0, *ret and err. */
	uint64_t (*begin)(struct wm_daemon *daemon, const json_t *request, int *ret,
			  struct wm_err *err);
	bool tells_flows; /* how many there are: they are counted first */
};

extern const struct wm_reply wm_replies_status[], wm_replies_model[], wm_replies_flow[];

#define WM_REPLY(name) \
	static int name(struct wm_daemon *daemon, const json_t *request, json_t **data, \
			struct wm_err *err)

#endif
