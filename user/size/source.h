/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where packets come from: a model (traffic.h) or a capture (trace.h). Flows
 * are small numbers; a number may come back with another flow once it was
 * forgotten. Times are nanoseconds.
 */
#ifndef WM_SOURCE_H
#define WM_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <waymark/abi.h>

enum { WM_FIN = 0x01, WM_SYN = 0x02, WM_RST = 0x04 }; /* as in the TCP header */

struct wm_packet {
	uint64_t at;
	uint32_t flow;
	uint8_t flags;  /* of TCP */
	bool end;       /* no packet: the flow has ended */
};

struct wm_source {
	/* The next packet before `until`; false: there is none. */
	bool (*next)(struct wm_source *s, uint64_t until, struct wm_packet *p);
	/* What the flow is called in rules and in the flow table: its number stands
	 * in word 0 of the source address. */
	void (*name)(const struct wm_source *s, uint32_t flow, struct wm_flow *out);
	/*
	 * A source that can spare itself the packets of flows for which they change
	 * nothing has these, else NULL. cover(): from now on next() need not give
	 * them, or must again; passed(): how many there were between two times, and
	 * when the last of them came if there was one; rate(): packets a nanosecond.
	 */
	void (*cover)(struct wm_source *s, uint32_t flow, bool covered);
	uint64_t (*passed)(struct wm_source *s, uint32_t flow, uint64_t from, uint64_t to,
			   uint64_t *last);
	double (*rate)(const struct wm_source *s, uint32_t flow);
	/* Nobody speaks of an ended flow any more. NULL: flows do not end. */
	void (*forget)(struct wm_source *s, uint32_t flow);
	bool failed; /* no memory: what next() gave is not all */
};

static inline uint32_t wm_source__number(const struct wm_flow *flow)
{
	return flow->src[0];
}

#endif
