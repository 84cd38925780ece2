// SPDX-License-Identifier: GPL-2.0
/*
 * A fresh program with maps of the wanted sizes, or the maps of one that runs.
 * A running program's maps are found through the program itself, by their
 * names, so it does not matter who loaded it or whether anything is pinned.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "dp.h"
#include "log.h"
#include "objects.h"

/* The one command, and what it costs. */
#define REPLACE "waymarkd --new-program puts one of this version in its place, without a " \
		"gap. The flow table begins empty then: open connections go where the " \
		"ring sends them, another real for those that began before it changed"

/* BPF_F_XDP_DEV_BOUND_ONLY: younger than some headers. */
enum { WM_XDP_DEV_BOUND_ONLY = 1 << 6 };

const char *const wm_dp_map_names[DP_MAPS] = {
	[DP_PARAMS] = WM_MAP_PARAMS,   [DP_CTL] = WM_MAP_CTL,
	[DP_VIPS] = WM_MAP_VIPS,       [DP_RINGS] = WM_MAP_RINGS,
	[DP_DESTS] = WM_MAP_DESTS,     [DP_FLOWS] = WM_MAP_FLOWS,
	[DP_STATS] = WM_MAP_STATS,     [DP_DEST_STATS] = WM_MAP_DEST_STATS,
	[DP_LOCATIONS] = WM_MAP_LOCATIONS, [DP_EVENTS] = WM_MAP_EVENTS,
	[DP_XSKS] = WM_MAP_XSKS,       [DP_PERF] = WM_MAP_PERF,
};

static uint32_t bounded(uint32_t value, uint32_t otherwise, uint32_t low, uint32_t high)
{
	if (!value)
		value = otherwise;
	if (value < low)
		return low;
	return value > high ? high : value;
}

static uint32_t events_bytes(uint32_t cpus)
{
	uint32_t bytes = WM_EVENTS_BYTES_A_CPU;

	while (bytes < WM_EVENTS_BYTES_MAX && bytes / WM_EVENTS_BYTES_A_CPU < cpus)
		bytes *= 2;
	return bytes;
}

static void decide_sizes(struct wm_params *p, const struct wm_dp_options *o)
{
	p->dest_bits = bounded(o->dest_bits, WM_DEST_BITS_DEFAULT, WM_DEST_BITS_MIN,
			       WM_DEST_BITS_MAX);
	p->flow_buckets = bounded(o->flow_buckets, WM_FLOW_BUCKETS_DEFAULT, WM_FLOW_BUCKETS_MIN,
				  WM_FLOW_BUCKETS_MAX);
	p->vip_bits = bounded(o->vip_bits, WM_VIP_BITS_DEFAULT, WM_VIP_BITS_MIN, WM_VIP_BITS_MAX);
	p->rings = bounded(o->rings, WM_RINGS_DEFAULT, 2, WM_RINGS_MAX);
	p->locations = o->locations < WM_LOCATIONS_MAX ? o->locations : WM_LOCATIONS_MAX;
	p->cpus = bounded(o->cpus, libbpf_num_possible_cpus(), 1, WM_CPUS_MAX);
	p->events_wakeup = events_bytes(p->cpus) / 2;
}

bool wm_dp_sizes_suit(const struct wm_params *is, const struct wm_dp_options *options)
{
	struct wm_params wanted = {};

	decide_sizes(&wanted, options);
	return is->dest_bits == wanted.dest_bits && is->flow_buckets == wanted.flow_buckets &&
	       is->vip_bits == wanted.vip_bits && is->rings == wanted.rings &&
	       is->locations == wanted.locations && !is->perf_events == !options->perf_events;
}

bool wm_dp_sizes_hold(const struct wm_params *old, const struct wm_dp_options *options)
{
	struct wm_params next = {};

	decide_sizes(&next, options);
	return next.dest_bits >= old->dest_bits && next.flow_buckets == old->flow_buckets &&
	       next.vip_bits >= old->vip_bits && next.rings >= old->rings &&
	       next.locations == old->locations && next.cpus == old->cpus;
}

