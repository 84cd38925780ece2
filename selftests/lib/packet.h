/* SPDX-License-Identifier: GPL-2.0 */
/* Frames for packet tests, built from a description; and the frame that the
 * data plane should make of one, computed independently of it. */
#ifndef SELFTEST_PACKET_H
#define SELFTEST_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10 };

struct packet_spec {
	const char *src, *dst; /* both IPv4 or both IPv6 */
	uint16_t sport, dport;
	uint8_t proto;       /* IPPROTO_*; 0: TCP */
	uint8_t flags;       /* TCP */
	uint8_t tos;
	uint8_t options;     /* IPv4: words of options (NOPs) */
	uint16_t payload;    /* bytes after the transport header */
	uint16_t padding;    /* bytes after the IP packet */
	uint16_t id, frag;   /* IPv4: those fields, host order */
	uint8_t version;     /* that the IP header states; 0: the right one */
	uint8_t nexthdr;     /* IPv6: an extension header of 8 bytes of this type */
	int len_lie;         /* added to the length that the IP header states */
	uint16_t cut;        /* bytes cut off the frame's end */
	uint16_t ethertype;  /* 0: by family */
	uint8_t icmp;        /* ICMP: the type, where something is quoted */
	const struct packet_spec *quoted; /* ICMP: its IP packet is the payload */
};

struct frame {
	uint8_t data[4096];
	size_t len;
};

extern const uint8_t packet_dmac[6], packet_smac[6], packet_next_hop[6];

void packet_build(const struct packet_spec *spec, struct frame *frame);

/*
 * `inner` wrapped for `real` with the outer source `outer_src` (both as text,
 * their family is the outer one), sent to packet_next_hop. Checksum from
 * scratch.
 */
void packet_wrap(const struct frame *inner, const char *outer_src, const char *real,
		 struct frame *frame);

#endif
