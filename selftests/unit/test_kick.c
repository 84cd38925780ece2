// SPDX-License-Identifier: GPL-2.0
/* The kick loop and its watchdog against a kernel that is played: it takes what
 * it likes, says what it likes, and its clock stands still unless it is moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/if_xdp.h>

#include "kick.h"

enum { RING = 2048, MS = 1000000 };

/* What the played kernel does at a call. */
struct kernel {
	struct wm_kick kick;
	struct wm_kick_world world;
	uint32_t producer, consumer, flags;
	uint32_t takes;     /* descriptors a call */
	int says;           /* while something is left */
	uint32_t deaf;      /* so many calls do nothing and say `says` */
	uint32_t calls;
	uint64_t now;
};

static int wake(void *arg, int fd)
{
	struct kernel *k = arg;
	uint32_t left = k->producer - k->consumer;

	assert_int_equal(fd, 42);
	k->calls++;
	if (k->deaf) {
		k->deaf--;
		return k->says;
	}
	k->consumer += left < k->takes ? left : k->takes;
	return k->consumer == k->producer ? 0 : k->says;
}

static uint64_t now(void *arg)
{
	return ((struct kernel *)arg)->now;
}

static void start(struct kernel *k, uint32_t pending)
{
	*k = (struct kernel){ .takes = 32, .says = -EAGAIN, .flags = XDP_RING_NEED_WAKEUP,
			      .now = 1000 * (uint64_t)MS };
	k->consumer = 0xffffff00; /* indices wrap */
	k->producer = k->consumer + pending;
	k->world = (struct wm_kick_world){ wake, now, k };
	wm_kick__init(&k->kick, &k->world, 42, RING);
	k->kick.producer = &k->producer;
	k->kick.consumer = &k->consumer;
	k->kick.flags = &k->flags;
}

static void test_an_empty_ring_is_not_kicked(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 0);
	assert_int_equal(wm_kick__push(&k.kick), 0);
	assert_int_equal(k.calls, 0);
}

/* One call takes 32 of 200 and says EAGAIN: the rest must not stay. */
static void test_pushes_until_the_ring_is_empty(void **state)
{
	static const int later[] = { -EAGAIN, -EBUSY, -ENOBUFS, -EINTR };
	struct kernel k;

	(void)state;
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++) {
		start(&k, 200);
		k.says = later[i];
		assert_int_equal(wm_kick__push(&k.kick), 0);
		assert_int_equal(k.consumer, k.producer);
		assert_int_equal(k.calls, 7);
		assert_int_equal(k.kick.wakeups, 7);
		assert_int_equal(k.kick.given_up, 0);
	}
}

static void test_a_full_ring_is_emptied(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, RING);
	assert_int_equal(wm_kick__push(&k.kick), 0);
	assert_int_equal(k.consumer, k.producer);
}

/* No memory for a while, then it goes on. */
static void test_patience_with_a_kernel_that_takes_nothing_at_first(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 100);
	k.says = -ENOBUFS;
	k.deaf = WM_KICK_IDLE_MAX - 1;
	assert_int_equal(wm_kick__push(&k.kick), 0);
	assert_int_equal(k.consumer, k.producer);
}

static void test_is_bounded(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 100);
	k.deaf = UINT32_MAX;
	assert_int_equal(wm_kick__push(&k.kick), -EAGAIN);
	assert_int_equal(k.calls, WM_KICK_IDLE_MAX);
	assert_int_equal(k.kick.given_up, 1);

	/* One a call is progress, and still there is an end. */
	start(&k, RING);
	k.takes = 1;
	assert_int_equal(wm_kick__push(&k.kick), -EAGAIN);
	assert_int_equal(k.calls, k.kick.calls_max);
}

static void test_does_not_call_where_the_driver_needs_none(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 100);
	k.flags = 0;
	assert_int_equal(wm_kick__push(&k.kick), 0);
	assert_int_equal(k.calls, 0);
}