static int set_size(struct bpf_object *obj, enum wm_dp_map_id id, uint64_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, wm_dp_map_names[id]);

	if (!map || entries > UINT32_MAX)
		return -EINVAL;
	return bpf_map__set_max_entries(map, entries);
}

static int set_sizes(struct bpf_object *obj, const struct wm_params *p)
{
	int rc = set_size(obj, DP_VIPS, 2ull << p->vip_bits);

	rc = rc ?: set_size(obj, DP_RINGS, p->rings);
	rc = rc ?: set_size(obj, DP_DESTS, 1ull << p->dest_bits);
	rc = rc ?: set_size(obj, DP_FLOWS, p->flow_buckets);
	rc = rc ?: set_size(obj, DP_EVENTS, events_bytes(p->cpus));
	rc = rc ?: set_size(obj, DP_PERF, libbpf_num_possible_cpus());
	rc = rc ?: set_size(obj, DP_LOCATIONS, p->locations ?: 1);
	return rc ?: set_size(obj, DP_DEST_STATS, (uint64_t)p->cpus << p->dest_bits);
}

/* Global data of an object that is not loaded yet. */
static void *initial(struct bpf_object *obj, enum wm_dp_map_id id, size_t want)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, wm_dp_map_names[id]);
	size_t size = 0;
	void *value = map ? (void *)bpf_map__initial_value(map, &size) : NULL;

	return size >= want ? value : NULL;
}

/* The flow table's hash is secret, so that nobody can aim at one bucket. */
int wm_dp_new_seed(uint64_t seed[4])
{
	if (getrandom(seed, 4 * sizeof(*seed), 0) != 4 * sizeof(*seed))
		return -errno;
	seed[1] |= 1;
	seed[3] |= 1;
	return 0;
}

/* Secret like the flow table's, and drawn with it: who goes on with that keeps both, so that
 * the NIC's rules keep their meaning. */
static int set_mac_prefix(const struct wm_dp *dp, struct wm_params *params, bool on)
{
	uint32_t random;

	params->mac_prefix = on && dp->source ? dp->source->params.mac_prefix : 0;
	if (!on || params->mac_prefix)
		return 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -errno;
	params->mac_prefix = wm_mac_prefix(random);
	return 0;
}

static int set_globals(const struct wm_dp *dp, struct bpf_object *obj,
		       const struct wm_dp_options *options)
{
	struct wm_params *params = initial(obj, DP_PARAMS, sizeof(*params));
	struct wm_ctl *ctl = initial(obj, DP_CTL, sizeof(*ctl));

	if (!params || !ctl)
		return -EINVAL;
	decide_sizes(params, options);
	params->perf_events = options->perf_events;
	ctl->tick_shift = wm_dp_tick_shift();
	return wm_dp_new_seed((uint64_t *)ctl->flow_seed) ?:
	       set_mac_prefix(dp, params, options->mac_lane) ?: set_sizes(obj, params);
}

/* The maps of a program that ran, with what they hold. */
static int reuse_maps(const struct wm_dp *dp, struct bpf_object *obj)
{
	int rc = 0;

	for (int i = 0; i < DP_MAPS && !rc; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, wm_dp_map_names[i]);

		rc = map ? bpf_map__reuse_fd(map, dp->map[i].fd) : -EINVAL;
	}
	return rc;
}

static int keep_program(struct bpf_object *obj, bool kfunc, int *prog_fd)
{
	struct bpf_program *prog;
	int fd;

	prog = bpf_object__find_program_by_name(obj, kfunc ? WM_PROG_HW_NAME : WM_PROG_NAME);
	fd = prog ? dup(bpf_program__fd(prog)) : -1;
	if (fd < 0)
		return prog ? -errno : -EINVAL;
	if (*prog_fd >= 0)
		close(*prog_fd);
	*prog_fd = fd;
	return 0;
}

/* Descriptors of our own: the object is closed after loading. */
static int keep_maps(struct wm_dp *dp, struct bpf_object *obj)
{
	for (int i = 0; i < DP_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(obj, wm_dp_map_names[i]);

		dp->map[i].fd = map ? dup(bpf_map__fd(map)) : -1;
		if (dp->map[i].fd < 0)
			return -EINVAL;
	}
	return 0;
}

