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

struct wm_nic;
struct wm_running;

struct wm_retiring {
	uint16_t id;
	uint32_t mark;
	bool swept; /* no flow names it */
};

struct wm_retire {
	const struct wm_running *running;
	struct wm_nic *nic;
	bool held; /* the model stays as it is for now */
	struct wm_retiring *list;
	size_t n, size;
	uint64_t next_sweep_ns;
	struct wm_timer timer;
};

/* 0 or -errno. */
int wm_retire__init(struct wm_retire *retire, sd_event *event, const struct wm_running *running,
		    struct wm_nic *nic);
void wm_retire__free(struct wm_retire *retire);

/* Do what is due; a timer comes here too. */
void wm_retire__look(struct wm_retire *retire);
/* While a change is planned from the model nothing is released. */
void wm_retire__hold(struct wm_retire *retire, bool hold);

/* Room for n more, so that wm_retire__add() cannot fail. 0 or -ENOMEM. */
int wm_retire__reserve(struct wm_retire *retire, size_t n);
/* The destination is cleared in the data plane; its rules are told to go. */
void wm_retire__add(struct wm_retire *retire, uint16_t id, uint32_t mark);
/* Forget those that the model does not call retiring any more. */
void wm_retire__trim(struct wm_retire *retire);

#endif
