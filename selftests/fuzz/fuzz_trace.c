// SPDX-License-Identifier: GPL-2.0
/* A capture: the file's head is right now and then not, packets are as they come. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "source.h"
#include "trace.h"

struct record {
	uint32_t seconds, fraction, captured, length;
};

static void put(int fd, const void *data, size_t n)
{
	fuzz_require(write(fd, data, n) == (ssize_t)n);
}

static void put_head(int fd)
{
	static const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, digits, longest, link;
	} head = { 0xa1b23c4d, 2, 4, 0, 0, 65535, 1 };

	put(fd, &head, sizeof(head));
}

static void put_packets(int fd, struct fuzz *in)
{
	static const uint16_t types[4] = { 0x0008, 0xdd86, 0x0081, 0x0608 }; /* as on the wire */
	uint8_t frame[256];

	while (in->left) {
		uint8_t how = fuzz_u8(in), len = fuzz_u8(in);
		struct record record = { how, len, len, len };

		fuzz_bytes(in, frame, len);
		if (how & 1)
			memcpy(frame + 12, &types[how >> 1 & 3], sizeof(types[0]));
		if (how & 8)
			frame[14] = how & 16 ? 0x45 : 0x60;
		put(fd, &record, sizeof(record));
		put(fd, frame, len);
	}
}

static void play(const struct wm_trace *trace)
{
	struct wm_source *source = wm_trace__play(trace, 0);
	struct wm_packet packet;
	struct wm_flow flow;
	size_t n = 0;

	for (; source && source->next(source, UINT64_MAX, &packet); n++) {
		fuzz_require(packet.flow < trace->n_flows);
		source->name(source, packet.flow, &flow);
	}
	fuzz_require(!source || n == trace->n);
	wm_trace__stop(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	int fd = memfd_create("trace", MFD_CLOEXEC);
	struct wm_trace trace;
	struct wm_err err;
	char path[32];

	if (fd < 0)
		return 0;
	if (fuzz_u8(&in) & 7) {
		put_head(fd);
		put_packets(fd, &in);
	} else {
		put(fd, in.data, in.left);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!wm_trace__open(&trace, path, NULL, &err)) {
		play(&trace);
		wm_trace__close(&trace);
	}
	close(fd);
	return 0;
}
