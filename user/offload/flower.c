// SPDX-License-Identifier: GPL-2.0
/*
 * The backend for NICs that take TC flower rules with a mark (mlx5, octeontx2, a
 * patched netdevsim): rtnetlink, no process started.
 *
 * A rule is a filter on the interface's ingress (flower_msg.c). Its handle is given out
 * here, so a whole batch can be sent without waiting for what the kernel would have
 * chosen; flow -> handle is in memory (handles.c) and learnt again from a listing at
 * open(). A rule has our cookie; a filter without it is somebody else's and is
 * neither listed nor removed. A new rule is asked for with NLM_F_EXCL: should the
 * handle be taken after all, nothing is overwritten, the listing is read and the rule
 * is asked for once more. A rule that is there is replaced under its handle; the
 * kernel then puts the new one into the NIC before it takes the old one out, which
 * needs one free entry.
 *
 * Each family has a preference of its own. A NIC may refuse them and still take the first
 * preference that there is: where no rule was taken yet one is tried there, and if that
 * works all go there.
 *
 * The device may vanish (a reload, a module) and come back under the same name with
 * another number and nothing on it. Each listing looks the name up, and so
 * does the batch after one that met with -ENODEV or -EINVAL (no such qdisc). Rules of
 * a device that is gone are gone.
 */
#include "flower.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "devlink.h"
#include "ethtool.h"
#include "flower_msg.h"
#include "handles.h"
#include "log.h"
#include "monotonic.h"
#include "tc.h"

enum {
	MARK_BITS = 16,  /* what drivers take */
	WORDS_KEPT = 16, /* different refusals that are told */
};

struct wm_offload {
	struct wm_tc tc;
	bool uncertain; /* look the device and its qdisc up before the next batch */
	struct wm_offload_caps caps;
	uint32_t mac_prefix; /* 0: marks are skbedit's */
	struct wm_handles handles;
	uint16_t queue[WM_QUEUES_MAX]; /* that rules lead to, if there are any */
	size_t n_queues;
	bool only_marks; /* the NIC refused such rules */
	bool only_pref;  /* it takes rules in WM_FLOWER_PREF_ONLY, and no others */
	bool accepted;   /* it took one where they are now */
	bool told_only;  /* why that could not be tried */
	char told[WORDS_KEPT][WM_NL_WORDS];
	size_t n_told;
};

/* --- the device --- */

/* A reload gives a device its defaults back. */
static void on_other_device(struct wm_offload *off)
{
	const char *interface = off->tc.interface;

	wm_info("offload flower: %s is another device than before", interface);
	if (wm_ethtool__feature(interface, "hw-tc-offload") == WM_FEATURE_OFF)
		wm_warn("offload flower: hw-tc-offload of %s is off now: ethtool -K %s "
			"hw-tc-offload on", interface, interface);
	wm_handles__clear(&off->handles);
	off->only_pref = off->accepted = false;
}

/* The device and its qdisc, as they are now. */
static int refresh(struct wm_offload *off)
{
	bool other;
	int ret;

	off->uncertain = true;
	ret = wm_tc__refresh(&off->tc, &other, NULL);
	if (other)
		on_other_device(off);
	if (!ret)
		off->uncertain = false;
	return ret;
}

/* --- queues --- */

/* The queue for a flow's packets: always the same one of those that there are. -1: none
 * is to be named. */
static int queue_of(const struct wm_offload *off, const struct wm_flow *flow)
{
	uint32_t h = (uint32_t)flow->sport << 16 | flow->dport;

	if (!off->n_queues || off->only_marks)
		return -1;
	for (int i = 0; i < 4; i++)
		h = (h ^ flow->src[i] ^ (h >> 15)) * 0x9e3779b1;
	return off->queue[(h >> 16) % off->n_queues];
}

static bool leads_right(const struct wm_offload *off, int queue)
{
	if (queue < 0)
		return !off->n_queues || off->only_marks;
	for (size_t i = 0; i < off->n_queues; i++)
		if (off->queue[i] == queue)
			return true;
	return false;
}

static void flower_queues(struct wm_offload *off, const struct wm_queueset *queues)
{
	off->n_queues = 0;
	off->only_marks = false;
	wm_queueset__each(id, queues)
		off->queue[off->n_queues++] = id;
}

static void flower_mac_lane(struct wm_offload *off, uint32_t prefix)
{
	off->mac_prefix = prefix;
	off->caps.mark_bits = prefix ? off->caps.mac_bits : MARK_BITS;
}

