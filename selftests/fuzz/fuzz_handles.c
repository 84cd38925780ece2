// SPDX-License-Identifier: GPL-2.0
/* Handles, beside a list that is searched from end to end. What they take in memory goes
 * by their number, however large they are. */
#include <errno.h>

#include "fuzz.h"
#include "handles.h"

enum { FLOWS = 64, HANDLES_MAX = 4096 };

struct model {
	uint32_t handle[FLOWS]; /* 0: none */
	uint8_t seen[FLOWS];
};

static struct wm_flow flow_of(int n)
{
	return (struct wm_flow){ .sport = n, .proto = 17, .family = WM_IPV4 };
}

static int who_has(const struct model *m, uint32_t handle)
{
	int n = 0;

	while (n < FLOWS && m->handle[n] != handle)
		n++;
	return n;
}

static void take(struct wm_handles *h, struct model *m, int n)
{
	struct wm_flow flow = flow_of(n);
	uint32_t handle;

	if (m->handle[n])
		return; /* is for flows that have none */
	handle = wm_handles__take(h, &flow);
	fuzz_require(handle && who_has(m, handle) == FLOWS);
	m->handle[n] = handle;
	m->seen[n] = h->listing;
}

static void learn(struct wm_handles *h, struct model *m, int n, uint32_t handle)
{
	struct wm_flow flow = flow_of(n);
	int had = who_has(m, handle);

	fuzz_require(wm_handles__learn(h, handle, &flow) == (handle ? 0 : -ERANGE));
	if (!handle)
		return;
	if (had < FLOWS)
		m->handle[had] = 0;
	m->handle[n] = handle;
	m->seen[n] = h->listing;
	fuzz_require(wm_handles__in_nic(h, handle));
}

static void drop(struct wm_handles *h, struct model *m, uint32_t handle)
{
	int had = who_has(m, handle);

	wm_handles__drop(h, handle);
	if (handle && had < FLOWS)
		m->handle[had] = 0;
}

static void end(struct wm_handles *h, struct model *m)
{
	wm_handles__end(h);
	for (int n = 0; n < FLOWS; n++)
		if (m->seen[n] != (uint8_t)h->listing)
			m->handle[n] = 0;
}

static void step(struct wm_handles *h, struct model *m, struct fuzz *in)
{
	uint8_t what = fuzz_u8(in);
	int n = fuzz_u8(in) % FLOWS;

	switch (what % 8) {
	case 0 ... 2:
		take(h, m, n);
		break;
	case 3:
		learn(h, m, n, fuzz_u32(in));
		break;
	case 4:
		learn(h, m, n, fuzz_u8(in));
		break;
	case 5:
		drop(h, m, what & 8 ? fuzz_u8(in) : m->handle[n]);
		break;
	case 6:
		wm_handles__begin(h);
		break;
	case 7:
		if (what == 0xff) {
			wm_handles__clear(h);
			memset(m->handle, 0, sizeof(m->handle));
		} else {
			end(h, m);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };
	struct wm_handles h;
	struct model m = {};
	uint32_t used = 0;

	if (size > 3 * HANDLES_MAX || wm_handles__init(&h))
		return 0;
	while (in.left)
		step(&h, &m, &in);
	for (int n = 0; n < FLOWS; n++) {
		struct wm_flow flow = flow_of(n);

		fuzz_require(wm_handles__find(&h, &flow) == m.handle[n]);
		used += m.handle[n] != 0;
	}
	fuzz_require(h.used == used && h.size <= HANDLES_MAX);
	wm_handles__free(&h);
	return 0;
}
