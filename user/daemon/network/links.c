// SPDX-License-Identifier: GPL-2.0
#include "links.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ifindex.h"

int wm_links__open(struct wm_links *links, const struct wm_config *config, struct wm_err *err)
{
	bool any = false;
	int error = 0;

	links->ifindex = calloc(config->n_interfaces, sizeof(*links->ifindex));
	links->seen = calloc(config->n_interfaces, sizeof(*links->seen));
	links->name = calloc(config->n_interfaces, sizeof(*links->name));
	if (!links->ifindex || !links->seen || !links->name)
		return wm_err__sys(err, -ENOMEM, "cannot watch the interfaces");
	for (size_t i = 0; i < config->n_interfaces; i++) {
		int ifindex = wm_ifindex__of(config->interfaces[i]);

		links->ifindex[i] = ifindex > 0 ? ifindex : 0;
		error = ifindex < 0 ? -ifindex : error;
		links->seen[i] = links->ifindex[i];
		snprintf(links->name[i], IF_NAMESIZE, "%s", config->interfaces[i]);
		any |= links->seen[i];
		links->n++;
	}
	if (any)
		return 0;
	return wm_err__set(err, -error, "interface %s%s: %s in this network namespace",
			   config->interfaces[0], links->n > 1 ? " and the others" : "",
			   strerror(error));
}

size_t wm_links__find(const struct wm_links *links, int ifindex)
{
	size_t i = 0;

	while (i < links->n && links->ifindex[i] != ifindex)
		i++;
	return i;
}

void wm_links__close(struct wm_links *links)
{
	free(links->ifindex);
	free(links->seen);
	free(links->name);
	*links = (struct wm_links){};
}
