// SPDX-License-Identifier: GPL-2.0
#include "notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "daemon.h"

void wm_notify__ready(const struct wm_daemon *d)
{
	char text[256];

	wm_daemon__describe(d, text, sizeof(text));
	sd_notifyf(0, "READY=1\nSTATUS=%s%s", d->reload.last_ns && d->reload.error ?
		   "last reload failed; " : "", text);
}

/* The time lets the manager tell this reload from an earlier one. */
void wm_notify__reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, wm_now_ns() / 1000);
}

void wm_notify__stopping(void)
{
	sd_notify(0, "STOPPING=1");
}
