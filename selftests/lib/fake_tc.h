/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel's side of rtnetlink for the test of the backend `flower`: one device with a
 * table of filters, and refusals as a test wants them. Filters are kept as they were
 * sent and listed as such.
 */
#ifndef SELFTEST_FAKE_TC_H
#define SELFTEST_FAKE_TC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink.h"

enum {
	TC_FILTERS = 2048,
	TC_ANSWERS = 4096,
	TC_REFUSED_MARK = 666, /* rules with this mark get -EOPNOTSUPP and TC_REFUSED_TEXT */
};

#define TC_REFUSED_TEXT "nic: this mark brings bad luck"
#define TC_QUEUES_TEXT "nic: action can't be offloaded"
#define TC_REWRITING_TEXT "nic: pedit is not supported"
#define TC_BOTH_TEXT "nic: pedit and skbedit exclude each other"
#define TC_STEER_TEXT "nic: rule must match a flow"
#define TC_MASK_TEXT "nic: ports must be matched in full"
#define TC_PREF_TEXT "nic: requested priority is out of supported range"
#define TC_FULL_TEXT "nic: flow table full"

struct tc_filter {
	bool used;
	uint32_t handle, info;
	char message[WM_NL_MESSAGE];
};

struct tc_answer {
	size_t len;
	char *data;
};

struct fake_tc {
	int ifindex;        /* 0: no such device */
	bool no_clsact, no_flower, qdisc;
	bool no_queues;     /* rules that name a queue get -EOPNOTSUPP and TC_QUEUES_TEXT */
	bool no_rewriting;  /* those that rewrite an address TC_REWRITING_TEXT */
	bool no_steering;   /* steering rules get -EOPNOTSUPP and TC_STEER_TEXT, */
	bool no_masks;      /* those with a part of a port TC_MASK_TEXT */
	uint16_t max_pref;  /* rules beyond it get -EOPNOTSUPP and TC_PREF_TEXT; 0: none */
	bool no_both;       /* rules that rewrite and mark TC_BOTH_TEXT */
	bool bare_acks;     /* answers have the request in them, as without CAP_ACK */
	size_t capacity;
	int send_errno;     /* send() fails with it */
	size_t lose_from, lose; /* answers that get lost: so many from this one on */
	/* What happened. */
	size_t sends, adds, deletes, lists, n_filters, most_filters;
	uint16_t last_flags;
	struct tc_filter filter[TC_FILTERS];
	const void *foreign[4]; /* messages that are listed as well */
	/* Answers that are not yet received. */
	struct tc_answer answer[TC_ANSWERS];
	size_t first, end;
	size_t answers;
};

void fake_tc__init(struct fake_tc *tc);
void fake_tc__free(struct fake_tc *tc);
struct wm_nl_io fake_tc__io(struct fake_tc *tc);
/* The mark of the filter with this handle; 0: there is none. */
uint32_t fake_tc__mark(const struct fake_tc *tc, uint32_t handle);
/* The queue that it names; -1: none, or there is no such filter. */
int fake_tc__queue(const struct fake_tc *tc, uint32_t handle);
/* Steering rules that it has, how many lead to this queue (-1: to any). */
size_t fake_tc__steers(const struct fake_tc *tc, int queue);

#endif
