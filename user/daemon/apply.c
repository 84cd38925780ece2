// SPDX-License-Identifier: GPL-2.0
/*
 * A change is planned, and then carried out in this order; model.h says why:
 *
 *   rings that change                    into rings that nobody names yet
 *   destinations that are new            nobody names them yet
 *   all vips at once                     the one store that switches
 *   control page, next hops
 *   grace period                         the last packet that saw the old is gone
 *   destinations that went               cleared; retire.c sees them off
 *
 * What can fail (memory, a vip table that is too full) comes before the switch
 * and is taken back.
 *
 * Planning and the rings take most of the time, a second where there are
 * thousands of rings. They need nothing but the present model, which stays as it
 * is meanwhile (retire.c keeps still), and rings that are free: once the daemon
 * serves, they are a worker's, and the loop goes on. One change is under way at
 * a time. Next hops that become known meanwhile are the next change.
 *
 * A real whose next hop is unknown is planned with weight 0: it has its id, but
 * no slot, and its entry is not written. When the hop becomes known the entry is
 * written as if it were new, and the next plan gives it its slots.
 */
#include "apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "log.h"
#include "pool.h"

/* --- the configuration as far as it can be served now --- */

static void free_view(struct wm_config *view)
{
	for (size_t i = 0; view->vips && i < view->n_vips; i++)
		free(view->vips[i].reals);
	free(view->vips);
}

static int view_reals(const struct wm_daemon *d, const struct wm_config *config,
		      const struct wm_config_vip *from, struct wm_config_vip *to)
{
	uint8_t mac[6];

	to->reals = calloc(from->n_reals + 1, sizeof(*to->reals));
	if (!to->reals)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_reals; i++) {
		to->reals[i] = from->reals[i];
		if (!wm_hops__mac(d->hops, config, &from->reals[i].address, mac))
			to->reals[i].weight = 0;
	}
	return 0;
}

/* A copy of which only the lists of vips and reals are its own. */
static int make_view(const struct wm_daemon *d, const struct wm_config *config,
		     struct wm_config *view)
{
	*view = *config;
	view->vips = calloc(config->n_vips + 1, sizeof(*view->vips));
	if (!view->vips)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_vips; i++) {
		view->vips[i] = config->vips[i];
		view->vips[i].reals = NULL;
	}
	for (size_t i = 0; i < config->n_vips; i++) {
		if (view_reals(d, config, &config->vips[i], &view->vips[i])) {
			free_view(view);
			return -ENOMEM;
		}
	}
	return 0;
}

/* --- destinations --- */

/* One more than the highest id. */
static uint32_t end_of_ids(const struct wm_daemon *d)
{
	return 1u << wm_dp__params(d->dp)->dest_bits;
}

/* false: it cannot be written, its next hop is unknown. */
static bool entry_of(const struct wm_daemon *d, const struct wm_model *model,
		     const struct wm_config *config, const struct wm_model_dest *dest,
		     struct wm_dest *entry)
{
	memset(entry, 0, sizeof(*entry));
	wm_model__dest_entry(model, dest, config, entry);
	return wm_hops__mac(d->hops, config, &dest->real, entry->dmac);
}

/* Write the entries that are not as they should be. Before the switch only those
 * that no packet can find: others may change when nothing can fail any more. */
static void write_dests(struct wm_daemon *d, const struct wm_model *model,
			const struct wm_config *config, bool before_switch)
{
	for (uint32_t id = 1; id < end_of_ids(d); id++) {
		const struct wm_model_dest *dest = wm_model__dest(model, id);
		const struct wm_dest *is = wm_dp__dest(d->dp, id);
		struct wm_dest entry;

		if (!dest || dest->state != WM_DEST_LIVE || (before_switch && is->mark))
			continue;
		if (entry_of(d, model, config, dest, &entry) && memcmp(is, &entry, sizeof(entry)))
			wm_dp__dest_set(d->dp, id, &entry);
	}
}

/* plan->add also names live ones whose entries have to change. */
static bool is_new(const struct wm_daemon *d, uint16_t id)
{
	const struct wm_model_dest *dest = wm_model__dest(d->model, id);

	return !dest || dest->state != WM_DEST_LIVE;
}

