// SPDX-License-Identifier: GPL-2.0
/*
 * Events come through one ring buffer for all CPUs: an event costs its packet
 * 40 ns there, and five times that in a perf buffer (Documentation/design/). The
 * program wakes its reader when the ring is half full; the owner looks in on a
 * timer. The ring is a map as the others are: events that come while no daemon
 * runs wait in it for the next one.
 */
#include <errno.h>
#include <string.h>

#include "dp.h"

static int on_record(void *arg, void *data, size_t size)
{
	struct wm_dp *dp = arg;
	struct wm_event event;

	if (size < sizeof(event))
		return 0;
	memcpy(&event, data, sizeof(event));
	dp->hooks.event(dp->hooks.arg, &event);
	return 0;
}

int wm_dp__events_open(struct wm_dp *dp, const struct wm_dp_event_hooks *hooks, struct wm_err *err)
{
	dp->hooks = *hooks;
	dp->events = ring_buffer__new(dp->map[DP_EVENTS].fd, on_record, dp, NULL);
	if (!dp->events)
		return wm_err__sys(err, -errno, "cannot open the ring buffer of events");
	return 0;
}

int wm_dp__events_fd(struct wm_dp *dp)
{
	return ring_buffer__epoll_fd(dp->events);
}

int wm_dp__events_consume(struct wm_dp *dp)
{
	return ring_buffer__consume(dp->events);
}
