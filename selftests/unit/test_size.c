// SPDX-License-Identifier: GPL-2.0
/*
 * What `waymark size` is made of: numbers by chance, the model of traffic, the
 * data plane's counting, the NIC that is played, captures; and that all
 * together says the same as playing every packet of the traffic in full size.
 *
 * Seeds are fixed, so no result here depends on chance; the tolerances say how
 * far chance could have taken it.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <math.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "card.h"
#include "counting.h"
#include "plot.h"
#include "random.h"
#include "replay.h"
#include "sizing.h"
#include "trace.h"
#include "traffic.h"
#include "zipf.h"

#define MS 1000000ull
#define SECOND (1000 * MS)
#define START (1000 * SECOND)

static void assert_near(double is, double expected, double tolerance, const char *what)
{
	if (fabs(is - expected) <= tolerance)
		return;
	fail_msg("%s is %.9g, expected %.9g within %.3g", what, is, expected, tolerance);
}

/* --- chance --- */

static void test_random_is_the_same_in_every_run(void **state)
{
	struct wm_random a = { 7 }, b = { 7 }, c = { 8 };

	(void)state;
	assert_true(wm_random__next(&a) == wm_random__next(&b));
	assert_true(wm_random__next(&a) != wm_random__next(&c));
}

static void test_poisson_has_its_mean_and_variance(void **state)
{
	static const double means[] = { 0.1, 3, 63, 65, 1e6 };
	const int n = 20000;

	(void)state;
	for (size_t k = 0; k < sizeof(means) / sizeof(*means); k++) {
		struct wm_random r = { 1 };
		double mean = means[k], sum = 0, squares = 0;

		for (int i = 0; i < n; i++) {
			double d = wm_random__poisson(&r, mean) - mean;

			sum += d;
			squares += d * d;
		}
		/* four standard errors; that of the variance by E[(x-m)^4] = m + 3 m^2 */
		assert_near(sum / n, 0, 4 * sqrt(mean / n), "deviation of the mean");
		assert_near(squares / n, mean, 4 * sqrt((mean + 2 * mean * mean) / n), "variance");
	}
}

static void test_zipf_sums_are_those_of_adding_up(void **state)
{
	static const double exponents[] = { 0, 0.5, 0.999999, 1, 1.1, 2.5 };
	static struct wm_zipf z;

	(void)state;
	for (size_t k = 0; k < sizeof(exponents) / sizeof(*exponents); k++) {
		double sum = 0;

		wm_zipf__init(&z, exponents[k]);
		assert_true(wm_zipf__sum(&z, 0) == 0);
		for (uint64_t r = 1; r <= 300000; r++) {
			sum += pow(r, -exponents[k]);
			if (r == 1 || r == 4096 || r == 4097 || r == 5000 || r == 300000)
				assert_near(wm_zipf__sum(&z, r) / sum, 1, 1e-7, "sum");
		}
	}
}

/* --- the model --- */

enum { SEEN_MAX = 1000 };

/* Packets by flow in so many seconds. */
static uint64_t watch(struct wm_source *s, double seconds, uint64_t *seen)
{
	struct wm_packet p;
	uint64_t n = 0;

	while (s->next(s, START + seconds * SECOND, &p)) {
		assert_true(p.at >= START && p.at < START + seconds * SECOND);
		assert_true(p.flow < SEEN_MAX && !p.end && !p.flags);
		seen[p.flow]++;
		n++;
	}
	return n;
}

static const struct wm_traffic_options hundred = {
	.flows = 100, .zipf = 1.2, .pps = 10000, .proto = IPPROTO_TCP, .scale = 1, .seed = 3,
	.start = START,
};

static void test_flows_have_the_rates_of_their_ranks(void **state)
{
	struct wm_source *s = wm_traffic__new(&hundred);
	uint64_t seen[SEEN_MAX] = {};
	static struct wm_zipf z;

	(void)state;
	assert_non_null(s);
	wm_zipf__init(&z, hundred.zipf);
	assert_near(watch(s, 100, seen), 1e6, 4 * 1e3, "packets");
	for (int r = 1; r <= 100; r++) {
		double mean = 1e6 * pow(r, -1.2) / wm_zipf__sum(&z, 100);

		/* of 100 flows the worst is 3 standard errors off in one run of 4 */
		assert_near(seen[r - 1], mean, 4.5 * sqrt(mean), "packets of a flow");
	}
	wm_traffic__free(s);
}

static void test_a_scale_keeps_the_share_of_each_group(void **state)
{
	struct wm_traffic_options options = hundred;
	uint64_t seen[SEEN_MAX] = {};
	static struct wm_zipf z;
	struct wm_source *s;

	(void)state;
	options.scale = 8;
	s = wm_traffic__new(&options);
	wm_zipf__init(&z, options.zipf);
	assert_near(watch(s, 100, seen), 1e6 / 8, 4 * 354, "packets");
	for (int j = 0; j < 13; j++) {
		double sum = wm_zipf__sum(&z, j < 12 ? 8 * (j + 1) : 100) - wm_zipf__sum(&z, 8 * j);
		double mean = 1e6 / 8 * sum / wm_zipf__sum(&z, 100);

		assert_near(seen[j], mean, 4.5 * sqrt(mean), "packets of a group");
	}
	assert_int_equal(seen[13], 0);
	wm_traffic__free(s);
}

