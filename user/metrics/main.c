// SPDX-License-Identifier: GPL-2.0
/*
 * waymark-metrics: HTTP for waymarkd, which starts it. It reads what strangers send, so it has
 * no privileges then, and nothing of the daemon but the memory of the counters, to read. When
 * somebody asks for the metrics it asks the daemon what is new, for ANSWER_NS at most, and
 * writes them from both. It ends when the daemon's end of the socket closes; signals that
 * a terminal or a service manager sends to all processes are the daemon's to act on.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http.h"
#include "inherited.h"
#include "lines.h"
#include "log.h"
#include "monotonic.h"
#include "privileges.h"

#define ANSWER_NS 1000000000ull
#define FIRST_NS (5 * ANSWER_NS) /* while there is nothing to show without an answer */

struct server {
	struct wm_http *http;
	struct wm_lines lines;
	struct wm_facts *facts;
	json_t *state;
	struct wm_counters counters;
	bool asked;            /* and the answer has not come */
	bool responsive;       /* it came in time, the last time */
	bool waiting;          /* somebody is, for it */
	uint64_t until_ns;     /* so long */
};

/* --- the daemon's side --- */

static void ask(void *arg)
{
	const char question = WM_CHANNEL_ASK;
	struct server *server = arg;

	server->waiting = true;
	server->until_ns = wm_now_ns() + (server->facts ? ANSWER_NS : FIRST_NS);
	if (!server->asked)
		server->asked = send(WM_CHANNEL_SOCKET, &question, 1, MSG_NOSIGNAL) == 1;
}

static void answer(struct server *server, bool responsive)
{
	server->waiting = false;
	server->responsive = responsive;
	wm_http__answer(server->http, wm_now_ns());
}

static int take_facts(struct server *server, json_t *root, struct wm_err *err)
{
	struct wm_facts *facts;
	int ret = wm_facts__new(&facts, root, server->counters.dest_bits, err);

	if (ret)
		return ret;
	wm_facts__free(server->facts);
	server->facts = facts;
	return 0;
}

/* It ends what was asked for. */
static void take_state(struct server *server, json_t *state)
{
	json_decref(server->state);
	server->state = state;
	server->asked = false;
	answer(server, true);
}

static int take_line(struct server *server, const char *line, size_t len, struct wm_err *err)
{
	json_t *object = json_loadb(line, len, 0, NULL);
	json_t *facts = json_object_get(object, "facts"), *state = json_object_get(object, "state");
	int ret = 0;

	if (facts)
		ret = take_facts(server, json_incref(facts), err);
	else if (state)
		take_state(server, json_incref(state));
	else
		ret = wm_err__set(err, -EINVAL, "waymarkd sent neither facts nor state");
	json_decref(object);
	return ret;
}

/* 1: go on; 0: the daemon is gone; -errno. */
static int read_daemon(struct server *server, struct wm_err *err)
{
	ssize_t got = wm_lines__read(&server->lines, WM_CHANNEL_SOCKET);
	const char *line;
	int ret = 0;
	size_t len;

	if (got == -EAGAIN || got == -EINTR)
		return 1;
	if (got <= 0)
		return got == -ECONNRESET ? 0
					  : got ? wm_err__sys(err, got, "cannot hear waymarkd") : 0;
	while (!ret && (line = wm_lines__next(&server->lines, &len)))
		ret = take_line(server, line, len, err);
	return ret ? ret : 1;
}

/* --- the scrapers' side --- */

static void write_metrics(void *arg, enum wm_format format, struct wm_page *page)
{
	struct server *server = arg;
	const struct wm_exposition exposition = {
		server->facts, server->state, &server->counters, server->responsive,
	};

	if (server->facts)
		wm_exposition__write(&exposition, format, page);
}

static int timeout_of(const struct server *server, uint64_t now)
{
	int http = wm_http__timeout(server->http, now), own;

	if (!server->waiting)
		return http;
	own = server->until_ns > now ? (server->until_ns - now) / 1000000 + 1 : 0;
	return http >= 0 && http < own ? http : own;
}

static int serve(struct server *server, struct wm_err *err)
{
	struct pollfd fds[] = {
		{ .fd = WM_CHANNEL_SOCKET, .events = POLLIN },
		{ .fd = wm_http__fd(server->http), .events = POLLIN },
	};
	int ret = 1;

	while (ret > 0) {
		if (poll(fds, 2, timeout_of(server, wm_now_ns())) < 0 && errno != EINTR)
			return wm_err__sys(err, -errno, "cannot wait");
		if (fds[0].revents)
			ret = read_daemon(server, err);
		if (server->waiting && wm_now_ns() >= server->until_ns)
			answer(server, false);
		wm_http__run(server->http, wm_now_ns());
	}
	return ret;
}

/* --- start --- */

static bool started_by_daemon(int argc)
{
	struct stat st;

	if (argc != WM_CHANNEL_ARGC)
		return false;
	for (int fd = WM_CHANNEL_SOCKET; fd < WM_CHANNEL_END; fd++)
		if (fstat(fd, &st))
			return false;
	return !fstat(WM_CHANNEL_SOCKET, &st) && S_ISSOCK(st.st_mode);
}

static bool read_sizes(char **argv, struct wm_counters *counters)
{
	counters->n_cpus = strtoul(argv[1], NULL, 10);
	counters->dest_cpus = strtoul(argv[2], NULL, 10);
	counters->dest_bits = strtoul(argv[3], NULL, 10);
	return counters->n_cpus && counters->n_cpus <= WM_CPUS_MAX && counters->dest_cpus &&
	       counters->dest_cpus <= WM_CPUS_MAX && counters->dest_bits <= WM_DEST_BITS_MAX;
}

static void ignore_signals(void)
{
	static const int list[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTTOU };

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		signal(list[i], SIG_IGN);
}

/* What has to be done while nobody has sent us a byte. */
static int prepare(struct server *server, struct wm_err *err)
{
	int ret;

	close_range(WM_CHANNEL_END, ~0u, 0);
	wm_log__never_wait();
	ignore_signals();
	wm_lines__init(&server->lines, WM_CHANNEL_LINE_MAX);
	ret = wm_counters__open(&server->counters, WM_CHANNEL_CPUS, WM_CHANNEL_DESTS, err);
	if (!ret)
		ret = wm_privileges__drop(NULL, err);
	return ret ? ret : wm_privileges__confine(err);
}

static void clean_up(struct server *server)
{
	wm_http__free(server->http);
	wm_lines__free(&server->lines);
	wm_facts__free(server->facts);
	json_decref(server->state);
}

int main(int argc, char **argv)
{
	struct server server = {};
	const struct wm_http_hooks hooks = { ask, write_metrics, &server };
	struct wm_err err = {};
	int ret;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		puts("waymark-metrics " WM_VERSION);
		return 0;
	}
	if (!started_by_daemon(argc) || !read_sizes(argv, &server.counters)) {
		fputs("waymark-metrics is started by waymarkd, see waymark-metrics(8)\n", stderr);
		return 2;
	}
	wm_log__init("waymark-metrics", WM_LOG_INFO);
	ret = prepare(&server, &err);
	if (!ret)
		ret = wm_http__new(&server.http, WM_CHANNEL_LISTENER, &hooks, &err);
	if (!ret)
		ret = serve(&server, &err);
	if (ret)
		wm_error("%s", err.text);
	clean_up(&server);
	return ret ? 1 : 0;
}
