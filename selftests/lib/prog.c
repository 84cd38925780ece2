// SPDX-License-Identifier: GPL-2.0
#include "prog.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "addr.h"

bool prog_may_load(void)
{
	return geteuid() == 0;
}

void prog_need_root(void)
{
	if (!prog_may_load()) {
		print_message("skipped: loading BPF programs needs root\n");
		skip();
	}
}

struct wm_dp *prog_open(const struct wm_dp_options *options)
{
	struct wm_err err = {};
	struct wm_dp *dp = NULL;

	if (prog_may_load() && wm_dp__open(&dp, options, &err))
		fail_msg("%s", err.text);
	return dp;
}

void prog_publish(struct wm_dp *dp, const struct wm_vip *vips, size_t n)
{
	struct wm_err err = {};

	if (wm_dp__vips_publish(dp, vips, n, &err))
		fail_msg("%s", err.text);
}

void prog_ring(struct wm_dp *dp, uint32_t ring, uint16_t dest)
{
	for (int slot = 0; slot < WM_RING_SLOTS; slot++)
		wm_dp__ring(dp, ring)->slot[slot] = dest;
}

int prog_run(int fd, const struct frame *in, uint32_t mark, struct frame *out)
{
	uint8_t data[sizeof(in->data) + sizeof(mark)];
	size_t meta = mark ? sizeof(mark) : 0;
	struct xdp_md ctx = { .data = meta, .data_end = meta + in->len };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = data, .data_size_in = meta + in->len,
		    .data_out = out->data, .data_size_out = sizeof(out->data));
	int rc;

	memcpy(data, &mark, meta);
	memcpy(data + meta, in->data, in->len);
	if (meta) {
		run.ctx_in = &ctx;
		run.ctx_size_in = sizeof(ctx);
	}
	rc = bpf_prog_test_run_opts(fd, &run);
	if (rc)
		fail_msg("BPF_PROG_RUN of %zu bytes: %s", in->len, strerror(-rc));
	out->len = run.data_size_out;
	return run.retval;
}

static struct wm_addr address(const char *text)
{
	struct wm_addr addr;

	if (wm_addr__parse(text, &addr))
		fail_msg("bad address %s in the test", text);
	return addr;
}

/* Folded sum of the fixed fields: by the definition in core/model.h. */
static uint16_t fixed_sum(const struct wm_dest *dest)
{
	uint32_t real = dest->real[0], proto = dest->encap == WM_ENCAP_4IN4 ? 4 : 41;
	uint32_t sum = 0x0045 + (64 | proto << 8) + (real & 0xffff) + (real >> 16) + 0x10ac;

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

struct wm_dest prog_dest(uint32_t mark, uint16_t vip, const char *vip_addr, uint16_t vip_port,
			 uint8_t proto, const char *real)
{
	struct wm_addr v = address(vip_addr), r = address(real);
	struct wm_dest dest = {
		.mark = mark, .vip = vip, .proto = proto, .vip_port = htons(vip_port),
		.port_mask = vip_port ? 0xffff : 0,
	};

	memcpy(dest.vip_addr, v.word, sizeof(v.word));
	memcpy(dest.real, r.word, sizeof(r.word));
	memcpy(dest.dmac, packet_next_hop, sizeof(dest.dmac));
	dest.max_frame = UINT16_MAX;
	if (r.family == WM_IPV4) {
		dest.encap = v.family == WM_IPV4 ? WM_ENCAP_4IN4 : WM_ENCAP_6IN4;
		dest.csum4 = fixed_sum(&dest);
	} else {
		dest.encap = v.family == WM_IPV4 ? WM_ENCAP_4IN6 : WM_ENCAP_6IN6;
	}
	return dest;
}

struct wm_vip prog_vip(const char *addr, uint16_t port, uint8_t proto, uint16_t number,
		       uint32_t ring)
{
	struct wm_addr a = address(addr);
	struct wm_vip vip = {
		.port = htons(port), .proto = proto, .family = a.family, .number = number,
		.ring = ring,
	};

	memcpy(vip.addr, a.word, sizeof(a.word));
	return vip;
}

struct wm_flow prog_flow(const struct packet_spec *spec)
{
	struct wm_addr src = address(spec->src), dst = address(spec->dst);
	struct wm_flow flow = {
		.sport = htons(spec->sport), .dport = htons(spec->dport),
		.proto = spec->proto ?: IPPROTO_TCP, .family = src.family,
	};

	memcpy(flow.src, src.word, sizeof(src.word));
	memcpy(flow.dst, dst.word, sizeof(dst.word));
	return flow;
}

void prog_expect_counters(struct wm_dp *dp, const int *want, const char *what)
{
	static uint64_t before[WM_COUNTERS_MAX];
	uint64_t now[WM_COUNTERS_MAX], bytes;
	bool wrong = false;

	wm_dp__counters(dp, now, &bytes);
	for (int c = 0; c < WM_COUNTERS_USED; c++) {
		uint64_t delta = now[c] - before[c], expect = 0;

		for (const int *w = want; w && *w >= 0; w++)
			expect += *w == c;
		if (want && delta != expect) {
			print_error("%s: counter %s went up by %lu, expected %lu\n", what,
				    wm_counter_names[c], delta, expect);
			wrong = true;
		}
	}
	memcpy(before, now, sizeof(before));
	if (wrong)
		fail();
}

uint32_t prog_instructions(const struct wm_dp *dp)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(wm_dp__prog_fd(dp), &info, &len), 0);
	return info.xlated_prog_len / sizeof(struct bpf_insn);
}
