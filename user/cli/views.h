/* SPDX-License-Identifier: GPL-2.0 */
/* What each command shows, as data; waymark/ctl.h has the shapes of replies. */
#ifndef WM_VIEWS_H
#define WM_VIEWS_H

#include "view.h"

extern const struct view view_status, view_vip, view_real, view_dest, view_flow, view_flows,
	view_mark, view_stats, view_reload, view_ring, view_where, view_version, view_help,
	view_decap, view_decap_stats, view_softnic, view_size, view_xsk, view_xsk_dump,
	view_queue, view_queue_change, view_xsk_stats;

#endif
