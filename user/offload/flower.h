/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of the backend `flower`, for its test: it talks to the kernel through a
 * struct wm_nl, and a test may be that kernel. */
#ifndef WM_FLOWER_H
#define WM_FLOWER_H

#include "netlink.h"
#include "offload.h"

/* What open() does once there is a socket, which is given away, and hw-tc-offload is on. */
int wm_flower__start(struct wm_offload **off, struct wm_nl *nl, const char *interface,
		     struct wm_err *err);

#endif
