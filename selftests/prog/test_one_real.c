// SPDX-License-Identifier: GPL-2.0
/*
 * One connection, one real (Documentation/design/2026-11-30-one-connection-one-real.md):
 * random sequences of packets, ticks, evictions, reloads and slow or refused rules, through
 * the softnic's program, the balancer's program and the daemon's own code, against a
 * model that knows of each connection only which real its packets went to.
 *
 *   frame --> softnic --mark--> waymark --> real
 *               ^                  | events
 *               '-- sim <- rules <-'        the daemon's, with a clock that the test moves
 *
 * In both lanes that the softnic has: the mark in front of the frame, and in its source address.
 * The table has 160 places for 300 flows, so that entries are evicted. A seed is printed;
 * WM_SEED=N runs that one again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include <waymark/softnic_abi.h>

#include "apply.h"
#include "config.h"
#include "events.h"
#include "log.h"
#include "monotonic.h"
#include "nic.h"
#include "ownaddr.h"
#include "packet.h"
#include "prog.h"
#include "retire.h"
#include "running.h"
#include "softnic.h"
#include "uplinks.h"

enum {
	FLOWS = 300,
	STEPS = 4000,     /* of a round */
	ROUNDS = 10,      /* so 3000 flows with some 100 packets each */
	REALS = 6,
	BUCKETS = 20,
	PROMOTE_AFTER = 2,
	IDLE_S = 40,      /* of rules */
	UDP_IDLE_S = 30,
	SYN_S = 120,      /* a SYN that comes later is no duplicate */
	SLACK_S = 3,      /* the kernel's clock goes on while the test runs */
};

static const char nic_dir[] = "/sys/fs/bpf/one-real";

/* --- the model --- */

enum service { WEB, WEB6, DNS, ANY, ANY_80, SERVICES };
enum stage { NONE, OPEN, ENDED };

struct conn {
	struct packet_spec spec;
	char src[40];
	enum stage stage;
	int real;        /* where its packets go */
	uint32_t number; /* of the flow's connections */
	double last;     /* s, its last packet */
	bool free;       /* its real or its service was removed: it may go anywhere */
	bool settled;    /* it ended, the daemon heard of that, and its rule is gone */
	bool forgotten;  /* it ended or went on without an entry: the end may be unknown */
};

/* What the configuration says now. */
struct setup {
	int weight[SERVICES][REALS]; /* -1: not a real of the service */
	bool narrow;                 /* there is a vip of port 80 beside the one of every port */
	bool offload[SERVICES];
};

/* The daemon's parts that have to do with flows. */
struct parts {
	sd_event *event;
	struct wm_running running;
	struct wm_nic nic;
	struct wm_retire retire;
	struct wm_events events;
	struct wm_uplinks uplinks;
	struct wm_ownaddr ownaddr;
	struct wm_apply apply;
};

static struct {
	struct parts d;
	struct wm_nic_card card;
	int softnic;
	volatile struct wm_softnic_ctl *ctl;
	enum wm_lane lane;
	struct setup setup;
	struct conn conn[FLOWS];
	double clock;       /* s, as the test moves it */
	uint64_t skew;      /* ns, of the daemon's clock */
	double last_tick;   /* s, of the rules */
	uint64_t random;
	unsigned long seed;
	unsigned long sent, marked, duplicates, moved, lost;
} w;

static uint32_t below(uint32_t n)
{
	w.random = w.random * 6364136223846793005ull + 1442695040888963407ull;
	return (w.random >> 33) % n;
}

static bool chance(uint32_t percent)
{
	return below(100) < percent;
}

/* The daemon's clock (the linker puts this in its place). */
uint64_t __wrap_wm_now_ns(void);
uint64_t __wrap_wm_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec + w.skew;
}

/* --- configurations --- */

