// SPDX-License-Identifier: GPL-2.0
/* The pins of the software NIC (bpf/softnic.bpf.c), for the backends that use it. */
#include "simnic.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATH_SIZE = 512 };

static int get_pin(const char *dir, const char *name, size_t value_size, uint32_t *entries,
		   struct wm_err *err)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	char path[PATH_SIZE];
	int fd, ret;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return wm_err__set(err, -ENAMETOOLONG, "offload sim: %s is too long", dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return wm_err__sys(err, fd, "offload sim: %s (is a software NIC attached there?)",
				   path);
	ret = bpf_obj_get_info_by_fd(fd, &info, &len);
	if (!ret && info.value_size != value_size)
		ret = -EPROTO;
	if (ret) {
		close(fd);
		return wm_err__sys(err, ret, "offload sim: %s is no map of this version", path);
	}
	if (entries)
		*entries = info.max_entries;
	return fd;
}

static int map_ctl(struct wm_simnic *nic, const char *dir, struct wm_err *err)
{
	void *page;
	int fd;

	fd = get_pin(dir, WM_SOFTNIC_CTL, sizeof(*nic->ctl), NULL, err);
	if (fd < 0)
		return fd;
	page = mmap(NULL, sizeof(*nic->ctl), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		return wm_err__sys(err, -errno, "offload sim: map %s/%s", dir, WM_SOFTNIC_CTL);
	nic->ctl = page;
	if (nic->ctl->version != WM_SOFTNIC_VERSION)
		return wm_err__set(err, -EPROTO, "offload sim: %s is of another version", dir);
	return 0;
}

int wm_simnic__open(struct wm_simnic *nic, const char *dir, struct wm_err *err)
{
	int ret;

	*nic = (struct wm_simnic){ .rules_fd = -1 };
	if (!dir || !*dir)
		return wm_err__set(err, -EINVAL, "offload sim: needs the pin directory of "
				   "a software NIC");
	ret = get_pin(dir, WM_SOFTNIC_RULES, sizeof(struct wm_softnic_rule), &nic->capacity, err);
	if (ret < 0)
		return ret;
	nic->rules_fd = ret;
	ret = map_ctl(nic, dir, err);
	if (ret)
		wm_simnic__close(nic);
	return ret;
}

void wm_simnic__close(struct wm_simnic *nic)
{
	if (nic->ctl)
		munmap((void *)nic->ctl, sizeof(*nic->ctl));
	if (nic->rules_fd >= 0)
		close(nic->rules_fd);
	*nic = (struct wm_simnic){ .rules_fd = -1 };
}
