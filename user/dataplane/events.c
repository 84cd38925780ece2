// SPDX-License-Identifier: GPL-2.0
/*
 * Events come through one ring buffer for all CPUs: an event costs its packet
 * 40 ns there, and five times that in a perf buffer (Documentation/design/). The
 * program wakes its reader when the ring is half full; the owner looks in on a
 * timer. The ring is a map as the others are: events that come while no daemon
 * runs wait in it for the next one.
 *
 * Perf buffers, for those who want them, are the reader's: one for each CPU that is there when
 * it begins, woken and bounded alike. Without a reader, or on a CPU that came later, events
 * are lost, and counted as such by the program: the flow is named again.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <unistd.h>

#include "dp.h"

static int on_record(void *arg, void *data, size_t size)
{
	struct wm_dp *dp = arg;
	struct wm_event event;

	if (size < sizeof(event))
		return 0;
	memcpy(&event, data, sizeof(event));
	dp->hooks.event(dp->hooks.arg, &event);
	dp->taken++;
	return 0;
}

/* --- perf buffers --- */

/* Records of the kernel's about lost ones say nothing new: the program counted them. */
static enum bpf_perf_event_ret on_perf(void *arg, int cpu, struct perf_event_header *head)
{
	struct {
		struct perf_event_header head;
		uint32_t size;
		char data[];
	} *sample = (void *)head;

	(void)cpu;
	if (head->type == PERF_RECORD_SAMPLE && head->size >= sizeof(*sample) &&
	    sample->size <= head->size - sizeof(*sample))
		on_record(arg, sample->data, sample->size);
	return LIBBPF_PERF_EVENT_CONT;
}

/* Of each CPU: as much as it has of the ring. */
static uint32_t perf_bytes(uint32_t page)
{
	uint64_t cpus = libbpf_num_possible_cpus();
	uint32_t bytes = WM_EVENTS_BYTES_A_CPU;

	while (bytes > page && bytes * cpus > WM_EVENTS_BYTES_MAX)
		bytes /= 2;
	return bytes > page ? bytes : page;
}

static int open_perf(struct wm_dp *dp, struct wm_err *err)
{
	uint32_t page = sysconf(_SC_PAGESIZE), bytes = perf_bytes(page);
	struct perf_event_attr how = {
		.size = sizeof(how), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1, .watermark = 1, .wakeup_watermark = bytes / 2,
	};

	dp->perf = perf_buffer__new_raw(dp->map[DP_PERF].fd, bytes / page, &how, on_perf, dp,
					NULL);
	if (!dp->perf)
		return wm_err__sys(err, -errno, "cannot open the perf buffers of events (needs "
				   "CAP_PERFMON; offload: events: ring does without)");
	return 0;
}

/* --- either --- */

int wm_dp__events_open(struct wm_dp *dp, const struct wm_dp_event_hooks *hooks, struct wm_err *err)
{
	dp->hooks = *hooks;
	if (dp->params.perf_events)
		return open_perf(dp, err);
	dp->events = ring_buffer__new(dp->map[DP_EVENTS].fd, on_record, dp, NULL);
	if (!dp->events)
		return wm_err__sys(err, -errno, "cannot open the ring buffer of events");
	return 0;
}

int wm_dp__events_fd(struct wm_dp *dp)
{
	return dp->perf ? perf_buffer__epoll_fd(dp->perf) : ring_buffer__epoll_fd(dp->events);
}

int wm_dp__events_consume(struct wm_dp *dp)
{
	int ret;

	if (!dp->perf)
		return ring_buffer__consume(dp->events);
	dp->taken = 0;
	ret = perf_buffer__consume(dp->perf);
	return ret < 0 ? ret : dp->taken;
}