/* Of another object: the program and those that are named. */
static int choose_programs(struct bpf_object *obj, const struct wm_dp_options *options)
{
	struct bpf_program *prog;

	if (!options->programs)
		return 0;
	bpf_object__for_each_program(prog, obj) {
		const char *name = bpf_program__name(prog);
		bool wanted = !strcmp(name, WM_PROG_NAME);

		for (const char *const *p = options->programs; *p; p++)
			wanted |= !strcmp(name, *p);
		if (bpf_program__set_autoload(prog, wanted))
			return -EINVAL;
	}
	return 0;
}

bool wm_dp_wants_kfunc(const struct wm_dp *dp, const char *interface)
{
	return dp->mode != WM_XDP_GENERIC && !dp->no_kfunc && wm_dp_lane_kfunc(interface);
}

/* Bound to this interface, where that hands marks up. */
static int bind_to(struct bpf_object *obj, const char *interface)
{
	struct bpf_program *plain = bpf_object__find_program_by_name(obj, WM_PROG_NAME);
	struct bpf_program *bound = bpf_object__find_program_by_name(obj, WM_PROG_HW_NAME);

	if (!plain || !bound)
		return -EINVAL;
	bpf_program__set_ifindex(bound, if_nametoindex(interface));
	return bpf_program__set_flags(bound, WM_XDP_DEV_BOUND_ONLY) ?:
	       bpf_program__set_autoload(bound, true) ?:
	       bpf_program__set_autoload(plain, false);
}

static int open_object(struct bpf_object **obj, const struct wm_dp_options *options,
		       struct wm_err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "waymark");
	const void *data = options && options->object ? options->object : wm_object_waymark.data;
	size_t len = options && options->object ? options->object_len : wm_object_waymark.len;

	*obj = bpf_object__open_mem(data, len, &opts);
	return *obj ? 0 : wm_err__sys(err, -errno, "cannot read the built-in BPF object");
}

static int load_object(struct bpf_object *obj, struct wm_err *err)
{
	int rc = bpf_object__load(obj);

	return rc ? wm_err__sys(err, rc, "cannot load the BPF program (needs root; a smaller "
				"flow-table or fewer vips if memory is short)") : 0;
}

int wm_dp_load(struct wm_dp *dp, const struct wm_dp_options *options, struct wm_err *err)
{
	const char *first = wm_dp_first(dp, options);
	bool fresh = dp->prog_fd < 0;
	struct bpf_object *obj;
	int rc = open_object(&obj, options, err);

	if (rc)
		return rc;
	dp->kfunc = first && wm_dp_wants_kfunc(dp, first);
	rc = fresh ? set_globals(dp, obj, options) : reuse_maps(dp, obj);
	if (!rc && fresh && dp->source)
		rc = wm_dp_share_maps(dp->source, obj);
	rc = rc ?: choose_programs(obj, options);
	rc = rc ?: dp->kfunc ? bind_to(obj, first) : 0;
	if (rc) {
		wm_err__sys(err, rc, "cannot size the BPF maps");
		goto out_close;
	}
	rc = load_object(obj, err);
	if (rc)
		goto out_close;
	rc = keep_program(obj, dp->kfunc, &dp->prog_fd) ?: fresh ? keep_maps(dp, obj) : 0;
	if (!rc)
		wm_dp_build_label(dp->prog_fd, &dp->own); /* without it the tag decides */
	if (rc)
		wm_err__sys(err, rc, "the built-in BPF object lacks a map or the program");
	if (!rc && options->object) {
		dp->object = obj;
		return 0;
	}
out_close:
	bpf_object__close(obj);
	return rc;
}

