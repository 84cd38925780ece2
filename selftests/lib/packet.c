// SPDX-License-Identifier: GPL-2.0
#include "packet.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <string.h>

const uint8_t packet_dmac[6] = { 0x02, 0, 0, 0, 0, 0x01 };
const uint8_t packet_smac[6] = { 0x02, 0, 0, 0, 0, 0x02 };
const uint8_t packet_next_hop[6] = { 0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee };

enum { ETH = 14, IP4 = 20, IP6 = 40, TCP = 20, UDP = 8 };

static void put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static uint16_t checksum(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += data[i] << 8 | data[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void ethernet(struct frame *f, const uint8_t *dmac, const uint8_t *smac, uint16_t type)
{
	memcpy(f->data, dmac, 6);
	memcpy(f->data + 6, smac, 6);
	put16(f->data + 12, type);
	f->len = ETH;
}

static void ipv4(struct frame *f, const char *src, const char *dst, const struct packet_spec *s,
		 size_t body)
{
	uint8_t *ip = f->data + f->len;
	size_t header = IP4 + 4 * s->options;

	memset(ip, 0, header);
	ip[0] = (s->version ?: 4) << 4 | header / 4;
	ip[1] = s->tos;
	put16(ip + 2, header + body + s->len_lie);
	put16(ip + 4, s->id);
	put16(ip + 6, s->frag);
	ip[8] = 64;
	ip[9] = s->proto;
	assert(inet_pton(AF_INET, src, ip + 12) == 1 && inet_pton(AF_INET, dst, ip + 16) == 1);
	memset(ip + IP4, 1, header - IP4);
	put16(ip + 10, checksum(ip, header));
	f->len += header;
}

static void ipv6(struct frame *f, const char *src, const char *dst, const struct packet_spec *s,
		 size_t body)
{
	uint8_t *ip = f->data + f->len;

	memset(ip, 0, IP6);
	ip[0] = (s->version ?: 6) << 4 | s->tos >> 4;
	ip[1] = s->tos << 4;
	put16(ip + 4, body + (s->nexthdr ? 8 : 0) + s->len_lie);
	ip[6] = s->nexthdr ?: s->proto;
	ip[7] = 64;
	assert(inet_pton(AF_INET6, src, ip + 8) == 1 && inet_pton(AF_INET6, dst, ip + 24) == 1);
	f->len += IP6;
	if (!s->nexthdr)
		return;
	memset(f->data + f->len, 0, 8);
	f->data[f->len] = s->proto;
	f->len += 8;
}

static size_t transport_size(uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return TCP;
	return proto == IPPROTO_UDP ? UDP : 8;
}

static void transport(struct frame *f, const struct packet_spec *s)
{
	uint8_t *l4 = f->data + f->len;

	memset(l4, 0, transport_size(s->proto));
	f->len += transport_size(s->proto);
	if (s->quoted) {
		l4[0] = s->icmp;
		return;
	}
	put16(l4, s->sport);
	put16(l4 + 2, s->dport);
	if (s->proto == IPPROTO_TCP) {
		l4[12] = TCP / 4 << 4;
		l4[13] = s->flags;
	} else {
		put16(l4 + 4, UDP + s->payload);
	}
}

static void payload(struct frame *f, const struct packet_spec *s, const struct frame *quoted)
{
	for (int i = 0; i < s->payload; i++)
		f->data[f->len++] = s->quoted ? quoted->data[ETH + i] : 'a' + i % 26;
}

void packet_build(const struct packet_spec *spec, struct frame *f)
{
	struct packet_spec s = *spec;
	bool v6 = strchr(s.src, ':');
	struct frame quoted;
	size_t body;

	if (s.quoted) {
		packet_build(s.quoted, &quoted);
		s.payload = quoted.len - ETH;
	}
	s.proto = s.proto ?: IPPROTO_TCP;
	body = transport_size(s.proto) + s.payload;
	ethernet(f, packet_dmac, packet_smac, s.ethertype ?: v6 ? 0x86dd : 0x0800);
	if (s.ethertype)
		put16(f->data + 12, s.ethertype);
	(v6 ? ipv6 : ipv4)(f, s.src, s.dst, &s, body);
	transport(f, &s);
	payload(f, &s, &quoted);
	memset(f->data + f->len, 0, s.padding);
	f->len += s.padding;
	assert(s.cut <= f->len);
	f->len -= s.cut;
}

/* What the outer header needs of the inner one. */
static size_t inner_length(const struct frame *inner, uint8_t *tos)
{
	const uint8_t *ip = inner->data + ETH;

	if (ip[0] >> 4 == 4) {
		*tos = ip[1];
		return ip[2] << 8 | ip[3];
	}
	*tos = ip[0] << 4 | ip[1] >> 4;
	return IP6 + (ip[4] << 8 | ip[5]);
}

void packet_wrap(const struct frame *inner, const char *outer_src, const char *real,
		 struct frame *f)
{
	bool outer_v6 = strchr(real, ':'), inner_v6 = inner->data[ETH] >> 4 == 6;
	struct packet_spec s = { .proto = inner_v6 ? IPPROTO_IPV6 : IPPROTO_IPIP };
	size_t body = inner_length(inner, &s.tos);

	ethernet(f, packet_next_hop, inner->data, outer_v6 ? 0x86dd : 0x0800);
	(outer_v6 ? ipv6 : ipv4)(f, outer_src, real, &s, body);
	memcpy(f->data + f->len, inner->data + ETH, inner->len - ETH);
	f->len += inner->len - ETH;
}
