/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The process that runs health checks, waymark-health: started beside this program, given its
 * list, listened to, and started again when it ends. It has no privileges and speaks with
 * servers; nothing that it says or leaves out harms more than the states of reals.
 */
#ifndef WM_CHECKER_H
#define WM_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

struct wm_checker;
struct wm_probe;
struct wm_result;

struct wm_checker_ops {
	/* The i-th check of the list, by ascending id; its texts stay the callee's. False: there
	 * are no more. */
	bool (*probe)(void *arg, size_t i, struct wm_probe *probe);
	void (*result)(void *arg, const struct wm_result *result);
	void (*results_end)(void *arg); /* for now */
};

/* `ops` stays the caller's. The process is not started before there is a list. 0 or -errno. */
int wm_checker__new(struct wm_checker **checker, sd_event *event,
		    const struct wm_checker_ops *ops, void *arg);
void wm_checker__free(struct wm_checker *checker); /* ends the process; NULL is fine */

/* The list has changed; `any`: it is not empty, else no process is needed. */
void wm_checker__renew(struct wm_checker *checker, bool any);

#endif
