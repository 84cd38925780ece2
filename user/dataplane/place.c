// SPDX-License-Identifier: GPL-2.0
/*
 * Where on an interface the program is: on the device, so that it has every queue, or on
 * single receive queues, and the others go on without it. It may be in both for a while:
 * when the place changes, the program is attached where it lacks first and taken off
 * where it is not wanted afterwards, so no packet meets a queue without it. In between the
 * daemon moves the NIC's rules.
 *
 * Nothing of this is remembered: what the kernel says of the queues is the truth, so a
 * daemon that comes after one that was killed, or was told of other queues, finds all.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dp.h"
#include "log.h"
#include "queue.h"

/* The receive queues of a device, and the programs on them. */
struct occupants {
	struct wm_queueset there;
	uint32_t program[WM_QUEUES_MAX];
};

static void see(void *arg, const struct wm_queue *queue)
{
	struct occupants *o = arg;

	if (queue->type != WM_QUEUE_RX || queue->id >= WM_QUEUES_MAX)
		return;
	wm_queueset__add(&o->there, queue->id);
	o->program[queue->id] = queue->program;
}

/* A kernel that does not know queues has no programs on them. */
static int look(const char *interface, struct occupants *o, struct wm_err *err)
{
	struct wm_queues *queues;
	int rc;

	*o = (struct occupants){};
	rc = wm_queues__open(&queues, err);
	if (rc)
		return rc == -ENOSYS ? 0 : rc;
	if (wm_queues__can(queues, WM_QUEUE_SET))
		rc = wm_queues__list(queues, if_nametoindex(interface), see, o, err);
	wm_queues__close(queues);
	return rc;
}

/* 1 or 0; -errno: it cannot be known. */
static int ours(uint32_t prog_id)
{
	char name[BPF_OBJ_NAME_LEN] = "";
	int fd = bpf_prog_get_fd_by_id(prog_id);

	if (fd < 0)
		return wm_dp_lacks_means(-errno) ? -errno : 0;
	wm_dp_prog_name(fd, name);
	close(fd);
	return wm_dp_is_ours(name);
}

int64_t wm_dp_on_queues(const char *interface)
{
	struct occupants o;
	int rc = look(interface, &o, NULL);

	if (rc)
		return wm_dp_lacks_means(rc) ? rc : 0;
	wm_queueset__each(id, &o.there) {
		rc = o.program[id] ? ours(o.program[id]) : 0;
		if (rc < 0)
			return rc;
		if (rc)
			return o.program[id];
	}
	return 0;
}

/* --- check --- */

static int refuse_occupied(const char *interface, uint32_t id, uint32_t program,
			   struct wm_err *err)
{
	return wm_err__set(err, -EBUSY, "rx queue %u of %s already has XDP program %u, which is "
			   "not the one that is to serve it: take it off first", id, interface,
			   program);
}

static int check_each(const char *interface, const struct wm_queueset *queues,
		      const struct occupants *o, struct wm_err *err)
{
	char there[WM_QUEUESET_TEXT];

	wm_queueset__each(id, queues) {
		int is_ours = o->program[id] ? ours(o->program[id]) : 1;

		if (is_ours < 0)
			return wm_dp_cannot(err, is_ours, "cannot open XDP program %u of rx queue "
					    "%u of %s", o->program[id], id, interface);
		if (!is_ours)
			return refuse_occupied(interface, id, o->program[id], err);
		/* Of a device that is down the kernel lists nothing. */
		if (!wm_queueset__has(&o->there, id) && wm_queueset__count(&o->there))
			return wm_err__set(err, -EINVAL, "%s has no rx queue %u, but %s: see "
					   "ethtool -l %s", interface, id,
					   wm_queueset__format(&o->there, ", ", there,
							       sizeof(there)), interface);
	}
	return 0;
}

int wm_dp__check_queues(const char *interface, const struct wm_queueset *queues,
			struct wm_err *err)
{
	struct wm_queues *kernel;
	struct occupants o;
	struct wm_err why;
	int rc;

	if (!wm_queueset__count(queues))
		return 0;
	rc = wm_queues__open(&kernel, &why);
	if (!rc)
		rc = wm_queues__require(kernel, WM_QUEUE_SET, &why);
	wm_queues__close(kernel);
	if (rc)
		return wm_err__set(err, rc, "interface %s: queues: %s", interface, why.text);
	return look(interface, &o, err) ?: check_each(interface, queues, &o, err);
}

/* --- attach --- */

/* Put the program on these queues or, with fd -1, take it off; `done`: those that were
 * changed. */
static int set_queues(const char *interface, const struct wm_queueset *queues, int fd,
		      struct wm_queueset *done, struct wm_err *err)
{
	struct wm_queues *kernel;
	int rc = wm_queues__open(&kernel, err);

	if (rc)
		return rc;
	for (uint32_t id = wm_queueset__next(queues, 0); id < WM_QUEUES_MAX && !rc;
	     id = wm_queueset__next(queues, id + 1)) {
		rc = wm_queues__set_program(kernel, interface, id, fd, err);
		if (!rc)
			wm_queueset__add(done, id);
	}
	wm_queues__close(kernel);
	return rc;
}

static void take_off(const struct wm_dp_port *port, const struct wm_queueset *queues)
{
	struct wm_queueset done = {};
	struct wm_err err;

	if (wm_queueset__count(queues) && set_queues(port->name, queues, -1, &done, &err))
		wm_warn("%s", err.text);
}

int wm_dp_place_queues(const struct wm_dp_port *port, const struct wm_queueset *want,
		       struct wm_queueset *fresh, struct wm_err *err)
{
	struct wm_queueset lacking = {};
	struct occupants o;
	int rc;

	*fresh = (struct wm_queueset){};
	rc = look(port->name, &o, err) ?: check_each(port->name, want, &o, err);
	if (rc)
		return rc;
	wm_queueset__each(id, want) {
		if (o.program[id] && o.program[id] != port->prog_id)
			return refuse_occupied(port->name, id, o.program[id], err);
		if (!o.program[id])
			wm_queueset__add(&lacking, id);
	}
	rc = set_queues(port->name, &lacking, port->prog_fd, fresh, err);
	if (rc)
		take_off(port, fresh);
	return rc;
}

/* Of a device that is down nothing is listed: then there is nothing to complain of. */
bool wm_dp_queues_served(const struct wm_dp_port *port)
{
	struct occupants o;

	if (look(port->name, &o, NULL))
		return true;
	wm_queueset__each(id, &port->queues)
		if (wm_queueset__has(&o.there, id) && o.program[id] != port->prog_id)
			return false;
	return true;
}

void wm_dp_leave_queues(const struct wm_dp_port *port, const struct wm_queueset *keep)
{
	struct wm_queueset surplus = {};
	struct occupants o;
	bool down;

	if (look(port->name, &o, NULL))
		return;
	/* Of a device that is down nothing is listed: what we attached is still there. */
	down = !wm_queueset__count(&o.there);
	if (down)
		o.there = port->queues;
	wm_queueset__each(id, &o.there)
		if ((down || o.program[id] == port->prog_id) && !wm_queueset__has(keep, id))
			wm_queueset__add(&surplus, id);
	take_off(port, &surplus);
}
