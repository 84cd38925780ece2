// SPDX-License-Identifier: GPL-2.0
/*
 * Vips and destinations as the data plane's tables hold them.
 *
 * The first spare word of struct wm_dest repeats the mark. Clearing an entry
 * zeroes `mark` and leaves the rest, so a daemon that adopts the tables still
 * finds there which generation an id had last.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <netinet/in.h>
#include <string.h>

#include "model_inside.h"

enum wm_encap wm_dest__encap(uint8_t vip_family, uint8_t real_family)
{
	if (real_family == WM_LOCAL)
		return vip_family == WM_IPV4 ? WM_ENCAP_LOCAL4 : WM_ENCAP_LOCAL6;
	if (real_family == WM_IPV4)
		return vip_family == WM_IPV4 ? WM_ENCAP_4IN4 : WM_ENCAP_6IN4;
	return vip_family == WM_IPV4 ? WM_ENCAP_4IN6 : WM_ENCAP_6IN6;
}

uint8_t wm_dest__real_family(const struct wm_dest *entry)
{
	if (entry->encap == WM_ENCAP_4IN4 || entry->encap == WM_ENCAP_6IN4)
		return WM_IPV4;
	return entry->encap >= WM_ENCAP_LOCAL4 ? WM_LOCAL : WM_IPV6;
}

uint32_t wm_dest__last_mark(const struct wm_dest *entry)
{
	return entry->mark ? entry->mark : entry->last_mark;
}

/*
 * One's-complement sum of what no packet changes: version and header length,
 * time to live, protocol, destination, and the configured half of the source.
 * In 16-bit words as a little-endian machine loads them, folded, not inverted.
 */
uint16_t wm_dest__csum4(const struct wm_model_vip *vip, const struct wm_addr *real,
			const struct wm_addr *source4)
{
	const uint32_t version_ihl = 0x45, ttl = 64;
	uint32_t proto, sum;

	if (real->family != WM_IPV4)
		return 0;
	proto = vip->address.family == WM_IPV4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	sum = version_ihl + (ttl | proto << 8);
	sum += (real->word[0] & 0xffff) + (real->word[0] >> 16);
	sum += source4->word[0] & 0xffff;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The outer header's own length field is 16 bits wide: IPv4 counts itself there. */
uint16_t wm_model__max_frame(uint8_t real_family, uint32_t mtu)
{
	uint32_t header = real_family == WM_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	uint32_t inner = mtu > header ? mtu - header : 0;

	if (real_family == WM_LOCAL)
		return UINT16_MAX;
	if (real_family == WM_IPV4 && inner > UINT16_MAX - header)
		inner = UINT16_MAX - header;
	return inner + ETH_HLEN < UINT16_MAX ? inner + ETH_HLEN : UINT16_MAX;
}

void wm_model__vip_entry(const struct wm_model *model, const struct wm_model_vip *vip,
			 struct wm_vip *entry)
{
	(void)model;
	*entry = (struct wm_vip){
		.port = vip->port,
		.proto = vip->proto,
		.family = vip->address.family,
		.number = vip->number,
		.flags = vip->offload ? 0 : WM_VIP_NO_OFFLOAD,
		.ring = vip->ring,
	};
	memcpy(entry->addr, vip->address.word, sizeof(entry->addr));
}

void wm_model__dest_entry(const struct wm_model *model, const struct wm_model_dest *dest,
			  const struct wm_config *config, struct wm_dest *entry)
{
	const struct wm_model_vip *vip = wm_model__vip_by_number(model, dest->vip);

	memset(entry, 0, sizeof(*entry));
	if (!vip)
		return; /* a retiring one whose vip is gone: nothing to write */
	entry->mark = wm_model__dest_mark(model, dest);
	entry->last_mark = entry->mark;
	entry->vip = dest->vip;
	entry->encap = wm_dest__encap(vip->address.family, dest->real.family);
	entry->proto = vip->proto;
	memcpy(entry->vip_addr, vip->address.word, sizeof(entry->vip_addr));
	memcpy(entry->real, dest->real.word, sizeof(entry->real));
	entry->vip_port = vip->port;
	entry->port_mask = vip->port ? 0xffff : 0;
	entry->csum4 = wm_dest__csum4(vip, &dest->real, &config->source4);
}
