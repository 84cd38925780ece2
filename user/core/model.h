/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the data plane should hold: vips with numbers and rings, destinations
 * with ids and generations. Pure: no map is touched here. (Planning builds rings
 * on several CPUs; whoever calls needs to know nothing of that.)
 *
 * A model is a value. A change is made by planning the next model from the
 * present one and a configuration; the plan says in which order the data plane
 * must write what (see wm_plan). If nothing fails, the next model becomes the
 * present one; else it is freed and nothing has happened.
 *
 * Identity across changes: a vip is (address, port, protocol), a destination is
 * (vip, real address). What stays keeps its number or id, its generation and so
 * its marks and flows; a change touches only what it concerns.
 *
 * Life of a destination id:
 *   free -> live (weight may be 0: it keeps its flows, gets no new ones)
 *        -> retiring (out of the configuration; cleared in the data plane, but
 *           rules in the NIC or entries in the flow table may still name it)
 *        -> free, with the next generation, after wm_model__release_dest().
 * Free ids are used in the order they were freed, so that one rests long.
 */
#ifndef WM_MODEL_H
#define WM_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "config.h"
#include "err.h"

struct wm_model_limits {
	uint32_t dest_bits; /* ids 1 .. (1 << dest_bits) - 1 */
	uint32_t mark_bits; /* width of a mark; > dest_bits, else no generation fits: then 0 only */
	uint32_t vips;      /* vips that the data plane holds */
	uint32_t rings;     /* rings that it holds */
};

enum wm_dest_state { WM_DEST_FREE, WM_DEST_LIVE, WM_DEST_RETIRING };

struct wm_model_dest {
	enum wm_dest_state state;
	uint16_t id;
	uint32_t generation; /* below 1 << (mark_bits - dest_bits) */
	uint16_t vip;        /* number of its vip */
	struct wm_addr real;
	uint32_t weight;     /* as configured */
	bool away;           /* nothing can be sent to it now: no slots, whatever its weight */
	bool drained;        /* it keeps its flows: no slots either */
	uint32_t slots;      /* of its vip's ring */
};

struct wm_model_vip {
	char *name;
	struct wm_addr address;
	__be16 port;
	uint8_t proto;
	uint16_t number; /* from 1; stays while the vip stays */
	bool offload;
	enum wm_hash hash;
	uint32_t ring;   /* index of its ring in the data plane */
	uint16_t *dests; /* ids, in the order of the configuration */
	size_t n_dests;
};

struct wm_model; /* opaque; readers below */

/* What must be written to get from one model to the next, in this order:
 *   1. `add`: write these destinations: new ones, and live ones whose entry was
 *      prepared for another outer source (these keep mark and counters);
 *   2. `rings`: fill these rings (they are free: no live vip names them);
 *   3. publish all vips of the next model at once;
 *   4. wait for a grace period;
 *   5. `retire`: clear these destinations; then, when their rules and flows are
 *      gone, wm_model__release_dest(). Rings that are no longer named are free
 *      again by themselves in the next model's next plan.
 */
struct wm_plan_ring {
	uint32_t ring;  /* index in the data plane */
	uint16_t *slot; /* WM_RING_SLOTS ids */
};

#define WM_PLAN_NOTHING "nothing to change" /* the summary then */

struct wm_plan {
	struct wm_model *next;
	uint16_t *add;
	size_t n_add;
	uint16_t *retire;
	size_t n_retire;
	struct wm_plan_ring *rings;
	size_t n_rings;
	bool publish; /* false: step 3 would change nothing */
	/* What goes, of what is there now: for wm_plan__guard(). */
	size_t vips_removed, vips_before, reals_removed, reals_before;
	/* for people: "2 vips, 7 reals added; 1 real removed; ..." */
	char summary[256];
	/* And by name, a line each, as far as they are few; "": nothing was there before. */
	char *changes;
};

/* An empty model. NULL: out of memory. */
struct wm_model *wm_model__new(const struct wm_model_limits *limits);
void wm_model__free(struct wm_model *model);

/*
 * Take over what a running data plane holds, before the first plan: first every
 * vip, then every destination that was ever written (encap is not
 * WM_ENCAP_NONE), also those whose mark was cleared; then the vips' rings.
 *
 * -EINVAL or -EEXIST for what contradicts itself; the caller drops such an
 * entry. A destination that is cleared, or whose vip is unknown (-EINVAL), keeps
 * its id from being given out again: the next plan retires it like one that left
 * the configuration, and it comes back with the next generation.
 *
 * A ring that was adopted need not be filled again if the next plan wants the
 * same slots. A vip whose ring was not adopted gets a new one.
 */
