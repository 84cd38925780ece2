/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rings: which real gets which slot. The hashes, the permutation and both ways
 * of filling are Katran's (facts taken from its KatranLb.cpp, MaglevBase.cpp,
 * MaglevHash.cpp, MaglevHashV2.cpp), so that balancers of both kinds can serve
 * one vip. Maglev itself: Eisenbud et al., NSDI 2016.
 */
#ifndef WM_MAGLEV_H
#define WM_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "config.h"

/* What a real is in the ring's eyes: its address, nothing else. */
uint64_t wm_endpoint__hash(const struct wm_addr *real);

/* Where a real's permutation of `slots` slots starts and how far it steps. */
void wm_maglev__permutation(uint64_t hash, uint32_t slots, uint32_t *offset, uint32_t *skip);

struct wm_endpoint {
	uint64_t hash;   /* wm_endpoint__hash() */
	uint32_t weight; /* 0: gets no slot */
	uint16_t dest;   /* what is written into its slots, not 0 */
	uint32_t slots;  /* out: how many it got */
};

/*
 * Fill `slot[0..slots-1]` with dest ids; 0 everywhere if no endpoint has a
 * weight. The order of `endpoints` does not matter; it is sorted in place by
 * hash. `slots` is a prime, WM_RING_SLOTS at most. 0, -ENOMEM, or -EINVAL for
 * a size out of bounds.
 */
int wm_maglev__fill(enum wm_hash hash, struct wm_endpoint *endpoints, size_t n, uint16_t *slot,
		    uint32_t slots);

#endif
