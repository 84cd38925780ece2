/* SPDX-License-Identifier: GPL-2.0 */
/* From the results of one real's checks to its state. */
#ifndef WM_TRACK_H
#define WM_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "healthcheck.h"

/*
 *   unchecked --good--> up --`fall` bad ones in a row--> down
 *   unchecked --`fall` bad ones in a row--> down
 *   down --`rise` good ones in a row, `hold_ns` after it went down--> up
 *
 * A state that was taken over from the time before is believed until results in a row say
 * otherwise. It is `judged` when a result agreed with it or changed it.
 */
struct wm_track {
	enum wm_health_state state;
	bool judged;
	bool good;           /* the last result, if in_row is not 0 */
	uint32_t in_row;     /* so many were like it, at most UINT32_MAX */
	uint64_t held_until_ns; /* down until then at least; 0: as long as results say */
};

/* One more result. `now_ns` is of CLOCK_MONOTONIC. True: state or judged have changed. */
bool wm_track__result(struct wm_track *track, const struct wm_check *check, bool good,
		      uint64_t now_ns);

#endif
