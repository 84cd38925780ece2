// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel says of queues becomes rows; a command that changes some shows these
 * as they are afterwards. Several queues are changed one by one: at the first that the
 * kernel refuses the command ends and says which it was; those before it stay changed.
 */
#include "queues.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>

#include "netlink.h"
#include "queue.h"
#include "queueset.h"
#include "views.h"

/* What a kernel or a driver lacks has an exit code of its own: a script can go on
 * without it. */
static int failed(const struct invocation *in, int error, const struct wm_err *err)
{
	bool lacking = error == -ENOSYS || error == -EOPNOTSUPP;

	return invocation__fail(in, lacking ? WM_EXIT_UNSUPPORTED : WM_EXIT_FAILED,
				*err->text ? err->text : strerror(-error));
}

static json_t *number_or_null(uint32_t value)
{
	return value ? json_integer(value) : json_null();
}

static json_t *row_of(const struct wm_queue *queue)
{
	char device[IF_NAMESIZE + 16];

	if (!if_indextoname(queue->ifindex, device)) /* gone, or in another namespace */
		snprintf(device, sizeof(device), "%d", queue->ifindex);
	return json_pack("{s:s, s:s, s:I, s:s?, s:o, s:s?, s:o}", "device", device, "type",
			 wm_queue_type__name(queue->type), "queue", (json_int_t)queue->id, "state",
			 wm_queue_state__name(queue->state), "xdp_prog_id",
			 number_or_null(queue->program), "memory",
			 wm_queue_memory__name(queue->memory), "napi_id",
			 number_or_null(queue->napi));
}

static void add_row(void *arg, const struct wm_queue *queue)
{
	json_array_append_new(arg, row_of(queue));
}

/* --- list --- */

int queue__list(struct invocation *in)
{
	const char *device = in->n_arguments ? in->argument[0] : NULL;
	int ifindex = device ? if_nametoindex(device) : 0, ret;
	struct wm_queues *queues = NULL;
	json_t *rows = json_array();
	struct wm_err err = { "" };

	if (device && !ifindex)
		ret = wm_err__sys(&err, -ENODEV, "interface %s", device);
	else
		ret = wm_queues__open(&queues, &err) ?:
		      wm_queues__list(queues, ifindex, add_row, rows, &err);
	wm_queues__close(queues);
	ret = ret ? failed(in, ret, &err) : invocation__show(in, in->command->view, rows);
	json_decref(rows);
	return ret;
}

/* --- change --- */

static int change(struct invocation *in, struct wm_queues *queues, enum wm_queue_action action,
		  json_t *rows, struct wm_err *err)
{
	struct wm_queueset set = {};
	struct wm_queue queue;
	int ret = 0;

	wm_queueset__parse(&set, in->argument[1]); /* was checked */
	wm_queueset__each(id, &set) {
		ret = wm_queues__do(queues, action, in->argument[0], id, err) ?:
		      wm_queues__get(queues, in->argument[0], id, &queue, err);
		if (ret)
			return ret;
		add_row(rows, &queue);
	}
	return 0;
}

static int run(struct invocation *in, enum wm_queue_action action)
{
	struct wm_queues *queues = NULL;
	json_t *rows = json_array();
	struct wm_err err = { "" };
	int ret, shown = WM_EXIT_OK;

	ret = wm_queues__open(&queues, &err) ?: change(in, queues, action, rows, &err);
	wm_queues__close(queues);
	if (!ret || json_array_size(rows))
		shown = invocation__show(in, in->command->view, rows);
	json_decref(rows);
	return ret ? failed(in, ret, &err) : shown;
}

int queue__stop(struct invocation *in)
{
	return run(in, WM_QUEUE_STOP);
}

int queue__start(struct invocation *in)
{
	return run(in, WM_QUEUE_START);
}

int queue__restart(struct invocation *in)
{
	return run(in, WM_QUEUE_RESTART);
}

/* --- monitor --- */

struct monitor {
	const struct invocation *in;
	struct output out;
	int ifindex;       /* 0: of all devices */
	unsigned int left; /* changes to show; 0: no end */
	int code;
	bool done;
};

static void on_message(const struct nlmsghdr *msg, void *arg)
{
	struct monitor *m = arg;
	struct wm_queue queue;
	json_t *row;

	if (m->done || !wm_queue__read(msg, &queue) || (m->ifindex && queue.ifindex != m->ifindex))
		return;
	row = row_of(&queue);
	m->code = view__show(m->in->command->view, row, &m->out, NULL) ? WM_EXIT_FAILED : 0;
	json_decref(row);
	/* One that reads along wants each line when it happens. */
	m->done = m->code || fflush(m->out.file) || (m->left && !--m->left);
}

static int hear(struct monitor *m, struct mnl_socket *socket, struct wm_err *err)
{
	struct pollfd readable = { .fd = mnl_socket_get_fd(socket), .events = POLLIN };
	int ret;

	while (!m->done) {
		ret = wm_nl__hear(socket, on_message, m);
		if (ret == -ENOBUFS)
			invocation__warn(m->in, "changes were missed: too many at once");
		else if (ret)
			return wm_err__sys(err, ret, "cannot hear of queues");
		else if (!m->done)
			poll(&readable, 1, -1);
	}
	return 0;
}

int queue__monitor(struct invocation *in)
{
	const char *device = in->n_arguments ? in->argument[0] : NULL;
	struct monitor m = { .in = in, .out = in->out };
	struct wm_queues *queues = NULL;
	struct mnl_socket *socket = NULL;
	struct wm_err err = { "" };
	int ret = 0;

	m.out.raw |= m.out.json; /* one line a change */
	m.left = invocation__number(in, "count");
	m.ifindex = device ? if_nametoindex(device) : 0;
	if (device && !m.ifindex)
		ret = wm_err__sys(&err, -ENODEV, "interface %s", device);
	ret = ret ?: wm_queues__open(&queues, &err) ?: wm_queues__listen(queues, &socket, &err) ?:
	      hear(&m, socket, &err);
	if (socket)
		mnl_socket_close(socket);
	wm_queues__close(queues);
	return ret ? failed(in, ret, &err) : m.code;
}
