// SPDX-License-Identifier: GPL-2.0
/*
 * Each size of table is played by itself, on as many threads as there are CPUs.
 *
 * A model is played at a scale of K, a power of two: N/K flows (see traffic.c),
 * a table of R/K rules, I/K installs per second, a flow table and a budget of
 * events that are K times smaller; times stay as they are. Each of these limits
 * is shared by many flows that do not know of each other, so what a flow meets
 * (how long it waits, whether there is room) depends on the ratios, and those
 * are kept. K is the smallest that keeps the work within bounds.
 */
#include "sizing.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <waymark/hash.h>

#include "measured.h"
#include "replay.h"
#include "times.h"
#include "trace.h"
#include "traffic.h"
#include "zipf.h"

#define SECOND 1000000000ull
#define START (1000 * SECOND) /* time 0 means "never" in places */
#define FILL_MAX 120.0 /* seconds of warming up, at most, to fill a large table */

enum {
	PLAYED_MAX = 1 << 24, /* packets per row: some seconds of one CPU */
	FLOWS_PLAYED_MAX = 1 << 21,
	SCALE_MAX = 1 << 16,
	HEAVY = 16,            /* packets per second from which resting pays */
	THREADS_MAX = 16,
	PROTO_DEFAULT = IPPROTO_TCP,
};

void wm_sizing__defaults(struct wm_sizing *o)
{
	static const uint32_t rules[] = { 1000, 4000, 16000, 64000 };

	*o = (struct wm_sizing){
		.zipf = 1,
		.proto = PROTO_DEFAULT,
		.seconds = 30,
		.seed = 1,
		/* As in the configuration: */
		.promote_after = WM_PROMOTE_AFTER_DEFAULT,
		.idle_ns = 15 * SECOND,
		.udp_idle_ns = 30 * SECOND,
		.table_flows = 1000000,
		.installs_per_second = 5000,
		.ns_hit = WM_MEASURED_NS_HIT,
		.ns_marked = WM_MEASURED_NS_MARKED,
		.n_rules = sizeof(rules) / sizeof(*rules),
	};
	for (uint32_t i = 0; i < o->n_rules; i++)
		o->rules[i] = rules[i];
}

/* --- ranges --- */

static int range(struct wm_err *err, const char *what, double value, double low, double high)
{
	if (value >= low && value <= high)
		return 0;
	return wm_err__set(err, -EINVAL, "%s %.15g: wants %.15g to %.15g", what, value, low, high);
}

static struct wm_traffic_options traffic_of(const struct wm_sizing *o, uint32_t scale)
{
	return (struct wm_traffic_options){
		.flows = o->flows,
		.zipf = o->zipf,
		.pps = o->pps,
		.lifetime_ns = o->lifetime_ns,
		.proto = o->proto,
		.scale = scale,
		.seed = o->seed,
		.start = START,
	};
}

static int check_model(const struct wm_sizing *o, struct wm_err *err)
{
	const struct wm_traffic_options traffic = traffic_of(o, 1);
	int ret;

	if (o->trace)
		return 0;
	ret = range(err, "flows", o->flows, 1, WM_SIZING_FLOWS_MAX) ?:
	      range(err, "zipf", o->zipf, 0, 3) ?:
	      range(err, "pps", o->pps, 1, WM_SIZING_PPS_MAX) ?:
	      range(err, "seconds", o->seconds, 1, 3600);
	if (ret || !o->lifetime_ns)
		return ret;
	ret = range(err, "lifetime (seconds)", (double)o->lifetime_ns / SECOND, 0.1, 1e6);
	if (!ret && wm_traffic__data_pps(&traffic) <= 0)
		ret = wm_err__set(err, -EINVAL, "pps %.15g: flows of this lifetime need more than "
				  "%.15g for SYN and FIN alone", o->pps,
				  2e9 * o->flows / o->lifetime_ns);
	return ret;
}

int wm_sizing__check(const struct wm_sizing *o, struct wm_err *err)
{
	int ret;

	ret = check_model(o, err) ?:
	      range(err, "promote-after", o->promote_after, 1, WM_PROMOTE_AFTER_MAX) ?:
	      range(err, "idle (seconds)", (double)o->idle_ns / SECOND, 1, 3600) ?:
	      range(err, "udp-idle (seconds)", (double)o->udp_idle_ns / SECOND, 1, 3600) ?:
	      range(err, "flow-table", o->table_flows, WM_FLOWS_MIN, WM_FLOWS_MAX) ?:
	      range(err, "installs-per-second", o->installs_per_second, 1, 1e7) ?:
	      /* rules.c asks no longer than 5 s for an answer */
	      range(err, "install-delay (seconds)", (double)o->install_delay_ns / SECOND, 0, 4) ?:
	      range(err, "ns-hit", o->ns_hit, 1, 1e6) ?:
	      range(err, "cpus", o->cpus, 0, WM_CPUS_MAX) ?:
	      range(err, "ns-marked", o->ns_marked, 0, o->ns_hit) ?:
	      range(err, "number of table sizes", o->n_rules, 1, WM_SIZING_SIZES_MAX);
	for (uint32_t i = 0; i < o->n_rules && !ret; i++)
		ret = range(err, "rules", o->rules[i], 1, WM_SIZING_RULES_MAX);
	return ret;
}

