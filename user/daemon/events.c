// SPDX-License-Identifier: GPL-2.0
/*
 * Events wait in a ring buffer. Its descriptor wakes us when it is half full;
 * what is less than that is looked for on a timer, often while events come and
 * seldom while there are none: an idle daemon costs next to nothing.
 */
#include "events.h"

#include <sys/epoll.h>

#include "daemon.h"
#include "log.h"
#include "times.h"

enum {
	BUSY_US = WM_EVENTS_BUSY_NS / 1000,
	IDLE_US = WM_EVENTS_IDLE_NS / 1000,
};

/*
 * An event may be older than a change, and those of different CPUs do not come in
 * the order in which they were made: the end of a flow may come before its
 * promotion. So the flow table is asked again. Only if it calls the flow proven
 * will its end be told, and without that a rule would stay until it is idle.
 */
static bool is_current(const struct wm_daemon *d, const struct wm_event *event)
{
	const struct wm_model_dest *dest = wm_nic__dest_of(d, event->mark);
	struct wm_flow_slot slot;

	if (!dest || wm_dp__dest(d->dp, dest->id)->mark != event->mark)
		return false;
	return wm_dp__flow_find(d->dp, &event->flow, &slot) && slot.dest == dest->id &&
	       slot.state != WM_FLOW_CLOSING && slot.state >= wm_dp__ctl(d->dp)->promote_after;
}

void wm_events__take(struct wm_daemon *d, const struct wm_event *event)
{
	uint64_t now = wm_now_ns();

	d->events.read++;
	d->events.last_ns = now;
	switch (event->type) {
	case WM_EVENT_PROMOTE:
		if (is_current(d, event))
			wm_nic__offer(&d->nic, &event->flow, event->mark, now);
		break;
	case WM_EVENT_CLOSE:
		wm_nic__close_flow(&d->nic, &event->flow, now);
		break;
	}
}

static void on_event(void *arg, const struct wm_event *event)
{
	wm_events__take(arg, event);
}

static void consume(void *arg)
{
	struct wm_daemon *d = arg;
	uint64_t before = d->events.read;

	wm_dp__events_consume(d->dp);
	if (d->events.read != before)
		wm_nic__hurry(&d->nic);
	wm_timer__arm(&d->events.timer,
		      wm_now_ns() - d->events.last_ns < WM_EVENTS_BUSY_FOR_NS ? BUSY_US : IDLE_US);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)fd;
	(void)revents;
	consume(arg);
	return 0;
}

int wm_events__start(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_dp_event_hooks hooks = { on_event, d };
	int ret;

	ret = wm_dp__events_open(d->dp, &hooks, err);
	if (ret)
		return ret;
	ret = wm_timer__init(&d->events.timer, d->event, consume, d);
	if (ret >= 0)
		ret = sd_event_add_io(d->event, &d->events.io, wm_dp__events_fd(d->dp), EPOLLIN,
				      on_readable, d);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot wait for events");
	wm_timer__arm(&d->events.timer, IDLE_US);
	return 0;
}

void wm_events__stop(struct wm_events *events)
{
	wm_timer__free(&events->timer);
	events->io = sd_event_source_disable_unref(events->io);
}
