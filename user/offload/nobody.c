// SPDX-License-Identifier: GPL-2.0
#include "nobody.h"

#include <arpa/inet.h>
#include <string.h>

enum { PORTS = 65535 };

void wm_nobody__flow(struct wm_flow *flow, uint32_t n, uint8_t family, uint8_t proto)
{
	uint32_t host = 1 + n / PORTS;

	*flow = (struct wm_flow){
		.sport = htons(1 + n % PORTS), .dport = htons(9), .proto = proto, .family = family,
	};
	if (family == WM_IPV6) {
		flow->src[0] = flow->dst[0] = htonl(0x20010db8);
		flow->src[2] = htonl(1);
		flow->src[3] = htonl(host);
		flow->dst[3] = htonl(2);
	} else {
		flow->src[0] = htonl(0xc6336400 + host); /* 198.51.100.0 */
		flow->dst[0] = htonl(0xc0000202);        /* 192.0.2.2 */
	}
}

bool wm_nobody__is(const struct wm_flow *flow)
{
	uint32_t source = ntohl(flow->src[flow->family == WM_IPV6 ? 3 : 0]);
	uint32_t host = flow->family == WM_IPV6 ? source : source & 0xff;
	struct wm_flow ours;

	if (!host || host > 1 + WM_NOBODY_FLOWS / PORTS || !flow->sport)
		return false;
	wm_nobody__flow(&ours, (host - 1) * PORTS + ntohs(flow->sport) - 1, flow->family,
		       flow->proto);
	return !memcmp(&ours, flow, sizeof(ours));
}