static void put_name(const struct wm_offload *off, struct nlmsghdr *msg, uint8_t family,
		     uint32_t handle)
{
	if (off->only_pref)
		wm_flower__put_only_name(msg, off->tc.ifindex, handle);
	else
		wm_flower__put_name(msg, off->tc.ifindex, family, handle);
}

/* --- list --- */

struct listing {
	struct wm_offload *off;
	void (*each)(void *arg, const struct wm_rule *rule, const struct wm_rule_stats *stats);
	void *arg;
	uint64_t now;
};

static int on_filter(const struct nlmsghdr *msg, void *arg)
{
	struct listing *listing = arg;
	struct wm_flower_seen seen;

	if (!wm_flower__read(msg, listing->now, &seen) || !seen.ours ||
	    wm_handles__learn(&listing->off->handles, seen.handle, &seen.rule.flow))
		return MNL_CB_OK;
	seen.rule.mark = leads_right(listing->off, seen.queue) ?
			 wm_flower__mark(&seen, listing->off->mac_prefix) : 0;
	if (listing->each)
		listing->each(listing->arg, &seen.rule, &seen.stats);
	return MNL_CB_OK;
}

/* family: of no account where there is one preference. */
static int list_pref(struct listing *listing, uint8_t family)
{
	struct wm_offload *off = listing->off;
	struct nlmsghdr *msg;

	wm_nl__begin(off->tc.nl);
	msg = wm_nl__add(off->tc.nl, RTM_GETTFILTER, NLM_F_DUMP);
	if (off->only_pref)
		wm_flower__put_only_list(msg, off->tc.ifindex);
	else
		wm_flower__put_list(msg, off->tc.ifindex, family);
	return wm_nl__ask(off->tc.nl, on_filter, listing, NULL);
}

static int read_list(struct listing *listing)
{
	struct wm_handles *handles = &listing->off->handles;
	int ret;

	wm_handles__begin(handles);
	ret = list_pref(listing, WM_IPV4);
	if (!ret && !listing->off->only_pref)
		ret = list_pref(listing, WM_IPV6);
	if (ret)
		return ret;
	wm_handles__end(handles);
	listing->off->accepted |= handles->used;
	return 0;
}

static int flower_list(struct wm_offload *off,
		       void (*each)(void *arg, const struct wm_rule *rule,
				    const struct wm_rule_stats *stats),
		       void *arg)
{
	struct listing listing = { off, each, arg, wm_now_ns() };
	int ret = refresh(off);

	return ret ? ret : read_list(&listing);
}

/* --- install --- */

/* Each text once: a NIC that refuses will do so thousands of times. */
static void tell(struct wm_offload *off, int result, const char *words)
{
	char text[WM_NL_WORDS];

	snprintf(text, sizeof(text), "%s", *words ? words : strerror(-result));
	for (size_t i = 0; i < off->n_told; i++)
		if (!strcmp(off->told[i], text))
			return;
	if (off->n_told == WORDS_KEPT)
		return;
	strcpy(off->told[off->n_told++], text);
	wm_warn("offload flower: %s refused a rule: %s (%s); said once", off->tc.interface, text,
		strerrorname_np(-result));
}

/* The rules of one send. */
struct batch {
	struct wm_offload *off;
	const struct wm_rule *rules;
	int *result;
	size_t n, index[WM_NL_BATCH];
	uint32_t handle[WM_NL_BATCH];
	bool taken; /* a handle or a flow was there that should not be */
};

static void on_installed(void *arg, size_t i, int result, const char *words)
{
	struct batch *b = arg;
	struct wm_handles *handles = &b->off->handles;
	const struct wm_rule *rule = &b->rules[b->index[i]];

	b->result[b->index[i]] = result;
	if (!result) {
		b->off->accepted = true;
		wm_handles__learn(handles, b->handle[i], &rule->flow);
		return;
	}
	if (result == -EIO) /* may be there: remove() has to ask for it */
		return;
	if (!wm_handles__in_nic(handles, b->handle[i]))
		wm_handles__drop(handles, b->handle[i]);
	if (result == -EEXIST)
		b->taken = true;
	else
		tell(b->off, result, words);
	if (result == -ENODEV || result == -EINVAL)
		b->off->uncertain = true;
}

