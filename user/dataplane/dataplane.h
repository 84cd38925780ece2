/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The running XDP program and its maps: the only room that touches BPF maps.
 * Loads and attaches, or adopts what is attached already; writes tables, reads
 * counters through mapped memory (no system call a counter).
 *
 * Programs are attached through netlink, not by a bpf_link: they outlive the
 * daemon, `ip link show` names them and `ip link set dev X xdp off` ends them.
 */
#ifndef WM_DATAPLANE_H
#define WM_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <waymark/abi.h>

#include "err.h"
#include "queueset.h"

struct wm_dp;

enum wm_dp_mode { WM_DP_AUTO, WM_DP_NATIVE, WM_DP_GENERIC };

struct wm_dp_options {
	const char *const *interfaces;
	size_t n_interfaces;
	/* By interface: the receive queues to be attached to; an empty set (or NULL for
	 * all interfaces): the device, with all of its queues. */
	const struct wm_queueset *queues;
	enum wm_dp_mode mode;
	const char *pin; /* directory for the pins, made if missing; NULL: no pins */
	/* Sizes for a fresh load; 0: the default. An adopted program keeps its own. */
	uint32_t dest_bits, flow_buckets, vip_bits, rings, cpus;
	/* The NIC hands up where its rule stands, below this number. 0: marks. */
	uint32_t locations;
	/* Never the device-bound program, also where the device has marks for it. */
	bool no_kfunc;
	/* Benchmarks: another object file with the same maps and program, and
	 * which of its further programs are loaded too (ended by NULL). */
	const void *object;
	size_t object_len;
	const char *const *programs;
};

/*
 * Adopt the waymark program that is attached to the first interface, or load a
 * fresh one; attach it to every interface that lacks it. With no interface a
 * program is loaded and attached to nothing (tests). Native mode; WM_DP_AUTO
 * falls back to generic mode with a warning. An attached program that is not
 * ours, or speaks another ABI version, is refused (-EBUSY) and stays.
 * Needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON).
 */
int wm_dp__open(struct wm_dp **dp, const struct wm_dp_options *options, struct wm_err *err);
/* Can the program be attached to these queues? Changes nothing. -ENOSYS: not by this
 * kernel; -EINVAL: no such queue; -EBUSY: somebody's program is there. The driver may
 * still refuse. An empty set: 0. */
int wm_dp__check_queues(const char *interface, const struct wm_queueset *queues,
			struct wm_err *err);
/* Attach to other queues (by interface, as in the options) as well; on failure everything
 * is as before. Where the program is no longer wanted it stays until wm_dp__vacate(), also
 * after wm_dp__open(): so that the NIC's rules can be moved in between. */
int wm_dp__place(struct wm_dp *dp, const struct wm_queueset *queues, struct wm_err *err);
void wm_dp__vacate(struct wm_dp *dp);
/* Only adopt; -ENOENT if nothing of ours is attached. */
int wm_dp__adopt(struct wm_dp **dp, const char *interface, struct wm_err *err);
/* An interface that was gone is back, as another one of the same name: attach there
 * as well. Not for a program that is bound to its device (-EOPNOTSUPP). */
int wm_dp__attach_again(struct wm_dp *dp, const char *interface, struct wm_err *err);
/* Free what this process holds; packets go on. */
void wm_dp__close(struct wm_dp *dp);
/* Take the program off every interface and remove the pins. */
int wm_dp__detach(struct wm_dp *dp, struct wm_err *err);

/* Does the interface hand marks to a program that is bound to it? */
bool wm_dp__has_marks(const char *interface);

bool wm_dp__adopted(const struct wm_dp *dp);
/* "meta" or "kfunc": how marks reach the program; "mixed": by both, each interface by
 * its own. */
const char *wm_dp__lane_name(const struct wm_dp *dp);
const char *wm_dp__mode_name(const struct wm_dp *dp); /* "native" or "generic" */
uint32_t wm_dp__prog_id(const struct wm_dp *dp);
int wm_dp__prog_fd(const struct wm_dp *dp); /* the data plane's own; do not close */
/* Of an object that options.object named: another of its programs, or a map; a
 * new descriptor, or -ENOENT. */
int wm_dp__program_fd(const struct wm_dp *dp, const char *name);
int wm_dp__map_fd(const struct wm_dp *dp, const char *name);
/* Where the local consumer's sockets are entered, by receive queue; the data
 * plane's own, do not close. */
