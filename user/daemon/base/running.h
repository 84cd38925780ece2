/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What runs now: one of each, which the parts of the daemon share. daemon.c makes them. A
 * change that is carried out puts another model in the place of the old one (apply.c), and
 * the end of a reload another configuration (reload.c); so nobody keeps a pointer to these
 * two from one turn of the loop to the next. The data plane stays the same, once the parts
 * that use it have started.
 */
#ifndef WM_RUNNING_H
#define WM_RUNNING_H

#include "config.h"
#include "dataplane.h"
#include "model.h"

struct wm_running {
	struct wm_config *config; /* what the last good file said */
	struct wm_model *model;   /* what the data plane holds */
	struct wm_dp *dp;
};

#endif
