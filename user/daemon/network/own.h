/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds vips on addresses of the machine itself: their packets no longer reach the machine's
 * own services, among them the one by which its operator is logged in.
 */
#ifndef WM_OWN_H
#define WM_OWN_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "err.h"
#include "model.h"

struct wm_own_vip {
	size_t index;      /* in the configuration */
	char services[256]; /* "sshd (port 22), nginx (port 80)"; "": none was found */
};

struct wm_own {
	struct wm_own_vip *vip;
	size_t n;
};

/* Find them, by the addresses and sockets that there are now. May take a while. 0 or -errno:
 * then nothing is known. */
int wm_own__look(struct wm_own *own, const struct wm_config *config, struct wm_err *err);
void wm_own__free(struct wm_own *own);

/*
 * Warn of those that take a service's port; refuse those that take every port (-EPERM),
 * unless `confirm` is NULL: it is meant. What `now` serves already is no news. confirm:
 * what to do if it is meant.
 */
int wm_own__judge(const struct wm_own *own, const struct wm_config *config,
		  const struct wm_model *now, const char *confirm, struct wm_err *err);

#endif
