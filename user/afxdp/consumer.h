/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A local consumer: packets of vips that name it as a real (waymark.yaml(5),
 * `local`), by sockets that waymarkd makes and hands over. The process needs no
 * privileges, and may be in another network namespace than the device.
 *
 *     wm_consumer__connect(&consumer, "/run/waymark/local.sock", &err);
 *     while ((ready = wm_consumer__wait(consumer, -1)) >= 0 || ready == -EINTR)
 *             ... bursts of wm_consumer__xsk(consumer), see afxdp.h
 *
 * When the daemon goes, packets come as before; wait finds the next daemon by
 * itself. Only if that one cannot use the sockets any more (the device has
 * another number of queues, say) does it return -ESTALE: close and connect again.
 */
#ifndef WM_CONSUMER_H
#define WM_CONSUMER_H

#include "afxdp.h"

struct wm_consumer;

/* -EBUSY: the daemon has a consumer already. Waits some seconds for the answer. */
int wm_consumer__connect(struct wm_consumer **consumer, const char *path, struct wm_err *err);
void wm_consumer__close(struct wm_consumer *consumer);

struct wm_xsk *wm_consumer__xsk(struct wm_consumer *consumer);
/* As wm_xsk__wait(), and looks after the connection. */
int wm_consumer__wait(struct wm_consumer *consumer, int timeout_ms);
/* Is there a daemon that knows of us? */
bool wm_consumer__connected(const struct wm_consumer *consumer);

#endif
