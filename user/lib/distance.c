// SPDX-License-Identifier: GPL-2.0
#include "distance.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Three rows suffice: a swap looks two rows back. */
unsigned int wm_distance(const char *a, const char *b)
{
	unsigned int row[3][WM_DISTANCE_MAX + 1];
	size_t m = strlen(a), n = strlen(b);

	if (m > WM_DISTANCE_MAX || n > WM_DISTANCE_MAX)
		return WM_DISTANCE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		unsigned int *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= n; j++) {
			bool same = a[i - 1] == b[j - 1];

			now[j] = least(up[j - 1] + !same, least(up[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], up2[j - 2] + 1);
		}
	}
	return row[m % 3][n];
}