int wm_dp_load_port(struct wm_dp *dp, struct wm_dp_port *port, struct wm_err *err)
{
	struct bpf_object *obj;
	int rc = open_object(&obj, NULL, err);

	if (rc)
		return rc;
	port->kfunc = wm_dp_wants_kfunc(dp, port->name);
	rc = reuse_maps(dp, obj);
	rc = rc ?: port->kfunc ? bind_to(obj, port->name) : 0;
	if (rc)
		wm_err__sys(err, rc, "%s: cannot use the maps that there are", port->name);
	rc = rc ?: load_object(obj, err);
	if (!rc && keep_program(obj, port->kfunc, &port->prog_fd))
		rc = wm_err__set(err, -EINVAL, "the built-in BPF object lacks the program");
	if (!rc)
		wm_dp_build_label(port->prog_fd, &dp->own);
	bpf_object__close(obj);
	return rc;
}

int wm_dp__program_fd(const struct wm_dp *dp, const char *name)
{
	struct bpf_program *prog = NULL;

	if (dp->object)
		prog = bpf_object__find_program_by_name(dp->object, name);
	return prog ? dup(bpf_program__fd(prog)) : -ENOENT;
}

int wm_dp__map_fd(const struct wm_dp *dp, const char *name)
{
	struct bpf_map *map = dp->object ? bpf_object__find_map_by_name(dp->object, name) : NULL;

	return map ? dup(bpf_map__fd(map)) : -ENOENT;
}

bool wm_dp_lacks_means(int code)
{
	return code == -EMFILE || code == -ENFILE || code == -ENOMEM || code == -EPERM ||
	       code == -EACCES;
}

static const char *remedy(int code)
{
	switch (code) {
	case -EMFILE:
		return "; raise LimitNOFILE, or ulimit -n";
	case -ENFILE:
		return "; raise the sysctl fs.file-max";
	case -EPERM:
	case -EACCES:
		return "; needs CAP_BPF and CAP_SYS_ADMIN, which root has";
	}
	return "";
}

int wm_dp_cannot(struct wm_err *err, int code, const char *fmt, ...)
{
	char what[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	return wm_err__set(err, code, "%s: %s%s", what, strerror(-code), remedy(code));
}

static int map_id_by_name(const char *name)
{
	for (int i = 0; i < DP_MAPS; i++)
		if (!strcmp(name, wm_dp_map_names[i]))
			return i;
	return -1;
}

/* Fails only where the map cannot be looked at. */
static int take_map(struct wm_dp *dp, uint32_t id)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id), which;

	if (fd < 0)
		return wm_dp_lacks_means(-errno) ? -errno : 0;
	which = bpf_obj_get_info_by_fd(fd, &info, &len) ? -1 : map_id_by_name(info.name);
	if (which >= 0 && dp->map[which].fd < 0)
		dp->map[which].fd = fd;
	else
		close(fd);
	return 0;
}

enum { MAP_IDS = 4 * DP_MAPS };

/* How many maps a program has, their ids, and its own. -errno. */
static int map_ids(int prog_fd, uint32_t ids[MAP_IDS], uint32_t *prog_id)
{
	struct bpf_prog_info info = { .nr_map_ids = MAP_IDS, .map_ids = (uintptr_t)ids };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return -errno;
	*prog_id = info.id;
	return info.nr_map_ids < MAP_IDS ? info.nr_map_ids : MAP_IDS;
}

int wm_dp_map_of(int prog_fd, const char *name)
{
	uint32_t ids[MAP_IDS], prog_id;
	int n = map_ids(prog_fd, ids, &prog_id);

	for (int i = 0; i < n; i++) {
		struct bpf_map_info info = {};
		uint32_t len = sizeof(info);
		int fd = bpf_map_get_fd_by_id(ids[i]);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) && !strcmp(info.name, name))
			return fd;
		close(fd);
	}
	return n < 0 ? n : -ENOENT;
}

/* A program from before there were perf buffers goes without; the one that takes its place
 * around the same maps does not. */
static void make_perf_map(struct wm_dp *dp)
{
	if (dp->map[DP_PERF].fd < 0)
		dp->map[DP_PERF].fd = bpf_map_create(BPF_MAP_TYPE_PERF_EVENT_ARRAY, WM_MAP_PERF,
						     sizeof(uint32_t), sizeof(uint32_t),
						     libbpf_num_possible_cpus(), NULL);
}

