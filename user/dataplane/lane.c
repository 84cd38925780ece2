// SPDX-License-Identifier: GPL-2.0
/*
 * Which lane marks can take. The kfunc lane needs both: a kernel that knows the
 * kfunc (its type information says so) and a driver that has marks for it (its
 * feature bit, asked by the netdev netlink family). The bit alone would not do:
 * another kernel may use it for another kfunc.
 */
#include <bpf/btf.h>
#include <net/if.h>

#include "dp.h"
#include "genl.h"

#define KFUNC "bpf_xdp_metadata_rx_flow_mark"

/* Of the netdev family: younger than some headers. */
enum {
	NETDEV_DEV_GET = 1,
	NETDEV_DEV_IFINDEX = 1,
	NETDEV_DEV_RX_METADATA_FEATURES = 5,
	NETDEV_RX_METADATA_FLOW_MARK = 8,
};

static bool kernel_has_kfunc(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, KFUNC, BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
}

static int read_features(const struct nlmsghdr *msg, void *arg)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, msg, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == NETDEV_DEV_RX_METADATA_FEATURES &&
		    mnl_attr_get_payload_len(attr) == sizeof(uint64_t))
			*(uint64_t *)arg = mnl_attr_get_u64(attr);
	return MNL_CB_OK;
}

static uint64_t metadata_features(int ifindex)
{
	uint64_t features = 0;
	struct wm_genl *genl;

	if (wm_genl__open(&genl, "netdev", NULL))
		return 0;
	mnl_attr_put_u32(wm_genl__request(genl, NETDEV_DEV_GET, 0), NETDEV_DEV_IFINDEX, ifindex);
	if (wm_genl__ask(genl, read_features, &features, NULL))
		features = 0;
	wm_genl__close(genl);
	return features;
}

bool wm_dp_lane_kfunc(const char *interface)
{
	int ifindex = if_nametoindex(interface);

	return ifindex && kernel_has_kfunc() &&
	       metadata_features(ifindex) & NETDEV_RX_METADATA_FLOW_MARK;
}

bool wm_dp__has_marks(const char *interface)
{
	return wm_dp_lane_kfunc(interface);
}
