/* SPDX-License-Identifier: GPL-2.0 */
/* What commands show that needs more than a row in protocol.c. */
#ifndef WM_VIEWS_H
#define WM_VIEWS_H

#include "view.h"

extern const struct view view_status, view_flow, view_mark, view_stats, view_reload, view_enable,
	view_drain, view_disable, view_ring,
	view_where, view_version, view_help, view_decap, view_decap_stats, view_softnic, view_size,
	view_xsk, view_xsk_dump, view_queue, view_queue_change,
	view_nic, view_nic_facts, view_nic_fits;

#endif
