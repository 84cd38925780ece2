// SPDX-License-Identifier: GPL-2.0
/*
 * An n-tuple rule has no cookie: one is a trial's if it is exactly what a trial would have
 * written for one of its flows. Locations are taken from the last one down, where the backend
 * begins at the first, or are left to the driver if that is how it wants it. The driver is
 * asked before each insertion: one to a location in use would replace what stands there.
 */
#include "trial_ntuple.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nobody.h"
#include "ntuple_spec.h"

enum {
	SPARE = 64,         /* rules that may come while we list */
	LISTED_MAX = 65536, /* rules of a NIC that are looked at */
	VLAN_MASK = 0xfff,
};

static int ask(struct wm_trial_ntuple *nt, struct ethtool_rxnfc *request)
{
	return nt->io.request(nt->io.arg, request);
}

/* To the first queue, which every device has. */
static void write_rule(struct ethtool_rx_flow_spec *spec, const struct wm_flow *flow,
		       uint16_t vlan, uint32_t at)
{
	wm_ntuple__write(spec, flow, at, 1);
	if (!vlan)
		return;
	spec->flow_type |= FLOW_EXT;
	spec->h_ext.vlan_tci = htons(vlan);
	spec->m_ext.vlan_tci = htons(VLAN_MASK);
}

static bool is_same(const struct ethtool_rx_flow_spec *a, const struct ethtool_rx_flow_spec *b)
{
	return a->flow_type == b->flow_type && !memcmp(&a->h_u, &b->h_u, sizeof(a->h_u)) &&
	       !memcmp(&a->m_u, &b->m_u, sizeof(a->m_u)) && a->ring_cookie == b->ring_cookie &&
	       (!(a->flow_type & FLOW_EXT) ||
		(a->h_ext.vlan_tci == b->h_ext.vlan_tci && a->m_ext.vlan_tci == b->m_ext.vlan_tci));
}

/* 0, -ENOENT (drivers differ in how they say it), or -errno. */
static int read_rule(struct wm_trial_ntuple *nt, uint32_t at, struct ethtool_rx_flow_spec *spec)
{
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_GRXCLSRULE, .fs.location = at };
	int ret = ask(nt, &request);

	*spec = request.fs;
	return ret == -EINVAL ? -ENOENT : ret;
}

bool wm_trial_ntuple__shows(struct wm_trial_ntuple *nt, const struct wm_flow *flow, uint16_t vlan,
			    uint32_t at)
{
	struct ethtool_rx_flow_spec is, sent;

	write_rule(&sent, flow, vlan, at);
	return !read_rule(nt, at, &is) && is_same(&is, &sent);
}

static int delete_rule(struct wm_trial_ntuple *nt, uint32_t at)
{
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_SRXCLSRLDEL, .fs.location = at };

	return ask(nt, &request);
}

int wm_trial_ntuple__remove(struct wm_trial_ntuple *nt, const struct wm_flow *flow, uint16_t vlan,
			    uint32_t at)
{
	return wm_trial_ntuple__shows(nt, flow, vlan, at) ? delete_rule(nt, at) : -ENOENT;
}

/* --- insert --- */

/* A location that nobody has. */
static int choose(struct wm_trial_ntuple *nt, uint32_t *at)
{
	struct ethtool_rx_flow_spec spec;
	int ret;

	*at = RX_CLS_LOC_ANY;
	if (nt->any)
		return 0;
	for (uint32_t i = 0; i < nt->size; i++) {
		*at = nt->next;
		nt->next = nt->next ? nt->next - 1 : nt->size - 1;
		ret = read_rule(nt, *at, &spec);
		if (ret)
			return ret == -ENOENT ? 0 : ret;
	}
	return -ENOSPC;
}

int wm_trial_ntuple__add(struct wm_trial_ntuple *nt, const struct wm_flow *flow, uint16_t vlan,
			 uint32_t *at)
{
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_SRXCLSRLINS };
	int ret = nt->result ? nt->result : choose(nt, at);

	if (ret)
		return ret;
	write_rule(&request.fs, flow, vlan, *at);
	ret = ask(nt, &request);
	*at = request.fs.location;
	return ret;
}

/* --- what is there --- */

/* Locations in use; the caller frees them. How many, or -errno. */
static int list(struct wm_trial_ntuple *nt, struct ethtool_rxnfc **rules)
{
	struct ethtool_rxnfc count = { .cmd = ETHTOOL_GRXCLSRLCNT };
	int ret = ask(nt, &count);

	*rules = NULL;
	if (ret)
		return ret;
	nt->any = count.data & RX_CLS_LOC_SPECIAL;
	nt->size = count.data & ~(uint64_t)RX_CLS_LOC_SPECIAL;
	if (count.rule_cnt > LISTED_MAX)
		return -E2BIG;
	*rules = calloc(1, sizeof(**rules) + (count.rule_cnt + SPARE) * sizeof(uint32_t));
	if (!*rules)
		return -ENOMEM;
	(*rules)->cmd = ETHTOOL_GRXCLSRLALL;
	(*rules)->rule_cnt = count.rule_cnt + SPARE;
	ret = ask(nt, *rules);
	if (!ret && !nt->size) /* some drivers tell it here only */
		nt->size = (*rules)->data & ~(uint64_t)RX_CLS_LOC_SPECIAL;
	if (!ret && (*rules)->rule_cnt > count.rule_cnt + SPARE)
		ret = -EMSGSIZE;
	return ret ? ret : (int)(*rules)->rule_cnt;
}

static bool is_trials(const struct ethtool_rx_flow_spec *spec)
{
	uint16_t vlan = spec->flow_type & FLOW_EXT ? ntohs(spec->h_ext.vlan_tci) : 0;
	struct ethtool_rx_flow_spec sent, plain = *spec;
	struct wm_flow flow;

	plain.flow_type &= ~FLOW_EXT;
	if (!wm_ntuple__read(&plain, &flow) || !wm_nobody__is(&flow))
		return false;
	write_rule(&sent, &flow, vlan, spec->location);
	return is_same(spec, &sent);
}

int wm_trial_ntuple__sweep(struct wm_trial_ntuple *nt, uint32_t *removed)
{
	struct ethtool_rx_flow_spec spec;
	struct ethtool_rxnfc *rules;
	int n = list(nt, &rules), ret = 0, one;

	for (int i = 0; i < n; i++) {
		if (read_rule(nt, rules->rule_locs[i], &spec) || !is_trials(&spec))
			continue;
		one = delete_rule(nt, rules->rule_locs[i]);
		*removed += !one;
		ret = one ?: ret;
	}
	free(rules);
	nt->result = n < 0 ? n : nt->size || nt->any ? 0 : -EOPNOTSUPP;
	return ret;
}

void wm_trial_ntuple__open(struct wm_trial_ntuple *nt, const struct wm_ethtool_io *io)
{
	*nt = (struct wm_trial_ntuple){ .io = *io };
	wm_trial_ntuple__sweep(nt, &nt->leftovers);
	nt->next = nt->size ? nt->size - 1 : 0;
}

void wm_trial_ntuple__close(struct wm_trial_ntuple *nt)
{
	if (nt->io.close)
		nt->io.close(nt->io.arg);
}
