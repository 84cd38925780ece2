// SPDX-License-Identifier: GPL-2.0
#include "monotonic.h"

#include <time.h>

uint64_t wm_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}
