/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Offload backends: what puts rules into a NIC. A backend only installs,
 * removes and lists; when and why is decided in rules.c.
 */
#ifndef WM_OFFLOAD_H
#define WM_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waymark/abi.h>

#include "err.h"
#include "queueset.h"

/* What a rule does: a packet of this flow carries this mark. A TCP rule matches
 * only packets without SYN, FIN and RST where the NIC can (caps.tcp_flags); elsewhere
 * the data plane sorts them out. */
struct wm_rule {
	struct wm_flow flow;
	uint32_t mark;
};

/* A steering rule: packets for a vip go to this receive queue, whoever sends them. It sets
 * no mark. */
struct wm_steer {
	__be32 dst[4];              /* as in struct wm_flow */
	__be16 dport;               /* 0: any */
	__be16 sport, sport_mask;   /* mask 0: any */
	uint16_t queue;
	uint8_t family, proto;
	uint8_t unused[2];
};

struct wm_rule_stats {
	uint64_t packets, bytes;
	uint64_t last_used_ns; /* CLOCK_MONOTONIC; 0: never */
};

struct wm_offload_caps {
	uint32_t mark_bits; /* width of a mark */
	uint32_t capacity;  /* rules; 0: unknown */
	bool tcp_flags;
	bool stats;         /* list() gives packets and last use */
	bool uses;          /* list() gives last use only, a second coarse */
	/* Not 0: what arrives is the rule's location, below this, and locate() has to be
	 * called before rules go in. */
	uint32_t locations;
};

/* The NIC's table, as the NIC says. */
struct wm_offload_room {
	uint64_t size; /* rules that it has room for */
	uint64_t used; /* rules in it, whoever's they are */
};

enum { WM_STEER_WORDS = 160 }; /* kept of a refusal's text */

struct wm_offload; /* a backend's own state */

/* Every hook but open and close may be NULL: not supported. Functions return 0
 * or -errno. A hook may take milliseconds, never longer: it runs in the
 * daemon's loop. */
struct wm_offload_ops {
	const char *name;
	int (*open)(struct wm_offload **off, const char *interface, const char *argument,
		    struct wm_err *err);
	void (*close)(struct wm_offload *off);
	const struct wm_offload_caps *(*caps)(struct wm_offload *off);
	/* The data plane's table of what a rule means by its location, `n` entries. What
	 * the NIC holds is compared with it; capabilities may be others then. */
	int (*locate)(struct wm_offload *off, struct wm_location *table, uint32_t n);
	/* 0, or -errno where the NIC does not say. */
	int (*room)(struct wm_offload *off, struct wm_offload_room *room);
	/*
	 * Install n rules. result[i]: 0 installed; -EINPROGRESS: asked for, poll()
	 * will tell; -ENOSPC: table full; any other: refused. A rule for a flow
	 * that has one replaces it.
	 */
	void (*install)(struct wm_offload *off, const struct wm_rule *rules, size_t n, int *result);
	/* result[i]: 0 or -ENOENT: it is gone now; else it may still be there. An
	 * install of the flow that is in progress ends with it: poll() is silent. */
	void (*remove)(struct wm_offload *off, const struct wm_flow *flows, size_t n, int *result);
	/* Outcomes of installs in progress. Returns how many were reported. */
	int (*poll)(struct wm_offload *off,
		    void (*done)(void *arg, const struct wm_rule *rule, int result), void *arg);
	/* From now on rules also lead their packets to one of these receive queues; an
	 * empty set: to whichever the NIC likes. Rules that lead elsewhere are listed with
	 * mark 0, which is no destination's. */
	void (*queues)(struct wm_offload *off, const struct wm_queueset *queues);
	/*
	 * The NIC's steering rules shall be these and no others; one that is there already is
	 * left alone, so this may be asked again and again. All of them or none: should the
	 * NIC refuse one, those that were added go again, and the old ones stay.
	 * `make_room`: old ones go first, and what can be added stays.
	 *
	 * result[i]: what the NIC says to each: 0, -ENOSPC, or why it refused; `words`
	 * (WM_STEER_WORDS bytes): the text of the first refusal, or "". Returns 0; -errno
	 * if nothing could be asked. list() does not show them.
	 */
	int (*steer)(struct wm_offload *off, const struct wm_steer *rules, size_t n, bool make_room,
		     int *result, char *words);
	/* Every rule that the NIC holds. -ENODEV: it is gone, and they with it. */
	int (*list)(struct wm_offload *off,
		    void (*each)(void *arg, const struct wm_rule *rule,
				 const struct wm_rule_stats *stats),
		    void *arg);
};

/* The backend of this name, or NULL. */
const struct wm_offload_ops *wm_offload__find(const char *name);
/* The backends one by one; NULL after the last. */
const struct wm_offload_ops *wm_offload__at(size_t i);

extern const struct wm_offload_ops wm_offload_none; /* refuses every rule */
extern const struct wm_offload_ops wm_offload_sim;  /* the software NIC; argument: pin directory */
extern const struct wm_offload_ops wm_offload_flower; /* NICs that take TC flower rules */
/* NICs that tell which ethtool rule matched; argument: none, or the software NIC */
extern const struct wm_offload_ops wm_offload_ntuple;

#endif
