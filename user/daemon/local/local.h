/* SPDX-License-Identifier: GPL-2.0 */
/* Gives local consumers their sockets, and keeps these as long as the consumers live. */
#ifndef WM_LOCAL_H
#define WM_LOCAL_H

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "addr.h"
#include "err.h"

struct wm_local;
struct wm_running;

/* Before the data plane gets the vips of the configuration: what it holds of other
 * consumers goes. -EOPNOTSUPP: more of them than this kernel can serve. `changed` is called
 * when one has come or gone. */
int wm_local__prepare(struct wm_local **local, sd_event *event, const struct wm_running *running,
		      void (*changed)(void *arg), void *arg, struct wm_err *err);
/* Listen where the configuration says. Nobody is answered before the loop runs. */
int wm_local__open(struct wm_local *local, struct wm_err *err);
/* A consumer that there is goes on with what it has. NULL is fine. */
void wm_local__close(struct wm_local *local);

/* An interface that was gone is served again: consumers need other sockets for it. */
void wm_local__device_is_back(struct wm_local *local);

/* Is the consumer that this real is (of family WM_LOCAL) there? If not it gets no new flows
 * that somebody else can take. NULL: nobody is. */
bool wm_local__present(const struct wm_local *local, const struct wm_addr *real);

/* For `waymark status`: who is which consumer, a text each. */
json_t *wm_local__status(const struct wm_local *local);
/* For `waymark xsk stats`; its keys stand in protocol.c. `name` may be NULL where there
 * is one. */
int wm_local__report(struct wm_local *local, const char *name, json_t **data, struct wm_err *err);

#endif
