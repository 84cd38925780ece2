// SPDX-License-Identifier: GPL-2.0
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int wm_addr__parse(const char *text, struct wm_addr *addr)
{
	struct wm_addr a = { .family = WM_IPV4 };

	if (inet_pton(AF_INET, text, a.word) != 1) {
		memset(a.word, 0, sizeof(a.word));
		a.family = WM_IPV6;
		if (inet_pton(AF_INET6, text, a.word) != 1)
			return -EINVAL;
	}
	*addr = a;
	return 0;
}

void wm_addr__local(const char *name, struct wm_addr *addr)
{
	*addr = (struct wm_addr){ .family = WM_LOCAL };
	memcpy(addr->word, name, strnlen(name, WM_LOCAL_NAME - 1));
}

char *wm_addr__format(const struct wm_addr *addr, char *buf)
{
	int af = addr->family == WM_IPV6 ? AF_INET6 : AF_INET;

	if (addr->family == WM_LOCAL)
		snprintf(buf, WM_ADDR_TEXT, "local:%.15s", (const char *)addr->word);
	else if (!addr->family || !inet_ntop(af, addr->word, buf, WM_ADDR_TEXT))
		strcpy(buf, "-");
	return buf;
}

int wm_addr__compare(const struct wm_addr *a, const struct wm_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->word, b->word, sizeof(a->word));
}

static int parse_port(const char *text, __be16 *port)
{
	char *end;
	long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	value = strtol(text, &end, 10);
	if (*end || value > 65535)
		return -EINVAL;
	*port = htons(value);
	return 0;
}

int wm_endpoint__parse(const char *text, struct wm_addr *addr, __be16 *port)
{
	const char *colon = strrchr(text, ':');
	char host[WM_ADDR_TEXT];
	size_t len;

	if (!colon)
		return -EINVAL;
	len = colon - text;
	if (len > 1 && text[0] == '[' && colon[-1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return -EINVAL; /* an IPv6 address needs its brackets */
	}
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	return wm_addr__parse(host, addr) ?: parse_port(colon + 1, port);
}

char *wm_endpoint__format(const struct wm_addr *addr, __be16 port, char *buf)
{
	const char *format = addr->family == WM_IPV6 ? "[%s]:%s" : "%s:%s";
	char host[WM_ADDR_TEXT], number[6] = "*";

	if (port)
		snprintf(number, sizeof(number), "%u", ntohs(port));
	snprintf(buf, WM_ENDPOINT_TEXT, format, wm_addr__format(addr, host), number);
	return buf;
}

int wm_proto__parse(const char *text)
{
	if (!strcasecmp(text, "tcp"))
		return IPPROTO_TCP;
	if (!strcasecmp(text, "udp"))
		return IPPROTO_UDP;
	return -EINVAL;
}

const char *wm_proto__name(__u8 proto)
{
	if (proto == IPPROTO_TCP)
		return "tcp";
	return proto == IPPROTO_UDP ? "udp" : "?";
}

int wm_mac__parse(const char *text, __u8 mac[6])
{
	unsigned int b[6];
	int used = 0;

	/* %x alone would also take signs, blanks and 0x */
	if (strspn(text, "0123456789abcdefABCDEF:") != strlen(text))
		return -EINVAL;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &used) != 6 || text[used])
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		mac[i] = b[i];
	return 0;
}
