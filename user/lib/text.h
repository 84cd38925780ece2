/* SPDX-License-Identifier: GPL-2.0 */
/* Makes text from strangers safe to show to people. */
#ifndef WM_TEXT_H
#define WM_TEXT_H

#include <stddef.h>

/* Room for `len` bytes, whatever they are. */
#define WM_TEXT_SHOWN(len) (4 * (len) + 1)

/*
 * At most `len` bytes of `from`, up to its NUL, as they may stand in a line of a log or
 * on a terminal: printable ASCII as it is, every other byte and the backslash as \xNN, so
 * that nobody begins a line, moves a cursor, or looks like somebody else. Cut, between
 * two bytes, where `size` ends. Returns `to`.
 */
char *wm_text__show(char *to, size_t size, const char *from, size_t len);

#endif