/* A flow that is covered sends as much, and the last packet is as old. */
static void test_covered_flows_are_counted_when_asked(void **state)
{
	struct wm_source *s = wm_traffic__new(&hundred);
	uint64_t seen[SEEN_MAX] = {}, n = 0, last, quiet = 0;
	const double rate = 10000 * pow(10, -1.2), gap = 20 * MS;
	static struct wm_zipf z;
	const int rounds = 20000;
	double mean, age = 0;

	(void)state;
	wm_zipf__init(&z, hundred.zipf);
	s->cover(s, 9, true);
	s->cover(s, 9, true);
	watch(s, 10, seen);
	assert_int_equal(seen[9], 0);
	for (int i = 0; i < rounds; i++) {
		uint64_t from = START + i * (uint64_t)gap, k;

		k = s->passed(s, 9, from, from + gap, &last);
		n += k;
		quiet += !k;
		if (k) {
			assert_true(last >= from && last <= from + gap);
			age += from + gap - last;
		}
	}
	mean = rate / wm_zipf__sum(&z, 100) * gap / SECOND; /* packets a round */
	assert_near(n, rounds * mean, 4 * sqrt(rounds * mean), "packets");
	assert_near(quiet, rounds * exp(-mean), 4 * sqrt(rounds * exp(-mean)), "rounds without");
	/* mean of an exponential distribution that is cut at the length of a round */
	assert_near(age / (rounds - quiet), gap / mean - gap / expm1(mean),
		    4 * gap / sqrt(rounds), "age of the last packet");
	s->cover(s, 9, false);
	watch(s, 20, seen);
	assert_near(seen[9], mean * SECOND / gap * 10, 4 * sqrt(mean * SECOND / gap * 10),
		    "packets once uncovered");
	wm_traffic__free(s);
}

static void test_tcp_flows_begin_with_syn_and_end_with_fin(void **state)
{
	struct wm_traffic_options options = hundred;
	uint32_t begun = 0, ended = 0, packets = 0, fin = UINT32_MAX;
	struct wm_packet p;
	struct wm_source *s;

	(void)state;
	options.lifetime_ns = 500 * MS;
	s = wm_traffic__new(&options);
	while (s->next(s, START + 100 * SECOND, &p)) {
		packets += !p.end;
		if (p.flags & WM_SYN) {
			struct wm_flow name;

			s->name(s, p.flow, &name);
			assert_int_equal(wm_source__number(&name), p.flow);
			assert_int_equal(name.proto, IPPROTO_TCP);
			begun++;
		}
		if (p.end) {
			assert_int_equal(fin, p.flow); /* its last packet came just before */
			s->forget(s, p.flow);
			ended++;
		}
		fin = p.flags & WM_FIN ? p.flow : UINT32_MAX;
		assert_true(p.flow < 110); /* numbers come back */
	}
	/* 100 flows, two lives a second each */
	assert_near(begun, 20000, 4 * sqrt(20000), "flows");
	assert_in_range(ended - begun, 0, 1);
	assert_near(packets, 1e6, 4 * 1.1e3, "packets with SYN and FIN");
	wm_traffic__free(s);
}

/* --- the data plane's counting --- */

static const struct wm_counting_options four = {
	.flow_buckets = 16, .promote_after = 4, .event_budget = 100, .udp_idle = 10, .seed = 1,
};

static struct wm_flow flow_of(uint32_t n, uint8_t proto)
{
	return (struct wm_flow){ .src = { n }, .proto = proto, .family = WM_IPV4 };
}

/* The type of event that a packet makes; 0: none. */
static uint32_t event_of(struct wm_counting *c, uint32_t n, uint8_t flags, uint64_t now)
{
	struct wm_flow flow = flow_of(n, IPPROTO_TCP);

	wm_counting__packet(c, &flow, flags, now);
	if (!c->raised)
		return 0;
	assert_memory_equal(&c->raised->flow, &flow, sizeof(flow));
	assert_int_equal(c->raised->mark, WM_COUNTING_MARK);
	return c->raised->type;
}

static void test_the_threshold_makes_an_event_and_each_tick_again(void **state)
{
	struct wm_flow flow = flow_of(1, IPPROTO_TCP);
	struct wm_counting c;

	(void)state;
	assert_int_equal(wm_counting__init(&c, &four), 0);
	assert_int_equal(wm_counting__packet(&c, &flow, WM_SYN, START), WM_C_TX_SYN);
	assert_int_equal(event_of(&c, 1, 0, START), 0);
	assert_int_equal(event_of(&c, 1, 0, START), 0);
	assert_false(wm_counting__proven(&c, &flow));
	assert_int_equal(event_of(&c, 1, 0, START), WM_EVENT_PROMOTE);
	assert_true(wm_counting__proven(&c, &flow));
	assert_int_equal(event_of(&c, 1, 0, START), 0);
	assert_int_equal(event_of(&c, 1, 0, START + 2 * SECOND), WM_EVENT_PROMOTE);
	assert_int_equal(event_of(&c, 1, 0, START + 2 * SECOND), 0);
	wm_counting__restart(&c, &flow); /* no rule: it has to prove itself anew */
	for (int i = 0; i < 3; i++)
		assert_int_equal(event_of(&c, 1, 0, START + 2 * SECOND), 0);
	assert_int_equal(event_of(&c, 1, 0, START + 2 * SECOND), WM_EVENT_PROMOTE);
	assert_int_equal(event_of(&c, 1, WM_FIN, START + 2 * SECOND), WM_EVENT_CLOSE);
	assert_false(wm_counting__proven(&c, &flow));
	assert_int_equal(event_of(&c, 1, 0, START + 9 * SECOND), 0);
	assert_int_equal(c.stats.counter[WM_C_EVENT_PROMOTE], 3);
	assert_int_equal(c.stats.counter[WM_C_EVENT_CLOSE], 1);
	wm_counting__fini(&c);
}

static void test_events_have_a_budget_a_tick(void **state)
{
	struct wm_counting_options options = four;
	struct wm_counting c;
	int events = 0;

	(void)state;
	options.event_budget = 3;
	options.promote_after = 2;
	assert_int_equal(wm_counting__init(&c, &options), 0);
	for (uint32_t n = 1; n <= 5; n++) {
		event_of(&c, n, WM_SYN, START);
		events += event_of(&c, n, 0, START) == WM_EVENT_PROMOTE;
	}
	assert_int_equal(events, 3);
	assert_int_equal(c.stats.counter[WM_C_EVENT_HELD], 2);
	assert_int_equal(event_of(&c, 5, 0, START + 2 * SECOND), WM_EVENT_PROMOTE);
	wm_counting__fini(&c);
}

