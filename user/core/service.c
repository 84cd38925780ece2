// SPDX-License-Identifier: GPL-2.0
#include "service.h"

#include <errno.h>
#include <string.h>

int wm_service__compare(const struct wm_service *a, const struct wm_service *b)
{
	int order = wm_addr__compare(&a->address, &b->address);

	if (order)
		return order;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return a->proto - b->proto;
}

char *wm_service__format(const struct wm_service *service, char *buf)
{
	wm_endpoint__format(&service->address, service->port, buf);
	strcat(buf, "/");
	strcat(buf, wm_proto__name(service->proto));
	return buf;
}

int wm_service__parse(const char *text, struct wm_service *service)
{
	char endpoint[WM_ENDPOINT_TEXT + 2];
	struct wm_service s = {};
	const char *slash = strrchr(text, '/');
	size_t len;
	int proto;

	if (!slash || (size_t)(slash - text) >= sizeof(endpoint))
		return -EINVAL;
	len = slash - text;
	memcpy(endpoint, text, len);
	endpoint[len] = '\0';
	if (len > 2 && !strcmp(endpoint + len - 2, ":*"))
		endpoint[len - 1] = '0';
	proto = wm_proto__parse(slash + 1);
	if (proto < 0 || wm_endpoint__parse(endpoint, &s.address, &s.port))
		return -EINVAL;
	s.proto = proto;
	*service = s;
	return 0;
}
