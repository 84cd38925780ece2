// SPDX-License-Identifier: GPL-2.0
/*
 * A ring of descriptors, and a thread that closes the oldest. Most ways of sleeping in
 * close(), lingering among them, end with a signal: a timer sends the thread one every
 * INTERRUPT_NS while it closes, so that nobody keeps it for longer. Where even that does
 * not help (a file of a FUSE server that does not answer) the ring fills, and its owner
 * takes in no more.
 *
 * The thread has its own reference to the closer, and may outlive its owner's.
 */
#include "closer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* glibc has the number, and not always the name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
	INTERRUPT_NS = 100000000,
	READS = 64, /* of what is left in a socket */
};

struct closing {
	int fd;
	bool drain; /* ours to read from */
};

struct wm_closer {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct closing list[WM_CLOSER_ROOM];
	size_t first, n; /* the first is the one that is being closed */
	bool ended;      /* nobody gives it more */
};

static void on_interrupt(int number)
{
	(void)number; /* that it came is enough */
}

static void read_rest(int fd)
{
	char waste[4096];

	for (int i = 0; i < READS; i++)
		if (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) < 0)
			break;
}

/* The signals come again and again: one just before close() begins to sleep is no use. */
static void close_one(const struct closing *closing, const timer_t *timer)
{
	const struct itimerspec often = { { 0, INTERRUPT_NS }, { 0, INTERRUPT_NS } }, never = {};

	if (timer)
		timer_settime(*timer, 0, &often, NULL);
	if (closing->drain)
		read_rest(closing->fd);
	close(closing->fd);
	if (timer)
		timer_settime(*timer, 0, &never, NULL);
}

/* The next one to close; it stays in the ring meanwhile. false: there will be none. */
static bool next(struct wm_closer *closer, struct closing *closing)
{
	bool any;

	pthread_mutex_lock(&closer->lock);
	while (!closer->n && !closer->ended)
		pthread_cond_wait(&closer->more, &closer->lock);
	any = closer->n;
	*closing = closer->list[closer->first];
	pthread_mutex_unlock(&closer->lock);
	return any;
}

static void done(struct wm_closer *closer)
{
	pthread_mutex_lock(&closer->lock);
	closer->first = (closer->first + 1) % WM_CLOSER_ROOM;
	closer->n--;
	pthread_mutex_unlock(&closer->lock);
}

static void destroy(struct wm_closer *closer)
{
	pthread_cond_destroy(&closer->more);
	pthread_mutex_destroy(&closer->lock);
	free(closer);
}

static void *run(void *arg)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN };
	struct wm_closer *closer = arg;
	struct closing closing;
	timer_t timer;
	bool has_timer;

	event.sigev_notify_thread_id = gettid();
	/* Without one, for want of memory, it takes as long as it takes. */
	has_timer = !timer_create(CLOCK_MONOTONIC, &event, &timer);
	while (next(closer, &closing)) {
		close_one(&closing, has_timer ? &timer : NULL);
		done(closer);
	}
	if (has_timer)
		timer_delete(timer);
	destroy(closer);
	return NULL;
}

/* The thread hears that signal and no other: those are the loop's. */
static int start(struct wm_closer *closer)
{
	struct sigaction act = { .sa_handler = on_interrupt };
	sigset_t others, before;
	pthread_t thread;
	int ret;

	sigaction(SIGRTMIN, &act, NULL);
	sigfillset(&others);
	sigdelset(&others, SIGRTMIN);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	ret = pthread_create(&thread, NULL, run, closer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!ret)
		pthread_detach(thread);
	return -ret;
}

int wm_closer__new(struct wm_closer **out)
{
	struct wm_closer *closer = calloc(1, sizeof(*closer));
	int ret;

	*out = NULL;
	if (!closer)
		return -ENOMEM;
	pthread_mutex_init(&closer->lock, NULL);
	pthread_cond_init(&closer->more, NULL);
	ret = start(closer);
	if (ret)
		destroy(closer);
	else
		*out = closer;
	return ret;
}

void wm_closer__free(struct wm_closer *closer)
{
	if (!closer)
		return;
	pthread_mutex_lock(&closer->lock);
	closer->ended = true;
	pthread_cond_signal(&closer->more);
	pthread_mutex_unlock(&closer->lock); /* the thread frees it */
}

static void add(struct wm_closer *closer, const int *fds, size_t n, bool drain)
{
	if (!n)
		return;
	pthread_mutex_lock(&closer->lock);
	for (size_t i = 0; i < n && closer->n < WM_CLOSER_ROOM; i++)
		closer->list[(closer->first + closer->n++) % WM_CLOSER_ROOM] =
			(struct closing){ fds[i], drain };
	pthread_cond_signal(&closer->more);
	pthread_mutex_unlock(&closer->lock);
}

void wm_closer__close(struct wm_closer *closer, const int *fds, size_t n)
{
	add(closer, fds, n, false);
}

void wm_closer__hang_up(struct wm_closer *closer, int sock)
{
	shutdown(sock, SHUT_RDWR);
	add(closer, &sock, 1, true);
}

size_t wm_closer__waiting(struct wm_closer *closer)
{
	size_t n;

	pthread_mutex_lock(&closer->lock);
	n = closer->n;
	pthread_mutex_unlock(&closer->lock);
	return n;
}

bool wm_closer__full(struct wm_closer *closer)
{
	return wm_closer__waiting(closer) >= WM_CLOSER_FULL;
}
