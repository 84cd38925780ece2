// SPDX-License-Identifier: GPL-2.0
#include "ifindex.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int ask(unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		return -errno;
	ret = ioctl(fd, request, ifr) ? -errno : 0;
	close(fd);
	return ret == -ENXIO ? -ENODEV : ret;
}

int wm_ifindex__of(const char *name)
{
	struct ifreq ifr = {};
	int ret;

	if (strlen(name) >= sizeof(ifr.ifr_name))
		return -ENODEV;
	strcpy(ifr.ifr_name, name);
	ret = ask(SIOCGIFINDEX, &ifr);
	return ret ? ret : ifr.ifr_ifindex;
}

int wm_ifindex__name(int ifindex, char name[IF_NAMESIZE])
{
	struct ifreq ifr = { .ifr_ifindex = ifindex };
	int ret = ask(SIOCGIFNAME, &ifr);

	if (!ret)
		memcpy(name, ifr.ifr_name, IF_NAMESIZE);
	return ret;
}
