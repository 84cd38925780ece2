// SPDX-License-Identifier: GPL-2.0
/*
 * The order is what counts:
 *   cleared in the data plane, grace period   no packet enters such a flow any more
 *   sweep                                     and none is in the table
 *   rules deleted                             and the NIC marks no packet so
 *   released
 * A sweep reads the whole flow table, so all that wait share one, and there is
 * one a second at most.
 */
#include "retire.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon.h"
#include "log.h"

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

void wm_retire__add(struct wm_daemon *d, uint16_t id, uint32_t mark)
{
	d->retire.list[d->retire.n++] = (struct wm_retiring){ .id = id, .mark = mark };
	wm_nic__retire_mark(&d->nic, mark, wm_now_ns());
	wm_nic__hurry(&d->nic);
	wm_timer__arm_within(&d->retire.timer, LOOK_US);
}

static bool is_retiring(const struct wm_daemon *d, const struct wm_retiring *r)
{
	const struct wm_model_dest *dest = wm_model__dest(d->model, r->id);

	return dest && dest->state == WM_DEST_RETIRING;
}

void wm_retire__trim(struct wm_daemon *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->retire.n; i++)
		if (is_retiring(d, &d->retire.list[i]))
			d->retire.list[kept++] = d->retire.list[i];
	d->retire.n = kept;
}

static void sweep(struct wm_daemon *d, uint64_t now)
{
	struct wm_retire *retire = &d->retire;
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
	removed = wm_dp__flow_sweep(d->dp, ids);
	retire->next_sweep_ns = now + SWEEP_INTERVAL_NS;
	wm_debug("destinations gone: %zu, and flows with them: %llu", n,
		 (unsigned long long)removed);
}

static void look(void *arg)
{
	struct wm_daemon *d = arg;
	struct wm_retire *retire = &d->retire;
	uint64_t now = wm_now_ns();
	size_t kept = 0;

	if (d->apply.busy) { /* the model that is planned from stays as it is */
		wm_timer__arm(&retire->timer, LOOK_US);
		return;
	}
	if (now >= retire->next_sweep_ns)
		sweep(d, now);
	for (size_t i = 0; i < retire->n; i++) {
		struct wm_retiring *r = &retire->list[i];

		if (!r->swept || wm_nic__mark_in_use(&d->nic, r->mark))
			retire->list[kept++] = *r;
		else
			wm_model__release_dest(d->model, r->id);
	}
	retire->n = kept;
	if (kept)
		wm_timer__arm(&retire->timer, LOOK_US);
}

int wm_retire__init(struct wm_daemon *d)
{
	return wm_timer__init(&d->retire.timer, d->event, look, d);
}

void wm_retire__free(struct wm_retire *retire)
{
	wm_timer__free(&retire->timer);
	free(retire->list);
	retire->list = NULL;
	retire->n = retire->size = 0;
}
