/* SPDX-License-Identifier: GPL-2.0 */
/* Counters as rows with their meaning, once or again and again with rates. */
#ifndef WM_STATS_H
#define WM_STATS_H

#include "source.h"

/* Ask and show until --count tables were shown or the user interrupts; once
 * without --watch. 0, or an error as source__call(). */
int stats__show(const struct invocation *in, struct source *source, const json_t *request,
		struct wm_err *err);

#endif
