// SPDX-License-Identifier: GPL-2.0
/*
 * The softnic: its program frame by frame (BPF_PROG_RUN), its backend, its
 * loader. All of it in namespaces of the test's own:
 *
 *   port0 --- peer0       devices of one network namespace; no packet is sent,
 *   port1 --- peer1       the program is run on frames that the test makes
 *   wire  --- balancer
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
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
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cmocka.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <waymark/softnic_abi.h>

#include "offload.h"
#include "packet.h"
#include "prog.h"
#include "rules.h"
#include "softnic.h"

enum { CAPACITY = 16, PATH = 128 };

/* There wherever the kernel knows BPF; what we mount is seen by this process only. */
static const char mount_point[] = "/sys/fs/bpf";
static const char nic_dir[] = "/sys/fs/bpf/nic";

/* One NIC with one port, and what a test needs of it. */
struct nic {
	int prog, stats;
	volatile struct wm_softnic_ctl *ctl;
	struct wm_offload *off;
	uint64_t counted[WM_SOFTNIC_COUNTERS_MAX];
};

/* --- set-up --- */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "set-up: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* New namespaces make names and mounts ours alone, and undo both however we end. */
static void make_world(void)
{
	must(!unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare");
	must(!mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
	must(!mount("bpf", mount_point, "bpf", 0, NULL), "mount a bpffs");
	must(!system("ip link add port0 type veth peer name peer0 &&"
		     "ip link add port1.7 type veth peer name peer1 &&"
		     "ip link add wire type veth peer name balancer"), "make devices");
}

static int get(const char *name)
{
	char path[2 * PATH];

	snprintf(path, sizeof(path), "%s/%s", nic_dir, name);
	return bpf_obj_get(path);
}

static int try_attach(const char *port, uint32_t capacity, uint32_t mark_bits, const char *dir,
		      struct wm_err *err)
{
	return wm_softnic__attach(port, "wire", packet_dmac, capacity, mark_bits, dir, err);
}

static void attach(const char *port)
{
	struct wm_err err = {};

	if (try_attach(port, CAPACITY, 16, nic_dir, &err))
		fail_msg("attach: %s", err.text);
}

static void map_ctl(struct nic *nic)
{
	int fd = get(WM_SOFTNIC_CTL);

	nic->ctl = mmap(NULL, sizeof(*nic->ctl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(nic->ctl != MAP_FAILED);
	close(fd);
}

static void read_counters(const struct nic *nic, uint64_t sum[WM_SOFTNIC_COUNTERS_MAX])
{
	int cpus = libbpf_num_possible_cpus();
	struct wm_softnic_stats *all = calloc(cpus, sizeof(*all));
	__u32 zero = 0;

	assert_non_null(all);
	memset(sum, 0, WM_SOFTNIC_COUNTERS_MAX * sizeof(*sum));
	assert_int_equal(bpf_map_lookup_elem(nic->stats, &zero, all), 0);
	for (int cpu = 0; cpu < cpus; cpu++)
		for (int c = 0; c < WM_SOFTNIC_COUNTERS_MAX; c++)
			sum[c] += all[cpu].counter[c];
	free(all);
}

static void open_nic(struct nic *nic)
{
	struct wm_err err = {};

	nic->prog = get("port:port0");
	nic->stats = get(WM_SOFTNIC_STATS);
	assert_true(nic->prog >= 0 && nic->stats >= 0);
	map_ctl(nic);
	if (wm_offload_sim.open(&nic->off, NULL, nic_dir, &err))
		fail_msg("open: %s", err.text);
}

static int set_up(void **state)
{
	struct nic *nic = calloc(1, sizeof(*nic));

	if (!nic)
		return -1;
	*state = nic;
	attach("port0");
	open_nic(nic);
	return 0;
}

static int tear_down(void **state)
{
	struct nic *nic = *state;

	if (!nic->off)
		return -1; /* the set-up has failed */
	wm_offload_sim.close(nic->off);
	munmap((void *)nic->ctl, sizeof(*nic->ctl));
	close(nic->prog);
	close(nic->stats);
	wm_softnic__detach("port0", nic_dir, NULL);
	assert_int_not_equal(access(nic_dir, F_OK), 0); /* and the NIC is gone */
	free(nic);
	return 0;
}

/* --- running the program --- */

/* What came out; `mark` is -1 without metadata. */
struct outcome {
	int verdict;
	int64_t mark;
	struct frame frame;
};

static struct outcome run(int prog, const struct frame *in, const void *meta, uint32_t meta_size)
{
	uint8_t data[sizeof(in->data)], result[sizeof(in->data)];
	struct xdp_md before = { .data = meta_size, .data_end = meta_size + in->len }, after = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = meta_size + in->len,
		    .data_out = result, .data_size_out = sizeof(result),
		    .ctx_in = &before, .ctx_size_in = sizeof(before),
		    .ctx_out = &after, .ctx_size_out = sizeof(after));
	struct outcome out = { .mark = -1 };
	uint32_t mark;

	if (meta_size)
		memcpy(data, meta, meta_size);
	memcpy(data + meta_size, in->data, in->len);
	assert_int_equal(bpf_prog_test_run_opts(prog, &opts), 0);
	out.verdict = opts.retval;
	if (after.data) { /* the result begins with the metadata */
		assert_int_equal(after.data, sizeof(mark));
		memcpy(&mark, result, sizeof(mark));
		out.mark = mark;
	}
	out.frame.len = opts.data_size_out - after.data;
	memcpy(out.frame.data, result + after.data, out.frame.len);
	return out;
}

static struct outcome run_spec(const struct nic *nic, const struct packet_spec *spec)
{
	struct frame frame;

	packet_build(spec, &frame);
	return run(nic->prog, &frame, NULL, 0);
}

static struct packet_spec client(uint32_t n)
{
	static char address[16][16];
	static int next;
	char *text = address[next++ % 16];

	snprintf(text, 16, "10.1.%u.%u", n >> 8 & 255, n & 255);
	return (struct packet_spec){ .src = text, .dst = "10.200.1.1", .sport = 1000 + (n >> 16),
				     .dport = 80, .flags = ACK };
}

static struct wm_rule rule_for(const struct packet_spec *spec, uint32_t mark)
{
	return (struct wm_rule){ prog_flow(spec), mark };
}

static int install(struct nic *nic, const struct packet_spec *spec, uint32_t mark)
{
	struct wm_rule rule = rule_for(spec, mark);
	int result;

	wm_offload_sim.install(nic->off, &rule, 1, &result);
	return result;
}

static int remove_rule(struct nic *nic, const struct packet_spec *spec)
{
	struct wm_flow flow = prog_flow(spec);
	int result;

	wm_offload_sim.remove(nic->off, &flow, 1, &result);
	return result;
}

static int64_t mark_of(const struct nic *nic, const struct packet_spec *spec)
{
	return run_spec(nic, spec).mark;
}

/* --- the program, frame by frame --- */

#define C(name) (1u << WM_SOFTNIC_C_##name)

enum { TCP4 = 0x1111, UDP4 = 0x2222, TCP6 = 0x3333, UDP6 = 0x4444 };

/* Flow A has a rule, flow B has none. */
#define A4 .src = "10.1.0.1", .dst = "10.200.1.1", .sport = 4711, .dport = 80
#define B4 .src = "10.1.0.1", .dst = "10.200.1.1", .sport = 4712, .dport = 80
#define A6 .src = "fd00:1::1", .dst = "fd00:200::1", .sport = 4711, .dport = 80
#define B6 .src = "fd00:1::2", .dst = "fd00:200::1", .sport = 4711, .dport = 80

struct frame_case {
	const char *name;
	struct packet_spec spec;
	int64_t mark; /* -1: none */
	unsigned int counters;
	const char *dmac; /* 6 bytes; NULL: the balancer's */
	int verdict;
};

#define CASE(title, expect, counter, ...)                                   \
	{ .name = title, .mark = expect, .spec = { __VA_ARGS__ },           \
	  .counters = C(FRAMES) | C(REDIRECTED) | C(counter), .verdict = XDP_REDIRECT }
#define PASSES(title, to, ...)                                              \
	{ .name = title, .mark = -1, .spec = { __VA_ARGS__ }, .dmac = to,   \
	  .counters = C(FRAMES) | C(PASSED), .verdict = XDP_PASS }

static const struct frame_case frame_cases[] = {
	CASE("tcp4", TCP4, MARKED, A4, .flags = ACK, .payload = 100),
	CASE("tcp4 with PSH", TCP4, MARKED, A4, .flags = ACK | PSH),
	CASE("tcp4 with options", TCP4, MARKED, A4, .flags = ACK, .options = 3),
	CASE("tcp4, all options", TCP4, MARKED, A4, .flags = ACK, .options = 10),
	CASE("tcp4, do not fragment", TCP4, MARKED, A4, .flags = ACK, .frag = 0x4000),
	CASE("tcp4, padded", TCP4, MARKED, A4, .flags = ACK, .padding = 6),
	CASE("udp4", UDP4, MARKED, A4, .proto = IPPROTO_UDP, .payload = 10),
	CASE("tcp6", TCP6, MARKED, A6, .flags = ACK, .payload = 9),
	CASE("udp6", UDP6, MARKED, A6, .proto = IPPROTO_UDP),

	CASE("tcp4, no rule", -1, MISSED, B4, .flags = ACK),
	CASE("udp4, no rule", -1, MISSED, B4, .proto = IPPROTO_UDP),
	CASE("tcp6, no rule", -1, MISSED, B6, .flags = ACK),

	CASE("SYN", -1, CONTROL, A4, .flags = SYN),
	CASE("SYN ACK", -1, CONTROL, A4, .flags = SYN | ACK),
	CASE("FIN", -1, CONTROL, A4, .flags = FIN | ACK, .payload = 5),
	CASE("RST", -1, CONTROL, A4, .flags = RST),
	CASE("SYN of IPv6", -1, CONTROL, A6, .flags = SYN),

	CASE("first fragment", -1, OTHER, A4, .flags = ACK, .frag = 0x2000),
	CASE("later fragment", -1, OTHER, A4, .flags = ACK, .frag = 0x0010),
	CASE("extension header", -1, OTHER, A6, .flags = ACK, .nexthdr = 60),
	CASE("icmp", -1, OTHER, A4, .proto = IPPROTO_ICMP),
	CASE("icmp6", -1, OTHER, A6, .proto = IPPROTO_ICMPV6),
	CASE("arp", -1, OTHER, A4, .ethertype = 0x0806),
	CASE("vlan", -1, OTHER, A4, .flags = ACK, .ethertype = 0x8100),
	CASE("IPv6 that says IPv4", -1, OTHER, A6, .flags = ACK, .ethertype = 0x0800),
	CASE("IPv4 that says IPv6", -1, OTHER, A4, .payload = 60, .ethertype = 0x86dd),
	CASE("cut in the TCP header", -1, OTHER, A4, .flags = ACK, .cut = 1),
	CASE("cut in the UDP header", -1, OTHER, A4, .proto = IPPROTO_UDP, .cut = 1),
	CASE("cut in the options", -1, OTHER, A4, .options = 10, .cut = 20 + 8),
	CASE("cut in the IPv4 header", -1, OTHER, A4, .cut = 20 + 4),
	CASE("cut in the IPv6 header", -1, OTHER, A6, .cut = 20 + 4),

	PASSES("another device's", "\x02\x00\x00\x00\x00\x09", A4, .flags = ACK),
	PASSES("differs in the first byte", "\x06\x00\x00\x00\x00\x01", A4, .flags = ACK),
	PASSES("broadcast", "\xff\xff\xff\xff\xff\xff", A4, .flags = ACK),
	PASSES("multicast", "\x33\x33\x00\x00\x00\x01", A6, .flags = ACK),
};

#define N_FRAME_CASES (sizeof(frame_cases) / sizeof(frame_cases[0]))

static bool counters_right(struct nic *nic, const struct frame_case *c)
{
	uint64_t now[WM_SOFTNIC_COUNTERS_MAX];
	bool right = true;

	read_counters(nic, now);
	for (unsigned int i = 0; i < WM_SOFTNIC_COUNTERS_MAX; i++)
		if (now[i] - nic->counted[i] != (c->counters >> i & 1)) {
			print_error("%s: counter %u is wrong\n", c->name, i);
			right = false;
		}
	memcpy(nic->counted, now, sizeof(now));
	return right;
}

static bool case_right(struct nic *nic, const struct frame_case *c)
{
	struct outcome out;
	struct frame in;

	packet_build(&c->spec, &in);
	if (c->dmac)
		memcpy(in.data, c->dmac, 6);
	out = run(nic->prog, &in, NULL, 0);
	if (out.verdict != c->verdict || out.mark != c->mark)
		print_error("%s: verdict %d mark %ld, expected %d and %ld\n", c->name, out.verdict,
			    out.mark, c->verdict, c->mark);
	if (out.frame.len != in.len || memcmp(out.frame.data, in.data, in.len)) {
		print_error("%s: the frame was changed\n", c->name);
		return false;
	}
	return counters_right(nic, c) && out.verdict == c->verdict && out.mark == c->mark;
}

static void install_a(struct nic *nic)
{
	assert_int_equal(install(nic, &(struct packet_spec){ A4 }, TCP4), 0);
	assert_int_equal(install(nic, &(struct packet_spec){ A4, .proto = IPPROTO_UDP }, UDP4), 0);
	assert_int_equal(install(nic, &(struct packet_spec){ A6 }, TCP6), 0);
	assert_int_equal(install(nic, &(struct packet_spec){ A6, .proto = IPPROTO_UDP }, UDP6), 0);
}

static void frames(void **state)
{
	struct nic *nic = *state;
	int wrong = 0;

	install_a(nic);
	for (size_t i = 0; i < N_FRAME_CASES; i++)
		wrong += !case_right(nic, &frame_cases[i]);
	assert_int_equal(wrong, 0);
}

static void tiny_frames(void **state)
{
	struct nic *nic = *state;
	struct frame frame;

	install_a(nic);
	packet_build(&(struct packet_spec){ A4, .flags = ACK }, &frame);
	for (frame.len = 14; frame.len < 54; frame.len++)
		assert_int_equal(run(nic->prog, &frame, NULL, 0).mark, -1);
	assert_int_equal(run(nic->prog, &frame, NULL, 0).mark, TCP4);
}

/* A sender must not be able to bring its own mark. */
static void foreign_metadata(void **state)
{
	struct nic *nic = *state;
	uint32_t meta[3] = { 77, 77, 77 };
	struct frame a, b;

	install_a(nic);
	packet_build(&(struct packet_spec){ A4, .flags = ACK }, &a);
	packet_build(&(struct packet_spec){ B4, .flags = ACK }, &b);
	for (uint32_t size = 4; size <= sizeof(meta); size += 4) {
		assert_int_equal(run(nic->prog, &a, meta, size).mark, TCP4);
		assert_int_equal(run(nic->prog, &b, meta, size).mark, -1);
	}
}

static void wire_pass(void **state)
{
	struct wm_err err = {};
	__u32 before, after;

	(void)state;
	if (wm_softnic__wire("wire", &err))
		fail_msg("%s", err.text);
	assert_int_equal(bpf_xdp_query_id(if_nametoindex("wire"), XDP_FLAGS_DRV_MODE, &before), 0);
	assert_int_not_equal(before, 0);
	assert_int_equal(wm_softnic__wire("wire", &err), 0); /* again: no change */
	assert_int_equal(bpf_xdp_query_id(if_nametoindex("wire"), XDP_FLAGS_DRV_MODE, &after), 0);
	assert_int_equal(before, after);
	assert_int_equal(bpf_xdp_detach(if_nametoindex("wire"), XDP_FLAGS_DRV_MODE, NULL), 0);
	assert_int_equal(wm_softnic__wire("nowhere", &err), -ENODEV);
	assert_non_null(strstr(err.text, "nowhere"));
}

/* --- the backend --- */

struct listed {
	unsigned int n;
	struct wm_rule last;
	struct wm_rule_stats stats;
	uint8_t *seen; /* by mark */
};

static void on_rule(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats)
{
	struct listed *listed = arg;

	listed->n++;
	listed->last = *rule;
	listed->stats = *stats;
	if (listed->seen)
		listed->seen[rule->mark]++;
}

static unsigned int listed(struct nic *nic)
{
	struct listed l = {};

	assert_int_equal(wm_offload_sim.list(nic->off, on_rule, &l), 0);
	return l.n;
}

static void capabilities(void **state)
{
	struct nic *nic = *state;
	const struct wm_offload_caps *caps = wm_offload_sim.caps(nic->off);

	assert_int_equal(caps->capacity, CAPACITY);
	assert_int_equal(caps->mark_bits, 16);
	assert_true(caps->tcp_flags && caps->stats);
	assert_ptr_equal(wm_offload__find("sim"), &wm_offload_sim);
	assert_ptr_equal(wm_offload__find("none"), &wm_offload_none);
	assert_null(wm_offload__find("nothing"));
}

static void rule_counters(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec = client(1);
	struct wm_flow flow = prog_flow(&spec);
	struct listed l = {};

	assert_int_equal(install(nic, &spec, 5), 0);
	assert_int_equal(wm_offload_sim.list(nic->off, on_rule, &l), 0);
	assert_int_equal(l.stats.packets + l.stats.bytes + l.stats.last_used_ns, 0);
	spec.payload = 46;
	for (int i = 0; i < 10; i++)
		assert_int_equal(mark_of(nic, &spec), 5);
	spec.flags = FIN;
	mark_of(nic, &spec); /* does not match, does not count */
	assert_int_equal(wm_offload_sim.list(nic->off, on_rule, &l), 0);
	assert_memory_equal(&l.last.flow, &flow, sizeof(flow));
	assert_int_equal(l.last.mark, 5);
	assert_int_equal(l.stats.packets, 10);
	assert_int_equal(l.stats.bytes, 10 * 100);
	assert_true(l.stats.last_used_ns > 0);
}

static void full_table(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec;
	int result[2 * CAPACITY];
	struct wm_rule rules[2 * CAPACITY];

	for (int i = 0; i < 2 * CAPACITY; i++) {
		spec = client(i);
		rules[i] = rule_for(&spec, 1 + i);
	}
	wm_offload_sim.install(nic->off, rules, 2 * CAPACITY, result);
	for (int i = 0; i < 2 * CAPACITY; i++)
		assert_int_equal(result[i], i < CAPACITY ? 0 : -ENOSPC);
	assert_int_equal(listed(nic), CAPACITY);
	spec = client(3);
	assert_int_equal(install(nic, &spec, 100), 0); /* a rule that is there is replaced */
	assert_int_equal(mark_of(nic, &spec), 100);
	assert_int_equal(remove_rule(nic, &spec), 0);
	assert_int_equal(mark_of(nic, &spec), -1);
	assert_int_equal(remove_rule(nic, &spec), -ENOENT);
	spec = client(CAPACITY);
	assert_int_equal(install(nic, &spec, 101), 0);
	assert_int_equal(mark_of(nic, &spec), 101);
}

/* One that cannot be done does not keep the others of the batch from it. */
static void batch_with_holes(void **state)
{
	struct nic *nic = *state;
	struct wm_rule rules[CAPACITY];
	struct wm_flow flows[CAPACITY];
	int result[CAPACITY];

	for (int i = 0; i < CAPACITY; i++) {
		struct packet_spec spec = client(i);

		rules[i] = rule_for(&spec, i % 4 == 1 ? 0x10000 : 1 + i);
		flows[i] = rules[i].flow;
	}
	wm_offload_sim.install(nic->off, rules, CAPACITY, result);
	for (int i = 0; i < CAPACITY; i++)
		assert_int_equal(result[i], i % 4 == 1 ? -ERANGE : 0);
	assert_int_equal(listed(nic), CAPACITY * 3 / 4);
	wm_offload_sim.remove(nic->off, flows, CAPACITY, result);
	for (int i = 0; i < CAPACITY; i++)
		assert_int_equal(result[i], i % 4 == 1 ? -ENOENT : 0);
	assert_int_equal(listed(nic), 0);
}

static void needs_a_nic(void **state)
{
	struct wm_offload *off;
	struct wm_err err = {};
	char path[2 * PATH];

	(void)state;
	assert_int_equal(wm_offload_sim.open(&off, "eth0", NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "pin directory"));
	snprintf(path, sizeof(path), "%s/nothing", mount_point);
	assert_int_equal(wm_offload_sim.open(&off, NULL, path, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
}

/* --- faults --- */

static void fault_install(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec = client(1);

	nic->ctl->install_errno = EIO;
	assert_int_equal(install(nic, &spec, 5), -EIO);
	assert_int_equal(listed(nic), 0);
	nic->ctl->install_every = 3;
	for (int i = 2, refused = 0; i < 14; i++) {
		spec = client(i);
		refused += install(nic, &spec, 5) == -EIO;
		if (i == 13)
			assert_int_equal(refused, 4);
	}
	assert_int_equal(listed(nic), 8);
}

static void fault_install_lost(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec = client(1);

	nic->ctl->install_lose = 1;
	assert_int_equal(install(nic, &spec, 5), 0);
	assert_int_equal(mark_of(nic, &spec), -1);
	nic->ctl->install_lose = 0;
	assert_int_equal(install(nic, &spec, 5), 0);
	assert_int_equal(mark_of(nic, &spec), 5);
}

struct answers {
	int n, result;
	uint32_t mark;
};

static void on_done(void *arg, const struct wm_rule *rule, int result)
{
	struct answers *a = arg;

	a->n++;
	a->result = result;
	a->mark = rule->mark;
}

static void fault_install_late(void **state)
{
	struct nic *nic = *state;
	struct packet_spec first = client(1), second = client(2);
	struct answers a = {};

	nic->ctl->install_delay_ns = 3600ull * 1000000000;
	assert_int_equal(install(nic, &first, 5), -EINPROGRESS);
	assert_int_equal(install(nic, &second, 6), -EINPROGRESS);
	assert_int_equal(wm_offload_sim.poll(nic->off, on_done, &a), 0);
	assert_int_equal(mark_of(nic, &first), -1);
	assert_int_equal(remove_rule(nic, &second), -ENOENT); /* ends the install too */
	nic->ctl->install_delay_ns = 0;
	assert_int_equal(wm_offload_sim.poll(nic->off, on_done, &a), 1);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.result, 0);
	assert_int_equal(a.mark, 5);
	assert_int_equal(mark_of(nic, &first), 5);
	assert_int_equal(mark_of(nic, &second), -1);
	assert_int_equal(wm_offload_sim.poll(nic->off, on_done, &a), 0);
}

static void fault_remove(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec = client(1);

	assert_int_equal(install(nic, &spec, 5), 0);
	nic->ctl->remove_errno = EBUSY;
	assert_int_equal(remove_rule(nic, &spec), -EBUSY);
	assert_int_equal(mark_of(nic, &spec), 5);
	nic->ctl->remove_errno = 0;
	nic->ctl->remove_lose = 1;
	assert_int_equal(remove_rule(nic, &spec), 0);
	assert_int_equal(mark_of(nic, &spec), 5);
	nic->ctl->remove_lose = 0;
	assert_int_equal(remove_rule(nic, &spec), 0);
	assert_int_equal(mark_of(nic, &spec), -1);
}

static void fault_marks(void **state)
{
	struct nic *nic = *state;
	struct packet_spec with = client(1), without = client(2);

	assert_int_equal(install(nic, &with, 0x1234), 0);
	nic->ctl->mark_xor = 0x00ff;
	assert_int_equal(mark_of(nic, &with), 0x12cb);
	assert_int_equal(mark_of(nic, &without), -1);
	nic->ctl->mark_xor = 0x1234;
	assert_int_equal(mark_of(nic, &with), -1); /* 0 is "not marked" */
	nic->ctl->mark_xor = 0;
	nic->ctl->mark_fixed = 99;
	assert_int_equal(mark_of(nic, &with), 99);
	assert_int_equal(mark_of(nic, &without), 99);
	with.flags = SYN;
	assert_int_equal(mark_of(nic, &with), 99);
	nic->ctl->mark_fixed = 0x12345678;
	assert_int_equal(mark_of(nic, &without), 0x5678); /* cut off at 16 bits */
	nic->ctl->mark_bits = 32;
	assert_int_equal(mark_of(nic, &without), 0x12345678);
}

/* --- the loader --- */

/* --- rules that rewrite the source address --- */

enum { PREFIX = 0x563412, OTHER_PREFIX = 0x563416 };

/* The frame came out with this source address and nothing else changed. */
static void assert_source(const struct nic *nic, const struct packet_spec *spec,
			  const uint8_t mac[6])
{
	struct outcome out = run_spec(nic, spec);
	struct frame want;

	packet_build(spec, &want);
	memcpy(want.data + 6, mac, 6);
	assert_int_equal(out.verdict, XDP_REDIRECT);
	assert_int_equal(out.mark, -1);
	assert_int_equal(out.frame.len, want.len);
	assert_memory_equal(out.frame.data, want.data, want.len);
}

static uint32_t listed_mark(struct nic *nic)
{
	struct listed l = {};

	assert_int_equal(wm_offload_sim.list(nic->off, on_rule, &l), 0);
	assert_int_equal(l.n, 1);
	return l.last.mark;
}

static void source_addresses(void **state)
{
	const struct packet_spec with[] = {
		{ A4, .flags = ACK, .payload = 9 }, { A4, .proto = IPPROTO_UDP },
		{ A6, .flags = ACK }, { A6, .proto = IPPROTO_UDP, .payload = 1 },
	};
	const struct packet_spec without = { B4, .flags = ACK }, syn = { A4, .flags = SYN };
	uint64_t before[WM_SOFTNIC_COUNTERS_MAX], after[WM_SOFTNIC_COUNTERS_MAX];
	struct nic *nic = *state;

	assert_int_equal(wm_offload_sim.caps(nic->off)->mac_bits, WM_MAC_MARK_BITS);
	wm_offload_sim.mac_lane(nic->off, PREFIX);
	assert_int_equal(wm_offload_sim.caps(nic->off)->mark_bits, WM_MAC_MARK_BITS);
	assert_int_equal(install(nic, &with[0], 1 << 24), -ERANGE);
	read_counters(nic, before);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(install(nic, &with[i], 0x9a7850 + i), 0);
		assert_source(nic, &with[i],
			      (uint8_t[6]){ 0x12, 0x34, 0x56, 0x50 + i, 0x78, 0x9a });
	}
	assert_source(nic, &without, packet_smac);
	assert_source(nic, &syn, packet_smac);
	read_counters(nic, after);
	assert_int_equal(after[WM_SOFTNIC_C_MARKED] - before[WM_SOFTNIC_C_MARKED], 4);
	assert_int_equal(after[WM_SOFTNIC_C_MISSED] - before[WM_SOFTNIC_C_MISSED], 1);
	assert_int_equal(after[WM_SOFTNIC_C_CONTROL] - before[WM_SOFTNIC_C_CONTROL], 1);
}

/* A rule whose packets would not arrive with a mark of ours says so. */
static void source_addresses_are_read_back(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec = client(1);

	assert_int_equal(install(nic, &spec, 5), 0);
	assert_int_equal(listed_mark(nic), 5);
	wm_offload_sim.mac_lane(nic->off, PREFIX);
	assert_int_equal(listed_mark(nic), 0); /* in front of the packet */
	assert_int_equal(install(nic, &spec, 0x123456), 0);
	assert_int_equal(listed_mark(nic), 0x123456);
	wm_offload_sim.mac_lane(nic->off, OTHER_PREFIX);
	assert_int_equal(listed_mark(nic), 0); /* a program before this one */
	assert_int_equal(remove_rule(nic, &spec), 0);
	assert_int_equal(listed(nic), 0);
}

static void source_address_faults(void **state)
{
	const uint8_t made_up[6] = { 2, 1, 1, 7, 8, 9 };
	struct packet_spec with = client(1), without = client(2);
	struct nic *nic = *state;

	wm_offload_sim.mac_lane(nic->off, PREFIX);
	assert_int_equal(install(nic, &with, 0x030201), 0);
	nic->ctl->mark_xor = 0x100005;
	assert_source(nic, &with, (uint8_t[6]){ 0x12, 0x34, 0x56, 0x04, 0x02, 0x13 });
	assert_source(nic, &without, packet_smac);
	nic->ctl->mark_xor = 0;
	memcpy((void *)nic->ctl->smac_fixed, made_up, sizeof(made_up));
	assert_source(nic, &with, made_up);
	assert_source(nic, &without, made_up);
	memset((void *)nic->ctl->smac_fixed, 0, sizeof(made_up));
	nic->ctl->smac_errno = EOPNOTSUPP;
	assert_int_equal(install(nic, &without, 5), -EOPNOTSUPP);
	assert_source(nic, &without, packet_smac);
}

static void two_ports(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec = client(1);
	struct frame frame;
	int prog;

	attach("port1.7");
	prog = get("port:port1:7"); /* a bpffs takes no dot */
	assert_true(prog >= 0);
	assert_int_equal(install(nic, &spec, 5), 0);
	packet_build(&spec, &frame);
	assert_int_equal(run(prog, &frame, NULL, 0).mark, 5);
	assert_int_equal(mark_of(nic, &spec), 5);
	close(prog);
	assert_int_equal(wm_softnic__detach("port1.7", nic_dir, NULL), 0);
	assert_int_equal(access(nic_dir, F_OK), 0); /* port0 is still there */
	assert_int_equal(wm_softnic__detach("port1.7", nic_dir, NULL), -ENOENT);
}

static void sizes_are_fixed(void **state)
{
	struct wm_err err = {};

	(void)state;
	assert_int_equal(try_attach("port1.7", CAPACITY + 1, 0, nic_dir, &err), -EINVAL);
	assert_non_null(strstr(err.text, "16 rules"));
	assert_int_equal(try_attach("port1.7", 0, 24, nic_dir, &err), -EINVAL);
	assert_int_equal(try_attach("port1.7", 0, 0, nic_dir, &err), 0);
	assert_int_equal(wm_softnic__detach("port1.7", nic_dir, &err), 0);
}

static void attach_again(void **state)
{
	struct nic *nic = *state;
	struct packet_spec spec = client(1);

	assert_int_equal(install(nic, &spec, 5), 0);
	close(nic->prog);
	attach("port0");
	nic->prog = get("port:port0");
	assert_int_equal(mark_of(nic, &spec), 5); /* the rules stayed */
}

static void foreign_program_stays(void **state)
{
	struct wm_err err = {};
	__u32 before, after;
	char other[PATH + 8];

	(void)state;
	snprintf(other, sizeof(other), "%s-2", nic_dir);
	assert_int_equal(wm_softnic__wire("port1.7", NULL), 0);
	bpf_xdp_query_id(if_nametoindex("port1.7"), XDP_FLAGS_DRV_MODE, &before);
	assert_int_equal(try_attach("port1.7", 0, 0, other, &err), -EBUSY);
	assert_non_null(strstr(err.text, "port1.7"));
	assert_int_not_equal(access(other, F_OK), 0); /* nothing is left of the attempt */
	bpf_xdp_query_id(if_nametoindex("port1.7"), XDP_FLAGS_DRV_MODE, &after);
	assert_int_equal(before, after);
	bpf_xdp_detach(if_nametoindex("port1.7"), XDP_FLAGS_DRV_MODE, NULL);
}

static void wrong_requests(void **state)
{
	static const struct {
		const char *port, *to, *mac, *dir;
		uint32_t mark_bits;
		int want;
		const char *says;
	} cases[] = {
		{ "nowhere", "wire", "\2\0\0\0\0\1", NULL, 16, -ENODEV, "nowhere" },
		{ "port1.7", "nowhere", "\2\0\0\0\0\1", NULL, 16, -ENODEV, "nowhere" },
		{ "port1.7", "wire", "\0\0\0\0\0\0", NULL, 16, -EINVAL, "MAC" },
		{ "port1.7", "wire", "\3\0\0\0\0\1", NULL, 16, -EINVAL, "MAC" },
		{ "port1.7", "wire", "\2\0\0\0\0\1", NULL, 33, -EINVAL, "33" },
		{ "port1.7", "wire", "\2\0\0\0\0\1", "/tmp", 16, -EINVAL, "mount -t bpf" },
	};
	struct wm_err err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(wm_softnic__attach(cases[i].port, cases[i].to,
						    (const __u8 *)cases[i].mac, 0,
						    cases[i].mark_bits, cases[i].dir ?: nic_dir,
						    &err), cases[i].want);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

static void not_our_program(void **state)
{
	struct nic *nic = *state;
	int index = if_nametoindex("port0");
	__u32 id = 0;

	(void)nic;
	assert_int_equal(bpf_xdp_detach(index, XDP_FLAGS_DRV_MODE, NULL), 0);
	assert_int_equal(wm_softnic__wire("port0", NULL), 0); /* somebody else's by now */
	assert_int_equal(wm_softnic__detach("port0", nic_dir, NULL), 0);
	assert_int_equal(bpf_xdp_query_id(index, XDP_FLAGS_DRV_MODE, &id), 0);
	assert_int_not_equal(id, 0);
	assert_int_equal(bpf_xdp_detach(index, XDP_FLAGS_DRV_MODE, NULL), 0);
}

/* --- all together: many rules, and their life --- */

enum { MANY = 10000 };

static void many_rules(void **state)
{
	char dir[PATH + 8];
	struct wm_rule *rules = calloc(MANY, sizeof(*rules));
	int *result = calloc(MANY, sizeof(*result));
	struct listed l = { .seen = calloc(MANY + 1, 1) };
	struct wm_offload *off;

	(void)state;
	snprintf(dir, sizeof(dir), "%s-many", nic_dir);
	assert_true(rules && result && l.seen);
	assert_int_equal(try_attach("port1.7", MANY, 16, dir, NULL), 0);
	assert_int_equal(wm_offload_sim.open(&off, NULL, dir, NULL), 0);
	for (uint32_t i = 0; i < MANY; i++)
		rules[i] = (struct wm_rule){
			{ .src = { i }, .proto = IPPROTO_UDP, .family = WM_IPV4 }, i + 1
		};
	wm_offload_sim.install(off, rules, MANY, result);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(result[i], 0);
	assert_int_equal(wm_offload_sim.list(off, on_rule, &l), 0);
	assert_int_equal(l.n, MANY);
	for (int i = 1; i <= MANY; i++)
		assert_int_equal(l.seen[i], 1);
	wm_offload_sim.close(off);
	assert_int_equal(wm_softnic__detach("port1.7", dir, NULL), 0);
	free(l.seen);
	free(result);
	free(rules);
}

#define SECOND 1000000000ull

/* rules.c over this NIC: promoted, counted, idle. The time is the test's. */
static void life_of_a_rule(void **state)
{
	struct wm_rules_options options = { 10, 1000, 4 * SECOND, 0 };
	struct nic *nic = *state;
	struct wm_rules *rules = wm_rules__new(&wm_offload_sim, nic->off, &options, NULL);
	struct packet_spec spec = client(1);
	struct wm_flow flow = prog_flow(&spec);
	uint64_t now = 1000000 * SECOND; /* far from the clock that stamps the rule */
	struct wm_rules_stats stats;

	assert_non_null(rules);
	wm_rules__offer(rules, &flow, 9, now);
	wm_rules__tick(rules, now);
	assert_int_equal(mark_of(nic, &spec), 9);
	assert_int_equal(mark_of(nic, &spec), 9);
	wm_rules__tick(rules, now += 2 * SECOND);
	wm_rules__stats(rules, &stats);
	assert_int_equal(stats.packets, 2);
	assert_int_equal(stats.bytes, 2 * 54);
	for (int i = 0; i < 8; i++)
		wm_rules__tick(rules, now += SECOND);
	wm_rules__stats(rules, &stats);
	assert_int_equal(stats.ended[WM_END_IDLE], 1);
	assert_int_equal(stats.state[WM_RULE_ACTIVE], 0);
	assert_int_equal(mark_of(nic, &spec), -1);
	assert_int_equal(listed(nic), 0);
	wm_rules__free(rules);
}

/* In place of all others: cmocka takes no skip from a fixture. */
static void software_nic(void **state)
{
	(void)state;
	print_message("loading BPF programs needs root\n");
	skip();
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(frames),
		T(tiny_frames),
		T(foreign_metadata),
		T(wire_pass),
		T(capabilities),
		T(rule_counters),
		T(full_table),
		T(batch_with_holes),
		T(needs_a_nic),
		T(fault_install),
		T(fault_install_lost),
		T(fault_install_late),
		T(fault_remove),
		T(fault_marks),
		T(source_addresses),
		T(source_addresses_are_read_back),
		T(source_address_faults),
		T(two_ports),
		T(sizes_are_fixed),
		T(attach_again),
		T(foreign_program_stays),
		T(wrong_requests),
		T(not_our_program),
		T(many_rules),
		T(life_of_a_rule),
	};
	const struct CMUnitTest instead[] = { cmocka_unit_test(software_nic) };

	if (!prog_may_load())
		return cmocka_run_group_tests(instead, NULL, NULL);
	make_world();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
