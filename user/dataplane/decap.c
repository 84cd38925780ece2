// SPDX-License-Identifier: GPL-2.0
/*
 * Puts the decapsulation program on a device, in XDP or at TC ingress.
 *
 * There is no state but what the kernel holds. "Ours" is an attached program
 * that uses a map named WM_DECAP_MAP_STATS; others are left alone. In TC our
 * filter has a fixed place (priority and handle), so that it is found again.
 */
#include "decap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "objects.h"

enum {
	TC_PRIORITY = 50,
	TC_HANDLE = 1,
	MAPS_MAX = 8, /* the program has two */
};

#define COUNTER_NAME(NAME, name, text) #name,
#define COUNTER_TEXT(NAME, name, text) text,
const char *const wm_decap_counter_names[] = { WM_DECAP_COUNTERS(COUNTER_NAME) };
const char *const wm_decap_counter_texts[] = { WM_DECAP_COUNTERS(COUNTER_TEXT) };

const char *wm_decap_mode__name(enum wm_decap_mode mode)
{
	static const char *const names[] = { "auto", "xdp", "tc" };

	return names[mode];
}

/* --- what is attached --- */

/* The counters of a program, as an open map; -ENOENT: the program is not ours. */
static int stats_map(uint32_t prog_id)
{
	uint32_t ids[MAPS_MAX], i, len;
	struct bpf_prog_info prog = { .nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids };
	struct bpf_map_info map;
	int fd, err;

	fd = bpf_prog_get_fd_by_id(prog_id);
	if (fd < 0)
		return fd;
	len = sizeof(prog);
	err = bpf_obj_get_info_by_fd(fd, &prog, &len);
	close(fd);
	if (err)
		return err;
	for (i = 0; i < prog.nr_map_ids && i < MAPS_MAX; i++) {
		fd = bpf_map_get_fd_by_id(ids[i]);
		if (fd < 0)
			continue;
		len = sizeof(map);
		memset(&map, 0, sizeof(map));
		if (!bpf_obj_get_info_by_fd(fd, &map, &len) &&
		    !strcmp(map.name, WM_DECAP_MAP_STATS) &&
		    map.value_size == sizeof(struct wm_decap_stats))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

static bool is_ours(uint32_t prog_id)
{
	int fd = stats_map(prog_id);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Id of the attached XDP program; 0: none. */
static uint32_t xdp_attached(int ifindex)
{
	uint32_t id = 0;

	return bpf_xdp_query_id(ifindex, 0, &id) ? 0 : id;
}

/* Id of the program in our place at TC ingress; 0: none. */
static uint32_t tc_attached(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

static int xdp_detach(int ifindex)
{
	uint32_t id = xdp_attached(ifindex);

	if (!id || !is_ours(id))
		return -ENOENT;
	return bpf_xdp_detach(ifindex, 0, NULL);
}

static int tc_detach(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);
	uint32_t id = tc_attached(ifindex);

	if (!id || !is_ours(id))
		return -ENOENT;
	return bpf_tc_detach(&hook, &opts);
}

/* --- loading --- */

/* libbpf's own words would come between ours; what matters is in the errno. */
static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level, (void)fmt, (void)args;
	return 0;
}

static int configure(struct bpf_object *object, const struct wm_addr *src4,
		     const struct wm_addr *src6)
{
	struct wm_decap_config config;
	struct bpf_map *map;
	const void *value;
	size_t size;

	bpf_object__for_each_map(map, object) {
		if (!strstr(bpf_map__name(map), ".rodata"))
			continue;
		value = bpf_map__initial_value(map, &size);
		if (!value || size != sizeof(config))
			return -EINVAL;
		memcpy(&config, value, sizeof(config));
		if (src4)
			config.src4 = src4->word[0] & htonl(0xffff0000);
		if (src6)
			memcpy(config.src6, src6->word, sizeof(config.src6));
		return bpf_map__set_initial_value(map, &config, sizeof(config));
	}
	return -EINVAL;
}

/* Load one of the two programs; its fd, or -errno. The caller closes the object. */
static int load(const char *name, const struct wm_addr *src4, const struct wm_addr *src6,
		struct bpf_object **object)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "wm_decap");
	struct bpf_program *prog, *chosen = NULL;
	int err;

	*object = bpf_object__open_mem(wm_object_decap.data, wm_object_decap.len, &opts);
	if (!*object)
		return -errno;
	bpf_object__for_each_program(prog, *object) {
		bool wanted = !strcmp(bpf_program__name(prog), name);

		bpf_program__set_autoload(prog, wanted);
		if (wanted)
			chosen = prog;
	}
	err = chosen ? configure(*object, src4, src6) : -ENOENT;
	if (!err)
		err = bpf_object__load(*object);
	return err ? err : bpf_program__fd(chosen);
}

/* --- attaching --- */

static int xdp_attach(int ifindex, int fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	uint32_t old = xdp_attached(ifindex), flags = XDP_FLAGS_DRV_MODE;
	int err;

	if (!old)
		return bpf_xdp_attach(ifindex, fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	if (!is_ours(old))
		return -EBUSY;
	/* Replace exactly what we looked at. */
	opts.old_prog_fd = bpf_prog_get_fd_by_id(old);
	if (opts.old_prog_fd < 0)
		return opts.old_prog_fd;
	err = bpf_xdp_attach(ifindex, fd, flags | XDP_FLAGS_REPLACE, &opts);
	close(opts.old_prog_fd);
	return err;
}

static int tc_attach(int ifindex, int fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY,
		    .prog_fd = fd);
	uint32_t old = tc_attached(ifindex);
	int err;

	if (old && !is_ours(old))
		return -EBUSY;
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return err;
	opts.flags = old ? BPF_TC_F_REPLACE : 0;
	return bpf_tc_attach(&hook, &opts);
}

