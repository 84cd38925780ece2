// SPDX-License-Identifier: GPL-2.0
/* Messages about links, neighbours and routes, which come unasked. */
#include "fuzz_nl.h"
#include "rtmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nlmsghdr *msg = fuzz_message(data, size);
	struct wm_rtmsg_neighbour neighbour;
	struct wm_rtmsg_route route;
	struct wm_rtmsg_link link;

	if (!msg)
		return 0;
	if (wm_rtmsg__link(msg, &link))
		fuzz_require(strlen(link.name) < sizeof(link.name));
	if (wm_rtmsg__neighbour(msg, &neighbour))
		fuzz_require(neighbour.addr.family == WM_IPV4 || neighbour.addr.family == WM_IPV6);
	if (wm_rtmsg__route(msg, &route))
		fuzz_require(route.via.family <= WM_IPV6);
	free(msg);
	return 0;
}
