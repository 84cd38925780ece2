// SPDX-License-Identifier: GPL-2.0
/*
 * Each connection is in one of four phases:
 *
 *   reading   a line is cut off and answered at once;
 *   waiting   for the end of a reload that it asked for: replies come in the order
 *             of the requests, so nothing else is answered before;
 *   writing   a reply did not fit the socket's buffer; nothing is read before it
 *             is out. So one reply is all that a slow reader can make us hold;
 *   leaving   after a bad message: its reply is written, then our side is shut
 *             and what still comes is thrown away for a moment, so that the peer
 *             reads the reply and not a broken connection.
 *
 * Bounds: WM_CTL_REQUEST_MAX bytes of a request, WM_CTL_REPLY_MAX of a reply,
 * CLIENTS_MAX connections, IDLE_US without a byte in either direction.
 */
#include "control.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl.h"
#include "daemon.h"
#include "log.h"
#include "request.h"
#include "timer.h"

enum {
	CLIENTS_MAX = 64,
	BACKLOG = 128, /* while we do something else */
	IDLE_US = 60 * 1000 * WM_TIMER_MS,
	LEAVE_US = 1000 * WM_TIMER_MS,
	LINES_A_TURN = 16, /* then others have their turn */
};

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
	bool leaving, shut;
};

struct wm_control {
	struct wm_daemon *daemon;
	int fd;
	sd_event_source *io;
	struct client *clients;
	size_t n_clients;
	dev_t dev; /* which file is ours */
	ino_t ino;
	struct sockaddr_un name;
};

/* --- connections --- */

static void drop(struct client *client)
{
	struct client **link = &client->control->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	client->control->n_clients--;
	wm_timer__free(&client->idle);
	sd_event_source_disable_unref(client->io);
	close(client->fd);
	wm_lines__free(&client->lines);
	free(client->out);
	free(client);
}

