/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Local sockets of which bytes are wanted and no descriptors. A descriptor that nobody
 * wanted is closed by the kernel in the reader's thread, which may sleep there (closer.h).
 */
#ifndef WM_PLAIN_H
#define WM_PLAIN_H

#include <stddef.h>
#include <sys/types.h>

/* Let nobody send descriptors to this socket, nor to those that are accepted from it. Linux
 * 6.16 or later refuses them at their sender then; before, wm_plain__recv() has to. */
void wm_plain__refuse_rights(int sock);

/* As recv(), or -errno; never waits. -EPERM: descriptors came along; they and their bytes
 * stay where they are, and so does whatever comes behind: give the socket to a closer. */
ssize_t wm_plain__recv(int sock, void *data, size_t size);

#endif
