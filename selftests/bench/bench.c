// SPDX-License-Identifier: GPL-2.0
/*
 * How long a packet takes. The driver (bench.bpf.c) runs the real program in a
 * loop inside one system call; each case's output packet is compared with the
 * expected one before anything is timed, and every packet's verdict while it is.
 *
 *   bench [--runs N] [--max-flows N] [--cpu N] [--json FILE] [--validate] [CASE ...]
 *
 * Nothing is subtracted: `loop` (the empty turn), `grow` (and grow and shrink
 * the head) and `header` (and write a header) stand beside the cases.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <math.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>
#include <waymark/hash.h>

#include "addr.h"
#include "bench.h"
#include "dataplane.h"
#include "packet.h"

enum { DEST_BITS = 16, REALS = 100, RUN_PACKETS = 1 << 20 };
enum { WARM = 1 << 0, SYNS = 1 << 1, MARKED = 1 << 2, SMALL = 1 << 3, UDP = 1 << 4, V6 = 1 << 5,
       OTHER = 1 << 6, EMPTY = 1 << 7, ONCE = 1 << 8, COUNTED = 1 << 9, EVENTS = 1 << 10 };

struct bench_case_def {
	const char *name, *program;
	unsigned int flags;
	int expect;
	const char *what;
};

static const struct bench_case_def cases[] = {
	{ "loop", "bench_loop", ONCE, XDP_PASS, "choose the flow and write its addresses" },
	{ "grow", "bench_grow", ONCE, XDP_TX, "... and grow and shrink the head" },
	{ "header", "bench_header", ONCE, XDP_TX, "... and write a header there" },
	{ "marked", "bench_waymark", MARKED, XDP_TX, "the mark in front of the packet (meta lane)" },
	{ "marked-arg", "bench_mark_arg", MARKED, XDP_TX, "the mark handed in (shape of the kfunc lane)" },
	{ "marked-ipv6", "bench_waymark", MARKED | V6, XDP_TX, "marked, IPv6 in IPv6" },
	{ "hit", "bench_waymark", WARM, XDP_TX, "flow table, established TCP" },
	{ "hit-udp", "bench_waymark", WARM | UDP, XDP_TX, "flow table, UDP" },
	{ "hit-ipv6", "bench_waymark", WARM | V6, XDP_TX, "flow table, TCP over IPv6" },
	{ "counting", "bench_waymark", WARM | COUNTED, XDP_TX, "flow table, every packet counted in its entry" },
	{ "syn", "bench_waymark", SYNS, XDP_TX, "new connection: ring, flow entered" },
	{ "syn-thrash", "bench_waymark", SYNS | SMALL, XDP_TX, "the same, table far too small: each evicts" },
	{ "drop", "bench_waymark", EMPTY | ONCE, XDP_DROP, "vip without a real" },
	{ "pass", "bench_waymark", OTHER | ONCE, XDP_PASS, "no vip of ours" },
};

static struct {
	int runs;
	uint64_t max_flows;
	int cpu;
	bool validate_only;
	const char *json;
} opt = { .runs = 5, .max_flows = 10000000, .cpu = -1 };

struct bench {
	struct wm_dp *dp;
	volatile struct bench_ctl *ctl;
	void *object;
	size_t object_len;
};

static void die(const char *what, int code)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(code < 0 ? -code : code));
	exit(1);
}

static void read_object(struct bench *b)
{
	FILE *f = fopen(WM_BUILD "/selftests/bench/bench.bpf.o", "rb");

	if (!f || fseek(f, 0, SEEK_END))
		die(WM_BUILD "/selftests/bench/bench.bpf.o", errno);
	b->object_len = ftell(f);
	rewind(f);
	b->object = malloc(b->object_len);
	if (!b->object || fread(b->object, 1, b->object_len, f) != b->object_len)
		die("reading the driver", errno);
	fclose(f);
}

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
		memcpy(dest.dmac, packet_next_hop, 6);
		wm_addr__parse(flags & V6 ? "fd00:200:2::" : "10.200.2.0", &real);
		real.word[flags & V6 ? 3 : 0] |= htonl(i + 1);
		memcpy(dest.real, real.word, sizeof(dest.real));
		dest.encap = flags & V6 ? WM_ENCAP_6IN6 : WM_ENCAP_4IN4;
		sum = 0x0045 + (64 | 4 << 8) + (dest.real[0] & 0xffff) + (dest.real[0] >> 16) + 0x10ac;
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
static uint32_t bits_for(uint64_t flows, unsigned int flags)
{
	uint32_t bits = 4;

	if (flags & SMALL)
		return 10;
	while ((8ull << bits) * 8 / 10 < flows)
		bits++;
	return bits;
}

static void open_bench(struct bench *b, const struct bench_case_def *c, uint64_t flows)
{
	struct wm_dp_options options = { .dest_bits = DEST_BITS, .rings = 2,
					 .flow_bits = bits_for(flows, c->flags), .object = b->object,
					 .object_len = b->object_len };
	struct wm_err err = {};
	int fd;

	if (wm_dp__open(&b->dp, &options, &err)) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	fd = wm_dp__map_fd(b->dp, ".data.bench");
	b->ctl = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b->ctl == MAP_FAILED)
		die("mapping the driver's control", errno);
	close(fd);
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

/* ns a packet of one run of `packets`. */
static double run(struct bench *b, int fd, const struct bench_case_def *c, const struct frame *frame,
		  uint32_t packets)
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
	size_t meta = mark ? 4 : 0;
	uint8_t data[512];
	struct xdp_md ctx = { .data = meta, .data_end = meta + in->len };
	struct frame out, want;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = meta + in->len,
		    .data_out = out.data, .data_size_out = sizeof(out.data));
	uint32_t real = 3;
	char text[32], src[32] = "172.16.52.19";
	int rc;

	if (!strcmp(c->program, "bench_loop") || !strcmp(c->program, "bench_grow") ||
	    !strcmp(c->program, "bench_header"))
		return;
	memcpy(data, &mark, meta);
	memcpy(data + meta, in->data, in->len);
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
			real = (c->flags & V6 ? wm_slot_v6(a, ports, WM_RING_SEED_V4, WM_RING_SEED_V6)
					      : wm_slot_v4(inet_addr("10.0.0.1"), ports,
							   WM_RING_SEED_V4)) % REALS;
		}
		snprintf(text, sizeof(text), c->flags & V6 ? "fd00:200:2::%x" : "10.200.2.%u", real + 1);
		packet_wrap(in, c->flags & V6 ? "100::1234:1" : src, text, &want);
	}
	if (out.len != want.len || memcmp(out.data, want.data, out.len)) {
		fprintf(stderr, "bench: %s: the program sent another packet than expected\n", c->name);
		exit(1);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(json_t *list, const struct bench_case_def *c, uint64_t flows, double *ns, int n)
{
	double median;

	qsort(ns, n, sizeof(*ns), by_value);
	median = n % 2 ? ns[n / 2] : (ns[n / 2 - 1] + ns[n / 2]) / 2;
	printf("%-12s %10" PRIu64 " %9.1f %9.1f %9.2f\n", c->name, flows, ns[0], median, 1000 / median);
	fflush(stdout);
	json_array_append_new(list, json_pack("{s:s, s:I, s:f, s:f, s:f, s:i}", "case", c->name,
		"flows", (json_int_t)flows, "ns_min", ns[0], "ns_median", median, "mpps",
		1000 / median, "runs", n));
}

/* Every flow once, so that it is in the table; then timed runs over all of them. */
static void measure(struct bench *b, const struct bench_case_def *c, uint64_t flows, json_t *list)
{
	double ns[64], sum, turns;
	struct frame frame;
	int fd;

	open_bench(b, c, flows);
	make_frame(c, &frame);
	validate(b, c, &frame);
	fd = wm_dp__program_fd(b->dp, c->program);
	if (fd < 0)
		die(c->program, fd);
	configure(b, c, flows);
	for (uint64_t done = 0; done < flows * ((c->flags & WARM) && !(c->flags & COUNTED) ? 9 : 1);
	     done += RUN_PACKETS)
		run(b, fd, c, &frame, RUN_PACKETS);
	turns = ceil((double)flows / RUN_PACKETS);
	for (int i = 0; i < opt.runs && !opt.validate_only; i++) {
		sum = 0;
		for (int t = 0; t < turns; t++)
			sum += run(b, fd, c, &frame, RUN_PACKETS);
		ns[i] = sum / turns;
	}
	if (opt.validate_only)
		printf("%-12s %10" PRIu64 " valid\n", c->name, flows);
	else
		report(list, c, flows, ns, opt.runs);
	close(fd);
	close_bench(b);
}

static void pin_cpu(void)
{
	cpu_set_t set;

	if (opt.cpu < 0)
		opt.cpu = sysconf(_SC_NPROCESSORS_ONLN) - 1;
	CPU_ZERO(&set);
	CPU_SET(opt.cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("pinning to a CPU", errno);
}

static void cpu_model(char *text, size_t size)
{
	FILE *f = fopen("/proc/cpuinfo", "r");
	char line[256];

	snprintf(text, size, "?");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "model name", 10))
			continue;
		snprintf(text, size, "%s", strchr(line, ':') + 2);
		text[strcspn(text, "\n")] = '\0';
		break;
	}
	if (f)
		fclose(f);
}

