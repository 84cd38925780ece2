/* SPDX-License-Identifier: GPL-2.0 */
/* How often something that others bring about may be told: some at once, then one a
 * period; what was left out is counted. */
#ifndef WM_RATE_H
#define WM_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct wm_rate {
	uint32_t burst;     /* at once */
	uint64_t period_ns; /* for one more */
	uint64_t full_ns;   /* when all of the burst is there again */
	uint64_t left_out;  /* since the last one that was told */
};

/* May this one be told, at `now_ns`? If so, *left_out were not since the last. */
bool wm_rate__take(struct wm_rate *rate, uint64_t now_ns, uint64_t *left_out);

#endif