int wm_model__adopt_vip(struct wm_model *model, const struct wm_vip *vip);
int wm_model__adopt_dest(struct wm_model *model, uint16_t id, const struct wm_dest *dest);
int wm_model__adopt_ring(struct wm_model *model, uint16_t vip_number,
			 const uint16_t slot[WM_RING_SLOTS]);

/*
 * Plan the way from `now` to what `config` says. Returns 0 and a plan to free
 * with wm_plan__free(), which frees plan->next too unless it was taken out (set
 * to NULL). -ENOSPC: ids, vips or rings do not suffice; -ENOMEM. `now` is not
 * changed.
 */
int wm_plan__make(const struct wm_model *now, const struct wm_config *config, struct wm_plan **plan,
		  struct wm_err *err);
/* What a plan may do that nobody has to confirm. */
struct wm_guard {
	uint32_t max_removal; /* percent of the vips, and of the reals, that are there */
	const char *confirm;  /* what to do if it is meant all the same; for the message */
};
/* -EPERM if the plan does more. guard may be NULL: it may do anything. */
int wm_plan__guard(const struct wm_plan *plan, const struct wm_guard *guard, struct wm_err *err);
void wm_plan__free(struct wm_plan *plan);

/* A retiring id becomes free. Any other id is left alone. */
void wm_model__release_dest(struct wm_model *model, uint16_t id);

/* Readers. Pointers stay valid until the model is freed. */
const struct wm_model_limits *wm_model__limits(const struct wm_model *model);
/* Another one than that of every present model before. */
uint64_t wm_model__serial(const struct wm_model *model);
size_t wm_model__n_vips(const struct wm_model *model);
const struct wm_model_vip *wm_model__vip(const struct wm_model *model, size_t index);
/* By number; by name, or "addr:port/proto"; by what a packet carries (exact
 * port first, then port 0). NULL: none. */
const struct wm_model_vip *wm_model__vip_by_number(const struct wm_model *model, uint16_t number);
const struct wm_model_vip *wm_model__vip_by_name(const struct wm_model *model, const char *name);
const struct wm_model_vip *wm_model__vip_of(const struct wm_model *model, const struct wm_addr *dst,
					    __be16 dport, uint8_t proto);
/* NULL for an id that is free or out of range. */
const struct wm_model_dest *wm_model__dest(const struct wm_model *model, uint16_t id);
/* How many are in this state. */
size_t wm_model__n_dests(const struct wm_model *model, enum wm_dest_state state);
uint32_t wm_model__dest_mark(const struct wm_model *model, const struct wm_model_dest *dest);

/* The longest frame that a device of this MTU takes with its outer header, as it was
 * without: from its Ethernet header to its last byte. Local consumers have no limit. */
uint16_t wm_model__max_frame(uint8_t real_family, uint32_t mtu);

/* The entries of the data plane's tables for a vip and for a destination (the
 * latter without its next hop's MAC address and without max_frame). */
void wm_model__vip_entry(const struct wm_model *model, const struct wm_model_vip *vip,
			 struct wm_vip *entry);
void wm_model__dest_entry(const struct wm_model *model, const struct wm_model_dest *dest,
			  const struct wm_config *config, struct wm_dest *entry);

/* The ring of a vip, built anew from the weights of the last plan:
 * WM_RING_SLOTS ids into `slot`. 0 or -ENOMEM. */
int wm_model__ring(const struct wm_model *model, const struct wm_model_vip *vip, uint16_t *slot);

/* Where the ring sends a packet. slot < WM_RING_SLOTS; real.family 0: nobody.
 * The outer source is given as the real's family says, none to a local consumer.
 * 0; -ENOMEM; -EINVAL for a flow that is neither IPv4 nor IPv6. */
struct wm_where {
	const struct wm_model_vip *vip; /* NULL: not ours */
	uint32_t slot;
	uint16_t dest;
	struct wm_addr real;
	struct wm_addr outer_src;
};
int wm_model__where(const struct wm_model *model, const struct wm_config *config,
		    const struct wm_flow *flow, struct wm_where *where);

#endif
