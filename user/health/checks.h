/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The list of checks: when each is due, and what came of it. Each check has one timer: it
 * waits for the next run, or, while one is under way, for its timeout.
 */
#ifndef WM_CHECKS_H
#define WM_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "wire.h"

struct wm_checks;

/* `most`: runs at the same time; what is due beyond that waits. raw: see wm_echo__new() in run.h;
 * taken over. `news` is called when wm_checks__next() has something to tell. 0 or -errno. */
int wm_checks__new(struct wm_checks **checks, sd_event *event, size_t most, const int raw[2],
		   void (*news)(void *arg), void *arg);
void wm_checks__free(struct wm_checks *checks);

/*
 * A new list: begin, add each one by ascending id, end. Those that are in both lists with the
 * same id, address and questions go on; the others of the present list are forgotten. add()
 * takes the probe's texts over, in any case; 0, -EINVAL (order), -ENOMEM.
 */
void wm_checks__begin(struct wm_checks *checks);
int wm_checks__add(struct wm_checks *checks, struct wm_probe *probe);
void wm_checks__end(struct wm_checks *checks);

/* One that has something to tell; false: none has. However many results a check had since it
 * was asked for last, it tells what is true now: what waits here is bounded. */
bool wm_checks__next(struct wm_checks *checks, struct wm_result *result);

#endif