static void reset_stats(struct wm_daemon *d, const struct wm_plan *plan)
{
	for (size_t i = 0; i < plan->n_add; i++)
		if (is_new(d, plan->add[i]))
			wm_dp__dest_stats_reset(d->dp, plan->add[i]);
}

static void take_back_dests(struct wm_daemon *d, const struct wm_plan *plan)
{
	for (size_t i = 0; i < plan->n_add; i++)
		if (is_new(d, plan->add[i]))
			wm_dp__dest_clear(d->dp, plan->add[i]);
}

static void clear_dests(struct wm_daemon *d, const struct wm_plan *plan)
{
	for (size_t i = 0; i < plan->n_retire; i++) {
		const struct wm_model_dest *dest = wm_model__dest(d->model, plan->retire[i]);

		wm_dp__dest_clear(d->dp, plan->retire[i]);
		if (dest)
			wm_retire__add(d, dest->id, wm_model__dest_mark(d->model, dest));
	}
	if (plan->n_retire)
		wm_dp__grace(d->dp); /* then no packet enters a flow to them any more */
}

/* --- rings --- */

struct filling {
	struct wm_dp *dp;
	const struct wm_plan *plan;
};

static int fill_ring(void *arg, size_t i)
{
	const struct filling *f = arg;
	const struct wm_plan_ring *ring = &f->plan->rings[i];

	memcpy(wm_dp__ring(f->dp, ring->ring)->slot, ring->slot,
	       WM_RING_SLOTS * sizeof(*ring->slot));
	return 0;
}

/* On a thread that is not the loop's. */
static int make_plan(struct wm_daemon *d, struct wm_change *change)
{
	struct filling filling = { .dp = d->dp };
	int ret;

	ret = wm_plan__make(d->model, &change->view, &change->plan, &change->err);
	if (ret)
		return ret;
	filling.plan = change->plan;
	return wm_pool__run(change->plan->n_rings, fill_ring, &filling);
}

/* --- vips --- */

static int publish(struct wm_daemon *d, const struct wm_model *model, struct wm_err *err)
{
	size_t n = wm_model__n_vips(model);
	struct wm_vip *entry = calloc(n + 1, sizeof(*entry));
	int ret;

	if (!entry)
		return wm_err__sys(err, -ENOMEM, "cannot write %zu vips", n);
	for (size_t i = 0; i < n; i++)
		wm_model__vip_entry(model, wm_model__vip(model, i), &entry[i]);
	ret = wm_dp__vips_publish(d->dp, entry, n, err);
	free(entry);
	return ret;
}

/* The flows of a vip that shall not be offloaded any more leave the NIC. */
static void retire_unwanted_rules(struct wm_daemon *d, const struct wm_model *before)
{
	for (size_t i = 0; i < wm_model__n_vips(d->model); i++) {
		const struct wm_model_vip *vip = wm_model__vip(d->model, i);
		const struct wm_model_vip *old = wm_model__vip_by_number(before, vip->number);

		if (vip->offload || !old || !old->offload)
			continue;
		for (size_t k = 0; k < vip->n_dests; k++) {
			const struct wm_model_dest *dest = wm_model__dest(d->model, vip->dests[k]);

			wm_nic__retire_mark(&d->nic, wm_model__dest_mark(d->model, dest),
					    wm_now_ns());
		}
	}
}

/* --- the control page --- */

static uint32_t ticks(struct wm_dp *dp, uint64_t ns)
{
	uint64_t tick, n;

	wm_dp__tick_ns(dp, &tick);
	n = (ns + tick - 1) / tick;
	return n < WM_FLOW_AGE_MASK ? n : WM_FLOW_AGE_MASK;
}

void wm_apply__control_page(struct wm_daemon *d, const struct wm_config *config)
{
	volatile struct wm_ctl *ctl = wm_dp__ctl(d->dp);

	ctl->promote_after = wm_nic__works(&d->nic) ? config->offload.promote_after : 0;
	ctl->udp_idle = ticks(d->dp, config->udp_idle_ns);
	ctl->ring_seed_v4 = config->ring_seed_v4;
	ctl->ring_seed_v6 = config->ring_seed_v6;
	ctl->src4 = config->source4.word[0];
	for (int i = 0; i < 3; i++)
		ctl->src6[i] = config->source6.word[i];
	ctl->flags = config->trust_marks ? ctl->flags | WM_CTL_TRUST_MARKS
					 : ctl->flags & ~WM_CTL_TRUST_MARKS;
}

