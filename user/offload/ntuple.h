/* SPDX-License-Identifier: GPL-2.0 */
/* The inside of the backend `ntuple`, for its test and for the software NIC: it talks to
 * a driver through a struct wm_ethtool_io, and others may be that driver. */
#ifndef WM_NTUPLE_H
#define WM_NTUPLE_H

#include "ethtool.h"
#include "offload.h"

/* What open() does once the driver is there, which is given away. `name` is for people. */
int wm_ntuple__start(struct wm_offload **off, const struct wm_ethtool_io *io, const char *name,
		     struct wm_err *err);

/* The software NIC whose pins are in `dir`, as a driver that takes n-tuple rules. */
int wm_ntuple__software_nic(struct wm_ethtool_io *io, const char *dir, struct wm_err *err);

#endif
