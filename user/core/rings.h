/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the model: the rings of many vips. */
#ifndef WM_RINGS_H
#define WM_RINGS_H

#include "model_inside.h"

struct wm_ring_job {
	struct vip *vip;
	/* Out: the ring, to be freed by the caller; NULL: it is as in the data plane. */
	uint16_t *slot;
	uint64_t hash;
};

/*
 * Build the ring of each job's vip from the weights of its destinations, and note
 * in the model how many slots each destination has. The result does not depend on
 * how many CPUs work on it. 0 or -ENOMEM: then no job has a ring.
 */
int wm_rings__build(struct wm_model *model, struct wm_ring_job *jobs, size_t n);

#endif
