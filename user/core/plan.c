// SPDX-License-Identifier: GPL-2.0
/*
 * From the present model and a configuration to the next model and the list of
 * what has to be written.
 *
 *   copy      the next model gets the destinations as they are, and no vips;
 *   settle    every vip of the configuration keeps the number, and every
 *             (vip, real) the id, that it has now; the others get new ones;
 *   retire    what is live and was not settled retires;
 *   rings     a vip whose destinations and weights are as before keeps its ring.
 *             Else its ring is built; only if the slots differ from those in the
 *             data plane does it go to a free ring;
 *   publish   is due if any vip's entry differs.
 *
 * A number or ring that the present model uses is not given to another vip: up
 * to the moment of publishing, packets follow the present one. Nor is the
 * number of a vip that is gone while retiring destinations still carry it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rings.h"

enum {
	NUMBERS = 1 << 16,
	KEPT = 1,
	TAKEN = 1,
	CHANGES_MAX = 32, /* that are told one by one */
};

/* Sizes are chosen by the file when a program is loaded: one that does not fit meets an older
 * program. */
#define LARGER "restart waymarkd, which puts larger tables in the place of these, and flows stay"

struct planning {
	const struct wm_model *now;
	const struct wm_config *config;
	struct wm_plan *plan;
	struct wm_model *next;
	struct wm_err *err;
	uint8_t *kept;         /* by id: settled, stays or came live */
	uint8_t *number_taken; /* by vip number */
	uint8_t *ring_taken;   /* by ring */
	FILE *changes; /* into plan->changes */
	size_t n_changes, changes_size;
	size_t vips_added, vips_removed, reals_added, reals_removed, reweighted, rewritten;
	size_t gone, back; /* reals that nothing can be sent to any more, or again */
};

/* --- changes, by name --- */

/* Where nothing was before all is new, and the summary says it. */
__attribute__((format(printf, 3, 4)))
static void note(struct planning *p, const struct wm_model_vip *vip, const char *fmt, ...)
{
	va_list args;

	if (!p->now->n_vips || ++p->n_changes > CHANGES_MAX)
		return;
	fprintf(p->changes, "vip %s", vip->name);
	va_start(args, fmt);
	vfprintf(p->changes, fmt, args);
	va_end(args);
	fputc('\n', p->changes);
}

static void note_real(struct planning *p, const struct wm_model_vip *vip,
		      const struct wm_addr *real, const char *what)
{
	char text[WM_ADDR_TEXT];

	note(p, vip, ": real %s %s", wm_addr__format(real, text), what);
}

static void note_weight(struct planning *p, const struct wm_model_vip *vip,
			const struct wm_model_dest *is, uint32_t weight)
{
	char text[WM_ADDR_TEXT];

	note(p, vip, ": real %s has weight %u instead of %u", wm_addr__format(&is->real, text),
	     weight, is->weight);
}

static void note_options(struct planning *p, const struct vip *old,
			 const struct wm_model_vip *vip)
{
	if (old->is.offload != vip->offload)
		note(p, vip, ": offload is %s", vip->offload ? "on" : "off");
	if (!old->weighed)
		return; /* the data plane knows neither name nor hash */
	if (strcmp(old->is.name, vip->name))
		note(p, vip, " was called %s", old->is.name);
	if (old->is.hash != vip->hash)
		note(p, vip, ": its ring is filled in another way");
}

/* --- settle --- */

/* A destination of the present vip, found by its real's address. */
struct known {
	const struct wm_addr *real;
	uint16_t id;
};

static int by_real(const void *left, const void *right)
{
	const struct known *a = left, *b = right;

	return wm_addr__compare(a->real, b->real);
}

static struct known *known_dests(const struct wm_model *now, const struct wm_model_vip *old)
{
	struct known *known = calloc(old->n_dests + 1, sizeof(*known));

