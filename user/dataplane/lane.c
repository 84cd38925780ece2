// SPDX-License-Identifier: GPL-2.0
/*
 * Which lane marks can take. The kfunc lane needs both: a kernel that knows the
 * kfunc (its type information says so) and a driver that has marks for it (its
 * feature bit, asked by the netdev netlink family). The bit alone would not do:
 * another kernel may use it for another kfunc.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <unistd.h>

#include "dp.h"

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

static struct nlmsghdr *request(char *buf, uint16_t type, uint8_t command, uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	nlh->nlmsg_seq = 1;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = command;
	genl->version = version;
	return nlh;
}

struct wanted {
	uint16_t attribute;
	uint64_t value;
};

static int on_attribute(const struct nlattr *attr, void *arg)
{
	struct wanted *w = arg;

	if (mnl_attr_get_type(attr) != w->attribute)
		return MNL_CB_OK;
	if (mnl_attr_get_payload_len(attr) == sizeof(uint16_t))
		w->value = mnl_attr_get_u16(attr);
	else if (mnl_attr_get_payload_len(attr) == sizeof(uint64_t))
		w->value = mnl_attr_get_u64(attr);
	return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *nlh, void *arg)
{
	return mnl_attr_parse(nlh, sizeof(struct genlmsghdr), on_attribute, arg);
}

/* Send, and look for one attribute in the answer. 0: not there. */
static uint64_t ask(struct mnl_socket *nl, const struct nlmsghdr *nlh, uint16_t attribute)
{
	struct wanted wanted = { .attribute = attribute };
	char buf[16384];
	int len, more = MNL_CB_OK;

	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return 0;
	while (more > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (len <= 0)
			break;
		more = mnl_cb_run(buf, len, 1, mnl_socket_get_portid(nl), on_message, &wanted);
	}
	return more < 0 ? 0 : wanted.value;
}

static uint64_t metadata_features(int ifindex)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_GENERIC);
	struct nlmsghdr *nlh;
	uint64_t features = 0;
	char buf[1024];
	uint16_t family;

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		goto out;
	nlh = request(buf, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, "netdev");
	family = ask(nl, nlh, CTRL_ATTR_FAMILY_ID);
	if (!family)
		goto out;
	nlh = request(buf, family, NETDEV_DEV_GET, 1);
	mnl_attr_put_u32(nlh, NETDEV_DEV_IFINDEX, ifindex);
	features = ask(nl, nlh, NETDEV_DEV_RX_METADATA_FEATURES);
out:
	if (nl)
		mnl_socket_close(nl);
	return features;
}

bool wm_dp_lane_kfunc(const char *interface)
{
	int ifindex = if_nametoindex(interface);

	return ifindex && kernel_has_kfunc() &&
	       metadata_features(ifindex) & NETDEV_RX_METADATA_FLOW_MARK;
}
