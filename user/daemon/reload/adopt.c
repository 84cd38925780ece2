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

#include "hops.h"
#include "log.h"
#include "running.h"
#include "sizes.h"

static void adopt_vip(const struct wm_running *running, const struct wm_vip *vip)
{
	struct wm_addr addr = { .family = vip->family };
	char text[WM_ENDPOINT_TEXT];
	int ret;

	ret = wm_model__adopt_vip(running->model, vip);
	if (!ret) {
		wm_model__adopt_ring(running->model, vip->number,
				     wm_dp__ring(running->dp, vip->ring)->slot);
		return;
	}
	memcpy(addr.word, vip->addr, sizeof(addr.word));
	wm_warn("the data plane's vip %s makes no sense (%s): written anew",
		wm_endpoint__format(&addr, vip->port, text), strerror(-ret));
}

static int adopt_vips(const struct wm_running *running)
{
	size_t n = wm_dp__vips(running->dp, NULL, 0);
	struct wm_vip *vips = calloc(n + 1, sizeof(*vips));

	if (!vips)
		return -ENOMEM;
	n = wm_dp__vips(running->dp, vips, n);
	for (size_t i = 0; i < n; i++)
		adopt_vip(running, &vips[i]);
	free(vips);
	return 0;
}

static int adopt_dest(const struct wm_running *running, uint16_t id)
{
	const struct wm_dest *entry = wm_dp__dest(running->dp, id);
	int ret;

	if (entry->encap == WM_ENCAP_NONE)
		return 0;
	ret = wm_model__adopt_dest(running->model, id, entry);
	if (ret == -ENOMEM)
		return ret;
	if (ret && entry->mark) {
		wm_warn("the data plane's destination %u makes no sense (%s): cleared", id,
			strerror(-ret));
		wm_dp__dest_clear(running->dp, id);
	}
	return 0;
}

int wm_adopt__hops(const struct wm_running *running, struct wm_hops *hops)
{
	int ret = 0;

	for (uint32_t id = 1; id < 1u << wm_dp__params(running->dp)->dest_bits && !ret; id++) {
		const struct wm_model_dest *dest = wm_model__dest(running->model, id);
		const struct wm_dest *entry = wm_dp__dest(running->dp, id);

		if (dest && dest->state == WM_DEST_LIVE && entry->mark)
			ret = wm_hops__learn(hops, &dest->real, entry->dmac);
	}
	return ret;
}

int wm_adopt__model(struct wm_running *running, uint32_t mark_bits, struct wm_hops *hops,
		    struct wm_err *err)
{
	struct wm_model_limits limits;
	int ret;

	wm_sizes__limits(&limits, wm_dp__params(running->dp), mark_bits);
	running->model = wm_model__new(&limits);
	ret = running->model ? adopt_vips(running) : -ENOMEM;
	for (uint32_t id = 1; id < 1u << limits.dest_bits && !ret; id++)
		ret = adopt_dest(running, id);
	if (!ret)
		ret = wm_adopt__hops(running, hops);
	if (ret)
		return wm_err__sys(err, ret, "cannot take over what the data plane holds");
	if (wm_model__n_vips(running->model))
		wm_info("took over %zu vips of the running data plane",
			wm_model__n_vips(running->model));
	return 0;
}
