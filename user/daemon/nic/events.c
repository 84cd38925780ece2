// SPDX-License-Identifier: GPL-2.0
/*
 * Events wait in a ring buffer. Its descriptor wakes us when it is half full;
 * what is less than that is looked for on a timer, often while events come and
 * seldom while there are none: an idle daemon costs next to nothing.
 */
#include "events.h"

#include <sys/epoll.h>

#include "dataplane.h"
#include "monotonic.h"
#include "nic.h"
#include "times.h"

enum {
	BUSY_US = WM_EVENTS_BUSY_NS / 1000,
	IDLE_US = WM_EVENTS_IDLE_NS / 1000,
};

/*
 * An event may be older than a change, and those of different CPUs do not come in
 * the order in which they were made: the end of a flow may come before its
 * promotion. So the flow table is asked again: only if it calls the flow promoted will
 * the flow stay where the rule sends it, and will its end be told.
 */
static bool is_current(const struct wm_events *events, const struct wm_event *event)
{
	const struct wm_model_dest *dest = wm_nic__dest_of(events->nic, event->mark);
	struct wm_flow_slot slot;

	if (!dest || wm_dp__dest(events->dp, dest->id)->mark != event->mark)
		return false;
	return wm_dp__flow_find(events->dp, &event->flow, &slot) && slot.dest == dest->id &&
	       slot.state == WM_FLOW_PROMOTED;
}

void wm_events__take(struct wm_events *events, const struct wm_event *event)
{
	uint64_t now = wm_now_ns();

	events->read++;
	events->last_ns = now;
	switch (event->type) {
	case WM_EVENT_PROMOTE:
		if (is_current(events, event))
			wm_nic__offer(events->nic, &event->flow, event->mark, now);
		break;
	case WM_EVENT_CLOSE:
		wm_nic__close_flow(events->nic, &event->flow, now);
		break;
	}
}

static void on_event(void *arg, const struct wm_event *event)
{
	wm_events__take(arg, event);
}

static void consume(void *arg)
{
	struct wm_events *events = arg;
	uint64_t before = events->read;

	wm_dp__events_consume(events->dp);
	if (events->read != before)
		wm_nic__hurry(events->nic);
	wm_timer__arm(&events->timer,
		      wm_now_ns() - events->last_ns < WM_EVENTS_BUSY_FOR_NS ? BUSY_US : IDLE_US);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)fd;
	(void)revents;
	consume(arg);
	return 0;
}

int wm_events__start(struct wm_events *events, sd_event *event, struct wm_dp *dp,
		     struct wm_nic *nic, struct wm_err *err)
{
	const struct wm_dp_event_hooks hooks = { on_event, events };
	int ret;

	events->dp = dp;
	events->nic = nic;
	ret = wm_dp__events_open(dp, &hooks, err);
	if (ret)
		return ret;
	ret = wm_timer__init(&events->timer, event, consume, events);
	if (ret >= 0)
		ret = sd_event_add_io(event, &events->io, wm_dp__events_fd(dp), EPOLLIN,
				      on_readable, events);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot wait for events");
	wm_timer__arm(&events->timer, IDLE_US);
	return 0;
}

void wm_events__stop(struct wm_events *events)
{
	wm_timer__free(&events->timer);
	events->io = sd_event_source_disable_unref(events->io);
}
