// SPDX-License-Identifier: GPL-2.0
/*
 * A thread lives for one job: jobs are seldom and long. It says that it is done
 * through an eventfd; the loop joins it before anything else looks at the result,
 * so that there is nothing to lock. Signals stay with the loop: they were
 * blocked before the first thread was made.
 */
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct wm_worker {
	pthread_t thread;
	int fd; /* eventfd: the job is done */
	sd_event_source *io;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	bool busy, threaded;
};

static void *run(void *arg)
{
	struct wm_worker *worker = arg;

	worker->work(worker->arg);
	eventfd_write(worker->fd, 1);
	return NULL;
}

static void join(struct wm_worker *worker)
{
	if (worker->threaded)
		pthread_join(worker->thread, NULL);
	worker->threaded = worker->busy = false;
}

static int on_done(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	struct wm_worker *worker = arg;
	eventfd_t count;

	(void)source;
	(void)revents;
	if (eventfd_read(fd, &count))
		return 0;
	join(worker);
	worker->done(worker->arg);
	return 0;
}

int wm_worker__new(struct wm_worker **out, sd_event *event)
{
	struct wm_worker *worker = calloc(1, sizeof(*worker));
	int ret;

	*out = NULL;
	if (!worker)
		return -ENOMEM;
	worker->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret = worker->fd < 0 ? -errno : sd_event_add_io(event, &worker->io, worker->fd, EPOLLIN,
							 on_done, worker);
	if (ret < 0) {
		wm_worker__free(worker);
		return ret;
	}
	*out = worker;
	return 0;
}

void wm_worker__free(struct wm_worker *worker)
{
	if (!worker)
		return;
	join(worker);
	sd_event_source_disable_unref(worker->io);
	if (worker->fd >= 0)
		close(worker->fd);
	free(worker);
}

void wm_worker__abandon(struct wm_worker *worker)
{
	if (!worker || !worker->threaded) {
		wm_worker__free(worker);
		return;
	}
	sd_event_source_disable_unref(worker->io);
	pthread_detach(worker->thread);
}

int wm_worker__try(struct wm_worker *worker, void (*work)(void *arg), void (*done)(void *arg),
		   void *arg)
{
	int ret;

	worker->work = work;
	worker->done = done;
	worker->arg = arg;
	ret = pthread_create(&worker->thread, NULL, run, worker);
	worker->busy = worker->threaded = !ret;
	return -ret;
}

void wm_worker__start(struct wm_worker *worker, void (*work)(void *arg),
		      void (*done)(void *arg), void *arg)
{
	if (!wm_worker__try(worker, work, done, arg))
		return;
	worker->busy = true;
	run(worker);
}

bool wm_worker__busy(const struct wm_worker *worker)
{
	return worker && worker->busy;
}
