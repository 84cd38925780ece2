/* SPDX-License-Identifier: GPL-2.0 */
/* Commands that ask the daemon (or a configuration, see source.h). */
#ifndef WM_FETCH_H
#define WM_FETCH_H

#include "command.h"

/* One request from the table, its reply as the table's view says. */
int fetch__run(struct invocation *in);
/* Its exit code says when something is not served. */
int fetch__status(struct invocation *in);
int fetch__flow(struct invocation *in);
int fetch__ring(struct invocation *in);
int fetch__stats(struct invocation *in);

#endif
