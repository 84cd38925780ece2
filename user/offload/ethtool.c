// SPDX-License-Identifier: GPL-2.0
/*
 * Features are numbered as the kernel likes; the string set says which number a name
 * has. Two requests more than a fixed number would take, and right for every kernel.
 */
#include "ethtool.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FEATURES_MAX = 1024 };

static int request(int fd, const char *interface, void *data)
{
	struct ifreq ifr = { .ifr_data = data };

	if (strlen(interface) >= sizeof(ifr.ifr_name))
		return -ENAMETOOLONG;
	strcpy(ifr.ifr_name, interface);
	return ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0; /* above 0: what it did not do */
}

/* --- features --- */

static int ask(const struct wm_ethtool_io *io, void *data)
{
	return io->request(io->arg, data);
}

static int count_features(const struct wm_ethtool_io *io)
{
	struct {
		struct ethtool_sset_info head;
		uint32_t count;
	} set = { .head = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
	int ret = ask(io, &set);

	if (ret)
		return ret;
	return set.head.sset_mask && set.count <= FEATURES_MAX ? (int)set.count : -EOPNOTSUPP;
}

/* The feature's number, or -ENOENT. */
static int number_of(const struct wm_ethtool_io *io, const char *name, int n)
{
	struct ethtool_gstrings *strings;
	int ret;

	strings = calloc(1, sizeof(*strings) + (size_t)n * ETH_GSTRING_LEN);
	if (!strings)
		return -ENOMEM;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = n;
	ret = ask(io, strings);
	for (int i = 0; !ret && i < n; i++)
		if (!strncmp((char *)strings->data + i * ETH_GSTRING_LEN, name, ETH_GSTRING_LEN))
			ret = i + 1;
	free(strings);
	return ret > 0 ? ret - 1 : ret ? ret : -ENOENT;
}

static int state_of(const struct wm_ethtool_io *io, int number, int n)
{
	struct ethtool_get_features_block *block;
	struct ethtool_gfeatures *all;
	int blocks = (n + 31) / 32, ret;
	uint32_t bit = 1u << number % 32;

	all = calloc(1, sizeof(*all) + blocks * sizeof(all->features[0]));
	if (!all)
		return -ENOMEM;
	all->cmd = ETHTOOL_GFEATURES;
	all->size = blocks;
	ret = ask(io, all);
	block = &all->features[number / 32];
	if (!ret)
		ret = block->active & bit ? WM_FEATURE_ON :
		      block->available & bit && !(block->never_changed & bit) ? WM_FEATURE_OFF :
		      WM_FEATURE_NONE;
	free(all);
	return ret;
}

/* What the driver made of it has to be asked for. */
static int request_state(const struct wm_ethtool_io *io, int number, int n, bool on)
{
	struct ethtool_sfeatures *all;
	int blocks = (n + 31) / 32, ret;
	uint32_t bit = 1u << number % 32;

	all = calloc(1, sizeof(*all) + blocks * sizeof(all->features[0]));
	if (!all)
		return -ENOMEM;
	all->cmd = ETHTOOL_SFEATURES;
	all->size = blocks;
	all->features[number / 32].valid = bit;
	all->features[number / 32].requested = on ? bit : 0;
	ret = ask(io, all);
	free(all);
	return ret;
}

int wm_ethtool__state(const struct wm_ethtool_io *io, const char *name)
{
	int n = count_features(io), number = n < 0 ? n : number_of(io, name, n);

	if (number == -ENOENT)
		return WM_FEATURE_NONE;
	return number < 0 ? number : state_of(io, number, n);
}

int wm_ethtool__switch(const struct wm_ethtool_io *io, const char *name, bool on)
{
	int n = count_features(io), number = n < 0 ? n : number_of(io, name, n), ret;

	if (number < 0)
		return number;
	ret = request_state(io, number, n, on);
	if (!ret)
		ret = state_of(io, number, n);
	if (ret < 0)
		return ret;
	return (ret == WM_FEATURE_ON) == on ? 0 : -EOPNOTSUPP;
}

int wm_ethtool__feature(const char *interface, const char *name)
{
	struct wm_ethtool_io io;
	int ret = wm_ethtool__open(&io, interface);

	if (ret)
		return ret;
	ret = wm_ethtool__state(&io, name);
	io.close(io.arg);
	return ret;
}

/* --- a driver --- */

struct device {
	int fd;
	char interface[IF_NAMESIZE];
};

static int device_request(void *arg, void *data)
{
	struct device *device = arg;

	return request(device->fd, device->interface, data);
}

static void device_close(void *arg)
{
	struct device *device = arg;

	close(device->fd);
	free(device);
}

int wm_ethtool__open(struct wm_ethtool_io *io, const char *interface)
{
	struct device *device;
	int fd;

	if (strlen(interface) >= sizeof(device->interface))
		return -ENAMETOOLONG;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	device = calloc(1, sizeof(*device));
	if (!device) {
		close(fd);
		return -ENOMEM;
	}
	device->fd = fd;
	strcpy(device->interface, interface);
	*io = (struct wm_ethtool_io){ device_request, device_close, device };
	return 0;
}

int wm_ethtool__info(const struct wm_ethtool_io *io, struct ethtool_drvinfo *info)
{
	*info = (struct ethtool_drvinfo){ .cmd = ETHTOOL_GDRVINFO };
	return io->request(io->arg, info);
}

int wm_ethtool__driver(const struct wm_ethtool_io *io, char name[ETHTOOL_BUSINFO_LEN])
{
	struct ethtool_drvinfo info;
	int ret = wm_ethtool__info(io, &info);

	snprintf(name, ETHTOOL_BUSINFO_LEN, "%.*s", (int)sizeof(info.driver) - 1, info.driver);
	return ret;
}
