/* SPDX-License-Identifier: GPL-2.0 */
/* IP addresses and ports as text and in the form that the maps use. */
#ifndef WM_ADDR_H
#define WM_ADDR_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <waymark/abi.h>

struct wm_addr {
	__be32 word[4]; /* network order; IPv4 in word 0, the others zero */
	__u8 family;    /* enum wm_family; 0: no address */
};

enum {
	WM_ADDR_TEXT = 46,     /* an address as text, with its NUL */
	WM_LOCAL_NAME = 16,    /* a local consumer's name, with its NUL; its number is there then */
	WM_ENDPOINT_TEXT = 56, /* [address]:port, with its NUL */
};

/* 0, or -EINVAL when `text` is no IPv4 or IPv6 address. */
int wm_addr__parse(const char *text, struct wm_addr *addr);
/* A local consumer in an address's place, number 0; `name` is shorter than WM_LOCAL_NAME. */
void wm_addr__local(const char *name, struct wm_addr *addr);
/* Returns `buf`, which holds WM_ADDR_TEXT bytes; "local:NAME" for a consumer. */
char *wm_addr__format(const struct wm_addr *addr, char *buf);
/* As memcmp, IPv4 before IPv6. */
int wm_addr__compare(const struct wm_addr *a, const struct wm_addr *b);
static inline bool wm_addr__equal(const struct wm_addr *a, const struct wm_addr *b)
{
	return wm_addr__compare(a, b) == 0;
}

/* "10.0.0.1:80" or "[fc00::1]:80" -> address and port (network order).
 * 0 or -EINVAL. */
int wm_endpoint__parse(const char *text, struct wm_addr *addr, __be16 *port);
/* Returns `buf`, which holds WM_ENDPOINT_TEXT bytes. Port 0 is printed as '*'. */
char *wm_endpoint__format(const struct wm_addr *addr, __be16 port, char *buf);

/* "tcp" or "udp" (any case) -> IPPROTO_*, or -EINVAL. */
int wm_proto__parse(const char *text);
const char *wm_proto__name(__u8 proto); /* "tcp", "udp", "?" */

/* "aa:bb:cc:dd:ee:ff" -> 6 bytes. 0 or -EINVAL. */
int wm_mac__parse(const char *text, __u8 mac[6]);

#endif
