/* SPDX-License-Identifier: GPL-2.0 */
/* One waymarkd an interface. */
#ifndef WM_LOCK_H
#define WM_LOCK_H

#include <stddef.h>

#include "err.h"

struct wm_lock {
	int *fd; /* one an interface */
	size_t n;
};

/*
 * Take the interfaces for this process, all or none. -EBUSY: one of them is
 * served by another waymarkd; err names its pid. They are free again when the
 * process ends, however it ends.
 */
int wm_lock__take(struct wm_lock *lock, char *const *interfaces, size_t n, struct wm_err *err);
void wm_lock__release(struct wm_lock *lock);

#endif
