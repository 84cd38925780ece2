/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control socket's server side: connections, lines in, lines out. What is
 * said on it stands in protocol.c; what is answered, in request.c.
 */
#ifndef WM_CONTROL_H
#define WM_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "err.h"

struct wm_daemon;
struct wm_control;

struct wm_answer {
	char *line;      /* with its newline, to be freed by the caller; NULL: no memory, or
			  * later */
	size_t len;
	bool bad;        /* it was no request, and the connection is to be closed */
	uint64_t reload; /* not 0: the reply comes when the reload of this number has ended */
	uint64_t count;  /* not 0: ask again when the count of flows of this number has */
	uint64_t change; /* not 0: the reply comes when the change by hand of this number has */
};

/* Who answers. A line that is returned has its newline and is the caller's to free; NULL: no
 * memory. */
struct wm_control_ops {
	/* again: the count that the answer waits for is there, or failed. */
	void (*answer)(struct wm_daemon *daemon, const char *line, size_t len, bool again,
		       struct wm_answer *answer);
	/* To those who asked for the reload that has just ended. */
	char *(*reloaded)(struct wm_daemon *daemon, size_t *len);
	/* To whom the change by hand that has just ended is due. */
	char *(*changed)(struct wm_daemon *daemon, size_t *len);
	char *(*refuse)(const char *why, int code, size_t *len);
};

/*
 * Bind the socket, and its directory if that is missing. A socket that nobody
 * listens to is replaced; -EADDRINUSE: somebody does. Mode 0660: who may talk to
 * us is decided by the file's owner and group. Connections wait until
 * wm_control__serve().
 */
int wm_control__open(struct wm_control **control, const char *path,
		     const struct wm_control_ops *ops, struct wm_err *err);
/* daemon: for `ops`; nothing else is done with it. 0 or -errno. */
int wm_control__serve(struct wm_control *control, sd_event *event, struct wm_daemon *daemon,
		      struct wm_err *err);
/* The reload of this number has ended: answer those who asked for it. */
void wm_control__reloaded(struct wm_control *control, uint64_t number);
/* The change by hand of this number has ended: answer who asked for it. */
void wm_control__changed(struct wm_control *control, uint64_t number);
/* The flows have been counted so many times: answer those who wait for that. */
void wm_control__counted(struct wm_control *control, uint64_t number);
/* Removes the socket too, if it is still ours. */
void wm_control__close(struct wm_control *control);

#endif