static int attach_as(enum wm_decap_mode mode, int ifindex, const struct wm_addr *src4,
		     const struct wm_addr *src6)
{
	bool xdp = mode == WM_DECAP_XDP;
	struct bpf_object *object = NULL;
	int fd, err;

	fd = load(xdp ? WM_DECAP_PROG_XDP : WM_DECAP_PROG_TC, src4, src6, &object);
	err = fd < 0 ? fd : xdp ? xdp_attach(ifindex, fd) : tc_attach(ifindex, fd);
	bpf_object__close(object);
	if (err)
		return err;
	/* In one place only. */
	if (xdp)
		tc_detach(ifindex);
	else
		xdp_detach(ifindex);
	return 0;
}

static const char *advice(int err, enum wm_decap_mode mode)
{
	switch (err) {
	case -EPERM:
		return " (needs root)";
	case -EBUSY:
		return mode == WM_DECAP_XDP ? " (another XDP program is there: use mode tc)" :
					      " (another filter has our place)";
	case -EOPNOTSUPP:
		return " (the driver has no XDP: use mode tc)";
	default:
		return "";
	}
}

static int find_device(const char *dev, int *ifindex, struct wm_err *err)
{
	*ifindex = if_nametoindex(dev);
	if (!*ifindex)
		return wm_err__sys(err, -errno, "decap: device %s", dev);
	return 0;
}

int wm_decap__attach(const char *dev, enum wm_decap_mode mode, const struct wm_addr *src4,
		     const struct wm_addr *src6, enum wm_decap_mode *used, struct wm_err *err)
{
	enum wm_decap_mode try = mode == WM_DECAP_TC ? WM_DECAP_TC : WM_DECAP_XDP;
	libbpf_print_fn_t print;
	int ifindex, result;

	if ((src4 && src4->family != WM_IPV4) || (src6 && src6->family != WM_IPV6))
		return wm_err__set(err, -EINVAL, "decap: source prefix of the wrong family");
	result = find_device(dev, &ifindex, err);
	if (result)
		return result;

	print = libbpf_set_print(quiet);
	result = attach_as(try, ifindex, src4, src6);
	if (result && mode == WM_DECAP_AUTO) {
		try = WM_DECAP_TC;
		result = attach_as(try, ifindex, src4, src6);
	}
	libbpf_set_print(print);
	if (result)
		return wm_err__set(err, result, "decap: attach to %s as %s: %s%s", dev,
				   wm_decap_mode__name(try), strerror(-result),
				   advice(result, try));
	if (used)
		*used = try;
	return 0;
}

int wm_decap__detach(const char *dev, struct wm_err *err)
{
	libbpf_print_fn_t print;
	int ifindex, xdp, tc;

	xdp = find_device(dev, &ifindex, err);
	if (xdp)
		return xdp;
	print = libbpf_set_print(quiet);
	xdp = xdp_detach(ifindex);
	tc = tc_detach(ifindex);
	libbpf_set_print(print);

	if (xdp && xdp != -ENOENT)
		return wm_err__sys(err, xdp, "decap: detach the XDP program from %s", dev);
	if (tc && tc != -ENOENT)
		return wm_err__sys(err, tc, "decap: detach the TC filter from %s", dev);
	if (xdp && tc)
		return wm_err__set(err, -ENOENT, "decap: nothing of ours is attached to %s", dev);
	return 0;
}

/* --- counters --- */

static int read_stats(int map, uint64_t out[WM_DECAP_COUNTERS_USED])
{
	int cpus = libbpf_num_possible_cpus(), err;
	struct wm_decap_stats *stats;
	uint32_t zero = 0;

	if (cpus < 0)
		return cpus;
	stats = calloc(cpus, sizeof(*stats));
	if (!stats)
		return -ENOMEM;
	err = bpf_map_lookup_elem(map, &zero, stats);
	for (int i = 0; i < WM_DECAP_COUNTERS_USED; i++) {
		out[i] = 0;
		for (int cpu = 0; cpu < cpus; cpu++)
			out[i] += stats[cpu].counter[i];
	}
	free(stats);
	return err;
}

int wm_decap__stats(const char *dev, uint64_t out[WM_DECAP_COUNTERS_USED],
		    enum wm_decap_mode *mode, struct wm_err *err)
{
	enum wm_decap_mode where = WM_DECAP_XDP;
	libbpf_print_fn_t print;
	int ifindex, map, result;

	result = find_device(dev, &ifindex, err);
	if (result)
		return result;
	print = libbpf_set_print(quiet);
	map = stats_map(xdp_attached(ifindex));
	if (map < 0) {
		where = WM_DECAP_TC;
		map = stats_map(tc_attached(ifindex));
	}
	libbpf_set_print(print);
	if (map < 0)
		return wm_err__set(err, -ENOENT, "decap: nothing of ours is attached to %s", dev);
	result = read_stats(map, out);
	close(map);
	if (result)
		return wm_err__sys(err, result, "decap: read the counters of %s", dev);
	if (mode)
		*mode = where;
	return 0;
}
