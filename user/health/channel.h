/* SPDX-License-Identifier: GPL-2.0 */
/* waymark-health's end of the socket to waymarkd: lists come in, results go out (wire.h). */
#ifndef WM_CHANNEL_H
#define WM_CHANNEL_H

#include <systemd/sd-event.h>

#include "err.h"

struct wm_channel;

/* `fd` is a stream socket and stays the caller's. The event loop ends, with 0, when the other
 * side has closed it, and with -errno when it said what nobody understands. `most` and `raw`:
 * see checks.h. 0 or -errno. */
int wm_channel__new(struct wm_channel **channel, sd_event *event, int fd, size_t most,
		    const int raw[2], struct wm_err *err);
void wm_channel__free(struct wm_channel *channel);

#endif
