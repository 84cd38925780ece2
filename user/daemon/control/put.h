/* SPDX-License-Identifier: GPL-2.0 */
/* Adds members to JSON objects. When there is no memory for a member it is left out;
 * jansson reports that when the object is printed. */
#ifndef WM_PUT_H
#define WM_PUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "dataplane.h"

static inline void wm_put__count(json_t *object, const char *key, uint64_t n)
{
	json_object_set_new(object, key, json_integer(n));
}

static inline void wm_put__text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

static inline void wm_put__bool(json_t *object, const char *key, bool yes)
{
	json_object_set_new(object, key, json_boolean(yes));
}

static inline void wm_put__null(json_t *object, const char *key)
{
	json_object_set_new(object, key, json_null());
}

/* Seconds; ns: a length of time. */
static inline void wm_put__seconds(json_t *object, const char *key, uint64_t ns)
{
	json_object_set_new(object, key, json_real(ns / 1000000 / 1e3)); /* ms are enough */
}

/* Family 0: null. */
static inline void wm_put__addr(json_t *object, const char *key, const struct wm_addr *addr)
{
	char text[WM_ADDR_TEXT];

	if (addr->family)
		wm_put__text(object, key, wm_addr__format(addr, text));
	else
		wm_put__null(object, key);
}

static inline void wm_put__endpoint(json_t *object, const char *key, uint8_t family,
				    const __be32 word[4], __be16 port)
{
	struct wm_addr addr = { { word[0], word[1], word[2], word[3] }, family };
	char text[WM_ENDPOINT_TEXT];

	wm_put__text(object, key, wm_endpoint__format(&addr, port, text));
}

/* protocol, source, destination */
static inline void wm_put__flow(json_t *object, const struct wm_flow *flow)
{
	wm_put__text(object, "protocol", wm_proto__name(flow->proto));
	wm_put__endpoint(object, "source", flow->family, flow->src, flow->sport);
	wm_put__endpoint(object, "destination", flow->family, flow->dst, flow->dport);
}

/* packets, marked, bytes, flows */
static inline void wm_put__traffic(json_t *object, const struct wm_dest_stats *stats)
{
	wm_put__count(object, "packets", stats->packets);
	wm_put__count(object, "marked", stats->marked);
	wm_put__count(object, "bytes", stats->bytes);
	wm_put__count(object, "flows", stats->flows);
}

#endif
