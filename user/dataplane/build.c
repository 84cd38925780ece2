// SPDX-License-Identifier: GPL-2.0
/*
 * Which build a program is of. The maps outlive a program, so what it was built from
 * cannot stand in one of those that it works with: it lies in a map of its own, bound to the
 * program and to nothing else. A program that was loaded by somebody else (`ip link`) has
 * none. Then the kernel's tag, a hash of its instructions, says whether it is the same code.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dp.h"
#include "objects.h"

#define BUILD_MAP "waymark_build"

/* FNV-1a: it tells builds apart, and keeps nobody from forging one. */
static uint64_t digest(const uint8_t *data, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ data[i]) * 0x100000001b3;
	return hash;
}

void wm_dp_build_own(struct wm_dp_build *build, const struct wm_dp_options *options)
{
	bool given = options && options->object;

	*build = (struct wm_dp_build){ .version = WM_VERSION };
	build->digest = given ? digest(options->object, options->object_len)
			      : digest(wm_object_waymark.data, wm_object_waymark.len);
}

int wm_dp_build_read(int prog_fd, struct wm_dp_build *build)
{
	int fd = wm_dp_map_of(prog_fd, BUILD_MAP), rc;
	uint32_t key = 0;

	*build = (struct wm_dp_build){};
	if (fd < 0)
		return fd;
	rc = bpf_map_lookup_elem(fd, &key, build) ? -errno : 0;
	close(fd);
	build->version[sizeof(build->version) - 1] = '\0';
	return rc;
}

int wm_dp_build_is(int prog_fd, const struct wm_dp_build *build)
{
	struct wm_dp_build is;
	int rc = wm_dp_build_read(prog_fd, &is);

	if (rc)
		return rc;
	return is.digest == build->digest && !strcmp(is.version, build->version);
}

int wm_dp_build_label(int prog_fd, const struct wm_dp_build *build)
{
	uint32_t key = 0;
	int fd, rc = 0;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, BUILD_MAP, sizeof(key), sizeof(*build), 1, NULL);
	if (fd < 0)
		return -errno;
	if (bpf_map_update_elem(fd, &key, build, 0) || bpf_prog_bind_map(prog_fd, fd, NULL))
		rc = -errno;
	close(fd);
	return rc;
}

static int tag_of(int prog_fd, uint8_t tag[BPF_TAG_SIZE])
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return -errno;
	memcpy(tag, info.tag, BPF_TAG_SIZE);
	return 0;
}

bool wm_dp_same_code(int one, int other)
{
	uint8_t a[BPF_TAG_SIZE], b[BPF_TAG_SIZE];

	return !tag_of(one, a) && !tag_of(other, b) && !memcmp(a, b, sizeof(a));
}

static void format(const struct wm_dp_build *build, char text[WM_DP_BUILD_TEXT])
{
	snprintf(text, WM_DP_BUILD_TEXT, "%s (build %08" PRIx32 ")", build->version,
		 (uint32_t)(build->digest ^ build->digest >> 32));
}

void wm_dp__build(const struct wm_dp *dp, char running[WM_DP_BUILD_TEXT],
		  char own[WM_DP_BUILD_TEXT])
{
	uint8_t tag[BPF_TAG_SIZE] = {};
	struct wm_dp_build is;

	format(&dp->own, own);
	if (!wm_dp_build_read(dp->prog_fd, &is)) {
		format(&is, running);
		return;
	}
	tag_of(dp->prog_fd, tag);
	snprintf(running, WM_DP_BUILD_TEXT, "unknown (tag %02x%02x%02x%02x)", tag[0], tag[1],
		 tag[2], tag[3]);
}
