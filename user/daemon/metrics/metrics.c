// SPDX-License-Identifier: GPL-2.0
/*
 * One child at a time: configure -> start -> (it runs) -> ended -> start, with a growing delay.
 * When another address is configured the child is sent away, by the end of its socket, and
 * what `ended` starts is one for the new address.
 *
 * The child asks when somebody wants the metrics, and has one answer at a time: what waits to
 * be sent is one answer at most. A child that asks without reading gets no second one. What
 * an answer holds is the daemon's state at the moment when the child had read the last one.
 */
#include "metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child.h"
#include "inherited.h"
#include "log.h"
#include "metrics_say.h"
#include "monotonic.h"
#include "timer.h"

#define PROGRAM "waymark-metrics"

enum {
	BACKLOG = 128,
	DELAY_FIRST_MS = 100,
	COUNT_US = 20 * WM_TIMER_MS, /* between two looks whether flows are counted */
	LEAVE_MS = 2000,       /* for a child whose socket is closed, to go */
	HIGH_FD = 64,          /* above the numbers that descriptors get in the child */
};

#define PATIENCE_NS 500000000ull /* the answer comes without flows that are not counted then */

struct wm_metrics {
	sd_event *event;
	struct wm_metrics_source source;
	struct wm_config_metrics where;

	struct wm_child child;
	int sock;  /* below 0: it was sent away, or its end is closed */
	sd_event_source *on_sock;
	struct wm_timer count, leave;
	bool sent_away; /* the present child: another one is to follow at once */
	bool told; /* why it cannot be started */

	bool asked;
	uint64_t asked_ns;
	struct wm_metrics_said said;
	char *out; /* NULL: nothing waits to be sent */
	size_t out_len, out_at;
};

/* --- what is said --- */

static void forget_output(struct wm_metrics *m)
{
	free(m->out);
	m->out = NULL;
	m->out_len = m->out_at = 0;
}

static void hang_up(struct wm_metrics *m)
{
	m->on_sock = sd_event_source_disable_unref(m->on_sock);
	if (m->sock >= 0)
		close(m->sock);
	m->sock = -1;
	m->asked = false;
	forget_output(m);
	wm_timer__arm(&m->leave, LEAVE_MS * WM_TIMER_MS);
}

static void flush(struct wm_metrics *m)
{
	while (m->out) {
		ssize_t n = send(m->sock, m->out + m->out_at, m->out_len - m->out_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			hang_up(m); /* it has ended, or will be told to */
			return;
		}
		if (n < 0)
			break;
		m->out_at += n;
		if (m->out_at == m->out_len)
			forget_output(m);
	}
	sd_event_source_set_io_events(m->on_sock, m->out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void reply(void *arg)
{
	struct wm_metrics *m = arg;

	if (m->sock < 0 || !m->asked || m->out)
		return;
	if (!m->source.count(m->source.arg) && wm_now_ns() - m->asked_ns < PATIENCE_NS) {
		wm_timer__arm(&m->count, COUNT_US);
		return;
	}
	m->asked = false;
	m->out = wm_metrics__say(&m->source, &m->said, &m->out_len);
	if (m->out)
		flush(m);
	else
		wm_warn("metrics: no memory to tell " PROGRAM " what is new");
}

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct wm_metrics *m = arg;
	char questions[64];
	ssize_t n = 0;

	(void)source;
	if (revents & EPOLLOUT)
		flush(m);
	if (m->sock < 0 || !(revents & ~EPOLLOUT))
		return 0;
	n = recv(fd, questions, sizeof(questions), MSG_DONTWAIT);
	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		hang_up(m);
		return 0;
	}
	if (n > 0 && !m->asked) {
		m->asked = true;
		m->asked_ns = wm_now_ns();
	}
	reply(m);
	return 0;
}

/* --- its life --- */

static void start(void *arg);

static void on_ended(void *arg, const siginfo_t *info)
{
	struct wm_metrics *m = arg;

	hang_up(m);
	if (m->sent_away) {
		start(m);
		return;
	}
	wm_warn("metrics: " PROGRAM " ended (%s %d); it is started again in %u ms",
		info->si_code == CLD_EXITED ? "exit status" : "signal", info->si_status,
		wm_child__start_later(&m->child));
}

static const struct wm_child_ops child_ops = {
	.start = start, .ended = on_ended, .first_ms = DELAY_FIRST_MS, .max_ms = 30000,
};

/* It was told to go and did not. */
static void insist(void *arg)
{
	struct wm_metrics *m = arg;

	if (m->sock < 0)
		wm_child__kill(&m->child);
}

/* --- start --- */

static int listen_at(const struct wm_config_metrics *where)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = where->port };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = where->port };
	bool is_six = where->address.family == WM_IPV6;
	const struct sockaddr *name = is_six ? (void *)&six : (void *)&four;
	int fd, yes = 1, code;

	memcpy(&six.sin6_addr, where->address.word, sizeof(six.sin6_addr));
	four.sin_addr.s_addr = where->address.word[0];
	fd = socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (!bind(fd, name, is_six ? sizeof(six) : sizeof(four)) && !listen(fd, BACKLOG))
		return fd;
	code = -errno;
	close(fd);
	return code;
}

