// SPDX-License-Identifier: GPL-2.0
#include "timer.h"

#include <time.h>

enum { ACCURACY_US = 500 };

static int fire(sd_event_source *source, uint64_t us, void *arg)
{
	struct wm_timer *timer = arg;

	(void)source;
	(void)us;
	timer->fn(timer->arg);
	return 0;
}

int wm_timer__init(struct wm_timer *timer, sd_event *event, wm_timer_fn fn, void *arg)
{
	int ret;

	timer->fn = fn;
	timer->arg = arg;
	ret = sd_event_add_time(event, &timer->source, CLOCK_MONOTONIC, 0, ACCURACY_US, fire,
				timer);
	if (ret < 0)
		return ret;
	return sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
}

void wm_timer__free(struct wm_timer *timer)
{
	timer->source = sd_event_source_disable_unref(timer->source);
}

void wm_timer__arm(struct wm_timer *timer, uint64_t us)
{
	if (!timer->source)
		return;
	sd_event_source_set_time_relative(timer->source, us);
	sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT);
}

void wm_timer__arm_within(struct wm_timer *timer, uint64_t us)
{
	int enabled = SD_EVENT_OFF;
	uint64_t at, now;

	if (!timer->source)
		return;
	sd_event_source_get_enabled(timer->source, &enabled);
	if (enabled != SD_EVENT_OFF && !sd_event_source_get_time(timer->source, &at) &&
	    sd_event_now(sd_event_source_get_event(timer->source), CLOCK_MONOTONIC, &now) >= 0 &&
	    at <= now + us)
		return;
	wm_timer__arm(timer, us);
}
