// SPDX-License-Identifier: GPL-2.0
/*
 * Each connection is in one of four phases:
 *
 *   reading   a line is cut off and answered at once;
 *   waiting   for the end of a reload or a change that it asked for, or for flows to be counted:
 *             replies come in the order of the requests, so nothing else is answered
 *             before;
 *   writing   a reply did not fit the socket's buffer; nothing is read before it
 *             is out. So one reply is all that a slow reader can make us hold;
 *   leaving   after a bad message: its reply is written, then our side is shut
 *             and what still comes is thrown away for a moment, so that the peer
 *             reads the reply and not a broken connection.
 *
 * Descriptors are not for us: the kernel refuses them at their sender, or a client that
 * sends some is dropped. Whatever a client left unread is closed by a thread of its own,
 * see closer.h; while too much of that waits, nobody is accepted.
 *
 * Bounds: WM_REQUEST_MAX bytes of a request, WM_REPLY_MAX of a reply,
 * CLIENTS_MAX connections, IDLE_US without a byte in either direction.
 */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <waymark/sockets.h>

#include "accept.h"
#include "closer.h"
#include "lines.h"
#include "listen.h"
#include "log.h"
#include "plain.h"
#include "timer.h"

enum {
	CLIENTS_MAX = 64,
	IDLE_US = 60 * 1000 * WM_TIMER_MS,
	LEAVE_US = 1000 * WM_TIMER_MS,
	LINES_A_TURN = 16, /* then others have their turn */
};

/* Each client, and the listening socket, finds room in the closer. */
_Static_assert(CLIENTS_MAX + 2 < WM_CLOSER_ROOM - WM_CLOSER_FULL, "the closer's room");

struct client {
	struct wm_control *control;
	struct client *next;
	int fd;
	sd_event_source *io;
	struct wm_timer idle;
	struct wm_lines lines;
	char *out;              /* a reply under way */
	size_t out_len, out_done;
	uint64_t reload;        /* number of the one whose end is waited for; 0: none */
	uint64_t change;        /* the same of a change by hand, */
	uint64_t count;         /* and of a count of flows */
	char *request;          /* that the count is for */
	size_t request_len;
	bool leaving, shut;
};

struct wm_control {
	const struct wm_control_ops *ops;
	struct wm_daemon *daemon;
	sd_event *event;
	struct wm_listen listen;
	struct wm_accept accept;
	struct wm_closer *closer;
	struct client *clients;
	size_t n_clients;
};

/* --- connections --- */

static bool waits(const struct client *client)
{
	return client->reload || client->change || client->count;
}

static void drop(struct client *client)
{
	struct client **link = &client->control->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	client->control->n_clients--;
	wm_timer__free(&client->idle);
	sd_event_source_disable_unref(client->io);
	if (client->fd >= 0)
		wm_closer__hang_up(client->control->closer, client->fd);
	wm_lines__free(&client->lines);
	free(client->out);
	free(client->request);
	free(client);
}

static void on_idle(void *arg)
{
	struct client *client = arg;

	if (waits(client))
		wm_timer__arm(&client->idle, IDLE_US); /* it is we who are slow */
	else
		drop(client);
}

