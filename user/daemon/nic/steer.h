/* SPDX-License-Identifier: GPL-2.0 */
/* Steering rules in every NIC: what the configuration says of vips and queues, and what
 * the kernel says of the queues. */
#ifndef WM_STEER_H
#define WM_STEER_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

struct wm_nic;
struct wm_steering_stats;

/* Rules as this configuration wants them, now; where rules of flows make way for them, the
 * rest follows, see wm_nic__when_quiet(). The program is on its queues by now, and on
 * those that it loses still. */
void wm_steer__configure(struct wm_nic *nic, const struct wm_config *config);
/* No rule any more: before the program goes. */
void wm_steer__off(struct wm_nic *nic);
/* The interface in this position of the configuration is away, or there and not served;
 * false: it is served again. */
void wm_steer__hold(struct wm_nic *nic, size_t position, bool hold);
/* Of all cards together. */
void wm_steer__stats(const struct wm_nic *nic, struct wm_steering_stats *sum);

#endif
