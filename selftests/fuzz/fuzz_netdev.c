// SPDX-License-Identifier: GPL-2.0
/* Messages about devices and their addresses, from dumps and of a pair of veth. */
#include "fuzz_nl.h"
#include "netdev.h"
#include "rtmsg.h"

static bool ends(const char *name, size_t size)
{
	return memchr(name, '\0', size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *msg = fuzz_message(data, size);
	struct wm_rtmsg_end end;
	struct wm_netdev dev;

	if (!msg)
		return 0;
	wm_netdev__read(msg, &dev);
	fuzz_require(ends(dev.name, sizeof(dev.name)));
	fuzz_require(dev.kind <= WM_NETDEV_VRF && !dev.addressed);
	wm_rtmsg__end(msg, &end);
	fuzz_require(ends(end.name, sizeof(end.name)));
	wm_netdev__addressed(msg);
	free(msg);
	return 0;
}
