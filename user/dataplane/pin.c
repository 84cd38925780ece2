// SPDX-License-Identifier: GPL-2.0
/*
 * Pins: names in a bpf file system for the program and its maps, for tools and
 * for the case that somebody takes the program off the interface while its
 * flows should live. The running program does not need them.
 *
 * A directory of pins is one daemon's: it holds a lock on it, and beside the pins lies
 * whose they are, the network namespace and the interface. What another interface's
 * program does its work with is neither taken over nor replaced, also when nobody is there
 * to defend it: packets do not need a daemon.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dp.h"
#include "ifindex.h"

#define BPF_FS "/sys/fs/bpf"
enum { BPF_FS_TYPE = (int)0xcafe4a11 };

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Whose pins these are: the one entry of the map that is pinned as "owner". */
struct owner {
	uint64_t netns; /* cookie: no other namespace gets it before the next boot */
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	uint32_t unused;
};

/* A bpf file system has no names with dots. */
static const char *const pin_names[DP_MAPS] = {
	[DP_PARAMS] = "params", [DP_CTL] = "ctl",     [DP_VIPS] = "vips",
	[DP_RINGS] = "rings",   [DP_DESTS] = "dests", [DP_FLOWS] = "flows",
	[DP_STATS] = "stats",   [DP_DEST_STATS] = "dest_stats", [DP_LOCATIONS] = "locations",
	[DP_EVENTS] = "events",   [DP_XSKS] = "xsks",
	[DP_PERF] = "perf",
};

static bool on_bpf_fs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (int)fs.f_type == BPF_FS_TYPE;
}

static int make_dirs(const char *dir)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);

	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, dir, len + 1);
	for (char *p = path + 1; p <= path + len; p++) {
		if (*p != '/' && *p)
			continue;
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			return -errno;
		*p = dir[p - path];
	}
	return 0;
}

static int prepare(const char *dir, struct wm_err *err)
{
	int rc;

	/* Nobody mounted it yet: a fresh machine, a namespace of its own. */
	if (!strncmp(dir, BPF_FS "/", strlen(BPF_FS) + 1) && !on_bpf_fs(BPF_FS) &&
	    mount("bpf", BPF_FS, "bpf", 0, "mode=0700"))
		return wm_err__sys(err, -errno, "cannot mount a bpf file system on %s", BPF_FS);
	rc = make_dirs(dir);
	if (rc)
		return wm_err__sys(err, rc, "cannot make the pin directory %s", dir);
	if (!on_bpf_fs(dir))
		return wm_err__set(err, -EINVAL, "pin directory %s is not on a bpf file system "
				   "(mount -t bpf bpf DIR makes one)", dir);
	return 0;
}

/* --- whose --- */

static int this_netns(uint64_t *cookie)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc = 0;
	socklen_t len = sizeof(*cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie, &len))
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* A directory that is being removed by who held the lock is not the one to lock. */
static int lock(const char *dir)
{
	struct stat ours, there;
	int fd, rc;

	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		rc = -errno;
	else if (fstat(fd, &ours) || stat(dir, &there))
		rc = -errno;
	else
		rc = ours.st_ino == there.st_ino && ours.st_dev == there.st_dev ? 0 : -EAGAIN;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int open_pin(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static int read_owner(const char *dir, struct owner *owner)
{
	int fd = open_pin(dir, "owner"), rc;
	uint32_t key = 0;

	if (fd < 0)
		return fd;
	rc = bpf_map_lookup_elem(fd, &key, owner) ? -errno : 0;
	close(fd);
	owner->name[IF_NAMESIZE - 1] = '\0';
	return rc;
}

/* Does the pinned program do its work on the interface that it was pinned for? */
static bool is_attached(int prog_fd, int ifindex)
{
	char name[IF_NAMESIZE];

	return if_indextoname(ifindex, name) && wm_dp_serves(name, prog_fd);
}

/* Or on one of ours: then it is ours, whichever came first when it was pinned. */
static bool is_on_ours(int prog_fd, const struct wm_dp_options *options)
{
	for (size_t i = 0; i < options->n_interfaces; i++)
		if (wm_dp_serves(options->interfaces[i], prog_fd))
			return true;
	return false;
}

static int judge(const char *dir, const struct owner *is, const struct owner *we,
		 const struct wm_dp_options *options, struct wm_err *err)
{
	int fd = open_pin(dir, "prog");
	bool ours = fd >= 0 && is_on_ours(fd, options), there;

	there = fd >= 0 && is_attached(fd, is->ifindex);
	if (fd >= 0)
		close(fd);
	if (ours)
		return 0;
	if (is->netns != we->netns)
		return wm_err__set(err, -EBUSY, "the pins in %s are those of %s in another "
				   "network namespace: give this waymarkd another `pin` (if that "
				   "namespace is gone: rm -r %s)", dir, is->name, dir);
	if (is->ifindex != we->ifindex && there)
		return wm_err__set(err, -EBUSY, "the pins in %s are those of the program on %s: "
				   "give this waymarkd another `pin`", dir, is->name);
	return 0;
}

static int describe(const char *interface, struct owner *owner)
{
	int ifindex = interface ? wm_ifindex__of(interface) : 0;

	*owner = (struct owner){};
	if (ifindex < 0 && ifindex != -ENODEV)
		return ifindex;
	if (interface) {
		owner->ifindex = ifindex > 0 ? ifindex : 0;
		snprintf(owner->name, sizeof(owner->name), "%s", interface);
	}
	return this_netns(&owner->netns);
}

/* On failure the directory stays, unless it is empty. */
int wm_dp_pin_claim(struct wm_dp *dp, const struct wm_dp_options *options, bool *ours,
		    struct wm_err *err)
{
	const char *dir = options->pin;
	struct owner is, we;
	int rc = prepare(dir, err);

	*ours = false;
	if (rc)
		return rc;
	rc = describe(wm_dp_first(dp, options), &we);
	if (rc)
		return wm_err__sys(err, rc, "cannot tell whose the pins in %s are", dir);
	dp->pin_lock = lock(dir);
	if (dp->pin_lock == -EWOULDBLOCK || dp->pin_lock == -EAGAIN)
		return wm_err__set(err, -EBUSY, "another waymarkd has its pins in %s: give this "
				   "one another `pin`", dir);
	if (dp->pin_lock < 0)
		return wm_err__sys(err, dp->pin_lock, "cannot lock the pin directory %s", dir);
	rc = read_owner(dir, &is);
	if (rc)
		return 0; /* no pins, or of a version that did not say whose they are */
	*ours = true;
	return judge(dir, &is, &we, options, err);
}

static int make_owner(const char *interface)
{
	struct owner owner;
	uint32_t key = 0;
	int rc = describe(interface, &owner), fd;

	if (rc)
		return rc;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "waymark_owner", sizeof(key), sizeof(owner), 1,
			    NULL);
	if (fd < 0)
		return -errno;
	if (!bpf_map_update_elem(fd, &key, &owner, 0))
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* --- what was changed at the interfaces --- */

enum { NOTES_SIZE = WM_DP_VLANS_MAX * sizeof(struct wm_dp_vlan) };

static int make_notes(const char *dir, struct wm_err *err)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "waymark_vlans", sizeof(uint32_t), NOTES_SIZE,
				1, NULL);
	char path[PATH_MAX];

	if (fd < 0)
		return wm_err__sys(err, -errno, "cannot make a map");
	snprintf(path, sizeof(path), "%s/vlans", dir);
	if (!bpf_obj_pin(fd, path))
		return fd;
	wm_err__sys(err, -errno, "cannot pin to %s", path);
	close(fd);
	return -EIO;
}

