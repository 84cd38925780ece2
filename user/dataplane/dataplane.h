/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The running XDP program and its maps: the only directory that loads programs
 * and reads and writes the maps of the balancer.
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
#include "xdpmode.h"

struct wm_dp;


struct wm_dp_options {
	const char *const *interfaces;
	size_t n_interfaces;
	/* By interface: the receive queues to be attached to; an empty set (or NULL for
	 * all interfaces): the device, with all of its queues. */
	const struct wm_queueset *queues;
	enum wm_xdp_mode mode;
	const char *pin; /* directory for the pins, made if missing; NULL: no pins */
	/* Sizes for a fresh load; 0: the default. An adopted program keeps its own. */
	uint32_t dest_bits, flow_buckets, vip_bits, rings, cpus;
	/* The NIC hands up where its rule stands, below this number. 0: marks. */
	uint32_t locations;
	/* Neither adopt nor attach: a new program, to be filled, which wm_dp__switch() then
	 * puts in the place of the running one, whatever that is built from. If the running
	 * one's flow table has the same size and no other table is larger, the new one goes
	 * on with its flows. */
	bool fresh;
	/* Take marks from source addresses (the mac lane), too. What a fresh program draws for
	 * that is in its parameters; one that goes on with a running one's flows keeps it. */
	bool mac_lane;
	/* Events go through perf buffers, not through the ring buffer. */
	bool perf_events;
	/* Never the device-bound program, also where the device has marks for it. */
	bool no_kfunc;
	/* Benchmarks: another object file with the same maps and program, and
	 * which of its further programs are loaded too (ended by NULL). */
	const void *object;
	size_t object_len;
	const char *const *programs;
};

/*
 * Adopt the waymark program that is attached to the first interface that is there, or load a
 * fresh one; attach it to every interface that lacks it. One of another build is replaced by
 * ours around the same maps, in one step, so no packet and no flow is lost. With no interface a
 * program is loaded and attached to nothing (tests). Native mode; WM_XDP_AUTO
 * falls back to generic mode with a warning. An attached program that is not
 * ours, or speaks another ABI version, is refused (-EBUSY) and stays.
 * Needs root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON).
 */
int wm_dp__open(struct wm_dp **dp, const struct wm_dp_options *options, struct wm_err *err);
/* With options.fresh: have the running program's vips, destinations and flows been carried
 * over? same_marks: rules in the NIC keep their meaning, too. */
bool wm_dp__carried(const struct wm_dp *dp, bool *same_marks);
/* With options.fresh: attach to every interface, in one step where a program of waymark is
 * attached now, and pin. On failure everything is as before. */
int wm_dp__switch(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err);
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
/* The program is not there any more, or the interface was gone and is back, as another one:
 * attach again, to the device that is called `name` now. What somebody else attached stays
 * (-EBUSY). */
int wm_dp__attach_again(struct wm_dp *dp, size_t i, const char *name, struct wm_err *err);

/* The same interface has another name. */
void wm_dp__rename(struct wm_dp *dp, size_t i, const char *name);

/* How an interface is served at this moment, as the kernel says. */
enum wm_dp_service {
	WM_DP_SERVED,
	WM_DP_ABSENT,  /* there is no such interface */
	WM_DP_BARE,    /* no program is attached, or a queue of ours has none */
	WM_DP_FOREIGN, /* another program is, which is not ours or has other tables */
	WM_DP_UNCALLED, /* libxdp's dispatcher is, and does not call ours any more */
};

struct wm_dp_state {
	enum wm_dp_service service;
	bool generic;
	uint32_t prog_id; /* of what is attached; 0: nothing, or only to queues */
	char prog_name[16];
};

/* Of the i-th interface of the options. On failure *state stays as it was. */
int wm_dp__look(const struct wm_dp *dp, size_t i, struct wm_dp_state *state);
/* Free what this process holds; packets go on. */
void wm_dp__close(struct wm_dp *dp);
/* Take the program off every interface and remove the pins. */
int wm_dp__detach(struct wm_dp *dp, struct wm_err *err);

/*
 * What was switched off at the interfaces so that the program sees VLAN tags. Kept beside the
 * pins, in the directory `pin`: who takes the program off may be another process, and puts it
 * back. The list ends with an entry of zeros, if there is one.
 */
