// SPDX-License-Identifier: GPL-2.0
/*
 * From a packet that proves its flow to a rule in the NIC: what an event costs its
 * packet, what the backend takes, and what the daemon makes of all events (checked
 * against the flow table, offered, installed in batches), by its own functions.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>
#include <waymark/softnic_abi.h>

#include "adopt.h"
#include "dataplane.h"
#include "events.h"
#include "hops.h"
#include "measure.h"
#include "monotonic.h"
#include "nic.h"
#include "offload.h"
#include "running.h"

enum { EVENTS = 400000, RULES = 60000, EVENTS_A_TICK = 2000 };

/* --- a softnic --- */

struct nic {
	char dir[32];
	int fd[3];
	struct wm_offload *off;
};

void mount_bpf(const char *dir)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("bpf", dir, "bpf", 0, NULL))
		die("a private bpf file system", errno);
}

void unmount_bpf(const char *dir)
{
	umount(dir);
	rmdir(dir);
}

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

static void open_nic(struct nic *nic, uint32_t capacity)
{
	struct wm_softnic_ctl ctl = { .version = WM_SOFTNIC_VERSION, .mark_bits = 32 };
	struct wm_err err = {};
	uint32_t zero = 0;

	strcpy(nic->dir, "/tmp/waymark-bench-XXXXXX");
	if (!mkdtemp(nic->dir))
		die(nic->dir, errno);
	mount_bpf(nic->dir);
	nic->fd[0] = make_map(BPF_MAP_TYPE_HASH, WM_SOFTNIC_RULES, sizeof(struct wm_flow),
			      sizeof(struct wm_softnic_rule), capacity, 0, nic->dir);
	nic->fd[1] = make_map(BPF_MAP_TYPE_ARRAY, WM_SOFTNIC_CTL, 4, sizeof(ctl), 1,
			      BPF_F_MMAPABLE, nic->dir);
	nic->fd[2] = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, WM_SOFTNIC_STATS, 4,
			      sizeof(struct wm_softnic_stats), 1, 0, nic->dir);
	bpf_map_update_elem(nic->fd[1], &zero, &ctl, 0);
	if (wm_offload_sim.open(&nic->off, "lo", nic->dir, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
}

static void close_nic(struct nic *nic)
{
	wm_offload_sim.close(nic->off);
	for (int i = 0; i < 3; i++)
		close(nic->fd[i]);
	unmount_bpf(nic->dir);
}

/* --- rules, by the backend alone --- */

static double install_all(struct wm_offload *off)
{
	static struct wm_rule rules[512];
	int result[512];
	uint64_t start = now_ns();

	for (int done = 0; done < RULES; done += 500) {
		for (int i = 0; i < 500; i++) {
			rules[i] = (struct wm_rule){ .mark = 1 + i };
			rules[i].flow = (struct wm_flow){
				.src = { htonl(10 << 24 | (done + i)) },
				.dst = { htonl(10 << 24 | 1) }, .sport = htons(1000),
				.dport = htons(80), .proto = IPPROTO_TCP, .family = WM_IPV4 };
		}
		wm_offload_sim.install(off, rules, 500, result);
		for (int i = 0; i < 500; i++)
			if (result[i])
				die("installing a rule", -result[i]);
	}
	return RULES / ((now_ns() - start) / 1e9);
}

void bench_rules(void)
{
	double rate[64];
	struct nic nic;

	for (int i = 0; i < opt.runs; i++) {
		open_nic(&nic, RULES);
		rate[i] = install_all(nic.off) / 1000;
		close_nic(&nic);
	}
	if (!opt.validate_only)
		report_runs("rule installs", rate, opt.runs, "k/s",
			    "60000 into the softnic, batched");
}

/* --- events --- */

struct events {
	struct wm_event *event; /* all that came, for the daemon's code */
	size_t n;
	double per_second;      /* that it got through */
	double rule_bytes;
};

static void on_event(void *arg, const struct wm_event *event)
{
	struct events *e = arg;

	if (event->type == WM_EVENT_PROMOTE && e->n < EVENTS)
		e->event[e->n++] = *event;
}

void bench_events_open(struct wm_dp *dp, void *arg)
{
	const struct wm_dp_event_hooks hooks = { on_event, arg };
	struct wm_err err = {};

	if (wm_dp__events_open(dp, &hooks, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
}

/* The daemon's parts as they are after adopting what runs, without a loop. */
struct parts {
	sd_event *event;
	struct wm_running running;
	struct wm_hops *hops;
	struct wm_nic nic;
	struct wm_events events;
};

static void open_daemon(struct parts *d, struct wm_dp *dp, struct wm_nic_card *card)
{
	const struct wm_rules_options options = { .max_rules = EVENTS, .idle_ns = 15000000000ull,
						  .installs_per_second = 10000000 };
	const struct wm_rules_hooks hooks = {};
	struct wm_err err = {};

	d->running.dp = dp;
	d->nic.ops = &wm_offload_sim;
	d->nic.card = card;
	d->nic.n = 1;
	d->nic.mark_bits = 32;
	d->nic.running = &d->running;
	d->events.dp = dp;
	d->events.nic = &d->nic;
	card->rules = wm_rules__new(d->nic.ops, card->off, &options, &hooks);
	if (!card->rules || sd_event_new(&d->event) < 0)
		die("a daemon", ENOMEM);
	if (wm_hops__new(&d->hops, d->event, NULL, NULL, 0, 0, NULL, NULL, &err) ||
	    wm_adopt__model(&d->running, wm_nic__mark_bits(&d->nic), d->hops, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
}

static void close_daemon(struct parts *d)
{
	wm_rules__free(d->nic.card->rules);
	wm_hops__free(d->hops);
	wm_model__free(d->running.model);
	sd_event_unref(d->event);
}

static void promote_all(struct parts *d, const struct events *e)
{
	struct wm_rules_stats stats;

	for (size_t i = 0; i < e->n; i++) {
		wm_events__take(&d->events, &e->event[i]);
		if (i % EVENTS_A_TICK == EVENTS_A_TICK - 1)
			wm_rules__tick(d->nic.card->rules, wm_now_ns());
	}
	for (int turns = 0; turns < 1000; turns++) {
		wm_rules__tick(d->nic.card->rules, wm_now_ns());
		wm_rules__stats(d->nic.card->rules, &stats);
		if (stats.state[WM_RULE_ACTIVE] + stats.held == e->n)
			break;
	}
	if (stats.state[WM_RULE_ACTIVE] < e->n * 0.999)
		die("promoted flows without a rule", EINVAL);
}

static size_t in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

void bench_events_end(struct wm_dp *dp, void *arg)
{
	struct events *e = arg;
	struct parts d = {};
	struct wm_nic_card card = {};
	struct nic nic;
	uint64_t start;
	size_t before;

	if (!e->n)
		return;
	open_nic(&nic, EVENTS);
	card.off = nic.off;
	open_daemon(&d, dp, &card);
	before = in_use();
	start = now_ns();
	promote_all(&d, e);
	e->per_second = e->n / ((now_ns() - start) / 1e9);
	e->rule_bytes = (double)(in_use() - before) / e->n;
	close_daemon(&d);
	close_nic(&nic);
}

void bench_events_all(void)
{
	double with[64], without[64], cost[64], rate[64];
	struct events e = { calloc(EVENTS, sizeof(*e.event)), 0, 0, 0 };

	for (int i = 0; i < opt.runs; i++) {
		e.n = 0;
		with[i] = bench_events(2, &e);
		/* one flow in a thousand may have been evicted before its second packet */
		if (e.n < EVENTS * 0.999)
			die("events that were raised and not read", EINVAL);
		rate[i] = e.per_second / 1000;
		e.n = 0;
		without[i] = bench_events(0, &e);
		if (e.n)
			die("events that nobody asked for", EINVAL);
		cost[i] = with[i] - without[i];
	}
	free(e.event);
	if (opt.validate_only)
		return;
	report_runs("packet with event", with, opt.runs, "ns",
		    "flow table hit that raises an event");
	report_runs("packet without", without, opt.runs, "ns", "the same packet that raises none");
	report_runs("event", cost, opt.runs, "ns", "in the packet's path: the difference");
	report_runs("promotions", rate, opt.runs, "k/s",
		    "events checked, offered, installed into the softnic");
	report_figure("rule bytes", e.rule_bytes, "B", "of the daemon's memory, a rule");
}
