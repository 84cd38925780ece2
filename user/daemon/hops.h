/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The next hop's MAC address for each real: given in the configuration
 * (`gateway`), or found out by route and neighbour and followed from then on.
 * A real whose next hop is not known cannot be sent to; whoever asks here keeps
 * it out of the rings until it is.
 */
#ifndef WM_HOPS_H
#define WM_HOPS_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "addr.h"
#include "config.h"
#include "err.h"

struct wm_hops;

/* `changed` is called from the loop, some time after a next hop became known or
 * changed. ifindex: the interfaces that packets leave by; kept, not copied. */
int wm_hops__new(struct wm_hops **hops, sd_event *event, const int *ifindex, size_t n,
		 void (*changed)(void *arg), void *arg, struct wm_err *err);
void wm_hops__free(struct wm_hops *hops);

/* What the data plane sends to: believed until the kernel says otherwise. To be
 * followed by wm_hops__add(). */
int wm_hops__learn(struct wm_hops *hops, const struct wm_addr *real, const uint8_t mac[6]);

/* Follow the reals of this configuration too. 0 or -ENOMEM. */
int wm_hops__add(struct wm_hops *hops, const struct wm_config *config);
/* Follow only these any more. */
void wm_hops__keep(struct wm_hops *hops, const struct wm_config *config);

/* Is there one that is not known and that nobody was warned of? */
bool wm_hops__waiting(const struct wm_hops *hops);
/* Wait until there is none, `ms` at most, and hold up the loop. */
void wm_hops__wait(struct wm_hops *hops, int ms);
/* Name in the log those that are not, each once. */
void wm_hops__warn(struct wm_hops *hops);

/* false: not known. */
bool wm_hops__mac(const struct wm_hops *hops, const struct wm_config *config,
		  const struct wm_addr *real, uint8_t mac[6]);

#endif
