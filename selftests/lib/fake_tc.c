// SPDX-License-Identifier: GPL-2.0
#include "fake_tc.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "flower_msg.h"

void fake_tc__init(struct fake_tc *tc)
{
	memset(tc, 0, sizeof(*tc));
	tc->ifindex = 7;
	tc->capacity = TC_FILTERS;
	tc->lose_from = SIZE_MAX;
}

void fake_tc__free(struct fake_tc *tc)
{
	while (tc->first < tc->end)
		free(tc->answer[tc->first++].data);
}

/* --- answers --- */

static void give(struct fake_tc *tc, const struct nlmsghdr *msg)
{
	size_t nr = tc->answers++;

	if (nr >= tc->lose_from && nr < tc->lose_from + tc->lose)
		return;
	if (tc->end == TC_ANSWERS)
		abort();
	tc->answer[tc->end].len = msg->nlmsg_len;
	tc->answer[tc->end].data = malloc(msg->nlmsg_len);
	memcpy(tc->answer[tc->end++].data, msg, msg->nlmsg_len);
}

static void give_ack(struct fake_tc *tc, const struct nlmsghdr *req, int code, const char *words)
{
	char buffer[2 * WM_NL_MESSAGE];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct nlmsgerr *e = mnl_nlmsg_put_extra_header(msg, sizeof(*e));

	msg->nlmsg_type = NLMSG_ERROR;
	msg->nlmsg_seq = req->nlmsg_seq;
	e->error = code;
	e->msg = *req;
	if (tc->bare_acks && code)
		memcpy(mnl_nlmsg_put_extra_header(msg, req->nlmsg_len - sizeof(*req)), req + 1,
		       req->nlmsg_len - sizeof(*req));
	else
		msg->nlmsg_flags |= NLM_F_CAPPED;
	if (words) {
		msg->nlmsg_flags |= NLM_F_ACK_TLVS;
		mnl_attr_put_u32(msg, NLMSGERR_ATTR_OFFS, 0);
		mnl_attr_put_strz(msg, NLMSGERR_ATTR_MSG, words);
	}
	give(tc, msg);
}

static void give_link(struct fake_tc *tc, const struct nlmsghdr *req)
{
	char buffer[WM_NL_MESSAGE];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(msg, sizeof(*link));

	msg->nlmsg_type = RTM_NEWLINK;
	msg->nlmsg_seq = req->nlmsg_seq;
	link->ifi_index = tc->ifindex;
	give(tc, msg);
}

static void give_done(struct fake_tc *tc, const struct nlmsghdr *req)
{
	char buffer[WM_NL_MESSAGE];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buffer);

	msg->nlmsg_type = NLMSG_DONE;
	msg->nlmsg_flags = NLM_F_MULTI;
	msg->nlmsg_seq = req->nlmsg_seq;
	*(int *)mnl_nlmsg_put_extra_header(msg, sizeof(int)) = 0;
	give(tc, msg);
}

/* --- filters --- */

static struct tc_filter *find(struct fake_tc *tc, uint32_t handle, uint32_t info)
{
	for (size_t i = 0; i < TC_FILTERS; i++)
		if (tc->filter[i].used && tc->filter[i].handle == handle &&
		    tc->filter[i].info == info)
			return &tc->filter[i];
	return NULL;
}

static struct wm_flower_seen seen_in(const void *message)
{
	struct wm_flower_seen seen;

	wm_flower__read(message, 0, &seen);
	return seen;
}

/* Do they match the same? Mark rules and steering rules have their own preferences. */
static bool same_key(const struct wm_flower_seen *a, const struct wm_flower_seen *b)
{
	struct wm_steer x = a->steer, y = b->steer;

	x.queue = y.queue = 0;
	if (a->steers != b->steers)
		return false;
	return a->steers ? !memcmp(&x, &y, sizeof(x))
			 : !memcmp(&a->rule.flow, &b->rule.flow, sizeof(a->rule.flow));
}

static bool has_key(const struct fake_tc *tc, const struct tc_filter *but,
		    const struct wm_flower_seen *wanted)
{
	for (size_t i = 0; i < TC_FILTERS; i++) {
		const struct tc_filter *f = &tc->filter[i];
		struct wm_flower_seen seen;

		if (!f->used || f == but)
			continue;
		seen = seen_in(f->message);
		if (same_key(&seen, wanted))
			return true;
	}
	return false;
}

static struct tc_filter *unused(struct fake_tc *tc)
{
	for (size_t i = 0; i < TC_FILTERS; i++)
		if (!tc->filter[i].used)
			return &tc->filter[i];
	abort();
}

