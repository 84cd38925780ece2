// SPDX-License-Identifier: GPL-2.0
/*
 * Slots are chained by flow and by handle; the hashes are seeded, since clients choose
 * flows. A free slot keeps its handle, and so those that were given out are given out
 * again before new ones are: the kernel's own index is dense, too.
 */
#include "handles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <waymark/hash.h>

enum { FIRST_SIZE = 1024 };

static uint32_t *flow_bucket(const struct wm_handles *h, const struct wm_flow *flow)
{
	return &h->flows[(wm_flow_hash(flow, h->seed) >> 32) & (h->buckets - 1)];
}

static uint32_t *number_bucket(const struct wm_handles *h, uint32_t handle)
{
	return &h->numbers[((handle ^ h->seed[0]) * h->seed[1] >> 32) & (h->buckets - 1)];
}

static void link_in(struct wm_handles *h, uint32_t i)
{
	uint32_t *flows = flow_bucket(h, &h->slot[i].flow);
	uint32_t *numbers = number_bucket(h, h->slot[i].handle);

	h->slot[i].by_flow = *flows;
	*flows = i;
	h->slot[i].by_handle = *numbers;
	*numbers = i;
}

static void link_out(struct wm_handles *h, uint32_t i)
{
	uint32_t *link = flow_bucket(h, &h->slot[i].flow);

	while (*link != i)
		link = &h->slot[*link].by_flow;
	*link = h->slot[i].by_flow;
	link = number_bucket(h, h->slot[i].handle);
	while (*link != i)
		link = &h->slot[*link].by_handle;
	*link = h->slot[i].by_handle;
}

static int grow(struct wm_handles *h)
{
	uint32_t size = h->size ? 2 * h->size : FIRST_SIZE;
	struct wm_handle *slot = reallocarray(h->slot, size, sizeof(*slot));
	uint32_t *flows = calloc(size, sizeof(*flows));
	uint32_t *numbers = calloc(size, sizeof(*numbers));

	if (slot)
		h->slot = slot; /* larger than needed does no harm */
	if (!slot || !flows || !numbers) {
		free(flows);
		free(numbers);
		return -ENOMEM;
	}
	free(h->flows);
	free(h->numbers);
	h->flows = flows;
	h->numbers = numbers;
	h->buckets = h->size = size;
	for (uint32_t i = 1; i < h->top; i++)
		if (slot[i].used)
			link_in(h, i);
	return 0;
}

int wm_handles__init(struct wm_handles *h)
{
	*h = (struct wm_handles){ .top = 1, .next = 1 };
	if (getrandom(h->seed, sizeof(h->seed), GRND_NONBLOCK) != sizeof(h->seed))
		h->seed[1] = 0x9e3779b97f4a7c15ull; /* early boot: works unseeded as well */
	h->seed[1] |= 1;
	return grow(h);
}

void wm_handles__free(struct wm_handles *h)
{
	free(h->slot);
	free(h->flows);
	free(h->numbers);
	*h = (struct wm_handles){};
}

void wm_handles__clear(struct wm_handles *h)
{
	memset(h->flows, 0, h->buckets * sizeof(*h->flows));
	memset(h->numbers, 0, h->buckets * sizeof(*h->numbers));
	h->top = h->next = 1;
	h->free = 0;
	h->used = 0;
}

/* Places; 0: none. */
static uint32_t place_of_flow(const struct wm_handles *h, const struct wm_flow *flow)
{
	uint32_t i = *flow_bucket(h, flow);

	while (i && memcmp(&h->slot[i].flow, flow, sizeof(*flow)))
		i = h->slot[i].by_flow;
	return i;
}

static uint32_t place_of(const struct wm_handles *h, uint32_t handle)
{
	uint32_t i = *number_bucket(h, handle);

	while (i && h->slot[i].handle != handle)
		i = h->slot[i].by_handle;
	return i;
}

uint32_t wm_handles__find(const struct wm_handles *h, const struct wm_flow *flow)
{
	uint32_t i = place_of_flow(h, flow);

	return i ? h->slot[i].handle : WM_HANDLE_NONE;
}

bool wm_handles__in_nic(const struct wm_handles *h, uint32_t handle)
{
	uint32_t i = place_of(h, handle);

	return i && h->slot[i].in_nic;
}

/* A free slot; 0: no memory. Its handle is the one that it had, or none. */
static uint32_t free_slot(struct wm_handles *h)
{
	uint32_t i = h->free;

	if (i) {
		h->free = h->slot[i].next_free;
		return i;
	}
	if (h->top == h->size && grow(h))
		return 0;
	h->slot[h->top] = (struct wm_handle){};
	return h->top++;
}

static void use(struct wm_handles *h, uint32_t i, uint32_t handle, const struct wm_flow *flow)
{
	struct wm_handle *slot = &h->slot[i];

	slot->flow = *flow;
	slot->handle = handle;
	slot->used = true;
	slot->in_nic = false;
	slot->seen = h->listing;
	h->used++;
	link_in(h, i);
}

static uint32_t new_handle(struct wm_handles *h)
{
	while (!h->next || place_of(h, h->next))
		h->next++;
	return h->next++;
}

uint32_t wm_handles__take(struct wm_handles *h, const struct wm_flow *flow)
{
	uint32_t i = free_slot(h), handle;

	if (!i)
		return WM_HANDLE_NONE;
	handle = h->slot[i].handle;
	if (!handle || place_of(h, handle)) /* learnt elsewhere since */
		handle = new_handle(h);
	use(h, i, handle, flow);
	return handle;
}

static void drop_slot(struct wm_handles *h, uint32_t i)
{
	link_out(h, i);
	h->slot[i].used = false;
	h->slot[i].in_nic = false;
	h->slot[i].next_free = h->free;
	h->free = i;
	h->used--;
}

void wm_handles__drop(struct wm_handles *h, uint32_t handle)
{
	uint32_t i = place_of(h, handle);

	if (i)
		drop_slot(h, i);
}

/* The place of a pair that was not known as such. */
static uint32_t learn_new(struct wm_handles *h, uint32_t handle, const struct wm_flow *flow)
{
	uint32_t i;

	wm_handles__drop(h, handle);
	i = place_of_flow(h, flow);
	if (i)
		drop_slot(h, i);
	i = free_slot(h);
	if (i)
		use(h, i, handle, flow);
	return i;
}

int wm_handles__learn(struct wm_handles *h, uint32_t handle, const struct wm_flow *flow)
{
	uint32_t i = handle ? place_of(h, handle) : 0;

	if (!handle)
		return -ERANGE;
	if (!i || memcmp(&h->slot[i].flow, flow, sizeof(*flow)))
		i = learn_new(h, handle, flow);
	if (!i)
		return -ENOMEM;
	h->slot[i].in_nic = true;
	h->slot[i].seen = h->listing;
	return 0;
}

void wm_handles__begin(struct wm_handles *h)
{
	h->listing++;
}

void wm_handles__end(struct wm_handles *h)
{
	for (uint32_t i = 1; i < h->top; i++)
		if (h->slot[i].used && h->slot[i].seen != h->listing)
			drop_slot(h, i);
}
