/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Waking the kernel up for a ring that we fill and it empties (TX).
 *
 * One call takes what it takes: in copy mode 32 descriptors, then it says
 * EAGAIN and the rest stays until somebody calls again. So a push repeats while
 * the ring is not empty and the kernel says "later", within bounds. What is
 * left even so (or is left by a wake-up that was lost) is found by the watchdog:
 * a ring that is not empty and has not moved for WM_KICK_STALL_NS.
 */
#ifndef WM_KICK_H
#define WM_KICK_H

#include <stdbool.h>
#include <stdint.h>

enum {
	WM_KICK_STALL_NS = 1000000,
	WM_KICK_IDLE_MAX = 64, /* calls in a row without a descriptor taken */
};

/* The world, which a test replaces. */
struct wm_kick_world {
	int (*wake)(void *arg, int fd); /* 0 or -errno */
	uint64_t (*now_ns)(void *arg);
	void *arg;
};
extern const struct wm_kick_world wm_kick_world; /* sendto() and CLOCK_MONOTONIC */

struct wm_kick {
	const struct wm_kick_world *world;
	int fd;
	const uint32_t *producer, *consumer, *flags; /* in the shared ring */
	uint32_t calls_max; /* of one push */

	uint64_t wakeups;     /* calls, the watchdog's included */
	uint64_t given_up;    /* pushes that left something in the ring */
	uint64_t stall_kicks; /* stalls that the watchdog found */

	bool watching;        /* `seen` was the consumer at `since_ns` */
	uint32_t seen;
	uint64_t since_ns;
};

/* size: entries of the ring. */
void wm_kick__init(struct wm_kick *kick, const struct wm_kick_world *world, int fd, uint32_t size);

/* Is there something that the kernel has not taken yet? */
bool wm_kick__pending(const struct wm_kick *kick);

/*
 * Have the ring emptied. 0: it is empty, or the driver goes on by itself;
 * -EAGAIN: bounds were reached, the watchdog will see to it; else what the
 * kernel said (-ENETDOWN, -ENXIO).
 */
int wm_kick__push(struct wm_kick *kick);

/* To be called at least every millisecond while something is pending. true: the
 * ring had stalled and was kicked. */
bool wm_kick__watch(struct wm_kick *kick);

#endif
