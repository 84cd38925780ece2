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
 * A real whose next hop is unknown is planned as one that is away: it has its id, but
 * no slot, and its entry is not written. When the hop becomes known the entry is
 * written as if it were new, and the next plan gives it its slots. A local consumer that is
 * gone is away too, if its vip has somebody else; and so is a real that is down by its
 * check, or disabled by hand (user/daemon/health/). One that is drained has no slots, and is
 * not away.
 */
#include "apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "health.h"
#include "hops.h"
#include "local.h"
#include "log.h"
#include "monotonic.h"
#include "nic.h"
#include "ownaddr.h"
#include "pool.h"
#include "retire.h"
#include "running.h"
#include "uplinks.h"

static struct wm_dp *dp_of(const struct wm_apply *a)
{
	return a->with.running->dp;
}

static struct wm_model *model_of(const struct wm_apply *a)
{
	return a->with.running->model;
}

/* --- the configuration as far as it can be served now --- */

static void free_view(struct wm_config *view)
{
	for (size_t i = 0; view->vips && i < view->n_vips; i++)
		free(view->vips[i].reals);
	free(view->vips);
}

bool wm_apply__is_there(const struct wm_apply *a, const struct wm_config *config,
			const struct wm_addr *real)
{
	uint8_t mac[6];

	return real->family == WM_LOCAL ? wm_local__present(a->with.local, real)
					: wm_hops__mac(a->with.hops, config, real, mac);
}

static int view_reals(const struct wm_apply *a, const struct wm_config *config,
		      const struct wm_config_vip *from, struct wm_config_vip *to)
{
	bool anybody = false;

	to->reals = calloc(from->n_reals + 1, sizeof(*to->reals));
	if (!to->reals)
		return -ENOMEM;
	for (size_t i = 0; i < from->n_reals; i++) {
		to->reals[i] = from->reals[i];
		to->reals[i].away = !wm_apply__is_there(a, config, &from->reals[i].address);
		anybody = anybody || (to->reals[i].weight && !to->reals[i].away);
	}
	/* Where nobody else can take them, the flows of a local consumer that is gone wait
	 * for it: it finds its ring as it was. */
	for (size_t i = 0; i < from->n_reals && !anybody; i++)
		if (from->reals[i].address.family == WM_LOCAL)
			to->reals[i].away = false;
	wm_admin__mark(a->with.admin, from, to->reals);
	return wm_health__judge(a->with.health, from, to->reals);
}

/* A copy of which only the lists of vips and reals are its own. */
static int make_view(const struct wm_apply *a, const struct wm_config *config,
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
		if (view_reals(a, config, &config->vips[i], &view->vips[i])) {
			free_view(view);
			return -ENOMEM;
		}
	}
	return 0;
}

/* --- destinations --- */

/* One more than the highest id. */
static uint32_t end_of_ids(const struct wm_apply *a)
{
	return 1u << wm_dp__params(dp_of(a))->dest_bits;
}

/* false: it cannot be written, its next hop is unknown. */
static bool entry_of(const struct wm_apply *a, const struct wm_model *model,
		     const struct wm_config *config, const struct wm_model_dest *dest,
		     struct wm_dest *entry)
{
	memset(entry, 0, sizeof(*entry));
	wm_model__dest_entry(model, dest, config, entry);
	entry->max_frame = wm_uplinks__max_frame(a->with.uplinks, &dest->real,
						wm_hops__mtu(a->with.hops, config, &dest->real));
	entry->only = wm_hops__only(a->with.hops, config, &dest->real);
	if (entry->only) {
		entry->only_frame = entry->max_frame;
		entry->max_frame = 0;
	}
	if (dest->away)
		entry->only |= WM_DEST_AWAY;
	return wm_hops__mac(a->with.hops, config, &dest->real, entry->dmac);
}

/* Write the entries that are not as they should be. Before the switch only those
 * that no packet can find: others may change when nothing can fail any more. */
static void write_dests(struct wm_apply *a, const struct wm_model *model,
			const struct wm_config *config, bool before_switch)
{
	for (uint32_t id = 1; id < end_of_ids(a); id++) {
		const struct wm_model_dest *dest = wm_model__dest(model, id);
		const struct wm_dest *is = wm_dp__dest(dp_of(a), id);
		struct wm_dest entry;

		if (!dest || dest->state != WM_DEST_LIVE || (before_switch && is->mark))
			continue;
		if (entry_of(a, model, config, dest, &entry) && memcmp(is, &entry, sizeof(entry)))
			wm_dp__dest_set(dp_of(a), id, &entry);
	}
}

/* plan->add also names live ones whose entries have to change. */
static bool is_new(const struct wm_apply *a, uint16_t id)
{
	const struct wm_model_dest *dest = wm_model__dest(model_of(a), id);

	return !dest || dest->state != WM_DEST_LIVE;
}

