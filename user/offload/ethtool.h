/* SPDX-License-Identifier: GPL-2.0 */
/* Requests to an interface's driver by ethtool's ioctl. */
#ifndef WM_ETHTOOL_H
#define WM_ETHTOOL_H

#include <linux/ethtool.h>
#include <stdbool.h>

enum wm_feature {
	WM_FEATURE_NONE,  /* the driver does not have it */
	WM_FEATURE_OFF,   /* it has, and somebody may switch it on */
	WM_FEATURE_ON,
};

/* State of a feature as `ethtool -k` names it: enum wm_feature or -errno. */
int wm_ethtool__feature(const char *interface, const char *name);

/* A driver that answers; a test may be one. `data` begins with the command, as ethtool's
 * structures do. 0 or -errno. */
struct wm_ethtool_io {
	int (*request)(void *arg, void *data);
	void (*close)(void *arg);
	void *arg;
};

/* That of an interface, which is looked up by each request. 0 or -errno. */
int wm_ethtool__open(struct wm_ethtool_io *io, const char *interface);

/* State of a feature, as above. */
int wm_ethtool__state(const struct wm_ethtool_io *io, const char *name);
/* Switch it. -EOPNOTSUPP: the driver does not let it be switched; -ENOENT: no kernel's feature
 * has this name. */
int wm_ethtool__switch(const struct wm_ethtool_io *io, const char *name, bool on);

/* Driver, its version and its firmware's, and where the device is. 0 or -errno. */
int wm_ethtool__info(const struct wm_ethtool_io *io, struct ethtool_drvinfo *info);
/* The driver's name, as `ethtool -i` shows it. 0 or -errno. */
int wm_ethtool__driver(const struct wm_ethtool_io *io, char name[ETHTOOL_BUSINFO_LEN]);

#endif