	if (!known)
		return NULL;
	for (size_t i = 0; i < old->n_dests; i++) {
		known[i].id = old->dests[i];
		known[i].real = &now->dest[old->dests[i]].is.real;
	}
	qsort(known, old->n_dests, sizeof(*known), by_real);
	return known;
}

static int new_dest(struct planning *p, const struct wm_model_vip *vip,
		    const struct wm_addr *real, uint16_t *id)
{
	struct dest *d;

	*id = wm_model__take_id(p->next);
	if (!*id)
		return wm_err__set(p->err, -ENOSPC,
				   "vip %s: no destination id is free for its real; the program "
				   "has room for %u, those that retire included: " LARGER,
				   vip->name, wm_model__ids(p->next) - 1);
	d = &p->next->dest[*id];
	d->is.state = WM_DEST_LIVE;
	d->is.vip = vip->number;
	d->is.real = *real;
	d->csum4 = wm_dest__csum4(vip, real, &p->config->source4);
	p->plan->add[p->plan->n_add++] = *id;
	p->reals_added++;
	return 0;
}

/* The prepared header holds a part of the outer source: if that has changed, the
 * entry must be written again. */
static void keep_dest(struct planning *p, const struct wm_model_vip *vip, uint16_t id)
{
	struct dest *d = &p->next->dest[id];
	uint16_t csum4 = wm_dest__csum4(vip, &d->is.real, &p->config->source4);

	if (d->csum4 == csum4)
		return;
	d->csum4 = csum4;
	p->plan->add[p->plan->n_add++] = id;
	p->rewritten++;
}

/* What an adopted vip's reals weighed is not known: nothing to compare with. */
static void weigh(struct planning *p, const struct wm_model_vip *vip,
		  const struct wm_model_dest *is, const struct wm_config_real *real, bool *same)
{
	if (!p->now->vip[p->now->number[is->vip] - 1].weighed)
		return;
	if (is->weight != real->weight) {
		*same = false;
		p->reweighted++;
		note_weight(p, vip, is, real->weight);
	}
	if (is->away != real->away) {
		*same = false;
		p->gone += real->away;
		p->back += is->away;
		note_real(p, vip, &is->real, real->away ? "is out of reach" : "can be reached");
	}
	*same &= is->drained == real->drained;
}

/* Sets *same to false if the ring is made of anything new. */
static int settle_dest(struct planning *p, struct wm_model_vip *vip, const struct known *known,
		       size_t n_known, const struct wm_config_real *real, bool *same)
{
	const struct known wanted = { .real = &real->address };
	const struct known *old = NULL;
	struct dest *d;
	uint16_t id;
	int ret;

	if (n_known)
		old = bsearch(&wanted, known, n_known, sizeof(*known), by_real);
	if (old) {
		id = old->id;
		keep_dest(p, vip, id);
	} else {
		ret = new_dest(p, vip, &real->address, &id);
		if (ret)
			return ret;
		*same = false;
	}
	if (old)
		weigh(p, vip, &p->next->dest[id].is, real, same);
	else if (known)
		note_real(p, vip, &real->address, "added");
	d = &p->next->dest[id];
	d->is.weight = real->weight;
	d->is.away = real->away;
	d->is.drained = real->drained;
	p->kept[id] = KEPT;
	vip->dests[vip->n_dests++] = id;
	return 0;
}

static int settle_dests(struct planning *p, struct vip *vip, const struct vip *old,
			const struct wm_config_vip *config)
{
	bool same = old && old->weighed && old->is.n_dests == config->n_reals &&
		    old->is.hash == config->hash;
	size_t n_known = old ? old->is.n_dests : 0;
	struct known *known = NULL;
	int ret = 0;

	vip->is.dests = calloc(config->n_reals + 1, sizeof(*vip->is.dests));
	if (old)
		known = known_dests(p->now, &old->is);
	if (!vip->is.dests || (old && !known))
		ret = -ENOMEM;
	for (size_t i = 0; i < config->n_reals && !ret; i++)
		ret = settle_dest(p, &vip->is, known, n_known, &config->reals[i], &same);
	free(known);
	/* Until the ring is looked at, `weighed` says that it need not be. */
	vip->weighed = same;
	return ret;
}

