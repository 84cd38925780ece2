/* SPDX-License-Identifier: GPL-2.0 */
/* When the daemon looks. `waymark size` plays by the same times. */
#ifndef WM_TIMES_H
#define WM_TIMES_H

#define WM_TIMES_MS_NS 1000000ull

/* For events: often while they come and for a while after, seldom else, so that an
 * idle daemon costs next to nothing. */
#define WM_EVENTS_BUSY_NS (20 * WM_TIMES_MS_NS)
#define WM_EVENTS_IDLE_NS (100 * WM_TIMES_MS_NS)
#define WM_EVENTS_BUSY_FOR_NS (1000 * WM_TIMES_MS_NS)

/* At the rules: when they ask for it, within these bounds. A backend in a hurry does
 * not eat a CPU, and one that sleeps is still looked at. */
#define WM_RULES_TICK_MIN_NS (2 * WM_TIMES_MS_NS)
#define WM_RULES_TICK_MAX_NS (100 * WM_TIMES_MS_NS)

#endif
