/* SPDX-License-Identifier: GPL-2.0 */
/* Tells whether each interface is served: by what the kernel says, not by what we remember. */
#ifndef WM_ATTACHED_H
#define WM_ATTACHED_H

#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "dataplane.h"
#include "err.h"
#include "timer.h"

struct wm_links;
struct wm_running;

/* Of one interface. */
struct wm_attached_port {
	struct wm_dp_state is;
	uint64_t next_ns;   /* no attempt to attach again before this */
	uint32_t times;     /* that it was attached again */
	struct wm_err why;  /* why the last attempt failed; empty: it did not */
};

struct wm_attached {
	struct wm_timer timer;
	struct wm_attached_port *port; /* by position in the configuration */
	size_t n;
	const struct wm_running *running;
	const struct wm_links *links;
	void (*changed)(void *arg);
	void *arg;
};

/* Everything is attached as configured; from now on it is watched. `changed` is called when
 * another interface is served, or is not any more. */
int wm_attached__start(struct wm_attached *attached, sd_event *event,
		       const struct wm_running *running, const struct wm_links *links,
		       void (*changed)(void *arg), void *arg, struct wm_err *err);
void wm_attached__stop(struct wm_attached *attached);

/* Something happened to this interface: look, say what has changed, and attach again where
 * the configuration says so. */
void wm_attached__check(struct wm_attached *attached, size_t i);
void wm_attached__check_all(struct wm_attached *attached);
/* The interface is there, maybe as another one of its name: attach. 0 or -errno. */
int wm_attached__again(struct wm_attached *attached, size_t i, struct wm_err *err);
/* Somebody asked for it: attach wherever nothing is, whatever the configuration says. */
void wm_attached__renew(struct wm_attached *attached);

/* "eth0: no XDP program is attached"; empty: it is served. */
enum { WM_ATTACHED_TEXT = 1024 };
void wm_attached__text(const struct wm_attached *attached, size_t i, char *text, size_t size);
/* Append these of all interfaces that are not served, if any, to a text. */
void wm_attached__append(const struct wm_attached *attached, char *text, size_t size);
/* "native", "generic", "mixed" or "none". */
const char *wm_attached__mode(const struct wm_attached *attached);
/* How often the program was attached again, on any interface. */
uint64_t wm_attached__times(const struct wm_attached *attached);

#endif
