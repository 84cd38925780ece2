// SPDX-License-Identifier: GPL-2.0
/*
 * With the tag in the frame a tagged packet is no IP packet to the program, and goes to the
 * stack. A bond's tags are taken off by its members, so theirs is the switch.
 *
 * Whether somebody will send tagged frames nobody knows beforehand. Where they can be kept from
 * being stripped they are; where they cannot, VLAN interfaces say that they do come.
 */
#include "vlan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "ethtool.h"
#include "ifindex.h"
#include "links.h"
#include "log.h"

/* As the kernel calls them. The second is for tags of providers (802.1ad). */
static const char *const features[] = { "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse" };

enum { FEATURES = sizeof(features) / sizeof(*features) };

/* --- what was switched off --- */

/* Its own, or one that is free or was of an interface that is gone. NULL: there is none. */
static struct wm_dp_vlan *entry_of(struct wm_vlan *vlan, uint32_t ifindex)
{
	struct wm_dp_vlan *found = NULL;
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < WM_DP_VLANS_MAX; i++) {
		struct wm_dp_vlan *entry = &vlan->off[i];

		if (entry->ifindex == ifindex)
			return entry;
		if (!found && (!entry->ifindex || wm_ifindex__name(entry->ifindex, name)))
			found = entry;
	}
	if (found)
		*found = (struct wm_dp_vlan){ .ifindex = ifindex };
	return found;
}

/* Before it is done: what is on all the same is put back to no harm. */
static int note(struct wm_vlan *vlan, const struct wm_config *config, uint32_t ifindex,
		uint32_t bits, struct wm_err *err)
{
	struct wm_dp_vlan *entry = entry_of(vlan, ifindex);
	char *pin;
	int ret;

	if (!entry)
		return wm_err__set(err, -ENOSPC, "too many interfaces");
	if ((entry->features & bits) == bits)
		return 0;
	entry->features |= bits;
	pin = wm_config__path(config, config->pin);
	ret = pin ? wm_dp__note_vlans(pin, vlan->off, err) : wm_err__sys(err, -ENOMEM, "pin");
	free(pin);
	return ret;
}

/* --- one device --- */

static uint32_t switched_on(const struct wm_ethtool_io *io)
{
	uint32_t bits = 0;

	for (int i = 0; i < FEATURES; i++)
		if (wm_ethtool__state(io, features[i]) == WM_FEATURE_ON)
			bits |= 1u << i;
	return bits;
}

/* The first error counts, and the others are switched all the same. */
static int switch_all(const struct wm_ethtool_io *io, uint32_t bits, bool on)
{
	int ret = 0, one;

	for (int i = 0; i < FEATURES; i++) {
		one = bits >> i & 1 ? wm_ethtool__switch(io, features[i], on) : 0;
		ret = ret ? ret : one;
	}
	return ret;
}

/* 0: tags stay in its frames. */
static int keep_tags(struct wm_vlan *vlan, const struct wm_config *config,
		     const struct wm_netdev *dev)
{
	struct wm_ethtool_io io;
	struct wm_err err = {};
	uint32_t bits;
	int ret = 0;

	if (wm_ethtool__open(&io, dev->name))
		return 0; /* it has just gone */
	bits = switched_on(&io);
	if (bits) {
		if (note(vlan, config, dev->ifindex, bits, &err))
			wm_warn("%s: rx-vlan-offload will stay off after --detach: %s", dev->name,
				err.text);
		ret = switch_all(&io, bits, false);
		if (!ret)
			wm_info("%s: rx-vlan-offload is switched off, so that the program sees "
				"VLAN tags (--detach switches it on again)", dev->name);
	}
	io.close(io.arg);
	return ret;
}

/* --- all of them --- */

static const struct wm_netdev *vlan_on(const struct wm_netdev *list, size_t n,
				       const struct wm_netdev *dev)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].kind == WM_NETDEV_VLAN && list[i].lower &&
		    (list[i].lower == dev->ifindex || list[i].lower == dev->master))
			return &list[i];
	return NULL;
}

static bool is_new(struct wm_vlan *vlan, int ifindex)
{
	for (size_t i = 0; i < vlan->n_stuck; i++)
		if (vlan->stuck[i] == ifindex)
			return false;
	if (vlan->n_stuck < WM_STUCK_MAX)
		vlan->stuck[vlan->n_stuck++] = ifindex;
	return true;
}

static int look_at(struct wm_vlan *vlan, const struct wm_config *config,
		   const struct wm_netdev *list, size_t n, const struct wm_netdev *dev,
		   struct wm_err *err)
{
	const struct wm_netdev *tagged;
	int ret = keep_tags(vlan, config, dev);

	if (!ret)
		return 0;
	tagged = vlan_on(list, n, dev);
	if (tagged)
		return wm_err__set(err, -EOPNOTSUPP, "%s takes the VLAN tags off frames "
				   "(rx-vlan-offload: %s), where the program does not see them: a "
				   "packet for a vip that comes in tagged leaves untagged, and %s "
				   "is a VLAN on it. Give the VLANs another NIC", dev->name,
				   ret == -EOPNOTSUPP ? "its driver does not let that be switched "
				   "off" : strerror(-ret), tagged->name);
	if (is_new(vlan, dev->ifindex))
		wm_warn("%s takes the VLAN tags off frames (rx-vlan-offload), and that cannot be "
			"switched off: a packet for a vip that comes in tagged leaves untagged. "
			"Let none come there", dev->name);
	return 0;
}

static void read_notes(struct wm_vlan *vlan, const struct wm_config *config)
{
	char *pin = vlan->known ? NULL : wm_config__path(config, config->pin);

	if (pin)
		wm_dp__vlans(pin, vlan->off);
	vlan->known = true;
	free(pin);
}

static int look(struct wm_vlan *vlan, const struct wm_config *config,
		const struct wm_links *links, const struct wm_netdev *list, size_t n,
		struct wm_err *err)
{
	int ret = 0, one;

	for (size_t i = 0; i < links->n; i++) {
		const struct wm_netdev *port = wm_netdev__find(list, n, links->ifindex[i]);

		for (size_t k = 0; port && k < n; k++) {
			bool member = list[k].master == port->ifindex &&
				      port->kind == WM_NETDEV_BOND;

			if (!member && &list[k] != port)
				continue;
			one = look_at(vlan, config, list, n, &list[k], ret ? NULL : err);
			ret = ret ? ret : one;
		}
	}
	return ret;
}

int wm_vlan__look(struct wm_vlan *vlan, const struct wm_config *config,
		  const struct wm_links *links, const struct wm_netdev *list, size_t n,
		  bool may_refuse, struct wm_err *err)
{
	struct wm_err what = {};
	int ret;

	read_notes(vlan, config);
	ret = look(vlan, config, links, list, n, &what);
	if (ret && may_refuse) {
		*err = what;
		return ret;
	}
	if (ret && strcmp(what.text, vlan->said.text))
		wm_error("%s", what.text);
	vlan->said = what;
	return 0;
}

void wm_vlan__put_back(const struct wm_vlan *vlan)
{
	char name[IF_NAMESIZE];
	struct wm_ethtool_io io;

	for (size_t i = 0; i < WM_DP_VLANS_MAX && vlan->off[i].ifindex; i++) {
		if (wm_ifindex__name(vlan->off[i].ifindex, name) || wm_ethtool__open(&io, name))
			continue;
		if (switch_all(&io, vlan->off[i].features, true))
			wm_warn("%s: rx-vlan-offload cannot be switched on again", name);
		io.close(io.arg);
	}
}
