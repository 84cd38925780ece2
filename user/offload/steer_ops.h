/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What puts steering rules into a NIC. It knows nothing of the rules that mark, and those
 * nothing of it: which backend has which is in the backend's capabilities (offload.h).
 */
#ifndef WM_STEER_OPS_H
#define WM_STEER_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/types.h>

#include "err.h"

/* A steering rule: packets for a vip go to this receive queue, whoever sends them. It sets
 * no mark. */
struct wm_steer {
	__be32 dst[4];              /* as in struct wm_flow */
	__be16 dport;               /* 0: any */
	__be16 sport, sport_mask;   /* mask 0: any */
	uint16_t queue;
	uint8_t family, proto;
	uint8_t unused[2];
};

enum { WM_STEER_WORDS = 160 }; /* kept of a refusal's text */

struct wm_steerer; /* its own state */

struct wm_steer_ops {
	/* Nothing is asked of the NIC yet. */
	int (*open)(struct wm_steerer **steerer, const char *interface, struct wm_err *err);
	void (*close)(struct wm_steerer *steerer);
	/*
	 * The NIC's steering rules shall be these and no others; one that is there already is
	 * left alone, so this may be asked again and again. All of them or none: should the
	 * NIC refuse one, those that were added go again, and the old ones stay.
	 * `make_room`: old ones go first, and what can be added stays.
	 *
	 * result[i]: what the NIC says to each: 0, -ENOSPC, or why it refused; `words`
	 * (WM_STEER_WORDS bytes): the text of the first refusal, or "". Returns 0; -errno
	 * if nothing could be asked.
	 */
	int (*steer)(struct wm_steerer *steerer, const struct wm_steer *rules, size_t n,
		     bool make_room, int *result, char *words);
};

extern const struct wm_steer_ops wm_steer_flower; /* NICs that take TC flower filters */

#endif
