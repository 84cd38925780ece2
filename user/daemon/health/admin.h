/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What people said of reals by hand, whatever checks say: these are drained or disabled, and all
 * others enabled. It is kept in a file, since who took a server out because it is broken does not
 * want it back because the balancer was started again.
 */
#ifndef WM_ADMIN_H
#define WM_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "config.h"
#include "err.h"
#include "service.h"

enum wm_admin_state {
	WM_ADMIN_ENABLED,
	WM_ADMIN_DRAINED,  /* keeps its flows, gets no new ones */
	WM_ADMIN_DISABLED, /* as one that is down by its check */
};
extern const char *const wm_admin_words[]; /* by value; NULL at the end */

struct wm_admin_entry {
	struct wm_service service; /* of its vip */
	struct wm_addr real;       /* a local consumer's without its number */
	enum wm_admin_state state; /* not enabled */
	uint64_t since_s;          /* CLOCK_REALTIME */
};

/* {}: all are enabled. */
struct wm_admin {
	struct wm_admin_entry *entry; /* by service and real */
	size_t n;
};

void wm_admin__free(struct wm_admin *admin); /* it is {} then */
int wm_admin__copy(struct wm_admin *to, const struct wm_admin *from); /* 0 or -ENOMEM */

/* NULL: it is enabled. `admin` may be NULL. */
const struct wm_admin_entry *wm_admin__find(const struct wm_admin *admin,
					    const struct wm_service *service,
					    const struct wm_addr *real);
/* 0 or -ENOMEM. */
int wm_admin__set(struct wm_admin *admin, const struct wm_service *service,
		  const struct wm_addr *real, enum wm_admin_state state, uint64_t since_s);
/* Forgets reals that the configuration does not have. How many these were. */
size_t wm_admin__keep(struct wm_admin *admin, const struct wm_config *config);

/* Marks those of the vip's reals that get no new flows. `admin` may be NULL. */
void wm_admin__mark(const struct wm_admin *admin, const struct wm_config_vip *vip,
		    struct wm_config_real *reals);

/* Both wait for the disk. No file is no error: all are enabled. On failure `admin` is {}. */
int wm_admin__load(struct wm_admin *admin, const char *path, struct wm_err *err);
/* The file is either the old or the new one, whatever happens. */
int wm_admin__save(const struct wm_admin *admin, const char *path, struct wm_err *err);

#endif
