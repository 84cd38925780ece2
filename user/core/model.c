// SPDX-License-Identifier: GPL-2.0
/*
 * The model's memory: destinations in an array by id, the free ids chained
 * through it in the order they were freed; vips in an array in the order of the
 * configuration, found by service (sorted index), by number (array) or by name
 * (search: only people ask by name).
 *
 * A model is filled once, by adopting or by plan.c, and then only read, but for
 * wm_model__release_dest().
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "model_inside.h"

/* --- ids --- */

static void queue_id(struct wm_model *model, uint16_t id)
{
	struct dest *head = &model->dest[0], *d = &model->dest[id];

	d->prev = head->prev;
	d->next = 0;
	model->dest[head->prev].next = id;
	head->prev = id;
}

static void unqueue_id(struct wm_model *model, uint16_t id)
{
	struct dest *d = &model->dest[id];

	model->dest[d->prev].next = d->next;
	model->dest[d->next].prev = d->prev;
	d->next = d->prev = 0;
}

uint16_t wm_model__take_id(struct wm_model *model)
{
	uint16_t id = model->dest[0].next;

	if (id)
		unqueue_id(model, id);
	return id;
}

static uint32_t next_generation(const struct wm_model *model, uint32_t generation)
{
	uint32_t bits = model->limits.mark_bits;

	if (bits <= model->limits.dest_bits)
		return 0;
	return (generation + 1) & ((1ull << (bits - model->limits.dest_bits)) - 1);
}

void wm_model__release_dest(struct wm_model *model, uint16_t id)
{
	struct dest *d;

	if (id >= wm_model__ids(model) || model->dest[id].is.state != WM_DEST_RETIRING)
		return;
	d = &model->dest[id];
	d->is = (struct wm_model_dest){
		.id = id,
		.generation = next_generation(model, d->is.generation),
	};
	d->csum4 = 0;
	d->unannounced = false;
	queue_id(model, id);
}

/* --- birth and death --- */

struct wm_model *wm_model__new(const struct wm_model_limits *limits)
{
	struct wm_model *model = calloc(1, sizeof(*model));

	if (!model)
		return NULL;
	model->limits = *limits;
	if (model->limits.dest_bits > WM_DEST_BITS_MAX)
		model->limits.dest_bits = WM_DEST_BITS_MAX;
	if (model->limits.mark_bits > 32)
		model->limits.mark_bits = 32;
	model->dest = calloc(wm_model__ids(model), sizeof(*model->dest));
	if (!model->dest) {
		free(model);
		return NULL;
	}
	for (uint32_t id = 1; id < wm_model__ids(model); id++) {
		model->dest[id].is.id = id;
		queue_id(model, id);
	}
	return model;
}

void wm_model__free(struct wm_model *model)
{
	if (!model)
		return;
	for (size_t i = 0; i < model->n_vips; i++) {
		free(model->vip[i].is.name);
		free(model->vip[i].is.dests);
	}
	free(model->vip);
	free(model->by_service);
	free(model->dest);
	free(model);
}

/* --- vips --- */

