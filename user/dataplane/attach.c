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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dp.h"
#include "ifindex.h"
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
	int ifindex = wm_ifindex__of(interface), rc;

	if (ifindex < 0)
		return wm_dp_cannot(err, ifindex, "interface %s", interface);
	rc = bpf_xdp_query(ifindex, 0, &query);
	if (rc)
		return wm_dp_cannot(err, rc, "cannot ask %s for its XDP program", interface);
	*id = query.drv_prog_id ?: query.skb_prog_id ?: query.prog_id;
	*generic = !query.drv_prog_id && query.skb_prog_id;
	return 0;
}

static uint32_t id_of(int prog_fd)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) ? 0 : info.id;
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
	if (fd < 0 && wm_dp_lacks_means(-errno))
		return -errno;
	if (fd >= 0 && !wm_dp_prog_name(fd, name) && wm_dp_is_ours(name))
		return fd;
	if (fd >= 0)
		close(fd);
	return -ENOENT;
}

/* -ENOENT: it calls none of ours. Another -errno: it cannot be known. */
static int find_called(uint32_t dispatcher)
{
	uint32_t link = 0;

	while (!bpf_link_get_next_id(link, &link)) {
		int fd = open_called(dispatcher, link);

		if (fd >= 0 || wm_dp_lacks_means(fd))
			return fd;
	}
	return -ENOENT;
}

/* 1 or 0; -errno: it cannot be known. */
static int calls(uint32_t dispatcher, uint32_t prog)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int fd = find_called(dispatcher), rc;

	if (fd < 0)
		return wm_dp_lacks_means(fd) ? fd : 0;
	rc = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	return !rc && info.id == prog;
}

bool wm_dp_serves(const char *interface, int prog_fd)
{
	uint32_t prog = id_of(prog_fd), id;
	bool generic;

	if (!prog || attached_id(interface, &id, &generic, NULL))
		return false;
	return id == prog || calls(id, prog) > 0 || wm_dp_on_queues(interface) == prog;
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
		return wm_dp_cannot(err, -errno, "cannot open XDP program %u of %s", id, interface);
	rc = wm_dp_prog_name(fd, name);
	if (!rc && wm_dp_is_ours(name))
		return fd;
	close(fd);
	if (rc)
		return wm_err__sys(err, rc, "cannot inspect XDP program %u of %s", id, interface);
	called = find_called(id);
	if (called == -ENOENT)
		return refuse(interface, name, id, err);
	return called < 0 ? wm_dp_cannot(err, called, "cannot open the programs that XDP program "
					 "%u of %s calls", id, interface) : called;
}

int wm_dp_find_attached(const char *interface, bool whole, int *prog_fd, bool *generic,
			struct wm_err *err)
{
	int64_t on_queues;
	uint32_t id;
	int rc;

	rc = attached_id(interface, &id, generic, err);
	if (rc)
		return rc;
	rc = id ? open_device(interface, id, err) : -ENOENT;
	if (wm_dp_lacks_means(rc))
		return rc;
	on_queues = rc < 0 ? wm_dp_on_queues(interface) : 0;
	if (on_queues < 0)
		return wm_dp_cannot(err, on_queues, "cannot look at the queues of %s", interface);
	if (on_queues) {
		*generic = false;
		rc = bpf_prog_get_fd_by_id(on_queues);
		if (rc < 0)
			return wm_dp_cannot(err, -errno, "cannot open XDP program %u of %s",
					    (uint32_t)on_queues, interface);
	}
	/* Whose the device's program is does not matter to one who wants queues. */
	if (rc == -ENOENT || (rc == -EBUSY && !whole))
		return wm_err__set(err, -ENOENT, "no XDP program of waymark is attached to %s",
				   interface);
	*prog_fd = rc;
	return rc < 0 ? rc : 0;
}

int wm_dp_is_on_device(const char *interface, int prog_fd)
{
	bool generic;
	uint32_t id;
	int rc = attached_id(interface, &id, &generic, NULL);

	return rc ?: id && id == id_of(prog_fd);
}

