// SPDX-License-Identifier: GPL-2.0
/*
 * Events come through per-CPU perf buffers. A wakeup costs the packet's CPU
 * about 12 us, so none is asked for before a buffer is half full; the owner
 * looks in on a timer.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>

#include "dp.h"

enum {
	EVENT_PAGES = 64,                      /* of 4 KiB, a CPU: some 3600 events */
	EVENT_WATERMARK = EVENT_PAGES * 4096 / 2, /* bytes */
};

struct lost_record {
	struct perf_event_header header;
	uint64_t id, lost;
};

struct sample_record {
	struct perf_event_header header;
	uint32_t size;
	char data[];
};

static enum bpf_perf_event_ret on_record(void *arg, int cpu, struct perf_event_header *header)
{
	struct wm_dp *dp = arg;
	struct sample_record *sample = (void *)header;
	struct wm_event event;

	(void)cpu;
	if (header->type == PERF_RECORD_LOST && dp->hooks.lost)
		dp->hooks.lost(dp->hooks.arg, ((struct lost_record *)header)->lost);
	if (header->type != PERF_RECORD_SAMPLE || sample->size < sizeof(event))
		return LIBBPF_PERF_EVENT_CONT;
	memcpy(&event, sample->data, sizeof(event));
	dp->hooks.event(dp->hooks.arg, &event);
	return LIBBPF_PERF_EVENT_CONT;
}

int wm_dp__events_open(struct wm_dp *dp, const struct wm_dp_event_hooks *hooks, struct wm_err *err)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_BPF_OUTPUT,
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_RAW,
		.watermark = 1,
		.wakeup_watermark = EVENT_WATERMARK,
	};

	dp->hooks = *hooks;
	dp->events = perf_buffer__new_raw(dp->map[DP_EVENTS].fd, EVENT_PAGES, &attr, on_record, dp,
					  NULL);
	if (!dp->events)
		return wm_err__sys(err, -errno, "cannot open the perf buffers for events");
	return 0;
}

int wm_dp__events_fd(struct wm_dp *dp)
{
	return perf_buffer__epoll_fd(dp->events);
}

int wm_dp__events_consume(struct wm_dp *dp)
{
	return perf_buffer__consume(dp->events);
}
