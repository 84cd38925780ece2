// SPDX-License-Identifier: GPL-2.0
/*
 * Interfaces. The program is attached through netlink, so it outlives the
 * daemon and `ip link` shows it and can end it. What somebody else attached is
 * never replaced. Where that is libxdp's dispatcher and waymark one of the programs
 * that it calls, we serve as that one; xdp-loader put it there and takes it away.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dp.h"
#include "log.h"

#define DISPATCHER "xdp_dispatcher" /* libxdp's name for it */

static int prog_name(int fd, char name[BPF_OBJ_NAME_LEN])
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	name[BPF_OBJ_NAME_LEN - 1] = '\0';
	return 0;
}

/* Id of the program on the interface; 0: none. -errno. */
static int attached_id(const char *interface, uint32_t *id, bool *generic, struct wm_err *err)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int ifindex = if_nametoindex(interface), rc;

	if (!ifindex)
		return wm_err__sys(err, -errno, "interface %s", interface);
	rc = bpf_xdp_query(ifindex, 0, &query);
	if (rc)
		return wm_err__sys(err, rc, "cannot ask %s for its XDP program", interface);
	*id = query.drv_prog_id ?: query.skb_prog_id ?: query.prog_id;
	*generic = !query.drv_prog_id && query.skb_prog_id;
	return 0;
}

static bool is_ours(const char *name)
{
	return !strcmp(name, WM_PROG_NAME) || !strcmp(name, WM_PROG_HW_NAME);
}

/* Our program, if it replaces a function of the dispatcher: a link says so. */
static int open_called(uint32_t dispatcher, uint32_t link)
{
	int fd = bpf_link_get_fd_by_id(link);
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);
	char name[BPF_OBJ_NAME_LEN];

	if (fd < 0)
		return -errno;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.type = BPF_LINK_TYPE_UNSPEC;
	close(fd);
	if (info.type != BPF_LINK_TYPE_TRACING || info.tracing.target_obj_id != dispatcher)
		return -ENOENT;
	fd = bpf_prog_get_fd_by_id(info.prog_id);
	if (fd >= 0 && !prog_name(fd, name) && is_ours(name))
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENOENT;
}

static int find_called(uint32_t dispatcher)
{
	uint32_t link = 0;

	while (!bpf_link_get_next_id(link, &link)) {
		int fd = open_called(dispatcher, link);

		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

static int refuse(const char *interface, const char *name, uint32_t id, struct wm_err *err)
{
	if (!strcmp(name, DISPATCHER))
		return wm_err__set(err, -EBUSY, "%s has libxdp's dispatcher (id %u), and waymark is "
				   "not among its programs: xdp-loader load %s waymark.bpf.o -n "
				   WM_PROG_NAME ", or xdp-loader unload %s --all", interface, id,
				   interface, interface);
	return wm_err__set(err, -EBUSY, "%s already has the XDP program %s (id %u), which is "
			   "not waymark's: take it off first (ip link set dev %s xdp off)",
			   interface, name, id, interface);
}

int wm_dp_find_attached(const char *interface, int *prog_fd, bool *generic, struct wm_err *err)
{
	char name[BPF_OBJ_NAME_LEN];
	int rc, fd, called;
	uint32_t id;

	rc = attached_id(interface, &id, generic, err);
	if (rc)
		return rc;
	if (!id)
		return wm_err__set(err, -ENOENT, "no XDP program is attached to %s", interface);
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0)
		return wm_err__sys(err, -errno, "cannot open XDP program %u of %s", id, interface);
	rc = prog_name(fd, name);
	if (!rc && is_ours(name)) {
		*prog_fd = fd;
		return 0;
	}
	close(fd);
	called = rc ? rc : find_called(id);
	if (called < 0)
		return rc ? wm_err__sys(err, rc, "cannot inspect XDP program %u of %s", id,
					interface) : refuse(interface, name, id, err);
	*prog_fd = called;
	return 0;
}

static int attach_as(int ifindex, int prog_fd, uint32_t mode)
{
	return bpf_xdp_attach(ifindex, prog_fd, mode | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}

static int attach_fresh(struct wm_dp *dp, const struct wm_dp_port *port, enum wm_dp_mode mode,
			struct wm_err *err)
{
	int rc = -EOPNOTSUPP;

	if (mode != WM_DP_GENERIC || dp->kfunc) {
		rc = attach_as(port->ifindex, dp->prog_fd, XDP_FLAGS_DRV_MODE);
		if (!rc)
			return 0;
	}
	if (mode == WM_DP_NATIVE || dp->kfunc)
		return wm_err__sys(err, rc, "cannot attach natively to %s (try --mode generic)",
				   port->name);
	if (mode == WM_DP_AUTO)
		wm_warn("%s: no native XDP (%s), using generic mode: correct, but slow", port->name,
			strerror(-rc));
	rc = attach_as(port->ifindex, dp->prog_fd, XDP_FLAGS_SKB_MODE);
	if (rc)
		return wm_err__sys(err, rc, "cannot attach to %s", port->name);
	dp->generic = true;
	return 0;
}

static bool calls(uint32_t dispatcher, uint32_t prog)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int fd = find_called(dispatcher), rc;

	if (fd < 0)
		return false;
	rc = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return !rc && info.id == prog;
}

static int attach_port(struct wm_dp *dp, struct wm_dp_port *port, enum wm_dp_mode mode,
		       bool *fresh, struct wm_err *err)
{
	bool generic;
	uint32_t id;
	int rc;

	rc = attached_id(port->name, &id, &generic, err);
	if (rc)
		return rc;
	port->ifindex = if_nametoindex(port->name);
	*fresh = !id;
	if (!id)
		return attach_fresh(dp, port, mode, err);
	port->called = id != dp->prog_id && calls(id, dp->prog_id);
	if (id != dp->prog_id && !port->called)
		return wm_err__set(err, -EBUSY, "%s has XDP program %u, not the one that serves %s "
				   "(%u): take it off first", port->name, id, dp->ports[0].name,
				   dp->prog_id);
	dp->generic |= generic;
	return 0;
}

static void detach_port(const struct wm_dp *dp, const struct wm_dp_port *port)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = dp->prog_fd);
	int rc = bpf_xdp_detach(port->ifindex, XDP_FLAGS_REPLACE, &opts);

	if (rc && rc != -ENODEV)
		wm_warn("cannot take the program off %s: %s", port->name, strerror(-rc));
}

