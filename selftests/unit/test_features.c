// SPDX-License-Identifier: GPL-2.0
/* Features are switched by name, and what the driver made of it counts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ethtool.h"

enum { FEATURES = 40, PLAIN = 3, HIGH = 37, FIXED = 38, STUBBORN = 39 };

static const char *const names[FEATURES] = {
	[PLAIN] = "plain", [HIGH] = "high", [FIXED] = "fixed", [STUBBORN] = "stubborn",
};

/* A driver of which all features are on. */
struct driver {
	uint32_t active[2];
	int error; /* of a change */
};

static uint32_t bit(int feature)
{
	return 1u << feature % 32;
}

static int change(struct driver *d, const struct ethtool_sfeatures *set)
{
	if (d->error)
		return d->error;
	for (int i = 0; i < FEATURES; i++) {
		const struct ethtool_set_features_block *block = &set->features[i / 32];

		if (!(block->valid & bit(i)) || i == FIXED || i == STUBBORN)
			continue;
		d->active[i / 32] &= ~bit(i);
		d->active[i / 32] |= block->requested & bit(i);
	}
	return 0;
}

static void show(const struct driver *d, struct ethtool_gfeatures *all)
{
	for (int i = 0; i < 2; i++) {
		all->features[i].active = d->active[i];
		all->features[i].available = ~0u;
	}
	all->features[FIXED / 32].available &= ~bit(FIXED);
}

static int request(void *arg, void *data)
{
	struct ethtool_gstrings *strings = data;
	struct ethtool_sset_info *info = data;

	switch (*(uint32_t *)data) {
	case ETHTOOL_GSSET_INFO:
		info->data[0] = FEATURES;
		return 0;
	case ETHTOOL_GSTRINGS:
		for (int i = 0; i < FEATURES; i++)
			snprintf((char *)strings->data + i * ETH_GSTRING_LEN, ETH_GSTRING_LEN, "%s",
				 names[i] ? names[i] : "other");
		return 0;
	case ETHTOOL_GFEATURES:
		show(arg, data);
		return 0;
	case ETHTOOL_SFEATURES:
		return change(arg, data);
	}
	return -EOPNOTSUPP;
}

static void features_are_switched_by_name(void **state)
{
	struct driver d = { .active = { ~0u, ~0u } };
	struct wm_ethtool_io io = { request, NULL, &d };

	(void)state;
	for (int on = 0; on < 2; on++) {
		assert_int_equal(wm_ethtool__switch(&io, "high", on), 0);
		assert_int_equal(wm_ethtool__state(&io, "high"),
				 on ? WM_FEATURE_ON : WM_FEATURE_OFF);
		assert_int_equal(d.active[0], ~0u);
		assert_int_equal(d.active[1], on ? ~0u : ~bit(HIGH));
	}
	assert_int_equal(wm_ethtool__switch(&io, "plain", false), 0);
	assert_int_equal(d.active[0], ~bit(PLAIN));
}

static void what_the_driver_keeps_is_an_error(void **state)
{
	struct driver d = { .active = { ~0u, ~0u } };
	struct wm_ethtool_io io = { request, NULL, &d };

	(void)state;
	assert_int_equal(wm_ethtool__state(&io, "fixed"), WM_FEATURE_ON);
	assert_int_equal(wm_ethtool__switch(&io, "fixed", false), -EOPNOTSUPP);
	assert_int_equal(wm_ethtool__switch(&io, "stubborn", false), -EOPNOTSUPP);
	assert_int_equal(wm_ethtool__switch(&io, "stubborn", true), 0);
	assert_int_equal(wm_ethtool__switch(&io, "nosuch", false), -ENOENT);
	assert_int_equal(wm_ethtool__state(&io, "nosuch"), WM_FEATURE_NONE);
	d.error = -EPERM;
	assert_int_equal(wm_ethtool__switch(&io, "plain", false), -EPERM);
	assert_int_equal(d.active[0], ~0u);
	assert_int_equal(d.active[1], ~0u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_are_switched_by_name),
		cmocka_unit_test(what_the_driver_keeps_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