/* --- a plan --- */

/* Up to and including the switch. */
static int switch_over(struct wm_daemon *d, const struct wm_plan *plan,
		       const struct wm_config *config, struct wm_err *err)
{
	int ret = wm_retire__reserve(&d->retire, plan->n_retire);

	if (ret)
		return wm_err__sys(err, ret, "cannot change the data plane");
	reset_stats(d, plan);
	write_dests(d, plan->next, config, true);
	ret = plan->publish ? publish(d, plan->next, err) : 0;
	if (ret)
		take_back_dests(d, plan);
	return ret;
}

static int carry_out(struct wm_daemon *d, struct wm_plan *plan, const struct wm_config *config,
		     struct wm_err *err)
{
	struct wm_model *before = d->model;
	int ret;

	ret = switch_over(d, plan, config, err);
	if (ret)
		return ret;
	d->model = plan->next;
	plan->next = NULL;
	wm_apply__control_page(d, config);
	write_dests(d, d->model, config, false);
	if (plan->publish)
		wm_dp__grace(d->dp);
	wm_retire__trim(d);
	clear_dests(d, plan);
	retire_unwanted_rules(d, before);
	wm_model__free(before);
	return 0;
}

/* --- a change --- */

static void end_change(struct wm_change *change)
{
	wm_plan__free(change->plan);
	free_view(&change->view);
	*change = (struct wm_change){};
}

int wm_apply__config(struct wm_daemon *d, const struct wm_config *config, char *summary,
		     size_t size, struct wm_err *err)
{
	struct wm_change change = {};
	int ret;

	if (make_view(d, config, &change.view))
		return wm_err__sys(err, -ENOMEM, "cannot plan the configuration");
	ret = make_plan(d, &change);
	if (ret)
		*err = change.err;
	else
		ret = carry_out(d, change.plan, &change.view, err);
	if (!ret && summary)
		snprintf(summary, size, "%s", change.plan->summary);
	end_change(&change);
	return ret;
}

static void plan(void *arg)
{
	struct wm_daemon *d = arg;

	d->apply.change.error = make_plan(d, &d->apply.change);
}

static void planned(void *arg)
{
	struct wm_daemon *d = arg;
	struct wm_change change = d->apply.change;
	wm_apply_done done = d->apply.done;
	int ret = change.error;

	if (!ret)
		ret = carry_out(d, change.plan, &change.view, &change.err);
	d->apply.busy = false;
	done(d, ret, ret ? change.err.text : change.plan->summary);
	end_change(&change);
	wm_apply__catch_up(d);
}

int wm_apply__start(struct wm_daemon *d, const struct wm_config *config, wm_apply_done done)
{
	struct wm_apply *apply = &d->apply;

	if (apply->busy)
		return -EBUSY;
	apply->change = (struct wm_change){};
	if (make_view(d, config, &apply->change.view))
		return -ENOMEM;
	apply->busy = true;
	apply->done = done;
	wm_worker__start(apply->worker, plan, planned, d);
	return 0;
}

int wm_apply__init(struct wm_daemon *d)
{
	return wm_worker__new(&d->apply.worker, d->event);
}

void wm_apply__free(struct wm_apply *apply)
{
	wm_worker__free(apply->worker);
	if (apply->busy)
		end_change(&apply->change);
	*apply = (struct wm_apply){};
}

/* --- next hops --- */

static void hops_applied(struct wm_daemon *d, int ret, const char *text)
{
	(void)d;
	if (ret)
		wm_error("cannot use the next hops that were found: %s", text);
	else
		wm_debug("next hops have changed: %s", text);
}

void wm_apply__hops(struct wm_daemon *d)
{
	d->apply.hops_due = true;
	wm_apply__catch_up(d);
}

void wm_apply__catch_up(struct wm_daemon *d)
{
	/* A reload that has its file will bring the next hops along. */
	if (!d->apply.hops_due || d->apply.busy || wm_reload__changes(d))
		return;
	d->apply.hops_due = false;
	if (wm_apply__start(d, d->config, hops_applied))
		hops_applied(d, -ENOMEM, strerror(ENOMEM));
}
