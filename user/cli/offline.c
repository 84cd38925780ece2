// SPDX-License-Identifier: GPL-2.0
/*
 * The model that a daemon would make of the file at its first start, and
 * answers from it in the shapes of protocol.c. Destination ids are the
 * daemon's to give, a running one may have given others: `dest` is null here.
 */
#include "offline.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "model.h"

struct offline {
	struct wm_config *config;
	struct wm_plan *plan; /* from nothing to the configuration */
};

static void print_warning(const char *text, void *arg)
{
	invocation__warn(arg, text);
}

/* Nothing is loaded: the widest limits, so that every file that the format
 * allows can be asked. */
static const struct wm_model_limits widest = {
	.dest_bits = WM_DEST_BITS_MAX,
	.mark_bits = 32,
	.vips = WM_VIPS_MAX,
	.rings = WM_RINGS_MAX,
};

int offline__open(struct offline **out, const char *path, const struct invocation *in,
		  struct wm_err *err)
{
	struct offline *offline = calloc(1, sizeof(*offline));
	struct wm_model *empty = wm_model__new(&widest);
	int ret;

	*out = NULL;
	if (!offline || !empty)
		ret = wm_err__sys(err, -ENOMEM, "cannot read %s", path);
	else
		ret = wm_config__load(path, &offline->config, err, print_warning,
				      (void *)in) ?:
		      wm_plan__make(empty, offline->config, &offline->plan, err);
	wm_model__free(empty);
	if (ret)
		offline__close(offline);
	else
		*out = offline;
	return ret;
}

void offline__close(struct offline *offline)
{
	if (!offline)
		return;
	wm_plan__free(offline->plan);
	wm_config__free(offline->config);
	free(offline);
}

static const char *text_at(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key)) ?: "";
}

/* --- vip: as much as names one --- */

static int append_vip(json_t *vips, const struct wm_model_vip *vip)
{
	char address[WM_ADDR_TEXT];
	json_t *entry = json_pack("{s:s, s:s, s:i, s:s}",
				  "name", vip->name,
				  "address", wm_addr__format(&vip->address, address),
				  "port", (int)ntohs(vip->port),
				  "protocol", wm_proto__name(vip->proto));

	return json_array_append_new(vips, entry);
}

static int answer_vip(struct offline *offline, json_t **data)
{
	const struct wm_model *model = offline->plan->next;
	int ret = 0;

	*data = json_array();
	for (size_t i = 0; i < wm_model__n_vips(model) && !ret; i++)
		ret = append_vip(*data, wm_model__vip(model, i));
	return ret ? -ENOMEM : 0;
}

/* --- ring --- */

static json_t *real_list(const struct wm_model *model, const struct wm_model_vip *vip)
{
	json_t *reals = json_array();

	for (size_t i = 0; i < vip->n_dests; i++) {
		const struct wm_model_dest *dest = wm_model__dest(model, vip->dests[i]);
		char address[WM_ADDR_TEXT];

		json_array_append_new(reals, json_string(wm_addr__format(&dest->real, address)));
	}
	return reals;
}

static json_t *slot_list(const struct wm_model_vip *vip, const uint16_t *slot)
{
	int *index = malloc(sizeof(*index) << WM_DEST_BITS_MAX); /* by destination id */
	json_t *slots = json_array();

	if (!index || !slots)
		goto free_index;
	for (size_t i = 0; i < (size_t)1 << WM_DEST_BITS_MAX; i++)
		index[i] = -1;
	for (size_t i = 0; i < vip->n_dests; i++)
		index[vip->dests[i]] = i;
	for (size_t i = 0; i < WM_RING_SLOTS; i++)
		json_array_append_new(slots, json_integer(index[slot[i]]));
free_index:
	free(index);
	return slots;
}

static int answer_ring(struct offline *offline, const json_t *request, json_t **data,
		       struct wm_err *err)
{
	const struct wm_model *model = offline->plan->next;
	const char *name = text_at(request, "vip");
	const struct wm_model_vip *vip = wm_model__vip_by_name(model, name);
	uint16_t *slot;

	if (!vip)
		return wm_err__set(err, -EINVAL, "no vip '%s' in the configuration", name);
	slot = malloc(WM_RING_SLOTS * sizeof(*slot));
	if (slot && !wm_model__ring(model, vip, slot))
		*data = json_pack("{s:s, s:o, s:o}", "vip", vip->name, "reals",
				  real_list(model, vip), "slot", slot_list(vip, slot));
	free(slot);
	return *data ? 0 : -ENOMEM;
}

/* --- where --- */

static int parse_flow(const json_t *request, struct wm_flow *flow, struct wm_err *err)
{
	int proto = wm_proto__parse(text_at(request, "protocol"));
	struct wm_addr src, dst;

	*flow = (struct wm_flow){ .proto = proto };
	if (proto < 0 || wm_endpoint__parse(text_at(request, "source"), &src, &flow->sport) ||
	    wm_endpoint__parse(text_at(request, "destination"), &dst, &flow->dport))
		return wm_err__set(err, -EINVAL, "that names no flow");
	if (src.family != dst.family)
		return wm_err__set(err, -EINVAL, "source and destination differ in their families");
	flow->family = src.family;
	memcpy(flow->src, src.word, sizeof(flow->src));
	memcpy(flow->dst, dst.word, sizeof(flow->dst));
	return 0;
}

static json_t *endpoint(const __be32 word[4], __be16 port, __u8 family)
{
	struct wm_addr addr = { .family = family };
	char text[WM_ENDPOINT_TEXT];

	memcpy(addr.word, word, sizeof(addr.word));
	return json_string(wm_endpoint__format(&addr, port, text));
}

static json_t *address_or_null(const struct wm_addr *addr)
{
	char text[WM_ADDR_TEXT];

	return addr->family ? json_string(wm_addr__format(addr, text)) : json_null();
}

static int answer_where(struct offline *offline, const json_t *request, json_t **data,
			struct wm_err *err)
{
	struct wm_where where = { .vip = NULL };
	struct wm_flow flow;
	int ret;

	ret = parse_flow(request, &flow, err);
	if (ret)
		return ret;
	ret = wm_model__where(offline->plan->next, offline->config, &flow, &where);
	if (ret)
		return wm_err__sys(err, ret, "cannot find the way");
	*data = json_pack("{s:s, s:o, s:o, s:s?, s:o, s:n, s:o, s:o, s:n}",
			  "protocol", wm_proto__name(flow.proto),
			  "source", endpoint(flow.src, flow.sport, flow.family),
			  "destination", endpoint(flow.dst, flow.dport, flow.family),
			  "vip", where.vip ? where.vip->name : NULL,
			  "slot", where.vip ? json_integer(where.slot) : json_null(),
			  "dest",
			  "real", address_or_null(&where.real),
			  "outer_source", address_or_null(&where.outer_src),
			  "flow");
	return *data ? 0 : -ENOMEM;
}

int offline__call(struct offline *offline, const json_t *request, json_t **data,
		  struct wm_err *err)
{
	const char *command = text_at(request, "command");
	int ret;

	*data = NULL;
	if (!strcmp(command, "vip"))
		ret = answer_vip(offline, data);
	else if (!strcmp(command, "ring"))
		ret = answer_ring(offline, request, data, err);
	else if (!strcmp(command, "where"))
		ret = answer_where(offline, request, data, err);
	else
		ret = wm_err__set(err, -EINVAL, "a configuration does not answer '%s'", command);
	if (ret) {
		json_decref(*data);
		*data = NULL;
	}
	return ret;
}
