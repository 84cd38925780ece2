/* SPDX-License-Identifier: GPL-2.0 */
/* Hands what the data plane tells about flows to the rules. */
#ifndef WM_EVENTS_H
#define WM_EVENTS_H

#include <stdint.h>

#include "err.h"
#include "timer.h"

struct wm_dp;
struct wm_event;
struct wm_nic;

struct wm_events {
	struct wm_dp *dp;
	struct wm_nic *nic;
	struct wm_timer timer;
	sd_event_source *io;
	uint64_t read;    /* since the start */
	uint64_t last_ns; /* when one came */
};

/* From now on they are taken. 0 or -errno. */
int wm_events__start(struct wm_events *events, sd_event *event, struct wm_dp *dp,
		     struct wm_nic *nic, struct wm_err *err);
void wm_events__stop(struct wm_events *events);

/* What an event means for the rules: a flow is offered, if it still is what the event
 * says, or its rule is to go. */
void wm_events__take(struct wm_events *events, const struct wm_event *event);

#endif