static void on_idle(void *arg)
{
	struct client *client = arg;

	if (client->reload)
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

/* One line in, one line out. */
static int answer(struct client *client, const char *line, size_t len)
{
	struct wm_answer reply;

	wm_request__answer(client->control->daemon, line, len, &reply);
	client->reload = reply.reload;
	if (client->reload)
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
	client->out = wm_request__refuse(text, EMSGSIZE, &client->out_len);
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
		ret = answer(client, line, len);
		if (ret || client->leaving || client->reload)
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
	got = recv(client->fd, waste, sizeof(waste), MSG_DONTWAIT);
	return got > 0 || (got < 0 && errno == EAGAIN) ? 0 : -EPIPE;
}

static int go_on(struct client *client)
{
	int ret = flush(client);

	if (!ret && !client->leaving) {
		ret = take_lines(client);
		if (!ret && !client->leaving && !client->reload)
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
	sd_event_source_set_io_events(client->io, client->reload ? 0 : room ? EPOLLOUT : EPOLLIN);
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct client *client = arg;
	int ret = -EPIPE;

	(void)source;
	(void)fd;
	/* Who waits for a reload is only woken for having gone. */
	if (!client->reload)
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
	sd_event *event = control->daemon->event;
	int ret;

	if (!client)
		return -ENOMEM;
	client->control = control;
	client->fd = fd;
	wm_lines__init(&client->lines, WM_CTL_REQUEST_MAX);
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

static void turn_away(int fd, const char *why)
{
	size_t len;
	char *line = wm_request__refuse(why, EBUSY, &len);

	if (line)
		send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	free(line);
	close(fd);
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *arg)
{
	struct wm_control *control = arg;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)source;
	(void)revents;
	if (fd < 0)
		return 0;
	if (control->n_clients >= CLIENTS_MAX)
		turn_away(fd, "too many clients");
	else if (add_client(control, fd))
		turn_away(fd, "out of memory");
	return 0;
}

void wm_control__reloaded(struct wm_control *control)
{
	struct wm_daemon *d = control->daemon;

	for (struct client *client = control->clients, *next; client; client = next) {
		next = client->next;
		if (!client->reload || client->reload > d->reload.count)
			continue;
		client->reload = 0;
		client->out = wm_request__reloaded(d, &client->out_len);
		if (!client->out || flush(client) < 0)
			drop(client);
		else
			listen_for(client, true); /* lines may be left */
	}
}

/* --- the socket --- */

static int make_directory(const char *path, struct wm_err *err)
{
	char copy[PATH_MAX], *dir;

	strncpy(copy, path, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	dir = dirname(copy);
	if (mkdir(dir, 0755) && errno != EEXIST)
		return wm_err__sys(err, -errno, "control socket: cannot make %s", dir);
	return 0;
}

/* Is there a socket that nobody listens to? Then take it away. */
static int clear_way(const struct sockaddr_un *name, struct wm_err *err)
{
	const char *path = name->sun_path;
	socklen_t size = sizeof(struct ucred);
	struct ucred peer = {};
	struct stat st;
	int fd, ret;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : wm_err__sys(err, -errno, "control socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return wm_err__set(err, -EEXIST, "control socket: %s is there and is no socket",
				   path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return wm_err__sys(err, -errno, "control socket %s", path);
	ret = connect(fd, (const struct sockaddr *)name, sizeof(*name)) ? -errno : 0;
	if (!ret)
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	close(fd);
	if (!ret || ret == -EAGAIN) /* EAGAIN: it listens, to very many */
		return wm_err__set(err, -EADDRINUSE, "control socket %s is in use by process %d: "
				   "another waymarkd? (each needs its own path, --control)", path,
				   peer.pid);
	if (ret != -ECONNREFUSED)
		return wm_err__sys(err, ret, "control socket %s", path);
	if (unlink(path) && errno != ENOENT)
		return wm_err__sys(err, -errno, "control socket: cannot replace %s", path);
	return 0;
}

static int bind_socket(struct wm_control *control)
{
	mode_t mask = umask(0117);
	struct stat st;
	int ret;

	ret = bind(control->fd, (struct sockaddr *)&control->name, sizeof(control->name));
	ret = ret ? -errno : 0;
	umask(mask);
	if (ret)
		return ret;
	if (lstat(control->name.sun_path, &st))
		return -errno;
	control->dev = st.st_dev;
	control->ino = st.st_ino;
	return listen(control->fd, BACKLOG) ? -errno : 0;
}

int wm_control__open(struct wm_control **out, const char *path, struct wm_err *err)
{
	struct wm_control *control;
	int ret;

	*out = NULL;
	if (strlen(path) >= sizeof(control->name.sun_path))
		return wm_err__set(err, -ENAMETOOLONG, "control socket: %s has more than %zu bytes",
				   path, sizeof(control->name.sun_path) - 1);
	control = calloc(1, sizeof(*control));
	if (!control)
		return wm_err__sys(err, -ENOMEM, "control socket");
	control->name.sun_family = AF_UNIX;
	strcpy(control->name.sun_path, path);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ret = control->fd < 0 ? wm_err__sys(err, -errno, "control socket %s", path) : 0;
	if (!ret)
		ret = make_directory(path, err);
	if (!ret)
		ret = clear_way(&control->name, err);
	if (!ret) {
		ret = bind_socket(control);
		if (ret)
			wm_err__sys(err, ret, "cannot listen on the control socket %s", path);
	}
	if (ret) {
		wm_control__close(control);
		return ret;
	}
	*out = control;
	return 0;
}

int wm_control__serve(struct wm_control *control, struct wm_daemon *daemon, struct wm_err *err)
{
	int ret;

	control->daemon = daemon;
	ret = sd_event_add_io(daemon->event, &control->io, control->fd, EPOLLIN, on_connection,
			      control);
	return ret < 0 ? wm_err__sys(err, ret, "cannot serve the control socket") : 0;
}

void wm_control__close(struct wm_control *control)
{
	struct stat st;

	if (!control)
		return;
	for (struct client *client = control->clients, *next; client; client = next) {
		next = client->next;
		drop(client);
	}
	sd_event_source_disable_unref(control->io);
	if (control->fd >= 0)
		close(control->fd);
	if (control->ino && !lstat(control->name.sun_path, &st) && st.st_dev == control->dev &&
	    st.st_ino == control->ino)
		unlink(control->name.sun_path);
	free(control);
}
