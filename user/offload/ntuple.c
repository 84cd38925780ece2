// SPDX-License-Identifier: GPL-2.0
/*
 * The backend for NICs that hand up where the rule stands that matched (ice): ethtool's
 * n-tuple rules, one request each, no process started.
 *
 * What arrives with a packet is the rule's location, so what the rule means stands in
 * an array of the data plane, by location. Its life follows the rule's:
 *
 *   a location is chosen, which nobody has         (locations.c)
 *   its entry is written, then the rule inserted
 *   another mark: the entry is written, the NIC is not asked
 *   the rule is deleted, then its entry zeroed; the location rests for a second
 *
 * Such rules carry no name of their owner. One is ours if our array has an entry for its
 * location and the entry's check is that of the rule's flow. All others are somebody
 * else's: never deleted, never overwritten (the driver is asked before each insertion
 * and deletion), and their locations are not used. The array is the data plane's and
 * pinned with it, so the next daemon knows its rules again; without it rules from before
 * look like anybody's.
 *
 * Steering rules are not among them: flower_steer.c says why.
 *
 * A listing is one request for the locations in use. The rules themselves are asked for
 * one by one where it is not known whose they are, and again now and then, a few a
 * listing: drivers look for each in a list.
 */
#include "ntuple.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locations.h"
#include "log.h"
#include "monotonic.h"
#include "ntuple_spec.h"
#include "steer_ops.h"

enum {
	MARK_BITS = 32,   /* of a mark in the array; the NIC's own width bounds locations */
	VERIFIED = 64,    /* rules a listing that are looked at again */
	SPARE = 64,       /* rules that may come while we list */
	ERRORS_TOLD = 256,
	NAME_SIZE = 32,
	REST = 16,        /* one part in so many is left out of the capacity: locations rest */
};

struct wm_offload {
	struct wm_ethtool_io io;
	char name[NAME_SIZE];
	struct wm_offload_caps caps;
	struct wm_locations locations;
	struct wm_location *table;
	uint32_t queues;
	uint16_t own[WM_QUEUES_MAX]; /* those that rules may lead to; none: all */
	uint32_t n_own;
	uint32_t verify; /* the location from which on rules are looked at again */
	struct ethtool_rxnfc *list; /* room for a listing */
	uint32_t list_size;
	bool told[ERRORS_TOLD];
};

static int ask(struct wm_offload *off, struct ethtool_rxnfc *request)
{
	return off->io.request(off->io.arg, request);
}

/* --- the data plane's array --- */

static void set_entry(struct wm_offload *off, uint32_t at, const struct wm_rule *rule)
{
	struct wm_location *entry = &off->table[at];

	entry->check = wm_ntuple__check(&rule->flow);
	__atomic_store_n(&entry->mark, rule->mark, __ATOMIC_RELEASE);
}

static void clear_entry(struct wm_offload *off, uint32_t at)
{
	__atomic_store_n(&off->table[at].mark, 0, __ATOMIC_RELEASE);
}

/* --- one rule of the NIC --- */

enum holder { NOBODY, OURS, FOREIGN };

/* Who has this location? *flow is set for one of ours. enum holder or -errno. */
static int holder_of(struct wm_offload *off, uint32_t at, struct wm_flow *flow)
{
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_GRXCLSRULE, .fs.location = at };
	int ret = ask(off, &request);

	if (ret == -ENOENT || ret == -EINVAL) /* drivers differ in how they say "none" */
		return NOBODY;
	if (ret)
		return ret;
	if (!wm_ntuple__read(&request.fs, flow) || !off->table[at].mark ||
	    off->table[at].check != wm_ntuple__check(flow))
		return FOREIGN;
	off->locations.place[at].queue = request.fs.ring_cookie;
	return OURS;
}

static void leave_to_others(struct wm_offload *off, uint32_t at)
{
	clear_entry(off, at);
	wm_locations__learn_foreign(&off->locations, at);
}

/* Its rule is not in the NIC any more. */
static void release(struct wm_offload *off, uint32_t at, uint64_t now)
{
	clear_entry(off, at);
	wm_locations__drop(&off->locations, at, now);
}

/* Is the rule of this flow still at its location? 1, 0 or -errno; if somebody else has
 * the location now, it is left to them. */
static int still_there(struct wm_offload *off, uint32_t at, const struct wm_flow *flow)
{
	struct wm_flow found;
	int holder = holder_of(off, at, &found);

	if (holder < 0)
		return holder;
	if (holder == OURS && !memcmp(&found, flow, sizeof(found)))
		return 1;
	if (holder != NOBODY)
		leave_to_others(off, at);
	return 0;
}

/* --- list --- */

