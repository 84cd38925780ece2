// SPDX-License-Identifier: GPL-2.0
/*
 * A vip that takes every port of an address that the machine itself has takes ssh's, too,
 * and the answers to connections that the machine opened: whoever configured it is out.
 * One port is asked for by name, so that is a warning.
 */
#include "own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "listeners.h"
#include "log.h"
#include "service.h"

enum { NAMED_MAX = 6 }; /* services that a message names */

/* --- look --- */

static bool same_address(const struct sockaddr *sa, const struct wm_addr *addr)
{
	if (!sa)
		return false;
	if (sa->sa_family == AF_INET && addr->family == WM_IPV4)
		return ((const struct sockaddr_in *)sa)->sin_addr.s_addr == addr->word[0];
	return sa->sa_family == AF_INET6 && addr->family == WM_IPV6 &&
	       !memcmp(&((const struct sockaddr_in6 *)sa)->sin6_addr, addr->word, 16);
}

static bool is_own(const struct ifaddrs *list, const struct wm_addr *addr)
{
	for (; list; list = list->ifa_next)
		if (same_address(list->ifa_addr, addr))
			return true;
	return false;
}

static int find_vips(struct wm_own *own, const struct wm_config *config)
{
	struct ifaddrs *list;

	own->vip = calloc(config->n_vips + 1, sizeof(*own->vip));
	if (!own->vip)
		return -ENOMEM;
	if (getifaddrs(&list))
		return -errno;
	for (size_t i = 0; i < config->n_vips; i++)
		if (is_own(list, &config->vips[i].address))
			own->vip[own->n++].index = i;
	freeifaddrs(list);
	return 0;
}

static bool would_lose(const struct wm_listener *l, const struct wm_config_vip *vip)
{
	return l->proto == vip->proto && (!vip->port || vip->port == l->port) &&
	       wm_listener__takes(l, &vip->address);
}

/* Ports below 1024 are what people know as services: they are named first. */
static int by_port(const void *left, const void *right)
{
	const struct wm_listener *a = left, *b = right;

	return (int)ntohs(a->port) - (int)ntohs(b->port);
}

static bool same_service(const struct wm_listener *a, const struct wm_listener *b)
{
	return a->port == b->port && a->proto == b->proto;
}

static void describe(struct wm_own_vip *vip, struct wm_listener *list, size_t n)
{
	size_t used = 0, named = 0, more = 0;

	wm_listeners__name(list, n);
	for (size_t i = 0; i < n; i++) {
		if (i && same_service(&list[i - 1], &list[i]))
			continue;
		if (named == NAMED_MAX) {
			more++;
			continue;
		}
		used += snprintf(vip->services + used, sizeof(vip->services) - used,
				 "%s%s (port %u)", named++ ? ", " : "",
				 *list[i].name ? list[i].name : "a service", ntohs(list[i].port));
	}
	if (more)
		snprintf(vip->services + used, sizeof(vip->services) - used, " and %zu more", more);
}

static int find_services(struct wm_own_vip *vip, const struct wm_config_vip *config,
			 const struct wm_listeners *all)
{
	struct wm_listener *lost = calloc(all->n + 1, sizeof(*lost));
	size_t n = 0;

	if (!lost)
		return -ENOMEM;
	for (size_t i = 0; i < all->n; i++)
		if (would_lose(&all->list[i], config))
			lost[n++] = all->list[i];
	qsort(lost, n, sizeof(*lost), by_port);
	if (n)
		describe(vip, lost, n);
	free(lost);
	return 0;
}

int wm_own__look(struct wm_own *own, const struct wm_config *config, struct wm_err *err)
{
	struct wm_listeners all = {};
	int ret;

	*own = (struct wm_own){};
	ret = find_vips(own, config);
	if (!ret && own->n)
		wm_listeners__find(&all); /* without it the vips are known all the same */
	for (size_t i = 0; i < own->n && !ret; i++)
		ret = find_services(&own->vip[i], &config->vips[own->vip[i].index], &all);
	wm_listeners__free(&all);
	if (!ret)
		return 0;
	wm_own__free(own);
	return wm_err__sys(err, ret, "cannot tell whether a vip has an address of this machine");
}

void wm_own__free(struct wm_own *own)
{
	free(own->vip);
	*own = (struct wm_own){};
}

/* --- judge --- */

static bool is_served(const struct wm_model *now, const struct wm_config_vip *vip)
{
	const struct wm_model_vip *there;

	there = wm_model__vip_of(now, &vip->address, vip->port, vip->proto);
	return there && there->port == vip->port;
}

static int refuse(const struct wm_own_vip *own, const struct wm_config *config,
		  const struct wm_model *now, const char *confirm, struct wm_err *err)
{
	const struct wm_config_vip *vip = &config->vips[own->index];
	char text[WM_ADDR_TEXT];

	if (vip->port || is_served(now, vip))
		return 0;
	return wm_err__set(err, -EPERM, "vip %s would take every %s port of %s, an address of "
			   "this machine: it cuts off %s%sthe answers to connections that the "
			   "machine opens. If this is meant, %s", vip->name,
			   wm_proto__name(vip->proto), wm_addr__format(&vip->address, text),
			   own->services, *own->services ? ", and " : "", confirm);
}

static void warn(const struct wm_own_vip *own, const struct wm_config *config,
		 const struct wm_model *now)
{
	const struct wm_config_vip *vip = &config->vips[own->index];
	char text[WM_ADDR_TEXT];

	if (is_served(now, vip) || (vip->port && !*own->services))
		return;
	wm_warn("vip %s takes packets for an address of this machine, %s: it cuts off %s",
		vip->name, wm_addr__format(&vip->address, text),
		*own->services ? own->services : "the answers to connections that it opens");
}

int wm_own__judge(const struct wm_own *own, const struct wm_config *config,
		  const struct wm_model *now, const char *confirm, struct wm_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < own->n && !ret && confirm; i++)
		ret = refuse(&own->vip[i], config, now, confirm, err);
	for (size_t i = 0; i < own->n && !ret; i++)
		warn(&own->vip[i], config, now);
	return ret;
}