static uint16_t free_number(struct planning *p)
{
	uint16_t number = p->next->last_number;

	for (int i = 0; i < NUMBERS; i++)
		if (++number && !p->number_taken[number])
			return number;
	return 0;
}

static int settle_vip(struct planning *p, const struct wm_config_vip *config)
{
	const struct wm_service service = { config->address, config->port, config->proto };
	const struct vip *old = wm_model__find_vip(p->now, &service);
	uint16_t number = old ? old->is.number : free_number(p);
	uint16_t last = old ? p->next->last_number : number;
	struct vip *vip;

	if (!number || p->next->n_vips == p->next->limits.vips)
		return wm_err__set(p->err, -ENOSPC,
				   "vip %s: the program has room for %u vips: " LARGER,
				   config->name, p->next->limits.vips);
	vip = wm_model__append_vip(p->next, &service, config->name, number);
	if (!vip)
		return -ENOMEM;
	p->next->last_number = last; /* numbers go round: one that was freed rests */
	p->number_taken[number] = TAKEN;
	vip->is.hash = config->hash;
	vip->is.offload = config->offload;
	if (old) {
		vip->is.ring = old->is.ring;
		vip->ring_hash = old->ring_hash;
		note_options(p, old, &vip->is);
	} else {
		p->vips_added++;
		note(p, &vip->is, " added, with %zu reals", config->n_reals);
	}
	return settle_dests(p, vip, old, config);
}

static int settle(struct planning *p)
{
	int ret = 0;

	for (size_t i = 0; i < p->config->n_vips && !ret; i++)
		ret = settle_vip(p, &p->config->vips[i]);
	p->vips_removed = p->now->n_vips + p->vips_added - p->next->n_vips;
	return ret;
}

static void note_removed_vips(struct planning *p)
{
	for (size_t i = 0; i < p->now->n_vips; i++) {
		const struct wm_model_vip *vip = &p->now->vip[i].is;

		if (!wm_model__vip_by_number(p->next, vip->number))
			note(p, vip, " removed, with %zu reals", vip->n_dests);
	}
}

/* Those of a vip that goes as a whole go without a word of their own. */
static void note_removed_real(struct planning *p, const struct wm_model_dest *dest)
{
	const struct wm_model_vip *vip = wm_model__vip_by_number(p->next, dest->vip);

	if (vip)
		note_real(p, vip, &dest->real, "removed");
}

/* --- retire --- */

static void retire(struct planning *p)
{
	for (uint32_t id = 1; id < wm_model__ids(p->next); id++) {
		struct dest *d = &p->next->dest[id];

		if (d->is.state == WM_DEST_LIVE && !p->kept[id]) {
			d->is.state = WM_DEST_RETIRING;
			d->unannounced = true;
			p->reals_removed++;
			note_removed_real(p, &d->is);
		}
		if (d->unannounced)
			p->plan->retire[p->plan->n_retire++] = id;
		d->unannounced = false;
	}
}

/* --- guard --- */

static void count_removals(struct planning *p)
{
	struct wm_plan *plan = p->plan;

	plan->vips_removed = p->vips_removed;
	plan->vips_before = p->now->n_vips;
	plan->reals_removed = p->reals_removed;
	for (size_t i = 0; i < p->now->n_vips; i++)
		plan->reals_before += p->now->vip[i].is.n_dests;
}

static bool too_many(size_t removed, size_t before, const struct wm_guard *guard)
{
	return removed * 100 > before * guard->max_removal;
}