/* Writes what is due. 0: all is out; 1: the peer has to read first; -errno. */
static int flush(struct client *client)
{
	while (client->out_done < client->out_len) {
		const char *rest = client->out + client->out_done;
		ssize_t sent = send(client->fd, rest, client->out_len - client->out_done,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? 1 : -errno;
		client->out_done += sent;
		wm_timer__arm(&client->idle, client->leaving ? LEAVE_US : IDLE_US);
	}
	free(client->out);
	client->out = NULL;
	client->out_len = client->out_done = 0;
	return 0;
}

/* To be answered when the flows are counted. */
static int keep_request(struct client *client, const char *line, size_t len)
{
	client->request = malloc(len);
	if (!client->request)
		return -ENOMEM;
	memcpy(client->request, line, len);
	client->request_len = len;
	return 0;
}

/* One line in, one line out. */
static int answer(struct client *client, const char *line, size_t len, bool again)
{
	struct wm_control *control = client->control;
	struct wm_answer reply;

	control->ops->answer(control->daemon, line, len, again, &reply);
	client->reload = reply.reload;
	client->change = reply.change;
	client->count = reply.count;
	if (client->count)
		return keep_request(client, line, len);
	if (client->reload || client->change)
		return 0;
	if (!reply.line)
		return -ENOMEM;
	client->out = reply.line;
	client->out_len = reply.len;
	client->leaving = reply.bad;
	return flush(client);
}

static int complain(struct client *client, const char *text)
{
	client->out = client->control->ops->refuse(text, EMSGSIZE, &client->out_len);
	client->leaving = true;
	return client->out ? flush(client) : -ENOMEM;
}

/* Answer the lines that are there. More than a turn's worth stays for later: a
 * byte that was read does not wake us, so 1 is returned for "come again". */
static int take_lines(struct client *client)
{
	size_t len;
	char *line;
	int ret;

	for (int i = 0; i < LINES_A_TURN; i++) {
		line = wm_lines__next(&client->lines, &len);
		if (!line)
			return 0;
		ret = answer(client, line, len, false);
		if (ret || client->leaving || waits(client))
			return ret;
	}
	return 1;
}

static int read_more(struct client *client)
{
	ssize_t got = wm_lines__read(&client->lines, client->fd);

	if (got == -EAGAIN)
		return 0;
	if (got == -EMSGSIZE)
		return complain(client, "the request is too long");
	if (!got)
		return -EPIPE;
	if (got < 0)
		return got;
	wm_timer__arm(&client->idle, IDLE_US);
	return take_lines(client);
}

/* Nothing is wanted from the peer any more. */
static int leave(struct client *client)
{
	char waste[4096];
	ssize_t got;

	if (!client->shut) {
		shutdown(client->fd, SHUT_WR);
		client->shut = true;
		wm_timer__arm(&client->idle, LEAVE_US);
	}
	got = wm_plain__recv(client->fd, waste, sizeof(waste));
	return got > 0 || got == -EAGAIN ? 0 : -EPIPE;
}

static int go_on(struct client *client)
{
	int ret = flush(client);

	if (!ret && !client->leaving) {
		ret = take_lines(client);
		if (!ret && !client->leaving && !waits(client))
			ret = read_more(client);
	}
	if (!ret && client->leaving)
		ret = leave(client);
	return ret;
}

/* While there is something to write, or lines are left from the last turn, the
 * peer's room in its buffer is what we wait for. */
static void listen_for(struct client *client, bool room)
{
	sd_event_source_set_io_events(client->io, waits(client) ? 0 : room ? EPOLLOUT : EPOLLIN);
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct client *client = arg;
	int ret = -EPIPE;

	(void)source;
	(void)fd;
	/* Who waits for us is only woken for having gone. */
	if (!waits(client))
		ret = go_on(client);
	else if (!(revents & (EPOLLHUP | EPOLLERR)))
		ret = 0;
	if (ret < 0)
		drop(client);
	else
		listen_for(client, ret > 0);
	return 0;
}

static int add_client(struct wm_control *control, int fd)
{
	struct client *client = calloc(1, sizeof(*client));
	sd_event *event = control->event;
	int ret;

	if (!client)
		return -ENOMEM;
	client->control = control;
	client->fd = fd;
	wm_lines__init(&client->lines, WM_REQUEST_MAX);
	client->next = control->clients;
	control->clients = client;
	control->n_clients++;
	ret = wm_timer__init(&client->idle, event, on_idle, client);
	if (ret >= 0)
		ret = sd_event_add_io(event, &client->io, fd, EPOLLIN, on_ready, client);
	if (ret < 0) {
		client->fd = -1; /* the caller's again */
		drop(client);
		return ret;
	}
	wm_timer__arm(&client->idle, IDLE_US);
	return 0;
}

static void turn_away(struct wm_control *control, int fd, const char *why)
{
	size_t len;
	char *line = control->ops->refuse(why, EBUSY, &len);

	if (line)
		send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(line);
	wm_closer__hang_up(control->closer, fd);
}

static void take(void *arg, int fd)
{
	struct wm_control *control = arg;

	wm_plain__refuse_rights(fd);
	if (control->n_clients >= CLIENTS_MAX)
		turn_away(control, fd, "too many clients");
	else if (add_client(control, fd))
		turn_away(control, fd, "out of memory");
}

static void refuse(void *arg, int fd)
{
	turn_away(arg, fd, "waymarkd has no descriptor left (raise LimitNOFILE, or ulimit -n)");
}

static bool is_full(void *arg)
{
	const struct wm_control *control = arg;

	return wm_closer__full(control->closer);
}

/* What the client waited for is there, and this is the reply. */
static void reply_late(struct client *client, char *line, size_t len)
{
	client->out = line;
	client->out_len = len;
	if (!line || flush(client) < 0)
		drop(client);
	else
		listen_for(client, true); /* lines may be left */
}

void wm_control__reloaded(struct wm_control *control, uint64_t number)
{
	for (struct client *client = control->clients, *next; client; client = next) {
		size_t len;
		char *line;

		next = client->next;
		if (!client->reload || client->reload > number)
			continue;
		client->reload = 0;
		line = control->ops->reloaded(control->daemon, &len);
		reply_late(client, line, len);
	}
}

void wm_control__changed(struct wm_control *control, uint64_t number)
{
	for (struct client *client = control->clients; client; client = client->next) {
		size_t len;
		char *line;

		if (client->change != number)
			continue;
		client->change = 0;
		line = control->ops->changed(control->daemon, &len);
		reply_late(client, line, len);
		return;
	}
}

/* The request that was kept, now that there is an answer. */
static int answer_kept(struct client *client)
{
	char *line = client->request;
	int ret;

	client->request = NULL;
	client->count = 0;
	ret = answer(client, line, client->request_len, true);
	free(line);
	return ret;
}

void wm_control__counted(struct wm_control *control, uint64_t number)
{
	for (struct client *client = control->clients, *next; client; client = next) {
		next = client->next;
		if (!client->count || client->count > number)
			continue;
		if (answer_kept(client) < 0)
			drop(client);
		else
			listen_for(client, true); /* lines may be left */
	}
}

/* --- the socket --- */

int wm_control__open(struct wm_control **out, const char *path, const struct wm_control_ops *ops,
		     struct wm_err *err)
{
	static const struct wm_listen_options options = {
		.what = "control socket", .type = SOCK_STREAM, .mode = 0660, .no_rights = true,
		.in_use = ": another waymarkd? (each needs its own path, --control)",
	};
	struct wm_control *control = calloc(1, sizeof(*control));
	int ret;

	*out = NULL;
	if (!control)
		return wm_err__sys(err, -ENOMEM, "control socket");
	control->ops = ops;
	control->listen.fd = -1;
	ret = wm_closer__new(&control->closer);
	if (ret)
		wm_err__sys(err, ret, "control socket %s", path);
	else
		ret = wm_listen__open(&control->listen, path, &options, err);
	if (ret) {
		wm_control__close(control);
		return ret;
	}
	*out = control;
	return 0;
}

int wm_control__serve(struct wm_control *control, sd_event *event, struct wm_daemon *daemon,
		      struct wm_err *err)
{
	int ret;

	control->event = event;
	control->daemon = daemon;
	ret = wm_accept__start(&control->accept, event, control->listen.fd,
			       "control socket", take, refuse, is_full, control);
	return ret < 0 ? wm_err__sys(err, ret, "cannot serve the control socket") : 0;
}

void wm_control__close(struct wm_control *control)
{
	if (!control)
		return;
	for (struct client *client = control->clients, *next; client; client = next) {
		next = client->next;
		drop(client);
	}
	wm_accept__stop(&control->accept);
	if (control->listen.fd >= 0)
		wm_closer__hang_up(control->closer, control->listen.fd);
	control->listen.fd = -1;
	wm_listen__close(&control->listen);
	wm_closer__free(control->closer);
	free(control);
}