static int add(struct batch *b, size_t at)
{
	struct wm_offload *off = b->off;
	const struct wm_rule *rule = &b->rules[at];
	uint32_t handle = wm_handles__find(&off->handles, &rule->flow);
	uint16_t flags = NLM_F_ACK | NLM_F_CREATE;
	struct nlmsghdr *msg;

	if (rule->mark >> off->caps.mark_bits)
		return -ERANGE;
	if (!handle) {
		handle = wm_handles__take(&off->handles, &rule->flow);
		flags |= NLM_F_EXCL;
	}
	if (!handle)
		return -ENOMEM;
	msg = wm_nl__add(off->tc.nl, RTM_NEWTFILTER, flags);
	put_name(off, msg, rule->flow.family, handle);
	wm_flower__put_rule(msg, rule, queue_of(off, &rule->flow), off->mac_prefix);
	b->index[b->n] = at;
	b->handle[b->n++] = handle;
	return 0;
}

static void send_installs(struct batch *b)
{
	int ret = wm_nl__run(b->off->tc.nl, on_installed, b);

	for (size_t i = 0; ret && i < b->n; i++)
		on_installed(b, i, ret, "");
	wm_nl__begin(b->off->tc.nl);
	b->n = 0;
}

static void install_all(struct batch *b, size_t n)
{
	wm_nl__begin(b->off->tc.nl);
	for (size_t i = 0; i < n; i++) {
		b->result[i] = add(b, i);
		if (b->n == WM_NL_BATCH)
			send_installs(b);
	}
	send_installs(b);
}

static void fail_all(int *result, size_t n, int code)
{
	for (size_t i = 0; i < n; i++)
		result[i] = code;
}

static void install_one(struct wm_offload *off, const struct wm_rule *rule, int *result)
{
	struct batch batch = { .off = off, .rules = rule, .result = result };

	install_all(&batch, 1);
}

static void tell_only_marks(const struct wm_offload *off)
{
	wm_warn("offload flower: %s does not let rules name a queue: they only mark, and the NIC "
		"itself must lead the vips' packets to waymark's queues", off->tc.interface);
}

static size_t first_refused(const int *result, size_t n)
{
	size_t i = 0;

	while (i < n && result[i] != -EOPNOTSUPP)
		i++;
	return i;
}

static void retry_refused(struct wm_offload *off, const struct wm_rule *rules, size_t n,
			  int *result)
{
	for (size_t i = 0; i < n; i++)
		if (result[i] == -EOPNOTSUPP)
			install_one(off, &rules[i], &result[i]);
}

static int on_only_filter(const struct nlmsghdr *msg, void *arg)
{
	struct wm_flower_seen *found = arg, seen;

	if (wm_flower__read(msg, 0, &seen) && seen.pref == WM_FLOWER_PREF_ONLY && !seen.ours)
		*found = seen;
	return MNL_CB_OK;
}

/* The kernel has one protocol and classifier in a preference, and says "no space" to others. */
static bool only_pref_is_free(struct wm_offload *off)
{
	struct wm_flower_seen found = {};

	wm_nl__begin(off->tc.nl);
	wm_flower__put_list(wm_nl__add(off->tc.nl, RTM_GETTFILTER, NLM_F_DUMP), off->tc.ifindex, 0);
	if (wm_nl__ask(off->tc.nl, on_only_filter, &found, NULL))
		return false;
	if (found.handle && !off->told_only)
		wm_warn("offload flower: %s refuses rules with pref %u, and whether it takes them "
			"with pref %u cannot be tried: the %s filter with handle 0x%x is there; "
			"move it to another pref", off->tc.interface, WM_FLOWER_PREF_IPV4,
			WM_FLOWER_PREF_ONLY, found.kind, found.handle);
	off->told_only |= found.handle != 0;
	return !found.handle;
}

static void try_only_pref(struct wm_offload *off, const struct wm_rule *rules, size_t n,
			  bool only_marks, int *result)
{
	size_t i = first_refused(result, n);

	if (i == n || off->accepted || off->only_pref || !only_pref_is_free(off))
		return;
	off->only_pref = true;
	off->only_marks |= only_marks;
	install_one(off, &rules[i], &result[i]);
	if (result[i]) {
		off->only_pref = false;
		off->only_marks &= !only_marks;
		return;
	}
	wm_info("offload flower: %s takes rules with pref %u only, so they are there, as filters "
		"of protocol all", off->tc.interface, WM_FLOWER_PREF_ONLY);
	if (only_marks)
		tell_only_marks(off);
	retry_refused(off, rules, n, result);
}