/* A copy out of the way of the numbers that descriptors get in the child. */
static int lift(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);

	return high < 0 ? -errno : high;
}

static int lift_ours(int fd)
{
	int high = lift(fd);

	close(fd);
	return high;
}

/* fds: by enum wm_channel_fd. Whoever has put another version of the program there in the
 * meantime gets an answer from it (facts.c). */
static int launch(struct wm_metrics *m, const int fds[WM_CHANNEL_END],
		  const struct wm_params *params)
{
	char cpus[12], dest_cpus[12], dest_bits[12];
	char *const words[] = { (char *)PROGRAM, cpus, dest_cpus, dest_bits, NULL };
	struct wm_child_fd list[WM_CHANNEL_END - WM_CHANNEL_SOCKET];
	size_t n = 0;

	_Static_assert(sizeof(words) / sizeof(words[0]) == WM_CHANNEL_ARGC + 1, "its arguments");
	snprintf(cpus, sizeof(cpus), "%u", wm_dp__counting_cpus());
	snprintf(dest_cpus, sizeof(dest_cpus), "%u", params->cpus);
	snprintf(dest_bits, sizeof(dest_bits), "%u", params->dest_bits);
	for (int to = WM_CHANNEL_SOCKET; to < WM_CHANNEL_END; to++) {
		if (fds[to] < 0)
			return fds[to];
		list[n++] = (struct wm_child_fd){ fds[to], to };
	}
	m->said = (struct wm_metrics_said){};
	m->sent_away = false;
	return wm_child__start(&m->child, PROGRAM, words, list, n);
}

static int try_start(struct wm_metrics *m, int fds[WM_CHANNEL_END], struct wm_err *err)
{
	struct wm_dp_counter_maps maps;
	struct wm_metrics_view view;
	char text[WM_ENDPOINT_TEXT];
	int pair[2], ret;

	ret = listen_at(&m->where);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot listen at %s",
				   wm_endpoint__format(&m->where.address, m->where.port, text));
	fds[WM_CHANNEL_LISTENER] = lift_ours(ret);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return wm_err__sys(err, -errno, "cannot make a socket for " PROGRAM);
	m->sock = pair[0];
	fds[WM_CHANNEL_SOCKET] = lift_ours(pair[1]);
	m->source.look(m->source.arg, &view);
	maps = wm_dp__counter_maps(view.dp);
	fds[WM_CHANNEL_CPUS] = lift(maps.cpus);
	fds[WM_CHANNEL_DESTS] = lift(maps.dests);
	ret = sd_event_add_io(m->event, &m->on_sock, m->sock, EPOLLIN, on_socket, m);
	if (ret >= 0)
		ret = launch(m, fds, wm_dp__params(view.dp));
	if (ret >= 0)
		return 0;
	hang_up(m);
	return wm_err__sys(err, ret, "cannot run " PROGRAM ", which is expected beside waymarkd");
}

static void start(void *arg)
{
	struct wm_metrics *m = arg;
	int fds[WM_CHANNEL_END];
	struct wm_err err = {};
	unsigned int ms;
	int ret;

	if (m->child.pid || !m->where.port)
		return;
	for (int i = 0; i < WM_CHANNEL_END; i++)
		fds[i] = -1;
	ret = try_start(m, fds, &err);
	for (int i = 0; i < WM_CHANNEL_END; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (!ret) {
		m->told = false;
		return;
	}
	ms = wm_child__start_later(&m->child);
	/* Once is nothing: a daemon that was killed may have left its child for a moment. */
	if (!m->told && ms > DELAY_FIRST_MS) {
		m->told = true;
		wm_warn("metrics: %s; it is tried again until it works", err.text);
	}
}

void wm_metrics__configure(struct wm_metrics *m, const struct wm_config_metrics *where)
{
	bool same = m->where.port == where->port &&
		    wm_addr__equal(&m->where.address, &where->address);

	if (same)
		return;
	m->where = *where;
	wm_child__forget_delay(&m->child);
	m->told = false;
	if (!m->child.pid) {
		start(m);
		return;
	}
	m->sent_away = true;
	hang_up(m);
}

struct wm_metrics *wm_metrics__new(sd_event *event, const struct wm_metrics_source *source)
{
	struct wm_metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->event = event;
	m->source = *source;
	m->sock = -1;
	if (wm_child__init(&m->child, event, &child_ops, m) < 0 ||
	    wm_timer__init(&m->count, event, reply, m) < 0 ||
	    wm_timer__init(&m->leave, event, insist, m) < 0) {
		wm_metrics__free(m);
		return NULL;
	}
	return m;
}

void wm_metrics__free(struct wm_metrics *m)
{
	if (!m)
		return;
	hang_up(m);
	wm_child__free(&m->child);
	wm_timer__free(&m->count);
	wm_timer__free(&m->leave);
	free(m);
}