static void test_udp_expires_unless_its_rule_is_used(void **state)
{
	struct wm_flow flow = flow_of(1, IPPROTO_UDP), other = flow_of(2, IPPROTO_UDP);
	struct wm_counting c;

	(void)state;
	assert_int_equal(wm_counting__init(&c, &four), 0);
	assert_int_equal(wm_counting__packet(&c, &flow, 0, START), WM_C_TX_MISS);
	assert_int_equal(wm_counting__packet(&c, &other, 0, START), WM_C_TX_MISS);
	assert_int_equal(wm_counting__packet(&c, &flow, 0, START + 9 * SECOND), WM_C_TX_HIT);
	wm_counting__touch(&c, &other, START + 9 * SECOND);
	assert_int_equal(wm_counting__packet(&c, &other, 0, START + 18 * SECOND), WM_C_TX_HIT);
	assert_int_equal(wm_counting__packet(&c, &flow, 0, START + 40 * SECOND), WM_C_TX_MISS);
	assert_int_equal(c.stats.counter[WM_C_FLOW_EXPIRED], 1);
	wm_counting__fini(&c);
}

static void test_a_full_flow_table_forgets(void **state)
{
	struct wm_counting c;

	(void)state;
	assert_int_equal(wm_counting__init(&c, &four), 0); /* 128 flows */
	for (uint32_t n = 0; n < 1000; n++)
		event_of(&c, n, WM_SYN, START);
	assert_int_equal(c.stats.counter[WM_C_FLOW_INSERT], 1000);
	assert_true(c.stats.counter[WM_C_FLOW_EVICT] >= 1000 - 128);
	wm_counting__fini(&c);
}

/* --- the NIC --- */

static bool never(struct wm_source *s, uint64_t until, struct wm_packet *p)
{
	(void)s;
	(void)until;
	(void)p;
	return false;
}

static void plain_name(const struct wm_source *s, uint32_t flow, struct wm_flow *out)
{
	(void)s;
	*out = flow_of(flow, IPPROTO_TCP);
}

static int install_one(struct wm_offload *card, uint32_t n)
{
	struct wm_rule rule = { flow_of(n, IPPROTO_TCP), 1 };
	int result = 1;

	wm_card_ops.install(card, &rule, 1, &result);
	return result;
}

static int remove_one(struct wm_offload *card, uint32_t n)
{
	struct wm_flow flow = flow_of(n, IPPROTO_TCP);
	int result = 1;

	wm_card_ops.remove(card, &flow, 1, &result);
	return result;
}

static bool marks(struct wm_offload *card, uint32_t flow, uint8_t flags)
{
	struct wm_packet p = { .at = START, .flow = flow, .flags = flags };

	return wm_card__marks(card, &p);
}

static void test_the_card_holds_so_many_rules(void **state)
{
	struct wm_source source = { .next = never, .name = plain_name };
	struct wm_offload *card = wm_card__new(&(struct wm_card_options){ 2, 0, &source });

	(void)state;
	assert_int_equal(install_one(card, 5), 0);
	assert_int_equal(install_one(card, 2000), 0);
	assert_int_equal(install_one(card, 5), 0); /* replaces itself */
	assert_int_equal(install_one(card, 7), -ENOSPC);
	assert_true(marks(card, 5, 0));
	assert_false(marks(card, 5, WM_FIN));
	assert_false(marks(card, 7, 0));
	assert_false(marks(card, 1000000, 0));
	assert_int_equal(remove_one(card, 5), 0);
	assert_int_equal(remove_one(card, 5), -ENOENT);
	assert_false(marks(card, 5, 0));
	assert_true(marks(card, 2000, 0));
	assert_int_equal(install_one(card, 7), 0);
	wm_card__free(card);
}

static void count_done(void *arg, const struct wm_rule *rule, int result)
{
	(void)rule;
	((int *)arg)[result ? 1 : 0]++;
}

static void test_the_card_answers_after_its_delay(void **state)
{
	struct wm_source source = { .next = never, .name = plain_name };
	struct wm_offload *card = wm_card__new(&(struct wm_card_options){ 1, 10 * MS, &source });
	int done[2] = { 0, 0 };

	(void)state;
	wm_card__set_time(card, START);
	for (uint32_t n = 1; n <= 3; n++)
		assert_int_equal(install_one(card, n), -EINPROGRESS);
	assert_int_equal(remove_one(card, 1), -ENOENT); /* and no answer comes */
	wm_card__set_time(card, START + 10 * MS - 1);
	assert_int_equal(wm_card_ops.poll(card, count_done, done), 0);
	assert_false(marks(card, 2, 0));
	wm_card__set_time(card, START + 10 * MS);
	assert_int_equal(wm_card_ops.poll(card, count_done, done), 2);
	assert_int_equal(done[0], 1);
	assert_int_equal(done[1], 1);
	assert_true(marks(card, 2, 0));
	assert_false(marks(card, 1, 0) || marks(card, 3, 0));
	wm_card__free(card);
}

/* --- all of it --- */

static const struct wm_replay_options small_nic = {
	.capacity = 20,
	.rules = { .max_rules = 20, .installs_per_second = 100, .idle_ns = 2 * SECOND },
	.counting = { .flow_buckets = 256, .promote_after = 8, .event_budget = 20000,
		      .udp_idle = 30, .seed = 1 },
	.start = START,
};

static struct wm_replay_result play(const struct wm_replay_options *options,
				    struct wm_source *s, uint64_t until)
{
	struct wm_replay *replay = wm_replay__new(options, s);
	struct wm_replay_result result;

	assert_non_null(replay);
	assert_int_equal(wm_replay__run(replay, until), 0);
	wm_replay__result(replay, &result);
	wm_replay__free(replay);
	return result;
}

static struct wm_replay_result play_trace(const struct wm_replay_options *options,
					  const struct wm_trace *trace)
{
	struct wm_source *s = wm_trace__play(trace, START);
	struct wm_replay_result result;

	result = play(options, s, START + trace->duration_ns + 1);
	wm_trace__stop(s);
	return result;
}

