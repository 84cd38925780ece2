// SPDX-License-Identifier: GPL-2.0
/*
 * Pins: names in a bpf file system for the program and its maps, for tools and
 * for the case that somebody takes the program off the interface while its
 * flows should live. The running program does not need them.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "dp.h"

#define BPF_FS "/sys/fs/bpf"
enum { BPF_FS_TYPE = (int)0xcafe4a11 };

/* A bpf file system has no names with dots. */
static const char *const pin_names[DP_MAPS] = {
	[DP_PARAMS] = "params", [DP_CTL] = "ctl",     [DP_VIPS] = "vips",
	[DP_RINGS] = "rings",   [DP_DESTS] = "dests", [DP_FLOWS] = "flows",
	[DP_STATS] = "stats",   [DP_DEST_STATS] = "dest_stats", [DP_LOCATIONS] = "locations",
	[DP_EVENTS] = "events",   [DP_XSKS] = "xsks",
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

int wm_dp_pin(struct wm_dp *dp, const char *dir, struct wm_err *err)
{
	int rc = prepare(dir, err);

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
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/prog", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

void wm_dp_unpin(const char *dir)
{
	char path[PATH_MAX];

	for (int i = 0; i < DP_MAPS; i++)
		if (snprintf(path, sizeof(path), "%s/%s", dir, pin_names[i]) < (int)sizeof(path))
			unlink(path);
	if (snprintf(path, sizeof(path), "%s/prog", dir) < (int)sizeof(path))
		unlink(path);
	rmdir(dir);
}
