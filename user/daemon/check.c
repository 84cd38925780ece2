// SPDX-License-Identifier: GPL-2.0
/*
 * What a fresh start would do up to the data plane: read, choose sizes, plan. So
 * what would not fit is found here too. Of the machine only routes and neighbours are looked
 * at, and only where it has the interfaces.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>

#include "config.h"
#include "crossing.h"
#include "model.h"
#include "nic.h"
#include "sizes.h"

static void warn(const char *text, void *arg)
{
	char plain[4096];

	(void)arg;
	wm_err__plain(plain, sizeof(plain), text);
	fprintf(stderr, "%s\n", plain);
}

static int plan(const struct wm_config *config, struct wm_err *err)
{
	const struct wm_nic none = {};
	struct wm_plan *result = NULL;
	struct wm_model_limits limits;
	struct wm_params params = {};
	struct wm_sizes sizes;
	struct wm_model *model;
	int ret;

	wm_sizes__choose(&sizes, config, wm_nic__mark_bits(&none));
	params.dest_bits = sizes.dest_bits;
	params.vip_bits = sizes.vip_bits;
	params.rings = sizes.rings;
	wm_sizes__limits(&limits, &params, wm_nic__mark_bits(&none));
	model = wm_model__new(&limits);
	if (!model)
		return wm_err__sys(err, -ENOMEM, "cannot plan");
	ret = wm_plan__make(model, config, &result, err);
	wm_plan__free(result);
	wm_model__free(model);
	return ret;
}

int wm_check__config(const char *path, bool print)
{
	struct wm_config *config;
	struct wm_err err = {};
	int ret;

	ret = wm_config__load(path, &config, &err, warn, NULL);
	if (!ret) {
		ret = plan(config, &err);
		if (!ret)
			ret = wm_crossing__check(config, warn, NULL, &err);
		if (!ret && print)
			wm_config__print(config, stdout);
		wm_config__free(config);
	}
	if (ret)
		warn(err.text, NULL);
	return ret;
}
