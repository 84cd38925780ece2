// SPDX-License-Identifier: GPL-2.0
/*
 * Threads live for one call. Each takes the next piece that nobody has taken, so
 * that pieces of different sizes spread evenly. How many: as many CPUs as
 * the scheduler lets this process use (taskset, a cpuset, systemd's
 * CPUAffinity=), never more than there are pieces.
 */
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

enum { THREADS_MAX = 16 };

struct pool {
	int (*work)(void *arg, size_t i);
	void *arg;
	size_t n, next;
	pthread_mutex_t lock; /* of the two below */
	size_t failed;        /* the lowest piece that has */
	int error;
};

static void note(struct pool *pool, size_t i, int error)
{
	pthread_mutex_lock(&pool->lock);
	if (i < pool->failed) {
		pool->failed = i;
		pool->error = error;
	}
	pthread_mutex_unlock(&pool->lock);
}

static void *work_on(void *arg)
{
	struct pool *pool = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&pool->next, 1, __ATOMIC_RELAXED)) < pool->n) {
		int ret = pool->work(pool->arg, i);

		if (ret)
			note(pool, i, ret);
	}
	return NULL;
}

static size_t usable_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1; /* more than a set has room for: rather one than a guess */
	return CPU_COUNT(&set);
}

int wm_pool__run(size_t n, int (*work)(void *arg, size_t i), void *arg)
{
	struct pool pool = { .work = work, .arg = arg, .n = n, .failed = SIZE_MAX };
	size_t want = usable_cpus(), threads = 0;
	pthread_t thread[THREADS_MAX];

	pthread_mutex_init(&pool.lock, NULL);
	if (want > n)
		want = n;
	while (threads < THREADS_MAX && threads + 1 < want &&
	       !pthread_create(&thread[threads], NULL, work_on, &pool))
		threads++;
	work_on(&pool);
	while (threads)
		pthread_join(thread[--threads], NULL);
	return pool.error;
}
