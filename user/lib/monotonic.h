/* SPDX-License-Identifier: GPL-2.0 */
/* The clock by which everything is timed. Tests put one of their own in its place. */
#ifndef WM_MONOTONIC_H
#define WM_MONOTONIC_H

#include <stdint.h>

uint64_t wm_now_ns(void); /* CLOCK_MONOTONIC */

#endif
