// SPDX-License-Identifier: GPL-2.0
/* How many receive queues a device has in use: by ethtool, which asks the driver
 * in the namespace that we are in (sysfs shows the one that it was mounted in). */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inside.h"

static int ask(int fd, const char *device, struct ethtool_channels *channels)
{
	struct ifreq request = { .ifr_data = (void *)channels };

	channels->cmd = ETHTOOL_GCHANNELS;
	strncpy(request.ifr_name, device, IF_NAMESIZE - 1);
	return ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
}

uint32_t wm_xsk__queues(const char *device)
{
	struct ethtool_channels channels = {};
	uint32_t n = 1;
	int fd;

	if (!if_nametoindex(device))
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return n;
	if (!ask(fd, device, &channels))
		n = channels.rx_count + channels.combined_count;
	close(fd);
	return n ? n : 1; /* a driver without an answer has one, or a fixed number that we miss */
}
