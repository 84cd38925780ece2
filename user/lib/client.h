/* SPDX-License-Identifier: GPL-2.0 */
/* The client's side of a conversation with waymarkd. What is said: waymark-protocol(7). */
#ifndef WM_CLIENT_H
#define WM_CLIENT_H

#include <jansson.h>

#include "err.h"

struct wm_client;

/*
 * Connect to the daemon at `path`; `timeout_ms` bounds the connecting and each
 * call. -ENOENT or -ECONNREFUSED: nobody is there; -ETIMEDOUT; -ENAMETOOLONG;
 * any other errno of connect().
 */
int wm_client__open(struct wm_client **client, const char *path, int timeout_ms,
		    struct wm_err *err);
void wm_client__close(struct wm_client *client);

/*
 * Send `request` and wait for its reply. Returns 0 and a new reference in
 * *data, or
 *   -EREMOTEIO  the daemon replied with an error, its text is in err
 *   -EPIPE      it closed the connection without a reply
 *   -ETIMEDOUT  no reply in time
 *   -EBADMSG    what came is no reply
 *   -EMSGSIZE   it is longer than WM_REPLY_MAX, or the request longer than
 *               WM_REQUEST_MAX
 * and any other errno. After an error other than -EREMOTEIO the connection is
 * of no use any more.
 */
int wm_client__call(struct wm_client *client, const json_t *request, json_t **data,
		    struct wm_err *err);

#endif
