// SPDX-License-Identifier: GPL-2.0
/*
 * What feeds the data plane: events, rings, reloads, rules, counters, loading.
 * Each is checked for its result before its time is told.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>
#include <waymark/softnic.h>

#include "bench.h"
#include "config.h"
#include "dataplane.h"
#include "maglev.h"
#include "measure.h"
#include "model.h"
#include "offload.h"

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
		report_figure(name, median_of(ms, opt.runs), "ms", "65537 slots filled, median");
	free(endpoints);
}

/* --- reload --- */

enum { VIPS = 512, REALS_A_VIP = 100 };

static char *configuration(int weight, size_t *len)
{
	char *text;
	FILE *f = open_memstream(&text, len);

	fprintf(f, "interface: lo\nlimits: { vips: 1024, dests: 60000 }\nvips:\n");
	for (int v = 0; v < VIPS; v++) {
		fprintf(f, "- { name: v%d, address: 10.200.%d.%d, port: 80, protocol: tcp, reals: [\n",
			v, v / 250, v % 250 + 1);
		for (int r = 0; r < REALS_A_VIP; r++)
			fprintf(f, "  { address: 10.%d.%d.%d, weight: %d },\n", 1 + r / 250, v % 250,
				r % 250 + 1, r ? 100 : weight);
		fprintf(f, "  ] }\n");
	}
	fclose(f);
	return text;
}

