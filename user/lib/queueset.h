/* SPDX-License-Identifier: GPL-2.0 */
/* A set of queues of one device, by number: "0-3,6". */
#ifndef WM_QUEUESET_H
#define WM_QUEUESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WM_QUEUES_MAX = 1024,      /* numbers below; NICs have some hundred */
	WM_QUEUESET_TEXT = 5 * WM_QUEUES_MAX, /* the longest text of a set, with its NUL */
};

struct wm_queueset {
	uint64_t bit[WM_QUEUES_MAX / 64];
};

bool wm_queueset__has(const struct wm_queueset *set, uint32_t id);
void wm_queueset__add(struct wm_queueset *set, uint32_t id);
/* How many are in it. */
size_t wm_queueset__count(const struct wm_queueset *set);
/* The first at or above `from`; WM_QUEUES_MAX: none. */
uint32_t wm_queueset__next(const struct wm_queueset *set, uint32_t from);

/* Add what `text` names: one range ("4", "0-3") or several by commas. -EINVAL: it is none;
 * -EEXIST: a number is in the set already. */
int wm_queueset__parse(struct wm_queueset *set, const char *text);
/* As parse reads it, in the shortest way; returns `buf`. */
char *wm_queueset__format(const struct wm_queueset *set, const char *separator, char *buf,
			  size_t size);

/* From the first to the last. */
#define wm_queueset__each(id, set) \
	for (uint32_t id = wm_queueset__next(set, 0); id < WM_QUEUES_MAX; \
	     id = wm_queueset__next(set, id + 1))

#endif
