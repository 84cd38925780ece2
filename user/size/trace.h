/* SPDX-License-Identifier: GPL-2.0 */
/* Packets of a capture file, held in memory. */
#ifndef WM_TRACE_H
#define WM_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "source.h"

struct wm_trace {
	struct wm_trace_packet *packet;
	size_t n;
	uint8_t *proto;  /* of each flow */
	uint32_t n_flows;
	uint64_t duration_ns;
	uint64_t passed; /* packets that the balancer leaves to the stack */
};

/*
 * `filter`: as tcpdump knows them; NULL: all. -EINVAL and a text: what the file
 * is not. Packets that go back in time are taken to be as late as the one before.
 */
int wm_trace__open(struct wm_trace *trace, const char *path, const char *filter,
		   struct wm_err *err);
void wm_trace__close(struct wm_trace *trace);
/* The same from elsewhere, for tests; `trace` begins zeroed. 0 or -errno. */
int wm_trace__add(struct wm_trace *trace, uint64_t at, uint32_t flow, uint8_t proto, uint8_t flags);

/* A source that plays it once, from time `start` on. NULL: no memory. Several may
 * play one trace. */
struct wm_source *wm_trace__play(const struct wm_trace *trace, uint64_t start);
void wm_trace__stop(struct wm_source *s);

#endif