static const char *const vip_lines[SERVICES] = {
	[WEB] = "name: web, address: 10.200.1.1, port: 80, protocol: tcp",
	[WEB6] = "name: web6, address: \"fd00:200:1::1\", port: 80, protocol: tcp",
	[DNS] = "name: dns, address: 10.200.1.1, port: 53, protocol: udp",
	[ANY] = "name: any, address: 10.200.1.2, port: any, protocol: tcp",
	[ANY_80] = "name: any80, address: 10.200.1.2, port: 80, protocol: tcp",
};

/* The two services of one address have different reals, so a real tells the service. */
static void draw_reals(struct setup *s, enum service service)
{
	int first = service == ANY_80 ? 3 : 0, end = service == ANY ? 3 : REALS;
	int sure = first + below(end - first);

	for (int r = 0; r < REALS; r++) {
		bool in = r >= first && r < end && (r == sure || chance(75));

		s->weight[service][r] = !in ? -1 : (int)below(3) + (r == sure);
	}
	s->offload[service] = chance(85);
}

static void draw_setup(struct setup *s)
{
	for (int service = 0; service < SERVICES; service++)
		draw_reals(s, service);
	s->narrow = chance(50);
}

static char *write_setup(const struct setup *s, size_t *len)
{
	char *text;
	FILE *f = open_memstream(&text, len);

	fprintf(f, "interface: lo\ngateway: 02:00:00:00:00:01\nflow-table: { udp-idle: %ds }\n"
		"limits: { dests: 65535 }\noffload: { backend: sim, sim: { pin: /none }, "
		"promote-after: %d, idle: %ds }\nvips:\n", UDP_IDLE_S, PROMOTE_AFTER, IDLE_S);
	for (int v = 0; v < SERVICES; v++) {
		if (v == ANY_80 && !s->narrow)
			continue;
		fprintf(f, "- { %s, offload: %s, reals: [\n", vip_lines[v],
			s->offload[v] ? "true" : "false");
		for (int r = 0; r < REALS; r++)
			if (s->weight[v][r] >= 0)
				fprintf(f, "  { address: 10.200.2.%d, weight: %d },\n", 11 + r,
					s->weight[v][r]);
		fprintf(f, "  ] }\n");
	}
	fclose(f);
	return text;
}

static bool serves(const struct setup *s, enum service service, int real)
{
	return (service != ANY_80 || s->narrow) && s->weight[service][real] >= 0;
}

/* The service that the connection's packets are of, and that its real is of. */
static enum service service_now(const struct conn *c)
{
	if (c->spec.dport == 53)
		return DNS;
	if (strchr(c->spec.dst, ':'))
		return WEB6;
	if (!strcmp(c->spec.dst, "10.200.1.1"))
		return WEB;
	return c->spec.dport == 80 && w.setup.narrow ? ANY_80 : ANY;
}

static enum service service_begun(const struct conn *c)
{
	enum service now = service_now(c);

	if (now == ANY || now == ANY_80)
		return c->real >= 3 ? ANY_80 : ANY;
	return now;
}

static void configure(const struct setup *setup)
{
	struct wm_config *config;
	struct wm_err err = {};
	size_t len;
	char *text = write_setup(setup, &len);

	if (wm_config__parse("test", text, len, &config, &err, NULL, NULL) ||
	    wm_apply__config(&w.d.apply, config, NULL, &err))
		fail_msg("seed %lu: %s", w.seed, err.text);
	wm_nic__configure(&w.d.nic, config);
	w.setup = *setup;
	wm_config__free(w.d.running.config);
	w.d.running.config = config;
	free(text);
}

static void reload(void)
{
	struct setup next = w.setup;

	if (chance(30))
		draw_setup(&next);
	else if (chance(30))
		next.narrow = !next.narrow;
	else
		draw_reals(&next, below(SERVICES));
	for (int i = 0; i < FLOWS; i++) {
		struct conn *c = &w.conn[i];

		if (c->stage != NONE && !serves(&next, service_begun(c), c->real))
			c->free = true;
	}
	configure(&next);
	w.d.retire.next_sweep_ns = 0; /* ids come back at once */
	wm_retire__look(&w.d.retire);
}

/* --- the daemon --- */

