// SPDX-License-Identifier: GPL-2.0
#include "device.h"

#include <errno.h>
#include <string.h>

#include "addr.h"
#include "decap.h"
#include "softnic.h"
#include "views.h"

/* What the data plane room said went wrong; no daemon is concerned, so its
 * errno does not choose the exit code. */
static int failed(const struct invocation *in, int error, const struct wm_err *err)
{
	return invocation__fail(in, WM_EXIT_FAILED, *err->text ? err->text : strerror(-error));
}

static int show(const struct invocation *in, const char *key, const char *value)
{
	json_t *data = json_pack("{s:s, s:s?}", "device", in->argument[0], key, value);
	int ret;

	ret = data ? invocation__show(in, in->command->view, data) : WM_EXIT_FAILED;
	json_decref(data);
	return ret;
}

static enum wm_decap_mode decap_mode(const struct invocation *in)
{
	const char *mode = invocation__option(in, "mode") ?: "auto";

	if (!strcmp(mode, "xdp"))
		return WM_DECAP_XDP;
	return strcmp(mode, "tc") ? WM_DECAP_AUTO : WM_DECAP_TC;
}

/* The address that an option gives, of this family; NULL: not given. */
static int source_of(const struct invocation *in, const char *option, __u8 family,
		     struct wm_addr *addr, const struct wm_addr **source)
{
	const char *text = invocation__option(in, option);

	*source = text ? addr : NULL;
	if (!text || (!wm_addr__parse(text, addr) && addr->family == family))
		return 0;
	return invocation__usage(in, "--%s '%s': wants an IPv%d address", option, text, family);
}

int device__decap_attach(struct invocation *in)
{
	const struct wm_addr *src4, *src6;
	enum wm_decap_mode used = WM_DECAP_AUTO;
	struct wm_addr addr4, addr6;
	struct wm_err err = { "" };
	int ret;

	ret = source_of(in, "source4", WM_IPV4, &addr4, &src4) ?:
	      source_of(in, "source6", WM_IPV6, &addr6, &src6);
	if (ret)
		return ret;
	ret = wm_decap__attach(in->argument[0], decap_mode(in), src4, src6, &used, &err);
	return ret ? failed(in, ret, &err) : show(in, "mode", wm_decap_mode__name(used));
}

int device__decap_detach(struct invocation *in)
{
	struct wm_err err = { "" };
	int ret = wm_decap__detach(in->argument[0], &err);

	return ret ? failed(in, ret, &err) : show(in, "mode", NULL);
}

/* Rows as those of `stats`. */
static json_t *counter_rows(const uint64_t *counter, bool all)
{
	json_t *rows = json_array();

	for (int i = 0; i < WM_DECAP_COUNTERS_USED; i++)
		if (all || counter[i])
			json_array_append_new(rows, json_pack("{s:s, s:I, s:s}", "counter",
							      wm_decap_counter_names[i], "value",
							      (json_int_t)counter[i], "text",
							      wm_decap_counter_texts[i]));
	return rows;
}

static json_t *counter_object(const struct invocation *in, const char *mode,
			      const uint64_t *counter)
{
	json_t *counters = json_object();

	for (int i = 0; i < WM_DECAP_COUNTERS_USED; i++)
		json_object_set_new(counters, wm_decap_counter_names[i], json_integer(counter[i]));
	return json_pack("{s:s, s:s, s:o}", "device", in->argument[0], "mode", mode, "counters",
			 counters);
}

int device__decap_stats(struct invocation *in)
{
	uint64_t counter[WM_DECAP_COUNTERS_USED];
	enum wm_decap_mode mode = WM_DECAP_AUTO;
	struct wm_err err = { "" };
	json_t *data;
	int ret;

	ret = wm_decap__stats(in->argument[0], counter, &mode, &err);
	if (ret)
		return failed(in, ret, &err);
	if (in->out.json) {
		data = counter_object(in, wm_decap_mode__name(mode), counter);
		ret = view__show(&view_decap_stats, data, &in->out, &err);
	} else {
		data = counter_rows(counter, invocation__option(in, "all"));
		ret = view__show_rows(&view_decap_stats, data, &in->out, &err);
	}
	json_decref(data);
	return ret ? failed(in, ret, &err) : WM_EXIT_OK;
}

int device__softnic_attach(struct invocation *in)
{
	unsigned int mark_bits = invocation__number(in, "mark-bits");
	struct wm_err err = { "" };
	__u8 mac[6];
	int ret;

	if (mark_bits > 32)
		return invocation__usage(in, "--mark-bits: wants 1 to 32");
	wm_mac__parse(invocation__option(in, "mac"), mac); /* was checked */
	ret = wm_softnic__attach(in->argument[0], invocation__option(in, "to"), mac,
				 invocation__number(in, "capacity"), mark_bits,
				 invocation__option(in, "pin"), &err);
	return ret ? failed(in, ret, &err) : show(in, "role", "port");
}

int device__softnic_detach(struct invocation *in)
{
	struct wm_err err = { "" };
	int ret = wm_softnic__detach(in->argument[0], invocation__option(in, "pin"), &err);

	return ret ? failed(in, ret, &err) : show(in, "role", NULL);
}

int device__softnic_wire(struct invocation *in)
{
	struct wm_err err = { "" };
	int ret = wm_softnic__wire(in->argument[0], &err);

	return ret ? failed(in, ret, &err) : show(in, "role", "wire");
}
