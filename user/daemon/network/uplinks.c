// SPDX-License-Identifier: GPL-2.0
/*
 * A packet leaves by the interface that it came in by, so what is true of one of them has
 * to hold for all: the smallest MTU counts.
 *
 * Frames for an interface carry its own address; or that of the bond or bridge that it is
 * a part of; or that of a macvlan on one of these (VRRP has its address there), which counts
 * while it is up and has an IP address: without, it is a backup, and must not answer.
 */
#include "uplinks.h"

#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "links.h"
#include "log.h"
#include "running.h"
#include "vlan.h"

enum { ETHERNET_MTU = 1500 }; /* what clients send, unless they know better */

/* --- whose frames are ours --- */

struct owns {
	struct wm_dp_own list[WM_OWN_MACS_MAX];
	size_t n;
	bool crowded;
};

static void add_own(struct owns *owns, const uint8_t mac[6], int ifindex)
{
	for (size_t i = 0; i < owns->n; i++)
		if (owns->list[i].ifindex == ifindex && !memcmp(owns->list[i].mac, mac, 6))
			return;
	owns->crowded |= owns->n == WM_OWN_MACS_MAX;
	if (owns->crowded)
		return;
	memcpy(owns->list[owns->n].mac, mac, 6);
	owns->list[owns->n++].ifindex = ifindex;
}

static bool is_upper(const struct wm_netdev *dev, const struct wm_netdev *port,
		     const struct wm_netdev *master)
{
	return dev->kind == WM_NETDEV_MACVLAN && dev->lower &&
	       (dev->lower == port->ifindex || (master && dev->lower == master->ifindex));
}

static void add_owns(struct owns *owns, const struct wm_netdev *list, size_t n,
		     const struct wm_netdev *port, bool alone)
{
	const struct wm_netdev *master = wm_netdev__find(list, n, port->master);
	int ifindex = alone ? 0 : port->ifindex;

	if (master && master->kind != WM_NETDEV_BOND && master->kind != WM_NETDEV_BRIDGE)
		master = NULL;
	add_own(owns, port->mac, ifindex);
	if (master)
		add_own(owns, master->mac, ifindex);
	for (size_t i = 0; i < n; i++)
		if (is_upper(&list[i], port, master) && list[i].up && list[i].addressed)
			add_own(owns, list[i].mac, ifindex);
}

static void take_owns(struct wm_uplinks *up, const struct wm_netdev *list, size_t n)
{
	const struct wm_links *links = up->with.links;
	struct owns owns = {};

	for (size_t i = 0; i < links->n; i++) {
		const struct wm_netdev *port = wm_netdev__find(list, n, links->ifindex[i]);

		if (port)
			add_owns(&owns, list, n, port, links->n == 1);
	}
	if (owns.crowded && !up->crowded)
		wm_error("the interfaces have more than %d link addresses: frames for the "
			 "others go to the stack (pass_not_us)", WM_OWN_MACS_MAX);
	up->crowded = owns.crowded;
	wm_dp__own_macs(up->with.running->dp, owns.list, owns.n);
}

/* --- the interfaces --- */

/* Of one interface it does not matter whether it has an IP address. */
static bool addresses_matter(const struct wm_uplinks *up)
{
	return up->macvlans || up->with.links->n > 1;
}

static bool has_macvlans(const struct wm_netdev *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].kind == WM_NETDEV_MACVLAN)
			return true;
	return false;
}

/* The VRF that a device is in, itself or its bond or bridge. */
static int vrf_of(const struct wm_netdev *list, size_t n, int ifindex)
{
	const struct wm_netdev *dev = wm_netdev__find(list, n, ifindex);

	for (int depth = 0; dev && depth < 3; depth++) {
		dev = wm_netdev__find(list, n, dev->master);
		if (dev && dev->kind == WM_NETDEV_VRF)
			return dev->ifindex;
	}
	return 0;
}

