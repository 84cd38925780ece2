/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel's side of the netdev family: the receive queues of one device, lo, which is
 * there everywhere; with the commands of the series or without them.
 */
#ifndef SELFTEST_FAKE_NETDEV_H
#define SELFTEST_FAKE_NETDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"

enum { NETDEV_QUEUES = 8 };

struct fake_netdev {
	bool patched;      /* has queue-stop and what came with it */
	bool no_queue_get; /* as before Linux 6.8 */
	uint32_t n;        /* queues */
	bool stopped[NETDEV_QUEUES];
	int program[NETDEV_QUEUES]; /* descriptor that was given; 0: none */
	/* This command fails for this queue, with these words. */
	uint8_t fail_command;
	uint32_t fail_queue;
	int fail_errno;
	const char *fail_words;
	/* What happened. */
	size_t changes;
	char request[WM_NL_MESSAGE]; /* the last */
	char out[16384];             /* answer that waits */
	size_t used;
	uint32_t seq;
};

struct wm_nl_io fake_netdev__io(struct fake_netdev *kernel);

#endif