/* --- how it is played --- */

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double warm_up(const struct wm_sizing *o, uint32_t rules)
{
	double fill = 2.0 * least(rules, o->flows) / o->installs_per_second;

	return 2.0 * o->idle_ns / SECOND + least(fill, FILL_MAX);
}

static double packets_a_second(const struct wm_sizing *o)
{
	if (!o->trace)
		return o->pps;
	return o->trace->duration_ns ? o->trace->n * (double)SECOND / o->trace->duration_ns : 0;
}

/* If nobody says how many CPUs there are: what software alone would need. */
static double event_budget(const struct wm_sizing *o)
{
	double cpus = o->cpus ? o->cpus : ceil(packets_a_second(o) * o->ns_hit / SECOND);

	return (double)WM_EVENT_BUDGET_DEFAULT * (cpus < 1 ? 1 : cpus);
}

/* Ranks that send more than so many packets per second. */
static double ranks_above(const struct wm_sizing *o, double pps, const struct wm_zipf *z)
{
	double first = o->pps / wm_zipf__sum(z, o->flows);

	if (first <= pps)
		return 0;
	return o->zipf > 0 ? least(pow(first / pps, 1 / o->zipf), o->flows) : o->flows;
}

/* About how many will be played in a second at full size. A flow without a rule
 * rests most of the time, unless it is offered again and again. */
static double played_a_second(const struct wm_sizing *o, uint32_t rules, const struct wm_zipf *z)
{
	double ruled = o->lifetime_ns ? 0 : least(rules, o->flows); /* surely, the heaviest */
	double heavy = ranks_above(o, HEAVY, z), without = heavy > ruled ? heavy - ruled : 0;
	double offers = least(event_budget(o), without * SECOND / WM_EVENTS_BUSY_NS);
	double all = wm_zipf__sum(z, o->flows);
	double light = 1 - wm_zipf__sum(z, heavy > ruled ? heavy : ruled) / all;
	double pps = o->pps * (1 - wm_zipf__sum(z, ruled) / all);

	pps = least(pps, o->pps * light + without * HEAVY + offers * o->promote_after);
	if (o->lifetime_ns)
		pps += 3.0 * SECOND * o->flows / o->lifetime_ns; /* SYN, FIN, end */
	return pps;
}

/* The same for all of the time, of which the first is spent filling the table. */
static double to_play(const struct wm_sizing *o, uint32_t rules, const struct wm_zipf *z)
{
	double fill = least(least(rules, o->flows) / o->installs_per_second, FILL_MAX) + 1;
	double begin = played_a_second(o, 0, z) * fill;

	return begin + played_a_second(o, rules, z) * (warm_up(o, rules) + o->seconds);
}

static uint32_t choose_scale(const struct wm_sizing *o, uint32_t rules)
{
	struct wm_zipf *z;
	double packets;
	uint32_t scale = 1;

	if (o->trace || o->scale)
		return o->trace ? 1 : o->scale;
	z = malloc(sizeof(*z));
	if (!z)
		return SCALE_MAX;
	wm_zipf__init(z, o->zipf);
	packets = to_play(o, rules, z);
	free(z);
	while (scale < SCALE_MAX && (packets / scale > PLAYED_MAX ||
				     (double)o->flows / scale > FLOWS_PLAYED_MAX))
		scale *= 2;
	return scale;
}

static uint32_t scaled(double value, uint32_t scale)
{
	double part = round(value / scale);

	return part < 1 ? 1 : part;
}

static struct wm_replay_options replay_of(const struct wm_sizing *o, uint32_t rules,
					  uint32_t scale)
{
	uint64_t tick_ns = WM_COUNTING_JIFFY_NS << WM_COUNTING_TICK_SHIFT;

	return (struct wm_replay_options){
		.capacity = scaled(rules, scale),
		.install_delay_ns = o->install_delay_ns,
		.rules = {
			.max_rules = scaled(rules, scale),
			.installs_per_second = scaled(o->installs_per_second, scale),
			.idle_ns = o->idle_ns,
			.promote_after = o->promote_after,
		},
		.counting = {
			.flow_buckets = scaled(wm_flow_buckets_for(o->table_flows), scale),
			.promote_after = o->promote_after,
			.event_budget = scaled(event_budget(o), scale),
			.udp_idle = scaled(o->udp_idle_ns, tick_ns),
			.seed = o->seed,
		},
		.start = START,
	};
}

