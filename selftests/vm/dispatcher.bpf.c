// SPDX-License-Identifier: GPL-2.0
/*
 * A dispatcher as libxdp's is one: under its name, with functions that programs of the
 * type "extension" replace, and that a program continues to which passes the packet on.
 *
 * Debian 12's libxdp has one that cannot take waymark: since Linux 6.13, and 6.12's
 * later point releases, a function that leaves the packet alone cannot be replaced by a
 * program that grows it. Since libxdp's pull request 509 of May 2025 its functions do what
 * ours do: they call such a helper on a way that is never gone.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

enum { NOT_REPLACED = 31 };

#define STUB(name)                                                   \
	__attribute__((noinline)) int name(struct xdp_md *ctx)       \
	{                                                            \
		volatile int ret = NOT_REPLACED;                     \
								     \
		if (!ctx)                                            \
			return XDP_ABORTED;                          \
		if (ret != NOT_REPLACED)                             \
			bpf_xdp_adjust_head(ctx, 0);                 \
		return ret;                                          \
	}

STUB(prog0)
STUB(prog1)
STUB(prog2)

static __always_inline int goes_on(int ret)
{
	return ret == XDP_PASS || ret == NOT_REPLACED;
}

SEC("xdp")
int xdp_dispatcher(struct xdp_md *ctx)
{
	int ret = prog0(ctx);

	if (goes_on(ret))
		ret = prog1(ctx);
	if (goes_on(ret))
		ret = prog2(ctx);
	return goes_on(ret) ? XDP_PASS : ret;
}
