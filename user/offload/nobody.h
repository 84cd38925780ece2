/* SPDX-License-Identifier: GPL-2.0 */
/* Flows that nobody has, to try rules with: their addresses are those for documentation
 * (RFC 5737, RFC 3849). */
#ifndef WM_NOBODY_H
#define WM_NOBODY_H

#include <stdbool.h>
#include <stdint.h>
#include <waymark/abi.h>

enum { WM_NOBODY_FLOWS = 1000000 };

/* Number n of them, below WM_NOBODY_FLOWS. */
void wm_nobody__flow(struct wm_flow *flow, uint32_t n, uint8_t family, uint8_t proto);
/* Is it one of them? */
bool wm_nobody__is(const struct wm_flow *flow);

#endif
