/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is known of the reals' health, and what follows from it: which of them are given new
 * flows. The checks themselves are made by another process (checker.h).
 *
 * After a start nothing is known. Until each real of a vip has had a result that counts, its
 * reals stay as the running ring has them: a restart changes no slot because of its checks.
 */
#ifndef WM_HEALTH_H
#define WM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "addr.h"
#include "config.h"
#include "err.h"
#include "service.h"

struct wm_admin;
struct wm_dp;
struct wm_health;
struct wm_model;

/* `changed` is called from the loop when wm_health__judge() may say something else than before.
 * `admin` stays the caller's. 0 or -errno. */
int wm_health__new(struct wm_health **health, sd_event *event, const struct wm_admin *admin,
		   void (*changed)(void *arg), void *arg);
void wm_health__free(struct wm_health *health); /* NULL is fine */

/* Check the reals of this configuration from now on. What is known of those that stay is kept.
 * How many vips have another check than before, or one instead of none, or none any more; or
 * -ENOMEM, and then nothing has changed. */
int wm_health__configure(struct wm_health *health, const struct wm_config *config);

/* What the data plane held before this daemon came: a real without a slot is down until its
 * checks say otherwise. Once, after the first configuration. 0 or -ENOMEM. */
int wm_health__adopt(struct wm_health *health, const struct wm_model *model,
		     struct wm_dp *dp);

/* Marks those of the vip's reals as away that get no new flows because of their checks. `reals`
 * are the vip's, those that cannot be reached or are out by hand are marked already. `health`
 * may be NULL: nobody is checked. 0 or -ENOMEM. */
int wm_health__judge(const struct wm_health *health, const struct wm_config_vip *vip,
		     struct wm_config_real *reals);

/* Others are out by hand now: whether all that are left are down is looked at again. */
void wm_health__look_again(struct wm_health *health);

struct wm_health_of {
	enum wm_health_state state;
	uint64_t since_ns;  /* CLOCK_MONOTONIC */
	uint64_t said_ns;   /* when its last result came; 0: none yet */
	const char *said;   /* in words; "": none yet */
};
/* false: the real is not checked. What it points to is good until the loop goes on. */
bool wm_health__of(const struct wm_health *health, const struct wm_service *service,
		   const struct wm_addr *real, struct wm_health_of *of);

#endif
