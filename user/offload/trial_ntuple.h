/* SPDX-License-Identifier: GPL-2.0 */
/* The part of a trial (trial.h) that is about ethtool's n-tuple rules. */
#ifndef WM_TRIAL_NTUPLE_H
#define WM_TRIAL_NTUPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <waymark/abi.h>

#include "ethtool.h"

struct wm_trial_ntuple {
	struct wm_ethtool_io io;
	uint32_t size;     /* locations; 0: the driver takes no such rules */
	bool any;          /* it chooses a location itself */
	uint32_t next;     /* the location to try; from the last one down */
	uint32_t leftovers; /* of an earlier trial, that were removed */
	int result;        /* why there are no locations */
};

/* The driver is given away. Removes what an earlier trial left. */
void wm_trial_ntuple__open(struct wm_trial_ntuple *nt, const struct wm_ethtool_io *io);
void wm_trial_ntuple__close(struct wm_trial_ntuple *nt);
/* vlan 0: none is matched. 0 or -errno; *at: where it is. */
int wm_trial_ntuple__add(struct wm_trial_ntuple *nt, const struct wm_flow *flow, uint16_t vlan,
			 uint32_t *at);
/* Does a rule of this flow stand there? */
bool wm_trial_ntuple__shows(struct wm_trial_ntuple *nt, const struct wm_flow *flow, uint16_t vlan,
			    uint32_t at);
/* Remove the rule of this flow; one of another stays. 0 or -errno. */
int wm_trial_ntuple__remove(struct wm_trial_ntuple *nt, const struct wm_flow *flow, uint16_t vlan,
			    uint32_t at);
/* All rules of a trial's flows. 0 or -errno: some may still be there. */
int wm_trial_ntuple__sweep(struct wm_trial_ntuple *nt, uint32_t *removed);

#endif
