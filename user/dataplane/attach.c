// SPDX-License-Identifier: GPL-2.0
/*
 * Interfaces. The program is attached through netlink, so it outlives the
 * daemon and `ip link` shows it and can end it. What somebody else attached is
 * never replaced. Where that is libxdp's dispatcher and waymark one of the programs
 * that it calls, we serve as that one; xdp-loader put it there and takes it away.
 * Single queues of an interface: place.c.
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

int wm_dp_prog_name(int fd, char name[BPF_OBJ_NAME_LEN])
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

bool wm_dp_is_ours(const char *name)
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
	if (fd >= 0 && !wm_dp_prog_name(fd, name) && wm_dp_is_ours(name))
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
		return wm_err__set(err, -EBUSY, "%s has libxdp's dispatcher (id %u), and waymark "
				   "is not among its programs: xdp-loader load %s waymark.bpf.o -n "
				   WM_PROG_NAME ", or xdp-loader unload %s --all", interface, id,
				   interface, interface);
	return wm_err__set(err, -EBUSY, "%s already has the XDP program %s (id %u), which is "
			   "not waymark's: take it off first (ip link set dev %s xdp off)",
			   interface, name, id, interface);
}

/* Our program on the device, called by what is there, or -EBUSY. */
static int open_device(const char *interface, uint32_t id, struct wm_err *err)
{
	char name[BPF_OBJ_NAME_LEN];
	int fd = bpf_prog_get_fd_by_id(id), called, rc;

	if (fd < 0)
		return wm_err__sys(err, -errno, "cannot open XDP program %u of %s", id, interface);
	rc = wm_dp_prog_name(fd, name);
	if (!rc && wm_dp_is_ours(name))
		return fd;
	close(fd);
	if (rc)
		return wm_err__sys(err, rc, "cannot inspect XDP program %u of %s", id, interface);
	called = find_called(id);
	return called < 0 ? refuse(interface, name, id, err) : called;
}

int wm_dp_find_attached(const char *interface, bool whole, int *prog_fd, bool *generic,
			struct wm_err *err)
{
	uint32_t id, on_queues;
	int rc;

	rc = attached_id(interface, &id, generic, err);
	if (rc)
		return rc;
	rc = id ? open_device(interface, id, err) : -ENOENT;
	on_queues = rc < 0 ? wm_dp_on_queues(interface) : 0;
	if (on_queues) {
		*generic = false;
		rc = bpf_prog_get_fd_by_id(on_queues);
		if (rc < 0)
			return wm_err__sys(err, -errno, "cannot open XDP program %u of %s",
					   on_queues, interface);
	}
	/* Whose the device's program is does not matter to one who wants queues. */
	if (rc == -ENOENT || (rc == -EBUSY && !whole))
		return wm_err__set(err, -ENOENT, "no XDP program of waymark is attached to %s",
				   interface);
	*prog_fd = rc;
	return rc < 0 ? rc : 0;
}