static int attach_as(int ifindex, int prog_fd, uint32_t mode)
{
	return bpf_xdp_attach(ifindex, prog_fd, mode | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}

static int attach_fresh(struct wm_dp *dp, const struct wm_dp_port *port, struct wm_err *err)
{
	int rc = -EOPNOTSUPP;

	if (dp->mode != WM_XDP_GENERIC || port->kfunc) {
		rc = attach_as(port->ifindex, port->prog_fd, XDP_FLAGS_DRV_MODE);
		if (!rc)
			return 0;
	}
	if (dp->mode == WM_XDP_NATIVE || port->kfunc)
		return wm_err__sys(err, rc, "cannot attach natively to %s (try --mode generic)",
				   port->name);
	if (dp->mode == WM_XDP_AUTO)
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
	bool first = port == &dp->ports[dp->first];

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

	if (fd < 0 && wm_dp_lacks_means(-errno))
		return -errno;
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

/* Of another build? Then ours takes its place; it is kept until all is done. */
static int renew(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err)
{
	int old = port->prog_fd, rc;

	if (dp->keep_old || wm_dp_build_is(old, &dp->own) > 0)
		return 0;
	rc = choose_program(dp, port, err);
	if (rc) {
		port->prog_fd = old;
	} else if (wm_dp_same_code(old, port->prog_fd)) {
		close(port->prog_fd);
		port->prog_fd = old;
		wm_dp_build_label(old, &dp->own);
	} else {
		port->old_fd = old;
	}
	return rc;
}

/* A program of ours of whatever version, or -1. */
static int open_ours(uint32_t id)
{
	int fd = bpf_prog_get_fd_by_id(id);
	char name[BPF_OBJ_NAME_LEN];

	if (fd < 0 || (!wm_dp_prog_name(fd, name) && wm_dp_is_ours(name)))
		return fd;
	close(fd);
	return -1;
}

/* The one that is there, on the device or a queue, or one that could be. */
static int find_program(struct wm_dp *dp, struct wm_dp_port *port, bool whole,
			struct wm_err *err)
{
	bool generic, on_device;
	int64_t on_queues;
	uint32_t id;
	int rc;

	if (port->prog_fd >= 0)
		return 0;
	rc = attached_id(port->name, &id, &generic, err);
	if (rc)
		return rc;
	rc = id ? keep_attached(dp, port, id) : -ENOENT;
	on_device = !rc;
	if (rc && !wm_dp_lacks_means(rc)) {
		if (dp->fresh && id)
			port->old_fd = open_ours(id);
		on_queues = wm_dp_on_queues(port->name);
		rc = on_queues > 0 ? keep_attached(dp, port, on_queues) : on_queues ?: -ENOENT;
	}
	if (wm_dp_lacks_means(rc))
		return wm_dp_cannot(err, rc, "cannot open the XDP programs of %s", port->name);
	if (rc)
		rc = choose_program(dp, port, err);
	else if (on_device && whole)
		rc = renew(dp, port, err);
	if (!rc)
		port->prog_id = id_of(port->prog_fd);
	return rc;
}

static int replace(const struct wm_dp_port *port, int now, int next, bool generic)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = now);

	return bpf_xdp_attach(port->ifindex, next, XDP_FLAGS_REPLACE |
			      (generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE), &opts);
}

/* In one step: a packet meets the one or the other. */
static int replace_device(struct wm_dp *dp, struct wm_dp_port *port, bool generic,
			  struct wm_err *err)
{
	int rc = replace(port, port->old_fd, port->prog_fd, generic);

	if (rc)
		return wm_err__sys(err, rc, "cannot replace the program on %s", port->name);
	port->replaced = true;
	dp->generic |= generic;
	wm_info("%s: program %u was replaced by %u", port->name, id_of(port->old_fd),
		port->prog_id);
	return 0;
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
	if (port->old_fd >= 0 && id == id_of(port->old_fd))
		return replace_device(dp, port, generic, err);
	rc = id != port->prog_id ? calls(id, dp->prog_id) : 0;
	if (rc < 0)
		return wm_dp_cannot(err, rc, "cannot open the programs that XDP program %u of %s "
				    "calls", id, port->name);
	port->called = rc;
	if (id != port->prog_id && !port->called)
		return wm_err__set(err, -EBUSY, "%s has XDP program %u, not the one that serves %s "
				   "(%u): take it off first", port->name, id,
				   dp->ports[dp->first].name, dp->prog_id);
	dp->generic |= generic;
	return 0;
}

static int attach_port(struct wm_dp *dp, struct wm_dp_port *port, const struct wm_queueset *want,
		       struct wm_err *err)
{
	bool whole = !wm_queueset__count(want);
	int rc;

	rc = wm_ifindex__of(port->name);
	if (rc < 0 && rc != -ENODEV)
		return wm_dp_cannot(err, rc, "interface %s", port->name);
	port->ifindex = rc > 0 ? rc : 0;
	port->called = port->fresh_device = port->replaced = false;
	port->fresh_queues = (struct wm_queueset){};
	if (!port->ifindex)
		return 0; /* wm_dp__attach_again() when it comes */
	rc = find_program(dp, port, whole, err);
	if (rc)
		return rc;
	if (whole)
		return attach_device(dp, port, err);
	if (dp->mode == WM_XDP_GENERIC)
		return wm_err__set(err, -EINVAL, "interface %s: queues: a queue's own program runs "
				   "in the driver, not in generic mode", port->name);
	return wm_dp_place_queues(port, want, &port->fresh_queues, err);
}

/* Is the program with this id one that serves the port? */
static bool serves(const struct wm_dp *dp, const struct wm_dp_port *port, uint32_t id,
		   char name[BPF_OBJ_NAME_LEN])
{
	int fd = bpf_prog_get_fd_by_id(id);
	bool ours = false;

	*name = '\0';
	if (fd >= 0) {
		wm_dp_prog_name(fd, name);
		ours = wm_dp_is_ours(name) && wm_dp_shares_maps(dp, fd);
		close(fd);
	}
	return ours || id == port->prog_id || calls(id, dp->prog_id) > 0;
}