/* Many NICs cannot name a queue in a rule. A mark alone is still worth its rule: the flow
 * was balanced, so the NIC leads it to one of the queues already. */
static void try_only_marks(struct wm_offload *off, const struct wm_rule *rules, size_t n,
			   int *result)
{
	size_t i = first_refused(result, n);

	if (i == n)
		return;
	off->only_marks = true;
	install_one(off, &rules[i], &result[i]);
	if (result[i]) {
		off->only_marks = false; /* that was not the reason */
		return;
	}
	tell_only_marks(off);
	retry_refused(off, rules, n, result);
}

static void flower_install(struct wm_offload *off, const struct wm_rule *rules, size_t n,
			   int *result)
{
	struct batch batch = { .off = off, .rules = rules, .result = result };
	struct listing listing = { .off = off };
	int ret = off->uncertain ? refresh(off) : 0;

	if (ret) {
		fail_all(result, n, ret);
		return;
	}
	install_all(&batch, n);
	try_only_pref(off, rules, n, false, result);
	if (off->n_queues && !off->only_marks) {
		try_only_marks(off, rules, n, result);
		if (!off->only_marks)
			try_only_pref(off, rules, n, true, result);
	}
	if (!batch.taken || read_list(&listing))
		return;
	for (size_t i = 0; i < n; i++)
		if (result[i] == -EEXIST)
			install_one(off, &rules[i], &result[i]);
}

/* --- remove --- */

struct removal {
	struct wm_offload *off;
	int *result;
	size_t n, index[WM_NL_BATCH];
	uint32_t handle[WM_NL_BATCH];
};

/* No device, or (the only way in which this request is invalid) no qdisc or another
 * classifier in its place: then the rule is gone as well. */
static void on_removed(void *arg, size_t i, int result, const char *words)
{
	struct removal *r = arg;

	(void)words;
	if (result == -ENODEV || result == -EINVAL) {
		r->off->uncertain = true;
		result = -ENOENT;
	}
	r->result[r->index[i]] = result;
	if (!result || result == -ENOENT)
		wm_handles__drop(&r->off->handles, r->handle[i]);
}

static void send_removals(struct removal *r)
{
	int ret = wm_nl__run(r->off->tc.nl, on_removed, r);

	for (size_t i = 0; ret && i < r->n; i++)
		r->result[r->index[i]] = ret;
	wm_nl__begin(r->off->tc.nl);
	r->n = 0;
}

static void flower_remove(struct wm_offload *off, const struct wm_flow *flows, size_t n,
			  int *result)
{
	struct removal r = { .off = off, .result = result };

	wm_nl__begin(off->tc.nl);
	for (size_t i = 0; i < n; i++) {
		uint32_t handle = wm_handles__find(&off->handles, &flows[i]);

		result[i] = -ENOENT;
		if (!handle)
			continue;
		put_name(off, wm_nl__add(off->tc.nl, RTM_DELTFILTER, NLM_F_ACK),
			 flows[i].family, handle);
		r.index[r.n] = i;
		r.handle[r.n++] = handle;
		if (r.n == WM_NL_BATCH)
			send_removals(&r);
	}
	send_removals(&r);
}

/* --- open and close --- */

static void flower_close(struct wm_offload *off)
{
	wm_nl__close(off->tc.nl);
	wm_handles__free(&off->handles);
	free(off);
}

static const struct wm_offload_caps *flower_caps(struct wm_offload *off)
{
	return &off->caps;
}

/* What else is on the interface. */
struct others {
	bool pref_taken;
	struct wm_flower_seen taken_by, marking;
	size_t n_marking;
	size_t ours, ours_only; /* with a preference for each family, and in the only one */
};

static int on_other(const struct nlmsghdr *msg, void *arg)
{
	struct others *o = arg;
	struct wm_flower_seen seen;
	bool our_pref;

	if (!wm_flower__read(msg, 0, &seen))
		return MNL_CB_OK;
	if (seen.ours)
		(*(seen.only ? &o->ours_only : &o->ours))++;
	if (seen.ours || seen.steers)
		return MNL_CB_OK;
	our_pref = !seen.chain && (seen.pref == WM_FLOWER_PREF_IPV4 ||
				   seen.pref == WM_FLOWER_PREF_IPV6);
	if (our_pref && !o->pref_taken) {
		o->pref_taken = true;
		o->taken_by = seen;
	} else if (seen.has_mark && !o->n_marking++) {
		o->marking = seen;
	}
	return MNL_CB_OK;
}

