// SPDX-License-Identifier: GPL-2.0
/* A signal sets a flag; whoever loops looks at it between two turns. */
#include "interrupt.h"

#include "monotonic.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

static volatile sig_atomic_t came;

static void on_signal(int number)
{
	(void)number;
	came = 1;
}

void interrupt__catch(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal }, old;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!sigaction(numbers[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &action, NULL);
}

bool interrupt__came(void)
{
	return came;
}

void interrupt__pretend(void)
{
	came = 1;
}

double interrupt__now_s(void)
{
	return wm_now_ns() / 1e9;
}
