/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who yields in a full table. The rules in use are weighed by their packets of one reading:
 * wm_weights__add() for each, then wm_weights__share_out(), then each is asked about once
 * more, and those for which wm_weights__take() says yes yield.
 */
#ifndef WM_WEIGHTS_H
#define WM_WEIGHTS_H

#include <stdbool.h>
#include <stdint.h>

enum { WM_WEIGHTS_CLASSES = 32 }; /* by powers of 2 */

/* Zeroed: nothing was weighed. */
struct wm_weights {
	uint32_t rules[WM_WEIGHTS_CLASSES]; /* by class; then: how many of them yield */
	uint64_t n, packets;
};

/* `packets` is not 0. */
void wm_weights__add(struct wm_weights *weights, uint32_t packets);
void wm_weights__share_out(struct wm_weights *weights);
bool wm_weights__take(struct wm_weights *weights, uint32_t packets);

#endif
