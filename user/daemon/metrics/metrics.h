/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Starts waymark-metrics (user/metrics), which serves the metrics by HTTP and has no privileges,
 * and tells it what it asks for. Nothing here waits for it.
 */
#ifndef WM_METRICS_H
#define WM_METRICS_H

#include <systemd/sd-event.h>

#include "config.h"
#include "metrics_say.h"

struct wm_metrics;

/* NULL: no memory. Nothing is started. */
struct wm_metrics *wm_metrics__new(sd_event *event, const struct wm_metrics_source *source);
/*
 * Serve there from now on, or nowhere. Where it cannot be, because the address is not there or
 * somebody else has the port, the log says so and it is tried again and again: nothing else
 * depends on it.
 */
void wm_metrics__configure(struct wm_metrics *metrics, const struct wm_config_metrics *where);
/* Ends the program, too. NULL is fine. */
void wm_metrics__free(struct wm_metrics *metrics);

#endif
