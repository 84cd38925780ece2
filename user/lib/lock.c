// SPDX-License-Identifier: GPL-2.0
/*
 * A lock is flock() on a file that only root may open, so nobody else can take it or
 * keep it from us. It vanishes with the process; the file is named for the network
 * namespace and the interface's index in it, and holds the pid of who has it.
 *
 * A file tells nothing to a process with another /run (a container in the host's
 * network), so an interface has an abstract unix socket as well: such a name belongs
 * to the network namespace, as interfaces do. Anybody there can take it; so it counts
 * only if the kernel says that it is root's, or of a process with our own user id.
 */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ifindex.h"
#include "log.h"

#define RUN_DIR "/run/waymark"
#define DIRECTORY RUN_DIR "/lock"

enum {
	KEY_MAX = 64,
	TRIES_MAX = 16, /* of a file that its last holder removes just then */
};

struct wm_lock_held {
	int file, name; /* descriptors; name: -1 if there is none */
	char path[sizeof(DIRECTORY) + KEY_MAX];
};

/* --- files --- */

static int make_directories(void)
{
	if (mkdir(RUN_DIR, 0755) && errno != EEXIST)
		return -errno;
	return mkdir(DIRECTORY, 0700) && errno != EEXIST ? -errno : 0;
}

/* What others may open they may lock. */
static bool is_ours_alone(const struct stat *st)
{
	return S_ISREG(st->st_mode) && !(st->st_mode & 077) &&
	       (!st->st_uid || st->st_uid == geteuid());
}

/* A descriptor, with the lock: 0; without: -EWOULDBLOCK. Any other -errno: none. */
static int open_file(const char *path, int *fd)
{
	struct stat is, there;

	for (int i = 0; i < TRIES_MAX; i++) {
		*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		if (*fd < 0)
			return -errno;
		if (fstat(*fd, &is) || !is_ours_alone(&is)) {
			close(*fd);
			return -EPERM;
		}
		if (flock(*fd, LOCK_EX | LOCK_NB))
			return -errno;
		if (!lstat(path, &there) && there.st_dev == is.st_dev && there.st_ino == is.st_ino)
			return 0;
		close(*fd); /* removed by who had it: not what the next one will find */
	}
	return -EAGAIN;
}

static pid_t read_pid(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : 0;
}

static int busy(const char *what, pid_t pid, struct wm_err *err)
{
	if (pid > 0)
		return wm_err__set(err, -EBUSY, "%s is already served by waymarkd, pid %d", what,
				   pid);
	return wm_err__set(err, -EBUSY, "%s is already served by another waymarkd", what);
}

static int take_file(struct wm_lock_held *held, const char *what, struct wm_err *err)
{
	int ret = make_directories();
	pid_t pid;

	if (ret)
		return wm_err__sys(err, ret, "cannot lock %s: cannot make " DIRECTORY, what);
	ret = open_file(held->path, &held->file);
	if (ret == -EWOULDBLOCK) {
		pid = read_pid(held->file);
		close(held->file);
		return busy(what, pid, err);
	}
	if (ret == -EPERM)
		return wm_err__set(err, ret, "cannot lock %s: %s is not root's alone, remove it",
				   what, held->path);
	if (ret)
		return wm_err__sys(err, ret, "cannot lock %s: %s", what, held->path);
	/* For people; nothing depends on it. */
	if (ftruncate(held->file, 0) || dprintf(held->file, "%d\n", getpid()) < 0)
		wm_warn("%s: the process id cannot be written", held->path);
	return 0;
}

static void release_one(struct wm_lock_held *held)
{
	if (held->name >= 0)
		close(held->name);
	unlink(held->path); /* while it is locked: see open_file() */
	close(held->file);
}

/* --- abstract names --- */

static socklen_t name_of(unsigned long netns, unsigned int index, struct sockaddr_un *name)
{
	int n;

	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	n = snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1, "waymarkd/%lu/%u", netns,
		     index);
	return offsetof(struct sockaddr_un, sun_path) + 1 + n;
}