/* --- what came of it --- */

static void fill_row(struct wm_sizing_row *row, const struct wm_sizing *o,
		     const struct wm_replay_result *r)
{
	double a_second = r->seconds ? row->scale / r->seconds : 0;
	double all = r->marked + r->software;
	double rules = (double)row->rules / scaled(row->rules, row->scale);

	row->seconds = r->seconds;
	row->pps = all * a_second;
	row->marked = all ? r->marked / all : 0;
	row->rules_mean = r->rules_mean * rules;
	row->rules_max = r->rules_max * rules;
	row->installs = r->rules.installed * a_second;
	row->idle = r->rules.ended[WM_END_IDLE] * a_second;
	row->closed = r->rules.ended[WM_END_CLOSED] * a_second;
	row->evicted = r->rules.ended[WM_END_EVICTED] * a_second;
	row->full = r->rules.full * a_second;
	row->held = r->rules.held * a_second;
	row->events = (r->counter[WM_C_EVENT_PROMOTE] + r->counter[WM_C_EVENT_CLOSE]) * a_second;
	row->events_held = r->counter[WM_C_EVENT_HELD] * a_second;
	row->missed = r->software ? (double)r->misses / r->software : 0;
	row->cores_software = row->pps * o->ns_hit / SECOND;
	row->cores_saved = row->pps * row->marked * (o->ns_hit - o->ns_marked) / SECOND;
	row->played = r->played;
}

/* A capture counts from its first packet, with nothing learned yet. */
static int play_trace(const struct wm_sizing *o, struct wm_replay *replay)
{
	return wm_replay__run(replay, START + o->trace->duration_ns + 1);
}

static int play_model(const struct wm_sizing *o, uint32_t rules, struct wm_replay *replay)
{
	uint64_t warm = START + warm_up(o, rules) * SECOND;
	int ret;

	ret = wm_replay__run(replay, warm);
	if (ret)
		return ret;
	wm_replay__measure(replay);
	return wm_replay__run(replay, warm + o->seconds * SECOND);
}

static int play_row(const struct wm_sizing *o, uint32_t rules, struct wm_sizing_row *row)
{
	uint32_t scale = choose_scale(o, rules);
	const struct wm_replay_options options = replay_of(o, rules, scale);
	const struct wm_traffic_options traffic = traffic_of(o, scale);
	struct wm_replay_result result;
	struct wm_replay *replay;
	struct wm_source *s;
	int ret = -ENOMEM;

	*row = (struct wm_sizing_row){ .rules = rules, .scale = scale };
	s = o->trace ? wm_trace__play(o->trace, START) : wm_traffic__new(&traffic);
	if (!s)
		return ret;
	replay = wm_replay__new(&options, s);
	if (!replay)
		goto free_source;
	ret = o->trace ? play_trace(o, replay) : play_model(o, rules, replay);
	wm_replay__result(replay, &result);
	fill_row(row, o, &result);
	wm_replay__free(replay);
free_source:
	if (o->trace)
		wm_trace__stop(s);
	else
		wm_traffic__free(s);
	return ret;
}

/* --- threads --- */

struct work {
	const struct wm_sizing *options;
	struct wm_sizing_row *rows;
	uint32_t next; /* row that nobody has begun */
	int error;
};

static void *work_on(void *arg)
{
	struct work *work = arg;
	uint32_t i;

	while ((i = __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED)) <
	       work->options->n_rules) {
		int ret = play_row(work->options, work->options->rules[i], &work->rows[i]);

		if (ret)
			__atomic_store_n(&work->error, ret, __ATOMIC_RELAXED);
	}
	return NULL;
}

int wm_sizing__run(const struct wm_sizing *options, struct wm_sizing_row *rows,
		   struct wm_err *err)
{
	struct work work = { options, rows, 0, 0 };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread[THREADS_MAX];
	int n = 0, ret;

	ret = wm_sizing__check(options, err);
	if (ret)
		return ret;
	/* This thread is one, and does it all where there can be no other. */
	while (n < THREADS_MAX && n + 1 < cpus && n + 1u < options->n_rules &&
	       !pthread_create(&thread[n], NULL, work_on, &work))
		n++;
	work_on(&work);
	while (n--)
		pthread_join(thread[n], NULL);
	return work.error ? wm_err__sys(err, work.error, "cannot play the traffic") : 0;
}