/* What the kernel adds to a filter that a driver took: one with skip_sw. */
static void put_into_nic(struct nlmsghdr *msg)
{
	struct nlattr *options, *attr;
	uint32_t flags;

	mnl_attr_for_each(options, msg, sizeof(struct tcmsg)) {
		if (mnl_attr_get_type(options) != TCA_OPTIONS)
			continue;
		mnl_attr_for_each_nested(attr, options) {
			flags = mnl_attr_get_type(attr) == TCA_FLOWER_FLAGS ?
				mnl_attr_get_u32(attr) : 0;
			if (!(flags & TCA_CLS_FLAGS_SKIP_SW))
				continue;
			flags |= TCA_CLS_FLAGS_IN_HW;
			memcpy(mnl_attr_get_payload(attr), &flags, sizeof(flags));
		}
	}
}

static void add(struct fake_tc *tc, const struct nlmsghdr *req, const struct tcmsg *tcm)
{
	struct tc_filter *old = find(tc, tcm->tcm_handle, tcm->tcm_info);
	struct wm_flower_seen seen = seen_in(req);

	if (old && req->nlmsg_flags & NLM_F_EXCL)
		return give_ack(tc, req, -EEXIST, "Filter already exists");
	if (!seen.ours && !seen.steers && !seen.trial) /* the probe */
		return give_ack(tc, req, -EINVAL, NULL);
	if (!seen.trial && has_key(tc, old, &seen))
		return give_ack(tc, req, -EEXIST, NULL);
	if (tc->max_pref && seen.pref > tc->max_pref)
		return give_ack(tc, req, -EOPNOTSUPP, TC_PREF_TEXT);
	if (tc->no_steering && seen.steers)
		return give_ack(tc, req, -EOPNOTSUPP, TC_STEER_TEXT);
	if (tc->no_masks && seen.steers && seen.steer.sport_mask)
		return give_ack(tc, req, -EOPNOTSUPP, TC_MASK_TEXT);
	if (tc->no_rewriting && seen.rewrites)
		return give_ack(tc, req, -EOPNOTSUPP, TC_REWRITING_TEXT);
	if (tc->no_both && seen.rewrites && seen.has_mark)
		return give_ack(tc, req, -EOPNOTSUPP, TC_BOTH_TEXT);
	if (tc->no_queues && seen.queue >= 0)
		return give_ack(tc, req, -EOPNOTSUPP, TC_QUEUES_TEXT);
	if (seen.mark == TC_REFUSED_MARK)
		return give_ack(tc, req, -EOPNOTSUPP, TC_REFUSED_TEXT);
	if (tc->n_filters >= tc->capacity) /* a replacement needs an entry as well */
		return give_ack(tc, req, -ENOSPC, TC_FULL_TEXT);
	tc->n_filters += !old;
	if (!old)
		old = unused(tc);
	*old = (struct tc_filter){ true, tcm->tcm_handle, tcm->tcm_info, {} };
	memcpy(old->message, req, req->nlmsg_len);
	put_into_nic((struct nlmsghdr *)old->message);
	if (tc->n_filters > tc->most_filters)
		tc->most_filters = tc->n_filters;
	give_ack(tc, req, 0, NULL);
}

static void take(struct fake_tc *tc, const struct nlmsghdr *req, const struct tcmsg *tcm)
{
	struct tc_filter *filter = find(tc, tcm->tcm_handle, tcm->tcm_info);

	if (!filter)
		return give_ack(tc, req, -ENOENT, "Specified filter handle not found");
	filter->used = false;
	tc->n_filters--;
	give_ack(tc, req, 0, NULL);
}

static void show(struct fake_tc *tc, const struct nlmsghdr *req, const struct tcmsg *tcm)
{
	const struct tc_filter *filter = find(tc, tcm->tcm_handle, tcm->tcm_info);
	char buffer[WM_NL_MESSAGE];
	struct nlmsghdr *msg = (struct nlmsghdr *)buffer;

	if (!filter)
		return give_ack(tc, req, -ENOENT, "Specified filter handle not found");
	memcpy(buffer, filter->message, ((const struct nlmsghdr *)filter->message)->nlmsg_len);
	msg->nlmsg_seq = req->nlmsg_seq;
	msg->nlmsg_flags = 0;
	give(tc, msg);
}

static void list(struct fake_tc *tc, const struct nlmsghdr *req, const struct tcmsg *tcm)
{
	char buffer[WM_NL_MESSAGE];
	struct nlmsghdr *msg = (struct nlmsghdr *)buffer;
	const void *message;

	for (size_t i = 0; i < TC_FILTERS + 4; i++) {
		message = i < TC_FILTERS ? tc->filter[i].message : tc->foreign[i - TC_FILTERS];
		if (i < TC_FILTERS && (!tc->filter[i].used ||
				       (tcm->tcm_info && tcm->tcm_info != tc->filter[i].info)))
			continue;
		if (!message || (i >= TC_FILTERS && tcm->tcm_info))
			continue;
		memcpy(buffer, message, ((const struct nlmsghdr *)message)->nlmsg_len);
		msg->nlmsg_seq = req->nlmsg_seq;
		msg->nlmsg_flags = NLM_F_MULTI;
		give(tc, msg);
	}
	give_done(tc, req);
}