/* The daemon's order (user/daemon/apply.c) without its next hops and rules. */
static void apply(struct wm_dp *dp, struct wm_plan *plan, const struct wm_config *config)
{
	static struct wm_vip entries[VIPS];
	struct wm_err err = {};
	size_t n = wm_model__n_vips(plan->next);

	for (size_t i = 0; i < plan->n_add; i++) {
		struct wm_dest entry = {};

		wm_model__dest_entry(plan->next, wm_model__dest(plan->next, plan->add[i]), config,
				     &entry);
		wm_dp__dest_set(dp, plan->add[i], &entry);
	}
	for (size_t i = 0; i < plan->n_rings; i++)
		memcpy(wm_dp__ring(dp, plan->rings[i].ring)->slot, plan->rings[i].slot,
		       WM_RING_SLOTS * sizeof(uint16_t));
	for (size_t i = 0; i < n; i++)
		wm_model__vip_entry(plan->next, wm_model__vip(plan->next, i), &entries[i]);
	if (wm_dp__vips_publish(dp, entries, n, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	wm_dp__grace(dp);
}

static struct wm_model *change(struct wm_dp *dp, struct wm_model *now, int weight, double *ms)
{
	struct wm_config *config;
	struct wm_plan *plan;
	struct wm_model *next;
	struct wm_err err = {};
	uint64_t start;
	size_t len;
	char *text = configuration(weight, &len);

	start = now_ns();
	if (wm_config__parse("bench", text, len, &config, &err, NULL, NULL) ||
	    wm_plan__make(now, config, &plan, &err)) {
		fprintf(stderr, "bench: reload: %s\n", err.text);
		exit(1);
	}
	if (plan->n_rings != VIPS)
		die("reload that does not change every ring", EINVAL);
	apply(dp, plan, config);
	*ms = (now_ns() - start) / 1e6;
	next = plan->next;
	plan->next = NULL;
	wm_plan__free(plan);
	wm_config__free(config);
	wm_model__free(now);
	free(text);
	return next;
}

static void reload(void)
{
	const struct wm_dp_options options = { .dest_bits = 16, .vip_bits = 13, .rings = 2 * VIPS + 8 };
	const struct wm_model_limits limits = { 16, 32, 1024, 2 * VIPS + 8 };
	struct wm_model *model = wm_model__new(&limits);
	struct wm_err err = {};
	double ms[64], first;
	struct wm_dp *dp;

	if (wm_dp__open(&dp, &options, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	model = change(dp, model, 100, &first);
	for (int i = 0; i < opt.runs; i++)
		model = change(dp, model, 50 + i, &ms[i]);
	if (!opt.validate_only) {
		report_figure("first load", first, "ms", "512 vips x 100 reals, file to switch");
		report_figure("reload", median_of(ms, opt.runs), "ms",
			      "512 vips x 100 reals, every ring changes, file to grace period");
	}
	wm_model__free(model);
	wm_dp__close(dp);
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
		report_figure("counter read", median_of(ns, opt.runs), "ns",
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
		report_figure("program load", median_of(ms, opt.runs), "ms",
			      "open, verify, compile, map (default sizes)");
}

/* --- events --- */

enum { EVENTS = 400000 };

static void on_event(void *arg, const struct wm_event *event)
{
	uint64_t *read = arg;

	*read += event->type == WM_EVENT_PROMOTE;
}

static void events(void)
{
	uint64_t read = 0, none = 0;
	double with, without;

	with = bench_events(2, &read);
	without = bench_events(0, &none);
	/* one flow in a thousand may have been evicted before its second packet */
	if (read < EVENTS * 0.999 || none)
		die("events that were raised and not read", EINVAL);
	if (opt.validate_only)
		return;
	report_figure("packet with event", with, "ns", "flow table hit that raises an event");
	report_figure("packet without", without, "ns", "the same packet that raises none");
	report_figure("event", with - without, "ns", "in the packet's path: the difference");
}

void bench_events_open(struct wm_dp *dp, uint64_t *read)
{
	const struct wm_dp_event_hooks hooks = { on_event, read };
	struct wm_err err = {};

	if (wm_dp__events_open(dp, &hooks, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
}

/* --- rules --- */

enum { RULES = 60000 };

static int make_map(enum bpf_map_type type, const char *name, uint32_t key, uint32_t value,
		    uint32_t entries, uint32_t flags, const char *dir)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	int fd = bpf_map_create(type, name, key, value, entries, &opts);
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (fd < 0 || bpf_obj_pin(fd, path))
		die(path, errno);
	return fd;
}

static void install_all(struct wm_offload *off, double *per_second)
{
	static struct wm_rule rules[512];
	int result[512];
	uint64_t start = now_ns();

	for (int done = 0; done < RULES; done += 500) {
		for (int i = 0; i < 500; i++) {
			rules[i] = (struct wm_rule){ .mark = 1 + i };
			rules[i].flow = (struct wm_flow){ .src = { htonl(10 << 24 | (done + i)) },
				.dst = { htonl(10 << 24 | 1) }, .sport = htons(1000), .dport = htons(80),
				.proto = IPPROTO_TCP, .family = WM_IPV4 };
		}
		wm_offload_sim.install(off, rules, 500, result);
		for (int i = 0; i < 500; i++)
			if (result[i])
				die("installing a rule", -result[i]);
	}
	*per_second = RULES / ((now_ns() - start) / 1e9);
}

static void rules(void)
{
	char dir[] = "/tmp/waymark-bench-XXXXXX";
	struct wm_softnic_ctl ctl = { .version = WM_SOFTNIC_VERSION, .mark_bits = 16 };
	struct wm_offload *off;
	struct wm_err err = {};
	uint32_t zero = 0;
	double rate;
	int fd[3];

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(dir) || mount("bpf", dir, "bpf", 0, NULL))
		die("a private bpf file system", errno);
	fd[0] = make_map(BPF_MAP_TYPE_HASH, WM_SOFTNIC_RULES, sizeof(struct wm_flow),
			 sizeof(struct wm_softnic_rule), RULES, 0, dir);
	fd[1] = make_map(BPF_MAP_TYPE_ARRAY, WM_SOFTNIC_CTL, 4, sizeof(ctl), 1, BPF_F_MMAPABLE, dir);
	fd[2] = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, WM_SOFTNIC_STATS, 4,
			 sizeof(struct wm_softnic_stats), 1, 0, dir);
	bpf_map_update_elem(fd[1], &zero, &ctl, 0);
	if (wm_offload_sim.open(&off, "lo", dir, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	install_all(off, &rate);
	if (!opt.validate_only)
		report_figure("rule installs", rate / 1000, "k/s", "60000 into the software NIC, batched");
	wm_offload_sim.close(off);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	umount(dir);
	rmdir(dir);
}

static const struct {
	const char *name;
	void (*run)(void);
} all[] = {
	{ "load", loading },     { "counters", counters }, { "events", events },
	{ "reload", reload },    { "rules", rules },
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
