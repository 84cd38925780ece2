// SPDX-License-Identifier: GPL-2.0
/*
 * The backend of the software NIC (bpf/softnic.bpf.c): its rule table is a pinned
 * hash map. The argument of open() is the directory of the pins.
 *
 * Rules go in and out by batches: one system call for up to BATCH of them. A batch
 * stops at the first rule that the kernel refuses; that one gets its result and
 * the rest follows as the next batch.
 *
 * The faults in struct wm_softnic_ctl that concern rules are acted out here: an
 * install refused, lost, or late. What is late waits in this process and gets
 * into the table in poll(); the delay is read then, so a test can end it at will.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/in.h>
#include <stdlib.h>
#include <string.h>

#include "monotonic.h"
#include "offload.h"
#include "simnic.h"

enum {
	BATCH = 512,       /* rules a system call */
	LIST_BATCH = 4096, /* far above what one bucket of the map may hold */
};

struct late {
	struct wm_rule rule;
	uint64_t asked_ns;
};

struct wm_offload {
	struct wm_simnic nic;
	struct wm_offload_caps caps;
	uint32_t mac_prefix; /* 0: marks go in front of the packet */
	uint32_t asked; /* installs so far, for install_every */
	/* Installs in progress, in the order in which they were asked for. */
	struct late *late;
	size_t n_late, late_size;
	/* Keys and values of one batch. */
	struct wm_flow *keys;
	struct wm_softnic_rule *values;
};

/* --- open and close --- */

static void sim_close(struct wm_offload *off)
{
	wm_simnic__close(&off->nic);
	free(off->late);
	free(off->values);
	free(off->keys);
	free(off);
}

static int open_parts(struct wm_offload *off, const char *dir, struct wm_err *err)
{
	int ret;

	off->keys = calloc(LIST_BATCH, sizeof(*off->keys));
	off->values = calloc(LIST_BATCH, sizeof(*off->values));
	if (!off->keys || !off->values)
		return wm_err__sys(err, -ENOMEM, "offload sim");
	ret = wm_simnic__open(&off->nic, dir, err);
	if (ret)
		return ret;
	off->caps = (struct wm_offload_caps){
		.mark_bits = off->nic.ctl->mark_bits,
		.mac_bits = WM_MAC_MARK_BITS,
		.capacity = off->nic.capacity,
		.tcp_flags = true,
		.stats = true,
		.software = true,
	};
	return 0;
}

static int sim_open(struct wm_offload **out, const char *interface, const char *argument,
		    struct wm_err *err)
{
	struct wm_offload *off;
	int ret;

	(void)interface; /* the software NIC stands at the other end of the wire */
	off = calloc(1, sizeof(*off));
	if (!off)
		return wm_err__sys(err, -ENOMEM, "offload sim");
	ret = open_parts(off, argument, err);
	if (ret)
		sim_close(off);
	else
		*out = off;
	return ret;
}

static const struct wm_offload_caps *sim_caps(struct wm_offload *off)
{
	return &off->caps;
}

static void sim_mac_lane(struct wm_offload *off, uint32_t prefix)
{
	off->mac_prefix = prefix;
	off->caps.mark_bits = prefix ? off->caps.mac_bits : off->nic.ctl->mark_bits;
}

/* --- install --- */

static void to_value(const struct wm_offload *off, const struct wm_rule *rule,
		     struct wm_softnic_rule *value)
{
	*value = (struct wm_softnic_rule){};
	if (off->mac_prefix)
		wm_mac_write(value->smac, off->mac_prefix, rule->mark);
	else
		value->mark = rule->mark;
	if (rule->flow.proto == IPPROTO_TCP)
		value->tcp_mask = WM_TCP_SYN | WM_TCP_FIN | WM_TCP_RST;
}

/* Put the n prepared rules into the table; `result` is where theirs go. */
static void put(struct wm_offload *off, size_t n, int **result)
{
	size_t done = 0;

	while (done < n) {
		__u32 count = n - done;
		int ret = bpf_map_update_batch(off->nic.rules_fd, off->keys + done,
					       off->values + done, &count, NULL);

		if (ret && count >= n - done)
			count = 0; /* refused before it looked at one */
		for (__u32 i = 0; i < count; i++)
			*result[done++] = 0;
		if (ret && done < n) /* E2BIG is how a hash map says that it is full */
			*result[done++] = ret == -E2BIG ? -ENOSPC : ret;
	}
}

static int keep_for_later(struct wm_offload *off, const struct wm_rule *rule)
{
	if (off->n_late == off->late_size) {
		size_t size = off->late_size ? 2 * off->late_size : 64;
		struct late *late = realloc(off->late, size * sizeof(*late));

		if (!late)
			return -ENOMEM;
		off->late = late;
		off->late_size = size;
	}
	off->late[off->n_late++] = (struct late){ *rule, wm_now_ns() };
	return -EINPROGRESS;
}

