/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs end with. waymark(8) has the texts. */
#ifndef WM_EXITCODE_H
#define WM_EXITCODE_H

enum {
	WM_EXIT_OK = 0,
	WM_EXIT_FAILED = 1,
	WM_EXIT_USAGE = 2,
	WM_EXIT_NO_DAEMON = 3,
	WM_EXIT_UNSUPPORTED = 4, /* by the kernel, a driver, or what is installed */
	WM_EXIT_UNSERVED = 5, /* status: the daemon runs, and an interface is not served */
};

#endif
