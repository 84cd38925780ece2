/* SPDX-License-Identifier: GPL-2.0 */
/* A listening socket in the file system that this process owns. */
#ifndef WM_LISTEN_H
#define WM_LISTEN_H

#include <sys/stat.h>
#include <sys/un.h>

#include "err.h"

struct wm_listen {
	int fd;
	struct sockaddr_un name;
	dev_t dev; /* which file is ours */
	ino_t ino;
};

/*
 * Replaces a socket that nobody listens to any more; -EADDRINUSE if somebody
 * does. The file has these permissions from its first moment on, but for the
 * group (NULL: our own), which is set after the narrow ones and before the wide.
 */
int wm_listen__open(struct wm_listen *listen, const char *path, int type, mode_t mode,
		    const char *group, struct wm_err *err);
void wm_listen__close(struct wm_listen *listen);

#endif
