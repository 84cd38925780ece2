// SPDX-License-Identifier: GPL-2.0
#include "child.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monotonic.h"

#define TRUSTED_NS 60000000000ull /* who ran for so long has the first delay again */

extern char **environ;

/* --- its end --- */

/* What is left of it goes. false: it runs. */
static bool reap(struct wm_child *child, siginfo_t *info, int options)
{
	*info = (siginfo_t){};
	if (waitid(P_PIDFD, child->pidfd, info, WEXITED | options) || !info->si_pid)
		return false;
	child->end = sd_event_source_disable_unref(child->end);
	close(child->pidfd);
	child->pidfd = -1;
	child->pid = 0;
	return true;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct wm_child *child = arg;
	siginfo_t info;

	(void)source;
	(void)fd;
	(void)events;
	if (!reap(child, &info, WNOHANG))
		return 0;
	if (wm_now_ns() - child->started_ns >= TRUSTED_NS)
		child->delay_ms = 0;
	child->ops->ended(child->arg, &info);
	return 0;
}

void wm_child__kill(struct wm_child *child)
{
	if (child->pid)
		pidfd_send_signal(child->pidfd, SIGKILL, NULL, 0);
}

void wm_child__describe(const siginfo_t *info, char text[WM_CHILD_TEXT])
{
	if (info->si_code == CLD_EXITED)
		snprintf(text, WM_CHILD_TEXT, "ended with exit code %d", info->si_status);
	else
		snprintf(text, WM_CHILD_TEXT, "was ended by signal %d (%s)", info->si_status,
			 strsignal(info->si_status));
}

/* --- its start --- */

static int find_program(char path[PATH_MAX], const char *program)
{
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *name;

	if (len < 0)
		return -errno;
	path[len] = '\0';
	name = strrchr(path, '/');
	if (!name || name + 1 + strlen(program) >= path + PATH_MAX)
		return -ENOENT;
	strcpy(name + 1, program);
	return 0;
}

static int spawn(pid_t *pid, const char *path, char *const *argv, const struct wm_child_fd *fds,
		 size_t n)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int ret;

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawn_file_actions_init(&files))
		return -ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return -ENOMEM;
	}
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	ret = 0;
	for (size_t i = 0; i < n && !ret; i++)
		ret = posix_spawn_file_actions_adddup2(&files, fds[i].from, fds[i].to);
	if (!ret)
		ret = posix_spawn(pid, path, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -ret;
}

static int watch(struct wm_child *child)
{
	int ret;

	child->pidfd = pidfd_open(child->pid, 0);
	if (child->pidfd < 0)
		return -errno;
	ret = sd_event_add_io(child->event, &child->end, child->pidfd, EPOLLIN, on_end, child);
	return ret < 0 ? ret : 0;
}

/* One that cannot be watched must not be. */
static void give_up(struct wm_child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	if (child->pidfd >= 0)
		close(child->pidfd);
	child->pidfd = -1;
	child->pid = 0;
}

int wm_child__start(struct wm_child *child, const char *program, char *const *argv,
		    const struct wm_child_fd *fds, size_t n)
{
	char path[PATH_MAX];
	int ret = find_program(path, program);

	if (!ret)
		ret = spawn(&child->pid, path, argv, fds, n);
	if (ret) {
		child->pid = 0;
		return ret;
	}
	child->started_ns = wm_now_ns();
	ret = watch(child);
	if (ret)
		give_up(child);
	return ret;
}

unsigned int wm_child__start_later(struct wm_child *child)
{
	const struct wm_child_ops *ops = child->ops;

	child->delay_ms = child->delay_ms ? 2 * child->delay_ms : ops->first_ms;
	if (child->delay_ms > ops->max_ms)
		child->delay_ms = ops->max_ms;
	wm_timer__arm(&child->again, (uint64_t)child->delay_ms * WM_TIMER_MS);
	return child->delay_ms;
}

void wm_child__forget_delay(struct wm_child *child)
{
	child->delay_ms = 0;
}

/* --- all of it --- */

int wm_child__init(struct wm_child *child, sd_event *event, const struct wm_child_ops *ops,
		   void *arg)
{
	*child = (struct wm_child){ .ops = ops, .arg = arg, .event = event, .pidfd = -1 };
	return wm_timer__init(&child->again, event, ops->start, arg);
}

void wm_child__free(struct wm_child *child)
{
	siginfo_t info;

	wm_child__kill(child);
	if (child->pid)
		reap(child, &info, 0);
	wm_timer__free(&child->again);
}