static int attach_as(int ifindex, int prog_fd, uint32_t mode)
{
	return bpf_xdp_attach(ifindex, prog_fd, mode | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}

static int attach_fresh(struct wm_dp *dp, const struct wm_dp_port *port, struct wm_err *err)
{
	int rc = -EOPNOTSUPP;

	if (dp->mode != WM_DP_GENERIC || port->kfunc) {
		rc = attach_as(port->ifindex, port->prog_fd, XDP_FLAGS_DRV_MODE);
		if (!rc)
			return 0;
	}
	if (dp->mode == WM_DP_NATIVE || port->kfunc)
		return wm_err__sys(err, rc, "cannot attach natively to %s (try --mode generic)",
				   port->name);
	if (dp->mode == WM_DP_AUTO)
		wm_warn("%s: no native XDP (%s), using generic mode: correct, but slow", port->name,
			strerror(-rc));
	rc = attach_as(port->ifindex, port->prog_fd, XDP_FLAGS_SKB_MODE);
	if (rc)
		return wm_err__sys(err, rc, "cannot attach to %s", port->name);
	dp->generic = true;
	return 0;
}

/* The program for a port that has none: the first port's, unless one of the two has to be
 * bound to its device. */
static int choose_program(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err)
{
	bool first = port == dp->ports;

	if (!first && (dp->kfunc || wm_dp_wants_kfunc(dp, port->name)))
		return wm_dp_load_port(dp, port, err);
	port->kfunc = first && dp->kfunc;
	port->prog_fd = dup(dp->prog_fd);
	return port->prog_fd < 0 ? wm_err__sys(err, -errno, "%s", port->name) : 0;
}

/* A program of ours, around the same maps, as an earlier daemon left it. */
static int keep_attached(struct wm_dp *dp, struct wm_dp_port *port, uint32_t id)
{
	int fd = bpf_prog_get_fd_by_id(id);
	char name[BPF_OBJ_NAME_LEN];

	if (fd < 0 || wm_dp_prog_name(fd, name) || !wm_dp_is_ours(name) ||
	    !wm_dp_shares_maps(dp, fd)) {
		if (fd >= 0)
			close(fd);
		return -EBUSY;
	}
	port->prog_fd = fd;
	port->kfunc = !strcmp(name, WM_PROG_HW_NAME);
	return 0;
}

static uint32_t id_of(int prog_fd)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) ? 0 : info.id;
}

/* The one that is there, on the device or a queue, or one that could be. */
static int find_program(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err)
{
	bool generic;
	uint32_t id;
	int rc;

	if (port->prog_fd >= 0)
		return 0;
	rc = attached_id(port->name, &id, &generic, err);
	if (rc)
		return rc;
	if (!id || keep_attached(dp, port, id)) {
		id = wm_dp_on_queues(port->name);
		rc = id && !keep_attached(dp, port, id) ? 0 : choose_program(dp, port, err);
	}
	if (!rc)
		port->prog_id = id_of(port->prog_fd);
	return rc;
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

/* On the device, unless it is there. */
static int attach_device(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err)
{
	bool generic;
	uint32_t id;
	int rc;

	rc = attached_id(port->name, &id, &generic, err);
	if (rc)
		return rc;
	if (!id) {
		rc = attach_fresh(dp, port, err);
		port->fresh_device = !rc;
		return rc;
	}
	port->called = id != port->prog_id && calls(id, dp->prog_id);
	if (id != port->prog_id && !port->called)
		return wm_err__set(err, -EBUSY, "%s has XDP program %u, not the one that serves %s "
				   "(%u): take it off first", port->name, id, dp->ports[0].name,
				   dp->prog_id);
	dp->generic |= generic;
	return 0;
}

static int attach_port(struct wm_dp *dp, struct wm_dp_port *port, const struct wm_queueset *want,
		       struct wm_err *err)
{
	int rc;

	port->ifindex = if_nametoindex(port->name);
	port->called = port->fresh_device = false;
	port->fresh_queues = (struct wm_queueset){};
	rc = find_program(dp, port, err);
	if (rc)
		return rc;
	if (!wm_queueset__count(want))
		return attach_device(dp, port, err);
	if (dp->mode == WM_DP_GENERIC)
		return wm_err__set(err, -EINVAL, "interface %s: queues: a queue's own program runs "
				   "in the driver, not in generic mode", port->name);
	return wm_dp_place_queues(port, want, &port->fresh_queues, err);
}

static int detach_device(const struct wm_dp_port *port)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = port->prog_fd);
	int rc = bpf_xdp_detach(port->ifindex, XDP_FLAGS_REPLACE, &opts);

	return rc == -ENODEV ? 0 : rc;
}

/* The same if it is there. */
static int leave_device(const struct wm_dp_port *port)
{
	bool generic;
	uint32_t id;

	if (attached_id(port->name, &id, &generic, NULL) || id != port->prog_id)
		return 0;
	return detach_device(port);
}

static void tell_detach(const struct wm_dp_port *port, int rc)
{
	if (rc)
		wm_warn("cannot take the program off %s: %s", port->name, strerror(-rc));
}

