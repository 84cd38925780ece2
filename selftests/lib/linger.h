/* SPDX-License-Identifier: GPL-2.0 */
/* A TCP socket whose close() sleeps: it lingers, and its peer does not read. */
#ifndef LINGER_H
#define LINGER_H

struct linger_pair {
	int sock; /* close() of the last reference sleeps for LINGER_S */
	int peer, listener;
};

enum { LINGER_S = 600 }; /* longer than any test may take */

/* On loopback. 0 or -1. */
int linger_open(struct linger_pair *pair);
/* The peer, which ends the sleep; `sock` is not touched. */
void linger_close(struct linger_pair *pair);

#endif
