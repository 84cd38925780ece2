/* SPDX-License-Identifier: GPL-2.0 */
/* Between waymarkd and waymark-metrics: descriptors, and what is said on the socket. */
#ifndef WM_INHERITED_H
#define WM_INHERITED_H

/* The descriptors that waymark-metrics is started with. */
enum wm_channel_fd {
	WM_CHANNEL_SOCKET = 3, /* a stream to waymarkd; its end is ours */
	WM_CHANNEL_LISTENER,
	WM_CHANNEL_CPUS,       /* map of the counters by CPU */
	WM_CHANNEL_DESTS,      /* map of those by destination */
	WM_CHANNEL_END,
};

/* Its arguments are the sizes of the maps: struct wm_cpu_stats in the first one, CPUs in the
 * second one, and bits of a destination's id there. */
enum { WM_CHANNEL_ARGC = 4 };

/* From the program: what is new? The answer: facts if they are others than those that were sent
 * last (facts.h), then the state. Never a second question before the answer. */
#define WM_CHANNEL_ASK '?'

enum { WM_CHANNEL_LINE_MAX = 64 << 20 }; /* 65535 destinations take about 4 MB */

#endif
