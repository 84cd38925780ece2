// SPDX-License-Identifier: GPL-2.0
/*
 * An array by handle, chained by flow (the hash is seeded, since clients choose
 * flows). The free list is a stack in which a slot may stay after it was learnt from
 * the kernel: take() passes by what is in use.
 */
#include "handles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <waymark/hash.h>

enum { FIRST_SIZE = 1024 };

static uint32_t *bucket_of(const struct wm_handles *h, const struct wm_flow *flow)
{
	return &h->bucket[(wm_flow_hash(flow, h->seed) >> 32) & (h->buckets - 1)];
}

static void link_in(struct wm_handles *h, uint32_t i)
{
	uint32_t *head = bucket_of(h, &h->slot[i].flow);

	h->slot[i].next = *head;
	*head = i;
}

static void push_free(struct wm_handles *h, uint32_t i)
{
	if (h->slot[i].in_free_list)
		return;
	h->slot[i].in_free_list = true;
	h->slot[i].next_free = h->free;
	h->free = i;
}

/* Room for handles below `size`, a power of two, and as many buckets. */
static int grow(struct wm_handles *h, uint32_t size)
{
	uint32_t *bucket = calloc(size, sizeof(*bucket));
	struct wm_handle *slot = realloc(h->slot, size * sizeof(*slot));

	if (slot)
		h->slot = slot; /* larger than needed does no harm */
	if (!bucket || !slot) {
		free(bucket);
		return -ENOMEM;
	}
	memset(slot + h->size, 0, (size - h->size) * sizeof(*slot));
	free(h->bucket);
	h->bucket = bucket;
	h->buckets = size;
	h->size = size;
	for (uint32_t i = 1; i < h->top; i++)
		if (slot[i].used)
			link_in(h, i);
	return 0;
}

int wm_handles__init(struct wm_handles *h)
{
	*h = (struct wm_handles){ .top = 1 };
	if (getrandom(h->seed, sizeof(h->seed), GRND_NONBLOCK) != sizeof(h->seed))
		h->seed[1] = 0x9e3779b97f4a7c15ull; /* early boot: works unseeded as well */
	return grow(h, FIRST_SIZE);
}

void wm_handles__free(struct wm_handles *h)
{
	free(h->slot);
	free(h->bucket);
	*h = (struct wm_handles){};
}

void wm_handles__clear(struct wm_handles *h)
{
	memset(h->slot, 0, h->size * sizeof(*h->slot));
	memset(h->bucket, 0, h->buckets * sizeof(*h->bucket));
	h->top = 1;
	h->free = WM_HANDLE_NONE;
	h->used = 0;
}

uint32_t wm_handles__find(const struct wm_handles *h, const struct wm_flow *flow)
{
	uint32_t i = *bucket_of(h, flow);

	while (i && memcmp(&h->slot[i].flow, flow, sizeof(*flow)))
		i = h->slot[i].next;
	return i;
}

static void use(struct wm_handles *h, uint32_t i, const struct wm_flow *flow)
{
	struct wm_handle *slot = &h->slot[i];

	slot->flow = *flow;
	slot->used = true;
	slot->in_nic = false;
	slot->seen = h->listing;
	h->used++;
	link_in(h, i);
}

uint32_t wm_handles__take(struct wm_handles *h, const struct wm_flow *flow)
{
	uint32_t i;

	while ((i = h->free)) {
		h->free = h->slot[i].next_free;
		h->slot[i].in_free_list = false;
		if (!h->slot[i].used)
			break;
	}
	if (!i) {
		if (h->top >= WM_HANDLE_MAX)
			return WM_HANDLE_NONE;
		if (h->top == h->size && grow(h, 2 * h->size))
			return WM_HANDLE_NONE;
		i = h->top++;
	}
	use(h, i, flow);
	return i;
}

void wm_handles__drop(struct wm_handles *h, uint32_t i)
{
	uint32_t *link;

	if (!i || i >= h->top || !h->slot[i].used)
		return;
	for (link = bucket_of(h, &h->slot[i].flow); *link != i; link = &h->slot[*link].next)
		;
	*link = h->slot[i].next;
	h->slot[i].used = false;
	h->slot[i].in_nic = false;
	h->used--;
	push_free(h, i);
}

/* Handles that were passed by are free. */
static int raise_top(struct wm_handles *h, uint32_t i)
{
	uint32_t size = h->size;

	while (size <= i)
		size *= 2;
	if (size != h->size && grow(h, size))
		return -ENOMEM;
	while (h->top <= i)
		push_free(h, h->top++);
	return 0;
}

int wm_handles__learn(struct wm_handles *h, uint32_t i, const struct wm_flow *flow)
{
	int ret;

	if (!i || i >= WM_HANDLE_MAX)
		return -ERANGE;
	ret = i >= h->top ? raise_top(h, i) : 0;
	if (ret)
		return ret;
	if (!h->slot[i].used || memcmp(&h->slot[i].flow, flow, sizeof(*flow))) {
		wm_handles__drop(h, i);
		wm_handles__drop(h, wm_handles__find(h, flow));
		use(h, i, flow);
	}
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
			wm_handles__drop(h, i);
}
