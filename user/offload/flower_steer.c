// SPDX-License-Identifier: GPL-2.0
/*
 * Steering rules as TC filters, whichever backend marks: with `ntuple` they cannot be
 * n-tuple rules, since ice takes rules that match the same fields only, all of one kind of
 * flow, and one for a vip would keep every flow's out.
 *
 * Nothing is remembered: each time the device is asked what it has. There are few such
 * rules, and so a daemon that comes after another finds them, and a device that lost them
 * is noticed.
 *
 * A rule that matches the same and names another queue is replaced under its handle. New
 * ones get handles that nobody has in these preferences, and are asked for with
 * NLM_F_EXCL. Ours have our cookie; others are left alone.
 */
#include "flower_steer.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flower_msg.h"
#include "tc.h"

struct wm_steerer {
	struct wm_tc tc;
	bool taken; /* the device of this number takes filters, as far as could be asked */
	bool asks_feature;
};

_Static_assert((int)WM_STEER_WORDS == (int)WM_NL_WORDS, "words fit");

/* A rule that the device has. */
struct found {
	struct wm_steer rule;
	uint32_t handle;
	bool wanted;
};

/* One that it shall have. */
struct wanted {
	uint32_t handle;
	bool there; /* the same, or to be replaced */
	bool right; /* the same */
};

struct steering {
	struct wm_tc *tc;
	struct found *found;
	size_t n_found, room;
	uint32_t *handle; /* that anybody has */
	size_t n_handles, handle_room, next_taken;
	uint32_t next;    /* handle to try */
	int error;        /* of reading */
	const struct wm_steer *rules;
	struct wanted *wanted;
	size_t n;
	int *result;
	char *words;
};

/* --- what is there --- */

/* By what they match. */
static int compare(const struct wm_steer *a, const struct wm_steer *b)
{
	struct wm_steer x = *a, y = *b;

	x.queue = y.queue = 0;
	return memcmp(&x, &y, sizeof(x));
}

