// SPDX-License-Identifier: GPL-2.0
/* Packets as a consumer gets them from the network, in parts of any length: what they say
 * about themselves, turned round, and longer or shorter than they were. */
#include <netinet/in.h>

#include "frame.h"
#include "fuzz.h"

enum { PARTS = 3 };

struct rig {
	uint8_t *memory[PARTS]; /* each as large as its part may become: no byte more */
	struct wm_xsk_part part[PARTS];
	struct wm_xsk_packet packet;
};

static void make(struct rig *rig, struct fuzz *in)
{
	rig->packet.part = rig->part;
	rig->packet.n_parts = 1 + fuzz_u8(in) % PARTS;
	for (uint32_t i = 0; i < rig->packet.n_parts; i++) {
		struct wm_xsk_part *part = &rig->part[i];

		part->len = i + 1 < rig->packet.n_parts ? fuzz_u8(in) : in->left % WM_XSK_FRAME;
		part->room = part->len + fuzz_u8(in);
		part->data = rig->memory[i] = malloc(part->room + 1);
		fuzz_require(part->data);
		fuzz_bytes(in, part->data, part->len);
		rig->packet.len += part->len;
	}
}

/* Lengths and checksum of the datagram, whatever they were, so that more than its
 * beginning is read. */
static void heal(struct rig *rig)
{
	uint8_t *at = rig->part[0].data;
	uint16_t rest;

	if (rig->part[0].len < 42 || rig->packet.len > 1500)
		return;
	rest = rig->packet.len - 14;
	memcpy(at + 12, "\x08\x00\x45", 3);
	at[16] = rest >> 8;
	at[17] = rest;
	at[20] = at[21] = 0;
	at[23] = 17;
	at[38] = (rest - 20) >> 8;
	at[39] = rest - 20;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	struct rig rig = {};
	struct wm_frame frame;
	uint8_t how = fuzz_u8(&in);
	uint16_t len = fuzz_u16(&in);

	make(&rig, &in);
	if (how & 1)
		heal(&rig);
	if (!wm_frame__parse(&rig.packet, &frame) && frame.proto == IPPROTO_UDP) {
		fuzz_require(frame.payload_here <= frame.payload_len);
		wm_frame__turn(&frame, &rig.packet);
		if (!wm_frame__resize(&frame, &rig.packet, len)) {
			fuzz_require(rig.part[0].len <= rig.part[0].room);
			wm_frame__turn(&frame, &rig.packet);
		}
	}
	for (uint32_t i = 0; i < PARTS; i++)
		free(rig.memory[i]);
	return 0;
}