/* What attach_port() did last. */
static void undo_port(const struct wm_dp_port *port)
{
	struct wm_queueset keep = {};

	if (port->fresh_device)
		tell_detach(port, detach_device(port));
	if (!wm_queueset__count(&port->fresh_queues))
		return;
	for (uint32_t id = 0; id < WM_QUEUES_MAX; id++)
		if (!wm_queueset__has(&port->fresh_queues, id))
			wm_queueset__add(&keep, id);
	wm_dp_leave_queues(port, &keep);
}

static const struct wm_queueset *wanted(const struct wm_queueset *queues, size_t i)
{
	static const struct wm_queueset all;

	return queues ? &queues[i] : &all;
}

static int attach_all(struct wm_dp *dp, const struct wm_queueset *queues, struct wm_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < dp->n_ports && !rc; i++)
		rc = attach_port(dp, &dp->ports[i], wanted(queues, i), err);
	if (rc)
		for (i--; i-- > 0;)
			undo_port(&dp->ports[i]);
	else
		for (i = 0; i < dp->n_ports; i++)
			dp->ports[i].queues = *wanted(queues, i);
	return rc;
}

/* All interfaces, or none of those that had no program before. */
int wm_dp_attach(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err)
{
	dp->ports = calloc(options->n_interfaces + 1, sizeof(*dp->ports));
	if (!dp->ports)
		return wm_err__sys(err, -ENOMEM, "cannot attach");
	for (size_t i = 0; i < options->n_interfaces; i++)
		strncpy(dp->ports[i].name, options->interfaces[i], IF_NAMESIZE - 1);
	dp->n_ports = options->n_interfaces;
	for (size_t i = 0; i < dp->n_ports; i++)
		dp->ports[i].prog_fd = -1;
	return attach_all(dp, options->queues, err);
}

int wm_dp__place(struct wm_dp *dp, const struct wm_queueset *queues, struct wm_err *err)
{
	return attach_all(dp, queues, err);
}

void wm_dp__vacate(struct wm_dp *dp)
{
	for (size_t i = 0; i < dp->n_ports; i++) {
		const struct wm_dp_port *port = &dp->ports[i];

		wm_dp_leave_queues(port, &port->queues);
		if (wm_queueset__count(&port->queues))
			tell_detach(port, leave_device(port));
	}
}

/* A program that was bound to the old device is of no use on the new one. */
static int attach_again(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err)
{
	bool bound = port->kfunc;
	int rc = 0;

	if (port->prog_fd >= 0)
		close(port->prog_fd);
	port->prog_fd = -1;
	if (bound) {
		rc = wm_dp_load_port(dp, port, err);
		port->prog_id = rc ? 0 : id_of(port->prog_fd);
	}
	rc = rc ?: attach_port(dp, port, &port->queues, err);
	if (!rc && bound && port == dp->ports)
		wm_dp_set_program(dp, port->prog_fd);
	return rc;
}

int wm_dp__attach_again(struct wm_dp *dp, const char *interface, struct wm_err *err)
{
	for (size_t i = 0; i < dp->n_ports; i++)
		if (!strcmp(dp->ports[i].name, interface))
			return attach_again(dp, &dp->ports[i], err);
	return wm_err__set(err, -ENOENT, "interface %s is not served", interface);
}

int wm_dp__detach(struct wm_dp *dp, struct wm_err *err)
{
	const struct wm_queueset none = {};
	int failed = 0;

	for (size_t i = 0; i < dp->n_ports; i++) {
		const struct wm_dp_port *port = &dp->ports[i];
		int rc;

		if (port->called) {
			wm_warn("%s: waymark (id %u) is one of several programs and stays: "
				"xdp-loader unload %s --id %u", port->name, dp->prog_id, port->name,
				dp->prog_id);
			continue;
		}
		wm_dp_leave_queues(port, &none);
		rc = wm_queueset__count(&port->queues) ? leave_device(port)
						       : detach_device(port);
		if (rc)
			failed = wm_err__sys(err, rc, "cannot take the program off %s", port->name);
	}
	if (dp->pin)
		wm_dp_unpin(dp->pin);
	return failed;
}
