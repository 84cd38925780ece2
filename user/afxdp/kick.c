// SPDX-License-Identifier: GPL-2.0
#include "kick.h"

#include "monotonic.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <linux/if_xdp.h>

/* Of one call in copy mode: TX_BATCH_SIZE of the kernel. */
enum { TX_BATCH = 32 };

static int real_wake(void *arg, int fd)
{
	(void)arg;
	return sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 ? -errno : 0;
}

static uint64_t real_now(void *arg)
{
	(void)arg;
	return wm_now_ns();
}

const struct wm_kick_world wm_kick_world = { real_wake, real_now, NULL };

void wm_kick__init(struct wm_kick *kick, const struct wm_kick_world *world, int fd, uint32_t size)
{
	kick->world = world;
	kick->fd = fd;
	kick->calls_max = 2 * (size / TX_BATCH) + WM_KICK_IDLE_MAX;
}

static uint32_t consumer_of(const struct wm_kick *kick)
{
	return __atomic_load_n(kick->consumer, __ATOMIC_ACQUIRE);
}

bool wm_kick__pending(const struct wm_kick *kick)
{
	return consumer_of(kick) != __atomic_load_n(kick->producer, __ATOMIC_RELAXED);
}

static bool wants_call(const struct wm_kick *kick)
{
	return __atomic_load_n(kick->flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP;
}

static bool is_later(int error)
{
	return error == -EAGAIN || error == -EBUSY || error == -ENOBUFS || error == -EINTR;
}

int wm_kick__push(struct wm_kick *kick)
{
	uint32_t last = consumer_of(kick), now;
	unsigned int idle = 0;

	/* The producer must be out before the flag is read: the kernel sets the
	 * flag, then looks at the producer once more. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t calls = 0; wm_kick__pending(kick); calls++) {
		int error;

		if (!wants_call(kick))
			return 0;
		if (calls >= kick->calls_max || idle >= WM_KICK_IDLE_MAX) {
			kick->given_up++;
			return -EAGAIN;
		}
		error = kick->world->wake(kick->world->arg, kick->fd);
		kick->wakeups++;
		if (!is_later(error))
			return error; /* with 0 the rest is the driver's to fetch */
		now = consumer_of(kick);
		idle = now == last ? idle + 1 : 0;
		last = now;
	}
	return 0;
}

bool wm_kick__watch(struct wm_kick *kick)
{
	uint32_t consumer = consumer_of(kick);
	uint64_t now;

	if (!wm_kick__pending(kick)) {
		kick->watching = false;
		return false;
	}
	now = kick->world->now_ns(kick->world->arg);
	if (!kick->watching || consumer != kick->seen) {
		kick->watching = true;
		kick->seen = consumer;
		kick->since_ns = now;
		return false;
	}
	if (now - kick->since_ns < WM_KICK_STALL_NS)
		return false;
	kick->stall_kicks++;
	kick->wakeups++;
	kick->since_ns = now;
	kick->world->wake(kick->world->arg, kick->fd);
	return true;
}