static void on_event(void *arg, const struct wm_event *event)
{
	wm_events__take(arg, event);
}

static void no_timer(void *arg)
{
	(void)arg;
}

static void open_rules(void)
{
	struct wm_err err = {};

	w.card = (struct wm_nic_card){ .interface = "lo", .mac = w.lane == WM_LANE_MAC };
	if (wm_offload_sim.open(&w.card.off, "lo", nic_dir, &err))
		fail_msg("%s", err.text);
	w.d.nic.card = &w.card;
	w.d.nic.n = 1;
	if (wm_nic__start(&w.d.nic, w.d.event, &w.d.running, &err) ||
	    wm_nic__reconcile(&w.d.nic, &err))
		fail_msg("%s", err.text);
}

static void close_rules(void)
{
	wm_timer__free(&w.d.nic.timer);
	wm_steering__free(w.card.steering);
	wm_rules__free(w.card.rules);
	wm_offload_sim.close(w.card.off);
}

static void open_daemon(void)
{
	const uint32_t mark_bits = w.lane == WM_LANE_MAC ? WM_MAC_MARK_BITS : 32;
	const struct wm_dp_options options = {
		.dest_bits = 16, .flow_buckets = BUCKETS, .mac_lane = w.lane == WM_LANE_MAC,
	};
	const struct wm_model_limits limits = { 16, mark_bits, 16, WM_RINGS_DEFAULT };
	const struct wm_dp_event_hooks hooks = { on_event, &w.d.events };
	const struct wm_apply_parts with = {
		.running = &w.d.running, .file = "test", .uplinks = &w.d.uplinks,
		.nic = &w.d.nic, .retire = &w.d.retire, .ownaddr = &w.d.ownaddr,
	};
	struct setup setup;
	struct wm_err err = {};

	wm_log__init("test", WM_LOG_WARN); /* not every reload */
	w.d.uplinks.mtu = 1500;
	w.d.running.dp = prog_open(&options);
	w.d.nic = (struct wm_nic){
		.ops = &wm_offload_sim, .mark_bits = mark_bits, .lane = w.lane,
	};
	w.d.running.model = wm_model__new(&limits);
	if (wm_dp__events_open(w.d.running.dp, &hooks, &err))
		fail_msg("%s", err.text);
	assert_true(w.d.running.model && sd_event_new(&w.d.event) >= 0);
	assert_true(wm_timer__init(&w.d.nic.timer, w.d.event, no_timer, NULL) >= 0);
	assert_true(!wm_apply__init(&w.d.apply, w.d.event, &with) &&
		    wm_retire__init(&w.d.retire, w.d.event, &w.d.running, &w.d.nic) >= 0);
	for (int i = 0; i < 4; i++)
		wm_dp__ctl(w.d.running.dp)->flow_seed[i] =
			0x9e3779b97f4a7c15ull * (w.seed + i) | (i & 1);
	memset(&setup, -1, sizeof(setup));
	draw_setup(&setup);
	/* The rules read the configuration, which is applied to the rules. */
	w.d.running.config = NULL;
	w.d.events.dp = w.d.running.dp;
	w.d.events.nic = &w.d.nic;
	w.d.nic.n = 0;
	configure(&setup);
	wm_timer__free(&w.d.nic.timer);
	open_rules();
}

static void close_daemon(void)
{
	close_rules();
	wm_apply__free(&w.d.apply);
	wm_retire__free(&w.d.retire);
	wm_model__free(w.d.running.model);
	wm_dp__close(w.d.running.dp);
	wm_config__free(w.d.running.config);
	sd_event_unref(w.d.event);
	w.d = (struct parts){};
}

/* Killed, and started again: what waited in its memory is lost. */
static void restart_daemon(void)
{
	close_rules();
	open_rules();
}

