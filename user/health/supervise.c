// SPDX-License-Identifier: GPL-2.0
/*
 * What a script starts is found, whatever it does: this process is the one to which children
 * fall whose parents have ended (PR_SET_CHILD_SUBREAPER). At the end all that is below us is
 * stopped, until there is nobody new, and then killed. RLIMIT_NPROC bounds how many there are.
 */
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PROCESSES_MAX = 128,       /* of our user */
	MEMORY_MAX = 256 << 20,    /* of one of them */
	FILE_MAX = 16 << 20,
	FILES_MAX = 256,
	READS_AT_END = 64,         /* then what is still being written does not count */
	SEEN_MAX = 4 * PROCESSES_MAX,
	QUIET = 3,                 /* looks at all processes that find no new one */
	PEER = STDIN_FILENO,
};

struct script {
	pid_t pid;
	int out;     /* what it writes */
	int signals; /* signalfd: children have ended */
	bool ended;
	struct wm_supervised is;
	size_t len; /* of the present line, which `is.said` has once it has something in it */
};

/* --- what it writes --- */

/* The last line that has something in it. */
static void take_output(struct script *s, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' || bytes[i] == '\r') {
			s->len = 0;
			continue;
		}
		if (s->len + 1 >= sizeof(s->is.said))
			continue;
		if (!s->len)
			memset(s->is.said, 0, sizeof(s->is.said));
		s->is.said[s->len++] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '?';
	}
}

/* false: nothing more is there, or will be. */
static bool read_output(struct script *s)
{
	char bytes[4096];
	ssize_t n = read(s->out, bytes, sizeof(bytes));

	if (n > 0)
		take_output(s, bytes, n);
	return n > 0 || (n < 0 && errno == EINTR);
}

/* --- its start --- */

static void limit(int what, rlim_t most)
{
	const struct rlimit limit = { most, most };

	setrlimit(what, &limit); /* if there is a lower one already that is as well */
}

static void set_limits(rlim_t seconds)
{
	limit(RLIMIT_NPROC, PROCESSES_MAX);
	limit(RLIMIT_AS, MEMORY_MAX);
	limit(RLIMIT_FSIZE, FILE_MAX);
	limit(RLIMIT_NOFILE, FILES_MAX);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, seconds);
}

/* In the child. Says by `failed` what went wrong. */
static void run(char **argv, rlim_t seconds, int out, int failed)
{
	sigset_t none;
	int error;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0 && !chdir("/") &&
	    !close(STDIN_FILENO) && open("/dev/null", O_RDONLY) == STDIN_FILENO) {
		set_limits(seconds);
		execv(argv[0], argv);
	}
	error = errno;
	if (write(failed, &error, sizeof(error)) < 0)
		_exit(126);
	_exit(127);
}

/* 0 or an errno. */
static int start(struct script *s, char **argv, rlim_t seconds)
{
	int out[2], failed[2], error = 0;

	if (pipe2(out, O_CLOEXEC) || pipe2(failed, O_CLOEXEC))
		return errno;
	s->pid = fork();
	if (s->pid < 0)
		return errno;
	if (!s->pid)
		run(argv, seconds, out[1], failed[1]);
	close(out[1]);
	close(failed[1]);
	s->out = out[0];
	fcntl(s->out, F_SETFL, O_NONBLOCK);
	if (read(failed[0], &error, sizeof(error)) < (ssize_t)sizeof(error))
		error = 0;
	close(failed[0]);
	return error;
}

/* --- its end --- */

static void reap(struct script *s, int options)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(s->signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, options)) > 0) {
		options |= WNOHANG;
		if (pid != s->pid)
			continue;
		s->ended = true;
		s->is.how = WIFEXITED(status) ? WM_SUPERVISED_EXIT : WM_SUPERVISED_SIGNAL;
		s->is.number = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
	}
}

/* Those whom this one has made. */
static size_t children_of(pid_t pid, pid_t *list, size_t max)
{
	char path[64];
	size_t n = 0;
	FILE *file;

	/* Of its first thread; others' children are a script's that has threads. */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	while (file && n < max && fscanf(file, "%d", &list[n]) == 1)
		n++;
	if (file)
		fclose(file);
	return n;
}

struct seen {
	pid_t pid[SEEN_MAX];
	size_t n;
};

static bool is_new(struct seen *seen, pid_t pid)
{
	for (size_t i = 0; i < seen->n; i++)
		if (seen->pid[i] == pid)
			return false;
	if (seen->n < SEEN_MAX)
		seen->pid[seen->n++] = pid;
	return seen->n < SEEN_MAX;
}

/* To all below us, the nearest first; which of them were not seen before. */
static size_t signal_all(int number, struct seen *seen)
{
	pid_t list[SEEN_MAX];
	size_t n = children_of(getpid(), list, SEEN_MAX), news = 0;

	for (size_t i = 0; i < n; i++) {
		kill(list[i], number);
		news += is_new(seen, list[i]);
		n += children_of(list[i], list + n, SEEN_MAX - n);
	}
	return news;
}

static void wait_a_moment(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	nanosleep(&moment, NULL);
}

/* One that is stopped still counts for RLIMIT_NPROC: when as many as may be are stopped, nobody
 * is left who could make another. To kill them one by one would make room for new ones. */
static void stop_all(struct script *s)
{
	struct seen seen = {};

	kill(-s->pid, SIGSTOP);
	for (int quiet = 0; quiet < QUIET; wait_a_moment())
		quiet = signal_all(SIGSTOP, &seen) ? 0 : quiet + 1;
}

static void end_all(struct script *s)
{
	int status;

	stop_all(s);
	kill(-s->pid, SIGKILL);
	for (;;) {
		struct seen seen = {};
		bool any = signal_all(SIGKILL, &seen) > 0;
		pid_t pid = waitpid(-1, &status, any ? 0 : WNOHANG);

		if (pid < 0 && errno == ECHILD)
			return;
		if (!pid)
			wait_a_moment();
	}
}

/* --- meanwhile --- */

/* Until it has ended (true), or nobody wants to know any more. */
static bool follow(struct script *s)
{
	struct pollfd fds[] = {
		{ .fd = PEER, .events = POLLIN }, { .fd = s->signals, .events = POLLIN },
		{ .fd = s->out, .events = POLLIN },
	};

	while (!s->ended) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return false;
		if (fds[0].revents)
			return false;
		if (fds[2].revents && !read_output(s))
			fds[2].fd = -1;
		if (fds[1].revents)
			reap(s, WNOHANG);
	}
	for (int i = 0; i < READS_AT_END && read_output(s); i++)
		;
	return true;
}

static int tell(const struct script *s)
{
	return send(PEER, &s->is, sizeof(s->is), MSG_NOSIGNAL | MSG_DONTWAIT) < 0;
}

int wm_supervise(int argc, char **argv)
{
	struct script s = {};
	sigset_t child;
	int error;

	if (argc < 4)
		return 2;
	close_range(STDERR_FILENO + 1, UINT32_MAX, 0);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	s.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
		error = errno;
	else
		error = start(&s, argv + 3, strtoul(argv[2], NULL, 10));
	if (error) {
		s.is.how = WM_SUPERVISED_ERRNO;
		s.is.number = error;
		return tell(&s);
	}
	error = follow(&s) ? tell(&s) : 0;
	end_all(&s);
	return error;
}