/* --- requests --- */

static void on_filter(struct fake_tc *tc, const struct nlmsghdr *req)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(req);

	tc->adds += req->nlmsg_type == RTM_NEWTFILTER;
	tc->deletes += req->nlmsg_type == RTM_DELTFILTER;
	tc->lists += req->nlmsg_type == RTM_GETTFILTER;
	if (req->nlmsg_type == RTM_GETTFILTER && tcm->tcm_handle)
		show(tc, req, tcm);
	else if (req->nlmsg_type == RTM_GETTFILTER)
		list(tc, req, tcm);
	else if (tcm->tcm_ifindex != tc->ifindex)
		give_ack(tc, req, -ENODEV, NULL);
	else if (!tc->qdisc)
		give_ack(tc, req, -EINVAL, "Parent Qdisc doesn't exists");
	else if (tc->no_flower)
		give_ack(tc, req, -ENOENT, "TC classifier not found");
	else if (req->nlmsg_type == RTM_NEWTFILTER)
		add(tc, req, tcm);
	else
		take(tc, req, tcm);
}

static void on_qdisc(struct fake_tc *tc, const struct nlmsghdr *req)
{
	if (req->nlmsg_type == RTM_DELQDISC) {
		give_ack(tc, req, tc->qdisc ? 0 : -ENOENT, NULL);
		tc->qdisc = false;
		return;
	}
	if (tc->no_clsact)
		give_ack(tc, req, -ENOENT, "Specified qdisc kind is unknown");
	else if (tc->qdisc)
		give_ack(tc, req, -EEXIST, "Exclusivity flag on, cannot modify");
	else
		give_ack(tc, req, 0, NULL);
	tc->qdisc = !tc->no_clsact;
}

static ssize_t fake_send(void *arg, const void *data, size_t size)
{
	struct fake_tc *tc = arg;
	const struct nlmsghdr *req = data;
	int len = size;

	if (tc->send_errno) {
		errno = tc->send_errno;
		return -1;
	}
	tc->sends++;
	for (; mnl_nlmsg_ok(req, len); req = mnl_nlmsg_next(req, &len)) {
		tc->last_flags = req->nlmsg_flags;
		if (req->nlmsg_type == RTM_NEWQDISC || req->nlmsg_type == RTM_DELQDISC)
			on_qdisc(tc, req);
		else if (req->nlmsg_type != RTM_GETLINK)
			on_filter(tc, req);
		else if (tc->ifindex)
			give_link(tc, req);
		else
			give_ack(tc, req, -ENODEV, NULL);
	}
	return size;
}

static ssize_t fake_receive(void *arg, void *data, size_t size)
{
	struct fake_tc *tc = arg;
	struct tc_answer *answer = &tc->answer[tc->first];
	size_t len;

	if (tc->first == tc->end) {
		tc->first = tc->end = 0;
		errno = EAGAIN;
		return -1;
	}
	len = answer->len < size ? answer->len : size;
	memcpy(data, answer->data, len);
	free(answer->data);
	tc->first++;
	if (tc->first == tc->end)
		tc->first = tc->end = 0;
	return len;
}

struct wm_nl_io fake_tc__io(struct fake_tc *tc)
{
	return (struct wm_nl_io){ .send = fake_send, .receive = fake_receive, .arg = tc };
}

uint32_t fake_tc__mark(const struct fake_tc *tc, uint32_t handle)
{
	for (size_t i = 0; i < TC_FILTERS; i++)
		if (tc->filter[i].used && tc->filter[i].handle == handle)
			return seen_in(tc->filter[i].message).mark;
	return 0;
}

int fake_tc__queue(const struct fake_tc *tc, uint32_t handle)
{
	for (size_t i = 0; i < TC_FILTERS; i++)
		if (tc->filter[i].used && tc->filter[i].handle == handle)
			return seen_in(tc->filter[i].message).queue;
	return -1;
}

size_t fake_tc__steers(const struct fake_tc *tc, int queue)
{
	size_t n = 0;

	for (size_t i = 0; i < TC_FILTERS; i++) {
		struct wm_flower_seen seen;

		if (!tc->filter[i].used)
			continue;
		seen = seen_in(tc->filter[i].message);
		n += seen.steers && (queue < 0 || seen.steer.queue == queue);
	}
	return n;
}
