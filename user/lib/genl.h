/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Generic netlink: one family of the kernel, found by its name, and what it can do.
 * Whether the kernel has a command is asked here and never guessed from a version.
 */
#ifndef WM_GENL_H
#define WM_GENL_H

#include <linux/genetlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "netlink.h"

struct wm_genl;

/* Connect to a family ("netdev", "devlink"). -ENOENT: this kernel has none of that
 * name. Needs no privilege. */
int wm_genl__open(struct wm_genl **genl, const char *family, struct wm_err *err);
/* The same over somebody else's transport. */
int wm_genl__open_io(struct wm_genl **genl, const struct wm_nl_io *io, const char *family,
		     struct wm_err *err);
void wm_genl__close(struct wm_genl *genl);

/* Has the family this command, as something to ask for (not a notification)? */
bool wm_genl__has(const struct wm_genl *genl, uint8_t command);

/* Begin a request, to be filled by mnl_attr_put...(), at most WM_NL_MESSAGE bytes.
 * flags: NLM_F_ACK for one that is answered by success or failure alone, NLM_F_DUMP for
 * a list, 0 for a question with one answer. */
struct nlmsghdr *wm_genl__request(struct wm_genl *genl, uint8_t command, uint16_t flags);
/* Send it; as wm_nl__ask(). Attributes of an answer stand behind struct genlmsghdr. */
int wm_genl__ask(struct wm_genl *genl, int (*each)(const struct nlmsghdr *msg, void *arg),
		 void *arg, char *words);

/* A socket of its own that hears what the family tells this group ("mgmt"). The caller
 * closes it. -ENOENT: no such group. */
int wm_genl__listen(const struct wm_genl *genl, const char *group, struct mnl_socket **socket,
		    struct wm_err *err);

#endif
