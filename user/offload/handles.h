/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The numbers by which the kernel knows our rules: flow to handle and back. The
 * backend gives them out itself, small and dense, so that a rule can be named
 * before the kernel has seen it.
 */
#ifndef WM_HANDLES_H
#define WM_HANDLES_H

#include <stdbool.h>
#include <stdint.h>
#include <waymark/abi.h>

enum {
	WM_HANDLE_NONE = 0,
	WM_HANDLE_MAX = 1 << 25, /* twice as many as rules may be configured */
};

struct wm_handle {
	struct wm_flow flow;
	uint32_t next;      /* in its bucket */
	uint32_t next_free; /* in the free list */
	uint32_t seen;      /* number of the listing that showed it last */
	bool used;
	bool in_free_list;
	bool in_nic;        /* the kernel said so */
};

struct wm_handles {
	struct wm_handle *slot; /* [0] stays unused */
	uint32_t size, top;
	uint32_t free;          /* first of the free list; may hold used ones */
	uint32_t used;
	uint32_t *bucket;
	uint32_t buckets;       /* a power of two */
	__u64 seed[4];
	uint32_t listing;
};

/* 0 or -ENOMEM */
int wm_handles__init(struct wm_handles *h);
void wm_handles__free(struct wm_handles *h);
/* All are free; memory stays. */
void wm_handles__clear(struct wm_handles *h);
uint32_t wm_handles__find(const struct wm_handles *h, const struct wm_flow *flow);
/* A handle for a flow that has none. WM_HANDLE_NONE: no memory. */
uint32_t wm_handles__take(struct wm_handles *h, const struct wm_flow *flow);
void wm_handles__drop(struct wm_handles *h, uint32_t handle);
/* The kernel has this flow under this handle, whatever was known. 0 or -errno. */
int wm_handles__learn(struct wm_handles *h, uint32_t handle, const struct wm_flow *flow);

/* A complete listing: what was not learnt between begin and end is dropped. */
void wm_handles__begin(struct wm_handles *h);
void wm_handles__end(struct wm_handles *h);

#endif
