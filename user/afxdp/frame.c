// SPDX-License-Identifier: GPL-2.0
#include "frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <string.h>

/* --- reading --- */

/* Frames are aligned for the NIC, not for us. */
static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

/* Where the transport header begins, and what the IP header says is there. */
static int parse_ip(uint16_t type, uint32_t here, struct wm_frame *frame, uint32_t *ip_payload)
{
	const uint8_t *ip = frame->ip;
	uint32_t header;

	if (type == ETH_P_IP && here >= sizeof(struct iphdr) && ip[0] >> 4 == 4) {
		header = (ip[0] & 0xf) * 4;
		if (header < sizeof(struct iphdr) || get16(ip + 2) < header ||
		    get16(ip + 6) & 0x3fff)
			return -EINVAL;
		frame->family = WM_IPV4;
		frame->proto = ip[9];
		*ip_payload = get16(ip + 2) - header;
	} else if (type == ETH_P_IPV6 && here >= sizeof(struct ipv6hdr) && ip[0] >> 4 == 6) {
		header = sizeof(struct ipv6hdr);
		frame->family = WM_IPV6;
		frame->proto = ip[6];
		*ip_payload = get16(ip + 4);
	} else {
		return -EINVAL;
	}
	frame->l4 = frame->ip + header;
	return header <= here ? 0 : -EINVAL;
}

static uint32_t transport_header(const struct wm_frame *frame, uint32_t here)
{
	if (frame->proto == IPPROTO_UDP)
		return sizeof(struct udphdr);
	return here >= sizeof(struct tcphdr) ? (frame->l4[12] >> 4) * 4u : sizeof(struct tcphdr);
}

int wm_frame__parse(const struct wm_xsk_packet *packet, struct wm_frame *frame)
{
	uint8_t *data = packet->part[0].data, *end = data + packet->part[0].len;
	uint32_t header, ip_payload;
	int ret;

	*frame = (struct wm_frame){ .ip = data + ETH_HLEN };
	if (packet->part[0].len < ETH_HLEN)
		return -EINVAL;
	ret = parse_ip(get16(data + 12), end - frame->ip, frame, &ip_payload);
	if (ret || (frame->proto != IPPROTO_UDP && frame->proto != IPPROTO_TCP))
		return -EINVAL;
	header = transport_header(frame, end - frame->l4);
	if (header < sizeof(struct udphdr) || header > end - frame->l4 || header > ip_payload ||
	    frame->l4 - data + ip_payload > packet->len)
		return -EINVAL;
	if (frame->proto == IPPROTO_UDP && get16(frame->l4 + 4) != ip_payload)
		return -EINVAL;
	frame->payload = frame->l4 + header;
	frame->payload_len = ip_payload - header;
	frame->payload_here = end - frame->payload;
	if (frame->payload_here > frame->payload_len)
		frame->payload_here = frame->payload_len;
	return 0;
}

static uint32_t address_length(const struct wm_frame *frame)
{
	return frame->family == WM_IPV4 ? 4 : 16;
}

static uint8_t *addresses(const struct wm_frame *frame)
{
	return frame->ip + (frame->family == WM_IPV4 ? 12 : 8);
}

static void endpoint(const struct wm_frame *frame, uint32_t which, struct wm_addr *addr,
		     __be16 *port)
{
	uint32_t len = address_length(frame);

	*addr = (struct wm_addr){ .family = frame->family };
	memcpy(addr->word, addresses(frame) + which * len, len);
	memcpy(port, frame->l4 + which * sizeof(*port), sizeof(*port));
}

void wm_frame__source(const struct wm_frame *frame, struct wm_addr *addr, __be16 *port)
{
	endpoint(frame, 0, addr, port);
}

void wm_frame__destination(const struct wm_frame *frame, struct wm_addr *addr, __be16 *port)
{
	endpoint(frame, 1, addr, port);
}

/* --- answering --- */

/* The one's-complement sum goes on where a part with an odd length left off. */
struct sum {
	uint64_t value;
	bool odd;
};

static void add_bytes(struct sum *sum, const uint8_t *data, uint32_t len)
{
	if (len && sum->odd) {
		sum->value += *data++;
		len--;
		sum->odd = false;
	}
	for (; len >= 2; data += 2, len -= 2)
		sum->value += get16(data);
	if (len) {
		sum->value += *data << 8;
		sum->odd = true;
	}
}

static uint16_t folded(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void udp_checksum(struct wm_frame *frame, const struct wm_xsk_packet *packet)
{
	uint32_t rest = sizeof(struct udphdr) + frame->payload_len;
	struct sum sum = { .value = rest + IPPROTO_UDP };
	const uint8_t *data = frame->l4;
	uint32_t here = packet->part[0].data + packet->part[0].len - data;
	uint16_t value;

	put16(frame->l4 + 6, 0);
	add_bytes(&sum, addresses(frame), 2 * address_length(frame));
	for (uint32_t i = 0; rest; data = packet->part[i].data, here = packet->part[i].len) {
		uint32_t n = here < rest ? here : rest;

		add_bytes(&sum, data, n);
		rest -= n;
		if (++i == packet->n_parts)
			break;
	}
	value = folded(sum.value);
	put16(frame->l4 + 6, value ? value : 0xffff);
}

static void swap(uint8_t *a, uint8_t *b, uint32_t len)
{
	uint8_t keep[16];

	memcpy(keep, a, len);
	memcpy(a, b, len);
	memcpy(b, keep, len);
}

void wm_frame__turn(struct wm_frame *frame, struct wm_xsk_packet *packet)
{
	uint8_t *eth = packet->part[0].data, *address = addresses(frame);
	uint32_t len = address_length(frame);

	swap(eth, eth + ETH_ALEN, ETH_ALEN);
	swap(address, address + len, len);
	swap(frame->l4, frame->l4 + 2, 2);
	udp_checksum(frame, packet);
}

int wm_frame__resize(struct wm_frame *frame, struct wm_xsk_packet *packet, uint32_t payload_len)
{
	struct wm_xsk_part *part = &packet->part[0];
	uint32_t before = frame->payload - part->data;
	uint32_t udp = sizeof(struct udphdr) + payload_len;
	struct sum sum = {};

	if (packet->n_parts != 1)
		return -EINVAL;
	if (payload_len > part->room || before + payload_len > part->room)
		return -EMSGSIZE;
	part->len = packet->len = before + payload_len;
	frame->payload_len = frame->payload_here = payload_len;
	put16(frame->l4 + 4, udp);
	if (frame->family == WM_IPV6) {
		put16(frame->ip + 4, udp);
		return 0;
	}
	put16(frame->ip + 2, frame->l4 - frame->ip + udp);
	put16(frame->ip + 10, 0);
	add_bytes(&sum, frame->ip, frame->l4 - frame->ip);
	put16(frame->ip + 10, folded(sum.value));
	return 0;
}
