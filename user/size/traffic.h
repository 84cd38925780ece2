/* SPDX-License-Identifier: GPL-2.0 */
/* Traffic by a model: popularity by Zipf's law, Poisson arrivals, flows that end
 * and are replaced. */
#ifndef WM_TRAFFIC_H
#define WM_TRAFFIC_H

#include <stdint.h>

#include "source.h"

struct wm_traffic_options {
	uint64_t flows;       /* at any time */
	double zipf;          /* exponent; 0: all alike */
	double pps;
	uint64_t lifetime_ns; /* mean; 0: for ever */
	uint8_t proto;        /* IPPROTO_TCP or IPPROTO_UDP */
	uint32_t scale;       /* one flow is played for so many */
	uint64_t seed;
	uint64_t start;       /* time of the beginning */
};

/* NULL: no memory. */
struct wm_source *wm_traffic__new(const struct wm_traffic_options *options);
void wm_traffic__free(struct wm_source *s);

/* Packets a second that are not SYN or FIN. */
double wm_traffic__data_pps(const struct wm_traffic_options *options);

#endif
