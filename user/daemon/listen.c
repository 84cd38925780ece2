// SPDX-License-Identifier: GPL-2.0
#include "listen.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static int make_directory(const char *path)
{
	char copy[PATH_MAX];

	strncpy(copy, path, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	return mkdir(dirname(copy), 0755) && errno != EEXIST ? -errno : 0;
}

/* A socket file may be in the way that nobody listens to. */
static int clear_way(const struct wm_listen *listen, int type)
{
	struct stat st;
	int fd, ret;

	if (lstat(listen->name.sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)&listen->name, sizeof(listen->name));
	ret = ret ? -errno : 0;
	close(fd);
	if (!ret || ret == -EAGAIN)
		return -EADDRINUSE;
	if (ret != -ECONNREFUSED)
		return ret;
	return unlink(listen->name.sun_path) && errno != ENOENT ? -errno : 0;
}

static int set_owner(const char *path, mode_t mode, const char *group)
{
	const struct group *entry = NULL;

	errno = 0;
	if (group) {
		entry = getgrnam(group);
		if (!entry)
			return errno ? -errno : -ESRCH;
		if (lchown(path, -1, entry->gr_gid))
			return -errno;
	}
	return chmod(path, mode) ? -errno : 0;
}

static int bind_name(struct wm_listen *listen)
{
	mode_t mask = umask(0177);
	struct stat st;
	int ret;

	ret = bind(listen->fd, (struct sockaddr *)&listen->name, sizeof(listen->name)) ? -errno : 0;
	umask(mask);
	if (ret)
		return ret;
	if (lstat(listen->name.sun_path, &st))
		return -errno;
	listen->dev = st.st_dev;
	listen->ino = st.st_ino;
	return 0;
}

static int make(struct wm_listen *l, const char *path, int type, mode_t mode, const char *group)
{
	int ret;

	l->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	ret = make_directory(path);
	if (!ret)
		ret = clear_way(l, type);
	if (!ret)
		ret = bind_name(l);
	if (!ret)
		ret = set_owner(path, mode, group);
	if (!ret && listen(l->fd, BACKLOG))
		ret = -errno;
	return ret;
}

int wm_listen__open(struct wm_listen *l, const char *path, int type, mode_t mode,
		    const char *group, struct wm_err *err)
{
	int ret;

	*l = (struct wm_listen){ .fd = -1, .name = { .sun_family = AF_UNIX } };
	if (strlen(path) >= sizeof(l->name.sun_path))
		return wm_err__sys(err, -ENAMETOOLONG, "socket %s", path);
	strcpy(l->name.sun_path, path);
	ret = make(l, path, type, mode, group);
	if (!ret)
		return 0;
	wm_listen__close(l);
	if (ret == -ESRCH)
		return wm_err__set(err, ret, "socket %s: there is no group \"%s\"", path, group);
	return wm_err__sys(err, ret, "cannot listen on the socket %s", path);
}

void wm_listen__close(struct wm_listen *l)
{
	struct stat st;

	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	if (l->ino && !lstat(l->name.sun_path, &st) && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->name.sun_path);
	l->ino = 0;
}
