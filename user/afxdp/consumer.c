// SPDX-License-Identifier: GPL-2.0
/*
 * The connection has three states:
 *
 *   DOWN   no daemon: connect again every RETRY_NS
 *   ASKED  resume was sent, no answer yet
 *   UP     a daemon knows of us
 *
 * Packets do not depend on it: the sockets are ours.
 */
#include "consumer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "handover.h"
#include "inside.h"
#include "monotonic.h"
#include "text.h"

enum {
	ANSWER_MS = 10000, /* the daemon may be waiting for a queue to be free */
	RETRY_MS = 50,
};

enum state { DOWN, ASKED, UP };

struct wm_consumer {
	struct sockaddr_un name;
	int sock;
	enum state state;
	uint64_t next_try_ns;
	struct wm_xsk *xsk;
	struct pollfd *poll; /* of the sockets, then of `sock` */
};

static void hang_up(struct wm_consumer *c)
{
	if (c->sock >= 0)
		close(c->sock);
	c->sock = -1;
	c->state = DOWN;
	c->next_try_ns = wm_now_ns() + RETRY_MS * 1000000ull;
}

static int call(struct wm_consumer *c)
{
	int ret;

	c->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->sock < 0)
		return -errno;
	if (!connect(c->sock, (const struct sockaddr *)&c->name, sizeof(c->name)))
		return 0;
	ret = -errno;
	hang_up(c);
	return ret;
}

/* --- the first time --- */

static int refused(const struct wm_consumer *c, const struct wm_handover *answer,
		   struct wm_err *err)
{
	char why[WM_TEXT_SHOWN(sizeof(answer->text))];

	wm_text__show(why, sizeof(why), answer->text, sizeof(answer->text));
	return wm_err__set(err, answer->error < 0 ? answer->error : -EPROTO, "%s: %s",
			   c->name.sun_path, why);
}

static int take_offer(struct wm_consumer *c, struct wm_err *err)
{
	struct pollfd readable = { .fd = c->sock, .events = POLLIN };
	struct wm_handover_fds fds;
	struct wm_handover answer;
	int ret;

	ret = poll(&readable, 1, ANSWER_MS);
	if (ret <= 0)
		return wm_err__sys(err, ret ? -errno : -ETIMEDOUT, "%s: no answer",
				   c->name.sun_path);
	ret = wm_handover__recv(c->sock, &answer, &fds);
	if (ret)
		wm_err__sys(err, ret, "%s: no answer of a waymarkd", c->name.sun_path);
	else if (answer.kind == WM_HANDOVER_OFFER)
		ret = wm_xsk__adopt(&c->xsk, &answer, fds.fd, fds.n, err);
	else
		ret = refused(c, &answer, err);
	wm_handover__close_fds(fds.fd, fds.n);
	return ret;
}

/* -EAGAIN: very many wait to be accepted before us. */
static int call_patiently(struct wm_consumer *c)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000 };
	int ret;

	for (int ms = 0; ms < ANSWER_MS; ms += RETRY_MS) {
		ret = call(c);
		if (ret != -EAGAIN)
			break;
		nanosleep(&pause, NULL);
	}
	return ret;
}

static int ask_for_sockets(struct wm_consumer *c, struct wm_err *err)
{
	const struct wm_handover hello = {
		.magic = WM_HANDOVER_MAGIC,
		.version = WM_HANDOVER_VERSION,
		.kind = WM_HANDOVER_NEW,
	};
	int ret = call_patiently(c);

	if (!ret)
		ret = wm_handover__send(c->sock, &hello, NULL, 0);
	if (ret)
		return wm_err__sys(err, ret, "cannot ask for sockets at %s (is a waymarkd "
				   "running that has a local consumer?)", c->name.sun_path);
	return take_offer(c, err);
}

int wm_consumer__connect(struct wm_consumer **out, const char *path, struct wm_err *err)
{
	struct wm_consumer *c;
	int ret;

	*out = NULL;
	if (strlen(path) >= sizeof(c->name.sun_path))
		return wm_err__sys(err, -ENAMETOOLONG, "%s", path);
	c = calloc(1, sizeof(*c));
	if (!c)
		return wm_err__sys(err, -ENOMEM, "no consumer");
	c->sock = -1;
	c->name.sun_family = AF_UNIX;
	strcpy(c->name.sun_path, path);
	ret = ask_for_sockets(c, err);
	if (!ret) {
		c->poll = calloc(wm_xsk__sockets(c->xsk) + 1, sizeof(*c->poll));
		ret = c->poll ? 0 : wm_err__sys(err, -ENOMEM, "no consumer");
	}
	if (ret) {
		wm_consumer__close(c);
		return ret;
	}
	c->state = UP;
	*out = c;
	return 0;
}

void wm_consumer__close(struct wm_consumer *c)
{
	if (!c)
		return;
	hang_up(c);
	wm_xsk__close(c->xsk);
	free(c->poll);
	free(c);
}

struct wm_xsk *wm_consumer__xsk(struct wm_consumer *c)
{
	return c->xsk;
}

bool wm_consumer__connected(const struct wm_consumer *c)
{
	return c->state == UP;
}

/* --- from then on --- */

static void resume(struct wm_consumer *c)
{
	int fds[WM_HANDOVER_FDS];
	struct wm_handover hello;

	c->next_try_ns = wm_now_ns() + RETRY_MS * 1000000ull;
	if (call(c))
		return;
	wm_xsk__describe(c->xsk, WM_HANDOVER_RESUME, &hello);
	if (wm_handover__send(c->sock, &hello, fds, wm_xsk__fds(c->xsk, fds)))
		hang_up(c);
	else
		c->state = ASKED;
}

/* 0, or -ESTALE: our sockets are of no use any more. */
static int hear(struct wm_consumer *c)
{
	struct wm_handover_fds fds;
	struct wm_handover answer;
	int ret;

	ret = wm_handover__recv(c->sock, &answer, &fds);
	wm_handover__close_fds(fds.fd, fds.n);
	if (ret == -EAGAIN || ret == -EINTR)
		return 0;
	if (!ret && c->state == ASKED && answer.kind == WM_HANDOVER_OFFER) {
		c->state = UP;
		return 0;
	}
	hang_up(c);
	return !ret && answer.kind == WM_HANDOVER_REFUSE ? -ESTALE : 0;
}

int wm_consumer__wait(struct wm_consumer *c, int timeout_ms)
{
	uint32_t n = wm_xsk__sockets(c->xsk);
	int bound = wm_xsk__tend(c->xsk), ready, ret;

	if (c->state == DOWN && wm_now_ns() >= c->next_try_ns)
		resume(c);
	if (c->state == DOWN && (bound < 0 || bound > RETRY_MS))
		bound = RETRY_MS;
	if (bound >= 0 && (timeout_ms < 0 || timeout_ms > bound))
		timeout_ms = bound;
	for (uint32_t i = 0; i < n; i++)
		c->poll[i] = (struct pollfd){ .fd = wm_xsk__fd(c->xsk, i), .events = POLLIN };
	c->poll[n] = (struct pollfd){ .fd = c->sock, .events = POLLIN };
	ready = poll(c->poll, n + 1, timeout_ms);
	if (ready < 0)
		return -errno;
	if (c->poll[n].revents) {
		ready--;
		ret = hear(c);
		if (ret)
			return ret;
	}
	return ready;
}
