/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Closing what strangers gave, on a thread of its own.
 *
 * close() may sleep: the last reference to a TCP socket with SO_LINGER for as long as
 * whoever set it likes. Descriptors under way are references too. The kernel closes
 * those that nobody receives, in the thread that closes the socket they wait in, or that
 * reads their message without room for them. So whoever must not sleep
 *
 *   - does not receive from strangers on sockets that take descriptors (recv.h), and
 *   - gives accepted sockets, and descriptors that came along, to a closer.
 */
#ifndef WM_CLOSER_H
#define WM_CLOSER_H

#include <stdbool.h>
#include <stddef.h>

enum {
	WM_CLOSER_FULL = 256,  /* descriptors that wait; see wm_closer__full() */
	WM_CLOSER_ROOM = 1024, /* for them */
};

struct wm_closer;

/* 0 or -errno. */
int wm_closer__new(struct wm_closer **closer);
/* Does not wait: what is not closed is left to the thread, and to the process's end.
 * NULL is fine. */
void wm_closer__free(struct wm_closer *closer);

/*
 * Close these some time, in this order. Never waits. There must be room: the caller takes
 * no more in while the closer is full, and what it has by then is fewer than
 * WM_CLOSER_ROOM - WM_CLOSER_FULL.
 */
void wm_closer__close(struct wm_closer *closer, const int *fds, size_t n);
/* For a connection of our own: the other side learns of its end at once. What is left to be
 * read is read before it is closed, so that the other side reads what was sent last
 * and not a broken connection. */
void wm_closer__hang_up(struct wm_closer *closer, int sock);

/* Many wait: whoever fills it has to wait, too. */
bool wm_closer__full(struct wm_closer *closer);
/* How many wait, with the one that is being closed. */
size_t wm_closer__waiting(struct wm_closer *closer);

#endif
