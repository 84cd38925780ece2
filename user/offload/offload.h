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

struct wm_steer_ops;

/* What a rule does: a packet of this flow carries this mark. A TCP rule matches
 * only packets without SYN, FIN and RST where the NIC can (caps.tcp_flags); elsewhere
 * the data plane sorts them out. */
struct wm_rule {
	struct wm_flow flow;
	uint32_t mark;
};

struct wm_rule_stats {
	uint64_t packets, bytes;
	uint64_t last_used_ns; /* CLOCK_MONOTONIC; 0: never */
};

struct wm_offload_caps {
	uint32_t mark_bits; /* width of a mark */
	uint32_t mac_bits;  /* of one in the source address; 0: it cannot rewrite that */
	uint32_t capacity;  /* rules; 0: unknown */
	bool tcp_flags;
	bool stats;         /* list() gives packets and last use */
	bool uses;          /* list() gives last use only, a second coarse */
	/* Not 0: what arrives is the rule's location, below this, and locate() has to be
	 * called before rules go in. */
	uint32_t locations;
	bool software; /* marks come from the software NIC, whatever the driver has */
	const struct wm_steer_ops *steer; /* what takes steering rules; NULL: nothing */
};

/* The NIC's table, as the NIC says. */
struct wm_offload_usage {
	uint64_t size; /* rules that it has room for */
	uint64_t used; /* rules in it, whoever's they are */
};

/* Of several interfaces, which have a backend opened for them? */
enum wm_offload_scope {
	WM_SCOPE_ALL,   /* one stands for all */
	WM_SCOPE_EACH,  /* each has its own */
	WM_SCOPE_FIRST, /* there can be one only: the first's */
};

struct wm_offload; /* a backend's own state */

/* Every hook but open and close may be NULL: not supported. Functions return 0
 * or -errno. A hook may take milliseconds, never longer: it runs in the
 * daemon's loop. */
struct wm_offload_ops {
	const char *name;
	enum wm_offload_scope scope;
	int (*open)(struct wm_offload **off, const char *interface, const char *argument,
		    struct wm_err *err);
	void (*close)(struct wm_offload *off);
	const struct wm_offload_caps *(*caps)(struct wm_offload *off);
	/* The data plane's table of what a rule means by its location, `n` entries. What
	 * the NIC holds is compared with it; capabilities may be others then. */
	int (*locate)(struct wm_offload *off, struct wm_location *table, uint32_t n);
	/* From now on rules write marks into source addresses behind this prefix, see
	 * waymark/abi.h, and nowhere else (0: where they did before); capabilities may be
	 * others then. A rule that the NIC holds and that does not do so is listed with
	 * mark 0. */
	void (*mac_lane)(struct wm_offload *off, uint32_t prefix);
	/* 0, or -errno where the NIC does not say. */
	int (*usage)(struct wm_offload *off, struct wm_offload_usage *usage);
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
