/* SPDX-License-Identifier: GPL-2.0 */
/* What the service manager is told. Without one all of this does nothing. */
#ifndef WM_NOTIFY_H
#define WM_NOTIFY_H

struct wm_daemon;

void wm_notify__ready(const struct wm_daemon *daemon);
void wm_notify__reloading(void);
void wm_notify__stopping(void);

#endif