/* The NIC holds a rule of this flow, or was asked to, and its mark names a destination. */
static bool has_rule(const struct conn *c)
{
	struct wm_flow flow = prog_flow(&c->spec);
	struct wm_rule_view view;

	return wm_rules__find(w.card.rules, &flow, &view) && view.state != WM_RULE_CANDIDATE &&
	       wm_dp__dest(w.d.running.dp, view.rule.mark & 0xffff)->mark == view.rule.mark;
}

static void tick(void)
{
	wm_dp__events_consume(w.d.running.dp);
	for (int i = 0; i < 3; i++)
		wm_rules__tick(w.card.rules, wm_now_ns());
	w.last_tick = w.clock;
	for (int i = 0; i < FLOWS; i++)
		if (w.conn[i].stage == ENDED && !w.conn[i].forgotten && !has_rule(&w.conn[i]))
			w.conn[i].settled = true;
}

/* --- time --- */

static void age_table(uint32_t ticks)
{
	const uint64_t mask = (uint64_t)WM_FLOW_AGE_MASK << WM_FLOW_AGE_SHIFT;

	for (uint32_t i = 0; i < BUCKETS * WM_FLOW_WAYS; i++) {
		struct wm_flow_bucket *table = wm_dp__flow_table(w.d.running.dp);
		__u64 *way = &table[i / WM_FLOW_WAYS].way[i % WM_FLOW_WAYS];
		uint64_t age = (*way >> WM_FLOW_AGE_SHIFT) - ticks;

		if (*way)
			*way = (*way & ~mask) | (age << WM_FLOW_AGE_SHIFT & mask);
	}
}

/* A daemon that lives looks after its rules; one that is slow does so a bit later. */
static void pass_time(uint32_t ticks)
{
	uint64_t ns;

	wm_dp__tick_ns(w.d.running.dp, &ns);
	while (ticks--) {
		age_table(1);
		w.skew += ns;
		w.clock += ns / 1e9;
		if (chance(60) || w.clock - w.last_tick > 4)
			tick();
	}
}

/* --- packets --- */

static void make_conn(struct conn *c, int i)
{
	static const struct packet_spec kinds[] = {
		{ .dst = "10.200.1.1", .dport = 80 },
		{ .dst = "fd00:200:1::1", .dport = 80 },
		{ .dst = "10.200.1.1", .dport = 53, .proto = IPPROTO_UDP },
		{ .dst = "10.200.1.2", .dport = 80 },
		{ .dst = "10.200.1.2", .dport = 8080 },
	};

	*c = (struct conn){ .spec = kinds[i % 5] };
	snprintf(c->src, sizeof(c->src), strchr(c->spec.dst, ':') ? "fc00::%x" : "10.9.0.%u",
		 1 + i / 5);
	c->spec.src = c->src;
	c->spec.sport = 1024 + below(60000);
}

/* Through the softnic: what it stamps in front, and in `in` the source address that it writes. */
static uint32_t stamp(struct frame *in)
{
	uint8_t out[sizeof(in->data)];
	struct xdp_md before = { .data_end = in->len }, after = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->data, .data_size_in = in->len,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = &before,
		    .ctx_size_in = sizeof(before), .ctx_out = &after,
		    .ctx_size_out = sizeof(after));
	uint32_t mark = 0;

	assert_int_equal(bpf_prog_test_run_opts(w.softnic, &opts), 0);
	assert_int_equal(opts.retval, XDP_REDIRECT);
	if (after.data)
		memcpy(&mark, out, sizeof(mark));
	memcpy(in->data, out + after.data, in->len);
	return mark;
}

/* Through the balancer: the real's number. */
static int deliver(const struct frame *in, uint32_t mark, const struct conn *c)
{
	struct frame out;
	struct in_addr to;

	if (prog_run(wm_dp__prog_fd(w.d.running.dp), in, mark, &out) != XDP_TX)
		fail_msg("seed %lu: a packet from %s was not sent", w.seed, c->src);
	memcpy(&to, out.data + 14 + 16, sizeof(to));
	return (ntohl(to.s_addr) & 0xff) - 11;
}

static bool has_entry(const struct conn *c)
{
	struct wm_flow flow = prog_flow(&c->spec);
	struct wm_flow_slot slot;

	return wm_dp__flow_find(w.d.running.dp, &flow, &slot);
}

