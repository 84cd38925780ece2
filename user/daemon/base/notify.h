/* SPDX-License-Identifier: GPL-2.0 */
/* What the service manager is told. Without one all of this does nothing. */
#ifndef WM_NOTIFY_H
#define WM_NOTIFY_H

#include <stdbool.h>

/* text: how we do; failed: the last reload. */
void wm_notify__ready(const char *text, bool failed);
/* How we do has changed. */
void wm_notify__status(const char *text, bool failed);
void wm_notify__reloading(void);
void wm_notify__stopping(void);

#endif
