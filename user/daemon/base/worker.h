/* SPDX-License-Identifier: GPL-2.0 */
/* Does work that would block the loop on a thread of its own, one job at a time. */
#ifndef WM_WORKER_H
#define WM_WORKER_H

#include <stdbool.h>
#include <systemd/sd-event.h>

struct wm_worker;

/* 0 or -errno. */
int wm_worker__new(struct wm_worker **worker, sd_event *event);
/* Waits for the job that runs, if any; its `done` is not called. NULL is fine. */
void wm_worker__free(struct wm_worker *worker);
/* The same just before the process ends, without waiting: a job that runs is left
 * to itself, with all that it was given. */
void wm_worker__abandon(struct wm_worker *worker);

/*
 * Call work(arg) on the thread and then, from the loop, done(arg); until then the
 * worker is busy, and what `work` writes is nobody else's to look at. Where no thread
 * can be had `work` is done at once; `done` comes from the loop all the same.
 */
void wm_worker__start(struct wm_worker *worker, void (*work)(void *arg),
		      void (*done)(void *arg), void *arg);
/* For work that may never end: where no thread can be had nothing is done. 0 or -errno. */
int wm_worker__try(struct wm_worker *worker, void (*work)(void *arg), void (*done)(void *arg),
		   void *arg);
bool wm_worker__busy(const struct wm_worker *worker); /* false for NULL */

#endif
