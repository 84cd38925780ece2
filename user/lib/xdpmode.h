/* SPDX-License-Identifier: GPL-2.0 */
/* How an XDP program is attached: natively where the driver can, or by the stack. */
#ifndef WM_XDPMODE_H
#define WM_XDPMODE_H

enum wm_xdp_mode { WM_XDP_AUTO, WM_XDP_NATIVE, WM_XDP_GENERIC };

/* "auto", "native", "generic": by value; NULL at the end. */
extern const char *const wm_xdp_mode_words[];

/* enum wm_xdp_mode, or -1: it is none of these words. */
int wm_xdp_mode__parse(const char *word);

#endif
