/* SPDX-License-Identifier: GPL-2.0 */
/* Bytes of a socket cut into lines: how messages of the control protocol are framed, on both
 * sides. */
#ifndef WM_LINES_H
#define WM_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What came from one peer and was not taken yet. */
struct wm_lines {
	char *data;
	size_t start, used, size; /* data[start .. used) waits */
	size_t scanned;           /* no newline before here */
	size_t max;               /* longest line, its newline included */
};

void wm_lines__init(struct wm_lines *lines, size_t max);
void wm_lines__free(struct wm_lines *lines);

/*
 * Read once from the socket. Take all lines before reading again. Returns the number
 * of bytes, 0 at the end of the stream, -EMSGSIZE as soon as a line is longer
 * than `max`, -ENOMEM, or what wm_plain__recv() failed with (-EAGAIN, -ECONNRESET,
 * -EPERM for descriptors that came along, ...).
 */
ssize_t wm_lines__read(struct wm_lines *lines, int sock);

/*
 * The next whole line, without its newline and with a NUL behind it (`len` may
 * be NULL; a peer may have sent NULs inside too). NULL: no whole line yet. It
 * stays valid until the next wm_lines__read().
 */
char *wm_lines__next(struct wm_lines *lines, size_t *len);

/* Bytes of an unfinished line wait. */
bool wm_lines__partial(const struct wm_lines *lines);

#endif