static int grow_list(struct wm_offload *off, uint32_t size)
{
	struct ethtool_rxnfc *list = realloc(off->list, sizeof(*list) + size * sizeof(uint32_t));

	if (!list)
		return -ENOMEM;
	off->list = list;
	off->list_size = size;
	return 0;
}

static int count_rules(struct wm_offload *off, uint32_t *rules, uint32_t *size)
{
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_GRXCLSRLCNT };
	int ret = ask(off, &request);

	*rules = request.rule_cnt;
	*size = request.data & ~(uint64_t)RX_CLS_LOC_SPECIAL;
	return ret;
}

/* Which locations are in use: off->list. */
static int list_locations(struct wm_offload *off)
{
	uint32_t rules, size;
	int ret = count_rules(off, &rules, &size);

	if (!ret && rules + SPARE > off->list_size)
		ret = grow_list(off, rules + SPARE);
	if (ret)
		return ret;
	off->list->cmd = ETHTOOL_GRXCLSRLALL;
	off->list->rule_cnt = off->list_size;
	ret = ask(off, off->list);
	return !ret && off->list->rule_cnt > off->list_size ? -EMSGSIZE : ret;
}

static bool is_due(const struct wm_offload *off, uint32_t at)
{
	return at >= off->verify && at - off->verify < VERIFIED;
}

/* A rule stands there; learn whose it is. 0 or -errno. */
static int look_at(struct wm_offload *off, uint32_t at)
{
	struct wm_place *place = &off->locations.place[at];
	struct wm_flow flow;
	int holder;

	if (place->state != WM_LOCATION_FREE && !is_due(off, at)) {
		place->seen = off->locations.listing;
		return 0;
	}
	holder = holder_of(off, at, &flow);
	if (holder < 0)
		return holder;
	if (holder == OURS)
		wm_locations__learn(&off->locations, at, &flow);
	else if (holder == FOREIGN)
		leave_to_others(off, at);
	return 0;
}

/* What was not listed is gone. An entry of a rule that nobody has is a leftover. */
static void drop_unseen(struct wm_offload *off)
{
	const struct wm_locations *l = &off->locations;
	uint64_t now = wm_now_ns();

	for (uint32_t at = 1; at < l->n; at++) {
		if (l->place[at].state != WM_LOCATION_FREE && l->place[at].seen != l->listing)
			release(off, at, now);
		else if (l->place[at].state == WM_LOCATION_FREE && off->table[at].mark)
			clear_entry(off, at);
	}
}

/* As they are now: a rule for a queue that is no more would be refused. */
static int count_queues(struct wm_offload *off)
{
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_GRXRINGS };
	int ret = ask(off, &request);

	if (!ret && !request.data)
		ret = -EOPNOTSUPP;
	if (!ret)
		off->queues = request.data;
	return ret;
}

static int read_rules(struct wm_offload *off)
{
	int ret = count_queues(off);

	if (!ret)
		ret = list_locations(off);
	off->locations.listing++;
	for (uint32_t i = 0; !ret && i < off->list->rule_cnt; i++) {
		uint32_t at = off->list->rule_locs[i];

		if (at && at < off->locations.n)
			ret = look_at(off, at);
	}
	if (ret)
		return ret; /* half a list would make rules look lost */
	drop_unseen(off);
	off->verify += VERIFIED;
	if (off->verify >= off->locations.n)
		off->verify = 0;
	return 0;
}

static bool leads_right(const struct wm_offload *off, uint16_t queue)
{
	for (uint32_t i = 0; i < off->n_own; i++)
		if (off->own[i] == queue)
			return true;
	return !off->n_own;
}

static void ntuple_queues(struct wm_offload *off, const struct wm_queueset *queues)
{
	off->n_own = 0;
	wm_queueset__each(id, queues)
		off->own[off->n_own++] = id;
}

/* Rules that carried a packet since the last look were used now, as far as we know. */
static void tell_rule(struct wm_offload *off, uint32_t at,
		      void (*each)(void *arg, const struct wm_rule *rule,
				   const struct wm_rule_stats *stats),
		      void *arg)
{
	struct wm_place *place = &off->locations.place[at];
	uint16_t used = __atomic_load_n(&off->table[at].used, __ATOMIC_RELAXED);
	struct wm_rule rule = { place->flow, off->table[at].mark };
	struct wm_rule_stats stats = {};

	if (used != place->used)
		stats.last_used_ns = wm_now_ns();
	place->used = used;
	if (!leads_right(off, place->queue))
		rule.mark = 0;
	each(arg, &rule, &stats);
}

