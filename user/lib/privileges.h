/* SPDX-License-Identifier: GPL-2.0 */
/* What a process gives up that reads strangers' bytes. */
#ifndef WM_PRIVILEGES_H
#define WM_PRIVILEGES_H

#include "err.h"

enum { WM_NOBODY = 65534 }; /* the kernel's own number for nobody */

/*
 * If we are root become the first of these users (names, NULL at the end; the list may be NULL)
 * that the machine has, and nobody if it has none. In any case have no capabilities, also none
 * of those that a service manager hands down (ambient ones), and get none by any program that
 * is run from now on. 0; or -errno, and then some of it may be done: the caller ends.
 */
int wm_privileges__drop(const char *const *users, struct wm_err *err);

/* Besides: run no other process, leave no image of the memory, see no file but those that are
 * open. The last one as far as the kernel can (Landlock). 0 or -errno. */
int wm_privileges__confine(struct wm_err *err);

#endif
