/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process of its own for each run of a script: it starts the program, reads what that writes,
 * says how it ended, and ends whatever the program has left behind. It is waymark-health, started
 * once more with other arguments.
 */
#ifndef WM_SUPERVISE_H
#define WM_SUPERVISE_H

#define WM_SUPERVISE "--supervise" /* argv[1]; then the seconds of processor time, PROGRAM ARG... */

enum { WM_SUPERVISE_SAID = 128 }; /* the last line, with its NUL */

/* What it sends, once, as one message. */
struct wm_supervised {
	enum wm_supervised_how { WM_SUPERVISED_EXIT, WM_SUPERVISED_SIGNAL,
				 WM_SUPERVISED_ERRNO } how; /* the last: it could not be started */
	int number;
	char said[WM_SUPERVISE_SAID]; /* printable ASCII */
};

/* Standard input is a socket of type SOCK_SEQPACKET. When its other end is closed, all is ended.
 * Returns the exit code. */
int wm_supervise(int argc, char **argv);

#endif
