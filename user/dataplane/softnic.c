// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and attaching the softnic.
 *
 * What is pinned in a NIC's directory:
 *   softnic_rules, softnic_ctl, softnic_stats   its maps, shared by its ports
 *   port:NAME                                   the program on port NAME
 * Each port runs its own load of the program, because the balancer's address and the
 * device towards it are constants in it. The pin of a program is what says that
 * the port is ours: it is compared with what is attached before anything is
 * replaced or taken off, by the kernel itself (XDP_FLAGS_REPLACE).
 *
 * A NIC whose first attach fails leaves nothing behind.
 */
#include "softnic.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <waymark/softnic_abi.h>

#include "objects.h"

enum { PATH_SIZE = 512 };

static const char *const map_names[] = { WM_SOFTNIC_RULES, WM_SOFTNIC_CTL, WM_SOFTNIC_STATS };
#define N_MAPS (sizeof(map_names) / sizeof(map_names[0]))

/* What is asked of one attach. */
struct plan {
	const char *port;
	const char *pin_dir;
	int ifindex;
	uint32_t capacity, mark_bits;
	struct wm_softnic_port constants;
	bool fresh; /* the NIC is made now */
};

static int map_path(char *path, const char *dir, const char *name, struct wm_err *err)
{
	if (snprintf(path, PATH_SIZE, "%s/%s", dir, name) >= PATH_SIZE)
		return wm_err__set(err, -ENAMETOOLONG, "softnic: %s is too long", dir);
	return 0;
}

/* A bpffs takes no dot in a name, a device's name has no colon. */
static int port_path(char *path, const char *dir, const char *port, struct wm_err *err)
{
	char name[8 + IF_NAMESIZE];

	snprintf(name, sizeof(name), "port:%s", port);
	for (char *c = name; *c; c++)
		if (*c == '.')
			*c = ':';
	return map_path(path, dir, name, err);
}

static int find_device(const char *name, int *ifindex, struct wm_err *err)
{
	*ifindex = if_nametoindex(name);
	if (!*ifindex)
		return wm_err__sys(err, -errno, "softnic: device %s", name);
	return 0;
}

static int make_dir(const char *dir, bool *made, struct wm_err *err)
{
	struct statfs fs;
	int ret = 0;

	*made = !mkdir(dir, 0700);
	if (!*made && errno != EEXIST)
		return wm_err__sys(err, -errno, "softnic: make directory %s", dir);
	if (statfs(dir, &fs))
		ret = wm_err__sys(err, -errno, "softnic: %s", dir);
	else if (fs.f_type != BPF_FS_MAGIC)
		ret = wm_err__set(err, -EINVAL, "softnic: %s is on no bpffs; mount one: "
				  "mount -t bpf bpf DIRECTORY", dir);
	if (ret && *made)
		rmdir(dir);
	return ret;
}

/* --- the NIC that is there already --- */

static int read_ctl(const char *dir, struct wm_softnic_ctl *ctl, struct wm_err *err)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;
	char path[PATH_SIZE];
	int fd, ret;

	ret = map_path(path, dir, WM_SOFTNIC_CTL, err);
	if (ret)
		return ret;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return wm_err__sys(err, fd, "softnic: %s", path);
	ret = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (!ret && info.value_size != sizeof(*ctl))
		ret = -EPROTO;
	if (!ret)
		ret = bpf_map_lookup_elem(fd, &zero, ctl);
	if (!ret && ctl->version != WM_SOFTNIC_VERSION)
		ret = -EPROTO;
	close(fd);
	if (ret)
		wm_err__sys(err, ret, "softnic: %s was made by another version", path);
	return ret;
}

static int read_capacity(const char *dir, uint32_t *capacity, struct wm_err *err)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_SIZE];
	int fd, ret;

	ret = map_path(path, dir, WM_SOFTNIC_RULES, err);
	if (ret)
		return ret;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fd == -ENOENT ? fd : wm_err__sys(err, fd, "softnic: %s", path);
	ret = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	if (ret)
		return wm_err__sys(err, ret, "softnic: %s", path);
	*capacity = info.max_entries;
	return 0;
}

