// SPDX-License-Identifier: GPL-2.0
/*
 * The first ranks are added up. Behind them the sum is the integral from half a
 * rank before to half a rank behind (midpoint rule): its relative error is
 * a(a+1)/24/r^2 at rank r, which is below 1e-7 where it begins.
 */
#include "zipf.h"

#include <math.h>

void wm_zipf__init(struct wm_zipf *z, double a)
{
	z->a = a;
	z->head[0] = 0;
	for (int r = 1; r <= WM_ZIPF_EXACT; r++)
		z->head[r] = z->head[r - 1] + pow(r, -a);
}

/* From 1 to x; expm1() keeps its digits where a is near 1. */
static double integral(double a, double x)
{
	double power = (1 - a) * log(x);

	return fabs(power) < 1e-12 ? log(x) : expm1(power) / (1 - a);
}

double wm_zipf__sum(const struct wm_zipf *z, uint64_t n)
{
	if (n <= WM_ZIPF_EXACT)
		return z->head[n];
	return z->head[WM_ZIPF_EXACT] + integral(z->a, n + 0.5) -
	       integral(z->a, WM_ZIPF_EXACT + 0.5);
}