enum { WM_DP_VLANS_MAX = 128 };
struct wm_dp_vlan {
	uint32_t ifindex;
	uint32_t features; /* bits, the caller's */
};
void wm_dp__vlans(const char *pin, struct wm_dp_vlan list[WM_DP_VLANS_MAX]);
int wm_dp__note_vlans(const char *pin, const struct wm_dp_vlan list[WM_DP_VLANS_MAX],
		      struct wm_err *err);

/* Does the interface hand marks to a program that is bound to it? */
bool wm_dp__has_marks(const char *interface);

bool wm_dp__adopted(const struct wm_dp *dp);
/* "mac": in source addresses, where the program was loaded for that; else "meta" or "kfunc",
 * or "mixed": by both, each interface by its own. */
const char *wm_dp__lane_name(const struct wm_dp *dp);
/* "0.1.0 (build 1f2e3d4c)": what the running program was built from, and what this process
 * carries. */
enum { WM_DP_BUILD_TEXT = 64 };
void wm_dp__build(const struct wm_dp *dp, char running[WM_DP_BUILD_TEXT],
		  char own[WM_DP_BUILD_TEXT]);
/* The running program is of another build, and could not be replaced. */
bool wm_dp__outdated(const struct wm_dp *dp);
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
/* Takes out what is entered at the keys from `first` to below `end`. */
void wm_dp__xsks_clear(const struct wm_dp *dp, uint32_t first, uint32_t end);
const struct wm_params *wm_dp__params(const struct wm_dp *dp);

/* The control page. Write single fields; each store takes effect at once. */
volatile struct wm_ctl *wm_dp__ctl(struct wm_dp *dp);

/* The link addresses that frames for us carry, of which the first is found fastest: `n` of
 * them, WM_OWN_MACS_MAX at most. ifindex 0: whatever interface they come in by. */
struct wm_dp_own {
	uint8_t mac[6];
	int ifindex;
};
void wm_dp__own_macs(struct wm_dp *dp, const struct wm_dp_own *own, size_t n);

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
/* Its packets that found no real, and the same for what another ring of the vip counted. */
uint64_t wm_dp__ring_dropped(struct wm_dp *dp, uint32_t index);
void wm_dp__ring_take_dropped(struct wm_dp *dp, uint32_t index, uint32_t from);

/* vip_bits for a table that surely holds `n` vips. */
uint32_t wm_dp__vip_bits(size_t n);
/* Live vips, into at most `max` entries; returns how many there are. */
size_t wm_dp__vips(struct wm_dp *dp, struct wm_vip *out, size_t max);
/* Replace all vips at once. -ENOSPC: they do not fit the table. WM_VIP_OWN at one of the
 * vips of an address: the address is this machine's own. */
int wm_dp__vips_publish(struct wm_dp *dp, const struct wm_vip *vips, size_t n, struct wm_err *err);
/* The same for an address of the live vips. No vip has it: false, and nothing is changed. */
bool wm_dp__address_is_own(struct wm_dp *dp, const __be32 addr[4], uint8_t family);
void wm_dp__address_own(struct wm_dp *dp, const __be32 addr[4], uint8_t family, bool own);

/* Wait until no packet is under way that may have seen the tables as they were
 * before this call. */
void wm_dp__grace(struct wm_dp *dp);

/* Counters, summed over the CPUs. */
void wm_dp__counters(struct wm_dp *dp, uint64_t out[WM_COUNTERS_MAX], uint64_t *bytes);
void wm_dp__dest_stats(struct wm_dp *dp, uint16_t id, struct wm_dest_stats *out);
/* Zero them when an id is given to another destination. */
void wm_dp__dest_stats_reset(struct wm_dp *dp, uint16_t id);
/* The maps of these counters, for another process to map: the data plane's own, do not close.
 * (The kernel does not map what was opened for reading only. What is mapped for reading only
 * stays so once the descriptor is closed.) */
struct wm_dp_counter_maps {
	int cpus;  /* struct wm_cpu_stats, wm_dp__counting_cpus() of them */
	int dests; /* struct wm_dest_stats, params->cpus << params->dest_bits of them */
};
struct wm_dp_counter_maps wm_dp__counter_maps(const struct wm_dp *dp);
uint32_t wm_dp__counting_cpus(void);
extern const char *const wm_counter_names[WM_COUNTERS_USED]; /* "tx_marked", ... */
extern const char *const wm_counter_texts[WM_COUNTERS_USED];

