/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The program of `waymark xsk` (bpf/xsk.bpf.c) on a device, as long as this
 * process lives: it is attached by a link, which goes with it.
 */
#ifndef WM_XSKPROG_H
#define WM_XSKPROG_H

#include <stdint.h>
#include <waymark/xsk_abi.h>

#include "err.h"
#include "xdpmode.h"

struct wm_xskprog;


/* Load it; no packet meets it yet. */
int wm_xskprog__load(struct wm_xskprog **prog, const struct wm_xsk_filter *filter,
		     struct wm_err *err);
/* Where sockets are entered. Not to be closed. */
int wm_xskprog__map(const struct wm_xskprog *prog);
/* -EBUSY: the device has an XDP program. -EOPNOTSUPP: its driver has no XDP, and
 * generic mode was ruled out. */
int wm_xskprog__attach(struct wm_xskprog *prog, const char *device, enum wm_xdp_mode mode,
		       struct wm_err *err);
const char *wm_xskprog__mode(const struct wm_xskprog *prog); /* "native" or "generic" */
/* Summed over the CPUs. */
int wm_xskprog__counts(const struct wm_xskprog *prog, struct wm_xsk_counts *counts);
/* Off the device again; what was handed to sockets is there to be read. */
void wm_xskprog__detach(struct wm_xskprog *prog);
void wm_xskprog__close(struct wm_xskprog *prog);

extern const char *const wm_xsk_counter_names[WM_XSK_COUNTERS_USED];
extern const char *const wm_xsk_counter_texts[WM_XSK_COUNTERS_USED];

#endif
