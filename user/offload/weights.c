// SPDX-License-Identifier: GPL-2.0
#include "weights.h"

enum {
	LIGHT_PART = 16, /* of the rules so much yields from reading to reading */
	LIGHT_MEAN = 4,  /* of those that have less than such a part of the mean, */
	LIGHT_ANY = 256, /* and so much of whatever rules, since all may be light */
};

/* Their logarithm. */
static uint32_t class_of(uint32_t packets)
{
	return 31 - __builtin_clz(packets);
}

void wm_weights__add(struct wm_weights *w, uint32_t packets)
{
	w->rules[class_of(packets)]++;
	w->n++;
	w->packets += packets;
}

/* How many of each class yield, the lightest first. Rules that are as heavy as the
 * mean, or nearly, are changed seldom: if all are alike it brings nothing, and if heavy
 * flows are outside, the first of them that comes in lifts the mean. */
void wm_weights__share_out(struct wm_weights *w)
{
	uint32_t any = (w->n + LIGHT_ANY / 2) / LIGHT_ANY, taken = 0;
	uint32_t light = (w->n + LIGHT_PART - 1) / LIGHT_PART;

	for (uint32_t class = 0; class < WM_WEIGHTS_CLASSES; class++) {
		bool heavy = (2ull << class) * LIGHT_MEAN * w->n > w->packets;
		uint32_t places = heavy ? any : light;
		uint32_t left = places > taken ? places - taken : 0;

		if (w->rules[class] > left)
			w->rules[class] = left;
		taken += w->rules[class];
	}
}

bool wm_weights__take(struct wm_weights *w, uint32_t packets)
{
	uint32_t *places = &w->rules[class_of(packets)];

	if (!*places)
		return false;
	--*places;
	return true;
}
