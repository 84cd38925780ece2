/* SPDX-License-Identifier: GPL-2.0 */
/* The seed of a random test: another one each time, printed, and given again by
 * WAYMARK_SEED=N to see a failure once more. */
#ifndef SELFTEST_SEED_H
#define SELFTEST_SEED_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline unsigned int test_seed(void)
{
	const char *given = getenv("WAYMARK_SEED");
	unsigned int seed = given ? strtoul(given, NULL, 10) : 0;
	struct timespec now;

	if (!given) {
		clock_gettime(CLOCK_REALTIME, &now);
		seed = now.tv_sec ^ now.tv_nsec;
	}
	fprintf(stderr, "WAYMARK_SEED=%u\n", seed);
	return seed;
}

#endif
