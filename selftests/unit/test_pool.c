// SPDX-License-Identifier: GPL-2.0
/* Work in pieces: every piece once, errors by number, any number of CPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "pool.h"

enum { PIECES = 5000 };

struct tally {
	unsigned int done[PIECES]; /* how often */
	size_t bad;                /* this piece and all after it fail */
};

static int count(void *arg, size_t i)
{
	struct tally *t = arg;

	t->done[i]++; /* nobody else has this piece */
	return i >= t->bad ? -(int)(i % 100 + 1) : 0;
}

static void assert_each_once(const struct tally *t, size_t n)
{
	for (size_t i = 0; i < PIECES; i++)
		assert_int_equal(t->done[i], i < n);
}

static void every_piece_once(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 17, PIECES };
	static struct tally t;

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		memset(&t, 0, sizeof(t));
		t.bad = PIECES;
		assert_int_equal(wm_pool__run(sizes[s], count, &t), 0);
		assert_each_once(&t, sizes[s]);
	}
}

/* The error does not depend on who was first; the others are done all the same. */
static void first_error_by_number(void **state)
{
	static struct tally t;

	(void)state;
	for (size_t bad = 0; bad < PIECES; bad += 613) {
		memset(&t, 0, sizeof(t));
		t.bad = bad;
		assert_int_equal(wm_pool__run(PIECES, count, &t), -(int)(bad % 100 + 1));
		assert_each_once(&t, PIECES);
	}
}

static int where(void *arg, size_t i)
{
	int *cpus = arg;

	cpus[i] = sched_getcpu();
	return 0;
}

static void stays_on_its_cpus(void **state)
{
	static int cpus[PIECES];
	cpu_set_t all, one;
	int first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(wm_pool__run(PIECES, where, cpus), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	for (size_t i = 0; i < PIECES; i++)
		assert_int_equal(cpus[i], first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_piece_once),
		cmocka_unit_test(first_error_by_number),
		cmocka_unit_test(stays_on_its_cpus),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
