// SPDX-License-Identifier: GPL-2.0
/*
 * Reloads, by the daemon's own functions (user/daemon/reload/apply.c): a file is parsed
 * and applied to a data plane with every table written, on its worker and its loop.
 * All next hops are one gateway's, and no rule is in a NIC.
 *
 * A destination is a pair of vip and real and has a 16-bit id. 512 vips with 4096
 * reals each would be two million of them: what fits is 512 vips that have 127
 * each of 4096 reals, or 15 vips with all 4096.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <systemd/sd-event.h>

#include "apply.h"
#include "config.h"
#include "measure.h"
#include "nic.h"
#include "ownaddr.h"
#include "retire.h"
#include "running.h"
#include "uplinks.h"

enum { RINGS = 1032, VALIDATED = 70, HEARTBEAT_US = 1000 };

struct shape {
	const char *name, *what;
	int vips, reals; /* a vip's */
	int different;   /* reals in all */
	int changed;     /* vips whose weights a reload changes */
	bool one_cpu;
};

/* What a reload took, in ms. */
struct times {
	double all[64], cpu[64], parse[64], held[64];
};

/* The daemon's parts that a change needs. */
struct parts {
	sd_event *event;
	struct wm_running running;
	struct wm_nic nic;
	struct wm_retire retire;
	struct wm_uplinks uplinks;
	struct wm_ownaddr ownaddr;
	struct wm_apply apply;
};

struct bench {
	struct parts d;
	struct wm_nic_card card;
	struct wm_timer heartbeat;
	uint64_t due, held; /* ns: when the heart should beat; how late it was at most */
	const char *error;
	bool ended;
};

/* --- configuration --- */

static void write_vip(FILE *f, const struct shape *s, int vip, int weight)
{
	fprintf(f, "- { name: v%d, address: 10.200.%d.%d, port: 80, protocol: tcp, reals: [\n",
		vip, vip / 250, vip % 250 + 1);
	for (int r = 0; r < s->reals; r++) {
		int n = ((long)vip * s->reals + r) % s->different;

		fprintf(f, "  { address: 10.%d.%d.%d, weight: %d },\n", 1 + n / 62500,
			n / 250 % 250, n % 250 + 1, r ? 100 : vip < s->changed ? weight : 1);
	}
	fprintf(f, "  ] }\n");
}

static char *configuration(const struct shape *s, int weight, size_t *len)
{
	char *text;
	FILE *f = open_memstream(&text, len);

	fprintf(f, "interface: lo\ngateway: 02:00:00:00:00:01\n"
		"limits: { vips: 512, dests: 65535 }\nvips:\n");
	for (int v = 0; v < s->vips; v++)
		write_vip(f, s, v, weight);
	fclose(f);
	return text;
}

/* --- a daemon without a NIC, a socket and a file --- */

static void fail(const struct wm_err *err)
{
	fprintf(stderr, "bench: reload: %s\n", err->text);
	exit(1);
}

static void beat(void *arg)
{
	struct bench *b = arg;
	uint64_t now = now_ns();

	if (now > b->due && now - b->due > b->held)
		b->held = now - b->due;
	b->due = now + HEARTBEAT_US * 1000;
	wm_timer__arm(&b->heartbeat, HEARTBEAT_US);
}

static void open_bench(struct bench *b)
{
	const struct wm_dp_options options = { .dest_bits = 16, .vip_bits = 13, .rings = RINGS };
	const struct wm_model_limits limits = { 16, 32, 512, RINGS };
	const struct wm_rules_options rules = { .max_rules = 1000, .installs_per_second = 1000 };
	const struct wm_rules_hooks hooks = {};
	struct parts *d = &b->d;
	const struct wm_apply_parts with = {
		.running = &d->running, .file = "bench", .uplinks = &d->uplinks,
		.nic = &d->nic, .retire = &d->retire, .ownaddr = &d->ownaddr,
	};
	struct wm_err err = {};

	if (wm_dp__open(&d->running.dp, &options, &err))
		fail(&err);
	d->nic.ops = wm_offload__find("none");
	d->nic.card = &b->card;
	d->nic.n = 1;
	d->nic.running = &d->running;
	d->retire.running = &d->running;
	d->retire.nic = &d->nic;
	b->card.rules = wm_rules__new(d->nic.ops, NULL, &rules, &hooks);
	d->running.model = wm_model__new(&limits);
	if (!b->card.rules || !d->running.model || sd_event_new(&d->event) < 0 ||
	    wm_apply__init(&d->apply, d->event, &with) ||
	    wm_timer__init(&b->heartbeat, d->event, beat, b) < 0)
		die("a daemon", ENOMEM);
}

static void close_bench(struct bench *b)
{
	wm_timer__free(&b->heartbeat);
	wm_apply__free(&b->d.apply);
	wm_rules__free(b->card.rules);
	wm_model__free(b->d.running.model);
	wm_dp__close(b->d.running.dp);
	sd_event_unref(b->d.event);
}