/*
 * A packet a millisecond. The 8th makes an event, which is read after 20 ms; 2 ms
 * later the rule is asked for, and marks from then on, or when it is there.
 */
static void test_one_flow_step_by_step(void **state)
{
	struct wm_replay_options options = small_nic;
	struct wm_trace trace = {};
	struct wm_replay_result r;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(wm_trace__add(&trace, i * MS, 0, IPPROTO_TCP, 0), 0);
	r = play_trace(&options, &trace);
	assert_int_equal(r.software, 22);
	assert_int_equal(r.marked, 78);
	assert_int_equal(r.misses, 1);
	assert_int_equal(r.rules.installed, 1);
	assert_int_equal(r.rules_max, 1);
	options.install_delay_ns = 10 * MS;
	r = play_trace(&options, &trace);
	assert_int_equal(r.software, 32);
	assert_int_equal(r.marked, 68);
	options.counting.promote_after = 200;
	assert_int_equal(play_trace(&options, &trace).marked, 0);
	wm_trace__close(&trace);
}

static void test_a_rule_ends_with_its_flow(void **state)
{
	struct wm_trace trace = {};
	struct wm_replay_result r;

	(void)state;
	for (int i = 0; i < 100; i++)
		wm_trace__add(&trace, i * MS, 0, IPPROTO_TCP, 0);
	wm_trace__add(&trace, 100 * MS, 0, IPPROTO_TCP, WM_FIN);
	wm_trace__add(&trace, 10 * SECOND, 1, IPPROTO_TCP, WM_SYN);
	r = play_trace(&small_nic, &trace);
	assert_int_equal(r.rules.ended[WM_END_CLOSED], 1);
	assert_int_equal(r.rules.ended[WM_END_IDLE], 0);
	assert_true(r.rules_mean < 0.1 && r.rules_mean > 0);
	wm_trace__close(&trace);
}

/* It ends before its event is read. */
static void test_a_flow_that_has_ended_gets_no_rule(void **state)
{
	struct wm_trace trace = {};
	struct wm_replay_result r;

	(void)state;
	for (int i = 0; i < 10; i++)
		wm_trace__add(&trace, i * MS, 0, IPPROTO_TCP, 0);
	wm_trace__add(&trace, 10 * MS, 0, IPPROTO_TCP, WM_FIN);
	wm_trace__add(&trace, SECOND, 1, IPPROTO_TCP, WM_SYN);
	r = play_trace(&small_nic, &trace);
	assert_int_equal(r.counter[WM_C_EVENT_PROMOTE], 1);
	assert_int_equal(r.counter[WM_C_EVENT_CLOSE], 1);
	assert_int_equal(r.rules.candidates, 0);
	wm_trace__close(&trace);
}

/* 256 rules are taken by flows of 10 packets per second when 8 flows of 1000 begin. By a
 * reading (500 ms) the first comes in, and with the new mean the others follow. */
static void test_heavy_flows_get_the_rules_of_light_ones(void **state)
{
	enum { LIGHT = 300, HEAVY = 8, BEGIN = 8, END = 40 };
	struct wm_replay_options options = small_nic;
	struct wm_trace trace = {};
	struct wm_replay_result r;
	uint64_t heavy, light;

	(void)state;
	options.capacity = options.rules.max_rules = 256;
	for (uint64_t ms = 0; ms < END * 1000; ms++) {
		for (uint32_t i = ms % 100; i < LIGHT; i += 100)
			wm_trace__add(&trace, ms * MS, i, IPPROTO_TCP, 0);
		for (uint32_t i = 0; ms >= BEGIN * 1000 && i < HEAVY; i++)
			wm_trace__add(&trace, ms * MS + i, LIGHT + i, IPPROTO_TCP, 0);
	}
	r = play_trace(&options, &trace);
	heavy = HEAVY * 1000 * (END - BEGIN);
	light = LIGHT * 10 * END;
	assert_int_equal(r.marked + r.software, heavy + light);
	assert_true(r.marked > heavy * 0.9); /* at most 256 of 300 of the light were */
	assert_in_range(r.rules.ended[WM_END_EVICTED], HEAVY, 16 * (END - BEGIN) * 2);
	wm_trace__close(&trace);
}

static void test_a_rule_without_packets_goes(void **state)
{
	struct wm_trace trace = {};
	struct wm_replay_result r;

	(void)state;
	for (int i = 0; i < 100; i++)
		wm_trace__add(&trace, i * MS, 0, IPPROTO_UDP, 0);
	wm_trace__add(&trace, 10 * SECOND, 1, IPPROTO_UDP, 0);
	r = play_trace(&small_nic, &trace);
	assert_int_equal(r.rules.ended[WM_END_IDLE], 1);
	assert_int_equal(r.rules.ended[WM_END_CLOSED], 0);
	wm_trace__close(&trace);
}

/* Flows of a model, packet by packet and without any of its short cuts: rates by
 * searching a list of sums, a new number for each flow. */
struct plain {
	const struct wm_traffic_options *options;
	double *sum; /* of rates up to each rank, packets per second */
	uint32_t *flow;
	uint32_t flows;
};

