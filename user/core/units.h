/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers with units as people write them. Counts: k, M and G are 1000, 1000^2
 * and 1000^3 (flows and packets are counted, not addressed). Times: ms, s, m, h;
 * a time without a unit is refused.
 */
#ifndef WM_UNITS_H
#define WM_UNITS_H

#include <stdint.h>

enum { WM_UNITS_TEXT = 24 }; /* a formatted number, with its NUL */

/* 0; -EINVAL: no such number; -ERANGE: beyond 64 bits. */
int wm_count__parse(const char *text, uint64_t *count);
int wm_duration__parse(const char *text, uint64_t *ns);

/* In the largest unit that is exact; below a millisecond the rest is cut off.
 * Returns `buf`, which holds WM_UNITS_TEXT bytes. */
char *wm_duration__format(uint64_t ns, char *buf);

#endif
