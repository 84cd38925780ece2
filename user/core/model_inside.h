/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the model: what model.c, entry.c, plan.c and where.c share. */
#ifndef WM_MODEL_INSIDE_H
#define WM_MODEL_INSIDE_H

#include "maglev.h"
#include "model.h"
#include "service.h"

struct dest {
	struct wm_model_dest is; /* generation: of a free id, the one that it gets next */
	uint16_t csum4;          /* as the data plane's entry has it */
	uint16_t next, prev;     /* in the queue of free ids */
	bool unannounced;        /* retiring, but no plan has said so yet */
};

struct vip {
	struct wm_model_vip is;
	uint64_t ring_hash; /* of the slots in the data plane; 0: not known */
	bool weighed;       /* its dests have the weights that its ring was made of */
};

/* Destinations are indexed by id. Id 0 is nobody's: it is the head of the ring
 * of free ids (next: used first, prev: freed last). */
struct wm_model {
	struct wm_model_limits limits;
	uint64_t serial;
	struct dest *dest;
	struct vip *vip;         /* in the order of the configuration */
	size_t n_vips, room;     /* room: entries allocated */
	uint16_t *by_service;    /* indices into vip, sorted by service */
	uint16_t last_number;    /* given to a vip */
	uint16_t number[1 << 16]; /* vip's number -> index + 1 */
};

static inline uint32_t wm_model__ids(const struct wm_model *model)
{
	return 1u << model->limits.dest_bits;
}

static inline struct wm_service wm_model__service(const struct wm_model_vip *vip)
{
	return (struct wm_service){ vip->address, vip->port, vip->proto };
}

/* Append a vip that has a number of its own and an address that no other has.
 * NULL: out of memory. */
struct vip *wm_model__append_vip(struct wm_model *model, const struct wm_service *service,
				 const char *name, uint16_t number);
struct vip *wm_model__find_vip(const struct wm_model *model, const struct wm_service *service);

/* The queue of free ids. take: 0 if none is free. */
uint16_t wm_model__take_id(struct wm_model *model);

/* What tells one ring from another; never 0. */
uint64_t wm_ring__hash(const uint16_t slot[WM_RING_SLOTS]);

/* Sum of the fixed fields of the outer IPv4 header; 0 for an outer IPv6 header. */
uint16_t wm_dest__csum4(const struct wm_model_vip *vip, const struct wm_addr *real,
			const struct wm_addr *source4);
enum wm_encap wm_dest__encap(uint8_t vip_family, uint8_t real_family);
uint8_t wm_dest__real_family(const struct wm_dest *entry);
/* The mark that an entry last had: also after it was cleared. */
uint32_t wm_dest__last_mark(const struct wm_dest *entry);

#endif
