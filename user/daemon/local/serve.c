// SPDX-License-Identifier: GPL-2.0
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "text.h"

struct wm_serving *wm_serving__new(void *whose)
{
	struct wm_serving *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->whose = whose;
	s->sock = -1;
	for (size_t i = 0; i < WM_XSK_DEVICES_MAX; i++)
		s->devices[i] = s->device[i];
	s->options.devices = s->devices;
	return s;
}

/* --- new ones --- */

static int keep(struct wm_serving *s, const struct wm_xsk *xsk)
{
	int fds[WM_HANDOVER_FDS];
	size_t n = wm_xsk__fds(xsk, fds);

	while (s->fds.n < n) {
		int fd = fcntl(fds[s->fds.n], F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return wm_err__sys(&s->err, -errno, "cannot keep %zu sockets", n - 1);
		s->fds.fd[s->fds.n++] = fd;
	}
	return 0;
}

static int make_new(struct wm_serving *s)
{
	struct wm_xsk *xsk;
	int ret;

	ret = wm_xsk__open(&xsk, &s->options, &s->err);
	if (ret)
		return ret;
	wm_xsk__describe(xsk, WM_HANDOVER_OFFER, &s->offer);
	ret = keep(s, xsk);
	wm_xsk__close(xsk); /* the descriptors that were kept keep the sockets */
	return ret;
}

/* --- those that there are --- */

static bool is_xdp_socket(int fd)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_XDP;
}

/* It has its memory, for good. One without could get memory whose pages never come, and
 * whoever asks it for its counters would wait for them. The memory offered here is none. */
static bool has_memory(int fd)
{
	const struct xdp_umem_reg none = {};

	return setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &none, sizeof(none)) && errno == EBUSY;
}

/* A socket whose device went has this error pending, also if another device has
 * the name now. */
static bool lost_its_device(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return !getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) && error == ENETDOWN;
}

static int check_sockets(const int *fds, size_t n, struct wm_err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_xdp_socket(fds[i]) || !has_memory(fds[i]))
			return wm_err__set(err, -EBADMSG, "descriptors that are no AF_XDP sockets "
					   "in use");
		if (lost_its_device(fds[i]))
			return wm_err__set(err, -ESTALE, "these sockets were for an interface that "
					   "is gone");
	}
	return 0;
}

/* Are these the interfaces of the configuration, with the queues that they have now? */
static int check_shape(const struct wm_xsk_options *options, const struct wm_xsk_shape *shape,
		       struct wm_err *err)
{
	if (shape->devices != options->n_devices)
		return wm_err__set(err, -ESTALE, "these sockets are for %u interfaces; there are "
				   "%zu now", shape->devices, options->n_devices);
	for (uint32_t i = 0; i < shape->devices; i++) {
		const struct wm_xsk_port *port = &shape->device[i];
		const char *device = options->devices[i];
		char name[WM_TEXT_SHOWN(sizeof(port->name))];

		if (!strcmp(port->name, device) && port->queues == wm_xsk__queues(device))
			continue;
		wm_text__show(name, sizeof(name), port->name, sizeof(port->name));
		return wm_err__set(err, -ESTALE, "these sockets are for %u queues of %s; it is "
				   "%u of %s now", port->queues, name, wm_xsk__queues(device),
				   device);
	}
	return 0;
}

static int check_back(struct wm_serving *s, const struct wm_handover *hello)
{
	size_t n = s->fds.n;
	int ret;

	if (n < 2 || wm_xsk_shape__sockets(&hello->shape) != n - 1)
		return wm_err__set(&s->err, -EBADMSG, "a number of sockets that makes no sense");
	ret = check_shape(&s->options, &hello->shape, &s->err);
	if (!ret)
		ret = check_sockets(s->fds.fd + 1, n - 1, &s->err);
	if (ret)
		return ret;
	s->offer = (struct wm_handover){
		.magic = WM_HANDOVER_MAGIC,
		.version = WM_HANDOVER_VERSION,
		.kind = WM_HANDOVER_OFFER,
		.shape = hello->shape,
	};
	return 0;
}

/* --- the thread --- */

static int serve(struct wm_serving *s)
{
	struct wm_handover_fds *came = s->kind == WM_HANDOVER_RESUME ? &s->fds : &s->waste;
	struct wm_handover hello;
	int ret;

	/* Only here, where one may wait: some of what comes may be closed at once. */
	ret = wm_handover__recv(s->sock, &hello, came);
	if (ret)
		return wm_err__set(&s->err, ret, "a message that makes no sense here");
	return s->kind == WM_HANDOVER_RESUME ? check_back(s, &hello) : make_new(s);
}

void wm_serving__work(void *arg)
{
	struct wm_serving *s = arg;

	wm_handover__close_fds(s->old.fd, s->old.n);
	s->old.n = 0;
	if (s->sock >= 0)
		s->ret = serve(s);
}
