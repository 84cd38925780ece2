// SPDX-License-Identifier: GPL-2.0
/*
 * The model. At any time there are N flows. The flow of rank r sends packets as a
 * Poisson process of rate P r^-A / (1^-A + ... + N^-A). With a lifetime, each
 * flow ends after an exponentially distributed time and another takes its rank;
 * TCP flows begin with a SYN and end with a FIN then, as part of P.
 *
 * Played at a scale of K, one flow stands for K neighbours in rank: flow j has
 * the mean rate of the ranks jK+1 .. (j+1)K. So N/K flows send P/K packets a
 * second, with each flow's own rate as it is in full size.
 *
 * All rates are constant between changes, so the whole is one Markov process in
 * continuous time and is drawn as such: an exponential gap to the next event of
 * any flow, then which flow it was. That is found by composition and rejection
 * (Slepoy, Thompson and Plimpton, "A constant-time kinetic Monte Carlo algorithm
 * for simulation of large biochemical reaction networks", 2008): flows whose
 * rates have the same power of two form a class; a class is chosen by its sum,
 * then a member by chance, taken with the probability rate / greatest rate of
 * the class.
 *
 * Flows that have a rule, or whose packets change nothing else before the next
 * tick (see replay.c), are taken out of their class. How many packets there were
 * between two times is drawn when somebody asks, and the time of the last.
 * Poisson processes have no memory, so this gives the same distribution as
 * playing each of them would.
 */
#include "traffic.h"

#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "random.h"
#include "zipf.h"

#define SECOND 1e9

enum { NONE = UINT32_MAX, CLASSES = 256 };

/* A rank, or K of them. */
struct place {
	float rate;     /* a nanosecond */
	uint32_t flow;  /* that has it now */
	uint32_t index; /* among the active ones of the class; NONE: covered */
	uint32_t class;
};

struct class {
	uint32_t first;  /* its places are neighbours; so are the active ones in `member` */
	uint32_t active;
	double sum, greatest;
};

/* A number for a flow. */
struct flow {
	uint32_t place; /* NONE: ended */
	uint32_t name;  /* how often the number was given */
};

enum step { RUNNING, FIN_SENT, ENDED };

struct traffic {
	struct wm_source source;
	struct wm_traffic_options options;
	struct wm_random random;
	double at;
	uint32_t n; /* places */
	struct place *place;
	uint32_t *member;
	struct class class[CLASSES];
	uint32_t n_classes;
	double deaths; /* a nanosecond, of all flows */
	struct flow *flow;
	uint32_t n_flows, max_flows;
	uint32_t *free;
	uint32_t n_free;
	enum step step; /* of `dying` */
	uint32_t dying; /* place */
};

static struct traffic *traffic_of(const struct wm_source *s)
{
	return (struct traffic *)s;
}

/* --- numbers of flows --- */

static bool more_numbers(struct traffic *t)
{
	uint32_t max = t->max_flows + t->max_flows / 2 + 1024;
	struct flow *flow = realloc(t->flow, max * sizeof(*flow));
	uint32_t *unused;

	if (!flow)
		return false;
	t->flow = flow;
	unused = realloc(t->free, max * sizeof(*unused));
	if (!unused)
		return false;
	t->free = unused;
	t->max_flows = max;
	return true;
}

/* A flow begins in this place. */
static bool begin(struct traffic *t, uint32_t place)
{
	uint32_t i;

	if (t->n_free) {
		i = t->free[--t->n_free];
	} else {
		if (t->n_flows == t->max_flows && !more_numbers(t))
			return false;
		i = t->n_flows++;
		t->flow[i].name = 0;
	}
	t->flow[i].place = place;
	t->flow[i].name++;
	t->place[place].flow = i;
	return true;
}

static void forget(struct wm_source *s, uint32_t flow)
{
	struct traffic *t = traffic_of(s);

	t->free[t->n_free++] = flow;
}

static void name(const struct wm_source *s, uint32_t flow, struct wm_flow *out)
{
	const struct traffic *t = traffic_of(s);
	uint32_t number = t->flow[flow].name;

	*out = (struct wm_flow){
		.src = { flow },
		.dst = { htonl(0xc0000201) },
		.sport = number & 0xffff,
		.dport = number >> 16,
		.proto = t->options.proto,
		.family = WM_IPV4,
	};
}

/* --- classes --- */

static void activate(struct traffic *t, uint32_t place)
{
	struct place *p = &t->place[place];
	struct class *c = &t->class[p->class];

	if (p->index != NONE)
		return;
	p->index = c->active++;
	t->member[c->first + p->index] = place;
	c->sum += p->rate;
}

static void deactivate(struct traffic *t, uint32_t place)
{
	struct place *p = &t->place[place];
	struct class *c = &t->class[p->class];
	uint32_t last;

	if (p->index == NONE)
		return;
	last = t->member[c->first + --c->active];
	t->member[c->first + p->index] = last;
	t->place[last].index = p->index;
	p->index = NONE;
	c->sum = c->active ? c->sum - p->rate : 0; /* no dust of rounding in an empty class */
}

static void cover(struct wm_source *s, uint32_t flow, bool covered)
{
	struct traffic *t = traffic_of(s);
	uint32_t place = t->flow[flow].place;

	if (place == NONE)
		return;
	if (covered)
		deactivate(t, place);
	else
		activate(t, place);
}

static uint32_t choose(struct traffic *t, const struct class *c)
{
	for (;;) {
		uint32_t i = t->member[c->first + wm_random__below(&t->random, c->active)];

		if (wm_random__unit(&t->random) * c->greatest <= t->place[i].rate)
			return i;
	}
}

/* --- events --- */

