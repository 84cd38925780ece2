/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a NIC with a rule table would bring: traffic (a capture or a model) is
 * played against several table sizes. See Documentation/sizing.md for the
 * method, its error and the model.
 */
#ifndef WM_SIZING_H
#define WM_SIZING_H

#include <stdint.h>

#include "err.h"

enum {
	WM_SIZING_SIZES_MAX = 32,
	WM_SIZING_FLOWS_MAX = 100000000,
	WM_SIZING_PPS_MAX = 100000000,
	WM_SIZING_RULES_MAX = 16000000,
};

struct wm_trace;

struct wm_sizing {
	/* The traffic: a capture, or else the model. */
	const struct wm_trace *trace;
	uint64_t flows;
	double zipf, pps;
	uint64_t lifetime_ns;         /* 0: flows do not end */
	uint8_t proto;
	double seconds;               /* measured, after warming up */
	uint64_t seed;
	/* The balancer. */
	uint32_t promote_after;
	uint64_t idle_ns;
	uint64_t udp_idle_ns;
	uint64_t table_flows;         /* room in the flow table */
	uint32_t cpus;                /* each has a budget of events; 0: as many as needed */
	double ns_hit, ns_marked;     /* of a packet in software, and of a marked one */
	/* The NIC. */
	uint32_t rules[WM_SIZING_SIZES_MAX];
	uint32_t n_rules;
	uint32_t installs_per_second;
	uint64_t install_delay_ns;
	/* For tests: a scale (a power of two) instead of the one that fits. 0: that. */
	uint32_t scale;
};

/* What one size of table gives. Rates are a second. */
struct wm_sizing_row {
	uint32_t rules;
	uint32_t scale;     /* one flow was played for so many */
	double seconds, pps;
	double marked;      /* share of the packets */
	double rules_mean, rules_max;
	double installs;
	double idle, closed, evicted; /* rules that ended so */
	double full, held;  /* candidates that found no room; and all that were not taken */
	double events, events_held;
	double missed;      /* share of the software path's packets: not in the flow table */
	double cores_software; /* that all packets would take in software */
	double cores_saved;
	uint64_t played;
};

/* Fill in `options` what is there if nobody says otherwise. */
void wm_sizing__defaults(struct wm_sizing *options);
/* 0, or -EINVAL and a text: what is out of range. */
int wm_sizing__check(const struct wm_sizing *options, struct wm_err *err);
/* A row for each of options->rules. 0 or -errno. */
int wm_sizing__run(const struct wm_sizing *options, struct wm_sizing_row *rows,
		   struct wm_err *err);

#endif