/* What the NIC's faults make of an install; 1: it goes into the table. */
static int act_fault(struct wm_offload *off, const struct wm_rule *rule)
{
	uint32_t every = off->nic.ctl->install_every, bits = off->caps.mark_bits;

	off->asked++;
	if (bits < 32 && rule->mark >> bits)
		return -ERANGE;
	if (off->nic.ctl->install_errno && (!every || off->asked % every == 0))
		return -(int)off->nic.ctl->install_errno;
	if (off->mac_prefix && off->nic.ctl->smac_errno)
		return -(int)off->nic.ctl->smac_errno;
	if (off->nic.ctl->install_lose)
		return 0;
	if (off->nic.ctl->install_delay_ns)
		return keep_for_later(off, rule);
	return 1;
}

static void sim_install(struct wm_offload *off, const struct wm_rule *rules, size_t n, int *result)
{
	int *waiting[BATCH];
	size_t ready = 0;

	for (size_t i = 0; i < n; i++) {
		result[i] = act_fault(off, &rules[i]);
		if (result[i] != 1)
			continue;
		off->keys[ready] = rules[i].flow;
		to_value(off, &rules[i], &off->values[ready]);
		waiting[ready++] = &result[i];
		if (ready == BATCH) {
			put(off, ready, waiting);
			ready = 0;
		}
	}
	put(off, ready, waiting);
}

static int sim_poll(struct wm_offload *off,
		    void (*done)(void *arg, const struct wm_rule *rule, int result), void *arg)
{
	uint64_t now = wm_now_ns(), delay = off->nic.ctl->install_delay_ns;
	size_t due = 0;

	while (due < off->n_late && off->late[due].asked_ns + delay <= now) {
		int result, *where = &result;

		off->keys[0] = off->late[due].rule.flow;
		to_value(off, &off->late[due].rule, &off->values[0]);
		put(off, 1, &where);
		done(arg, &off->late[due].rule, result);
		due++;
	}
	off->n_late -= due;
	if (due && off->n_late)
		memmove(off->late, off->late + due, off->n_late * sizeof(*off->late));
	return due;
}

/* --- remove --- */

static void forget_late(struct wm_offload *off, const struct wm_flow *flow)
{
	size_t kept = 0;

	for (size_t i = 0; i < off->n_late; i++)
		if (memcmp(&off->late[i].rule.flow, flow, sizeof(*flow)))
			off->late[kept++] = off->late[i];
	off->n_late = kept;
}

static void take(struct wm_offload *off, const struct wm_flow *flows, size_t n, int *result)
{
	size_t done = 0;

	while (done < n) {
		__u32 count = n - done;
		int ret = bpf_map_delete_batch(off->nic.rules_fd, flows + done, &count, NULL);

		if (ret && count >= n - done)
			count = 0;
		for (__u32 i = 0; i < count; i++)
			result[done++] = 0;
		if (ret && done < n)
			result[done++] = ret;
	}
}

static void sim_remove(struct wm_offload *off, const struct wm_flow *flows, size_t n, int *result)
{
	int fault = -(int)off->nic.ctl->remove_errno;

	if (fault || off->nic.ctl->remove_lose) {
		for (size_t i = 0; i < n; i++)
			result[i] = fault;
		return;
	}
	for (size_t i = 0; i < n && off->n_late; i++)
		forget_late(off, &flows[i]);
	take(off, flows, n, result);
}

/* --- list --- */

/* The mark that packets of the rule arrive with. 0: none that this program would take; of the
 * other lane, or of a program before this one. */
static uint32_t arriving_mark(const struct wm_offload *off, const struct wm_softnic_rule *value)
{
	if (!off->mac_prefix)
		return value->mark;
	return value->mark ? 0 : wm_mac_read(value->smac, off->mac_prefix);
}

static void tell(struct wm_offload *off, size_t n,
		 void (*each)(void *arg, const struct wm_rule *rule,
			      const struct wm_rule_stats *stats),
		 void *arg)
{
	for (size_t i = 0; i < n; i++) {
		struct wm_rule rule = {
			off->keys[i], arriving_mark(off, &off->values[i]),
		};
		struct wm_rule_stats stats = {
			.packets = off->values[i].packets,
			.bytes = off->values[i].bytes,
			.last_used_ns = off->values[i].used_ns,
		};

		each(arg, &rule, &stats);
	}
}

static int sim_list(struct wm_offload *off,
		    void (*each)(void *arg, const struct wm_rule *rule,
				 const struct wm_rule_stats *stats),
		    void *arg)
{
	__u32 position, count;
	void *from = NULL;
	int ret;

	do {
		count = LIST_BATCH;
		ret = bpf_map_lookup_batch(off->nic.rules_fd, from, &position, off->keys,
					   off->values, &count, NULL);
		if (ret && ret != -ENOENT)
			return ret;
		tell(off, count, each, arg);
		from = &position;
	} while (!ret);
	return 0;
}

const struct wm_offload_ops wm_offload_sim = {
	.name = "sim",
	.scope = WM_SCOPE_ALL,
	.open = sim_open,
	.close = sim_close,
	.caps = sim_caps,
	.mac_lane = sim_mac_lane,
	.install = sim_install,
	.remove = sim_remove,
	.poll = sim_poll,
	.list = sim_list,
};
