/* SPDX-License-Identifier: GPL-2.0 */
/* What a vip serves, and what makes it the same vip: address, port, protocol.
 * As text "10.200.1.1:80/tcp"; every port is written as an asterisk. */
#ifndef WM_SERVICE_H
#define WM_SERVICE_H

#include <stdint.h>

#include "addr.h"

struct wm_service {
	struct wm_addr address;
	__be16 port; /* 0: every port */
	uint8_t proto;
};

enum { WM_SERVICE_TEXT = WM_ENDPOINT_TEXT + 4 };

/* An order, as memcmp. */
int wm_service__compare(const struct wm_service *a, const struct wm_service *b);
/* Returns `buf`, which holds WM_SERVICE_TEXT bytes. */
char *wm_service__format(const struct wm_service *service, char *buf);
/* 0 or -EINVAL. Every port is 0 or an asterisk. */
int wm_service__parse(const char *text, struct wm_service *service);

#endif
