// SPDX-License-Identifier: GPL-2.0
#include "nicfacts.h"

#include <errno.h>
#include <sys/utsname.h>

#include "afxdp.h"
#include "dataplane.h"

const char *const nic_feature_names[NIC_FEATURES] = {
	"hw-tc-offload", "rx-ntuple-filter", "rx-xdp-mark",
};

static const char *const keys[NIC_FEATURES] = {
	"hw_tc_offload", "rx_ntuple_filter", "rx_xdp_mark",
};

static json_t *state_of(int state)
{
	static const char *const words[] = {
		[WM_FEATURE_NONE] = "none", [WM_FEATURE_OFF] = "off", [WM_FEATURE_ON] = "on",
	};

	return state < 0 ? json_null() : json_string(words[state]);
}

/* What a driver leaves empty it does not tell. */
static json_t *text_of(const char *text)
{
	json_t *value = *text ? json_string(text) : NULL;

	return value ?: json_null();
}

static void tell_driver(const struct wm_ethtool_io *io, json_t *data)
{
	struct ethtool_drvinfo info;

	if (wm_ethtool__info(io, &info))
		info = (struct ethtool_drvinfo){};
	json_object_set_new(data, "driver", text_of(info.driver));
	json_object_set_new(data, "driver_version", text_of(info.version));
	json_object_set_new(data, "firmware", text_of(info.fw_version));
	json_object_set_new(data, "bus", text_of(info.bus_info));
}

int nicfacts__read(const struct wm_ethtool_io *io, const char *interface, struct nicfacts *facts,
		   json_t *data)
{
	struct utsname kernel;

	if (uname(&kernel))
		return -errno;
	json_object_set_new(data, "device", json_string(interface));
	tell_driver(io, data);
	json_object_set_new(data, "kernel", json_string(kernel.release));
	json_object_set_new(data, "queues", json_integer(wm_xsk__queues(interface)));
	for (int i = 0; i < NIC_FEATURES; i++) {
		facts->state[i] = wm_ethtool__state(io, nic_feature_names[i]);
		json_object_set_new(data, keys[i], state_of(facts->state[i]));
	}
	facts->kfunc = wm_dp__has_marks(interface);
	json_object_set_new(data, "kfunc", json_boolean(facts->kfunc));
	return 0;
}
