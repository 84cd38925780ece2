// SPDX-License-Identifier: GPL-2.0
#include "track.h"

static void count(struct wm_track *track, bool good)
{
	if (good != track->good)
		track->in_row = 0;
	track->good = good;
	track->in_row += track->in_row < UINT32_MAX;
}

static enum wm_health_state next_state(const struct wm_track *track, const struct wm_check *check,
				 uint64_t now_ns)
{
	if (!track->good)
		return track->in_row >= check->fall ? WM_HEALTH_DOWN : track->state;
	if (track->state != WM_HEALTH_DOWN)
		return WM_HEALTH_UP;
	return track->in_row >= check->rise && now_ns >= track->held_until_ns ? WM_HEALTH_UP
									      : WM_HEALTH_DOWN;
}

bool wm_track__result(struct wm_track *track, const struct wm_check *check, bool good,
		      uint64_t now_ns)
{
	const struct wm_track before = *track;

	count(track, good);
	track->state = next_state(track, check, now_ns);
	if (track->state == WM_HEALTH_DOWN && before.state != WM_HEALTH_DOWN)
		track->held_until_ns = now_ns + check->hold_ns;
	track->judged |= track->state != before.state ||
			 (good ? track->state == WM_HEALTH_UP : track->state == WM_HEALTH_DOWN);
	return track->state != before.state || track->judged != before.judged;
}