static void reset_stats(struct wm_apply *a, const struct wm_plan *plan)
{
	for (size_t i = 0; i < plan->n_add; i++)
		if (is_new(a, plan->add[i]))
			wm_dp__dest_stats_reset(dp_of(a), plan->add[i]);
}

static void take_back_dests(struct wm_apply *a, const struct wm_plan *plan)
{
	for (size_t i = 0; i < plan->n_add; i++)
		if (is_new(a, plan->add[i]))
			wm_dp__dest_clear(dp_of(a), plan->add[i]);
}

static void clear_dests(struct wm_apply *a, const struct wm_plan *plan)
{
	const struct wm_model *model = model_of(a);

	for (size_t i = 0; i < plan->n_retire; i++) {
		const struct wm_model_dest *dest = wm_model__dest(model, plan->retire[i]);

		wm_dp__dest_clear(dp_of(a), plan->retire[i]);
		if (dest)
			wm_retire__add(a->with.retire, dest->id, wm_model__dest_mark(model, dest));
	}
	if (plan->n_retire)
		wm_dp__grace(dp_of(a)); /* then no packet enters a flow to them any more */
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
	wm_dp__ring(f->dp, ring->ring)->dropped = 0; /* a vip's that is gone */
	return 0;
}

/* On a thread that is not the loop's. */
static int make_plan(struct wm_apply *a, struct wm_change *change)
{
	struct filling filling = { .dp = dp_of(a) };
	int ret;

	ret = wm_plan__make(model_of(a), &change->view, &change->plan, &change->err);
	if (!ret)
		ret = wm_plan__guard(change->plan, change->guard, &change->err);
	if (ret)
		return ret;
	filling.plan = change->plan;
	return wm_pool__run(change->plan->n_rings, fill_ring, &filling);
}

/* --- vips --- */

static int publish(struct wm_apply *a, const struct wm_model *model, struct wm_err *err)
{
	size_t n = wm_model__n_vips(model);
	struct wm_vip *entry = calloc(n + 1, sizeof(*entry));
	int ret;

	if (!entry)
		return wm_err__sys(err, -ENOMEM, "cannot write %zu vips", n);
	for (size_t i = 0; i < n; i++) {
		wm_model__vip_entry(model, wm_model__vip(model, i), &entry[i]);
		/* As far as it is known; ownaddr.c has another look. */
		if (wm_dp__address_is_own(dp_of(a), entry[i].addr, entry[i].family))
			entry[i].flags |= WM_VIP_OWN;
	}
	ret = wm_dp__vips_publish(dp_of(a), entry, n, err);
	free(entry);
	return ret;
}

/* A vip's drops follow it to its new ring, once no packet sees the old one. */
static void move_drops(struct wm_apply *a, const struct wm_model *before)
{
	const struct wm_model *model = model_of(a);

	for (size_t i = 0; i < wm_model__n_vips(model); i++) {
		const struct wm_model_vip *vip = wm_model__vip(model, i);
		const struct wm_model_vip *old = wm_model__vip_by_number(before, vip->number);

		if (old && old->ring != vip->ring)
			wm_dp__ring_take_dropped(dp_of(a), vip->ring, old->ring);
	}
}

