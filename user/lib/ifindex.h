/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers and names of interfaces. As if_nametoindex() and if_indextoname(), which do not
 * tell an interface that is not there from a process that has no descriptor left to ask. */
#ifndef WM_IFINDEX_H
#define WM_IFINDEX_H

#include <net/if.h>

/* The number; -ENODEV: there is no such interface; another -errno: it cannot be known. */
int wm_ifindex__of(const char *name);
/* 0 and the name, or the same errors. */
int wm_ifindex__name(int ifindex, char name[IF_NAMESIZE]);

#endif
