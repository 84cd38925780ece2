/* SPDX-License-Identifier: GPL-2.0 */
/* Checks what a pair of veth devices needs so that packets from an XDP program arrive. */
#ifndef WM_VETH_H
#define WM_VETH_H

#include <stdbool.h>
#include <stddef.h>

enum { WM_VETH_TEXT = 512 };

/* What is missing, or cannot be seen from here, and the command that cures it; empty:
 * nothing, or it is no veth. `native`: the program is attached in native mode. */
void wm_veth__advice(const char *interface, bool native, char text[WM_VETH_TEXT]);
/* The same into the log. */
void wm_veth__warn(const char *interface, bool native);

#endif
