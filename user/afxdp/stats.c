// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sys/socket.h>

#include "inside.h"

/* struct xdp_statistics of kernels before 5.9 ends earlier; what is not there
 * stays 0. */
int wm_xsk__kernel_stats(int fd, struct wm_xsk_stats *stats)
{
	struct xdp_statistics kernel = {};
	socklen_t len = sizeof(kernel);

	if (getsockopt(fd, SOL_XDP, XDP_STATISTICS, &kernel, &len))
		return -errno;
	stats->rx_dropped = kernel.rx_dropped;
	stats->rx_ring_full = kernel.rx_ring_full;
	stats->rx_fill_empty = kernel.rx_fill_ring_empty_descs;
	stats->rx_invalid = kernel.rx_invalid_descs;
	stats->tx_invalid = kernel.tx_invalid_descs;
	stats->tx_ring_empty = kernel.tx_ring_empty_descs;
	return 0;
}

bool wm_xsk__zero_copy(int fd)
{
	struct xdp_options options = {};
	socklen_t len = sizeof(options);

	return !getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &len) &&
	       options.flags & XDP_OPTIONS_ZEROCOPY;
}

int wm_xsk__stats(const struct wm_xsk *xsk, uint32_t index, struct wm_xsk_stats *stats)
{
	const struct wm_xsk_queue *queue = &xsk->queue[index];

	*stats = queue->stats;
	stats->wakeups_tx = queue->kick.wakeups;
	stats->given_up = queue->kick.given_up;
	stats->stall_kicks = queue->kick.stall_kicks;
	return wm_xsk__kernel_stats(queue->fd, stats);
}