/* Zero copy: the call says that the driver will fetch the rest by itself. */
static void test_goes_no_further_when_told_that_all_is_well(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 100);
	k.says = 0;
	assert_int_equal(wm_kick__push(&k.kick), 0);
	assert_int_equal(k.calls, 1);
}

static void test_other_errors_end_it(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 100);
	k.says = -ENETDOWN;
	assert_int_equal(wm_kick__push(&k.kick), -ENETDOWN);
	assert_int_equal(k.calls, 1);
}

/* --- the watchdog --- */

static void test_watchdog_finds_a_ring_that_stands_still(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 40);
	assert_false(wm_kick__watch(&k.kick)); /* seen for the first time */
	k.now += WM_KICK_STALL_NS - 1;
	assert_false(wm_kick__watch(&k.kick));
	assert_int_equal(k.calls, 0);
	k.now += 1;
	assert_true(wm_kick__watch(&k.kick));
	assert_int_equal(k.calls, 1);
	assert_int_equal(k.kick.stall_kicks, 1);

	/* It took 32: that is not another stall. The rest is, a millisecond on. */
	assert_false(wm_kick__watch(&k.kick));
	k.now += WM_KICK_STALL_NS;
	assert_true(wm_kick__watch(&k.kick));
	assert_int_equal(k.consumer, k.producer);
	k.now += 10 * MS;
	assert_false(wm_kick__watch(&k.kick));
	assert_int_equal(k.kick.stall_kicks, 2);
}

static void test_watchdog_leaves_a_ring_that_moves_alone(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 1000);
	for (int i = 0; i < 100; i++) {
		assert_false(wm_kick__watch(&k.kick));
		k.consumer++; /* slow, but it moves */
		k.now += WM_KICK_STALL_NS;
	}
	assert_int_equal(k.kick.stall_kicks, 0);
	assert_int_equal(k.calls, 0);
}

/* It was empty in between: the time before does not count. */
static void test_watchdog_forgets_when_the_ring_was_empty(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 1);
	assert_false(wm_kick__watch(&k.kick));
	k.producer = k.consumer;
	k.now += 5 * MS;
	assert_false(wm_kick__watch(&k.kick));
	k.producer++;
	assert_false(wm_kick__watch(&k.kick));
	assert_int_equal(k.kick.stall_kicks, 0);
}

/* A push that reached its bound leaves the rest to the watchdog. */
static void test_watchdog_ends_what_push_gave_up(void **state)
{
	struct kernel k;

	(void)state;
	start(&k, 20);
	k.deaf = WM_KICK_IDLE_MAX;
	assert_int_equal(wm_kick__push(&k.kick), -EAGAIN);
	assert_true(wm_kick__pending(&k.kick));
	assert_false(wm_kick__watch(&k.kick));
	k.now += WM_KICK_STALL_NS;
	assert_true(wm_kick__watch(&k.kick));
	assert_false(wm_kick__pending(&k.kick));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_empty_ring_is_not_kicked),
		cmocka_unit_test(test_pushes_until_the_ring_is_empty),
		cmocka_unit_test(test_a_full_ring_is_emptied),
		cmocka_unit_test(test_patience_with_a_kernel_that_takes_nothing_at_first),
		cmocka_unit_test(test_is_bounded),
		cmocka_unit_test(test_does_not_call_where_the_driver_needs_none),
		cmocka_unit_test(test_goes_no_further_when_told_that_all_is_well),
		cmocka_unit_test(test_other_errors_end_it),
		cmocka_unit_test(test_watchdog_finds_a_ring_that_stands_still),
		cmocka_unit_test(test_watchdog_leaves_a_ring_that_moves_alone),
		cmocka_unit_test(test_watchdog_forgets_when_the_ring_was_empty),
		cmocka_unit_test(test_watchdog_ends_what_push_gave_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
