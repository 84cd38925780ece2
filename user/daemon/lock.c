// SPDX-License-Identifier: GPL-2.0
/*
 * The lock is an abstract unix socket, named for the network namespace and the
 * interface's index in it: it vanishes with the process, needs no directory, and
 * whoever finds it taken can connect and learn from the kernel who holds it.
 * Abstract names belong to a network namespace, and so do interfaces.
 */
#include "lock.h"

#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int name_of(const char *interface, struct sockaddr_un *name, socklen_t *len,
		   struct wm_err *err)
{
	unsigned int index = if_nametoindex(interface);
	struct stat netns;
	int n;

	if (!index)
		return wm_err__sys(err, -errno, "interface %s", interface);
	if (stat("/proc/self/ns/net", &netns))
		return wm_err__sys(err, -errno, "cannot lock %s: /proc/self/ns/net", interface);
	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "waymarkd/%lu/%u",
		     (unsigned long)netns.st_ino, index);
	*len = offsetof(struct sockaddr_un, sun_path) + 1 + n;
	return 0;
}

/* Who holds it; 0 if that cannot be learned (it may just be ending). */
static pid_t holder(const struct sockaddr_un *name, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(struct ucred);
	struct ucred peer = {};

	if (fd < 0)
		return 0;
	if (connect(fd, (const struct sockaddr *)name, len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		peer.pid = 0;
	close(fd);
	return peer.pid;
}

static int take_one(const char *interface, int *fd, struct wm_err *err)
{
	struct sockaddr_un name;
	socklen_t len = 0;
	pid_t pid;
	int ret;

	ret = name_of(interface, &name, &len, err);
	if (ret)
		return ret;
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return wm_err__sys(err, -errno, "cannot lock %s", interface);
	/* Nobody accepts: the kernel tells our pid to whoever connects. Those who
	 * asked and left stay in the backlog, so it must be long. */
	if (!bind(*fd, (struct sockaddr *)&name, len) && !listen(*fd, SOMAXCONN))
		return 0;
	ret = -errno;
	close(*fd);
	if (ret != -EADDRINUSE)
		return wm_err__sys(err, ret, "cannot lock %s", interface);
	pid = holder(&name, len);
	if (pid)
		return wm_err__set(err, -EBUSY, "%s is already served by waymarkd, pid %d",
				   interface, pid);
	return wm_err__set(err, -EBUSY, "%s is already served by another waymarkd", interface);
}

int wm_lock__take(struct wm_lock *lock, char *const *interfaces, size_t n, struct wm_err *err)
{
	int ret = 0;

	lock->n = 0;
	lock->fd = calloc(n, sizeof(*lock->fd));
	if (!lock->fd)
		return wm_err__sys(err, -ENOMEM, "cannot lock interfaces");
	for (size_t i = 0; i < n && !ret; i++) {
		ret = take_one(interfaces[i], &lock->fd[i], err);
		if (!ret)
			lock->n++;
	}
	if (ret)
		wm_lock__release(lock);
	return ret;
}

void wm_lock__release(struct wm_lock *lock)
{
	for (size_t i = 0; i < lock->n; i++)
		close(lock->fd[i]);
	free(lock->fd);
	*lock = (struct wm_lock){};
}
