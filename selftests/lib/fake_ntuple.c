// SPDX-License-Identifier: GPL-2.0
#include "fake_ntuple.h"

#include <errno.h>
#include <string.h>

void fake_ntuple__init(struct fake_ntuple *nt)
{
	memset(nt, 0, sizeof(*nt));
	nt->n = NT_LOCATIONS;
	nt->queues = 8;
	nt->none = -EINVAL;
}

void fake_ntuple__put(struct fake_ntuple *nt, const struct ethtool_rx_flow_spec *spec)
{
	nt->rules += !nt->used[spec->location];
	nt->used[spec->location] = true;
	nt->spec[spec->location] = *spec;
}

void fake_ntuple__drop(struct fake_ntuple *nt, uint32_t location)
{
	nt->rules -= nt->used[location];
	nt->used[location] = false;
}

static bool is_double(const struct fake_ntuple *nt, const struct ethtool_rx_flow_spec *spec)
{
	for (uint32_t i = 0; i < nt->n; i++)
		if (nt->used[i] && nt->spec[i].flow_type == spec->flow_type &&
		    !memcmp(&nt->spec[i].h_u, &spec->h_u, sizeof(spec->h_u)))
			return true;
	return false;
}

static int insert(struct fake_ntuple *nt, const struct ethtool_rxnfc *request)
{
	uint32_t pool = nt->pool ? nt->pool : nt->n;

	nt->inserts++;
	nt->last = *request;
	if (nt->on_insert)
		nt->on_insert(nt->arg, request->fs.location);
	if (nt->insert_error)
		return nt->insert_error;
	if (request->fs.location >= nt->n)
		return -ENOSPC;
	if (request->fs.ring_cookie >= nt->queues || is_double(nt, &request->fs))
		return -EINVAL;
	if (!nt->used[request->fs.location] && nt->rules >= pool)
		return -ENOSPC;
	fake_ntuple__put(nt, &request->fs);
	return 0;
}

static int take_out(struct fake_ntuple *nt, uint32_t location)
{
	nt->deletes++;
	if (nt->delete_error)
		return nt->delete_error;
	if (location >= nt->n || !nt->used[location])
		return -ENOENT;
	fake_ntuple__drop(nt, location);
	return 0;
}

static int show(struct fake_ntuple *nt, struct ethtool_rxnfc *request)
{
	uint32_t location = request->fs.location;

	nt->gets++;
	if (nt->get_error)
		return nt->get_error;
	if (location >= nt->n || !nt->used[location])
		return nt->none;
	request->fs = nt->spec[location];
	return 0;
}

static int list(struct fake_ntuple *nt, struct ethtool_rxnfc *request)
{
	uint32_t n = 0;

	nt->lists++;
	if (nt->list_error)
		return nt->list_error;
	for (uint32_t i = 0; i < nt->n; i++) {
		if (!nt->used[i])
			continue;
		if (n == request->rule_cnt)
			return -EMSGSIZE;
		request->rule_locs[n++] = i;
	}
	request->rule_cnt = n;
	request->data = nt->n;
	return 0;
}

static int answer(void *arg, void *data)
{
	struct ethtool_rxnfc *request = data;
	struct fake_ntuple *nt = arg;

	switch (request->cmd) {
	case ETHTOOL_GRXRINGS:
		request->data = nt->queues;
		return nt->queues_error;
	case ETHTOOL_GRXCLSRLCNT:
		request->rule_cnt = nt->rules;
		request->data = nt->n | (nt->special ? RX_CLS_LOC_SPECIAL : 0);
		return nt->count_error;
	case ETHTOOL_GRXCLSRLALL:
		return list(nt, request);
	case ETHTOOL_GRXCLSRULE:
		return show(nt, request);
	case ETHTOOL_SRXCLSRLINS:
		return insert(nt, request);
	case ETHTOOL_SRXCLSRLDEL:
		return take_out(nt, request->fs.location);
	}
	return -EOPNOTSUPP;
}

struct wm_ethtool_io fake_ntuple__io(struct fake_ntuple *nt)
{
	return (struct wm_ethtool_io){ .request = answer, .arg = nt };
}
