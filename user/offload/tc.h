/* SPDX-License-Identifier: GPL-2.0 */
/* A device that takes TC flower filters: found by its name, and made ready for them. */
#ifndef WM_TC_H
#define WM_TC_H

#include <net/if.h>
#include <stdbool.h>

#include "netlink.h"

struct wm_tc {
	struct wm_nl *nl;
	char interface[IF_NAMESIZE];
	int ifindex; /* 0: not known */
	bool made;   /* its qdisc is of our making */
};

/* Has its driver hw-tc-offload, and is it on? 0, or -errno and what to try. */
int wm_tc__check_feature(const char *interface, struct wm_err *err);
/* The device's number as it is now; 0 or -ENODEV. tc->ifindex stays. */
int wm_tc__look_up(struct wm_tc *tc, int *ifindex);
/* The device and its qdisc, which is made if there is none, as they are now. *other: it is
 * not the device of last time; that is set also where making the qdisc failed. */
int wm_tc__refresh(struct wm_tc *tc, bool *other, struct wm_err *err);
/* Take the qdisc away again, if it is of our making and nobody has a filter on it. 0 or -errno. */
int wm_tc__drop_qdisc(struct wm_tc *tc);
/* Does the kernel take flower filters for it? 0, or -errno and why not. */
int wm_tc__probe(struct wm_tc *tc, struct wm_err *err);

#endif