/* A mark of theirs costs a look-up as long as it does not name one of our
 * destinations, and else sends the packet to another real of its vip. */
static void tell_marking(const char *interface, const struct others *o)
{
	const struct wm_flower_seen *m = &o->marking;

	if (o->n_marking)
		wm_warn("offload flower: %s: %zu filters that are not waymark's set marks, such as "
			"the %s filter with pref %u handle 0x%x chain %u, mark %u; such a mark can "
			"send a packet to another real of its vip (with marks: trusted, to any)",
			interface, o->n_marking, m->kind, m->pref, m->handle, m->chain, m->mark);
}

static int look_around(struct wm_offload *off, struct wm_err *err)
{
	struct others others = {};
	int ret;

	wm_nl__begin(off->tc.nl);
	wm_flower__put_list(wm_nl__add(off->tc.nl, RTM_GETTFILTER, NLM_F_DUMP), off->tc.ifindex, 0);
	ret = wm_nl__ask(off->tc.nl, on_other, &others, NULL);
	if (ret)
		return wm_err__sys(err, ret, "offload flower: cannot list the filters of %s",
				   off->tc.interface);
	tell_marking(off->tc.interface, &others);
	if (others.pref_taken)
		return wm_err__set(err, -EBUSY, "offload flower: %s: the %s filter with pref %u "
				   "handle 0x%x is in the way: %u and %u are for waymark's rules; "
				   "move it to another pref", off->tc.interface,
				   others.taken_by.kind, others.taken_by.pref,
				   others.taken_by.handle, WM_FLOWER_PREF_IPV4,
				   WM_FLOWER_PREF_IPV6);
	/* Somebody before us found that out. */
	off->only_pref = others.ours_only && !others.ours;
	return 0;
}

static int prepare(struct wm_offload *off, struct wm_err *err)
{
	struct listing listing = { .off = off };
	bool first;
	int ret = wm_tc__refresh(&off->tc, &first, err);

	if (!ret)
		ret = wm_tc__probe(&off->tc, err);
	if (!ret)
		ret = look_around(off, err);
	if (ret)
		return ret;
	ret = read_list(&listing);
	return ret ? wm_err__sys(err, ret, "offload flower: cannot list the rules of %s",
				 off->tc.interface) : 0;
}

int wm_flower__start(struct wm_offload **out, struct wm_nl *nl, const char *interface,
		     struct wm_err *err)
{
	struct wm_offload *off = calloc(1, sizeof(*off));
	int ret = off ? wm_handles__init(&off->handles) : -ENOMEM;

	*out = NULL;
	if (ret) {
		wm_nl__close(nl);
		free(off);
		return wm_err__sys(err, ret, "offload flower");
	}
	off->tc.nl = nl;
	off->caps = (struct wm_offload_caps){
		.mark_bits = MARK_BITS, .mac_bits = WM_MAC_MARK_BITS, .tcp_flags = true,
		.stats = true, .steer = &wm_steer_flower,
	};
	snprintf(off->tc.interface, sizeof(off->tc.interface), "%s", interface);
	ret = prepare(off, err);
	if (ret)
		flower_close(off);
	else
		*out = off;
	return ret;
}

/* Only some drivers tell, and each by a name of its own: that of netdevsim here. */
static int flower_usage(struct wm_offload *off, struct wm_offload_usage *usage)
{
	struct wm_devlink_resource table;
	int ret = wm_devlink__resource(off->tc.interface, "flow-table", &table);

	if (ret)
		return ret;
	if (!table.has_used)
		return -EOPNOTSUPP;
	*usage = (struct wm_offload_usage){ table.size, table.used };
	return 0;
}

static int flower_open(struct wm_offload **off, const char *interface, const char *argument,
		       struct wm_err *err)
{
	struct wm_nl *nl;
	int ret = wm_tc__check_feature(interface, err);

	(void)argument;
	if (!ret)
		ret = wm_nl__open(&nl, NETLINK_ROUTE, err);
	return ret ? ret : wm_flower__start(off, nl, interface, err);
}

const struct wm_offload_ops wm_offload_flower = {
	.name = "flower",
	.scope = WM_SCOPE_EACH,
	.open = flower_open,
	.close = flower_close,
	.caps = flower_caps,
	.mac_lane = flower_mac_lane,
	.usage = flower_usage,
	.install = flower_install,
	.remove = flower_remove,
	.queues = flower_queues,
	.list = flower_list,
};