static bool wanted(const char *name, char **names, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return !n;
}

static int parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "runs", required_argument, NULL, 'r' },
		{ "max-flows", required_argument, NULL, 'f' },
		{ "cpu", required_argument, NULL, 'c' },
		{ "json", required_argument, NULL, 'j' },
		{ "validate", no_argument, NULL, 'v' },
		{},
	};
	int o;

	while ((o = getopt_long(argc, argv, "r:f:c:j:v", longs, NULL)) != -1) {
		if (o == 'r')
			opt.runs = atoi(optarg);
		else if (o == 'f')
			opt.max_flows = strtoull(optarg, NULL, 10);
		else if (o == 'c')
			opt.cpu = atoi(optarg);
		else if (o == 'j')
			opt.json = optarg;
		else if (o == 'v')
			opt.validate_only = true;
		else
			exit(2);
	}
	if (opt.runs < 1 || opt.runs > 64)
		opt.runs = 5;
	return optind;
}

int main(int argc, char **argv)
{
	static const uint64_t flows[] = { 100, 10000, 100000, 1000000, 10000000 };
	int first = parse_options(argc, argv);
	json_t *list = json_array();
	struct bench bench = {};
	struct utsname uts;
	char cpu[128];

	pin_cpu();
	uname(&uts);
	cpu_model(cpu, sizeof(cpu));
	read_object(&bench);
	printf("# kernel %s, %s, CPU %d, %d runs of %d packets or more\n", uts.release, cpu, opt.cpu,
	       opt.runs, RUN_PACKETS);
	printf("%-12s %10s %9s %9s %9s\n", "case", "flows", "ns min", "ns median", "Mpps");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (!wanted(cases[i].name, argv + first, argc - first))
			continue;
		for (size_t f = 0; f < sizeof(flows) / sizeof(*flows); f++) {
			if (flows[f] > opt.max_flows || (f && cases[i].flags & ONCE))
				break;
			measure(&bench, &cases[i], flows[f], list);
		}
	}
	if (opt.json && !opt.validate_only) {
		json_t *all = json_pack("{s:s, s:s, s:i, s:o}", "kernel", uts.release, "cpu_model", cpu,
					"cpu", opt.cpu, "results", list);

		if (json_dump_file(all, opt.json, JSON_INDENT(1) | JSON_REAL_PRECISION(6)))
			die(opt.json, errno);
	}
	return 0;
}
