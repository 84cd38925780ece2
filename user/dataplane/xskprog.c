// SPDX-License-Identifier: GPL-2.0
/* Unlike the balancer's program this one shall not outlive who runs it: packets
 * for a socket that nobody reads would be lost. Hence the link. */
#include "xskprog.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "objects.h"

struct wm_xskprog {
	struct bpf_object *object;
	int prog_fd, map_fd, stats_fd, link_fd;
	bool generic;
};

#define COUNTER_NAME(NAME, name, text) #name,
#define COUNTER_TEXT(NAME, name, text) text,
const char *const wm_xsk_counter_names[] = { WM_XSK_COUNTERS(COUNTER_NAME) };
const char *const wm_xsk_counter_texts[] = { WM_XSK_COUNTERS(COUNTER_TEXT) };

/* libbpf's own words would come between ours; what matters is in the errno. */
static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level, (void)fmt, (void)args;
	return 0;
}

static int set_filter(struct bpf_object *object, const struct wm_xsk_filter *filter)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object)
		if (strstr(bpf_map__name(map), ".rodata"))
			return bpf_map__set_initial_value(map, filter, sizeof(*filter));
	return -EINVAL;
}

static int find_parts(struct wm_xskprog *prog)
{
	struct bpf_program *program = bpf_object__find_program_by_name(prog->object, WM_XSK_PROG);
	struct bpf_map *map = bpf_object__find_map_by_name(prog->object, WM_XSK_MAP);
	struct bpf_map *stats = bpf_object__find_map_by_name(prog->object, WM_XSK_STATS);

	if (!program || !map || !stats)
		return -EINVAL;
	prog->prog_fd = bpf_program__fd(program);
	prog->map_fd = bpf_map__fd(map);
	prog->stats_fd = bpf_map__fd(stats);
	return 0;
}

int wm_xskprog__load(struct wm_xskprog **out, const struct wm_xsk_filter *filter,
		     struct wm_err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "wm_xsk");
	struct wm_xskprog *prog = calloc(1, sizeof(*prog));
	int ret;

	*out = NULL;
	if (!prog)
		return wm_err__sys(err, -ENOMEM, "cannot load the XDP program");
	prog->link_fd = -1;
	libbpf_set_print(quiet);
	prog->object = bpf_object__open_mem(wm_object_xsk.data, wm_object_xsk.len, &opts);
	ret = prog->object ? set_filter(prog->object, filter) : -errno;
	ret = ret ?: bpf_object__load(prog->object);
	ret = ret ?: find_parts(prog);
	if (!ret) {
		*out = prog;
		return 0;
	}
	wm_xskprog__close(prog);
	if (ret == -EPERM)
		return wm_err__set(err, ret, "loading an XDP program needs root");
	return wm_err__sys(err, ret, "cannot load the XDP program");
}

int wm_xskprog__map(const struct wm_xskprog *prog)
{
	return prog->map_fd;
}

static int attach_as(struct wm_xskprog *prog, int ifindex, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = flags);

	prog->link_fd = bpf_link_create(prog->prog_fd, ifindex, BPF_XDP, &opts);
	return prog->link_fd < 0 ? -errno : 0;
}

static int explain(const char *device, int error, struct wm_err *err)
{
	if (error == -EBUSY || error == -EEXIST)
		return wm_err__set(err, -EBUSY, "%s has an XDP program already (ip link show %s): "
				   "it would have to go first", device, device);
	if (error == -EOPNOTSUPP || error == -EINVAL)
		return wm_err__set(err, error, "the driver of %s has no XDP, or not with this MTU: "
				   "try --mode generic", device);
	return wm_err__sys(err, error, "cannot attach an XDP program to %s", device);
}

int wm_xskprog__attach(struct wm_xskprog *prog, const char *device, enum wm_xdp_mode mode,
		       struct wm_err *err)
{
	int ifindex = if_nametoindex(device), ret = -EOPNOTSUPP;

	if (!ifindex)
		return wm_err__sys(err, -ENODEV, "%s", device);
	if (mode != WM_XDP_GENERIC)
		ret = attach_as(prog, ifindex, XDP_FLAGS_DRV_MODE);
	if (ret && ret != -EBUSY && ret != -EEXIST && mode != WM_XDP_NATIVE) {
		if (mode == WM_XDP_AUTO)
			wm_warn("%s: no native XDP (%s), using generic mode: correct, but slow",
				device, strerror(-ret));
		ret = attach_as(prog, ifindex, XDP_FLAGS_SKB_MODE);
		prog->generic = !ret;
	}
	return ret ? explain(device, ret, err) : 0;
}

const char *wm_xskprog__mode(const struct wm_xskprog *prog)
{
	return wm_xdp_mode_words[prog->generic ? WM_XDP_GENERIC : WM_XDP_NATIVE];
}

int wm_xskprog__counts(const struct wm_xskprog *prog, struct wm_xsk_counts *counts)
{
	int cpus = libbpf_num_possible_cpus();
	struct wm_xsk_counts *each;
	uint32_t zero = 0;
	int ret;

	memset(counts, 0, sizeof(*counts));
	if (cpus < 0)
		return cpus;
	each = calloc(cpus, sizeof(*each));
	if (!each)
		return -ENOMEM;
	ret = bpf_map_lookup_elem(prog->stats_fd, &zero, each) ? -errno : 0;
	for (int cpu = 0; cpu < cpus && !ret; cpu++)
		for (int i = 0; i < WM_XSK_COUNTERS_USED; i++)
			counts->counter[i] += each[cpu].counter[i];
	free(each);
	return ret;
}

void wm_xskprog__detach(struct wm_xskprog *prog)
{
	if (prog->link_fd >= 0)
		close(prog->link_fd);
	prog->link_fd = -1;
}

void wm_xskprog__close(struct wm_xskprog *prog)
{
	if (!prog)
		return;
	wm_xskprog__detach(prog);
	bpf_object__close(prog->object);
	free(prog);
}
