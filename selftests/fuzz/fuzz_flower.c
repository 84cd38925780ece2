// SPDX-License-Identifier: GPL-2.0
/* Filters as the kernel lists them: one message, and the whole backend on a kernel that
 * answers anything. */
#include <linux/rtnetlink.h>
#include <stdbool.h>

#include "flower.h"
#include "flower_msg.h"
#include "fuzz_nl.h"
#include "log.h"

/* One of ours, with some bytes changed and some cut off at the end. */
static struct nlmsghdr *changed(struct fuzz *in)
{
	char buffer[WM_NL_MESSAGE];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer), *copy;
	uint8_t how = fuzz_u8(in), family = how & 1 ? WM_IPV6 : WM_IPV4, proto = how & 2 ? 6 : 17;
	struct wm_steer steer = { .family = family, .proto = proto, .dport = 1, .sport_mask = how };
	struct wm_rule rule = { .flow.family = family, .flow.proto = proto, .mark = 1 };
	size_t size;

	msg->nlmsg_type = RTM_NEWTFILTER;
	if (how & 4) {
		wm_flower__put_steer_name(msg, 1, family, 1);
		wm_flower__put_steer(msg, &steer);
	} else {
		wm_flower__put_name(msg, 1, family, 1);
		wm_flower__put_rule(msg, &rule, how & 8 ? 1 : -1, how & 32 ? 2 : 0);
	}
	size = msg->nlmsg_len;
	if (how & 16)
		size = NLMSG_HDRLEN + 1 + fuzz_u8(in) % (size - NLMSG_HDRLEN);
	copy = fuzz_room_for(size);
	memcpy(copy, msg, size);
	while (in->left) {
		size_t at = NLMSG_HDRLEN + fuzz_u16(in) % (size - NLMSG_HDRLEN);

		((uint8_t *)copy)[at] ^= fuzz_u8(in);
	}
	copy->nlmsg_len = size;
	return copy;
}

static void read_one(struct fuzz *in, bool ours)
{
	struct nlmsghdr *msg = ours ? changed(in) : fuzz_message(in->data, in->left);
	struct wm_flower_seen seen;

	if (msg && wm_flower__read(msg, 1, &seen)) {
		fuzz_require(seen.handle && strlen(seen.kind) < sizeof(seen.kind));
		fuzz_require(!seen.ours || seen.rule.flow.family == WM_IPV4 ||
			     seen.rule.flow.family == WM_IPV6);
	}
	free(msg);
}

static void on_rule(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats)
{
	(void)rule;
	(void)stats;
	++*(int *)arg;
}

static void use(struct wm_offload *off, struct fuzz *in)
{
	const struct wm_offload_ops *ops = &wm_offload_flower;
	struct wm_rule rule[3] = {};
	struct wm_flow flow[3];
	int n = 0, result[3];

	for (int i = 0; i < 3; i++) {
		rule[i].flow.family = WM_IPV4;
		rule[i].flow.proto = 6 + 11 * (i & 1);
		rule[i].flow.sport = fuzz_u8(in);
		rule[i].mark = 1 + i;
		flow[i] = rule[i].flow;
	}
	ops->list(off, on_rule, &n);
	ops->install(off, rule, 3, result);
	ops->remove(off, flow, 3, result);
}

static void run_backend(struct fuzz *in)
{
	struct fuzz_kernel kernel = { .in = in };
	struct wm_nl_io io = fuzz_kernel_io(&kernel);
	struct wm_offload *off;
	struct wm_err err;
	struct wm_nl *nl;

	if (wm_nl__open_io(&nl, &io) || wm_flower__start(&off, nl, "lo", &err))
		return;
	if (fuzz_u8(in) & 1)
		wm_offload_flower.mac_lane(off, 2);
	use(off, in);
	wm_offload_flower.close(off);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz in = { data, size };

	wm_log__init("fuzz", 0); /* says nothing */
	switch (fuzz_u8(&in) % 4) {
	case 0:
		read_one(&in, false);
		break;
	case 1:
		run_backend(&in);
		break;
	default:
		read_one(&in, true);
	}
	return 0;
}
