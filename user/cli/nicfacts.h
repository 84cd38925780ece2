/* SPDX-License-Identifier: GPL-2.0 */
/* What can be told of an interface without a rule; for `waymark nic`. */
#ifndef NICFACTS_H
#define NICFACTS_H

#include <jansson.h>
#include <stdbool.h>

#include "err.h"
#include "ethtool.h"

/* Features that are asked for, and in JSON the key of each. */
enum nic_feature { NIC_TC, NIC_NTUPLE, NIC_XDP_MARK, NIC_FEATURES };
extern const char *const nic_feature_names[NIC_FEATURES];

struct nicfacts {
	int state[NIC_FEATURES]; /* enum wm_feature, or -errno */
	bool kfunc;              /* the driver tells a packet's mark to XDP programs */
};

/* 0 or -errno; what the driver does not tell is null. */
int nicfacts__read(const struct wm_ethtool_io *io, const char *interface, struct nicfacts *facts,
		   json_t *data);

#endif
