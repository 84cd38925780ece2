// SPDX-License-Identifier: GPL-2.0
/*
 * What feeds the data plane, piece by piece: rings, counters, loading. Each is
 * checked for its result before its time is told.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane.h"
#include "maglev.h"
#include "measure.h"

/* --- rings --- */

static void make_endpoints(struct wm_endpoint *endpoints, int n)
{
	for (int i = 0; i < n; i++) {
		struct wm_addr real = { .family = WM_IPV4 };

		real.word[0] = htonl(10 << 24 | (i + 1));
		endpoints[i] = (struct wm_endpoint){ .hash = wm_endpoint__hash(&real),
						     .weight = 100, .dest = i + 1 };
	}
}

static void ring_of(int reals)
{
	static uint16_t slot[WM_RING_SLOTS];
	struct wm_endpoint *endpoints = calloc(reals, sizeof(*endpoints));
	double ms[64];
	char name[32];

	for (int i = 0; i < opt.runs; i++) {
		uint64_t start;

		make_endpoints(endpoints, reals);
		start = now_ns();
		if (wm_maglev__fill(WM_HASH_MAGLEV, endpoints, reals, slot, WM_RING_SLOTS))
			die("ring", ENOMEM);
		ms[i] = (now_ns() - start) / 1e6;
	}
	for (int i = 0; i < WM_RING_SLOTS; i++)
		if (!slot[i] || slot[i] > reals)
			die("ring with an empty slot", EINVAL);
	snprintf(name, sizeof(name), "ring of %d reals", reals);
	if (!opt.validate_only)
		report_runs(name, ms, opt.runs, "ms", "65537 slots filled");
	free(endpoints);
}

/* --- counters --- */

static void counters(void)
{
	const struct wm_dp_options options = { .dest_bits = 16 };
	struct wm_dest_stats one;
	struct wm_err err = {};
	uint64_t start, sum = 0;
	double ns[64];
	struct wm_dp *dp;

	if (wm_dp__open(&dp, &options, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	for (int i = 0; i < opt.runs; i++) {
		start = now_ns();
		for (uint32_t id = 0; id < 65536; id++) {
			wm_dp__dest_stats(dp, id, &one);
			sum += one.packets + one.bytes;
		}
		/* 4 counters a destination and CPU */
		ns[i] = (double)(now_ns() - start) / 65536 / 4 / wm_dp__params(dp)->cpus;
	}
	if (sum)
		die("counters of a program that never ran", EINVAL);
	if (!opt.validate_only)
		report_runs("counter read", ns, opt.runs, "ns",
			    "a counter, 65536 destinations x 4 x CPUs");
	wm_dp__close(dp);
}

/* --- loading --- */

static void loading(void)
{
	const struct wm_dp_options options = {};
	struct wm_err err = {};
	double ms[64];

	for (int i = 0; i < opt.runs; i++) {
		uint64_t start = now_ns();
		struct wm_dp *dp;

		if (wm_dp__open(&dp, &options, &err)) {
			fprintf(stderr, "bench: %s\n", err.text);
			exit(1);
		}
		ms[i] = (now_ns() - start) / 1e6;
		wm_dp__close(dp);
	}
	if (!opt.validate_only)
		report_runs("program load", ms, opt.runs, "ms",
			    "open, verify, compile, map (default sizes)");
}

static const struct {
	const char *name;
	void (*run)(void);
} all[] = {
	{ "load", loading },       { "counters", counters }, { "events", bench_events_all },
	{ "reload", bench_reload }, { "rules", bench_rules }, { "idle", bench_idle },
};

void bench_control(void)
{
	if (wanted("ring")) {
		ring_of(10);
		ring_of(100);
		ring_of(1000);
		if (opt.validate_only)
			report_valid("ring", 0);
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (!wanted(all[i].name))
			continue;
		all[i].run();
		if (opt.validate_only)
			report_valid(all[i].name, 0);
	}
}