/* The flows of a vip that shall not be offloaded any more leave the NIC. */
static void retire_unwanted_rules(struct wm_apply *a, const struct wm_model *before)
{
	const struct wm_model *model = model_of(a);

	for (size_t i = 0; i < wm_model__n_vips(model); i++) {
		const struct wm_model_vip *vip = wm_model__vip(model, i);
		const struct wm_model_vip *old = wm_model__vip_by_number(before, vip->number);

		if (vip->offload || !old || !old->offload)
			continue;
		for (size_t k = 0; k < vip->n_dests; k++) {
			const struct wm_model_dest *dest = wm_model__dest(model, vip->dests[k]);

			wm_nic__retire_mark(a->with.nic, wm_model__dest_mark(model, dest),
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

static void set_flag(volatile struct wm_ctl *ctl, uint32_t flag, bool on)
{
	ctl->flags = on ? ctl->flags | flag : ctl->flags & ~flag;
}

void wm_apply__control_page(const struct wm_apply *a, const struct wm_config *config)
{
	struct wm_dp *dp = dp_of(a);
	volatile struct wm_ctl *ctl = wm_dp__ctl(dp);

	ctl->promote_after = wm_nic__promotes(a->with.nic) ? config->offload.promote_after : 0;
	ctl->rule_idle = ticks(dp, wm_rules__gone_after_ns(config->offload.idle_ns));
	ctl->udp_idle = ticks(dp, config->udp_idle_ns);
	ctl->ring_seed_v4 = config->ring_seed_v4;
	ctl->ring_seed_v6 = config->ring_seed_v6;
	ctl->src4 = config->source4.word[0];
	for (int i = 0; i < 3; i++)
		ctl->src6[i] = config->source6.word[i];
	/* What is in a frame's address anybody can have written. */
	set_flag(ctl, WM_CTL_TRUST_MARKS, config->trust_marks &&
		 !wm_dp__params(dp)->mac_prefix);
	set_flag(ctl, WM_CTL_COPY_DF, config->copy_df);
}

/* --- a plan --- */

/* Up to and including the switch. */
static int switch_over(struct wm_apply *a, const struct wm_plan *plan,
		       const struct wm_config *config, struct wm_err *err)
{
	int ret = wm_retire__reserve(a->with.retire, plan->n_retire);

	if (ret)
		return wm_err__sys(err, ret, "cannot change the data plane");
	reset_stats(a, plan);
	write_dests(a, plan->next, config, true);
	ret = plan->publish ? publish(a, plan->next, err) : 0;
	if (ret)
		take_back_dests(a, plan);
	return ret;
}

static int carry_out(struct wm_apply *a, struct wm_plan *plan, const struct wm_config *config,
		     struct wm_err *err)
{
	struct wm_model *before = model_of(a);
	int ret;

	ret = switch_over(a, plan, config, err);
	if (ret)
		return ret;
	a->with.running->model = plan->next;
	plan->next = NULL;
	wm_apply__control_page(a, config);
	write_dests(a, model_of(a), config, false);
	if (plan->publish) {
		wm_ownaddr__look(a->with.ownaddr);
		wm_dp__grace(dp_of(a));
	}
	move_drops(a, before);
	wm_retire__trim(a->with.retire);
	clear_dests(a, plan);
	retire_unwanted_rules(a, before);
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

int wm_apply__config(struct wm_apply *a, const struct wm_config *config,
		     const struct wm_guard *guard, struct wm_err *err)
{
	struct wm_change change = { .guard = guard };
	int ret;

	if (make_view(a, config, &change.view))
		return wm_err__sys(err, -ENOMEM, "cannot plan the configuration");
	ret = make_plan(a, &change);
	if (ret)
		*err = change.err;
	else
		ret = carry_out(a, change.plan, &change.view, err);
	if (!ret) {
		wm_info("%s: %s", a->with.file, change.plan->summary);
		wm_apply__tell(change.plan->changes);
	}
	end_change(&change);
	return ret;
}

void wm_apply__tell(const char *changes)
{
	for (size_t len; changes && *changes; changes += len + (changes[len] == '\n')) {
		len = strcspn(changes, "\n");
		wm_info("%.*s", (int)len, changes);
	}
}

static void plan(void *arg)
{
	struct wm_apply *a = arg;

	a->change.error = make_plan(a, &a->change);
}

static void planned(void *arg)
{
	struct wm_apply *a = arg;
	struct wm_change change = a->change;
	int ret = change.error;

	if (!ret)
		ret = carry_out(a, change.plan, &change.view, &change.err);
	a->busy = false;
	wm_retire__hold(a->with.retire, false);
	a->done(a->arg, ret, ret ? change.err.text : change.plan->summary,
		ret ? "" : change.plan->changes);
	end_change(&change);
	wm_apply__catch_up(a);
}

int wm_apply__start(struct wm_apply *a, const struct wm_config *config,
		    const struct wm_guard *guard, wm_apply_done done, void *arg)
{
	if (a->busy)
		return -EBUSY;
	a->change = (struct wm_change){ .guard = guard };
	if (make_view(a, config, &a->change.view))
		return -ENOMEM;
	a->busy = true;
	wm_retire__hold(a->with.retire, true);
	a->done = done;
	a->arg = arg;
	wm_worker__start(a->worker, plan, planned, a);
	return 0;
}

int wm_apply__init(struct wm_apply *a, sd_event *event, const struct wm_apply_parts *with)
{
	a->with = *with;
	return wm_worker__new(&a->worker, event);
}

void wm_apply__free(struct wm_apply *apply)
{
	wm_worker__free(apply->worker);
	if (apply->busy)
		end_change(&apply->change);
	*apply = (struct wm_apply){};
}

/* --- the same configuration, and other reals that are there --- */

static void applied_again(void *arg, int ret, const char *text, const char *changes)
{
	(void)arg;
	(void)changes; /* hops.c, peers.c and health.c have said it */
	if (ret)
		wm_error("next hops, local consumers or the health of reals have changed, and the "
			 "rings cannot: %s", text);
	else
		wm_debug("next hops, local consumers or the health of reals have changed: %s",
			 text);
}

void wm_apply__again(struct wm_apply *a)
{
	a->due = true;
	wm_apply__catch_up(a);
}

void wm_apply__hold(struct wm_apply *a, bool hold)
{
	a->held = hold;
}

void wm_apply__catch_up(struct wm_apply *a)
{
	if (!a->due || a->busy || a->held)
		return;
	a->due = false;
	if (wm_apply__start(a, a->with.running->config, NULL, applied_again, NULL))
		applied_again(NULL, -ENOMEM, strerror(ENOMEM), "");
}