/* --- flow table --- */

struct wm_flow_slot {
	uint64_t entry;
	uint16_t dest;
	uint32_t idle_ticks; /* since the last packet that wrote the entry */
	uint8_t state;       /* packets counted, or WM_FLOW_PROMOTED and the like */
};
uint64_t wm_dp__flow_hash(struct wm_dp *dp, const struct wm_flow *flow);
/* All of it: params->flow_buckets buckets, in the data plane's memory. */
struct wm_flow_bucket *wm_dp__flow_table(struct wm_dp *dp);
/* The first or second bucket of a hash, in the data plane's memory. */
struct wm_flow_bucket *wm_dp__flow_bucket(struct wm_dp *dp, uint64_t hash, bool second);
/* false: not in the table. */
bool wm_dp__flow_find(struct wm_dp *dp, const struct wm_flow *flow, struct wm_flow_slot *out);
/* The NIC sends the flow's packets to this destination by a rule: the entry says so, is as
 * young as if a packet had just come, and is entered where it is missing. false: the rule
 * must go, because the flow has ended, or because there is no place for an entry. */
bool wm_dp__flow_keep(struct wm_dp *dp, const struct wm_flow *flow, uint16_t dest);
/* No rule sends the flow's packets (any more): count them from zero again. */
void wm_dp__flow_restart(struct wm_dp *dp, const struct wm_flow *flow);
/* Where in the table the flow's entry stands: bucket * WM_FLOW_WAYS + way. -ENOENT: nowhere. */
int64_t wm_dp__flow_place(struct wm_dp *dp, const struct wm_flow *flow);
/* Of all flows only those have a rule whose entry's place is set in `ruled` (a bit each;
 * NULL: none): what other entries say of rules is not so. Reads the whole table. */
void wm_dp__flow_release(struct wm_dp *dp, const uint64_t *ruled);
/* Remove every entry of these destinations (bit `id` of `dests` set). Returns
 * the entries removed. Reads the whole table: bounded by its size. */
uint64_t wm_dp__flow_sweep(struct wm_dp *dp, const uint64_t dests[1024]);
/* Entries in use. Reads the whole table. */
uint64_t wm_dp__flow_count(struct wm_dp *dp);
/*
 * Flows of each destination, counted piece by piece: from *at on at most `n` places of
 * the table, and *at moves on. 1: there is more; 0: that was the end; -errno. A flow
 * counts if it is not closing and its last packet is less than its destination's limit
 * ago. On the way entries are kept from growing so old that their clock goes round: to
 * that end, come by each at least every WM_CENSUS_EVERY_S seconds.
 */
enum { WM_CENSUS_EVERY_S = 600 };
struct wm_census {
	uint16_t limit[1 << 16]; /* ticks, by destination; 0: do not count there */
	uint32_t live[1 << 16];
};
int wm_dp__flow_census(struct wm_dp *dp, struct wm_census *census, size_t *at, size_t n);
/* Did it count this one, or would it? */
bool wm_census__counts(const struct wm_census *census, const struct wm_flow_slot *slot);
/* The tick now, modulo 4096; *ns (may be NULL): length of a tick. */
uint32_t wm_dp__tick_ns(struct wm_dp *dp, uint64_t *ns);

/* --- events --- */

/*
 * Events wait in a ring buffer; of a program with perf_events in a perf buffer for each CPU,
 * which is there as long as its reader. `fd` becomes readable when it (or one) is half full;
 * between these, call consume on a timer. One reader at a time. Events that found
 * no room, or no buffer, are counted by the program (WM_C_EVENT_LOST). consume returns how
 * many events it handed to the hook.
 */
struct wm_dp_event_hooks {
	void (*event)(void *arg, const struct wm_event *event);
	void *arg;
};
int wm_dp__events_open(struct wm_dp *dp, const struct wm_dp_event_hooks *hooks, struct wm_err *err);
int wm_dp__events_fd(struct wm_dp *dp);
int wm_dp__events_consume(struct wm_dp *dp);

#endif