static double idle(const struct conn *c)
{
	return w.clock - c->last;
}

/* May the packet go to another real than the connection's? */
static bool may_move(const struct conn *c, bool entered)
{
	bool syn = c->spec.flags & SYN;

	if (c->stage == NONE || c->free)
		return true;
	if (syn && (c->stage == ENDED || idle(c) > SYN_S - SLACK_S))
		return true;
	if (c->spec.proto == IPPROTO_UDP && idle(c) > UDP_IDLE_S - SLACK_S)
		return true;
	return !entered; /* its entry was evicted; rules keep theirs */
}

static void complain(const struct conn *c, int real, uint32_t mark, const char *what)
{
	fail_msg("seed %lu, after %lu packets: %s: a packet from %s:%u to %s:%u with flags 0x%x, "
		 "mark 0x%x, connection %u at real %d, %.0f s idle, went to real %d", w.seed,
		 w.sent, what, c->src, c->spec.sport, c->spec.dst, c->spec.dport, c->spec.flags,
		 mark, c->number, c->real, idle(c), real);
}

/* A connection that begins when nothing is left of the one before it goes where the ring
 * says: not to a real that is drained. */
static void check_beginning(const struct conn *c, int real)
{
	if (c->settled && w.setup.weight[service_now(c)][real] <= 0)
		complain(c, real, 0, "a connection begins at a drained real");
}

static void send_flags(struct conn *c, uint8_t flags)
{
	bool entered = has_entry(c), ruled = has_rule(c);
	struct frame frame;
	uint32_t mark;
	int real;

	c->spec.flags = flags;
	packet_build(&c->spec, &frame);
	mark = stamp(&frame);
	real = deliver(&frame, mark, c);
	if (w.lane == WM_LANE_MAC)
		mark = wm_mac_read(frame.data + 6, wm_dp__params(w.d.running.dp)->mac_prefix);
	w.sent++;
	w.marked += mark != 0;
	w.duplicates += (flags & SYN) && c->stage == OPEN;
	w.lost += c->stage == OPEN && !c->free && !entered;
	if (ruled && !entered && !c->free && c->stage == OPEN)
		complain(c, real, mark, "a flow with a rule has no entry");
	if (!may_move(c, entered) && real != c->real)
		complain(c, real, mark, "one connection, two reals");
	if (c->stage == ENDED && (flags & SYN)) {
		check_beginning(c, real);
		c->number++;
	}
	c->settled = false;
	c->forgotten = !(flags & SYN) && (c->forgotten || !entered);
	w.moved += c->stage == OPEN && real != c->real;
	if (c->stage == NONE || real != c->real || (flags & SYN))
		c->free = !serves(&w.setup, service_now(c), real);
	c->real = real;
	if (flags & (FIN | RST))
		c->stage = c->stage == NONE ? NONE : ENDED;
	else if (c->stage == NONE || (flags & SYN))
		c->stage = OPEN;
	c->last = w.clock;
}

/* What a client may send next, and what the network makes of it. */
static void send_some(struct conn *c)
{
	static const uint8_t ended[] = { SYN, SYN, ACK, FIN | ACK, RST };
	int n = 1 + below(8);

	while (n--) {
		if (c->spec.proto == IPPROTO_UDP)
			send_flags(c, 0);
		else if (c->stage == NONE)
			send_flags(c, chance(90) ? SYN : ACK);
		else if (c->stage == OPEN)
			send_flags(c, chance(94) ? ACK : chance(60) ? SYN : chance(50) ? RST :
				      FIN | ACK);
		else
			send_flags(c, ended[below(sizeof(ended))]);
	}
}

/* --- the NIC's moods --- */

static void change_mood(void)
{
	w.ctl->install_delay_ns = chance(30) ? 1000000000000ull : 0; /* until the next mood */
	w.ctl->install_errno = chance(10) ? ENOSPC : chance(10) ? EINVAL : 0;
	w.ctl->install_every = below(3);
	w.ctl->install_lose = chance(5);
	w.ctl->remove_errno = chance(15) ? EBUSY : 0;
}