/* Complete the plan with the sizes of the NIC in its directory, if there is one. */
static int settle_sizes(struct plan *plan, struct wm_err *err)
{
	struct wm_softnic_ctl ctl = {};
	uint32_t capacity = 0;
	int ret;

	ret = read_capacity(plan->pin_dir, &capacity, err);
	if (ret == -ENOENT) {
		plan->fresh = true;
		plan->capacity = plan->capacity ?: WM_SOFTNIC_CAPACITY_DEFAULT;
		plan->mark_bits = plan->mark_bits ?: WM_SOFTNIC_MARK_BITS_DEFAULT;
		return 0;
	}
	ret = ret ?: read_ctl(plan->pin_dir, &ctl, err);
	if (ret)
		return ret;
	if ((plan->capacity && plan->capacity != capacity) ||
	    (plan->mark_bits && plan->mark_bits != ctl.mark_bits))
		return wm_err__set(err, -EINVAL, "softnic: %s has %u rules and %u bits of "
				   "mark already; detach its ports first to change that",
				   plan->pin_dir, capacity, ctl.mark_bits);
	plan->capacity = capacity;
	plan->mark_bits = ctl.mark_bits;
	return 0;
}

/* --- load --- */

static int open_object(struct bpf_object **obj, const char *only, struct wm_err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "softnic");
	struct bpf_program *prog;

	*obj = bpf_object__open_mem(wm_object_softnic.data, wm_object_softnic.len, &opts);
	if (!*obj)
		return wm_err__sys(err, -errno, "softnic: open the BPF object");
	bpf_object__for_each_program(prog, *obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), only));
	return 0;
}

static int prepare(struct bpf_object *obj, const struct plan *plan, struct wm_err *err)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, WM_SOFTNIC_PORT);
	char path[PATH_SIZE];
	int ret;

	ret = map ? bpf_map__set_initial_value(map, &plan->constants, sizeof(plan->constants)) :
		    -ENOENT;
	for (size_t i = 0; i < N_MAPS && !ret; i++) {
		map = bpf_object__find_map_by_name(obj, map_names[i]);
		ret = map ? map_path(path, plan->pin_dir, map_names[i], err) : -ENOENT;
		if (!ret)
			ret = bpf_map__set_pin_path(map, path);
		if (!ret && !strcmp(map_names[i], WM_SOFTNIC_RULES))
			ret = bpf_map__set_max_entries(map, plan->capacity);
	}
	if (ret)
		wm_err__sys(err, ret, "softnic: prepare the BPF object");
	return ret;
}

static int write_ctl(struct bpf_object *obj, const struct plan *plan, struct wm_err *err)
{
	struct wm_softnic_ctl ctl = {
		.version = WM_SOFTNIC_VERSION,
		.mark_bits = plan->mark_bits,
	};
	__u32 zero = 0;
	int ret;

	ret = bpf_map_update_elem(bpf_object__find_map_fd_by_name(obj, WM_SOFTNIC_CTL), &zero,
				  &ctl, BPF_ANY);
	if (ret)
		wm_err__sys(err, ret, "softnic: set up %s", plan->pin_dir);
	return ret;
}

static void unpin_maps(const char *dir)
{
	char path[PATH_SIZE];

	for (size_t i = 0; i < N_MAPS; i++)
		if (!map_path(path, dir, map_names[i], NULL))
			unlink(path);
}

/* --- attach --- */

/* Put the program in the place of `old_fd`, which must be what is there; -1: of
 * nothing. */
static int swap(int ifindex, int fd, int old_fd)
{
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = old_fd);
	__u32 flags = XDP_FLAGS_DRV_MODE;
	int ret;

	if (old_fd < 0)
		return bpf_xdp_attach(ifindex, fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	ret = bpf_xdp_attach(ifindex, fd, flags | XDP_FLAGS_REPLACE, &opts);
	return ret == -EEXIST ? -EBUSY : ret;
}

static bool is_attached(int ifindex, int fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info), id = 0;

	return !bpf_obj_get_info_by_fd(fd, &info, &len) &&
	       !bpf_xdp_query_id(ifindex, XDP_FLAGS_DRV_MODE, &id) && id == info.id;
}

/*
 * Attach first, then pin: a pin without its program on the port would be
 * a claim that is not true. In between, another attach finds the port busy.
 */
static int attach_and_pin(struct bpf_program *prog, const struct plan *plan, struct wm_err *err)
{
	int fd = bpf_program__fd(prog), old_fd, ret;
	char path[PATH_SIZE];

	ret = port_path(path, plan->pin_dir, plan->port, err);
	if (ret)
		return ret;
	old_fd = bpf_obj_get(path);
	if (old_fd >= 0 && !is_attached(plan->ifindex, old_fd)) {
		close(old_fd);
		old_fd = -1;
	}
	ret = swap(plan->ifindex, fd, old_fd);
	if (ret) {
		wm_err__sys(err, ret, "softnic: attach to %s%s", plan->port, ret == -EBUSY ?
			    " (it has an XDP program that is not this NIC's)" : "");
		goto out;
	}
	unlink(path);
	ret = bpf_program__pin(prog, path);
	if (ret) {
		wm_err__sys(err, ret, "softnic: pin %s", path);
		swap(plan->ifindex, -1, fd);
	}
out:
	if (old_fd >= 0)
		close(old_fd);
	return ret;
}

