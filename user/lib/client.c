// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing is read or sent before poll() says so, and each call has one
 * deadline for sending and receiving together: a daemon that stops in the
 * middle of a reply cannot hold us longer than one that never answers.
 */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <waymark/sockets.h>

#include "lines.h"
#include "monotonic.h"

struct wm_client {
	int fd;
	int timeout_ms;
	int64_t deadline_ms; /* of the call under way */
	struct wm_lines lines;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static int64_t now_ms(void)
{
	return wm_now_ns() / 1000000;
}

/* connect() on a local socket waits only for a place in the backlog; the send
 * timeout bounds that, and it ends with EAGAIN. */
static int connect_socket(int fd, const char *path, int timeout_ms)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval wait = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };

	strcpy(to.sun_path, path); /* the caller checked its length */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)))
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	return 0;
}

static int explain_connect(struct wm_err *err, int code, const char *path)
{
	switch (code) {
	case -ENOENT:
	case -ENOTDIR:
	case -ECONNREFUSED:
		return wm_err__sys(err, code == -ENOTDIR ? -ENOENT : code,
				   "waymarkd is not running (no answer at %s)", path);
	case -ETIMEDOUT:
		return wm_err__set(err, code, "waymarkd at %s takes no connection: too busy", path);
	case -EACCES:
	case -EPERM:
		return wm_err__sys(err, code, "may not talk to waymarkd at %s, try as root", path);
	default:
		return wm_err__sys(err, code, "cannot connect to waymarkd at %s", path);
	}
}

int wm_client__open(struct wm_client **out, const char *path, int timeout_ms, struct wm_err *err)
{
	struct wm_client *client;
	int ret;

	*out = NULL;
	if (!*path || strlen(path) >= sizeof(client->path))
		return wm_err__set(err, -ENAMETOOLONG, "a socket's path has 1 to %zu bytes: %s",
				   sizeof(client->path) - 1, path);
	client = calloc(1, sizeof(*client));
	if (!client)
		return wm_err__sys(err, -ENOMEM, "cannot connect to %s", path);
	strcpy(client->path, path);
	client->timeout_ms = timeout_ms;
	wm_lines__init(&client->lines, WM_REPLY_MAX);
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ret = client->fd < 0 ? -errno : connect_socket(client->fd, path, timeout_ms);
	if (ret) {
		wm_client__close(client);
		return explain_connect(err, ret, path);
	}
	*out = client;
	return 0;
}

void wm_client__close(struct wm_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	wm_lines__free(&client->lines);
	free(client);
}

/* 0 when the socket is ready, -ETIMEDOUT at the call's deadline. */
static int wait_ready(struct wm_client *client, short events)
{
	struct pollfd ready = { .fd = client->fd, .events = events };
	int64_t left;
	int n;

	do {
		left = client->deadline_ms - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&ready, 1, left);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n ? 0 : -ETIMEDOUT;
}

static int send_all(struct wm_client *client, const char *data, size_t len)
{
	while (len) {
		ssize_t sent = send(client->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		int ret;

		if (sent >= 0) {
			data += sent;
			len -= sent;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		ret = wait_ready(client, POLLOUT);
		if (ret)
			return ret;
	}
	return 0;
}

static int send_request(struct wm_client *client, const json_t *request)
{
	char *text = json_dumps(request, JSON_COMPACT);
	size_t len;
	int ret;

	if (!text)
		return -ENOMEM;
	len = strlen(text);
	if (len >= WM_REQUEST_MAX) {
		ret = -E2BIG;
	} else {
		text[len] = '\n'; /* over the NUL: the length goes along */
		ret = send_all(client, text, len + 1);
	}
	free(text);
	return ret;
}

static int receive_line(struct wm_client *client, char **line, size_t *len)
{
	ssize_t got;
	int ret;

	while (!(*line = wm_lines__next(&client->lines, len))) {
		ret = wait_ready(client, POLLIN);
		if (ret)
			return ret;
		got = wm_lines__read(&client->lines, client->fd);
		if (!got)
			return -EPIPE;
		if (got < 0 && got != -EAGAIN)
			return got;
	}
	return 0;
}

static int explain_call(struct wm_err *err, int code, const struct wm_client *client)
{
	switch (code) {
	case -EPIPE:
	case -ECONNRESET:
		return wm_err__set(err, -EPIPE,
				   "waymarkd at %s closed the connection without an answer",
				   client->path);
	case -ETIMEDOUT:
		return wm_err__set(err, code, "waymarkd at %s did not answer within %g s",
				   client->path, client->timeout_ms / 1000.0);
	case -EMSGSIZE:
		return wm_err__set(err, code,
				   "answer from %s is longer than %d bytes: is this waymarkd?",
				   client->path, WM_REPLY_MAX);
	case -E2BIG:
		return wm_err__set(err, -EMSGSIZE, "request is longer than %d bytes",
				   WM_REQUEST_MAX);
	default:
		return wm_err__sys(err, code, "cannot talk to waymarkd at %s", client->path);
	}
}

/* A reply is {"ok": true, "data": any} or {"ok": false, "error": text}. */
static int read_reply(const struct wm_client *client, const char *line, size_t len, json_t **data,
		      struct wm_err *err)
{
	json_error_t where;
	json_t *reply = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
	json_t *ok = json_object_get(reply, "ok");
	json_t *error = json_object_get(reply, "error");
	int ret = 0;

	*data = json_object_get(reply, "data");
	if (json_is_true(ok) && *data)
		json_incref(*data);
	else if (json_is_false(ok) && json_is_string(error))
		ret = wm_err__set(err, -EREMOTEIO, "%s", json_string_value(error));
	else
		ret = wm_err__set(err, -EBADMSG,
				  "answer from %s makes no sense (%s): is this waymarkd?",
				  client->path, reply ? "no ok with data or error" : where.text);
	if (ret)
		*data = NULL;
	json_decref(reply);
	return ret;
}

int wm_client__call(struct wm_client *client, const json_t *request, json_t **data,
		    struct wm_err *err)
{
	size_t len = 0;
	char *line;
	int ret;

	*data = NULL;
	client->deadline_ms = now_ms() + client->timeout_ms;
	ret = send_request(client, request);
	/* A daemon that refuses us may have written why before it closed. */
	if (!ret || ret == -EPIPE)
		ret = receive_line(client, &line, &len);
	if (ret)
		return explain_call(err, ret, client);
	return read_reply(client, line, len, data, err);
}
