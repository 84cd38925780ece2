/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which location of the NIC's table has which flow's rule, for NICs that know rules by
 * their location. Locations are given out here; those of other people's rules never.
 */
#ifndef WM_LOCATIONS_H
#define WM_LOCATIONS_H

#include <stdint.h>
#include <waymark/abi.h>

/*
 * How long a location stays unused after its rule has gone: packets that the NIC had
 * already stamped with it must be through, or they would be taken for the next flow's.
 * A ring is drained in milliseconds.
 */
#define WM_LOCATION_QUIET_NS 1000000000ull

enum wm_location_state {
	WM_LOCATION_FREE,
	WM_LOCATION_USED,    /* a rule of ours, or about to be */
	WM_LOCATION_FOREIGN, /* somebody else's rule */
};

struct wm_place {
	struct wm_flow flow;
	uint32_t next;     /* in its bucket */
	uint32_t before, behind; /* among the free */
	uint32_t seen;     /* number of the listing that showed it last */
	uint64_t freed_ns; /* 0: never used */
	uint16_t used;     /* struct wm_location's `used` at the last look */
	uint8_t state;     /* enum wm_location_state */
	uint16_t queue;    /* that the rule leads to, if it is ours */
};

struct wm_locations {
	/* [0] is never used, mark 0 means "not marked": it is the free list's head. */
	struct wm_place *place;
	uint32_t n;             /* locations, with the one that is never used */
	uint32_t used, foreign;
	uint32_t *bucket, buckets; /* by flow; a power of two */
	__u64 seed[4];
	uint32_t listing;
};

/* Locations 1 to n - 1, all free. 0 or -ENOMEM */
int wm_locations__init(struct wm_locations *l, uint32_t n);
void wm_locations__free(struct wm_locations *l);
/* 0: the flow has none. */
uint32_t wm_locations__find(const struct wm_locations *l, const struct wm_flow *flow);
/* One for a flow that has none. 0: none is free, or not yet for long enough. */
uint32_t wm_locations__take(struct wm_locations *l, const struct wm_flow *flow, uint64_t now);
/* Its rule is gone from the NIC. */
void wm_locations__drop(struct wm_locations *l, uint32_t at, uint64_t now);
/* The NIC has ours for this flow there, or somebody else's. */
void wm_locations__learn(struct wm_locations *l, uint32_t at, const struct wm_flow *flow);
void wm_locations__learn_foreign(struct wm_locations *l, uint32_t at);

#endif
