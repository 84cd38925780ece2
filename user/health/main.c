// SPDX-License-Identifier: GPL-2.0
/*
 * waymark-health: runs health checks for waymarkd, which starts it with a socket as its standard
 * input. It ends when that socket does, and by no signal that a terminal or a service manager
 * sends to the whole group.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "channel.h"
#include "log.h"
#include "privileges.h"
#include "run.h"
#include "stdfd.h"
#include "supervise.h"

enum {
	MOST = 4096,    /* runs at the same time: 10,000 servers that hang are asked every 5 s */
	SPARE_FDS = 64, /* for all else */
	EXIT_USAGE = 2,
};

static const char usage[] =
	"usage: waymark-health (no arguments; waymarkd starts it)\n"
	"\n"
	"Runs the health checks of waymarkd, without privileges. See check in waymark.yaml(5).\n";

static bool is_stream_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM;
}

/* As many descriptors as we may have; how many runs that is. */
static size_t room(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return SPARE_FDS;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur <= 2 * SPARE_FDS)
		return SPARE_FDS;
	return limit.rlim_cur - SPARE_FDS < MOST ? limit.rlim_cur - SPARE_FDS : MOST;
}

/* Before any server has sent us a byte. */
static int prepare(int raw[2], struct wm_err *err)
{
	static const char *const users[] = { "waymark-health", "nobody", NULL };

	if (close_range(STDERR_FILENO + 1, UINT32_MAX, 0))
		return wm_err__sys(err, -errno, "cannot close what is not ours");
	wm_echo__open_raw(raw);
	return wm_privileges__drop(users, err);
}

static int serve(const int raw[2], struct wm_err *err)
{
	struct wm_channel *channel = NULL;
	sd_event *event = NULL;
	int ret;

	ret = sd_event_new(&event);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot make an event loop");
	ret = wm_channel__new(&channel, event, STDIN_FILENO, room(), raw, err);
	if (!ret) {
		ret = sd_event_loop(event);
		if (ret < 0)
			wm_err__sys(err, ret, "the event loop ended");
	}
	wm_channel__free(channel);
	sd_event_unref(event);
	return ret;
}

int main(int argc, char **argv)
{
	int raw[2] = { -1, -1 }, ret;
	struct wm_err err = {};

	wm_stdfd__hold();
	if (argc > 1 && !strcmp(argv[1], WM_SUPERVISE))
		return wm_supervise(argc, argv);
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("waymark-health " WM_VERSION);
		return 0;
	}
	if (argc > 1 || !is_stream_socket(STDIN_FILENO)) {
		fputs(usage, argc > 1 && !strcmp(argv[1], "--help") ? stdout : stderr);
		return argc > 1 && !strcmp(argv[1], "--help") ? 0 : EXIT_USAGE;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* nobody waits for those who supervise scripts */
	wm_log__init("waymark-health", WM_LOG_INFO);
	ret = prepare(raw, &err);
	wm_log__never_wait();
	if (!ret)
		ret = serve(raw, &err);
	if (ret < 0)
		wm_error("%s", err.text);
	return ret < 0;
}
