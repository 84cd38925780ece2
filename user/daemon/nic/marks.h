/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Do the marks that rules write arrive? What kernel, driver and NIC say of themselves is a
 * promise: a lane is believed once the program has seen a mark. Where rules have counted packets
 * and none of them was marked, the lane does not work, and rules bring nothing.
 */
#ifndef WM_MARKS_H
#define WM_MARKS_H

#include <stdbool.h>
#include <stdint.h>

enum wm_marks_state { WM_MARKS_AWAITED, WM_MARKS_SEEN, WM_MARKS_MISSING };

/* All zero at the start. */
struct wm_marks {
	enum wm_marks_state state;
	bool begun;
	uint64_t seen, found; /* what the program had counted when we began */
	uint64_t looked_ns;
};

/* Packets that rules have to have counted before missing marks mean something: more than are
 * under way between a NIC and the program. */
enum { WM_MARKS_ENOUGH = 1000 };

/*
 * The program's counters: `seen`: marks, good or bad; `found`: packets without one, of flows
 * that it knew: where no mark arrives, those of rules are among them. `matched`: packets that rules
 * have counted since the daemon began. True: the state has changed.
 */
bool wm_marks__judge(struct wm_marks *marks, uint64_t seen, uint64_t found, uint64_t matched);
/* "awaited", "seen", "missing" */
const char *wm_marks__word(const struct wm_marks *marks);

#endif
