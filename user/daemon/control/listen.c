// SPDX-License-Identifier: GPL-2.0
#include "listen.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plain.h"

enum { BACKLOG = 128 };

static int make_directory(const struct wm_listen_options *o, const char *path, struct wm_err *err)
{
	char copy[PATH_MAX], *dir;

	strncpy(copy, path, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	dir = dirname(copy);
	if (mkdir(dir, 0755) && errno != EEXIST)
		return wm_err__sys(err, -errno, "%s: cannot make %s", o->what, dir);
	return 0;
}

/* Who listens there? 0, or -errno of the attempt to connect. */
static int call(const struct wm_listen *l, int type, pid_t *pid)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret;
	socklen_t size = sizeof(struct ucred);
	struct ucred peer = {};

	if (fd < 0)
		return -errno;
	ret = connect(fd, (const struct sockaddr *)&l->name, sizeof(l->name)) ? -errno : 0;
	if (!ret)
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	close(fd);
	*pid = peer.pid;
	return ret;
}

/* A socket file may be in the way that nobody listens to. */
static int clear_way(const struct wm_listen *l, const struct wm_listen_options *o,
		     struct wm_err *err)
{
	const char *path = l->name.sun_path;
	struct stat st;
	pid_t pid = 0;
	int ret;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : wm_err__sys(err, -errno, "%s %s", o->what, path);
	if (!S_ISSOCK(st.st_mode))
		return wm_err__set(err, -EEXIST, "%s: %s is there and is no socket", o->what, path);
	ret = call(l, o->type, &pid);
	if (!ret || ret == -EAGAIN) /* EAGAIN: it listens, to very many */
		return wm_err__set(err, -EADDRINUSE, "%s %s is in use by process %d%s", o->what,
				   path, pid, o->in_use ? o->in_use : "");
	if (ret != -ECONNREFUSED)
		return wm_err__sys(err, ret, "%s %s", o->what, path);
	if (unlink(path) && errno != ENOENT)
		return wm_err__sys(err, -errno, "%s: cannot replace %s", o->what, path);
	return 0;
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

static int bind_and_listen(struct wm_listen *l, const struct wm_listen_options *o,
			   struct wm_err *err)
{
	const char *path = l->name.sun_path;
	int ret;

	if (o->no_rights)
		wm_plain__refuse_rights(l->fd);
	ret = bind_name(l);
	if (!ret)
		ret = set_owner(path, o->mode, o->group);
	if (!ret && listen(l->fd, BACKLOG))
		ret = -errno;
	if (ret == -ESRCH)
		return wm_err__set(err, ret, "%s %s: there is no group \"%s\"", o->what, path,
				   o->group);
	return ret ? wm_err__sys(err, ret, "cannot listen on the %s %s", o->what, path) : 0;
}

int wm_listen__open(struct wm_listen *l, const char *path, const struct wm_listen_options *o,
		    struct wm_err *err)
{
	int ret;

	*l = (struct wm_listen){ .fd = -1, .name = { .sun_family = AF_UNIX } };
	if (strlen(path) >= sizeof(l->name.sun_path))
		return wm_err__set(err, -ENAMETOOLONG, "%s: %s has more than %zu bytes", o->what,
				   path, sizeof(l->name.sun_path) - 1);
	strcpy(l->name.sun_path, path);
	l->fd = socket(AF_UNIX, o->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return wm_err__sys(err, -errno, "%s %s", o->what, path);
	ret = make_directory(o, path, err);
	if (!ret)
		ret = clear_way(l, o, err);
	if (!ret)
		ret = bind_and_listen(l, o, err);
	if (ret)
		wm_listen__close(l);
	return ret;
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
