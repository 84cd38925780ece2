// SPDX-License-Identifier: GPL-2.0
/*
 * The tables of the data plane are the daemon's only memory: whoever comes after
 * one that was killed reads them, plans from there, and changes what differs from
 * the configuration. If nothing does, nothing is written.
 */
#include "adopt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "log.h"
#include "sizes.h"

static void adopt_vip(struct wm_daemon *d, const struct wm_vip *vip)
{
	struct wm_addr addr = { .family = vip->family };
	char text[WM_ENDPOINT_TEXT];
	int ret;

	ret = wm_model__adopt_vip(d->model, vip);
	if (!ret) {
		wm_model__adopt_ring(d->model, vip->number, wm_dp__ring(d->dp, vip->ring)->slot);
		return;
	}
	memcpy(addr.word, vip->addr, sizeof(addr.word));
	wm_warn("the data plane's vip %s makes no sense (%s): written anew",
		wm_endpoint__format(&addr, vip->port, text), strerror(-ret));
}

static int adopt_vips(struct wm_daemon *d)
{
	size_t n = wm_dp__vips(d->dp, NULL, 0);
	struct wm_vip *vips = calloc(n + 1, sizeof(*vips));

	if (!vips)
		return -ENOMEM;
	n = wm_dp__vips(d->dp, vips, n);
	for (size_t i = 0; i < n; i++)
		adopt_vip(d, &vips[i]);
	free(vips);
	return 0;
}

static int adopt_dest(struct wm_daemon *d, uint16_t id)
{
	const struct wm_dest *entry = wm_dp__dest(d->dp, id);
	int ret;

	if (entry->encap == WM_ENCAP_NONE)
		return 0;
	ret = wm_model__adopt_dest(d->model, id, entry);
	if (ret == -ENOMEM)
		return ret;
	if (ret && entry->mark) {
		wm_warn("the data plane's destination %u makes no sense (%s): cleared", id,
			strerror(-ret));
		wm_dp__dest_clear(d->dp, id);
	}
	return 0;
}

int wm_adopt__hops(struct wm_daemon *d)
{
	int ret = 0;

	for (uint32_t id = 1; id < 1u << wm_dp__params(d->dp)->dest_bits && !ret; id++) {
		const struct wm_model_dest *dest = wm_model__dest(d->model, id);
		const struct wm_dest *entry = wm_dp__dest(d->dp, id);

		if (dest && dest->state == WM_DEST_LIVE && entry->mark)
			ret = wm_hops__learn(d->hops, &dest->real, entry->dmac);
	}
	return ret;
}

int wm_adopt__model(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_model_limits limits;
	int ret;

	wm_sizes__limits(&limits, wm_dp__params(d->dp), wm_nic__mark_bits(&d->nic));
	d->model = wm_model__new(&limits);
	ret = d->model ? adopt_vips(d) : -ENOMEM;
	for (uint32_t id = 1; id < 1u << limits.dest_bits && !ret; id++)
		ret = adopt_dest(d, id);
	if (!ret)
		ret = wm_adopt__hops(d);
	if (ret)
		return wm_err__sys(err, ret, "cannot take over what the data plane holds");
	if (wm_model__n_vips(d->model))
		wm_info("took over %zu vips of the running data plane",
			wm_model__n_vips(d->model));
	return 0;
}
