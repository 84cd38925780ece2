// SPDX-License-Identifier: GPL-2.0
/*
 * A list goes out piece by piece, as the socket takes it; each piece is made from the list as it
 * is then. If the list changes meanwhile it is begun again, and the other side forgets what it
 * had of it.
 *
 * The process ends by itself when its socket closes. It is killed as well, since one that was
 * taken over by a server might not.
 */
#include "checker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "lines.h"
#include "log.h"
#include "wire.h"

#define PROGRAM "waymark-health"

enum {
	PIECE_SIZE = 64 << 10,
	PIECES_AT_ONCE = 4, /* then the loop goes round */
	RESULT_LINE_MAX = 4096,
};

enum stage { STAGE_BEGIN, STAGE_PROBES, STAGE_END, STAGE_DONE };

struct wm_checker {
	sd_event *event;
	const struct wm_checker_ops *ops;
	void *arg;
	bool wanted;
	bool later;    /* it will be started again in a while */
	bool let_go;   /* we wanted the present one to end */

	struct wm_child child;
	int sock;
	sd_event_source *io;
	struct wm_lines lines;

	enum stage stage;
	size_t next;        /* check of the list */
	char *left;         /* a line that found no room in the piece */
	size_t start, used; /* piece[start .. used) is on its way */
	char piece[PIECE_SIZE];
};

/* --- out --- */

static char *next_line(struct wm_checker *c)
{
	struct wm_probe probe = {};

	switch (c->stage) {
	case STAGE_BEGIN:
		c->stage = STAGE_PROBES;
		c->next = 0;
		return wm_wire__request(WM_WIRE_BEGIN, NULL);
	case STAGE_PROBES:
		if (c->ops->probe(c->arg, c->next, &probe)) {
			c->next++;
			return wm_wire__request(WM_WIRE_PROBE, &probe);
		}
		c->stage = STAGE_END;
		/* fall through */
	case STAGE_END:
		c->stage = STAGE_DONE;
		return wm_wire__request(WM_WIRE_END, NULL);
	case STAGE_DONE:
		break;
	}
	return NULL;
}

static void fill(struct wm_checker *c)
{
	c->start = c->used = 0;
	for (;;) {
		size_t len;

		if (!c->left && c->stage != STAGE_DONE) {
			c->left = next_line(c);
			if (!c->left) { /* no memory: later, from the beginning */
				c->stage = STAGE_BEGIN;
				return;
			}
		}
		len = c->left ? strlen(c->left) : 0;
		if (!len || len > PIECE_SIZE - c->used)
			return;
		memcpy(c->piece + c->used, c->left, len);
		c->used += len;
		free(c->left);
		c->left = NULL;
	}
}

static bool is_sent(const struct wm_checker *c)
{
	return c->start == c->used && !c->left && c->stage == STAGE_DONE;
}

