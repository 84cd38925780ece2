// SPDX-License-Identifier: GPL-2.0
/*
 * A descriptor is kept in reserve. When there are no others it is given up for as long as
 * it takes to accept a connection and refuse it.
 */
#include "accept.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "monotonic.h"

enum {
	PAUSE_US = 100 * WM_TIMER_MS,
};

#define TELL_NS 10000000000ull /* at most once in this time */

static int reserve(void)
{
	return open("/", O_PATH | O_CLOEXEC);
}

static int accept_one(const struct wm_accept *a)
{
	int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

static void tell(struct wm_accept *a, int code)
{
	uint64_t now = wm_now_ns();

	if (a->told_ns && now - a->told_ns < TELL_NS)
		return;
	a->told_ns = now;
	wm_warn("%s: a connection cannot be taken: %s%s", a->what, strerror(-code),
		code == -EMFILE ? " (raise LimitNOFILE, or ulimit -n)" : "");
}

static int refuse_one(struct wm_accept *a)
{
	int fd;

	if (a->spare < 0)
		return -EMFILE;
	close(a->spare);
	fd = accept_one(a);
	if (fd >= 0)
		a->refuse(a->arg, fd);
	a->spare = reserve();
	return fd < 0 ? fd : 0;
}

static void pause_for_a_moment(struct wm_accept *a)
{
	sd_event_source_set_enabled(a->io, SD_EVENT_OFF);
	wm_timer__arm(&a->again, PAUSE_US);
}

static void go_on(void *arg)
{
	struct wm_accept *a = arg;

	sd_event_source_set_enabled(a->io, SD_EVENT_ON);
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *arg)
{
	struct wm_accept *a = arg;
	int fd;

	(void)source;
	(void)listener;
	(void)revents;
	if (a->full && a->full(a->arg)) {
		pause_for_a_moment(a);
		return 0;
	}
	/* Who was refused may be closed by another thread: then it takes a moment. */
	if (a->spare < 0)
		a->spare = reserve();
	fd = accept_one(a);
	if (fd >= 0) {
		a->take(a->arg, fd);
		return 0;
	}
	if (fd == -EAGAIN || fd == -EINTR || fd == -ECONNABORTED)
		return 0;
	tell(a, fd);
	if ((fd == -EMFILE || fd == -ENFILE) && !refuse_one(a))
		return 0;
	pause_for_a_moment(a);
	return 0;
}

int wm_accept__start(struct wm_accept *a, sd_event *event, int listener, const char *what,
		     void (*take)(void *arg, int fd), void (*refuse)(void *arg, int fd),
		     bool (*full)(void *arg), void *arg)
{
	int ret;

	*a = (struct wm_accept){ .listener = listener, .spare = reserve(), .what = what,
				 .take = take, .refuse = refuse, .full = full, .arg = arg };
	if (a->spare < 0)
		return -errno;
	ret = wm_timer__init(&a->again, event, go_on, a);
	if (ret >= 0)
		ret = sd_event_add_io(event, &a->io, listener, EPOLLIN, on_connection, a);
	return ret < 0 ? ret : 0;
}

void wm_accept__stop(struct wm_accept *a)
{
	if (!a->take) /* never started */
		return;
	a->io = sd_event_source_disable_unref(a->io);
	wm_timer__free(&a->again);
	if (a->spare >= 0)
		close(a->spare);
	*a = (struct wm_accept){};
}
