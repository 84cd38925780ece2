// SPDX-License-Identifier: GPL-2.0
/*
 * How long a packet takes, by case and number of flows. The driver
 * (bench.bpf.c) runs the real program in a loop inside one system call. Each
 * case's output packet is compared with the expected one before anything is
 * timed, and every packet's verdict while it is.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <waymark/hash.h>

#include "addr.h"
#include "bench.h"
#include "dataplane.h"
#include "measure.h"
#include "packet.h"

enum { DEST_BITS = 16, REALS = 100, RUN_PACKETS = 1 << 20 };
enum { WARM = 1 << 0, SYNS = 1 << 1, MARKED = 1 << 2, SMALL = 1 << 3, UDP = 1 << 4, V6 = 1 << 5,
       OTHER = 1 << 6, EMPTY = 1 << 7, ONCE = 1 << 8, COUNTED = 1 << 9,
       MAC = 1 << 11,
       BARE = 1 << 10 /* no balancer in it: no output to compare */ };

struct bench_case_def {
	const char *name, *program;
	unsigned int flags;
	int expect;
	const char *what;
};

static const struct bench_case_def cases[] = {
	{ "loop", "bench_loop", ONCE | BARE, XDP_PASS, "choose the flow and write its addresses" },
	{ "grow", "bench_grow", ONCE | BARE, XDP_TX, "... and grow and shrink the head" },
	{ "header", "bench_header", ONCE | BARE, XDP_TX, "... and write a header there" },
	{ "meta", "bench_meta", ONCE | BARE, XDP_TX, "... and put a mark in front, and drop it" },
	{ "line", "bench_line", WARM | BARE, XDP_TX,
	  "header, and a line of the flow table read for it" },
	{ "marked", "bench_waymark", MARKED, XDP_TX,
	  "the mark in front of the packet (meta lane)" },
	{ "marked-arg", "bench_mark_arg", MARKED, XDP_TX,
	  "the mark handed in (shape of the kfunc lane)" },
	{ "marked-mac", "bench_mark_mac", MARKED | MAC, XDP_TX,
	  "the mark in the source address (mac lane)" },
	{ "marked-ipv6", "bench_waymark", MARKED | V6, XDP_TX, "marked, IPv6 in IPv6" },
	{ "hit", "bench_waymark", WARM, XDP_TX, "flow table, established TCP" },
	{ "hit-udp", "bench_waymark", WARM | UDP, XDP_TX, "flow table, UDP" },
	{ "hit-ipv6", "bench_waymark", WARM | V6, XDP_TX, "flow table, TCP over IPv6" },
	{ "counting", "bench_waymark", WARM | COUNTED, XDP_TX,
	  "flow table, every packet counted in its entry" },
	{ "syn", "bench_waymark", SYNS, XDP_TX, "new connection: ring, flow entered" },
	{ "syn-thrash", "bench_waymark", SYNS | SMALL, XDP_TX,
	  "the same, table far too small: each evicts" },
	{ "drop", "bench_waymark", EMPTY | ONCE, XDP_DROP, "vip without a real" },
	{ "pass", "bench_waymark", OTHER | ONCE, XDP_PASS, "no vip of ours" },
};

struct bench {
	struct wm_dp *dp;
	volatile struct bench_ctl *ctl;
};

/* --- tables --- */

static const char *vip_text(unsigned int flags)
{
	if (flags & EMPTY)
		return "10.200.1.3";
	return flags & V6 ? "fd00:200:1::1" : "10.200.1.1";
}

static void add_dests(struct bench *b, unsigned int flags, uint16_t first)
{
	struct wm_addr vip, real;
	struct wm_dest dest;

	wm_addr__parse(vip_text(flags), &vip);
	for (int i = 0; i < REALS; i++) {
		uint32_t sum;

		memset(&dest, 0, sizeof(dest));
		dest.mark = wm_mark(DEST_BITS, first + i, 1);
		dest.vip = 1;
		dest.proto = flags & UDP ? IPPROTO_UDP : IPPROTO_TCP;
		memcpy(dest.vip_addr, vip.word, sizeof(dest.vip_addr));
		dest.vip_port = htons(80);
		dest.port_mask = 0xffff;
		dest.max_frame = 1514;
		memcpy(dest.dmac, packet_next_hop, 6);
		wm_addr__parse(flags & V6 ? "fd00:200:2::" : "10.200.2.0", &real);
		real.word[flags & V6 ? 3 : 0] |= htonl(i + 1);
		memcpy(dest.real, real.word, sizeof(dest.real));
		dest.encap = flags & V6 ? WM_ENCAP_6IN6 : WM_ENCAP_4IN4;
		sum = 0x0045 + (64 | 4 << 8) + (dest.real[0] & 0xffff) + (dest.real[0] >> 16) +
		      0x10ac;
		sum = (sum & 0xffff) + (sum >> 16);
		dest.csum4 = flags & V6 ? 0 : (sum & 0xffff) + (sum >> 16);
		wm_dp__dest_set(b->dp, first + i, &dest);
	}
}

