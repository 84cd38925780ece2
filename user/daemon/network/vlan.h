/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A NIC may take the VLAN tag off a frame and put it beside it (rx-vlan-offload). An XDP program
 * does not see it there, and a frame that it sends on leaves untagged, into another network.
 * So that is switched off wherever packets come in.
 */
#ifndef WM_VLAN_H
#define WM_VLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "dataplane.h"
#include "err.h"
#include "netdev.h"

struct wm_config;
struct wm_links;

enum { WM_STUCK_MAX = 64 };

struct wm_vlan {
	struct wm_dp_vlan off[WM_DP_VLANS_MAX]; /* where it was switched off, by whichever daemon */
	bool known;                  /* the list was read */
	int stuck[WM_STUCK_MAX];     /* where it cannot be: the log says so */
	size_t n_stuck;
	struct wm_err said;          /* of one with VLANs */
};

/* At the start, and when links have changed. That it cannot be switched off where there are
 * VLAN interfaces is an error (-EOPNOTSUPP) if that may be refused, else the log says it. */
int wm_vlan__look(struct wm_vlan *vlan, const struct wm_config *config,
		  const struct wm_links *links, const struct wm_netdev *list, size_t n,
		  bool may_refuse, struct wm_err *err);
/* The program is to be taken off: as it was. */
void wm_vlan__put_back(const struct wm_vlan *vlan);

#endif
