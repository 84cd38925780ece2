/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where waymarkd is asked, unless its configuration says otherwise, and the bounds of what is
 * said there. Requests and replies: waymark-protocol(7).
 */
#ifndef WAYMARK_SOCKETS_H
#define WAYMARK_SOCKETS_H

#define WM_CONTROL_SOCKET "/run/waymark/control.sock"
#define WM_LOCAL_SOCKET "/run/waymark/local.sock" /* where a local consumer asks */

/* Bytes of a line, with its newline. */
enum {
	WM_REQUEST_MAX = 4096,
	WM_REPLY_MAX = 16 << 20,
};

#endif