/* Who listens there; pid 0 if that cannot be learned (it may just be ending). */
static struct ucred holder(const struct sockaddr_un *name, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(struct ucred);
	struct ucred peer = {};

	if (fd < 0)
		return peer;
	if (connect(fd, (const struct sockaddr *)name, len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		peer = (struct ucred){};
	close(fd);
	return peer;
}

/* 0 also if somebody has the name who has no say here. */
static int take_name(struct wm_lock_held *held, unsigned long netns, unsigned int index,
		     const char *interface, struct wm_err *err)
{
	struct sockaddr_un name;
	socklen_t len = name_of(netns, index, &name);
	struct ucred peer;
	int ret;

	held->name = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (held->name < 0)
		return wm_err__sys(err, -errno, "cannot lock %s", interface);
	/* Nobody accepts: the kernel tells our pid to whoever connects. Those who
	 * asked and left stay in the backlog, so it must be long. */
	if (!bind(held->name, (struct sockaddr *)&name, len) && !listen(held->name, SOMAXCONN))
		return 0;
	ret = -errno;
	close(held->name);
	held->name = -1;
	if (ret != -EADDRINUSE)
		return wm_err__sys(err, ret, "cannot lock %s", interface);
	peer = holder(&name, len);
	if (peer.pid && (!peer.uid || peer.uid == geteuid()))
		return busy(interface, peer.pid, err);
	wm_warn("process %d of user %u has the socket name @%s, which is waymarkd's: ignored",
		peer.pid, peer.uid, name.sun_path + 1);
	return 0;
}

/* --- both --- */

static struct wm_lock_held *one_more(struct wm_lock *lock, const char *key)
{
	struct wm_lock_held *more = reallocarray(lock->held, lock->n + 1, sizeof(*more));

	if (!more)
		return NULL;
	lock->held = more;
	more += lock->n;
	more->name = -1;
	snprintf(more->path, sizeof(more->path), DIRECTORY "/%s", key);
	return more;
}

int wm_lock__add(struct wm_lock *lock, const char *key, const char *what, struct wm_err *err)
{
	struct wm_lock_held *held = one_more(lock, key);
	int ret;

	if (!held)
		return wm_err__sys(err, -ENOMEM, "cannot lock %s", what);
	ret = take_file(held, what, err);
	if (!ret)
		lock->n++;
	return ret;
}

static unsigned long this_netns(void)
{
	struct stat netns;

	return stat("/proc/self/ns/net", &netns) ? 0 : netns.st_ino;
}

static int interface_key(unsigned int ifindex, char key[KEY_MAX])
{
	unsigned long netns = this_netns();

	snprintf(key, KEY_MAX, "if-%lu-%u", netns, ifindex);
	return netns ? 0 : -errno;
}

int wm_lock__interface(struct wm_lock *lock, const char *interface, struct wm_err *err)
{
	int index = wm_ifindex__of(interface);
	struct wm_lock_held *held;
	char key[KEY_MAX];
	int ret;

	if (index < 0)
		return wm_err__sys(err, index, "interface %s", interface);
	ret = interface_key(index, key);
	if (ret)
		return wm_err__sys(err, ret, "cannot lock %s: /proc/self/ns/net", interface);
	ret = wm_lock__add(lock, key, interface, err);
	if (ret)
		return ret;
	held = &lock->held[lock->n - 1];
	ret = take_name(held, this_netns(), index, interface, err);
	if (ret) {
		release_one(held);
		lock->n--;
	}
	return ret;
}

void wm_lock__leave(struct wm_lock *lock, unsigned int ifindex)
{
	char key[KEY_MAX];

	if (interface_key(ifindex, key))
		return;
	for (size_t i = 0; i < lock->n; i++) {
		if (strcmp(lock->held[i].path + strlen(DIRECTORY "/"), key))
			continue;
		release_one(&lock->held[i]);
		lock->held[i] = lock->held[--lock->n];
		return;
	}
}

void wm_lock__release(struct wm_lock *lock)
{
	for (size_t i = 0; i < lock->n; i++)
		release_one(&lock->held[i]);
	free(lock->held);
	*lock = (struct wm_lock){};
}
