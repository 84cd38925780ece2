// SPDX-License-Identifier: GPL-2.0
/*
 * An array by location, chained by flow (the hash is seeded, since clients choose
 * flows). Free locations wait in a list, the one that became free first in front, so
 * that each rests as long as can be.
 *
 * They are given out from the highest one on. Where the location is also the priority
 * (the lowest matches first) a rule that somebody writes by hand then wins over ours,
 * as long as ours do not fill the table.
 */
#include "locations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <waymark/hash.h>

static uint32_t *bucket_of(const struct wm_locations *l, const struct wm_flow *flow)
{
	return &l->bucket[(wm_flow_hash(flow, l->seed) >> 32) & (l->buckets - 1)];
}

static void append_free(struct wm_locations *l, uint32_t at)
{
	struct wm_place *head = &l->place[0], *place = &l->place[at];

	place->state = WM_LOCATION_FREE;
	place->before = head->before;
	place->behind = 0;
	l->place[head->before].behind = at;
	head->before = at;
}

static void unlink_free(struct wm_locations *l, uint32_t at)
{
	const struct wm_place *place = &l->place[at];

	l->place[place->before].behind = place->behind;
	l->place[place->behind].before = place->before;
}

int wm_locations__init(struct wm_locations *l, uint32_t n)
{
	*l = (struct wm_locations){ .n = n, .buckets = 64 };
	while (l->buckets < n)
		l->buckets *= 2;
	if (getrandom(l->seed, sizeof(l->seed), GRND_NONBLOCK) != sizeof(l->seed))
		l->seed[1] = 0x9e3779b97f4a7c15ull; /* early boot: works unseeded as well */
	l->place = calloc(n, sizeof(*l->place));
	l->bucket = calloc(l->buckets, sizeof(*l->bucket));
	if (!l->place || !l->bucket) {
		wm_locations__free(l);
		return -ENOMEM;
	}
	for (uint32_t at = n - 1; at >= 1 && at < n; at--)
		append_free(l, at);
	return 0;
}

void wm_locations__free(struct wm_locations *l)
{
	free(l->place);
	free(l->bucket);
	*l = (struct wm_locations){};
}

uint32_t wm_locations__find(const struct wm_locations *l, const struct wm_flow *flow)
{
	uint32_t at = *bucket_of(l, flow);

	while (at && memcmp(&l->place[at].flow, flow, sizeof(*flow)))
		at = l->place[at].next;
	return at;
}

/* Out of whatever it was. */
static void leave(struct wm_locations *l, uint32_t at)
{
	struct wm_place *place = &l->place[at];
	uint32_t *link;

	switch ((enum wm_location_state)place->state) {
	case WM_LOCATION_FREE:
		unlink_free(l, at);
		break;
	case WM_LOCATION_USED:
		for (link = bucket_of(l, &place->flow); *link != at;)
			link = &l->place[*link].next;
		*link = place->next;
		l->used--;
		break;
	case WM_LOCATION_FOREIGN:
		l->foreign--;
		break;
	}
}

static void use(struct wm_locations *l, uint32_t at, const struct wm_flow *flow)
{
	struct wm_place *place = &l->place[at];
	uint32_t *head = bucket_of(l, flow);

	leave(l, at);
	place->state = WM_LOCATION_USED;
	place->flow = *flow;
	place->seen = l->listing;
	place->used = 0;
	place->next = *head;
	*head = at;
	l->used++;
}

uint32_t wm_locations__take(struct wm_locations *l, const struct wm_flow *flow, uint64_t now)
{
	uint32_t at = l->place[0].behind;
	uint64_t freed = l->place[at].freed_ns;

	if (!at || (freed && now - freed < WM_LOCATION_QUIET_NS))
		return 0; /* those behind it became free later */
	use(l, at, flow);
	return at;
}

void wm_locations__drop(struct wm_locations *l, uint32_t at, uint64_t now)
{
	if (!at || at >= l->n || l->place[at].state == WM_LOCATION_FREE)
		return;
	leave(l, at);
	l->place[at].freed_ns = now;
	append_free(l, at);
}

void wm_locations__learn(struct wm_locations *l, uint32_t at, const struct wm_flow *flow)
{
	struct wm_place *place = &l->place[at];

	if (place->state != WM_LOCATION_USED || memcmp(&place->flow, flow, sizeof(*flow)))
		use(l, at, flow);
	place->seen = l->listing;
}

void wm_locations__learn_foreign(struct wm_locations *l, uint32_t at)
{
	struct wm_place *place = &l->place[at];

	if (place->state != WM_LOCATION_FOREIGN) {
		leave(l, at);
		place->state = WM_LOCATION_FOREIGN;
		l->foreign++;
	}
	place->seen = l->listing;
}
