// SPDX-License-Identifier: GPL-2.0
/* The backends by name. */
#include <string.h>

#include "offload.h"

static const struct wm_offload_ops *const backends[] = {
	&wm_offload_flower,
	&wm_offload_ntuple,
	&wm_offload_sim,
	&wm_offload_none,
};

#define N_BACKENDS (sizeof(backends) / sizeof(backends[0]))

const struct wm_offload_ops *wm_offload__find(const char *name)
{
	for (size_t i = 0; i < N_BACKENDS; i++)
		if (!strcmp(backends[i]->name, name))
			return backends[i];
	return NULL;
}

const struct wm_offload_ops *wm_offload__at(size_t i)
{
	return i < N_BACKENDS ? backends[i] : NULL;
}