/* All interfaces, or none of those that had no program before. */
int wm_dp_attach(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err)
{
	bool *fresh = calloc(options->n_interfaces + 1, sizeof(*fresh));
	size_t i;
	int rc = 0;

	dp->mode = options->mode;
	dp->ports = calloc(options->n_interfaces + 1, sizeof(*dp->ports));
	if (!dp->ports || !fresh) {
		free(fresh);
		return wm_err__sys(err, -ENOMEM, "cannot attach");
	}
	for (i = 0; i < options->n_interfaces && !rc; i++) {
		strncpy(dp->ports[i].name, options->interfaces[i], IF_NAMESIZE - 1);
		rc = attach_port(dp, &dp->ports[i], options->mode, &fresh[i], err);
	}
	dp->n_ports = rc ? 0 : i;
	while (rc && i-- > 0)
		if (fresh[i] && dp->ports[i].ifindex)
			detach_port(dp, &dp->ports[i]);
	free(fresh);
	return rc;
}

int wm_dp__attach_again(struct wm_dp *dp, const char *interface, struct wm_err *err)
{
	bool fresh;

	if (dp->kfunc)
		return wm_err__set(err, -EOPNOTSUPP, "%s is another device than before and needs "
				   "a program that is bound to it: restart waymarkd", interface);
	for (size_t i = 0; i < dp->n_ports; i++)
		if (!strcmp(dp->ports[i].name, interface))
			return attach_port(dp, &dp->ports[i], dp->mode, &fresh, err);
	return wm_err__set(err, -ENOENT, "interface %s is not served", interface);
}

int wm_dp__detach(struct wm_dp *dp, struct wm_err *err)
{
	int failed = 0;

	for (size_t i = 0; i < dp->n_ports; i++) {
		LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = dp->prog_fd);
		const struct wm_dp_port *port = &dp->ports[i];
		int rc;

		if (port->called) {
			wm_warn("%s: waymark (id %u) is one of several programs and stays: "
				"xdp-loader unload %s --id %u", port->name, dp->prog_id, port->name,
				dp->prog_id);
			continue;
		}
		rc = bpf_xdp_detach(port->ifindex, XDP_FLAGS_REPLACE, &opts);
		if (rc && rc != -ENODEV)
			failed = wm_err__sys(err, rc, "cannot take the program off %s",
					     port->name);
	}
	if (dp->pin)
		wm_dp_unpin(dp->pin);
	return failed;
}
