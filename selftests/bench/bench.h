/* SPDX-License-Identifier: GPL-2.0 */
/* What the benchmark's two sides share. */
#ifndef BENCH_H
#define BENCH_H

#include <linux/types.h>

enum bench_case {
	BENCH_LOOP,      /* choose the flow, write its addresses; no balancer */
	BENCH_GROW,      /* and grow the head by an outer header, and shrink it */
	BENCH_HEADER,    /* and write an Ethernet and an IPv4 header there */
	BENCH_META,      /* grow, and put a mark in front before and drop it */
	BENCH_LINE,      /* header, and one line of the flow table read for it */
	BENCH_WAYMARK,   /* the program, as the NIC's packets reach it */
	BENCH_MARK_ARG,  /* the same body, the mark handed in (the kfunc lane's shape) */
	BENCH_MARK_MAC,  /* the program, the mark in the source address */
};

/* How the driver makes packets. Written by user space before a run. */
struct bench_ctl {
	__u32 what;       /* enum bench_case */
	__u32 packets;    /* of one run */
	__u32 flows;
	__u32 stride;     /* coprime with flows: the visiting order touches all */
	__u32 position;   /* where the last run ended */
	__u32 mark;       /* 0: not marked */
	__u32 family;     /* 4 or 6 */
	__u32 outer;      /* bytes of the outer header: 20 or 40; wire: the device */
	__u32 errors;     /* packets that were not answered as `expect` */
	__u32 expect;     /* verdict */
	__u32 marks;      /* marked: this many marks in turn from `mark` on (a power of 2) */
	__u32 arrived;    /* wire: frames that came back */
	__u32 lose;       /* wire: so many frames are thrown away uncounted first (tests) */
};

#endif
