/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this room share. Not for other rooms. */
#ifndef WM_DP_H
#define WM_DP_H

#include <bpf/libbpf.h>
#include <net/if.h>

#include "dataplane.h"

/* The maps, in the order of `wm_dp_map_names`. */
enum wm_dp_map_id {
	DP_PARAMS,
	DP_CTL,
	DP_VIPS,
	DP_RINGS,
	DP_DESTS,
	DP_FLOWS,
	DP_STATS,
	DP_DEST_STATS,
	DP_LOCATIONS,
	DP_EVENTS, /* this and what follows is not mapped into memory */
	DP_XSKS,
	DP_MAPS,
};

struct wm_dp_map {
	int fd;
	void *memory; /* NULL: not mapped */
	size_t length;
	uint32_t entries;
};

struct wm_dp_port {
	char name[IF_NAMESIZE];
	int ifindex;
	int prog_fd;     /* that serves it; -1: not yet known */
	uint32_t prog_id;
	bool kfunc;      /* it is bound to this device */
	bool called;     /* by libxdp's dispatcher, which is what is attached */
	struct wm_queueset queues; /* where the program belongs; empty: on the device */
	bool fresh_device;         /* attached by the last attempt: to be undone with it */
	struct wm_queueset fresh_queues;
};

struct wm_dp {
	/* The program of the first port. Ports that need another one, bound to
	 * their device or to none, have it around the same maps. */
	int prog_fd;
	uint32_t prog_id;
	bool adopted, generic, kfunc;
	bool no_kfunc; /* as options say */
	bool flip_open; /* vips were published, and no grace period since */
	struct wm_dp_map map[DP_MAPS];
	struct wm_params params;
	struct wm_dp_port *ports;
	size_t n_ports;
	enum wm_dp_mode mode; /* how ports are attached */
	char *pin;
	struct ring_buffer *events;
	struct wm_dp_event_hooks hooks;
	int clock_fd; /* a program that returns jiffies */
	uint64_t clock_read_ns; /* when it was asked last */
	uint32_t jiffies;       /* what it said */
	struct bpf_object *object; /* kept for benchmarks only */
};

/* load.c: a fresh program, or the maps of a running one. dp->map[].fd and
 * prog_fd are set; nothing is mapped yet. After take_over(), load() puts another
 * program around the same maps. */
int wm_dp_load(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err);
int wm_dp_take_over(struct wm_dp *dp, int prog_fd, struct wm_err *err);
/* Another program around the same maps, for this device: bound to it if that hands
 * marks up. */
int wm_dp_load_port(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err);
bool wm_dp_wants_kfunc(const struct wm_dp *dp, const char *interface);
/* Has the program of this descriptor our maps? */
bool wm_dp_shares_maps(const struct wm_dp *dp, int prog_fd);
/* Map everything into memory and check magic and version. */
int wm_dp_map_all(struct wm_dp *dp, struct wm_err *err);

/* dataplane.c: the first port has another program from now on; the descriptor stays the
 * caller's. */
void wm_dp_set_program(struct wm_dp *dp, int prog_fd);

/* lane.c: does this device hand marks to a program that is bound to it? */
bool wm_dp_lane_kfunc(const char *interface);

int wm_dp_new_seed(uint64_t seed[4]);

/* Has it the sizes that a fresh load would get? */
bool wm_dp_sizes_suit(const struct wm_params *is, const struct wm_dp_options *options);

/* attach.c */
/* A program of ours on the interface or on one of its queues; -ENOENT: none; -EBUSY: the
 * device has another's, and `whole` says that ours would have to be there. */
int wm_dp_find_attached(const char *interface, bool whole, int *prog_fd, bool *generic,
			struct wm_err *err);
int wm_dp_prog_name(int fd, char name[BPF_OBJ_NAME_LEN]);
bool wm_dp_is_ours(const char *name);
int wm_dp_attach(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err);

/* place.c: single receive queues */
/* The id of a program of ours that some queue has; 0: none. */
uint32_t wm_dp_on_queues(const char *interface);
/* Put the program on these queues, or on none that lacked it; `fresh`: that lacked it. */
int wm_dp_place_queues(const struct wm_dp_port *port, const struct wm_queueset *want,
		       struct wm_queueset *fresh, struct wm_err *err);
/* Take it off all but these. */
void wm_dp_leave_queues(const struct wm_dp_port *port, const struct wm_queueset *keep);

/* pin.c */
int wm_dp_pin(struct wm_dp *dp, const char *dir, struct wm_err *err);
/* The program that is pinned there, or -ENOENT. */
int wm_dp_pinned(const char *dir);
void wm_dp_unpin(const char *dir);

/* clock.c */
int wm_dp_clock_open(void);
uint32_t wm_dp_tick_shift(void);

extern const char *const wm_dp_map_names[DP_MAPS];

#endif
