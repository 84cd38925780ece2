/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers by chance that are the same in every run: splitmix64 (Steele, Lea and
 * Flood, "Fast splittable pseudorandom number generators", 2014) and the few
 * distributions that traffic needs.
 */
#ifndef WM_RANDOM_H
#define WM_RANDOM_H

#include <math.h>
#include <stdint.h>

struct wm_random {
	uint64_t state;
};

static inline uint64_t wm_random__next(struct wm_random *r)
{
	uint64_t x = r->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* In (0, 1]: a logarithm may be taken of it. */
static inline double wm_random__unit(struct wm_random *r)
{
	return ((wm_random__next(r) >> 11) + 1) * 0x1p-53;
}

/* In [0, n). */
static inline uint32_t wm_random__below(struct wm_random *r, uint32_t n)
{
	return (wm_random__next(r) >> 32) * n >> 32;
}

static inline double wm_random__exponential(struct wm_random *r, double mean)
{
	return -log(wm_random__unit(r)) * mean;
}

/* Above a mean of 64 by the normal distribution of the same mean and variance. */
uint64_t wm_random__poisson(struct wm_random *r, double mean);

#endif
