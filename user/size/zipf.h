/* SPDX-License-Identifier: GPL-2.0 */
/* Sums of r^-a over ranks r = 1, 2, ...: how popularity is spread. */
#ifndef WM_ZIPF_H
#define WM_ZIPF_H

#include <stdint.h>

enum { WM_ZIPF_EXACT = 4096 };

struct wm_zipf {
	double a;
	double head[WM_ZIPF_EXACT + 1]; /* sums up to each of the first ranks */
};

void wm_zipf__init(struct wm_zipf *z, double a);
/* Sum of r^-a for r = 1..n; relative error below 1e-7. */
double wm_zipf__sum(const struct wm_zipf *z, uint64_t n);

#endif