static void judge_device(const struct wm_dp *dp, const struct wm_dp_port *port,
			 struct wm_dp_state *state)
{
	if (!state->prog_id)
		state->service = port->called ? WM_DP_UNCALLED : WM_DP_BARE;
	else if (serves(dp, port, state->prog_id, state->prog_name))
		state->service = WM_DP_SERVED;
	else
		state->service = strcmp(state->prog_name, DISPATCHER) ? WM_DP_FOREIGN
								      : WM_DP_UNCALLED;
}

int wm_dp__look(const struct wm_dp *dp, size_t i, struct wm_dp_state *state)
{
	const struct wm_dp_port *port = &dp->ports[i];
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct wm_dp_state is = {};
	char name[IF_NAMESIZE];
	int rc = port->ifindex ? bpf_xdp_query(port->ifindex, 0, &query) : 0;

	if (rc && rc != -ENODEV)
		return rc;
	is.prog_id = query.drv_prog_id ?: query.skb_prog_id ?: query.prog_id;
	is.generic = !query.drv_prog_id && query.skb_prog_id;
	/* libbpf finds no program on what is not there. Asked last: a device loses its
	 * program before its name. */
	if (!port->ifindex || !if_indextoname(port->ifindex, name))
		is.service = WM_DP_ABSENT;
	else if (wm_queueset__count(&port->queues))
		is.service = wm_dp_queues_served(port) ? WM_DP_SERVED : WM_DP_BARE;
	else
		judge_device(dp, port, &is);
	*state = is;
	return 0;
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
static void undo_port(const struct wm_dp *dp, const struct wm_dp_port *port)
{
	struct wm_queueset keep = {};

	if (port->replaced && replace(port, port->prog_fd, port->old_fd, dp->generic))
		wm_warn("%s keeps the new program", port->name);
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

static void forget_old(struct wm_dp_port *port)
{
	if (port->old_fd >= 0)
		close(port->old_fd);
	port->old_fd = -1;
}

static int attach_all(struct wm_dp *dp, const struct wm_queueset *queues, struct wm_err *err)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < dp->n_ports && !rc; i++)
		rc = attach_port(dp, &dp->ports[i], wanted(queues, i), err);
	if (rc)
		for (i--; i-- > 0;)
			undo_port(dp, &dp->ports[i]);
	else
		for (i = 0; i < dp->n_ports; i++)
			dp->ports[i].queues = *wanted(queues, i);
	for (i = 0; i < dp->n_ports; i++)
		forget_old(&dp->ports[i]);
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
		dp->ports[i].prog_fd = dp->ports[i].old_fd = -1;
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

		if (!port->ifindex)
			continue;
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

	if (port->prog_fd >= 0 && port->ifindex == wm_ifindex__of(port->name))
		return attach_port(dp, port, &port->queues, err);
	if (port->prog_fd >= 0)
		close(port->prog_fd);
	port->prog_fd = -1;
	if (bound) {
		rc = wm_dp_load_port(dp, port, err);
		port->prog_id = rc ? 0 : id_of(port->prog_fd);
	}
	rc = rc ?: attach_port(dp, port, &port->queues, err);
	if (!rc && bound && port == &dp->ports[dp->first])
		wm_dp_set_program(dp, port->prog_fd);
	return rc;
}

void wm_dp__rename(struct wm_dp *dp, size_t i, const char *name)
{
	snprintf(dp->ports[i].name, sizeof(dp->ports[i].name), "%s", name);
}

int wm_dp__attach_again(struct wm_dp *dp, size_t i, const char *name, struct wm_err *err)
{
	struct wm_dp_port *port = &dp->ports[i];
	int ifindex;

	wm_dp__rename(dp, i, name);
	ifindex = wm_ifindex__of(name);
	if (ifindex < 0)
		return wm_err__sys(err, ifindex, "interface %s", name);
	return attach_again(dp, port, err);
}

int wm_dp__detach(struct wm_dp *dp, struct wm_err *err)
{
	const struct wm_queueset none = {};
	int failed = 0;

	for (size_t i = 0; i < dp->n_ports; i++) {
		const struct wm_dp_port *port = &dp->ports[i];
		int rc;

		if (!port->ifindex)
			continue;
		if (port->called) {
			wm_warn("%s: waymark (id %u) is one of several programs and stays: "
				"xdp-loader unload %s --id %u", port->name, dp->prog_id, port->name,
				dp->prog_id);
			continue;
		}
		wm_dp_leave_queues(port, &none);
		rc = leave_device(port);
		if (rc)
			failed = wm_err__sys(err, rc, "cannot take the program off %s", port->name);
	}
	if (dp->pin)
		wm_dp_unpin(dp->pin);
	return failed;
}