static void publish(struct bench *b, unsigned int flags)
{
	struct wm_vip vip = { .port = htons(80), .number = 1, .ring = 1 };
	struct wm_ring *ring = wm_dp__ring(b->dp, 1);
	struct wm_err err = {};
	struct wm_addr addr;

	wm_addr__parse(vip_text(flags), &addr);
	memcpy(vip.addr, addr.word, sizeof(vip.addr));
	vip.family = addr.family;
	vip.proto = flags & UDP ? IPPROTO_UDP : IPPROTO_TCP;
	for (int i = 0; i < WM_RING_SLOTS; i++)
		ring->slot[i] = flags & EMPTY ? 0 : 128 + i % REALS;
	if (wm_dp__vips_publish(b->dp, &vip, 1, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
}

/* A table that the flows fill to 80 % at most. */
static uint32_t buckets_for(uint64_t flows, unsigned int flags)
{
	return flags & SMALL ? 1024 : wm_flow_buckets_for(flows);
}

/* The driver's frames carry the first, those of the tests the second. */
static void be_addressed(struct bench *b)
{
	struct wm_dp_own own[2] = { { .mac = { 2, 2, 2, 2, 2, 2 } } };

	memcpy(own[1].mac, packet_dmac, sizeof(own[1].mac));
	wm_dp__own_macs(b->dp, own, 2);
}

static void open_bench(struct bench *b, const struct bench_case_def *c, uint64_t flows,
		       const char *const *programs)
{
	struct wm_dp_options options = { .dest_bits = DEST_BITS, .rings = 2,
					 .mac_lane = c->flags & MAC,
					 .flow_buckets = buckets_for(flows, c->flags) };
	struct wm_err err = {};
	int fd;

	options.object = driver_object(&options.object_len);
	options.programs = programs;
	if (wm_dp__open(&b->dp, &options, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	fd = wm_dp__map_fd(b->dp, ".data.bench");
	b->ctl = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b->ctl == MAP_FAILED)
		die("mapping the driver's control", errno);
	close(fd);
	be_addressed(b);
	add_dests(b, c->flags, 128);
	publish(b, c->flags);
	wm_dp__ctl(b->dp)->promote_after = c->flags & COUNTED ? 200 : 8;
	wm_dp__ctl(b->dp)->event_budget = 0; /* events have a figure of their own */
}

static void close_bench(struct bench *b)
{
	munmap((void *)b->ctl, 4096);
	wm_dp__close(b->dp);
}

/* --- one run --- */

static void make_frame(const struct bench_case_def *c, struct frame *frame)
{
	struct packet_spec spec = {
		.src = c->flags & V6 ? "fc00::1" : "10.0.0.1",
		.dst = c->flags & OTHER ? "10.200.9.9" : vip_text(c->flags),
		.sport = 4660, .dport = 80, .payload = c->flags & UDP ? 30 : 18,
		.proto = c->flags & UDP ? IPPROTO_UDP : IPPROTO_TCP,
		.flags = c->flags & SYNS ? SYN : ACK,
	};

	packet_build(&spec, frame);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	return b ? gcd(b, a % b) : a;
}

static uint32_t stride_of(uint64_t flows)
{
	uint64_t stride = flows * 0.6180339887;

	stride = stride ?: 1;
	while (gcd(stride, flows) != 1)
		stride++;
	return stride;
}

/* ns per packet of one run of `packets`. */
static double run(struct bench *b, int fd, const struct bench_case_def *c,
		  const struct frame *frame, uint32_t packets)
{
	uint8_t out[4096];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->data, .data_size_in = frame->len,
		    .data_out = out, .data_size_out = sizeof(out));
	int rc;

	b->ctl->packets = packets;
	b->ctl->errors = 0;
	rc = bpf_prog_test_run_opts(fd, &opts);
	if (rc)
		die(c->name, rc);
	if (b->ctl->errors) {
		fprintf(stderr, "bench: %s: %u of %u packets had not the verdict %d\n", c->name,
			b->ctl->errors, packets, c->expect);
		exit(1);
	}
	return (double)opts.duration / packets;
}

static void configure(struct bench *b, const struct bench_case_def *c, uint64_t flows)
{
	b->ctl->flows = flows;
	b->ctl->stride = stride_of(flows);
	b->ctl->position = 0;
	b->ctl->family = c->flags & V6 ? 6 : 4;
	b->ctl->outer = c->flags & V6 ? 40 : 20;
	b->ctl->expect = c->expect;
	b->ctl->mark = c->flags & MARKED ? wm_mark(DEST_BITS, 128, 1) : 0;
	b->ctl->marks = 64;
}

/* The program's answer to one packet of the case, byte by byte. */
static void validate(struct bench *b, const struct bench_case_def *c, const struct frame *in)
{
	uint32_t mark = c->flags & MARKED ? wm_mark(DEST_BITS, 128 + 3, 1) : 0;
	size_t meta = mark && !(c->flags & MAC) ? 4 : 0;
	uint8_t data[512];
	struct xdp_md ctx = { .data = meta, .data_end = meta + in->len };
	struct frame out, want;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = meta + in->len,
		    .data_out = out.data, .data_size_out = sizeof(out.data));
	uint32_t real = 3;
	char text[32], src[32] = "172.16.52.19";
	int rc;

	if (c->flags & BARE)
		return;
	memcpy(data, &mark, meta);
	memcpy(data + meta, in->data, in->len);
	if (c->flags & MAC)
		wm_mac_write(data + 6, wm_dp__params(b->dp)->mac_prefix, mark);
	if (meta) {
		opts.ctx_in = &ctx;
		opts.ctx_size_in = sizeof(ctx);
	}
	rc = bpf_prog_test_run_opts(wm_dp__prog_fd(b->dp), &opts);
	if (rc || (int)opts.retval != c->expect) {
		fprintf(stderr, "bench: %s: verdict %d, expected %d\n", c->name,
			rc ?: (int)opts.retval, c->expect);
		exit(1);
	}
	out.len = opts.data_size_out;
	if (c->expect != XDP_TX) {
		want = *in;
	} else {
		if (!mark) {
			uint32_t ports = wm_ports(htons(4660), htons(80)), a[4];

			inet_pton(AF_INET6, "fc00::1", a);
			real = (c->flags & V6 ? wm_slot_v6(a, ports, WM_RING_SEED_V4,
							   WM_RING_SEED_V6)
					      : wm_slot_v4(inet_addr("10.0.0.1"), ports,
							   WM_RING_SEED_V4)) % REALS;
		}
		snprintf(text, sizeof(text), c->flags & V6 ? "fd00:200:2::%x" : "10.200.2.%u",
			 real + 1);
		packet_wrap(in, c->flags & V6 ? "100::1234:1" : src, text, &want);
	}
	if (out.len != want.len || memcmp(out.data, want.data, out.len)) {
		fprintf(stderr, "bench: %s: the program sent another packet than expected\n",
			c->name);
		exit(1);
	}
}

/* Every flow once, so that it is in the table, and often enough that its entry
 * is not written any more; then the timed runs, each over all flows. */
static void warm_up(struct bench *b, int fd, const struct bench_case_def *c,
		    const struct frame *frame, uint64_t flows)
{
	int rounds = c->flags & WARM && !(c->flags & COUNTED) ? 9 : 1;

	for (uint64_t done = 0; done < flows * rounds; done += RUN_PACKETS)
		run(b, fd, c, frame, RUN_PACKETS);
}

static void time_runs(struct bench *b, int fd, const struct bench_case_def *c,
		      const struct frame *frame, uint64_t flows)
{
	int turns = (flows + RUN_PACKETS - 1) / RUN_PACKETS;
	double ns[64];

	for (int i = 0; i < opt.runs; i++) {
		ns[i] = 0;
		for (int t = 0; t < turns; t++)
			ns[i] += run(b, fd, c, frame, RUN_PACKETS) / turns;
	}
	report_packets(c->name, flows, ns, opt.runs);
}

/* Flows that the table still knows after all of them went by, of those that
 * were entered. */
static void report_found(struct bench *b, uint64_t flows)
{
	uint64_t kept = wm_dp__flow_count(b->dp);
	uint64_t ways = (uint64_t)WM_FLOW_WAYS * wm_dp__params(b->dp)->flow_buckets;

	report_figure("table bytes per flow", 8.0 * ways / kept, "B", "of the table, a flow in it");
	report_figure("flows kept", 100.0 * kept / flows, "%", "of 10 million entered once");
	report_figure("table fill", 100.0 * kept / ways, "%", "at that");
}

/* What has a mark must have gone by it: the software path gives the same verdict. */
static void check_way(struct bench *b, const struct bench_case_def *c)
{
	uint64_t counted[WM_COUNTERS_MAX], bytes;

	wm_dp__counters(b->dp, counted, &bytes);
	if (!(c->flags & MARKED) || (counted[WM_C_TX_MARKED] && !counted[WM_C_TX_HIT] &&
				     !counted[WM_C_TX_MISS]))
		return;
	fprintf(stderr, "bench: %s: packets did not go by their mark\n", c->name);
	exit(1);
}

static void measure(const struct bench_case_def *c, uint64_t flows)
{
	struct bench b = {};
	struct frame frame;
	int fd;

	open_bench(&b, c, flows, (const char *const[]){ c->program, NULL });
	make_frame(c, &frame);
	validate(&b, c, &frame);
	fd = wm_dp__program_fd(b.dp, c->program);
	if (fd < 0)
		die(c->program, fd);
	configure(&b, c, flows);
	if (opt.validate_only) {
		run(&b, fd, c, &frame, 1 << 14);
		report_valid(c->name, flows);
	} else {
		warm_up(&b, fd, c, &frame, flows);
		time_runs(&b, fd, c, &frame, flows);
		if (!strcmp(c->name, "syn") && flows == 10000000)
			report_found(&b, flows);
	}
	check_way(&b, c);
	close(fd);
	close_bench(&b);
}

void bench_packets(void)
{
	static const uint64_t flows[] = { 100, 10000, 100000, 1000000, 10000000 };

	printf("%-12s %10s %9s %9s %9s\n", "case", "flows", "ns min", "ns median", "Mpps");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!wanted(cases[i].name))
			continue;
		for (size_t f = 0; f < sizeof(flows) / sizeof(*flows); f++) {
			if (flows[f] > opt.max_flows || (f && cases[i].flags & ONCE))
				break;
			measure(&cases[i], flows[f]);
		}
	}
}