static int ntuple_list(struct wm_offload *off,
		       void (*each)(void *arg, const struct wm_rule *rule,
				    const struct wm_rule_stats *stats),
		       void *arg)
{
	int ret = off->table ? read_rules(off) : -EAGAIN;

	for (uint32_t at = 1; !ret && at < off->locations.n; at++)
		if (off->locations.place[at].state == WM_LOCATION_USED)
			tell_rule(off, at, each, arg);
	return ret;
}

/* --- install --- */

/* Each once: a NIC that refuses will do so thousands of times. */
static void tell_refusal(struct wm_offload *off, int result)
{
	if (-result >= ERRORS_TOLD || off->told[-result])
		return;
	off->told[-result] = true;
	wm_warn("offload ntuple: %s refused a rule: %s (the kernel's log may say why); said once",
		off->name, strerror(-result));
}

/* A location that is free in the NIC too. Somebody may have put a rule there since
 * the last listing, and an insertion would replace it. */
static int choose(struct wm_offload *off, const struct wm_flow *flow, uint32_t *at)
{
	struct wm_flow found;
	int holder;

	while ((*at = wm_locations__take(&off->locations, flow, wm_now_ns()))) {
		holder = holder_of(off, *at, &found);
		if (holder == NOBODY)
			return 0;
		if (holder < 0) {
			wm_locations__drop(&off->locations, *at, wm_now_ns());
			return holder;
		}
		leave_to_others(off, *at);
	}
	return -ENOSPC;
}

static int insert(struct wm_offload *off, uint32_t at, const struct wm_rule *rule)
{
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_SRXCLSRLINS };
	int ret;

	wm_ntuple__write(&request.fs, &rule->flow, at, off->n_own ? off->n_own : off->queues);
	if (off->n_own)
		request.fs.ring_cookie = off->own[request.fs.ring_cookie];
	off->locations.place[at].queue = request.fs.ring_cookie;
	set_entry(off, at, rule);
	off->table[at].used = off->locations.place[at].used = 0;
	ret = ask(off, &request);
	if (ret)
		release(off, at, wm_now_ns());
	if (ret && ret != -ENOSPC)
		tell_refusal(off, ret);
	return ret;
}

static int install_one(struct wm_offload *off, const struct wm_rule *rule)
{
	uint32_t at = wm_locations__find(&off->locations, &rule->flow);
	int ret = 0;

	if (at) {
		ret = still_there(off, at, &rule->flow);
		if (ret < 0)
			return ret;
		if (ret) {
			set_entry(off, at, rule);
			return 0;
		}
		at = wm_locations__find(&off->locations, &rule->flow);
	}
	if (!at)
		ret = choose(off, &rule->flow, &at);
	return ret ? ret : insert(off, at, rule);
}

static void ntuple_install(struct wm_offload *off, const struct wm_rule *rules, size_t n,
			   int *result)
{
	for (size_t i = 0; i < n; i++)
		result[i] = off->table ? install_one(off, &rules[i]) : -EAGAIN;
}

/* --- remove --- */

static int remove_one(struct wm_offload *off, const struct wm_flow *flow)
{
	uint32_t at = wm_locations__find(&off->locations, flow);
	struct ethtool_rxnfc request = { .cmd = ETHTOOL_SRXCLSRLDEL, .fs.location = at };
	int ret;

	if (!at)
		return -ENOENT;
	ret = still_there(off, at, flow);
	if (ret == 1)
		ret = ask(off, &request);
	else if (!ret)
		ret = -ENOENT;
	if (!ret || ret == -ENOENT) {
		if (off->locations.place[at].state == WM_LOCATION_USED)
			release(off, at, wm_now_ns());
	}
	return ret;
}

static void ntuple_remove(struct wm_offload *off, const struct wm_flow *flows, size_t n,
			  int *result)
{
	for (size_t i = 0; i < n; i++)
		result[i] = off->table ? remove_one(off, &flows[i]) : -ENOENT;
}

/* --- open and close --- */

static void ntuple_close(struct wm_offload *off)
{
	if (off->io.close)
		off->io.close(off->io.arg);
	wm_locations__free(&off->locations);
	free(off->list);
	free(off);
}

static const struct wm_offload_caps *ntuple_caps(struct wm_offload *off)
{
	return &off->caps;
}

static int ntuple_usage(struct wm_offload *off, struct wm_offload_usage *usage)
{
	uint32_t rules, size;
	int ret = count_rules(off, &rules, &size);

	if (!ret)
		*usage = (struct wm_offload_usage){ size, rules };
	return ret;
}

