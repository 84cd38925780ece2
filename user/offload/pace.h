/* SPDX-License-Identifier: GPL-2.0 */
/* How fast: a token bucket, and a back-off that doubles. Time comes in by argument. */
#ifndef WM_PACE_H
#define WM_PACE_H

#include <stdint.h>

#define WM_SECOND_NS 1000000000ull

/*
 * `per_second` tokens a second, kept for a tenth of a second at most. Credit is
 * counted in billionths of a token, so that nothing is lost in rounding.
 */
struct wm_bucket {
	uint32_t per_second;
	uint64_t credit, at;
};

static inline uint64_t wm_bucket__burst(const struct wm_bucket *b)
{
	return b->per_second < 10 ? !!b->per_second : b->per_second / 10;
}

static inline void wm_bucket__fill(struct wm_bucket *b, uint64_t now)
{
	uint64_t passed = now > b->at ? now - b->at : 0;
	uint64_t most = wm_bucket__burst(b) * WM_SECOND_NS;

	if (passed > WM_SECOND_NS)
		passed = WM_SECOND_NS; /* full by then; and the product fits */
	b->credit += passed * b->per_second;
	if (b->credit > most)
		b->credit = most;
	if (now > b->at)
		b->at = now;
}

static inline uint64_t wm_bucket__tokens(const struct wm_bucket *b)
{
	return b->credit / WM_SECOND_NS;
}

static inline void wm_bucket__take(struct wm_bucket *b, uint64_t n)
{
	b->credit -= n * WM_SECOND_NS;
}

/* When `n` tokens (at most the burst) will be there, if none is taken. */
static inline uint64_t wm_bucket__when(const struct wm_bucket *b, uint64_t n)
{
	uint64_t want = n * WM_SECOND_NS;

	if (!b->per_second)
		return UINT64_MAX;
	return want <= b->credit ? b->at : b->at + (want - b->credit) / b->per_second + 1;
}

/* Zeroed: not backing off. */
struct wm_backoff {
	uint64_t step, until;
};

static inline void wm_backoff__grow(struct wm_backoff *b, uint64_t now)
{
	const uint64_t first = 10 * WM_SECOND_NS / 1000, most = 5 * WM_SECOND_NS;

	b->step = b->step ? 2 * b->step : first;
	if (b->step > most)
		b->step = most;
	b->until = now + b->step;
}

static inline void wm_backoff__reset(struct wm_backoff *b)
{
	b->step = 0;
	b->until = 0;
}

#endif
