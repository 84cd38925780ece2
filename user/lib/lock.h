/* SPDX-License-Identifier: GPL-2.0 */
/* Locks what only one waymarkd at a time may have: an interface, a directory of pins. */
#ifndef WM_LOCK_H
#define WM_LOCK_H

#include <stddef.h>

#include "err.h"

struct wm_lock_held;

/* {} holds nothing. */
struct wm_lock {
	struct wm_lock_held *held;
	size_t n;
};

/*
 * Take an interface, which is there, for this process. -EBUSY: it is served by another
 * waymarkd; err names its pid. What is held stays so if this fails. All are free again when
 * the process ends, however it ends.
 */
int wm_lock__interface(struct wm_lock *lock, const char *interface, struct wm_err *err);
/* Something else. `key` names it among all processes (a file name of less than 64 bytes,
 * other than "if-..."), `what` in messages: "WHAT is already served by ...". */
int wm_lock__add(struct wm_lock *lock, const char *key, const char *what, struct wm_err *err);
/* An interface that is gone: another one gets its index some day. */
void wm_lock__leave(struct wm_lock *lock, unsigned int ifindex);
void wm_lock__release(struct wm_lock *lock);

#endif
