// SPDX-License-Identifier: GPL-2.0
/*
 * The order is what counts:
 *   cleared in the data plane, grace period   no packet enters such a flow any more
 *   sweep                                     and none is in the table
 *   rules deleted                             and the NIC marks no packet so
 *   released
 * A sweep reads the whole flow table, so all that wait share one, and there is
 * one per second at most.
 */
#include "retire.h"

#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "monotonic.h"
#include "nic.h"
#include "running.h"

enum {
	LOOK_US = 20 * WM_TIMER_MS, /* rules go fast; ids should come back soon */
	SWEEP_INTERVAL_NS = 1000000000,
};

int wm_retire__reserve(struct wm_retire *retire, size_t n)
{
	size_t size = retire->n + n;
	void *list;

	if (size <= retire->size)
		return 0;
	list = realloc(retire->list, size * sizeof(*retire->list));
	if (!list)
		return -ENOMEM;
	retire->list = list;
	retire->size = size;
	return 0;
}

void wm_retire__add(struct wm_retire *retire, uint16_t id, uint32_t mark)
{
	retire->list[retire->n++] = (struct wm_retiring){ .id = id, .mark = mark };
	wm_nic__retire_mark(retire->nic, mark, wm_now_ns());
	wm_nic__hurry(retire->nic);
	wm_timer__arm_within(&retire->timer, LOOK_US);
}

static bool is_retiring(const struct wm_retire *retire, const struct wm_retiring *r)
{
	const struct wm_model_dest *dest = wm_model__dest(retire->running->model, r->id);

	return dest && dest->state == WM_DEST_RETIRING;
}

void wm_retire__trim(struct wm_retire *retire)
{
	size_t kept = 0;

	for (size_t i = 0; i < retire->n; i++)
		if (is_retiring(retire, &retire->list[i]))
			retire->list[kept++] = retire->list[i];
	retire->n = kept;
}

static void sweep(struct wm_retire *retire, uint64_t now)
{
	uint64_t ids[1024] = {}, removed;
	size_t n = 0;

	for (size_t i = 0; i < retire->n; i++) {
		struct wm_retiring *r = &retire->list[i];

		if (r->swept)
			continue;
		ids[r->id / 64] |= 1ull << r->id % 64;
		r->swept = true;
		n++;
	}
	if (!n)
		return;
	removed = wm_dp__flow_sweep(retire->running->dp, ids);
	retire->next_sweep_ns = now + SWEEP_INTERVAL_NS;
	wm_debug("destinations gone: %zu, and flows with them: %llu", n,
		 (unsigned long long)removed);
}

void wm_retire__look(struct wm_retire *retire)
{
	uint64_t now = wm_now_ns();
	size_t kept = 0;

	if (retire->held) {
		wm_timer__arm(&retire->timer, LOOK_US);
		return;
	}
	if (now >= retire->next_sweep_ns)
		sweep(retire, now);
	for (size_t i = 0; i < retire->n; i++) {
		struct wm_retiring *r = &retire->list[i];

		if (!r->swept || wm_nic__mark_in_use(retire->nic, r->mark))
			retire->list[kept++] = *r;
		else
			wm_model__release_dest(retire->running->model, r->id);
	}
	retire->n = kept;
	if (kept)
		wm_timer__arm(&retire->timer, LOOK_US);
}

static void look(void *arg)
{
	wm_retire__look(arg);
}

void wm_retire__hold(struct wm_retire *retire, bool hold)
{
	retire->held = hold;
}

int wm_retire__init(struct wm_retire *retire, sd_event *event, const struct wm_running *running,
		    struct wm_nic *nic)
{
	retire->running = running;
	retire->nic = nic;
	return wm_timer__init(&retire->timer, event, look, retire);
}

void wm_retire__free(struct wm_retire *retire)
{
	wm_timer__free(&retire->timer);
	free(retire->list);
	retire->list = NULL;
	retire->n = retire->size = 0;
}
