/* SPDX-License-Identifier: GPL-2.0 */
/* Steering rules as flower filters: those of a device made what they shall be. */
#ifndef WM_FLOWER_STEER_H
#define WM_FLOWER_STEER_H

#include "netlink.h"
#include "offload.h"

/* As the hook `steer` in offload.h, on a device that has its qdisc. */
int wm_flower__steer(struct wm_nl *nl, int ifindex, const struct wm_steer *rules, size_t n,
		     bool make_room, int *result, char *words);

/* On this interface, which may have no qdisc, there shall be none. 0 or -errno. */
int wm_flower__steer_none(const char *interface);

#endif