int wm_plan__guard(const struct wm_plan *plan, const struct wm_guard *guard, struct wm_err *err)
{
	size_t removed = plan->vips_removed, before = plan->vips_before;
	const char *what = "vips";

	if (!guard)
		return 0;
	if (!too_many(removed, before, guard)) {
		removed = plan->reals_removed;
		before = plan->reals_before;
		what = "reals";
	}
	if (!too_many(removed, before, guard))
		return 0;
	return wm_err__set(err, -EPERM, "%zu of %zu %s would be removed, max-removal is %u%%: is "
			   "the file whole? If this is meant, %s", removed, before, what,
			   guard->max_removal, guard->confirm);
}

/* --- rings --- */

static int free_ring(struct planning *p, const struct vip *vip, uint32_t *ring)
{
	for (*ring = 0; *ring < p->next->limits.rings; ++*ring)
		if (!p->ring_taken[*ring])
			return 0;
	return wm_err__set(p->err, -ENOSPC,
			   "vip %s: no ring is free; the program has %u, one for each vip and one "
			   "more for each vip that changes: " LARGER,
			   vip->is.name, p->next->limits.rings);
}

/* The ring that was built goes to a free one; that in use stays as it is. */
static int move_to_ring(struct planning *p, struct wm_ring_job *job)
{
	struct wm_plan *plan = p->plan;
	struct vip *vip = job->vip;
	int ret;

	/* By a daemon that knows nothing of what it was made of. */
	if (vip->ring_hash && !p->now->vip[p->now->number[vip->is.number] - 1].weighed)
		note(p, &vip->is, ": its ring was another one");
	vip->ring_hash = job->hash;
	ret = free_ring(p, vip, &vip->is.ring);
	if (ret)
		return ret;
	p->ring_taken[vip->is.ring] = TAKEN;
	plan->rings[plan->n_rings++] = (struct wm_plan_ring){ vip->is.ring, job->slot };
	job->slot = NULL;
	return 0;
}

static int plan_rings(struct planning *p)
{
	struct wm_ring_job *jobs = calloc(p->next->n_vips + 1, sizeof(*jobs));
	size_t n = 0;
	int ret;

	if (!jobs)
		return -ENOMEM;
	for (size_t i = 0; i < p->next->n_vips; i++) {
		struct vip *vip = &p->next->vip[i];

		if (!vip->weighed)
			jobs[n++].vip = vip;
		vip->weighed = true;
	}
	ret = wm_rings__build(p->next, jobs, n);
	for (size_t i = 0; i < n && !ret; i++)
		if (jobs[i].slot)
			ret = move_to_ring(p, &jobs[i]);
	for (size_t i = 0; i < n; i++)
		free(jobs[i].slot);
	free(jobs);
	return ret;
}

/* --- publish --- */

static bool vips_differ(const struct planning *p)
{
	if (p->vips_added || p->vips_removed)
		return true;
	for (size_t i = 0; i < p->next->n_vips; i++) {
		const struct wm_model_vip *vip = &p->next->vip[i].is, *old;
		struct wm_vip entry, old_entry;

		old = wm_model__vip_by_number(p->now, vip->number);
		wm_model__vip_entry(p->next, vip, &entry);
		wm_model__vip_entry(p->now, old, &old_entry);
		if (memcmp(&entry, &old_entry, sizeof(entry)))
			return true;
	}
	return false;
}

struct summary {
	char *text;
	size_t size, used;
};

static void say(struct summary *s, size_t n, const char *noun, const char *verb)
{
	if (n && s->used < s->size)
		s->used += snprintf(s->text + s->used, s->size - s->used, "%s%zu %s%s %s",
				    s->used ? ", " : "", n, noun, n == 1 ? "" : "s", verb);
}

static void summarise(const struct planning *p)
{
	struct summary s = { p->plan->summary, sizeof(p->plan->summary), 0 };

	say(&s, p->vips_added, "vip", "added");
	say(&s, p->vips_removed, "vip", "removed");
	say(&s, p->reals_added, "real", "added");
	say(&s, p->reals_removed, "real", "removed");
	say(&s, p->reweighted, "real", "reweighted");
	say(&s, p->gone, "real", "out of reach");
	say(&s, p->back, "real", "in reach again");
	say(&s, p->rewritten, "destination", "rewritten");
	say(&s, p->plan->n_rings, "ring", "filled");
	if (!s.used)
		snprintf(s.text, s.size, p->plan->publish ? "options of vips changed" :
			 WM_PLAN_NOTHING);
}

