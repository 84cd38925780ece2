/* SPDX-License-Identifier: GPL-2.0 */
/* One-shot timers, which their own function may arm again. */
#ifndef WM_TIMER_H
#define WM_TIMER_H

#include <stdint.h>
#include <systemd/sd-event.h>

typedef void (*wm_timer_fn)(void *arg);

enum { WM_TIMER_MS = 1000 /* us */ };

struct wm_timer {
	sd_event_source *source;
	wm_timer_fn fn;
	void *arg;
};

/* 0 or -errno. Not armed yet. `timer` stays where it is while it is in use. */
int wm_timer__init(struct wm_timer *timer, sd_event *event, wm_timer_fn fn, void *arg);
void wm_timer__free(struct wm_timer *timer);

/* Call the function once, after `us` from now, replacing an earlier order. */
void wm_timer__arm(struct wm_timer *timer, uint64_t us);
/* The same, unless it would come sooner anyway. */
void wm_timer__arm_within(struct wm_timer *timer, uint64_t us);

#endif
