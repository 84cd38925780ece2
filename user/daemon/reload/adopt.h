/* SPDX-License-Identifier: GPL-2.0 */
/* Reads what the data plane holds when the daemon starts, as a model. */
#ifndef WM_ADOPT_H
#define WM_ADOPT_H

#include <stdint.h>

#include "err.h"

struct wm_hops;
struct wm_running;

/* Sets running->model, also where it fails, and tells `hops` the next hops in use. Of a fresh
 * data plane it is empty. What contradicts itself is dropped, with a warning. mark_bits: what
 * the NIC carries. 0 or -errno. */
int wm_adopt__model(struct wm_running *running, uint32_t mark_bits, struct wm_hops *hops,
		    struct wm_err *err);

/* Tell `hops` the next hops of all live destinations. 0 or -ENOMEM. */
int wm_adopt__hops(const struct wm_running *running, struct wm_hops *hops);

#endif