void wm_dp__vlans(const char *pin, struct wm_dp_vlan list[WM_DP_VLANS_MAX])
{
	int fd = open_pin(pin, "vlans");
	uint32_t key = 0;

	memset(list, 0, NOTES_SIZE);
	if (fd < 0)
		return;
	if (bpf_map_lookup_elem(fd, &key, list))
		memset(list, 0, NOTES_SIZE);
	close(fd);
}

int wm_dp__note_vlans(const char *pin, const struct wm_dp_vlan list[WM_DP_VLANS_MAX],
		      struct wm_err *err)
{
	int fd = open_pin(pin, "vlans"), ret = 0;
	uint32_t key = 0;

	if (fd == -ENOENT)
		fd = make_notes(pin, err);
	else if (fd < 0)
		wm_err__sys(err, fd, "cannot open %s/vlans", pin);
	if (fd < 0)
		return fd;
	if (bpf_map_update_elem(fd, &key, list, 0))
		ret = wm_err__sys(err, -errno, "cannot write to %s/vlans", pin);
	close(fd);
	return ret;
}

/* --- the pins --- */

/* A pin that is there already is an older program's. */
static int pin_one(int fd, const char *dir, const char *name, struct wm_err *err)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return wm_err__sys(err, -ENAMETOOLONG, "pin directory %s", dir);
	if (unlink(path) && errno != ENOENT)
		return wm_err__sys(err, -errno, "cannot replace the pin %s", path);
	if (bpf_obj_pin(fd, path))
		return wm_err__sys(err, -errno, "cannot pin to %s", path);
	return 0;
}

int wm_dp_pin(struct wm_dp *dp, const char *dir, const char *interface, struct wm_err *err)
{
	int owner = make_owner(interface), rc;

	if (owner < 0)
		return wm_err__sys(err, owner, "cannot pin to %s", dir);
	rc = pin_one(owner, dir, "owner", err);
	close(owner);
	rc = rc ?: pin_one(dp->prog_fd, dir, "prog", err);
	for (int i = 0; i < DP_MAPS && !rc; i++)
		rc = pin_one(dp->map[i].fd, dir, pin_names[i], err);
	if (rc)
		return rc;
	dp->pin = strdup(dir);
	return dp->pin ? 0 : wm_err__sys(err, -ENOMEM, "cannot pin");
}

int wm_dp_pinned(const char *dir)
{
	return open_pin(dir, "prog");
}

static void unpin_one(const char *dir, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path))
		unlink(path);
}

void wm_dp_unpin(const char *dir)
{
	for (int i = 0; i < DP_MAPS; i++)
		unpin_one(dir, pin_names[i]);
	unpin_one(dir, "prog");
	unpin_one(dir, "owner");
	unpin_one(dir, "vlans");
	rmdir(dir);
}
