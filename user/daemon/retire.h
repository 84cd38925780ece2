/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Destinations that left the configuration: their ids may be given again only
 * when no rule in the NIC and no entry of the flow table names them.
 */
#ifndef WM_RETIRE_H
#define WM_RETIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timer.h"

struct wm_daemon;

struct wm_retiring {
	uint16_t id;
	uint32_t mark;
	bool swept; /* no flow names it */
};

struct wm_retire {
	struct wm_retiring *list;
	size_t n, size;
	uint64_t next_sweep_ns;
	struct wm_timer timer;
};

int wm_retire__init(struct wm_daemon *daemon);
void wm_retire__free(struct wm_retire *retire);

/* Room for n more, so that wm_retire__add() cannot fail. 0 or -ENOMEM. */
int wm_retire__reserve(struct wm_retire *retire, size_t n);
/* The destination is cleared in the data plane; its rules are told to go. */
void wm_retire__add(struct wm_daemon *daemon, uint16_t id, uint32_t mark);
/* Forget those that the model does not call retiring any more. */
void wm_retire__trim(struct wm_daemon *daemon);

#endif