int wm_dp__xsks_fd(const struct wm_dp *dp);
const struct wm_params *wm_dp__params(const struct wm_dp *dp);

/* The control page. Write single fields; each store takes effect at once. */
volatile struct wm_ctl *wm_dp__ctl(struct wm_dp *dp);

/* Destinations. Entries as the data plane holds them, never NULL for an id
 * below 1 << dest_bits. set: writes the entry and its mark last. clear: the
 * mark first. */
const struct wm_dest *wm_dp__dest(struct wm_dp *dp, uint16_t id);
void wm_dp__dest_set(struct wm_dp *dp, uint16_t id, const struct wm_dest *dest);
void wm_dp__dest_clear(struct wm_dp *dp, uint16_t id);

/* What rules mean by their location, in the data plane's memory: params->locations
 * entries. NULL: this program takes marks as they come. */
struct wm_location *wm_dp__locations(struct wm_dp *dp);

/* The ring `index`: memory of the data plane; fill it only while no vip names it. */
struct wm_ring *wm_dp__ring(struct wm_dp *dp, uint32_t index);

/* vip_bits for a table that surely holds `n` vips. */
uint32_t wm_dp__vip_bits(size_t n);
/* Live vips, into at most `max` entries; returns how many there are. */
size_t wm_dp__vips(struct wm_dp *dp, struct wm_vip *out, size_t max);
/* Replace all vips at once. -ENOSPC: they do not fit the table. */
int wm_dp__vips_publish(struct wm_dp *dp, const struct wm_vip *vips, size_t n, struct wm_err *err);

/* Wait until no packet is under way that may have seen the tables as they were
 * before this call. */
void wm_dp__grace(struct wm_dp *dp);

/* Counters, summed over the CPUs. */
void wm_dp__counters(struct wm_dp *dp, uint64_t out[WM_COUNTERS_MAX], uint64_t *bytes);
void wm_dp__dest_stats(struct wm_dp *dp, uint16_t id, struct wm_dest_stats *out);
/* Zero them when an id is given to another destination. */
void wm_dp__dest_stats_reset(struct wm_dp *dp, uint16_t id);
extern const char *const wm_counter_names[WM_COUNTERS_USED]; /* "tx_marked", ... */
extern const char *const wm_counter_texts[WM_COUNTERS_USED];

/* --- flow table --- */

struct wm_flow_slot {
	uint64_t entry;
	uint16_t dest;
	uint32_t idle_ticks; /* since the last packet that wrote the entry */
	uint8_t state;       /* packets counted, or WM_FLOW_CLOSING */
};
uint64_t wm_dp__flow_hash(struct wm_dp *dp, const struct wm_flow *flow);
/* The first or second bucket of a hash, in the data plane's memory. */
struct wm_flow_bucket *wm_dp__flow_bucket(struct wm_dp *dp, uint64_t hash, bool second);
/* false: not in the table. */
bool wm_dp__flow_find(struct wm_dp *dp, const struct wm_flow *flow, struct wm_flow_slot *out);
/* As if a packet had just come: the entry of a flow whose packets the NIC marks
 * would age else. */
void wm_dp__flow_touch(struct wm_dp *dp, const struct wm_flow *flow);
/* Count the flow's packets from zero again: its rule is gone. */
void wm_dp__flow_restart(struct wm_dp *dp, const struct wm_flow *flow);
/* Remove every entry of these destinations (bit `id` of `dests` set). Returns
 * the entries removed. Reads the whole table: bounded by its size. */
uint64_t wm_dp__flow_sweep(struct wm_dp *dp, const uint64_t dests[1024]);
/* Entries in use. Reads the whole table. */
uint64_t wm_dp__flow_count(struct wm_dp *dp);
/* The tick now, modulo 4096; *ns (may be NULL): length of a tick. */
uint32_t wm_dp__tick_ns(struct wm_dp *dp, uint64_t *ns);

/* --- events --- */

/*
 * Events wait in a ring buffer. `fd` becomes readable when it is half full;
 * between these, call consume on a timer. One reader at a time. Events that found
 * no room are counted by the program (WM_C_EVENT_LOST). consume returns how many
 * events it handed to the hook.
 */
struct wm_dp_event_hooks {
	void (*event)(void *arg, const struct wm_event *event);
	void *arg;
};
int wm_dp__events_open(struct wm_dp *dp, const struct wm_dp_event_hooks *hooks, struct wm_err *err);
int wm_dp__events_fd(struct wm_dp *dp);
int wm_dp__events_consume(struct wm_dp *dp);

#endif