static uint32_t plain_rank(const struct plain *p, double x)
{
	uint32_t low = 0, high = p->options->flows - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (p->sum[middle] < x)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void plain_trace(const struct wm_traffic_options *o, double seconds, struct wm_trace *trace)
{
	double deaths = o->lifetime_ns ? 1e9 * o->flows / o->lifetime_ns : 0, at = 0, total = 0;
	struct plain p = { o, calloc(o->flows, sizeof(double)), calloc(o->flows, 4), 0 };
	double data = o->pps - (o->proto == IPPROTO_TCP ? 2 * deaths : 0);
	struct wm_random r = { o->seed ^ 0xabcdef };

	for (uint32_t i = 0; i < o->flows; i++) {
		total += pow(i + 1, -o->zipf);
		p.sum[i] = total;
		p.flow[i] = p.flows++;
	}
	for (;;) {
		uint32_t rank;

		at += wm_random__exponential(&r, 1 / (data + deaths));
		if (at >= seconds)
			break;
		if (wm_random__unit(&r) * (data + deaths) > deaths) {
			rank = plain_rank(&p, wm_random__unit(&r) * total);
			wm_trace__add(trace, at * SECOND, p.flow[rank], o->proto, 0);
			continue;
		}
		rank = wm_random__below(&r, o->flows);
		if (o->proto == IPPROTO_TCP)
			wm_trace__add(trace, at * SECOND, p.flow[rank], o->proto, WM_FIN);
		p.flow[rank] = p.flows++;
		if (o->proto == IPPROTO_TCP)
			wm_trace__add(trace, at * SECOND, p.flow[rank], o->proto, WM_SYN);
	}
	free(p.sum);
	free(p.flow);
}

/* What is compared, of several runs. */
enum { MARKED, RULES, INSTALLS, FULL, PACKETS, MEASURES, RUNS = 8 };
static const char *const measure_names[] = {
	"share marked", "rules in use", "installs per second", "full per second",
	"packets per second",
};

static void measures(const struct wm_replay_result *r, uint32_t scale, double *m)
{
	m[MARKED] = (double)r->marked / (r->marked + r->software);
	m[RULES] = r->rules_mean * scale;
	m[INSTALLS] = r->rules.installed / r->seconds * scale;
	m[FULL] = r->rules.full / r->seconds * scale;
	m[PACKETS] = (r->marked + r->software) / r->seconds * scale;
}

struct runs {
	double mean[MEASURES], error[MEASURES]; /* standard error of the mean */
};

static struct runs summary(double m[RUNS][MEASURES])
{
	struct runs runs = {};

	for (int k = 0; k < MEASURES; k++) {
		double squares = 0;

		for (int i = 0; i < RUNS; i++)
			runs.mean[k] += m[i][k] / RUNS;
		for (int i = 0; i < RUNS; i++)
			squares += pow(m[i][k] - runs.mean[k], 2);
		runs.error[k] = sqrt(squares / (RUNS - 1) / RUNS);
	}
	return runs;
}

/*
 * The means of 8 runs each differ by no more than five standard errors of their
 * difference: with t-distributed errors of about 14 degrees of freedom, that
 * happens in 2 of 10,000 comparisons that are all right. `bias`: what the method
 * may be off in addition, as a part of the value.
 */
static void compare(const struct runs *a, const struct runs *b, double bias)
{
	for (int k = 0; k < MEASURES; k++) {
		double error = hypot(a->error[k], b->error[k]);

		assert_near(a->mean[k], b->mean[k], 5 * error + bias * fabs(b->mean[k]) + 1e-9,
			    measure_names[k]);
	}
}

static struct runs packet_by_packet(const struct wm_traffic_options *options,
				    const struct wm_replay_options *nic, double seconds)
{
	struct wm_traffic_options o = *options;
	struct wm_replay_options n = *nic;
	double m[RUNS][MEASURES];

	for (int i = 0; i < RUNS; i++) {
		struct wm_trace trace = {};
		struct wm_replay_result r;

		o.seed = n.counting.seed = i + 1; /* which flows meet in a bucket is chance too */
		plain_trace(&o, seconds, &trace);
		r = play_trace(&n, &trace);
		measures(&r, 1, m[i]);
		wm_trace__close(&trace);
	}
	return summary(m);
}

static struct runs modelled(const struct wm_traffic_options *options,
			    const struct wm_replay_options *nic, double seconds, uint32_t scale)
{
	struct wm_traffic_options o = *options;
	struct wm_replay_options n = *nic;
	double m[RUNS][MEASURES];

	o.scale = scale;
	n.capacity /= scale;
	n.rules.max_rules /= scale;
	n.rules.installs_per_second /= scale;
	n.counting.event_budget /= scale;
	n.counting.flow_buckets /= scale;
	for (int i = 0; i < RUNS; i++) {
		struct wm_replay_result r;
		struct wm_source *s;

		o.seed = n.counting.seed = 100 + i;
		s = wm_traffic__new(&o);
		r = play(&n, s, START + seconds * SECOND);
		measures(&r, scale, m[i]);
		wm_traffic__free(s);
	}
	return summary(m);
}

/* Heavy tail, more flows than the flow table has room for, a small rule table. */
static const struct wm_traffic_options eternal = {
	.flows = 4000, .zipf = 1.1, .pps = 20000, .proto = IPPROTO_UDP, .start = START,
};
static const struct wm_traffic_options short_lived = {
	.flows = 2000, .zipf = 0.9, .pps = 20000, .lifetime_ns = 2 * SECOND,
	.proto = IPPROTO_TCP, .start = START,
};
static const struct wm_traffic_options short_udp = {
	.flows = 2000, .zipf = 0.9, .pps = 20000, .lifetime_ns = SECOND,
	.proto = IPPROTO_UDP, .start = START,
};
static const struct wm_replay_options middling_nic = {
	.capacity = 256,
	.rules = { .max_rules = 256, .installs_per_second = 320, .idle_ns = 2 * SECOND },
	.counting = { .flow_buckets = 256, .promote_after = 8, .event_budget = 640, .udp_idle = 5,
		      .seed = 1 },
	.install_delay_ns = 20 * MS,
	.start = START,
};

static void test_the_model_is_what_playing_every_packet_is(void **state)
{
	static const struct wm_traffic_options *const all[] = {
		&eternal, &short_lived, &short_udp,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct runs plain = packet_by_packet(all[i], &middling_nic, 12);
		struct runs model = modelled(all[i], &middling_nic, 12, 1);

		compare(&model, &plain, 0);
	}
}

/* A flow table that is far too small: flows that rest lose their entries too. */
static void test_so_it_is_when_the_flow_table_thrashes(void **state)
{
	struct wm_replay_options nic = middling_nic;
	struct runs plain, model;

	(void)state;
	nic.counting.flow_buckets = 16;
	nic.counting.promote_after = 2;
	plain = packet_by_packet(&eternal, &nic, 12);
	model = modelled(&eternal, &nic, 12, 1);
	compare(&model, &plain, 0);
}

static void test_a_scaled_model_is_what_the_full_one_is(void **state)
{
	static const struct wm_traffic_options *const all[] = {
		&eternal, &short_lived, &short_udp,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct runs full = modelled(all[i], &middling_nic, 12, 1);
		struct runs part = modelled(all[i], &middling_nic, 12, 8);

		compare(&part, &full, 0.03);
	}
}

/* One flow, a packet a millisecond, until its end. */
struct metronome {
	struct wm_source source;
	uint64_t at, end;
	bool covered, ended, over; /* over: nobody can ask for its packets any more */
};

static bool beat(struct wm_source *s, uint64_t until, struct wm_packet *p)
{
	struct metronome *m = (struct metronome *)s;

	m->over = m->ended;
	for (; m->at < until && m->at < m->end; m->at += MS) {
		if (m->covered)
			continue;
		*p = (struct wm_packet){ .at = m->at };
		m->at += MS;
		return true;
	}
	if (m->ended || m->end >= until)
		return false;
	m->ended = true;
	*p = (struct wm_packet){ .at = m->end, .end = true };
	return true;
}

static void cover_metronome(struct wm_source *s, uint32_t flow, bool covered)
{
	(void)flow;
	((struct metronome *)s)->covered = covered;
}

/* Packets between the two times. */
static uint64_t beats(struct wm_source *s, uint32_t flow, uint64_t from, uint64_t to,
		      uint64_t *last)
{
	struct metronome *m = (struct metronome *)s;
	uint64_t end = to < m->end ? to : m->end;

	(void)flow;
	*last = end;
	return m->over || end <= from ? 0 : (end - START - 1) / MS - (from - START) / MS;
}

static double beat_rate(const struct wm_source *s, uint32_t flow)
{
	(void)s;
	(void)flow;
	return 1.0 / MS;
}

static void never_forget(struct wm_source *s, uint32_t flow)
{
	(void)s;
	(void)flow;
	fail_msg("forgotten while its rule is on the way");
}

static void test_what_a_resting_flow_sends_is_counted_to_its_end(void **state)
{
	struct metronome m = {
		.source = { beat, plain_name, cover_metronome, beats, beat_rate,
			    never_forget, false },
		.at = START, .end = START + 2000 * MS,
	};
	struct wm_replay_options options = small_nic;
	struct wm_replay_result r;

	(void)state;
	options.install_delay_ns = 4 * SECOND; /* too late */
	r = play(&options, &m.source, START + 3 * SECOND);
	assert_int_equal(r.software, 2000);
	assert_int_equal(r.marked, 0);
	assert_true(r.played < 200); /* 8, and some in each tick */
}

/* --- captures --- */

struct scratch {
	char path[64];
	pcap_dumper_t *dumper;
	pcap_t *pcap;
};

static void begin_capture(struct scratch *s, int link)
{
	int fd;

	strcpy(s->path, "/tmp/waymark-size-XXXXXX");
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	close(fd);
	s->pcap = pcap_open_dead(link, 65535);
	s->dumper = pcap_dump_open(s->pcap, s->path);
	assert_non_null(s->dumper);
}

static void end_capture(struct scratch *s)
{
	pcap_dump_close(s->dumper);
	pcap_close(s->pcap);
}

static void add_frame(struct scratch *s, uint32_t us, const uint8_t *frame, uint32_t length)
{
	struct pcap_pkthdr header = {
		.ts = { 1700000000, us }, .caplen = length, .len = length + 1000,
	};

	pcap_dump((void *)s->dumper, &header, frame);
}

/* IPv4 from 10.0.0.`client`, port 4711, to port 80. */
static void add_v4(struct scratch *s, uint32_t us, uint8_t client, uint8_t proto, uint8_t flags,
		   uint16_t fragment)
{
	uint8_t frame[54] = { [12] = 8, [14] = 0x45, [20] = fragment >> 8, fragment, [23] = proto,
			      [26] = 10, 0, 0, client, 10, 200, 1, 1, 18, 103, 0, 80,
			      [47] = flags };

	add_frame(s, us, frame, proto == IPPROTO_UDP ? 42 : 54);
}

static void add_v6(struct scratch *s, uint32_t us, uint8_t next)
{
	uint8_t frame[74] = { [12] = 0x86, 0xdd, 0x60, [20] = next, [22] = 0xfc, [38] = 0xfc,
			      [54] = 18, 103, 0, 80, [67] = WM_SYN };

	add_frame(s, us, frame, sizeof(frame));
}

/* All that can be in a capture; seven packets are for the balancer. */
static void write_capture(struct scratch *s)
{
	const uint8_t vlan[60] = { [12] = 0x81, 0, 0, 7, 8, 0, 0x45 }, arp[42] = { [12] = 8, 6 };

	begin_capture(s, DLT_EN10MB);
	add_v4(s, 1000, 1, IPPROTO_TCP, WM_SYN, 0);
	add_v4(s, 2000, 1, IPPROTO_TCP, 0, 0x4000); /* DF */
	add_v4(s, 3000, 1, IPPROTO_UDP, 0, 0);
	add_v4(s, 2500, 2, IPPROTO_UDP, 0, 0); /* goes back in time */
	add_v6(s, 4000, IPPROTO_TCP);
	add_v6(s, 4000, IPPROTO_TCP);
	add_v6(s, 5000, IPPROTO_FRAGMENT);
	add_v4(s, 5000, 1, IPPROTO_TCP, 0, 0x2000);
	add_v4(s, 5000, 1, IPPROTO_UDP, 0, 100);
	add_v4(s, 5000, 1, IPPROTO_ICMP, 0, 0);
	add_frame(s, 5000, vlan, sizeof(vlan));
	add_frame(s, 5000, arp, sizeof(arp));
	add_frame(s, 5000, arp, 10);
	add_v4(s, 9000, 1, IPPROTO_TCP, WM_FIN, 0);
	end_capture(s);
}

static void test_a_capture_is_read_as_the_data_plane_would(void **state)
{
	static const struct wm_packet expected[] = {
		{ START, 0, WM_SYN, false }, { START + MS, 0, 0, false },
		{ START + 2 * MS, 1, 0, false }, { START + 2 * MS, 2, 0, false },
		{ START + 3 * MS, 3, WM_SYN, false }, { START + 3 * MS, 3, WM_SYN, false },
		{ START + 8 * MS, 0, WM_FIN, false },
	};
	struct wm_err err = { "" };
	struct wm_trace trace;
	struct wm_source *play_it;
	struct wm_packet p;
	struct wm_flow name;
	struct scratch s;

	(void)state;
	write_capture(&s);
	assert_int_equal(wm_trace__open(&trace, s.path, NULL, &err), 0);
	assert_int_equal(trace.n, 7);
	assert_int_equal(trace.passed, 7);
	assert_int_equal(trace.n_flows, 4);
	play_it = wm_trace__play(&trace, START);
	for (size_t i = 0; i < 7; i++) {
		assert_false(play_it->next(play_it, expected[i].at, &p)); /* not yet */
		assert_true(play_it->next(play_it, expected[i].at + 1, &p));
		assert_int_equal(p.at, expected[i].at);
		assert_int_equal(p.flow, expected[i].flow);
		assert_int_equal(p.flags, expected[i].flags);
	}
	assert_false(play_it->next(play_it, UINT64_MAX, &p));
	play_it->name(play_it, 1, &name);
	assert_int_equal(name.proto, IPPROTO_UDP);
	wm_trace__stop(play_it);
	wm_trace__close(&trace);
	assert_int_equal(wm_trace__open(&trace, s.path, "udp and src host 10.0.0.2", &err), 0);
	assert_int_equal(trace.n, 1);
	wm_trace__close(&trace);
	unlink(s.path);
}

static void refuse(const char *path, const char *filter, const char *said)
{
	struct wm_err err = { "" };
	struct wm_trace trace;

	assert_true(wm_trace__open(&trace, path, filter, &err) < 0);
	if (!strstr(err.text, said) || !strstr(err.text, filter ? filter : path))
		fail_msg("'%s' does not say '%s'", err.text, said);
	assert_null(trace.packet);
}

static void test_what_is_no_capture_is_refused(void **state)
{
	struct scratch s;

	(void)state;
	refuse("/nonexistent/x.pcap", NULL, "No such file");
	write_capture(&s);
	refuse(s.path, "nonsense nonsense", "syntax error");
	refuse(s.path, "tcp port 81", "no TCP or UDP packet in it that passes");
	assert_int_equal(truncate(s.path, 100), 0);
	refuse(s.path, NULL, "truncated");
	assert_int_equal(truncate(s.path, 0), 0);
	refuse(s.path, NULL, "truncated");
	unlink(s.path);
	begin_capture(&s, DLT_RAW);
	end_capture(&s);
	refuse(s.path, NULL, "link type RAW, not Ethernet");
	unlink(s.path);
	begin_capture(&s, DLT_EN10MB);
	add_v4(&s, 1, 1, IPPROTO_ICMP, 0, 0);
	end_capture(&s);
	refuse(s.path, NULL, "no TCP or UDP packet in it, only others");
	unlink(s.path);
}

/* --- sizing --- */

static struct wm_sizing quick(void)
{
	struct wm_sizing o;

	wm_sizing__defaults(&o);
	o.flows = 20000;
	o.zipf = 1.1;
	o.pps = 50000;
	o.seconds = 5;
	o.idle_ns = 2 * SECOND;
	o.n_rules = 3;
	o.rules[0] = 100;
	o.rules[1] = 1000;
	o.rules[2] = 10000;
	return o;
}

static void test_a_larger_table_marks_more(void **state)
{
	struct wm_sizing_row row[WM_SIZING_SIZES_MAX];
	struct wm_sizing o = quick();

	(void)state;
	assert_int_equal(wm_sizing__run(&o, row, NULL), 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(row[i].rules, o.rules[i]);
		assert_true(row[i].rules_mean <= row[i].rules_max);
		assert_true(row[i].rules_max <= row[i].rules);
		assert_near(row[i].pps, 50000, 4 * sqrt(50000 / 5.0), "packets per second");
		assert_near(row[i].cores_saved, row[i].marked * row[i].pps *
			    (o.ns_hit - o.ns_marked) / 1e9, 1e-9, "cores saved");
		assert_near(row[i].cores_software, row[i].pps * o.ns_hit / 1e9, 1e-9, "cores");
	}
	assert_true(row[0].marked > 0.3 && row[2].marked < 1);
	assert_true(row[0].marked + 0.1 < row[1].marked);
	assert_true(row[1].marked + 0.05 < row[2].marked);
	assert_true(row[0].full > row[2].full);
}

static void test_the_same_seed_gives_the_same_answer(void **state)
{
	struct wm_sizing_row a[WM_SIZING_SIZES_MAX], b[WM_SIZING_SIZES_MAX];
	struct wm_sizing o = quick();

	(void)state;
	o.lifetime_ns = SECOND;
	assert_int_equal(wm_sizing__run(&o, a, NULL), 0);
	assert_int_equal(wm_sizing__run(&o, b, NULL), 0);
	assert_memory_equal(a, b, 3 * sizeof(*a));
	o.seed = 2;
	assert_int_equal(wm_sizing__run(&o, b, NULL), 0);
	assert_memory_not_equal(a, b, 3 * sizeof(*a));
}

/* The work is bounded, whatever is asked for. Time would depend on the machine. */
static void test_the_largest_model_is_played_within_bounds(void **state)
{
	struct wm_sizing_row row[WM_SIZING_SIZES_MAX];
	struct wm_sizing o;

	(void)state;
	wm_sizing__defaults(&o);
	o.flows = WM_SIZING_FLOWS_MAX;
	o.pps = WM_SIZING_PPS_MAX;
	o.zipf = 1.1;
	o.n_rules = 1;
	o.rules[0] = 64000;
	assert_int_equal(wm_sizing__run(&o, row, NULL), 0);
	assert_true(row->played < 1 << 25);
	assert_true(row->scale > 1 && row->scale <= 1024);
	assert_near(row->pps, 1e8, 1e6, "packets per second");
	assert_true(row->marked > 0.7 && row->marked < 0.9);
}

static void refuse_size(const struct wm_sizing *o, const char *said)
{
	struct wm_err err = { "" };

	assert_int_equal(wm_sizing__check(o, &err), -EINVAL);
	if (!strstr(err.text, said))
		fail_msg("'%s' does not say '%s'", err.text, said);
}

#define REFUSE(field, value, said)          \
	do {                                \
		struct wm_sizing o = quick(); \
		o.field = value;            \
		refuse_size(&o, said);      \
	} while (0)

static void test_what_is_out_of_range_is_refused(void **state)
{
	struct wm_sizing good = quick();

	(void)state;
	assert_int_equal(wm_sizing__check(&good, NULL), 0);
	REFUSE(flows, 0, "flows 0: wants 1 to 100000000");
	REFUSE(flows, WM_SIZING_FLOWS_MAX + 1, "flows 100000001: wants");
	REFUSE(pps, 0, "pps 0");
	REFUSE(pps, 1e9, "pps 1000000000");
	REFUSE(zipf, -0.1, "zipf -0.1");
	REFUSE(zipf, NAN, "zipf nan");
	REFUSE(seconds, 0.5, "seconds 0.5");
	REFUSE(lifetime_ns, 1, "lifetime (seconds) 1e-09");
	REFUSE(lifetime_ns, 200 * MS, "for SYN and FIN alone");
	REFUSE(promote_after, 0, "promote-after 0");
	REFUSE(promote_after, 201, "promote-after 201");
	REFUSE(idle_ns, 1, "idle (seconds)");
	REFUSE(udp_idle_ns, 1, "udp-idle (seconds)");
	REFUSE(table_flows, 1, "flow-table 1");
	REFUSE(installs_per_second, 0, "installs-per-second 0");
	REFUSE(install_delay_ns, 5 * SECOND, "install-delay (seconds) 5");
	REFUSE(ns_hit, 0, "ns-hit 0");
	REFUSE(ns_marked, 1000, "ns-marked 1000: wants 0 to ");
	REFUSE(cpus, 2000, "cpus 2000");
	REFUSE(n_rules, 33, "number of table sizes 33");
	REFUSE(rules[1], 0, "rules 0");
	REFUSE(rules[2], 20000000, "rules 20000000");
}

/* --- plot --- */

static void test_a_plot_is_a_picture(void **state)
{
	const struct wm_sizing_row rows[] = { { .rules = 1000, .marked = 0.5, .cores_saved = 1 },
					      { .rules = 4000, .marked = 0.7, .cores_saved = 2 } };
	char directory[] = "/tmp/waymark-plot-XXXXXX", path[64], text[65536];
	struct wm_err err = { "" };
	FILE *file;
	size_t n;

	(void)state;
	assert_false(wm_plot__knows("x.pdf") || wm_plot__knows("svg"));
	if (system("command -v gnuplot >/dev/null")) {
		print_message("gnuplot is not installed\n");
		skip();
	}
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/it's.svg", directory);
	assert_int_equal(wm_plot__write(path, "it's `false` $(false) \" \\", rows, 2, &err), 0);
	file = fopen(path, "r");
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	assert_non_null(strstr(text, "<svg"));
	assert_non_null(strstr(text, "cores saved"));
	assert_non_null(strstr(text, "`false` $(false)"));
	assert_int_equal(wm_plot__write(path, "one", rows, 1, &err), 0);
	unlink(path);
	snprintf(path, sizeof(path), "%s/none/x.svg", directory);
	assert_int_equal(wm_plot__write(path, "", rows, 2, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_is_the_same_in_every_run),
		cmocka_unit_test(test_poisson_has_its_mean_and_variance),
		cmocka_unit_test(test_zipf_sums_are_those_of_adding_up),
		cmocka_unit_test(test_flows_have_the_rates_of_their_ranks),
		cmocka_unit_test(test_a_scale_keeps_the_share_of_each_group),
		cmocka_unit_test(test_covered_flows_are_counted_when_asked),
		cmocka_unit_test(test_tcp_flows_begin_with_syn_and_end_with_fin),
		cmocka_unit_test(test_the_threshold_makes_an_event_and_each_tick_again),
		cmocka_unit_test(test_events_have_a_budget_a_tick),
		cmocka_unit_test(test_udp_expires_unless_its_rule_is_used),
		cmocka_unit_test(test_a_full_flow_table_forgets),
		cmocka_unit_test(test_the_card_holds_so_many_rules),
		cmocka_unit_test(test_the_card_answers_after_its_delay),
		cmocka_unit_test(test_one_flow_step_by_step),
		cmocka_unit_test(test_a_rule_ends_with_its_flow),
		cmocka_unit_test(test_a_flow_that_has_ended_gets_no_rule),
		cmocka_unit_test(test_heavy_flows_get_the_rules_of_light_ones),
		cmocka_unit_test(test_a_rule_without_packets_goes),
		cmocka_unit_test(test_the_model_is_what_playing_every_packet_is),
		cmocka_unit_test(test_so_it_is_when_the_flow_table_thrashes),
		cmocka_unit_test(test_a_scaled_model_is_what_the_full_one_is),
		cmocka_unit_test(test_what_a_resting_flow_sends_is_counted_to_its_end),
		cmocka_unit_test(test_a_capture_is_read_as_the_data_plane_would),
		cmocka_unit_test(test_what_is_no_capture_is_refused),
		cmocka_unit_test(test_a_larger_table_marks_more),
		cmocka_unit_test(test_the_same_seed_gives_the_same_answer),
		cmocka_unit_test(test_the_largest_model_is_played_within_bounds),
		cmocka_unit_test(test_what_is_out_of_range_is_refused),
		cmocka_unit_test(test_a_plot_is_a_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
