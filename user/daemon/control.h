/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control socket's server side: connections, lines in, lines out. What is
 * said on it stands in waymark/ctl.h; what is answered, in request.c.
 */
#ifndef WM_CONTROL_H
#define WM_CONTROL_H

#include "err.h"

struct wm_daemon;
struct wm_control;

/*
 * Bind the socket, and its directory if that is missing. A socket that nobody
 * listens to is replaced; -EADDRINUSE: somebody does. Mode 0660: who may talk to
 * us is decided by the file's owner and group. Connections wait until
 * wm_control__serve().
 */
int wm_control__open(struct wm_control **control, const char *path, struct wm_err *err);
int wm_control__serve(struct wm_control *control, struct wm_daemon *daemon, struct wm_err *err);
/* A reload has ended: answer those who asked for it. */
void wm_control__reloaded(struct wm_control *control);
/* Removes the socket too, if it is still ours. */
void wm_control__close(struct wm_control *control);

#endif
