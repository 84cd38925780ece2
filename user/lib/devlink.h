/* SPDX-License-Identifier: GPL-2.0 */
/*
 * devlink resources: tables of a device that its driver tells the size of, by names of
 * its own.
 */
#ifndef WM_DEVLINK_H
#define WM_DEVLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "genl.h"

struct wm_devlink_resource {
	uint64_t size; /* entries */
	uint64_t used; /* of these, if has_used */
	bool has_used;
};

/* A resource of the device that this interface is a port of. -ENOENT: the kernel knows
 * of none (also where the device is another network namespace's). Needs no privilege. */
int wm_devlink__resource(const char *interface, const char *resource,
			 struct wm_devlink_resource *out);
/* The same over a connection to the family devlink. */
int wm_devlink__ask(struct wm_genl *devlink, int ifindex, const char *interface,
		    const char *resource, struct wm_devlink_resource *out);

#endif
