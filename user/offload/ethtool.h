/* SPDX-License-Identifier: GPL-2.0 */
/* What an interface says about itself through ethtool's ioctl. */
#ifndef WM_ETHTOOL_H
#define WM_ETHTOOL_H

enum wm_feature {
	WM_FEATURE_NONE,  /* the driver does not have it */
	WM_FEATURE_OFF,   /* it has, and somebody may switch it on */
	WM_FEATURE_ON,
};

/* State of a feature as `ethtool -k` names it: enum wm_feature or -errno. */
int wm_ethtool__feature(const char *interface, const char *name);

#endif
