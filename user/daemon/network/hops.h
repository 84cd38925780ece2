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
#include "crossing.h"
#include "err.h"

struct wm_hops;

/* `changed` is called from the loop, some time after a next hop became known or
 * changed. ifindex, port: the interfaces that packets leave by; kept, not copied. vrf: the
 * VRF device that they are in, 0: none. */
int wm_hops__new(struct wm_hops **hops, sd_event *event, const int *ifindex,
		 const struct wm_port *port, size_t n, int vrf, void (*changed)(void *arg),
		 void *arg, struct wm_err *err);
void wm_hops__free(struct wm_hops *hops);

/* What the data plane sends to: believed until the kernel says otherwise. To be
 * followed by wm_hops__add(). */
int wm_hops__learn(struct wm_hops *hops, const struct wm_addr *real, const uint8_t mac[6]);

/* Follow the reals of this configuration too. 0 or -ENOMEM. */
int wm_hops__add(struct wm_hops *hops, const struct wm_config *config);
/* Follow only these any more. */
void wm_hops__keep(struct wm_hops *hops, const struct wm_config *config);

/* Routes, or what they are made of, have changed: look all up again. */
void wm_hops__look_again(struct wm_hops *hops, int vrf);

/* Is there one that is not known and that nobody was warned of? */
bool wm_hops__waiting(const struct wm_hops *hops);
/* Wait until there is none, `ms` at most, and hold up the loop. */
void wm_hops__wait(struct wm_hops *hops, int ms);
/* Name in the log those that are not, each once; many of a kind are one line. */
void wm_hops__warn(struct wm_hops *hops);

enum { WM_HOPS_WHY = 160 };
/* Why nothing can be sent to this real. false: it can, or it is not followed. */
bool wm_hops__why(const struct wm_hops *hops, const struct wm_addr *real, char text[WM_HOPS_WHY]);
/* The MTU that somebody gave the route to this real; 0: none. */
uint32_t wm_hops__mtu(const struct wm_hops *hops, const struct wm_config *config,
		      const struct wm_addr *real);
/*
 * With several interfaces: does each lead to the next hops of these reals? Of those only
 * that are not served yet; from now on they are known as they were found. `confirm` is what
 * to do if it is meant, NULL: it is. 0 or -EXDEV.
 */
int wm_hops__check(struct wm_hops *hops, const struct wm_config *config, const char *confirm,
		   struct wm_err *err);
/* The only interface that packets for this real may leave by; 0: there is no such. */
int wm_hops__only(const struct wm_hops *hops, const struct wm_config *config,
		  const struct wm_addr *real);
enum { WM_HOPS_APART = 512 };
/* The reals to which the i-th interface does not lead, and why; false: there is none. */
bool wm_hops__apart(const struct wm_hops *hops, size_t i, char text[WM_HOPS_APART]);

/* Would this machine deliver packets for this address to itself? */
bool wm_hops__is_local(const struct wm_hops *hops, const struct wm_addr *addr);
/* false: not known. */
bool wm_hops__mac(const struct wm_hops *hops, const struct wm_config *config,
		  const struct wm_addr *real, uint8_t mac[6]);

#endif
