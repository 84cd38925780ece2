/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver that takes n-tuple rules, for the test of the backend `ntuple`: a table by
 * location, and refusals as a test wants them. Rules are kept as they were sent. What it
 * answers where it has nothing differs from driver to driver, and so here.
 */
#ifndef SELFTEST_FAKE_NTUPLE_H
#define SELFTEST_FAKE_NTUPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ethtool.h"

enum { NT_LOCATIONS = 1024 };

struct fake_ntuple {
	uint32_t n;          /* locations that it has */
	uint32_t pool;       /* rules that it has room for; 0: as many as locations */
	uint32_t queues;
	int none;            /* its word for "no rule there" */
	bool special;        /* it would choose locations itself, too */
	int insert_error, delete_error, get_error, list_error, count_error, queues_error;
	/* What happened. */
	size_t inserts, deletes, gets, lists;
	uint32_t rules;
	bool used[NT_LOCATIONS];
	struct ethtool_rx_flow_spec spec[NT_LOCATIONS];
	struct ethtool_rxnfc last; /* the last insertion */
	void (*on_insert)(void *arg, uint32_t location); /* before it is there */
	void *arg;
};

void fake_ntuple__init(struct fake_ntuple *nt);
struct wm_ethtool_io fake_ntuple__io(struct fake_ntuple *nt);
/* Somebody else writes or deletes a rule. */
void fake_ntuple__put(struct fake_ntuple *nt, const struct ethtool_rx_flow_spec *spec);
void fake_ntuple__drop(struct fake_ntuple *nt, uint32_t location);

#endif
