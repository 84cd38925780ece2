// SPDX-License-Identifier: GPL-2.0
/*
 * A program is run, and exit code 0 is good. Another process supervises it (supervise.c), which
 * says how it ended; when we close our end of its socket it ends all that there is of it, and
 * itself. Nobody waits for that here: children are reaped by the kernel (SIGCHLD is ignored).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run.h"
#include "supervise.h"

enum {
	AT_ONCE = 32,
	WORDS = WM_CHECK_SCRIPT_WORDS,
};

#define SECOND 1000000000ull

static int under_way; /* all of this process */

/* --- its end --- */

static void finish(struct wm_run *run, const struct wm_supervised *is)
{
	enum wm_outcome outcome = is->how == WM_SUPERVISED_EXIT && !is->number ?
		WM_OUTCOME_GOOD : WM_OUTCOME_BAD;
	const char *word = is->how == WM_SUPERVISED_EXIT ? "exit code" : "signal";

	if (is->how == WM_SUPERVISED_ERRNO)
		wm_run__finish(run, WM_OUTCOME_UNKNOWN, is->number, "the script cannot be run: %s",
			       strerror(is->number));
	else if (*is->said)
		wm_run__finish(run, outcome, is->number, "%.100s (%s %d)", is->said, word,
			       is->number);
	else
		wm_run__finish(run, outcome, is->number, "%s %d", word, is->number);
}

static int on_message(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct wm_supervised is = {};
	ssize_t n = recv(fd, &is, sizeof(is), MSG_DONTWAIT);

	(void)source;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	is.said[sizeof(is.said) - 1] = '\0';
	if (n == sizeof(is))
		finish(arg, &is);
	else
		wm_run__finish(arg, WM_OUTCOME_UNKNOWN, EPIPE, "the script was lost");
	return 0;
}

/* --- its start --- */

/* Words by blanks, in `text`, which is written to; behind those that are there. */
static void split(char *text, char **argv, size_t n)
{
	char *save;

	for (char *word = strtok_r(text, " ", &save); word && n + 1 < WORDS + 4;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
}

/* Whom it is to ask; nothing of our own environment. */
static int spawn(struct wm_run *run, char **argv, int peer)
{
	char real[64], port[32], address[WM_ADDR_TEXT];
	char *env[] = { (char *)"PATH=/usr/local/bin:/usr/bin:/bin", real, port, NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	pid_t pid;
	int error;

	snprintf(real, sizeof(real), "WAYMARK_REAL=%s",
		 wm_addr__format(&run->probe->address, address));
	snprintf(port, sizeof(port), "WAYMARK_PORT=%u", run->probe->check.port);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	error = posix_spawn_file_actions_adddup2(&files, peer, STDIN_FILENO);
	if (!error)
		error = posix_spawn(&pid, "/proc/self/exe", &files, &attr, argv, env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return error;
}

static int begin(struct wm_run *run)
{
	char seconds[32], *text = strdup(run->probe->check.script);
	char *argv[WORDS + 4] = { (char *)"waymark-health", (char *)WM_SUPERVISE, seconds };
	int pair[2], error;

	if (!text)
		return ENOMEM;
	snprintf(seconds, sizeof(seconds), "%llu",
		 (unsigned long long)(run->probe->check.timeout_ns / SECOND + 1));
	split(text, argv, 3);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		free(text);
		return errno;
	}
	run->fd = pair[0];
	error = spawn(run, argv, pair[1]);
	close(pair[1]);
	free(text);
	if (!error && sd_event_add_io(run->event, &run->io, run->fd, EPOLLIN, on_message, run) < 0)
		error = ENOMEM;
	return error;
}

static void script_start(struct wm_run *run)
{
	int error;

	if (under_way >= AT_ONCE) {
		wm_run__finish(run, WM_OUTCOME_UNKNOWN, EAGAIN, "%d scripts run already: the "
			       "interval is too short for them", AT_ONCE);
		return;
	}
	under_way++;
	run->script = true;
	error = begin(run);
	if (error)
		wm_run__finish(run, WM_OUTCOME_UNKNOWN, error, "the script cannot be run: %s",
			       strerror(error));
}

static void script_stop(struct wm_run *run)
{
	under_way -= run->script;
	run->script = false;
	wm_run__close(run);
}

const struct wm_run_ops wm_run_script = { script_start, script_stop, "the script has not ended" };
