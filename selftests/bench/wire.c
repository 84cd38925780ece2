// SPDX-License-Identifier: GPL-2.0
/*
 * Over a wire: live frames through a veth pair in a namespace of its own, into
 * the attached program and back to a program that counts and drops. The same
 * frames against a plain swap of the addresses, in the same run: the ratio is
 * what counts, both directions of the veth are in both. Marked frames are
 * swapped with the mark in front, too: putting it there is the generator's work.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "dataplane.h"
#include "measure.h"
#include "packet.h"

static uint32_t frames(void)
{
	return opt.validate_only ? 1 << 14 : 1 << 20;
}

struct wire {
	struct wm_dp *dp;
	volatile struct bench_ctl *ctl;
	int generator;
};

static void command(const char *line)
{
	int rc = system(line);

	if (rc == -1 || WEXITSTATUS(rc))
		die(line, EIO);
}

/* The namespace ends with this process, and the devices with it. */
static void make_devices(void)
{
	if (unshare(CLONE_NEWNET))
		die("a network namespace", errno);
	command("ip link add near type veth peer name far");
	command("ip link set near up");
	command("ip link set far up");
}

static void attach(const char *dev, int fd)
{
	int rc = bpf_xdp_attach(if_nametoindex(dev), fd, XDP_FLAGS_DRV_MODE, NULL);

	if (rc)
		die(dev, rc);
}

static void detach(const char *dev)
{
	bpf_xdp_detach(if_nametoindex(dev), XDP_FLAGS_DRV_MODE, NULL);
}

/* Send live frames and return Mpps; all must have come back. */
static double send_all(struct wire *w, uint32_t mark)
{
	struct packet_spec spec = { .src = "10.0.0.1", .dst = "10.200.1.1", .sport = 4660,
				    .dport = 80, .flags = ACK, .payload = 18 };
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = frames(),
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	uint64_t start;
	double mpps;
	int rc;

	packet_build(&spec, &frame);
	opts.data_in = frame.data;
	opts.data_size_in = frame.len;
	w->ctl->flows = 10000;
	w->ctl->stride = 6181;
	w->ctl->mark = mark;
	w->ctl->marks = 64;
	w->ctl->outer = if_nametoindex("near");
	w->ctl->arrived = 0;
	start = now_ns();
	rc = bpf_prog_test_run_opts(w->generator, &opts);
	mpps = frames() * 1e3 / (now_ns() - start);
	if (rc)
		die("live frames", rc);
	if (w->ctl->arrived != frames()) {
		fprintf(stderr, "bench: wire: %u of %u frames came back\n", w->ctl->arrived,
			frames());
		exit(1);
	}
	return mpps;
}

static void all_sent_by(struct wire *w, enum wm_counter counter)
{
	uint64_t c[WM_COUNTERS_MAX], bytes;

	wm_dp__counters(w->dp, c, &bytes);
	if (c[counter] < (uint64_t)frames() * opt.runs)
		die("wire: frames took another way than the one measured", EINVAL);
}

enum way { SWAP, SWAP_MARK, MARKED, HIT, WAYS };

/* One run of each way after the other: what else the machine does changes
 * slowly, so it is in all of them. */
static void run_all(struct wire *w, int swap, double mpps[WAYS])
{
	const uint32_t mark = wm_mark(16, 128, 1);

	attach("far", swap);
	mpps[SWAP] = send_all(w, 0);
	mpps[SWAP_MARK] = send_all(w, mark);
	detach("far");
	attach("far", wm_dp__prog_fd(w->dp));
	mpps[MARKED] = send_all(w, mark);
	mpps[HIT] = send_all(w, 0);
	detach("far");
}

static void report(double mpps[WAYS])
{
	report_figure("wire-swap", mpps[SWAP], "Mpps",
		      "plain MAC swap and XDP_TX over veth, and back");
	report_figure("wire-swap-mark", mpps[SWAP_MARK], "Mpps",
		      "the same, a mark in front of each frame");
	report_figure("wire-marked", mpps[MARKED], "Mpps", "marked, 64 destinations, 10000 flows");
	report_figure("wire-hit", mpps[HIT], "Mpps", "flow table, 10000 flows");
	report_figure("wire-marked/swap", 100 * mpps[MARKED] / mpps[SWAP_MARK], "%",
		      "of XDP_TX of the same frames");
	report_figure("wire-marked/plain", 100 * mpps[MARKED] / mpps[SWAP], "%",
		      "of XDP_TX of frames that carry no mark");
	report_figure("wire-hit/swap", 100 * mpps[HIT] / mpps[SWAP], "%", "of the plain XDP_TX");
}

static void measure(struct wire *w)
{
	int swap = wm_dp__program_fd(w->dp, "bench_swap");
	double run[WAYS], all[WAYS][64], middle[WAYS];

	run_all(w, swap, run); /* every flow is known afterwards */
	for (int i = 0; i < opt.runs; i++) {
		run_all(w, swap, run);
		for (int k = 0; k < WAYS; k++)
			all[k][i] = run[k];
	}
	all_sent_by(w, WM_C_TX_MARKED);
	all_sent_by(w, WM_C_TX_HIT);
	close(swap);
	for (int k = 0; k < WAYS; k++)
		middle[k] = median_of(all[k], opt.runs);
	if (opt.validate_only)
		report_valid("wire", 10000);
	else
		report(middle);
}

static void in_namespace(void)
{
	struct wire w = {};
	int sink, fd;

	make_devices();
	bench_open_wire(&w.dp);
	fd = wm_dp__map_fd(w.dp, ".data.bench");
	w.ctl = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (w.ctl == MAP_FAILED)
		die("mapping the driver's control", errno);
	w.generator = wm_dp__program_fd(w.dp, "bench_wire");
	sink = wm_dp__program_fd(w.dp, "bench_sink");
	attach("near", sink);
	measure(&w);
	detach("near");
	wm_dp__close(w.dp);
}

void bench_wire(void)
{
	int old;

	if (!wanted("wire"))
		return;
	old = open("/proc/self/ns/net", O_RDONLY);
	in_namespace();
	if (old < 0 || setns(old, CLONE_NEWNET))
		die("back to the first network namespace", errno);
	close(old);
}
