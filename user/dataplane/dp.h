/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of this directory share. Not for others. */
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
	DP_PERF,
	DP_MAPS,
};

struct wm_dp_map {
	int fd;
	void *memory; /* NULL: not mapped */
	size_t length;
	uint32_t entries;
};

/* What a program was built from. */
struct wm_dp_build {
	char version[24];
	uint64_t digest; /* of the object file */
};

struct wm_dp_port {
	char name[IF_NAMESIZE];
	int ifindex;
	int prog_fd;     /* that serves it; -1: not yet known */
	uint32_t prog_id;
	int old_fd;      /* the program of another build that this one replaces; -1: none */
	bool replaced;   /* by the last attempt */
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
	bool fresh;    /* likewise: takes the place of any program of ours */
	bool keep_old; /* a program of another build stays: it cannot be replaced */
	struct wm_dp_build own; /* of the object that is loaded from */
	bool flip_open; /* vips were published, and no grace period since */
	struct wm_dp_map map[DP_MAPS];
	struct wm_params params;
	struct wm_dp_port *ports;
	size_t n_ports;
	size_t first; /* the first that was there when we began */
	enum wm_xdp_mode mode; /* how ports are attached */
	char *pin;
	int pin_lock; /* below 0: none */
	struct ring_buffer *events; /* of these two the one that the program writes to */
	struct perf_buffer *perf;
	int taken; /* events that one look at the perf buffers gave */
	struct wm_dp_event_hooks hooks;
	int clock_fd; /* a program that returns jiffies */
	uint64_t clock_read_ns; /* when it was asked last */
	uint32_t jiffies;       /* what it said */
	struct bpf_object *object; /* kept for benchmarks only */
	struct wm_dp *source; /* while opening: the running one, whose flows are carried over */
	bool carried, same_marks; /* from it; and marks mean the same */
};

/* load.c: why something could not be opened, if that says nothing of what it is: who asks
 * has no descriptor or memory left, or may not. What runs must never be taken for
 * something else, or for nothing, because of that. */
bool wm_dp_lacks_means(int code);
/* "WHAT: errno's text; what to try" */
int wm_dp_cannot(struct wm_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A fresh program, or the maps of a running one. dp->map[].fd and
 * prog_fd are set; nothing is mapped yet. After take_over(), load() puts another
 * program around the same maps. */
int wm_dp_load(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err);
int wm_dp_take_over(struct wm_dp *dp, int prog_fd, struct wm_err *err);
/* Another program around the same maps, for this device: bound to it if that hands
 * marks up. */
int wm_dp_load_port(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err);
bool wm_dp_wants_kfunc(const struct wm_dp *dp, const char *interface);
/* The program's map of this name: a new descriptor, or -ENOENT. */
int wm_dp_map_of(int prog_fd, const char *name);
/* Has the program of this descriptor our maps? */
bool wm_dp_shares_maps(const struct wm_dp *dp, int prog_fd);
/* Map everything into memory and check magic and version. */
int wm_dp_map_all(struct wm_dp *dp, struct wm_err *err);

/* Can its tables be copied into those of a fresh load, flow table and all? */
bool wm_dp_sizes_hold(const struct wm_params *old, const struct wm_dp_options *options);

/* carry.c: the same maps in an object that is not loaded yet, where no size matters; and the
 * others' contents, once all is mapped. */
int wm_dp_share_maps(const struct wm_dp *old, struct bpf_object *obj);
int wm_dp_carry(struct wm_dp *dp, struct wm_dp *old, struct wm_err *err);
/* Do rules of the one name the same destinations to the other? */
bool wm_dp_same_marks(const struct wm_dp *dp, const struct wm_dp *old);

/* dp.c: the interface whose program is looked for or loaded; NULL: none. */
const char *wm_dp_first(const struct wm_dp *dp, const struct wm_dp_options *options);
/* The first port has another program from now on; the descriptor stays the
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
/* Is this the program on the interface, or on one of its queues? */
bool wm_dp_serves(const char *interface, int prog_fd);
/* Only on the device itself: 1 or 0; -errno: it cannot be known. */
int wm_dp_is_on_device(const char *interface, int prog_fd);
int wm_dp_prog_name(int fd, char name[BPF_OBJ_NAME_LEN]);
bool wm_dp_is_ours(const char *name);
int wm_dp_attach(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err);

/* place.c: single receive queues */
/* The id of a program of ours that some queue has; 0: none, or -errno: it cannot be known. */
int64_t wm_dp_on_queues(const char *interface);
/* Put the program on these queues, or on none that lacked it; `fresh`: that lacked it. */
int wm_dp_place_queues(const struct wm_dp_port *port, const struct wm_queueset *want,
		       struct wm_queueset *fresh, struct wm_err *err);
/* Is it on all queues where it belongs? */
bool wm_dp_queues_served(const struct wm_dp_port *port);
/* Take it off all but these. */
void wm_dp_leave_queues(const struct wm_dp_port *port, const struct wm_queueset *keep);

/* pin.c */
/* Lock the directory for this data plane. `ours`: the pins there may be taken over. -EBUSY:
 * it is another's. */
int wm_dp_pin_claim(struct wm_dp *dp, const struct wm_dp_options *options, bool *ours,
		    struct wm_err *err);
int wm_dp_pin(struct wm_dp *dp, const char *dir, const char *interface, struct wm_err *err);
/* The program that is pinned there, or -ENOENT. */
int wm_dp_pinned(const char *dir);
void wm_dp_unpin(const char *dir);

/* build.c */
void wm_dp_build_own(struct wm_dp_build *build, const struct wm_dp_options *options);
/* -ENOENT: nobody wrote it down. */
int wm_dp_build_read(int prog_fd, struct wm_dp_build *build);
/* 1 or 0; else as above. */
int wm_dp_build_is(int prog_fd, const struct wm_dp_build *build);
int wm_dp_build_label(int prog_fd, const struct wm_dp_build *build);
/* Are the instructions of the two programs the same? */
bool wm_dp_same_code(int one, int other);

/* clock.c */
int wm_dp_clock_open(void);
uint32_t wm_dp_tick_shift(void);
/* The tick now; false: the clock cannot be read. */
bool wm_dp_tick(struct wm_dp *dp, uint32_t *tick);

extern const char *const wm_dp_map_names[DP_MAPS];

#endif