/*
 * ns per packet over EVENTS flows, each at its second packet: with a threshold of
 * 2 every one raises an event. The ring is the daemon's and is read between
 * runs that fit into it.
 */
double bench_events(int threshold, void *arg)
{
	enum { EVENTS = 400000, RUN = 2000 };
	const struct bench_case_def c = { "events", "bench_waymark", WARM | COUNTED, XDP_TX, "" };
	struct bench b = {};
	struct frame frame;
	double ns = 0;
	int fd;

	open_bench(&b, &c, EVENTS, (const char *const[]){ c.program, NULL });
	bench_events_open(b.dp, arg);
	wm_dp__ctl(b.dp)->promote_after = threshold;
	wm_dp__ctl(b.dp)->event_budget = EVENTS + 1;
	make_frame(&c, &frame);
	fd = wm_dp__program_fd(b.dp, c.program);
	configure(&b, &c, EVENTS);
	run(&b, fd, &c, &frame, EVENTS);
	for (int done = 0; done < EVENTS; done += RUN) {
		ns += run(&b, fd, &c, &frame, RUN) * RUN / EVENTS;
		wm_dp__events_consume(b.dp);
	}
	bench_events_end(b.dp, arg);
	close(fd);
	close_bench(&b);
	return ns;
}

/* The tables of the cases, for frames on a wire. */
void bench_open_wire(struct wm_dp **dp, bool mac)
{
	const struct bench_case_def c = { "wire", "bench_waymark", mac ? WARM | MAC : WARM, XDP_TX,
					  "" };
	const char *const programs[] = { "bench_wire", "bench_swap", "bench_sink", NULL };
	struct bench b = {};

	open_bench(&b, &c, 10000, programs);
	munmap((void *)b.ctl, 4096);
	*dp = b.dp;
}
