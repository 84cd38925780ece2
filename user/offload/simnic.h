/* SPDX-License-Identifier: GPL-2.0 */
/* The software NIC's table and its faults, as its pins give access to them. */
#ifndef WM_SIMNIC_H
#define WM_SIMNIC_H

#include <waymark/softnic_abi.h>

#include "err.h"

struct wm_simnic {
	int rules_fd; /* struct wm_flow -> struct wm_softnic_rule */
	volatile const struct wm_softnic_ctl *ctl;
	__u32 capacity;
};

int wm_simnic__open(struct wm_simnic *nic, const char *dir, struct wm_err *err);
/* Also after a failed open: nothing is done twice. */
void wm_simnic__close(struct wm_simnic *nic);

#endif
