// SPDX-License-Identifier: GPL-2.0
/*
 * The data plane's clock is jiffies: for it a load from memory. User space
 * cannot read jiffies, so a program of two instructions tells them.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <time.h>
#include <unistd.h>

#include "dp.h"

/* Length of a jiffy in ns: the resolution of the coarse clock. */
static uint64_t jiffy_ns(void)
{
	struct timespec res;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &res) || res.tv_nsec < 100000)
		return 4000000; /* no kernel ticks faster than 10 kHz; 250 Hz is usual */
	return res.tv_nsec;
}

/* Moves with the jiffies. */
static uint64_t coarse_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Jiffies a tick, as a power of two, so that a tick is about a second. */
uint32_t wm_dp_tick_shift(void)
{
	uint64_t hz = 1000000000 / jiffy_ns();
	uint32_t shift = 0;

	while ((1ull << shift) * 3 < hz * 2) /* up from 2/3 of a second on */
		shift++;
	return shift;
}

int wm_dp_clock_open(void)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, "waymark_clock", "GPL", insns,
			       sizeof(insns) / sizeof(*insns), NULL);

	return fd < 0 ? -errno : fd;
}

bool wm_dp_tick(struct wm_dp *dp, uint32_t *tick)
{
	char packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet));
	uint64_t now = coarse_ns();

	/* Asked once a jiffy at most: thousands of flows are touched in a row. */
	if (dp->clock_read_ns != now) {
		if (dp->clock_fd < 0 || bpf_prog_test_run_opts(dp->clock_fd, &run))
			return false;
		dp->clock_read_ns = now;
		dp->jiffies = run.retval;
	}
	*tick = dp->jiffies >> (wm_dp__ctl(dp)->tick_shift & 31) & WM_FLOW_AGE_MASK;
	return true;
}

uint32_t wm_dp__tick_ns(struct wm_dp *dp, uint64_t *ns)
{
	uint32_t tick;

	if (ns)
		*ns = jiffy_ns() << (wm_dp__ctl(dp)->tick_shift & 31);
	return wm_dp_tick(dp, &tick) ? tick : 0;
}
