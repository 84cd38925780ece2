/* SPDX-License-Identifier: GPL-2.0 */
/* The BPF objects, carried inside the binary: what was built together runs
 * together, and there is no path to look for. */
#ifndef WM_OBJECTS_H
#define WM_OBJECTS_H

#include <stddef.h>

struct wm_object {
	const void *data; /* an ELF file, 16-byte aligned */
	size_t len;
};

extern const struct wm_object wm_object_waymark, wm_object_softnic, wm_object_decap, wm_object_xsk;

#endif
