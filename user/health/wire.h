/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What waymarkd and waymark-health say to each other, a line of JSON each.
 *
 *   waymarkd -> waymark-health, the whole list whenever it changes:
 *     {"checks": "begin"}
 *     {"id": 7, "address": "10.0.0.1", "type": "http", "port": 80, ...}   ids ascend
 *     {"checks": "end"}
 *   waymark-health -> waymarkd, when something changed, and each check at times:
 *     {"id": 7, "state": "down", "judged": true, "said": "HTTP 503 after 12 ms"}
 *
 * A check that is in the next list with the same id and the same questions goes on as it was.
 * waymarkd does not trust what it reads: the other one speaks with servers.
 */
#ifndef WM_WIRE_H
#define WM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "healthcheck.h"

enum {
	WM_WIRE_LINE_MAX = 1 << 16, /* longest line, its newline included: any texts fit, in JSON */
	WM_SAID = 160,            /* a result in words, with its NUL */
};

/* One real of a vip, and how it is checked. */
struct wm_probe {
	uint32_t id;
	struct wm_addr address;
	struct wm_check check; /* with its own texts; its port is that to ask */
	enum wm_health_state state;  /* to begin with */
};

struct wm_result {
	uint32_t id;
	enum wm_health_state state;
	bool judged; /* results have confirmed or changed the state */
	char said[WM_SAID];
};

enum wm_wire { WM_WIRE_BEGIN, WM_WIRE_PROBE, WM_WIRE_END };

/* The line, with its newline and a NUL, to free with free(). NULL: no memory. `probe` is that of
 * WM_WIRE_PROBE, else NULL. */
char *wm_wire__request(enum wm_wire what, const struct wm_probe *probe);
/* Of which kind it is, or -EINVAL (not one of ours), -ENOMEM. A probe's texts are to be freed
 * by wm_check__clear(). */
int wm_wire__parse_request(const char *line, size_t len, struct wm_probe *probe);

/* The line, with its newline, into `buf`; its length, 0: no memory or no room. */
size_t wm_wire__result(char *buf, size_t size, const struct wm_result *result);
/* 0 or -EINVAL. `said` is printable ASCII, whatever came. */
int wm_wire__parse_result(const char *line, size_t len, struct wm_result *result);

#endif