static void look_at(struct wm_uplinks *up, const struct wm_netdev *list, size_t n)
{
	const struct wm_links *links = up->with.links;

	up->vrf = vrf_of(list, n, links->ifindex[0]);
	up->mtu = 0;
	up->n_ports = links->n;
	for (size_t i = 0; i < links->n; i++) {
		const struct wm_netdev *dev = wm_netdev__find(list, n, links->ifindex[i]);

		up->port[i] = wm_crossing__port(dev);
		if (!dev || (up->mtu && dev->mtu >= up->mtu))
			continue;
		up->mtu = dev->mtu;
		memcpy(up->narrow, dev->name, sizeof(up->narrow));
	}
}

static int look(struct wm_uplinks *up, bool may_refuse, struct wm_err *err)
{
	struct wm_netdev *list;
	size_t n;
	int ret;

	ret = wm_netdev__list(&list, &n, err);
	if (ret)
		return ret;
	up->macvlans = has_macvlans(list, n);
	if (addresses_matter(up))
		ret = wm_netdev__addresses(list, n, err);
	if (!ret) {
		look_at(up, list, n);
		take_owns(up, list, n);
		ret = wm_vlan__look(up->with.vlan, up->with.running->config, up->with.links, list,
				    n, may_refuse, err);
	}
	free(list);
	return ret;
}

void wm_uplinks__look_again(struct wm_uplinks *up)
{
	uint32_t before = up->mtu;
	struct wm_err err;

	if (look(up, false, &err))
		wm_error("%s: changes of the interfaces go unnoticed", err.text);
	if (up->mtu == before)
		return;
	wm_uplinks__tell(up);
	up->with.mtu_changed(up->with.arg);
}

static void on_change(void *arg, unsigned int what)
{
	struct wm_uplinks *up = arg;

	if (what & WM_NETWATCH_LINKS || (what & WM_NETWATCH_ADDRESSES && addresses_matter(up)))
		wm_uplinks__look_again(up);
	up->with.changed(up->with.arg);
}

int wm_uplinks__open(struct wm_uplinks *up, sd_event *event, const struct wm_uplinks_parts *with,
		     bool may_refuse, struct wm_err *err)
{
	int ret;

	up->with = *with;
	ret = wm_netwatch__open(&up->watch, event, on_change, up, err);
	return ret ? ret : look(up, may_refuse, err);
}

void wm_uplinks__close(struct wm_uplinks *up)
{
	wm_netwatch__close(&up->watch);
}

/* --- what fits --- */

uint16_t wm_uplinks__max_frame(const struct wm_uplinks *up, const struct wm_addr *real,
			       uint32_t route)
{
	return wm_model__max_frame(real->family, route && route < up->mtu ? route : up->mtu);
}

uint32_t wm_uplinks__fits(const struct wm_uplinks *up, enum wm_family outer)
{
	uint16_t frame = wm_model__max_frame(outer, up->mtu);

	return frame > ETH_HLEN ? frame - ETH_HLEN : 0;
}

static bool any_real(const struct wm_config *config, enum wm_family family)
{
	for (size_t i = 0; i < config->n_vips; i++)
		for (size_t k = 0; k < config->vips[i].n_reals; k++)
			if (config->vips[i].reals[k].address.family == family)
				return true;
	return false;
}

static void tell(const struct wm_uplinks *up, enum wm_family outer)
{
	uint32_t fits = wm_uplinks__fits(up, outer);
	int version = outer == WM_IPV4 ? 4 : 6;

	if (fits >= ETHERNET_MTU)
		wm_info("%s has an MTU of %u: packets of up to %u bytes fit with an IPv%d header",
			up->narrow, up->mtu, fits, version);
	else
		wm_warn("%s has an MTU of %u: packets of more than %u bytes do not fit with an "
			"IPv%d header and are dropped (drop_mtu): give it and the links to the "
			"reals an MTU of %u", up->narrow, up->mtu, fits, version,
			ETHERNET_MTU + up->mtu - fits);
}

void wm_uplinks__tell(struct wm_uplinks *up)
{
	const struct wm_config *config = up->with.running->config;

	if (!up->mtu || up->told == up->mtu)
		return;
	up->told = up->mtu;
	if (any_real(config, WM_IPV4))
		tell(up, WM_IPV4);
	if (any_real(config, WM_IPV6))
		tell(up, WM_IPV6);
}