static void step(void)
{
	uint32_t dice = below(1000);

	if (dice < 3)
		reload();
	else if (dice < 6)
		restart_daemon();
	else if (dice < 30)
		change_mood();
	else if (dice < 200)
		tick();
	else if (dice < 230)
		pass_time(1 + below(chance(10) ? 60 : 3));
	else if (dice < 231)
		pass_time(SYN_S + SLACK_S + 1);
	else /* a few flows are busy, so that they get rules */
		send_some(&w.conn[chance(70) ? below(FLOWS / 2) : below(FLOWS)]);
}

/* --- set-up --- */

static int set_up(void **state)
{
	struct wm_err err = {};
	int fd;

	(void)state;
	if (!prog_may_load())
		return 0;
	assert_int_equal(unshare(CLONE_NEWNS | CLONE_NEWNET), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL), 0);
	assert_int_equal(system("ip link add port type veth peer name peer"), 0);
	if (wm_softnic__attach("port", "peer", packet_dmac, 4096, 32, nic_dir, &err))
		fail_msg("%s", err.text);
	w.softnic = bpf_obj_get("/sys/fs/bpf/one-real/port:port");
	fd = bpf_obj_get("/sys/fs/bpf/one-real/" WM_SOFTNIC_CTL);
	w.ctl = mmap(NULL, sizeof(*w.ctl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(w.softnic >= 0 && w.ctl != MAP_FAILED);
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (prog_may_load())
		wm_softnic__detach("port", nic_dir, NULL);
	return 0;
}

static unsigned long choose_seed(void)
{
	const char *text = getenv("WM_SEED");

	return text ? strtoul(text, NULL, 0) : (unsigned long)time(NULL) ^ getpid() << 12;
}

static void begin(enum wm_lane lane)
{
	const int softnic = w.softnic;
	volatile struct wm_softnic_ctl *const ctl = w.ctl;

	memset(&w, 0, sizeof(w));
	w.softnic = softnic;
	w.ctl = ctl;
	w.lane = lane;
}

static void one_real(enum wm_lane lane)
{
	uint64_t counted[WM_COUNTERS_MAX], bytes;

	prog_need_root();
	begin(lane);
	w.seed = choose_seed();
	w.random = w.seed;
	print_message("# seed %lu\n", w.seed);
	open_daemon();
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < FLOWS; i++)
			make_conn(&w.conn[i], i);
		for (int i = 0; i < STEPS; i++)
			step();
	}
	wm_dp__counters(w.d.running.dp, counted, &bytes);
	print_message("# %lu packets, %lu marked, %lu duplicate SYNs, %lu evictions, %lu flows "
		      "without a place\n", w.sent, w.marked, w.duplicates,
		      (unsigned long)counted[WM_C_FLOW_EVICT],
		      (unsigned long)counted[WM_C_FLOW_FULL]);
	/* It tried what it promises to try. */
	assert_true(w.sent > ROUNDS * STEPS && w.marked > w.sent / 20 && w.duplicates > 1000);
	assert_true(counted[WM_C_FLOW_EVICT] > 100 && counted[WM_C_FLOW_FULL]);
	assert_true(counted[WM_C_TX_MARKED] > w.sent / 40);
	/* An entry is lost by an eviction only, or was not entered. */
	assert_true(w.lost <= counted[WM_C_FLOW_EVICT] + counted[WM_C_FLOW_FULL]);
	close_daemon();
}

static void all_packets_of_a_connection_go_to_one_real(void **state)
{
	(void)state;
	one_real(WM_LANE_META);
}

static void and_so_with_marks_in_source_addresses(void **state)
{
	(void)state;
	one_real(WM_LANE_MAC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_packets_of_a_connection_go_to_one_real, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(and_so_with_marks_in_source_addresses, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("one real", tests, NULL, NULL);
}
