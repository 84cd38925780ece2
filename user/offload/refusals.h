/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Flows that a NIC refused are left alone for a while, known by their hash: a memory of
 * fixed size, in which a flow takes the place of another. Who is forgotten too early costs
 * one more refusal.
 */
#ifndef WM_REFUSALS_H
#define WM_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

enum { WM_REFUSALS_SLOTS = 4096 };

#define WM_REFUSALS_NS 5000000000ull /* so long */

/* Zeroed: nobody was refused. */
struct wm_refusals {
	struct {
		uint64_t hash, until;
	} slot[WM_REFUSALS_SLOTS];
};

static inline void wm_refusals__add(struct wm_refusals *r, uint64_t hash, uint64_t now)
{
	r->slot[hash % WM_REFUSALS_SLOTS].hash = hash;
	r->slot[hash % WM_REFUSALS_SLOTS].until = now + WM_REFUSALS_NS;
}

static inline bool wm_refusals__has(const struct wm_refusals *r, uint64_t hash, uint64_t now)
{
	return r->slot[hash % WM_REFUSALS_SLOTS].hash == hash &&
	       now < r->slot[hash % WM_REFUSALS_SLOTS].until;
}

#endif