static int by_match(const void *a, const void *b)
{
	return compare(&((const struct found *)a)->rule, &((const struct found *)b)->rule);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Room for one more. */
static bool grow(void *list, size_t n, size_t *room, size_t size)
{
	size_t more = 2 * *room + 64;
	void *bigger;

	if (n < *room)
		return true;
	bigger = realloc(*(void **)list, more * size);
	if (!bigger)
		return false;
	*(void **)list = bigger;
	*room = more;
	return true;
}

static int on_filter(const struct nlmsghdr *msg, void *arg)
{
	struct steering *s = arg;
	struct wm_flower_seen seen;

	if (!wm_flower__read(msg, 0, &seen))
		return MNL_CB_OK;
	if (!grow(&s->handle, s->n_handles, &s->handle_room, sizeof(*s->handle)) ||
	    !grow(&s->found, s->n_found, &s->room, sizeof(*s->found))) {
		s->error = -ENOMEM;
		return MNL_CB_OK;
	}
	s->handle[s->n_handles++] = seen.handle;
	if (seen.steers)
		s->found[s->n_found++] = (struct found){ seen.steer, seen.handle, false };
	return MNL_CB_OK;
}

static int read_family(struct steering *s, uint8_t family)
{
	int ret;

	wm_nl__begin(s->tc->nl);
	wm_flower__put_steer_list(wm_nl__add(s->tc->nl, RTM_GETTFILTER, NLM_F_DUMP), s->tc->ifindex,
				  family);
	ret = wm_nl__ask(s->tc->nl, on_filter, s, NULL);
	return ret ? ret : s->error;
}

static uint32_t unused_handle(struct steering *s)
{
	while (s->next_taken < s->n_handles && s->handle[s->next_taken] <= s->next) {
		if (s->handle[s->next_taken] == s->next)
			s->next++;
		s->next_taken++;
	}
	return s->next++;
}

static void match(struct steering *s, size_t i)
{
	const struct found key = { .rule = s->rules[i] };
	struct found *found = s->n_found ? bsearch(&key, s->found, s->n_found,
						   sizeof(*s->found), by_match) : NULL;

	if (!found) {
		s->wanted[i].handle = unused_handle(s);
		return;
	}
	found->wanted = true;
	s->wanted[i] = (struct wanted){
		.handle = found->handle,
		.there = true,
		.right = found->rule.queue == s->rules[i].queue,
	};
}

/* What is there, and what of it is wanted. */
static int compare_all(struct steering *s)
{
	int ret = read_family(s, WM_IPV4);

	if (!ret)
		ret = read_family(s, WM_IPV6);
	if (ret)
		return ret;
	if (s->n_found)
		qsort(s->found, s->n_found, sizeof(*s->found), by_match);
	if (s->n_handles)
		qsort(s->handle, s->n_handles, sizeof(*s->handle), by_number);
	s->next = 1;
	for (size_t i = 0; i < s->n; i++)
		match(s, i);
	return 0;
}

/* --- requests --- */

struct batch {
	struct steering *s;
	size_t n, index[WM_NL_BATCH];
};

static void on_added(void *arg, size_t i, int result, const char *words)
{
	struct batch *b = arg;

	b->s->result[b->index[i]] = result;
	if (result && !*b->s->words)
		snprintf(b->s->words, WM_STEER_WORDS, "%s", *words ? words : strerror(-result));
}

static void on_ignored(void *arg, size_t i, int result, const char *words)
{
	(void)arg;
	(void)i;
	(void)result;
	(void)words;
}

/* Send what there is. */
static int flush(struct batch *b, wm_nl_answer answer)
{
	int ret = b->n ? wm_nl__run(b->s->tc->nl, answer, b) : 0;

	wm_nl__begin(b->s->tc->nl);
	b->n = 0;
	return ret;
}

static int add_all(struct steering *s)
{
	struct batch b = { .s = s };
	int ret = 0;

	wm_nl__begin(s->tc->nl);
	for (size_t i = 0; i < s->n && !ret; i++) {
		const struct wanted *w = &s->wanted[i];
		struct nlmsghdr *msg;

		s->result[i] = 0;
		if (w->right)
			continue;
		msg = wm_nl__add(s->tc->nl, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE |
				 (w->there ? 0 : NLM_F_EXCL));
		wm_flower__put_steer_name(msg, s->tc->ifindex, s->rules[i].family, w->handle);
		wm_flower__put_steer(msg, &s->rules[i]);
		b.index[b.n++] = i;
		if (b.n == WM_NL_BATCH)
			ret = flush(&b, on_added);
	}
	return ret ? ret : flush(&b, on_added);
}

static int delete(struct batch *b, uint8_t family, uint32_t handle)
{
	wm_flower__put_steer_name(wm_nl__add(b->s->tc->nl, RTM_DELTFILTER, NLM_F_ACK),
				  b->s->tc->ifindex, family, handle);
	b->n++;
	return b->n == WM_NL_BATCH ? flush(b, on_ignored) : 0;
}

static int delete_unwanted(struct steering *s)
{
	struct batch b = { .s = s };
	int ret = 0;

	wm_nl__begin(s->tc->nl);
	for (size_t i = 0; i < s->n_found && !ret; i++)
		if (!s->found[i].wanted)
			ret = delete(&b, s->found[i].rule.family, s->found[i].handle);
	return ret ? ret : flush(&b, on_ignored);
}

/* Those that were added this time; whose answer got lost may be there as well. */
static int take_back(struct steering *s)
{
	struct batch b = { .s = s };
	int ret = 0;

	wm_nl__begin(s->tc->nl);
	for (size_t i = 0; i < s->n && !ret; i++)
		if (!s->wanted[i].there && (!s->result[i] || s->result[i] == -EIO))
			ret = delete(&b, s->rules[i].family, s->wanted[i].handle);
	return ret ? ret : flush(&b, on_ignored);
}

static int make_so(struct steering *s, bool make_room)
{
	bool all = true;
	int ret = compare_all(s);

	if (!ret && make_room)
		ret = delete_unwanted(s);
	if (!ret)
		ret = add_all(s);
	for (size_t i = 0; i < s->n && !ret; i++)
		all &= !s->result[i];
	if (ret || make_room)
		return ret;
	return all ? delete_unwanted(s) : take_back(s);
}

static int make_all_so(struct wm_tc *tc, const struct wm_steer *rules, size_t n,
		       bool make_room, int *result, char *words)
{
	struct steering s = {
		.tc = tc, .rules = rules, .n = n, .result = result, .words = words,
	};
	int ret = -ENOMEM;

	s.wanted = calloc(n + 1, sizeof(*s.wanted));
	if (s.wanted)
		ret = make_so(&s, make_room);
	free(s.wanted);
	free(s.found);
	free(s.handle);
	return ret;
}

/* --- the device --- */

/* There shall be none. A device that never had one needs no qdisc for that. */
static int take_all(struct wm_steerer *steerer)
{
	char words[WM_STEER_WORDS];
	int ret = wm_tc__look_up(&steerer->tc, &steerer->tc.ifindex);

	if (!ret)
		ret = make_all_so(&steerer->tc, NULL, 0, false, NULL, words);
	return ret == -EOPNOTSUPP ? 0 : ret; /* a kernel without any filters */
}

/* Does this device take filters at all? Asked of each once, for better words than a
 * refused rule would have. */
static int make_ready(struct wm_steerer *steerer, struct wm_err *err)
{
	bool other;
	int ret = wm_tc__refresh(&steerer->tc, &other, err);

	steerer->taken &= !other;
	if (ret || steerer->taken)
		return ret;
	if (steerer->asks_feature)
		ret = wm_tc__check_feature(steerer->tc.interface, err);
	if (!ret)
		ret = wm_tc__probe(&steerer->tc, err);
	steerer->taken = !ret;
	return ret;
}

static int flower_steer(struct wm_steerer *steerer, const struct wm_steer *rules, size_t n,
			bool make_room, int *result, char *words)
{
	struct wm_err err = {};
	int ret;

	words[0] = '\0';
	if (!n)
		return take_all(steerer);
	ret = make_ready(steerer, &err);
	if (!ret)
		return make_all_so(&steerer->tc, rules, n, make_room, result, words);
	if (ret == -ENODEV)
		return ret;
	snprintf(words, WM_STEER_WORDS, "%.*s", WM_STEER_WORDS - 1, err.text);
	for (size_t i = 0; i < n; i++)
		result[i] = ret;
	return 0;
}

int wm_flower_steer__start(struct wm_steerer **out, struct wm_nl *nl, const char *interface)
{
	struct wm_steerer *steerer = calloc(1, sizeof(*steerer));

	*out = steerer;
	if (!steerer) {
		wm_nl__close(nl);
		return -ENOMEM;
	}
	steerer->tc.nl = nl;
	snprintf(steerer->tc.interface, sizeof(steerer->tc.interface), "%s", interface);
	return 0;
}

static int flower_open(struct wm_steerer **out, const char *interface, struct wm_err *err)
{
	struct wm_nl *nl;
	int ret = wm_nl__open(&nl, NETLINK_ROUTE, err);

	if (ret)
		return ret;
	ret = wm_flower_steer__start(out, nl, interface);
	if (ret)
		return wm_err__sys(err, ret, "steering rules of %s", interface);
	(*out)->asks_feature = true;
	return 0;
}

static void flower_close(struct wm_steerer *steerer)
{
	wm_nl__close(steerer->tc.nl);
	free(steerer);
}

const struct wm_steer_ops wm_steer_flower = {
	.open = flower_open,
	.close = flower_close,
	.steer = flower_steer,
};