/* --- a reload --- */

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void applied(void *arg, int ret, const char *text, const char *changes)
{
	struct bench *b = arg;

	(void)changes;
	b->ended = true;
	if (ret) {
		fprintf(stderr, "bench: reload: %s\n", text);
		exit(1);
	}
}

/* Does the data plane say what the configuration says? */
static void check(struct bench *b, const struct shape *s, const struct wm_config *config)
{
	struct wm_plan *plan;
	struct wm_err err = {};

	if (wm_plan__make(b->d.running.model, config, &plan, &err))
		fail(&err);
	if (plan->n_add || plan->n_rings || plan->publish ||
	    wm_dp__vips(b->d.running.dp, NULL, 0) != (size_t)s->vips)
		die("a reload that was not carried out", EINVAL);
	for (int v = 0; v < s->vips; v++) {
		const struct wm_model_vip *vip = wm_model__vip(b->d.running.model, v);
		static uint16_t slot[WM_RING_SLOTS];

		if (v % 64 == 0 && (wm_model__ring(b->d.running.model, vip, slot) ||
				    memcmp(wm_dp__ring(b->d.running.dp, vip->ring)->slot, slot,
					   sizeof(slot))))
			die("a ring in the data plane that is another", EINVAL);
	}
	wm_plan__free(plan);
}

static void change(struct bench *b, const struct shape *s, int weight, struct times *t, int run)
{
	struct wm_config *config;
	struct wm_err err = {};
	uint64_t start, parsed, cpu;
	size_t len;
	char *text = configuration(s, weight, &len);

	cpu = cpu_ns();
	start = now_ns();
	if (wm_config__parse("bench", text, len, &config, &err, NULL, NULL))
		fail(&err);
	parsed = now_ns();
	b->ended = false;
	b->held = 0;
	b->due = parsed + HEARTBEAT_US * 1000;
	wm_timer__arm(&b->heartbeat, HEARTBEAT_US);
	if (wm_apply__start(&b->d.apply, config, NULL, applied, b))
		die("a reload", ENOMEM);
	while (!b->ended)
		if (sd_event_run(b->d.event, UINT64_MAX) < 0)
			die("the loop", EINVAL);
	beat(b); /* the last step was the loop's, too */
	t->all[run] = (now_ns() - start) / 1e6;
	t->cpu[run] = (cpu_ns() - cpu) / 1e6;
	t->parse[run] = (parsed - start) / 1e6;
	t->held[run] = b->held / 1e6;
	if (!run)
		check(b, s, config);
	wm_config__free(config);
	free(text);
}

static void report(const struct shape *s, struct times *t)
{
	char name[64];

	snprintf(name, sizeof(name), "reload%s", s->name);
	report_runs(name, t->all, opt.runs, "ms", s->what);
	snprintf(name, sizeof(name), "reload%s, CPU", s->name);
	report_runs(name, t->cpu, opt.runs, "ms", "CPU time of all its threads");
	snprintf(name, sizeof(name), "reload%s, parsing", s->name);
	report_runs(name, t->parse, opt.runs, "ms", "of it: the file's text to data");
	snprintf(name, sizeof(name), "reload%s, loop", s->name);
	report_runs(name, t->held, opt.runs, "ms", "the longest that the loop was held up");
}

static void measure(const struct shape *s)
{
	struct shape few = *s;
	static struct times t;
	struct bench b = {};
	double first;

	if (opt.validate_only && s->vips > VALIDATED) {
		few.vips = few.changed = VALIDATED;
		s = &few;
	}
	open_bench(&b);
	change(&b, s, 50, &t, 0);
	first = t.all[0];
	for (int i = 0; i < opt.runs; i++)
		change(&b, s, 51 + i, &t, i);
	if (!opt.validate_only) {
		if (!*s->name)
			report_figure("first load", first, "ms", s->what);
		report(s, &t);
	}
	close_bench(&b);
}

/* The other cases have one CPU; building rings is for all that there are. */
static void use_cpus(bool all)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (all || cpu == opt.cpu)
			CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("choosing CPUs", errno);
}

void bench_reload(void)
{
	static const struct shape shapes[] = {
		{ "", "512 vips x 100 reals, all different, every ring changes",
		  512, 100, 51200, 512, false },
		{ ", one CPU", "the same on one CPU", 512, 100, 51200, 512, true },
		{ ", same reals", "512 vips x the same 100 reals", 512, 100, 100, 512, false },
		{ ", one vip", "512 vips x 100 reals, the weights of one vip change",
		  512, 100, 51200, 1, false },
		{ ", 4096 reals", "512 vips x 127 of 4096 reals", 512, 127, 4096, 512, false },
		{ ", all 4096", "15 vips x 4096 reals", 15, 4096, 4096, 15, false },
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		use_cpus(!shapes[i].one_cpu);
		measure(&shapes[i]);
	}
	use_cpus(false);
}
