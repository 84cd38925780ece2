/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of wm_steer_flower, for its test: it talks to the kernel through a struct
 * wm_nl, and a test may be that kernel. */
#ifndef WM_FLOWER_STEER_H
#define WM_FLOWER_STEER_H

#include "netlink.h"
#include "steer_ops.h"

/* What open() does once there is a socket, which is given away. The driver is not asked
 * whether hw-tc-offload is on. 0 or -ENOMEM. */
int wm_flower_steer__start(struct wm_steerer **steerer, struct wm_nl *nl, const char *interface);

#endif