static int ntuple_locate(struct wm_offload *off, struct wm_location *table, uint32_t n)
{
	uint32_t room;
	int ret;

	if (n > off->caps.locations)
		n = off->caps.locations;
	if (n < 2)
		return -EINVAL;
	wm_locations__free(&off->locations);
	ret = wm_locations__init(&off->locations, n);
	if (ret)
		return ret;
	off->table = table;
	ret = read_rules(off);
	if (ret) {
		off->table = NULL;
		return ret;
	}
	room = n - 1 - off->locations.foreign;
	off->caps.capacity = room - room / REST;
	if (off->locations.foreign)
		wm_info("offload ntuple: %s holds %u rules that are not waymark's; they stay",
			off->name, off->locations.foreign);
	return 0;
}

static int size_up(struct wm_offload *off, struct wm_err *err)
{
	uint32_t rules, size;
	int ret = count_rules(off, &rules, &size);

	if (ret)
		return wm_err__sys(err, ret, "offload ntuple: %s takes no n-tuple rules",
				   off->name);
	if (size < 2)
		return wm_err__set(err, -EOPNOTSUPP, "offload ntuple: %s has room for %u rules: "
				   "too few (location 0 cannot be used)", off->name, size);
	off->caps.locations = size < WM_LOCATIONS_MAX ? size : WM_LOCATIONS_MAX;
	return 0;
}

int wm_ntuple__start(struct wm_offload **out, const struct wm_ethtool_io *io, const char *name,
		     struct wm_err *err)
{
	struct wm_offload *off = calloc(1, sizeof(*off));
	int ret;

	*out = NULL;
	if (!off) {
		if (io->close)
			io->close(io->arg);
		return wm_err__sys(err, -ENOMEM, "offload ntuple");
	}
	off->io = *io;
	off->caps = (struct wm_offload_caps){ .mark_bits = MARK_BITS, .uses = true };
	snprintf(off->name, sizeof(off->name), "%s", name);
	ret = size_up(off, err);
	if (!ret && count_queues(off))
		ret = wm_err__set(err, -EOPNOTSUPP, "offload ntuple: %s does not say how many "
				  "receive queues it has", off->name);
	if (ret)
		ntuple_close(off);
	else
		*out = off;
	return ret;
}

static int check_feature(const char *interface, struct wm_err *err)
{
	int ret = wm_ethtool__feature(interface, "rx-ntuple-filter");

	switch (ret) {
	case WM_FEATURE_ON:
		return 0;
	case WM_FEATURE_OFF:
		return wm_err__set(err, -EOPNOTSUPP, "offload ntuple: n-tuple filters of %s are "
				   "off: ethtool -K %s ntuple on", interface, interface);
	case WM_FEATURE_NONE:
		return wm_err__set(err, -EOPNOTSUPP, "offload ntuple: the driver of %s takes no "
				   "n-tuple rules", interface);
	}
	return wm_err__sys(err, ret, "offload ntuple: features of %s", interface);
}

/* Other NICs take such rules as well and steer by them, but do not say which matched. */
static void warn_of_others(const struct wm_ethtool_io *io, const char *interface)
{
	char driver[ETHTOOL_BUSINFO_LEN];

	if (!wm_ethtool__driver(io, driver) && strcmp(driver, "ice"))
		wm_warn("offload ntuple: the driver of %s is %s: only of ice is it known that "
			"packets arrive with the location of their rule; watch the counter "
			"tx_marked", interface, driver);
}

static int open_software_nic(struct wm_offload **off, const char *pins, struct wm_err *err)
{
	struct wm_ethtool_io io;
	int ret = wm_ntuple__software_nic(&io, pins, err);

	if (!ret)
		ret = wm_ntuple__start(off, &io, "the software NIC", err);
	if (!ret)
		(*off)->caps.software = true;
	return ret;
}

static int ntuple_open(struct wm_offload **off, const char *interface, const char *argument,
		       struct wm_err *err)
{
	struct wm_ethtool_io io;
	int ret;

	if (argument)
		return open_software_nic(off, argument, err);
	ret = check_feature(interface, err);
	if (ret)
		return ret;
	ret = wm_ethtool__open(&io, interface);
	if (ret)
		return wm_err__sys(err, ret, "offload ntuple: %s", interface);
	warn_of_others(&io, interface);
	ret = wm_ntuple__start(off, &io, interface, err);
	if (!ret)
		(*off)->caps.steer = &wm_steer_flower;
	return ret;
}

const struct wm_offload_ops wm_offload_ntuple = {
	.name = "ntuple",
	.scope = WM_SCOPE_FIRST,
	.open = ntuple_open,
	.close = ntuple_close,
	.caps = ntuple_caps,
	.locate = ntuple_locate,
	.usage = ntuple_usage,
	.install = ntuple_install,
	.remove = ntuple_remove,
	.queues = ntuple_queues,
	.list = ntuple_list,
};
