// SPDX-License-Identifier: GPL-2.0
/*
 * One datagram, and the first one that comes back counts. The socket is connected: only the
 * server's own answers arrive, and an ICMP error about ours is an error of the socket.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "run.h"

enum { ANSWER_MAX = 65535 };

static void judge(struct wm_run *run, const char *answer, size_t len)
{
	const char *wanted = run->probe->check.body;

	if (wanted && !memmem(answer, len, wanted, strlen(wanted)))
		wm_run__finish(run, WM_OUTCOME_BAD, -1, "%zu bytes without the text that they "
			       "should contain", len);
	else
		wm_run__finish(run, WM_OUTCOME_GOOD, 0, "%zu bytes", len);
}

static int on_answer(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	static char answer[ANSWER_MAX];
	ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);

	(void)source;
	(void)events;
	if (n >= 0)
		judge(arg, answer, n);
	else if (errno != EAGAIN && errno != EINTR)
		wm_run__not_connected(arg, errno);
	return 0;
}

static int begin(struct wm_run *run)
{
	uint8_t data[WM_CHECK_SEND_MAX];
	int len = wm_check__unescape(run->probe->check.send ?: "", data), error;
	struct sockaddr_storage to;
	socklen_t to_len;

	error = len > 0 ? wm_run__socket(run, SOCK_DGRAM, 0, &to, &to_len) : EINVAL;
	if (error)
		return error;
	if (connect(run->fd, (struct sockaddr *)&to, to_len) || send(run->fd, data, len, 0) < 0)
		return errno;
	return sd_event_add_io(run->event, &run->io, run->fd, EPOLLIN, on_answer, run) < 0 ?
		ENOMEM : 0;
}

static void udp_start(struct wm_run *run)
{
	int error = begin(run);

	if (error)
		wm_run__not_connected(run, error);
}

const struct wm_run_ops wm_run_udp = { udp_start, wm_run__close, "no answer" };
