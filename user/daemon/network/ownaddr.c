// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel says by a route look-up: what it would deliver to itself is its own, whether by
 * an address or by a local route. A pass is not begun anew while it goes on, so that a
 * machine whose routes change all the time gets on.
 */
#include "ownaddr.h"

#include "hops.h"
#include "running.h"

enum {
	SLICE = 512,                 /* vips looked up in one go */
	PACE_US = 20 * WM_TIMER_MS,
};

/* Sorts of vips stand together in a configuration: most share their address with the
 * one before. */
static void look_at(const struct wm_ownaddr *own, size_t i)
{
	const struct wm_model *model = own->running->model;
	const struct wm_model_vip *vip = wm_model__vip(model, i), *last;

	last = i ? wm_model__vip(model, i - 1) : NULL;
	if (last && wm_addr__equal(&last->address, &vip->address))
		return;
	wm_dp__address_own(own->running->dp, vip->address.word, vip->address.family,
			   wm_hops__is_local(own->hops, &vip->address));
}

static void on_timer(void *arg)
{
	struct wm_ownaddr *own = arg;
	size_t end = own->next + SLICE, n = wm_model__n_vips(own->running->model);

	for (; own->next < end && own->next < n; own->next++)
		look_at(own, own->next);
	if (own->next < n) {
		wm_timer__arm(&own->timer, PACE_US);
		return;
	}
	own->next = 0;
	if (own->again)
		wm_timer__arm(&own->timer, PACE_US);
	own->again = false;
}

void wm_ownaddr__look(struct wm_ownaddr *own)
{
	if (!own->hops)
		return;
	if (own->next)
		own->again = true;
	else
		wm_timer__arm_within(&own->timer, 0);
}

int wm_ownaddr__init(struct wm_ownaddr *own, sd_event *event, const struct wm_running *running,
		     const struct wm_hops *hops)
{
	own->running = running;
	own->hops = hops;
	return wm_timer__init(&own->timer, event, on_timer, own);
}

void wm_ownaddr__free(struct wm_ownaddr *own)
{
	wm_timer__free(&own->timer);
}
