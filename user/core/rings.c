// SPDX-License-Identifier: GPL-2.0
/*
 * Rings of vips. What a ring looks like depends on the sequence of its reals'
 * hashes and weights alone; ids are only written into it. So vips with the same
 * reals and weights (a service on several ports) form a group: the ring of its
 * first is built and the others' are that one with their own ids. Groups are
 * built on several CPUs; each writes nothing but its own vips' jobs and
 * destinations.
 */
#include "rings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

/* What a vip's ring is made of, in the order in which reals take turns. */
struct recipe {
	struct wm_ring_job *job;
	struct wm_endpoint *endpoints;
	size_t n;
};

struct building {
	struct wm_model *model;
	struct recipe *recipe; /* after sorting: groups, one after the other */
	size_t *group;         /* where each begins, and the end of the last */
	size_t n_groups;
};

/*
 * Multiply and fold, four slots at a time. Two different rings share a hash once
 * in 2^64: that risk is taken instead of keeping 128 KiB a vip.
 */
uint64_t wm_ring__hash(const uint16_t slot[WM_RING_SLOTS])
{
	uint64_t h = 0xcbf29ce484222325, word;
	uint32_t i;

	for (i = 0; i + 4 <= WM_RING_SLOTS; i += 4) {
		memcpy(&word, &slot[i], sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	for (; i < WM_RING_SLOTS; i++) {
		h = (h ^ slot[i]) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	return h ? h : 1;
}

static int by_turn(const void *left, const void *right)
{
	const struct wm_endpoint *a = left, *b = right;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->dest - b->dest;
}

/* Those that get slots, sorted. NULL: no memory. */
static struct wm_endpoint *endpoints_of(const struct wm_model *model,
					const struct wm_model_vip *vip, size_t *n)
{
	struct wm_endpoint *e = calloc(vip->n_dests + 1, sizeof(*e));

	*n = 0;
	if (!e)
		return NULL;
	for (size_t i = 0; i < vip->n_dests; i++) {
		const struct wm_model_dest *dest = &model->dest[vip->dests[i]].is;

		if (dest->weight && !dest->away && !dest->drained)
			e[(*n)++] = (struct wm_endpoint){
				.hash = wm_endpoint__hash(&dest->real),
				.weight = dest->weight,
				.dest = dest->id,
			};
	}
	qsort(e, *n, sizeof(*e), by_turn);
	return e;
}

int wm_model__ring(const struct wm_model *model, const struct wm_model_vip *vip, uint16_t *slot)
{
	size_t n;
	struct wm_endpoint *endpoints = endpoints_of(model, vip, &n);
	int ret;

	if (!endpoints)
		return -ENOMEM;
	ret = wm_maglev__fill(vip->hash, endpoints, n, slot, WM_RING_SLOTS);
	free(endpoints);
	return ret;
}

/* --- groups --- */

static int by_ring(const void *left, const void *right)
{
	const struct recipe *a = left, *b = right;

	if (a->job->vip->is.hash != b->job->vip->is.hash)
		return a->job->vip->is.hash < b->job->vip->is.hash ? -1 : 1;
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (size_t i = 0; i < a->n; i++) {
		const struct wm_endpoint *x = &a->endpoints[i], *y = &b->endpoints[i];

		if (x->hash != y->hash)
			return x->hash < y->hash ? -1 : 1;
		if (x->weight != y->weight)
			return x->weight < y->weight ? -1 : 1;
	}
	return 0;
}

static void form_groups(struct building *b, size_t n)
{
	qsort(b->recipe, n, sizeof(*b->recipe), by_ring);
	for (size_t i = 0; i < n; i++)
		if (!i || by_ring(&b->recipe[i - 1], &b->recipe[i]))
			b->group[b->n_groups++] = i;
	b->group[b->n_groups] = n;
}

/* --- a group's rings --- */

static void note_slots(struct wm_model *model, const struct recipe *r)
{
	const struct wm_model_vip *vip = &r->job->vip->is;

	for (size_t i = 0; i < vip->n_dests; i++)
		model->dest[vip->dests[i]].is.slots = 0;
	for (size_t i = 0; i < r->n; i++)
		model->dest[r->endpoints[i].dest].is.slots = r->endpoints[i].slots;
}

/* The ring is the vip's; takes it over. */
static void finish(struct wm_model *model, struct recipe *r, uint16_t *slot)
{
	struct wm_ring_job *job = r->job;

	note_slots(model, r);
	job->hash = wm_ring__hash(slot);
	if (job->hash == job->vip->ring_hash)
		free(slot);
	else
		job->slot = slot;
}

static int copy_ring(struct wm_model *model, const struct recipe *from, const uint16_t *ring,
		     struct recipe *to)
{
	uint16_t *slot = malloc(WM_RING_SLOTS * sizeof(*slot));
	uint16_t id[1 << WM_DEST_BITS_MAX]; /* only what `from` has is set, and read */

	if (!slot)
		return -ENOMEM;
	id[0] = 0;
	for (size_t i = 0; i < from->n; i++) {
		id[from->endpoints[i].dest] = to->endpoints[i].dest;
		to->endpoints[i].slots = from->endpoints[i].slots;
	}
	for (uint32_t i = 0; i < WM_RING_SLOTS; i++)
		slot[i] = id[ring[i]];
	finish(model, to, slot);
	return 0;
}

static int build_group(void *arg, size_t i)
{
	struct building *b = arg;
	struct recipe *first = &b->recipe[b->group[i]], *end = &b->recipe[b->group[i + 1]];
	uint16_t *slot = malloc(WM_RING_SLOTS * sizeof(*slot));
	int ret;

	if (!slot)
		return -ENOMEM;
	ret = wm_maglev__fill(first->job->vip->is.hash, first->endpoints, first->n, slot,
			      WM_RING_SLOTS);
	for (struct recipe *r = first + 1; r < end && !ret; r++)
		ret = copy_ring(b->model, first, slot, r);
	if (ret)
		free(slot);
	else
		finish(b->model, first, slot);
	return ret;
}

/* --- all --- */

static int prepare(void *arg, size_t i)
{
	struct building *b = arg;
	struct recipe *r = &b->recipe[i];

	r->endpoints = endpoints_of(b->model, &r->job->vip->is, &r->n);
	return r->endpoints ? 0 : -ENOMEM;
}

int wm_rings__build(struct wm_model *model, struct wm_ring_job *jobs, size_t n)
{
	struct building b = { .model = model };
	int ret = -ENOMEM;

	b.recipe = calloc(n + 1, sizeof(*b.recipe));
	b.group = calloc(n + 1, sizeof(*b.group));
	if (!b.recipe || !b.group)
		goto free_all;
	for (size_t i = 0; i < n; i++)
		b.recipe[i].job = &jobs[i];
	ret = wm_pool__run(n, prepare, &b);
	if (ret)
		goto free_all;
	form_groups(&b, n);
	ret = wm_pool__run(b.n_groups, build_group, &b);
	for (size_t i = 0; i < n && ret; i++) {
		free(jobs[i].slot);
		jobs[i].slot = NULL;
	}
free_all:
	for (size_t i = 0; b.recipe && i < n; i++)
		free(b.recipe[i].endpoints);
	free(b.recipe);
	free(b.group);
	return ret;
}
