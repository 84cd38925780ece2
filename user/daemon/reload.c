// SPDX-License-Identifier: GPL-2.0
/*
 * Check everything that can be refused, then change. What was fixed when the
 * program was loaded or attached, or would change the way of every flow, is
 * refused while it runs.
 */
#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "adopt.h"
#include "apply.h"
#include "daemon.h"
#include "log.h"
#include "notify.h"

enum { HOPS_WAIT_MS = 500 }; /* for the next hops of new reals: nothing else runs meanwhile */

void wm_reload__warn(const char *text, void *arg)
{
	(void)arg;
	wm_warn("%s", text);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_interfaces(const struct wm_config *a, const struct wm_config *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++)
		if (strcmp(a->interfaces[i], b->interfaces[i]))
			return false;
	return true;
}

/* The key that differs and must not; NULL: none. */
static const char *fixed_key(const struct wm_config *is, const struct wm_config *will)
{
	if (!same_interfaces(is, will))
		return "interface";
	if (is->mode != will->mode)
		return "mode";
	if (!same_text(is->pin, will->pin))
		return "pin";
	if (!same_text(is->control, will->control))
		return "control";
	if (is->offload.backend != will->offload.backend)
		return "offload: backend";
	if (!same_text(is->offload.sim_pin, will->offload.sim_pin))
		return "offload: sim: pin";
	if (is->flows != will->flows)
		return "flow-table: flows";
	if (is->max_vips != will->max_vips)
		return "limits: vips";
	if (is->max_dests != will->max_dests)
		return "limits: dests";
	if (!wm_addr__equal(&is->source4, &will->source4) ||
	    !wm_addr__equal(&is->source6, &will->source6))
		return "source";
	if (is->ring_seed_v4 != will->ring_seed_v4 || is->ring_seed_v6 != will->ring_seed_v6)
		return "ring-seeds";
	return NULL;
}

static int load(struct wm_daemon *d, struct wm_config **config, struct wm_err *err)
{
	const char *key;
	int ret;

	ret = wm_config__load(d->options->config, config, err, wm_reload__warn, NULL);
	if (ret)
		return ret;
	key = fixed_key(d->config, *config);
	if (!key)
		return 0;
	wm_config__free(*config);
	return wm_err__set(err, -EINVAL, "%s: \"%s\" differs from what waymarkd runs with; that is "
			   "fixed while it runs: restart waymarkd (for other sizes of flow-table "
			   "or limits, end one that was started with --detach first)",
			   d->options->config, key);
}

/* If next hops are to be found out from now on, begin with what is in use. */
static int follow(struct wm_daemon *d, const struct wm_config *config)
{
	int ret = 0;

	if (config->gateway_auto && !d->config->gateway_auto)
		ret = wm_adopt__hops(d);
	return ret ? ret : wm_hops__add(d->hops, config);
}

static int change(struct wm_daemon *d, char *summary, size_t size, struct wm_err *err)
{
	struct wm_config *config;
	int ret;

	ret = load(d, &config, err);
	if (ret)
		return ret;
	ret = follow(d, config);
	if (ret) {
		wm_err__sys(err, ret, "cannot follow the next hops");
		goto err_free;
	}
	wm_hops__wait(d->hops, HOPS_WAIT_MS);
	ret = wm_apply__config(d, config, summary, size, err);
	if (ret)
		goto err_free;
	wm_hops__keep(d->hops, config);
	wm_hops__warn(d->hops);
	wm_nic__configure(&d->nic, config);
	wm_config__free(d->config);
	d->config = config;
	return 0;

err_free:
	wm_hops__keep(d->hops, d->config);
	wm_config__free(config);
	return ret;
}

int wm_reload__now(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_reload *reload = &d->reload;
	char summary[256] = "";
	int ret;

	wm_notify__reloading();
	ret = change(d, summary, sizeof(summary), err);
	reload->count++;
	reload->last_ns = wm_now_ns();
	reload->ok = !ret;
	snprintf(reload->text, sizeof(reload->text), "%s", ret ? err->text : summary);
	if (ret)
		wm_error("configuration not changed: %s", err->text);
	else
		wm_info("%s read again: %s", d->options->config, summary);
	wm_notify__ready(d);
	return ret;
}
