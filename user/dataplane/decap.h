/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decapsulation on a real: puts bpf/decap.bpf.c on a device and takes it off.
 * Nothing is pinned: the attached program holds its counters, and is known
 * again by the name of their map.
 */
#ifndef WM_DECAP_H
#define WM_DECAP_H

#include <stdint.h>
#include <waymark/decap_abi.h>

#include "addr.h"
#include "err.h"

enum wm_decap_mode {
	WM_DECAP_AUTO, /* XDP; TC where that is refused */
	WM_DECAP_XDP,  /* native XDP */
	WM_DECAP_TC,   /* clsact ingress */
};

/*
 * Decapsulate on `dev`; a program of ours that is there already is replaced.
 * src4, src6: the balancers' outer sources, of which the upper 16 and 96 bits
 * count; NULL for waymarkd's defaults (172.16.0.0/16, 100::/96). `used` tells
 * the mode (may be NULL). A foreign XDP program is never replaced: -EBUSY, or TC
 * with WM_DECAP_AUTO.
 */
int wm_decap__attach(const char *dev, enum wm_decap_mode mode, const struct wm_addr *src4,
		     const struct wm_addr *src6, enum wm_decap_mode *used, struct wm_err *err);

/* Take it off. -ENOENT: none of ours is there. The clsact qdisc stays, others
 * may use it. */
int wm_decap__detach(const char *dev, struct wm_err *err);

/* Counters since it was attached, summed over the CPUs. -ENOENT: not attached. */
int wm_decap__stats(const char *dev, uint64_t out[WM_DECAP_COUNTERS_USED],
		    enum wm_decap_mode *mode, struct wm_err *err);

extern const char *const wm_decap_counter_names[WM_DECAP_COUNTERS_USED];
extern const char *const wm_decap_counter_texts[WM_DECAP_COUNTERS_USED];
const char *wm_decap_mode__name(enum wm_decap_mode mode); /* "auto", "xdp", "tc" */

#endif