/* Where `service` stands in the sorted index, or would. */
static size_t place_of(const struct wm_model *model, const struct wm_service *service, bool *found)
{
	size_t low = 0, high = model->n_vips;

	*found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct vip *vip = &model->vip[model->by_service[middle]];
		const struct wm_service there = wm_model__service(&vip->is);
		int order = wm_service__compare(service, &there);

		if (!order) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

struct vip *wm_model__find_vip(const struct wm_model *model, const struct wm_service *service)
{
	bool found;
	size_t place = place_of(model, service, &found);

	return found ? &model->vip[model->by_service[place]] : NULL;
}

static int make_room(struct wm_model *model)
{
	size_t room = model->room ? 2 * model->room : 16;
	uint16_t *by_service;
	struct vip *vip;

	if (model->n_vips < model->room)
		return 0;
	vip = reallocarray(model->vip, room, sizeof(*vip));
	if (!vip)
		return -ENOMEM;
	model->vip = vip;
	by_service = reallocarray(model->by_service, room, sizeof(*by_service));
	if (!by_service)
		return -ENOMEM;
	model->by_service = by_service;
	model->room = room;
	return 0;
}

struct vip *wm_model__append_vip(struct wm_model *model, const struct wm_service *service,
				 const char *name, uint16_t number)
{
	struct vip *vip;
	size_t place;
	bool found;

	if (make_room(model))
		return NULL;
	vip = &model->vip[model->n_vips];
	*vip = (struct vip){ .is = { .address = service->address, .port = service->port,
				     .proto = service->proto, .number = number } };
	vip->is.name = strdup(name);
	if (!vip->is.name)
		return NULL;
	place = place_of(model, service, &found);
	memmove(&model->by_service[place + 1], &model->by_service[place],
		(model->n_vips - place) * sizeof(*model->by_service));
	model->by_service[place] = model->n_vips++;
	model->number[number] = model->n_vips;
	model->last_number = number;
	return vip;
}

/* --- adopting --- */

static bool same_words(const __be32 a[4], const __be32 b[4])
{
	return !memcmp(a, b, 4 * sizeof(*a));
}

static bool sound_vip(const struct wm_model *model, const struct wm_vip *entry)
{
	if (entry->family == WM_IPV4 && (entry->addr[1] || entry->addr[2] || entry->addr[3]))
		return false;
	return (entry->family == WM_IPV4 || entry->family == WM_IPV6) && entry->number &&
	       (entry->proto == IPPROTO_TCP || entry->proto == IPPROTO_UDP) &&
	       entry->ring < model->limits.rings;
}

int wm_model__adopt_vip(struct wm_model *model, const struct wm_vip *entry)
{
	struct wm_service service = { .port = entry->port, .proto = entry->proto };
	char name[WM_SERVICE_TEXT];
	struct vip *vip;

	if (!sound_vip(model, entry))
		return -EINVAL;
	memcpy(service.address.word, entry->addr, sizeof(entry->addr));
	service.address.family = entry->family;
	if (model->number[entry->number] || wm_model__find_vip(model, &service))
		return -EEXIST;
	vip = wm_model__append_vip(model, &service, wm_service__format(&service, name),
				   entry->number);
	if (!vip)
		return -ENOMEM;
	vip->is.offload = !(entry->flags & WM_VIP_NO_OFFLOAD);
	vip->is.ring = entry->ring;
	return 0;
}

static bool sound_mark(const struct wm_model *model, uint16_t id, uint32_t mark)
{
	const struct wm_model_limits *l = &model->limits;
	uint64_t generation = (uint64_t)mark >> l->dest_bits;

	if ((mark & (wm_model__ids(model) - 1)) != id)
		return false;
	if (l->mark_bits <= l->dest_bits)
		return !generation;
	return !(generation >> (l->mark_bits - l->dest_bits));
}

/* The destination's own copy of its vip must be that vip. */
static bool sound_dest(const struct wm_model_vip *vip, const struct wm_dest *entry)
{
	uint8_t outer = wm_dest__real_family(entry);

	return entry->encap == wm_dest__encap(vip->address.family, outer) &&
	       entry->proto == vip->proto && entry->vip_port == vip->port &&
	       same_words(entry->vip_addr, vip->address.word);
}

static int append_dest(struct wm_model_vip *vip, uint16_t id)
{
	uint16_t *dests = reallocarray(vip->dests, vip->n_dests + 1, sizeof(*dests));

	if (!dests)
		return -ENOMEM;
	vip->dests = dests;
	vip->dests[vip->n_dests++] = id;
	return 0;
}

static int adopt_live(struct wm_model_vip *vip, struct dest *d, const struct wm_dest *entry)
{
	if (!vip || !sound_dest(vip, entry))
		return -EINVAL;
	if (append_dest(vip, d->is.id))
		return -ENOMEM;
	memcpy(d->is.real.word, entry->real, sizeof(entry->real));
	d->is.real.family = wm_dest__real_family(entry);
	d->is.state = WM_DEST_LIVE;
	d->csum4 = entry->csum4;
	d->unannounced = false;
	return 0;
}

int wm_model__adopt_dest(struct wm_model *model, uint16_t id, const struct wm_dest *entry)
{
	uint32_t mark = wm_dest__last_mark(entry);
	struct dest *d;

	if (!id || id >= wm_model__ids(model) || entry->encap == WM_ENCAP_NONE)
		return -EINVAL;
	d = &model->dest[id];
	if (d->is.state != WM_DEST_FREE)
		return -EEXIST;
	/* Whatever is wrong with it, the id was in use: it has to rest. */
	unqueue_id(model, id);
	d->is.state = WM_DEST_RETIRING;
	d->is.vip = entry->vip;
	d->unannounced = true;
	if (!sound_mark(model, id, mark))
		return entry->mark ? -EINVAL : 0;
	d->is.generation = mark >> model->limits.dest_bits;
	if (!entry->mark)
		return 0;
	return adopt_live((struct wm_model_vip *)wm_model__vip_by_number(model, entry->vip), d,
			  entry);
}

int wm_model__adopt_ring(struct wm_model *model, uint16_t vip_number,
			 const uint16_t slot[WM_RING_SLOTS])
{
	uint16_t index = model->number[vip_number];

	if (!index)
		return -EINVAL;
	model->vip[index - 1].ring_hash = wm_ring__hash(slot);
	return 0;
}

/* --- readers --- */

const struct wm_model_limits *wm_model__limits(const struct wm_model *model)
{
	return &model->limits;
}

uint64_t wm_model__serial(const struct wm_model *model)
{
	return model->serial;
}

size_t wm_model__n_vips(const struct wm_model *model)
{
	return model->n_vips;
}

const struct wm_model_vip *wm_model__vip(const struct wm_model *model, size_t index)
{
	return index < model->n_vips ? &model->vip[index].is : NULL;
}

const struct wm_model_vip *wm_model__vip_by_number(const struct wm_model *model, uint16_t number)
{
	uint16_t index = model->number[number];

	return index ? &model->vip[index - 1].is : NULL;
}

const struct wm_model_vip *wm_model__vip_by_name(const struct wm_model *model, const char *name)
{
	struct wm_service service;
	const struct vip *vip;

	for (size_t i = 0; i < model->n_vips; i++)
		if (!strcmp(model->vip[i].is.name, name))
			return &model->vip[i].is;
	if (wm_service__parse(name, &service))
		return NULL;
	vip = wm_model__find_vip(model, &service);
	return vip ? &vip->is : NULL;
}

const struct wm_model_vip *wm_model__vip_of(const struct wm_model *model, const struct wm_addr *dst,
					    __be16 dport, uint8_t proto)
{
	struct wm_service service = { *dst, dport, proto };
	const struct vip *vip = wm_model__find_vip(model, &service);

	if (!vip) {
		service.port = 0;
		vip = wm_model__find_vip(model, &service);
	}
	return vip ? &vip->is : NULL;
}

const struct wm_model_dest *wm_model__dest(const struct wm_model *model, uint16_t id)
{
	if (!id || id >= wm_model__ids(model) || model->dest[id].is.state == WM_DEST_FREE)
		return NULL;
	return &model->dest[id].is;
}

size_t wm_model__n_dests(const struct wm_model *model, enum wm_dest_state state)
{
	size_t n = 0;

	for (uint32_t id = 1; id < wm_model__ids(model); id++)
		n += model->dest[id].is.state == state;
	return n;
}

uint32_t wm_model__dest_mark(const struct wm_model *model, const struct wm_model_dest *dest)
{
	return wm_mark(model->limits.dest_bits, dest->id, dest->generation);
}
