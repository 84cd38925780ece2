// SPDX-License-Identifier: GPL-2.0
/*
 * Over a wire: live frames through a veth pair in a namespace of its own, into
 * the attached program and back to a program that counts and drops. The same
 * frames against a plain swap of the addresses, in the same run: the ratio is
 * what counts, both directions of the veth are in both. Marked frames are
 * swapped with the mark in front, too: putting it there is the generator's work. Marks in
 * the source address cost the generator nothing, and go to a program of their own, which
 * was loaded for that lane: the others do without it.
 *
 * Frames wait in rings of 256 between one device and the next, whose poll runs on
 * the CPU that woke it: this one, as long as nobody else sends. So the devices
 * have no IPv6, whose own packets come from any CPU: the poll moved there, did not keep
 * up with a generator that no longer shared its CPU, and a ring ran over. What is
 * lost all the same (this CPU may be taken away from us in between) is a figure.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

enum way { SWAP, SWAP_MARK, MARKED, MARKED_MAC, HIT, WAYS };

/* The balancer, and what makes frames for it. */
struct side {
	struct wm_dp *dp;
	volatile struct bench_ctl *ctl;
	int generator;
};

struct wire {
	struct side plain, mac;
	volatile struct bench_ctl *end; /* of the sink, which counts for both */
	uint64_t sent, arrived[WAYS]; /* frames of the timed runs */
};

enum { SETTLE_MS = 100 };

static uint32_t frames(void)
{
	return opt.validate_only ? 1 << 14 : opt.frames;
}

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
	command("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
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

/* The rest may still be in a ring, if the kernel has put its work off. Over when none
 * came for a while: those are lost. */
static void settle(const struct wire *w)
{
	uint32_t seen = w->end->arrived;

	for (int ms = 0; ms < SETTLE_MS && w->end->arrived < frames(); ms++) {
		usleep(1000);
		if (w->end->arrived != seen)
			ms = 0;
		seen = w->end->arrived;
	}
}

/* Send live frames and return Mpps, of those that came back. */
static double send_all(struct wire *w, const struct side *from, enum way way, uint32_t mark)
{
	struct packet_spec spec = { .src = "10.0.0.1", .dst = "10.200.1.1", .sport = 4660,
				    .dport = 80, .flags = ACK, .payload = 18 };
	struct frame frame;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = frames(),
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = 64);
	uint64_t start, ns;
	int rc;

	packet_build(&spec, &frame);
	opts.data_in = frame.data;
	opts.data_size_in = frame.len;
	from->ctl->flows = 10000;
	from->ctl->stride = 6181;
	from->ctl->mark = mark;
	from->ctl->marks = 64;
	from->ctl->outer = if_nametoindex("near");
	w->end->arrived = 0;
	w->end->lose = opt.lose;
	start = now_ns();
	rc = bpf_prog_test_run_opts(from->generator, &opts);
	ns = now_ns() - start;
	if (rc)
		die("live frames", rc);
	settle(w);
	if (!w->end->arrived)
		die("wire: no frame came back", EIO);
	w->sent += frames();
	w->arrived[way] += w->end->arrived;
	return w->end->arrived * 1e3 / ns;
}

static void all_sent_by(struct wire *w, const struct side *side, enum way way,
			enum wm_counter counter)
{
	uint64_t c[WM_COUNTERS_MAX], bytes;

	wm_dp__counters(side->dp, c, &bytes);
	if (c[counter] < w->arrived[way])
		die("wire: frames took another way than the one measured", EINVAL);
}

/* One run of each way after the other: what else the machine does changes
 * slowly, so it is in all of them. */