/* Ends the list of changes: plan->changes is text from now on. */
static int end_changes(struct planning *p)
{
	FILE *changes = p->changes;

	p->changes = NULL;
	if (changes && p->n_changes > CHANGES_MAX)
		fprintf(changes, "and %zu more changes\n", p->n_changes - CHANGES_MAX);
	return changes && fclose(changes) ? -ENOMEM : 0;
}

/* --- the whole --- */

static struct wm_model *copy_without_vips(const struct wm_model *now)
{
	struct wm_model *next = wm_model__new(&now->limits);

	if (!next)
		return NULL;
	memcpy(next->dest, now->dest, wm_model__ids(now) * sizeof(*now->dest));
	next->last_number = now->last_number;
	next->serial = now->serial + 1;
	return next;
}

static void mark_taken(struct planning *p)
{
	for (size_t i = 0; i < p->now->n_vips; i++) {
		const struct wm_model_vip *vip = &p->now->vip[i].is;

		p->number_taken[vip->number] = TAKEN;
		if (vip->ring < p->now->limits.rings)
			p->ring_taken[vip->ring] = TAKEN;
	}
	for (uint32_t id = 1; id < wm_model__ids(p->now); id++)
		if (p->now->dest[id].is.state != WM_DEST_FREE)
			p->number_taken[p->now->dest[id].is.vip] = TAKEN;
}

static int allocate(struct planning *p)
{
	uint32_t ids = wm_model__ids(p->now);
	struct wm_plan *plan = calloc(1, sizeof(*plan));

	p->plan = plan;
	if (!plan)
		return -ENOMEM;
	p->changes = open_memstream(&plan->changes, &p->changes_size);
	p->next = plan->next = copy_without_vips(p->now);
	plan->add = calloc(ids, sizeof(*plan->add));
	plan->retire = calloc(ids, sizeof(*plan->retire));
	plan->rings = calloc(p->config->n_vips + 1, sizeof(*plan->rings));
	p->kept = calloc(ids, sizeof(*p->kept));
	p->number_taken = calloc(NUMBERS, sizeof(*p->number_taken));
	p->ring_taken = calloc(p->now->limits.rings + 1, sizeof(*p->ring_taken));
	if (!p->changes || !plan->next || !plan->add || !plan->retire || !plan->rings || !p->kept ||
	    !p->number_taken || !p->ring_taken)
		return -ENOMEM;
	mark_taken(p);
	return 0;
}

static int make(struct planning *p)
{
	int ret = allocate(p);

	if (!ret)
		ret = settle(p);
	if (ret)
		return ret;
	note_removed_vips(p);
	retire(p);
	count_removals(p);
	ret = plan_rings(p);
	if (ret)
		return ret;
	p->plan->publish = vips_differ(p);
	summarise(p);
	return 0;
}

int wm_plan__make(const struct wm_model *now, const struct wm_config *config, struct wm_plan **plan,
		  struct wm_err *err)
{
	struct planning p = { .now = now, .config = config, .err = err };
	int ret = make(&p), closed = end_changes(&p);

	ret = ret ? ret : closed;
	if (ret == -ENOMEM)
		wm_err__sys(err, ret, "cannot plan the change");
	free(p.kept);
	free(p.number_taken);
	free(p.ring_taken);
	if (ret) {
		wm_plan__free(p.plan);
		p.plan = NULL;
	}
	*plan = p.plan;
	return ret;
}

void wm_plan__free(struct wm_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_rings; i++)
		free(plan->rings[i].slot);
	free(plan->rings);
	free(plan->add);
	free(plan->retire);
	free(plan->changes);
	wm_model__free(plan->next);
	free(plan);
}
