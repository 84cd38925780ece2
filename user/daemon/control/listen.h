/* SPDX-License-Identifier: GPL-2.0 */
/* A listening socket in the file system that this process owns. */
#ifndef WM_LISTEN_H
#define WM_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "err.h"

struct wm_listen_options {
	const char *what;   /* for people: "control socket" */
	const char *in_use; /* what to say besides where somebody listens there; NULL: nothing */
	int type;
	mode_t mode;        /* permissions of the file */
	const char *group;  /* NULL: our own */
	bool no_rights;     /* descriptors are not for us: the kernel refuses them */
};

struct wm_listen {
	int fd;
	struct sockaddr_un name;
	dev_t dev; /* which file is ours */
	ino_t ino;
};

/*
 * Replaces a socket that nobody listens to any more; -EADDRINUSE if somebody
 * does. The file has these permissions from its first moment on, but for the
 * group, which is set after the narrow ones and before the wide.
 */
int wm_listen__open(struct wm_listen *listen, const char *path,
		    const struct wm_listen_options *options, struct wm_err *err);
/* The file goes, if it is still ours. Whoever has closed `fd` sets it to -1. */
void wm_listen__close(struct wm_listen *listen);

#endif
