// SPDX-License-Identifier: GPL-2.0
#include "privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct user {
	uid_t uid;
	gid_t gid;
};

/* A name that is root's is none. */
static struct user find_user(const char *const *names)
{
	for (; names && *names; names++) {
		const struct passwd *found = getpwnam(*names);

		if (found && found->pw_uid)
			return (struct user){ found->pw_uid, found->pw_gid };
	}
	return (struct user){ WM_NOBODY, WM_NOBODY };
}

static int become(const struct user *user, struct wm_err *err)
{
	if (setgroups(0, NULL) || setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		return wm_err__sys(err, -errno, "cannot become user %u, group %u; does waymarkd "
				   "have CAP_SETUID and CAP_SETGID?", user->uid, user->gid);
	return 0;
}

static int drop_capabilities(struct wm_err *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_capset, &header, none))
		return wm_err__sys(err, -errno, "cannot give up capabilities");
	return 0;
}

int wm_privileges__drop(const char *const *users, struct wm_err *err)
{
	int ret = 0;

	if (!geteuid()) { /* else whoever started us chose a user */
		const struct user user = find_user(users);

		ret = become(&user, err);
	}
	return ret ? ret : drop_capabilities(err);
}

/* A kernel without Landlock is no reason not to start: what nobody may do is little. */
static void see_no_file(void)
{
	const struct landlock_ruleset_attr rules = {
		.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1, /* all of version 1 */
	};
	int fd = syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);

	if (fd < 0)
		return;
	syscall(SYS_landlock_restrict_self, fd, 0);
	close(fd);
}

int wm_privileges__confine(struct wm_err *err)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) || setrlimit(RLIMIT_NPROC, &none) ||
	    setrlimit(RLIMIT_CORE, &none))
		return wm_err__sys(err, -errno, "cannot set limits");
	see_no_file();
	return 0;
}
