/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program of ours that runs beside this one as a process of its own, because it reads what
 * strangers send: found in this program's directory, started with the descriptors that it is
 * given, and started again when it has ended, after a delay that grows as long as that does not
 * help. What is said on its descriptors is its owner's business.
 */
#ifndef WM_CHILD_H
#define WM_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "timer.h"

struct wm_child_ops {
	/* The delay is over. */
	void (*start)(void *arg);
	/* It has ended, and another one may be started. Not called by wm_child__free(). */
	void (*ended)(void *arg, const siginfo_t *info);
	unsigned int first_ms, max_ms; /* the delay: doubled each time */
};

struct wm_child {
	const struct wm_child_ops *ops;
	void *arg;
	sd_event *event;
	pid_t pid; /* 0: there is none */
	int pidfd;
	sd_event_source *end;
	struct wm_timer again;
	unsigned int delay_ms; /* the last one; 0: none */
	uint64_t started_ns;
};

/* `ops` and `child` stay where they are. 0 or -errno. */
int wm_child__init(struct wm_child *child, sd_event *event, const struct wm_child_ops *ops,
		   void *arg);
/* Ends it, and waits for that. */
void wm_child__free(struct wm_child *child);

struct wm_child_fd {
	int from; /* open here; no earlier one's `to` has this number */
	int to;   /* its number in the program */
};

/* Run `program` with these arguments, NULL at the end; it has none of our descriptors but these
 * (and what else has no close-on-exec flag), and signals as from a shell. 0, or -errno: it
 * does not run. */
int wm_child__start(struct wm_child *child, const char *program, char *const *argv,
		    const struct wm_child_fd *fds, size_t n);
/* ops->start() is called in so many milliseconds, which are returned. */
unsigned int wm_child__start_later(struct wm_child *child);
/* The next delay is the first one again. */
void wm_child__forget_delay(struct wm_child *child);
/* At once; ops->ended() follows. Nothing where there is none. */
void wm_child__kill(struct wm_child *child);

enum { WM_CHILD_TEXT = 96 };
/* "ended with exit code 1", "was ended by signal 9 (Killed)" */
void wm_child__describe(const siginfo_t *info, char text[WM_CHILD_TEXT]);

#endif