static int load_and_attach(const struct plan *plan, struct wm_err *err)
{
	struct bpf_object *obj;
	int ret;

	ret = open_object(&obj, WM_SOFTNIC_PROG, err);
	if (ret)
		return ret;
	ret = prepare(obj, plan, err);
	if (ret)
		goto close_object;
	ret = bpf_object__load(obj);
	if (ret) {
		wm_err__sys(err, ret, "softnic: load the BPF object (as root?)");
		goto unpin;
	}
	ret = plan->fresh ? write_ctl(obj, plan, err) : 0;
	if (!ret)
		ret = attach_and_pin(bpf_object__find_program_by_name(obj, WM_SOFTNIC_PROG), plan,
				     err);
unpin:
	if (ret && plan->fresh)
		unpin_maps(plan->pin_dir);
close_object:
	bpf_object__close(obj);
	return ret;
}

static int check_request(const __u8 mac[6], uint32_t mark_bits, struct wm_err *err)
{
	static const __u8 none[6];

	if (mac[0] & 1 || !memcmp(mac, none, sizeof(none)))
		return wm_err__set(err, -EINVAL, "softnic: the balancer's MAC address must be "
				   "one device's, not a group's");
	if (mark_bits > 32)
		return wm_err__set(err, -EINVAL, "softnic: a mark has 1 to 32 bits, not %u",
				   mark_bits);
	return 0;
}

int wm_softnic__attach(const char *port, const char *to_device, const __u8 mac[6],
		       uint32_t capacity, uint32_t mark_bits, const char *pin_dir,
		       struct wm_err *err)
{
	struct plan plan = {
		.port = port,
		.pin_dir = pin_dir,
		.capacity = capacity,
		.mark_bits = mark_bits,
	};
	bool made_dir;
	int to, ret;

	ret = check_request(mac, mark_bits, err) ?: find_device(port, &plan.ifindex, err) ?:
	      find_device(to_device, &to, err) ?: make_dir(pin_dir, &made_dir, err);
	if (ret)
		return ret;
	memcpy(plan.constants.mac, mac, sizeof(plan.constants.mac));
	plan.constants.to_ifindex = to;
	ret = settle_sizes(&plan, err) ?: load_and_attach(&plan, err);
	if (ret && made_dir)
		rmdir(pin_dir);
	return ret;
}

/* --- detach --- */

static bool has_ports(const char *dir)
{
	DIR *d = opendir(dir);
	bool found = false;
	struct dirent *e;

	while (d && !found && (e = readdir(d)))
		found = !strncmp(e->d_name, "port:", 5);
	if (d)
		closedir(d);
	return found;
}

int wm_softnic__detach(const char *port, const char *pin_dir, struct wm_err *err)
{
	int ifindex = if_nametoindex(port), fd, ret;
	char path[PATH_SIZE];

	ret = port_path(path, pin_dir, port, err);
	if (ret)
		return ret;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return wm_err__sys(err, fd, "softnic: %s is no port of %s", port, pin_dir);
	if (ifindex && is_attached(ifindex, fd))
		ret = swap(ifindex, -1, fd);
	close(fd);
	if (ret)
		return wm_err__sys(err, ret, "softnic: detach from %s", port);
	unlink(path);
	if (!has_ports(pin_dir)) {
		unpin_maps(pin_dir);
		rmdir(pin_dir);
	}
	return 0;
}

/* --- the rest of the wire --- */

int wm_softnic__wire(const char *device, struct wm_err *err)
{
	struct bpf_object *obj;
	struct bpf_map *map;
	int ifindex, ret;

	ret = find_device(device, &ifindex, err) ?: open_object(&obj, WM_SOFTNIC_PASS, err);
	if (ret)
		return ret;
	/* It has no use for the rules: let them take no memory. */
	map = bpf_object__find_map_by_name(obj, WM_SOFTNIC_RULES);
	ret = map ? bpf_map__set_max_entries(map, 1) : -ENOENT;
	if (!ret)
		ret = bpf_object__load(obj);
	if (!ret)
		ret = swap(ifindex, bpf_program__fd(bpf_object__find_program_by_name(obj,
					WM_SOFTNIC_PASS)), -1);
	if (ret == -EBUSY)
		ret = 0;
	if (ret)
		wm_err__sys(err, ret, "wire: attach to %s", device);
	bpf_object__close(obj);
	return ret;
}
