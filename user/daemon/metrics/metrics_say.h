/* SPDX-License-Identifier: GPL-2.0 */
/* What waymark-metrics is told: user/metrics/facts.h has the form. */
#ifndef WM_METRICS_SAY_H
#define WM_METRICS_SAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane.h"
#include "healthcheck.h"
#include "model.h"
#include "nic.h"

/* The daemon as it is at this moment. */
struct wm_metrics_view {
	const struct wm_model *model;
	struct wm_dp *dp;
	const struct wm_nic *nic;
	const char *mode;       /* how the program is attached; static */
	uint64_t started_ns;
	uint64_t reattached;    /* times */
	uint64_t events_read;
	uint64_t reloads;       /* that have ended, */
	uint64_t reloaded_ns;   /* the last of them then; 0: none has, */
	bool reload_failed;     /* and with an error */
	size_t n_interfaces;
};

/* What checks and people say of a real. */
struct wm_metrics_standing {
	enum wm_health_state health; /* unchecked, too, where it has no check */
	bool drained, disabled;      /* by hand */
};

struct wm_metrics_source {
	void (*look)(void *arg, struct wm_metrics_view *view);
	/* The i-th interface's name; whether it is served. */
	const char *(*interface)(void *arg, size_t i, bool *served);
	/* Count the flows of each destination: true when that is done. It is asked again until
	 * then. */
	bool (*count)(void *arg);
	/* What the count found; false: it failed. */
	bool (*live)(void *arg, uint16_t dest, uint32_t *flows);
	void (*standing)(void *arg, const struct wm_model_vip *vip,
			 const struct wm_model_dest *dest,
			 struct wm_metrics_standing *standing);
	void *arg;
};

/* What was said last: {} is nothing. */
struct wm_metrics_said {
	bool facts;
	uint64_t serial; /* of the model that they were of */
};

/* What is new since then: lines of JSON, to free(); NULL: no memory, and nothing was said. */
char *wm_metrics__say(const struct wm_metrics_source *source, struct wm_metrics_said *said,
		      size_t *len);

#endif