static void run_all(struct wire *w, int swap, double mpps[WAYS])
{
	const uint32_t mark = wm_mark(16, 128, 1);

	attach("far", swap);
	mpps[SWAP] = send_all(w, &w->plain, SWAP, 0);
	mpps[SWAP_MARK] = send_all(w, &w->plain, SWAP_MARK, mark);
	detach("far");
	attach("far", wm_dp__prog_fd(w->plain.dp));
	mpps[MARKED] = send_all(w, &w->plain, MARKED, mark);
	mpps[HIT] = send_all(w, &w->plain, HIT, 0);
	detach("far");
	attach("far", wm_dp__prog_fd(w->mac.dp));
	mpps[MARKED_MAC] = send_all(w, &w->mac, MARKED_MAC, mark);
	detach("far");
}

static void report_lost(const struct wire *w)
{
	uint64_t lost = w->sent;
	char what[80];

	for (int way = 0; way < WAYS; way++)
		lost -= w->arrived[way];
	snprintf(what, sizeof(what), "of %" PRIu64 " that were sent did not come back",
		 w->sent);
	report_figure("wire-lost", lost, "frames", what);
}

static void report(double mpps[WAYS])
{
	report_figure("wire-swap", mpps[SWAP], "Mpps",
		      "plain MAC swap and XDP_TX over veth, and back");
	report_figure("wire-swap-mark", mpps[SWAP_MARK], "Mpps",
		      "the same, a mark in front of each frame");
	report_figure("wire-marked", mpps[MARKED], "Mpps", "marked, 64 destinations, 10000 flows");
	report_figure("wire-marked-mac", mpps[MARKED_MAC], "Mpps",
		      "the mark in the source address");
	report_figure("wire-hit", mpps[HIT], "Mpps", "flow table, 10000 flows");
	report_figure("wire-marked/swap", 100 * mpps[MARKED] / mpps[SWAP_MARK], "%",
		      "of XDP_TX of the same frames");
	report_figure("wire-marked/plain", 100 * mpps[MARKED] / mpps[SWAP], "%",
		      "of XDP_TX of frames that carry no mark");
	report_figure("wire-marked-mac/swap", 100 * mpps[MARKED_MAC] / mpps[SWAP], "%",
		      "of XDP_TX of frames as long");
	report_figure("wire-hit/swap", 100 * mpps[HIT] / mpps[SWAP], "%", "of the plain XDP_TX");
}

static void measure(struct wire *w)
{
	int swap = wm_dp__program_fd(w->plain.dp, "bench_swap");
	double run[WAYS], all[WAYS][64], middle[WAYS];

	run_all(w, swap, run); /* every flow is known afterwards */
	w->sent = 0;
	memset(w->arrived, 0, sizeof(w->arrived));
	for (int i = 0; i < opt.runs; i++) {
		run_all(w, swap, run);
		for (int k = 0; k < WAYS; k++)
			all[k][i] = run[k];
	}
	all_sent_by(w, &w->plain, MARKED, WM_C_TX_MARKED);
	all_sent_by(w, &w->mac, MARKED_MAC, WM_C_TX_MARKED);
	all_sent_by(w, &w->plain, HIT, WM_C_TX_HIT);
	close(swap);
	for (int k = 0; k < WAYS; k++)
		middle[k] = median_of(all[k], opt.runs);
	if (opt.validate_only) {
		report_valid("wire", 10000);
		return;
	}
	report(middle);
	report_lost(w);
}

static void open_side(struct side *side, bool mac)
{
	int fd;

	bench_open_wire(&side->dp, mac);
	fd = wm_dp__map_fd(side->dp, ".data.bench");
	side->ctl = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (side->ctl == MAP_FAILED)
		die("mapping the driver's control", errno);
	side->generator = wm_dp__program_fd(side->dp, "bench_wire");
}

static void in_namespace(void)
{
	struct wire w = {};

	make_devices();
	open_side(&w.plain, false);
	open_side(&w.mac, true);
	w.end = w.plain.ctl;
	attach("near", wm_dp__program_fd(w.plain.dp, "bench_sink"));
	measure(&w);
	detach("near");
	wm_dp__close(w.mac.dp);
	wm_dp__close(w.plain.dp);
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
