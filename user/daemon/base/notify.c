// SPDX-License-Identifier: GPL-2.0
#include "notify.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

#include "monotonic.h"

static void notify(const char *first, const char *text, bool failed)
{
	sd_notifyf(0, "%sSTATUS=%s%s", first, failed ? "last reload failed; " : "", text);
}

void wm_notify__ready(const char *text, bool failed)
{
	notify("READY=1\n", text, failed);
}

void wm_notify__status(const char *text, bool failed)
{
	notify("", text, failed);
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