static void send_list(struct wm_checker *c)
{
	for (int i = 0; i < PIECES_AT_ONCE && !is_sent(c); i++) {
		ssize_t n;

		if (c->start == c->used)
			fill(c);
		n = send(c->sock, c->piece + c->start, c->used - c->start,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			break; /* EAGAIN; else reading tells */
		c->start += n;
	}
	sd_event_source_set_io_events(c->io, EPOLLIN | (is_sent(c) ? 0 : EPOLLOUT));
}

/* --- the end --- */

static void hang_up(struct wm_checker *c)
{
	c->io = sd_event_source_disable_unref(c->io);
	if (c->sock >= 0)
		close(c->sock);
	c->sock = -1;
	wm_lines__free(&c->lines);
	free(c->left);
	c->left = NULL;
	c->start = c->used = 0;
	wm_child__kill(&c->child);
}

static void start(void *arg);

static void start_later(struct wm_checker *c, const char *what)
{
	wm_warn("health checks: " PROGRAM " %s: it is started again in %u s, and reals stay as "
		"they are until then", what, wm_child__start_later(&c->child) / 1000);
	c->later = true;
}

static void on_ended(void *arg, const siginfo_t *info)
{
	struct wm_checker *c = arg;
	char text[WM_CHILD_TEXT];

	hang_up(c);
	if (c->let_go || !c->wanted) {
		c->let_go = false;
		start(c);
		return;
	}
	wm_child__describe(info, text);
	start_later(c, text);
}

static const struct wm_child_ops child_ops = {
	.start = start, .ended = on_ended, .first_ms = 1000, .max_ms = 60000,
};

/* --- in --- */

static int take_lines(struct wm_checker *c)
{
	struct wm_result result;
	char *line;
	size_t len;

	while ((line = wm_lines__next(&c->lines, &len))) {
		if (wm_wire__parse_result(line, len, &result))
			return -EINVAL;
		c->ops->result(c->arg, &result);
	}
	c->ops->results_end(c->arg);
	return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct wm_checker *c = arg;
	ssize_t n = events & ~EPOLLOUT ? wm_lines__read(&c->lines, fd) : -EAGAIN;
	int ret = n > 0 ? take_lines(c) : n == -EAGAIN ? 0 : n;

	(void)source;
	if (!ret && n) {
		send_list(c);
		return 0;
	}
	/* At its end on_ended() says what became of it. */
	if (ret && ret != -ECONNRESET)
		wm_warn("health checks: " PROGRAM " says what nobody understands (%s), and is "
			"ended", strerror(-ret));
	hang_up(c);
	return 0;
}

/* --- the beginning --- */

/* With the socket as its standard input; what it writes goes where our log goes. */
static int start_process(struct wm_checker *c)
{
	char *argv[] = { (char *)PROGRAM, NULL };
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	c->sock = pair[0];
	ret = sd_event_add_io(c->event, &c->io, c->sock, EPOLLIN | EPOLLOUT, on_io, c);
	if (ret >= 0) {
		const struct wm_child_fd fds[] = {
			{ pair[1], STDIN_FILENO }, { STDERR_FILENO, STDOUT_FILENO },
		};

		ret = wm_child__start(&c->child, PROGRAM, argv, fds, 2);
	}
	close(pair[1]);
	if (ret < 0)
		hang_up(c);
	return ret < 0 ? ret : 0;
}

static void start(void *arg)
{
	struct wm_checker *c = arg;
	char text[128];
	int ret;

	if (!c->wanted || c->child.pid)
		return;
	c->later = false;
	c->stage = STAGE_BEGIN;
	wm_lines__init(&c->lines, RESULT_LINE_MAX);
	ret = start_process(c);
	if (!ret)
		return;
	snprintf(text, sizeof(text), "cannot be started (%s%s)", strerror(-ret),
		 ret == -ENOENT ? "; it belongs beside waymarkd" : "");
	start_later(c, text);
}

void wm_checker__renew(struct wm_checker *c, bool any)
{
	c->wanted = any;
	if (!any) {
		c->let_go = c->child.pid != 0;
		hang_up(c);
		return;
	}
	if (!c->io) {
		/* None, or one that is about to end: on_ended() brings the next one. */
		if (!c->child.pid && !c->later)
			start(c);
		return;
	}
	c->stage = STAGE_BEGIN;
	send_list(c);
}

int wm_checker__new(struct wm_checker **out, sd_event *event, const struct wm_checker_ops *ops,
		    void *arg)
{
	struct wm_checker *c = calloc(1, sizeof(*c));

	*out = c;
	if (!c)
		return -ENOMEM;
	c->event = event;
	c->ops = ops;
	c->arg = arg;
	c->sock = -1;
	wm_lines__init(&c->lines, RESULT_LINE_MAX);
	return wm_child__init(&c->child, event, &child_ops, c);
}

void wm_checker__free(struct wm_checker *c)
{
	if (!c)
		return;
	hang_up(c);
	wm_child__free(&c->child);
	free(c);
}
