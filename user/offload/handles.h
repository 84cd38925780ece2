/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The numbers by which the kernel knows our rules: flow to handle and back. The
 * backend gives them out itself, small and dense, so that a rule can be named
 * before the kernel has seen it. What the kernel lists may have any handle: memory goes
 * by how many there are, never by how large their handles are.
 */
#ifndef WM_HANDLES_H
#define WM_HANDLES_H

#include <stdbool.h>
#include <stdint.h>
#include <waymark/abi.h>

enum { WM_HANDLE_NONE = 0 };

struct wm_handle {
	struct wm_flow flow;
	uint32_t handle;    /* also of one that is free: given out again with it */
	uint32_t by_flow;   /* next in its buckets, by place; 0: none */
	uint32_t by_handle;
	uint32_t next_free; /* in the free list */
	uint32_t seen;      /* number of the listing that showed it last */
	bool used;
	bool in_nic;        /* the kernel said so */
};

struct wm_handles {
	struct wm_handle *slot; /* in no order; [0] stays unused */
	uint32_t size, top;
	uint32_t free;          /* first of the free list */
	uint32_t used;
	uint32_t next;          /* handle to try that nobody had so far */
	uint32_t *flows;        /* buckets: places by flow */
	uint32_t *numbers;      /* and by handle */
	uint32_t buckets;       /* of each; a power of two */
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
/* Has the kernel said that it has this one? */
bool wm_handles__in_nic(const struct wm_handles *h, uint32_t handle);
/* The kernel has this flow under this handle, any but 0, whatever was known. 0 or -errno. */
int wm_handles__learn(struct wm_handles *h, uint32_t handle, const struct wm_flow *flow);

/* A complete listing: what was not learnt between begin and end is dropped. */
void wm_handles__begin(struct wm_handles *h);
void wm_handles__end(struct wm_handles *h);

#endif
