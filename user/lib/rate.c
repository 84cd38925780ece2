// SPDX-License-Identifier: GPL-2.0
#include "rate.h"

bool wm_rate__take(struct wm_rate *rate, uint64_t now_ns, uint64_t *left_out)
{
	uint64_t full = rate->full_ns > now_ns ? rate->full_ns : now_ns;

	if (full - now_ns > (rate->burst - 1) * rate->period_ns) {
		rate->left_out++;
		return false;
	}
	rate->full_ns = full + rate->period_ns;
	*left_out = rate->left_out;
	rate->left_out = 0;
	return true;
}
