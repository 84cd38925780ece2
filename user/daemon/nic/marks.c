// SPDX-License-Identifier: GPL-2.0
#include "marks.h"

bool wm_marks__judge(struct wm_marks *marks, uint64_t seen, uint64_t found, uint64_t matched)
{
	enum wm_marks_state was = marks->state;

	if (!marks->begun) {
		marks->begun = true;
		marks->seen = seen;
		marks->found = found;
	}
	if (seen > marks->seen)
		marks->state = WM_MARKS_SEEN;
	else if (matched >= WM_MARKS_ENOUGH && found - marks->found >= WM_MARKS_ENOUGH)
		marks->state = WM_MARKS_MISSING;
	return marks->state != was;
}

const char *wm_marks__word(const struct wm_marks *marks)
{
	static const char *const words[] = {
		[WM_MARKS_AWAITED] = "awaited", [WM_MARKS_SEEN] = "seen",
		[WM_MARKS_MISSING] = "missing",
	};

	return words[marks->state];
}
