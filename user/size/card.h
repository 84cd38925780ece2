/* SPDX-License-Identifier: GPL-2.0 */
/* A NIC that is played: a table of a given size that takes rules after a delay. */
#ifndef WM_CARD_H
#define WM_CARD_H

#include "offload.h"
#include "source.h"

struct wm_card_options {
	uint32_t capacity;
	uint64_t delay_ns; /* from asking for a rule to having it; 0: at once */
	struct wm_source *source;
};

extern const struct wm_offload_ops wm_card_ops; /* without open and close: */
struct wm_offload *wm_card__new(const struct wm_card_options *options);
void wm_card__free(struct wm_offload *card);

/* What time it is: before rules.c is let at it. */
void wm_card__set_time(struct wm_offload *card, uint64_t now);
/* Is this packet one that a rule matches? It is counted then. */
bool wm_card__marks(struct wm_offload *card, const struct wm_packet *p);
/* The flow ends: count what it had. */
void wm_card__settle(struct wm_offload *card, uint32_t flow, uint64_t now);
void wm_card__settle_all(struct wm_offload *card, uint64_t now);

struct wm_card_stats {
	uint32_t rules;
	uint64_t marked;  /* packets, as far as settled */
	bool failed;      /* no memory */
};
void wm_card__stats(const struct wm_offload *card, struct wm_card_stats *out);

#endif
