// SPDX-License-Identifier: GPL-2.0
/*
 * The backend for machines without a NIC that takes rules: no hook but open and
 * close, so that no rule is ever asked for, and everything works by software.
 */
#include "offload.h"

static int none_open(struct wm_offload **off, const char *interface, const char *argument,
		     struct wm_err *err)
{
	(void)interface;
	(void)argument;
	(void)err;
	*off = NULL;
	return 0;
}

static void none_close(struct wm_offload *off)
{
	(void)off;
}

const struct wm_offload_ops wm_offload_none = {
	.name = "none",
	.scope = WM_SCOPE_ALL,
	.open = none_open,
	.close = none_close,
};
