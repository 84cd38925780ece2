// SPDX-License-Identifier: GPL-2.0
#include "run.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monotonic.h"

#define MS 1000000ull

static const struct wm_run_ops *const ops[] = {
	[WM_CHECK_TCP] = &wm_run_tcp,
	[WM_CHECK_HTTP] = &wm_run_http,
	[WM_CHECK_HTTPS] = &wm_run_http,
	[WM_CHECK_UDP] = &wm_run_udp,
	[WM_CHECK_ICMP] = &wm_run_icmp,
	[WM_CHECK_SCRIPT] = &wm_run_script,
};

static const struct wm_run_ops *ops_of(const struct wm_run *run)
{
	return ops[run->probe->check.type];
}

void wm_run__start(struct wm_run *run)
{
	run->fd = -1;
	run->started_ns = wm_now_ns();
	ops_of(run)->start(run);
}

void wm_run__stop(struct wm_run *run)
{
	ops_of(run)->stop(run);
}

void wm_run__late(const struct wm_run *run, char said[WM_SAID])
{
	snprintf(said, WM_SAID, "%s within %llu ms", ops_of(run)->lacks,
		 (unsigned long long)(run->probe->check.timeout_ns / MS));
}

void wm_run__finish(struct wm_run *run, enum wm_outcome outcome, int why, const char *fmt, ...)
{
	unsigned long long ms = (wm_now_ns() - run->started_ns + MS / 2) / MS;
	char text[WM_SAID - 32], said[WM_SAID];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(said, sizeof(said), "%s after %llu ms", text, ms);
	wm_run__stop(run);
	run->done(run, outcome, why, said);
}

socklen_t wm_run__address(const struct wm_run *run, struct sockaddr_storage *to)
{
	const struct wm_probe *probe = run->probe;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
	struct sockaddr_in *in = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	if (probe->address.family == WM_IPV4) {
		in->sin_family = AF_INET;
		in->sin_port = htons(probe->check.port);
		in->sin_addr.s_addr = probe->address.word[0];
		return sizeof(*in);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(probe->check.port);
	memcpy(&in6->sin6_addr, probe->address.word, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

int wm_run__socket(struct wm_run *run, int type, int protocol, struct sockaddr_storage *to,
		   socklen_t *len)
{
	*len = wm_run__address(run, to);
	run->fd = socket(to->ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	return run->fd < 0 ? errno : 0;
}

void wm_run__close(struct wm_run *run)
{
	run->io = sd_event_source_disable_unref(run->io);
	if (run->fd >= 0)
		close(run->fd);
	run->fd = -1;
}

/* This machine's own want of something, as opposed to what the server or the way to it did. */
static bool is_ours(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: /* no port is free */
	case EAGAIN:
	case EAFNOSUPPORT:
	case EPERM: /* a filter of this machine */
	case EACCES:
		return true;
	}
	return false;
}

void wm_run__not_connected(struct wm_run *run, int error)
{
	if (is_ours(error))
		wm_run__finish(run, WM_OUTCOME_UNKNOWN, error, "cannot connect from here: %s",
			       strerror(error));
	else
		wm_run__finish(run, WM_OUTCOME_BAD, error, "no connection: %s",
			       error ? strerror(error) : "it was closed");
}