static double total(const struct traffic *t)
{
	double sum = t->deaths;

	for (uint32_t i = 0; i < t->n_classes; i++)
		sum += t->class[i].sum;
	return sum;
}

/* The place of the next packet, or NONE: a flow dies. */
static uint32_t next_place(struct traffic *t, double all)
{
	double x = wm_random__unit(&t->random) * all - t->deaths;
	uint32_t last = NONE;

	for (uint32_t i = 0; x > 0 && i < t->n_classes; i++) {
		if (!t->class[i].active)
			continue;
		last = i; /* rounding may leave a little behind the last class */
		x -= t->class[i].sum;
	}
	return last == NONE ? NONE : choose(t, &t->class[last]);
}

static bool give(struct traffic *t, struct wm_packet *p, uint32_t flow, uint8_t flags, bool end)
{
	*p = (struct wm_packet){ .at = t->at, .flow = flow, .flags = flags, .end = end };
	return true;
}

/* A flow dies, step by step: its FIN, its end, the next one's SYN. */
static bool die(struct traffic *t, struct wm_packet *p)
{
	uint32_t flow = t->place[t->dying].flow;
	bool tcp = t->options.proto == IPPROTO_TCP;

	switch (t->step) {
	case RUNNING:
		t->step = FIN_SENT;
		if (tcp)
			return give(t, p, flow, WM_FIN, false);
		/* fallthrough */
	case FIN_SENT:
		t->step = ENDED;
		return give(t, p, flow, 0, true);
	case ENDED:
		break;
	}
	t->step = RUNNING;
	t->flow[flow].place = NONE;
	activate(t, t->dying);
	t->source.failed = !begin(t, t->dying);
	if (t->source.failed)
		return false;
	return tcp && give(t, p, t->place[t->dying].flow, WM_SYN, false);
}

static bool next(struct wm_source *s, uint64_t until, struct wm_packet *p)
{
	struct traffic *t = traffic_of(s);

	if (t->step != RUNNING && die(t, p))
		return true;
	while (t->at < until && !t->source.failed) {
		double all = total(t);

		t->at += all > 0 ? wm_random__exponential(&t->random, 1 / all) : INFINITY;
		if (t->at >= until)
			break;
		t->dying = next_place(t, all);
		if (t->dying != NONE)
			return give(t, p, t->place[t->dying].flow, 0, false);
		t->dying = wm_random__below(&t->random, t->n);
		if (die(t, p))
			return true;
	}
	t->at = until; /* what would have come later is drawn anew */
	return false;
}

static double rate(const struct wm_source *s, uint32_t flow)
{
	const struct traffic *t = traffic_of(s);
	uint32_t place = t->flow[flow].place;

	return place == NONE ? 0 : t->place[place].rate;
}

/* Backwards from the end: the gap behind the last packet is exponential too. */
static uint64_t passed(struct wm_source *s, uint32_t flow, uint64_t from, uint64_t to,
		       uint64_t *last)
{
	struct traffic *t = traffic_of(s);
	double each = rate(s, flow), gap;

	if (!each || to <= from)
		return 0;
	gap = wm_random__exponential(&t->random, 1 / each);
	if (gap >= to - from)
		return 0;
	*last = to - (uint64_t)gap;
	return 1 + wm_random__poisson(&t->random, each * (to - from - gap));
}

/* --- making --- */

double wm_traffic__data_pps(const struct wm_traffic_options *o)
{
	if (!o->lifetime_ns || o->proto != IPPROTO_TCP)
		return o->pps;
	return o->pps - 2 * SECOND * o->flows / o->lifetime_ns;
}

/* Rates fall from place to place, so classes are neighbours. */
static void make_places(struct traffic *t, const struct wm_zipf *z)
{
	const struct wm_traffic_options *o = &t->options;
	double unit = wm_traffic__data_pps(o) / SECOND / wm_zipf__sum(z, o->flows);
	double before = 0;
	int power = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		uint64_t end = (uint64_t)(i + 1) * o->scale;
		double sum = wm_zipf__sum(z, end < o->flows ? end : o->flows);
		double rate = (sum - before) * unit / o->scale;
		int its = ilogb(rate);

		if (!t->n_classes || (its != power && t->n_classes < CLASSES))
			t->class[t->n_classes++] = (struct class){ i, 0, 0, rate };
		power = its;
		before = sum;
		t->place[i] = (struct place){ rate, NONE, NONE, t->n_classes - 1 };
	}
}

static bool allocate(struct traffic *t)
{
	struct wm_zipf *z = malloc(sizeof(*z));

	t->place = calloc(t->n, sizeof(*t->place));
	t->member = calloc(t->n, sizeof(*t->member));
	t->max_flows = t->n;
	if (!z || !t->place || !t->member || !more_numbers(t)) {
		free(z);
		return false;
	}
	wm_zipf__init(z, t->options.zipf);
	make_places(t, z);
	free(z);
	for (uint32_t i = 0; i < t->n; i++) {
		activate(t, i);
		begin(t, i);
	}
	return true;
}

struct wm_source *wm_traffic__new(const struct wm_traffic_options *options)
{
	struct traffic *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->source = (struct wm_source){ next, name, cover, passed, rate, forget, false };
	t->options = *options;
	t->random.state = options->seed;
	t->at = options->start;
	t->n = (options->flows + options->scale - 1) / options->scale;
	if (options->lifetime_ns)
		t->deaths = (double)t->n / options->lifetime_ns;
	if (allocate(t))
		return &t->source;
	wm_traffic__free(&t->source);
	return NULL;
}

void wm_traffic__free(struct wm_source *s)
{
	struct traffic *t = traffic_of(s);

	if (!t)
		return;
	free(t->place);
	free(t->member);
	free(t->flow);
	free(t->free);
	free(t);
}