int wm_dp_take_over(struct wm_dp *dp, int prog_fd, struct wm_err *err)
{
	uint32_t ids[MAP_IDS], id;
	int n, rc;

	dp->prog_fd = prog_fd;
	dp->adopted = true;
	n = map_ids(prog_fd, ids, &id);
	if (n < 0)
		return wm_err__sys(err, n, "cannot inspect the running program");
	for (int i = 0; i < n; i++) {
		rc = take_map(dp, ids[i]);
		if (rc)
			return wm_dp_cannot(err, rc, "cannot open the maps of the running program "
					    "(id %u)", id);
	}
	make_perf_map(dp);
	for (int i = 0; i < DP_MAPS; i++)
		if (dp->map[i].fd < 0)
			return wm_err__set(err, -EBUSY, "program %u is called %s but has no map "
					   "%s: " REPLACE, id, WM_PROG_NAME, wm_dp_map_names[i]);
	return 0;
}

bool wm_dp_shares_maps(const struct wm_dp *dp, int prog_fd)
{
	uint32_t ids[MAP_IDS], prog_id, len = sizeof(struct bpf_map_info);
	struct bpf_map_info ours = {};
	int n = map_ids(prog_fd, ids, &prog_id);

	if (bpf_obj_get_info_by_fd(dp->map[DP_DESTS].fd, &ours, &len))
		return false;
	for (int i = 0; i < n; i++)
		if (ids[i] == ours.id)
			return true;
	return false;
}

static int map_one(struct wm_dp_map *map, bool writable)
{
	size_t page = sysconf(_SC_PAGESIZE);
	uint32_t len = sizeof(struct bpf_map_info);
	struct bpf_map_info info = {};

	if (bpf_obj_get_info_by_fd(map->fd, &info, &len))
		return -errno;
	map->entries = info.max_entries;
	map->length = (size_t)info.max_entries * ((info.value_size + 7) & ~7u);
	map->length = (map->length + page - 1) & ~(page - 1);
	map->memory = mmap(NULL, map->length, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
			   map->fd, 0);
	if (map->memory == MAP_FAILED) {
		map->memory = NULL;
		return -errno;
	}
	return 0;
}

/* Do the sizes that the program believes in fit the maps that it has? */
static bool sizes_agree(const struct wm_dp *dp)
{
	const struct wm_params *p = &dp->params;

	return p->dest_bits <= WM_DEST_BITS_MAX && p->flow_buckets >= 2 &&
	       p->flow_buckets <= WM_FLOW_BUCKETS_MAX &&
	       p->vip_bits >= 1 && p->vip_bits <= WM_VIP_BITS_MAX &&
	       dp->map[DP_VIPS].entries == 2u << p->vip_bits &&
	       dp->map[DP_RINGS].entries == p->rings &&
	       dp->map[DP_DESTS].entries == 1u << p->dest_bits &&
	       dp->map[DP_FLOWS].entries == p->flow_buckets &&
	       dp->map[DP_LOCATIONS].entries == (p->locations ?: 1) &&
	       dp->map[DP_STATS].length >= WM_CPUS_MAX * sizeof(struct wm_cpu_stats) &&
	       dp->map[DP_DEST_STATS].entries == p->cpus << p->dest_bits;
}

int wm_dp_map_all(struct wm_dp *dp, struct wm_err *err)
{
	for (int i = 0; i < DP_EVENTS; i++) {
		int rc = map_one(&dp->map[i], i != DP_PARAMS);

		if (rc)
			return wm_err__sys(err, rc, "cannot map %s into memory",
					   wm_dp_map_names[i]);
	}
	memcpy(&dp->params, dp->map[DP_PARAMS].memory, sizeof(dp->params));
	if (dp->params.magic != WM_ABI_MAGIC || dp->params.version != WM_ABI_VERSION)
		return wm_err__set(err, -EBUSY, "the running program speaks ABI version %u, this "
				   "is version %d: " REPLACE, dp->params.version, WM_ABI_VERSION);
	if (!sizes_agree(dp))
		return wm_err__set(err, -EBUSY, "the running program's maps have sizes that it "
				   "does not state: " REPLACE);
	return 0;
}
