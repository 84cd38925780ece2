// SPDX-License-Identifier: GPL-2.0
#include "random.h"

#define POISSON_EXACT 64 /* beyond that nobody sees the difference, and it is slow */

static double normal(struct wm_random *r)
{
	double radius = sqrt(-2 * log(wm_random__unit(r)));

	return radius * cos(2 * M_PI * wm_random__unit(r));
}

/* Exponential gaps until the time is over. */
static uint64_t by_gaps(struct wm_random *r, double mean)
{
	double at = wm_random__exponential(r, 1);
	uint64_t n = 0;

	for (; at < mean; n++)
		at += wm_random__exponential(r, 1);
	return n;
}

uint64_t wm_random__poisson(struct wm_random *r, double mean)
{
	double n;

	if (mean <= POISSON_EXACT)
		return by_gaps(r, mean);
	n = floor(mean + sqrt(mean) * normal(r) + 0.5);
	return n < 0 ? 0 : n;
}
