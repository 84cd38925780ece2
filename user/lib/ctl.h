/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control protocol's plumbing: bytes cut into lines (both sides), and the
 * client side of a conversation with waymarkd. What is said stands in
 * waymark/ctl.h.
 */
#ifndef WM_CTL_H
#define WM_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <waymark/ctl.h>

#include "err.h"

/* --- lines --- */

/* What came from one peer and was not taken yet. */
struct wm_lines {
	char *data;
	size_t start, used, size; /* data[start .. used) waits */
	size_t scanned;           /* no newline before here */
	size_t max;               /* longest line, its newline included */
};

void wm_lines__init(struct wm_lines *lines, size_t max);
void wm_lines__free(struct wm_lines *lines);

/*
 * Read once from `fd`. Take all lines before reading again. Returns the number
 * of bytes, 0 at the end of the stream, -EMSGSIZE as soon as a line is longer
 * than `max`, -ENOMEM, or what read() failed with (-EAGAIN, -ECONNRESET, ...).
 */
ssize_t wm_lines__read(struct wm_lines *lines, int fd);

/*
 * The next whole line, without its newline and with a NUL behind it (`len` may
 * be NULL; a peer may have sent NULs inside too). NULL: no whole line yet. It
 * stays valid until the next wm_lines__read().
 */
char *wm_lines__next(struct wm_lines *lines, size_t *len);

/* Bytes of an unfinished line wait. */
bool wm_lines__partial(const struct wm_lines *lines);

/* --- client --- */

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
 *   -EMSGSIZE   it is longer than WM_CTL_REPLY_MAX, or the request longer than
 *               WM_CTL_REQUEST_MAX
 * and any other errno. After an error other than -EREMOTEIO the connection is
 * of no use any more.
 */
int wm_client__call(struct wm_client *client, const json_t *request, json_t **data,
		    struct wm_err *err);

#endif
