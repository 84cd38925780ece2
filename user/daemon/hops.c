// SPDX-License-Identifier: GPL-2.0
/*
 * One entry for each real's address, sorted. An entry goes through two steps:
 * the route names a neighbour, the neighbour gets a link address. What is known
 * stays known: a neighbour that does not answer any more keeps its last address,
 * since dropping its packets here would help nobody. Health is checked elsewhere.
 *
 * The kernel forgets neighbours that no packet of its own goes to, and packets
 * that XDP sends are none of these. So all are used every KEEP_US, and routes are
 * looked up again then; those that are not known are tried every RETRY_US.
 */
#include "hops.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon.h"
#include "log.h"
#include "neigh.h"
#include "timer.h"

enum {
	RETRY_US = 1000 * WM_TIMER_MS,
	KEEP_US = 15 * 1000 * WM_TIMER_MS, /* half of the time in which an entry goes stale */
	SETTLE_US = 20 * WM_TIMER_MS,      /* several neighbours answer together */
	SLICE = 512,                       /* entries looked up again in one go */
};

struct entry {
	struct wm_addr real;
	struct wm_hop hop;
	int error;     /* of the route: -errno */
	bool asked;    /* its turn to be looked up has been */
	bool routed;   /* hop is set */
	bool known;    /* mac is set */
	bool detour;   /* the machine itself would take another interface */
	bool warned;
	uint8_t mac[6];
};

struct wm_hops {
	struct wm_neigh *neigh;
	sd_event_source *io;
	struct wm_timer ask, retry, keep, settle;
	const int *ifindex;
	size_t n_ifindex;
	struct entry *entry;
	size_t n;
	size_t unasked; /* no entry before this one waits for its turn */
	size_t next;   /* the first of the next slice */
	void (*changed)(void *arg);
	void *arg;
};

/* --- entries --- */

static int by_real(const void *a, const void *b)
{
	return wm_addr__compare(&((const struct entry *)a)->real, &((const struct entry *)b)->real);
}

static struct entry *find(const struct wm_hops *hops, const struct wm_addr *real)
{
	struct entry key = { .real = *real };

	if (!hops->n)
		return NULL;
	return bsearch(&key, hops->entry, hops->n, sizeof(key), by_real);
}

/* Append without looking; sort() brings the order back. */
static void append(struct wm_hops *hops, const struct wm_addr *real)
{
	if (real->family == WM_LOCAL)
		return; /* no hop: it is here */
	hops->entry[hops->n++] = (struct entry){ .real = *real };
}

/* Of several entries for one real the one stays that knows more. */
static void sort(struct wm_hops *hops)
{
	size_t kept = 0;

	if (!hops->n)
		return;
	qsort(hops->entry, hops->n, sizeof(*hops->entry), by_real);
	for (size_t i = 1; i < hops->n; i++) {
		struct entry *last = &hops->entry[kept], *next = &hops->entry[i];

		if (by_real(last, next))
			hops->entry[++kept] = *next;
		else if (next->known || (next->routed && !last->known))
			*last = *next;
	}
	hops->n = kept + 1;
}

static int reserve(struct wm_hops *hops, size_t more)
{
	void *entry = reallocarray(hops->entry, hops->n + more + 1, sizeof(*hops->entry));

	if (!entry)
		return -ENOMEM;
	hops->entry = entry;
	return 0;
}

/* --- route and neighbour --- */

static bool is_ours(const struct wm_hops *hops, int ifindex)
{
	for (size_t i = 0; i < hops->n_ifindex; i++)
		if (hops->ifindex[i] == ifindex)
			return true;
	return false;
}

/* Packets leave by the interface that they came in by: another way is of no use. */
static void look_up_route(struct wm_hops *hops, struct entry *e)
{
	struct wm_hop hop;
	int error;

	error = wm_neigh__route(hops->neigh, &e->real, 0, &hop);
	e->detour = !error && !is_ours(hops, hop.ifindex);
	if (e->detour)
		error = wm_neigh__route(hops->neigh, &e->real, hops->ifindex[0], &hop);
	e->error = error;
	if (error)
		return; /* with an older route this goes on as before */
	e->hop = hop;
	e->routed = true;
}

/* Good news for those who were warned, and what explains a moment of loss. */
static void tell(const struct entry *e, const uint8_t mac[6])
{
	char real[WM_ADDR_TEXT];

	wm_addr__format(&e->real, real);
	if (e->known)
		wm_info("the next hop of real %s is now %02x:%02x:%02x:%02x:%02x:%02x", real,
			mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	else if (e->warned)
		wm_info("the next hop of real %s answers: it gets packets", real);
}

static void take_mac(struct wm_hops *hops, struct entry *e, const uint8_t mac[6])
{
	if (e->known && !memcmp(e->mac, mac, sizeof(e->mac)))
		return;
	tell(e, mac);
	memcpy(e->mac, mac, sizeof(e->mac));
	e->known = true;
	wm_timer__arm_within(&hops->settle, SETTLE_US);
}

static void look_up(struct wm_hops *hops, struct entry *e)
{
	uint8_t mac[6];

	look_up_route(hops, e);
	if (e->routed && !wm_neigh__find(hops->neigh, &e->hop, mac))
		take_mac(hops, e, mac);
}

static int by_hop(const void *a, const void *b)
{
	const struct wm_hop *x = a, *y = b;

	return x->ifindex != y->ifindex ? (x->ifindex < y->ifindex ? -1 : 1)
					: wm_addr__compare(&x->via, &y->via);
}

/* Use these neighbours, each once. Sorts. */
static void use(struct wm_hops *hops, struct wm_hop *list, size_t n)
{
	size_t kept = 0;

	qsort(list, n, sizeof(*list), by_hop);
	for (size_t i = 0; i < n; i++)
		if (!i || by_hop(&list[kept - 1], &list[i]))
			list[kept++] = list[i];
	wm_neigh__use(hops->neigh, list, kept);
}

static size_t unknown(const struct wm_hops *hops)
{
	size_t n = 0;

	for (size_t i = 0; i < hops->n; i++)
		n += !hops->entry[i].known;
	return n;
}

/* Up to `most` of those whose turn has not been. false: none is left. */
static bool ask(struct wm_hops *hops, size_t most)
{
	struct wm_hop *list = calloc(most + 1, sizeof(*list));
	size_t i, n = 0;

	for (i = hops->unasked; i < hops->n && most; i++) {
		struct entry *e = &hops->entry[i];

		if (e->asked)
			continue;
		e->asked = true;
		look_up(hops, e);
		if (list && e->routed) /* no memory: used next time */
			list[n++] = e->hop;
		most--;
	}
	if (n)
		use(hops, list, n);
	free(list);
	hops->unasked = i;
	return i < hops->n;
}

/* Look these up again: all, or those that are not known. */
static void ask_again(struct wm_hops *hops, bool only_unknown)
{
	for (size_t i = 0; i < hops->n; i++)
		if (!(only_unknown && hops->entry[i].known))
			hops->entry[i].asked = false;
	hops->unasked = 0;
	wm_timer__arm(&hops->ask, 0);
}

/* --- in the loop --- */

/* A slice at a time: thousands take longer than others should wait. */
static void on_ask(void *arg)
{
	struct wm_hops *hops = arg;

	if (ask(hops, SLICE))
		wm_timer__arm(&hops->ask, 0);
}

static void on_neighbour(void *arg, const struct wm_hop *hop, const uint8_t mac[6])
{
	struct wm_hops *hops = arg;

	for (size_t i = 0; i < hops->n; i++)
		if (hops->entry[i].routed && !by_hop(&hops->entry[i].hop, hop))
			take_mac(hops, &hops->entry[i], mac);
}

static void hear(struct wm_hops *hops)
{
	if (wm_neigh__read(hops->neigh) == -ENOBUFS)
		ask_again(hops, false);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	(void)source;
	(void)fd;
	(void)revents;
	hear(arg);
	return 0;
}

static void on_retry(void *arg)
{
	struct wm_hops *hops = arg;

	if (!unknown(hops))
		return;
	ask_again(hops, true);
	wm_timer__arm(&hops->retry, RETRY_US);
}

/* One slice, so that all have had their turn after KEEP_US. */
static void on_keep(void *arg)
{
	struct wm_hops *hops = arg;
	size_t begin = hops->next < hops->n ? hops->next : 0, end = hops->n;

	if (end - begin > SLICE)
		end = begin + SLICE;
	for (size_t i = begin; i < end; i++)
		hops->entry[i].asked = false;
	if (begin < hops->unasked)
		hops->unasked = begin;
	ask(hops, SLICE);
	hops->next = end;
	wm_timer__arm(&hops->keep,
		      hops->n > SLICE ? (uint64_t)KEEP_US * SLICE / hops->n : KEEP_US);
}

static void on_settled(void *arg)
{
	struct wm_hops *hops = arg;

	hops->changed(hops->arg);
}

/* --- set up --- */

int wm_hops__new(struct wm_hops **out, sd_event *event, const int *ifindex, size_t n,
		 void (*changed)(void *arg), void *arg, struct wm_err *err)
{
	struct wm_hops *hops = calloc(1, sizeof(*hops));
	int ret;

	*out = NULL;
	if (!hops)
		return wm_err__sys(err, -ENOMEM, "next hops");
	hops->ifindex = ifindex;
	hops->n_ifindex = n;
	hops->changed = changed;
	hops->arg = arg;
	ret = wm_neigh__open(&hops->neigh, on_neighbour, hops, err);
	if (ret)
		goto err_free;
	ret = wm_timer__init(&hops->ask, event, on_ask, hops);
	if (ret >= 0)
		ret = wm_timer__init(&hops->retry, event, on_retry, hops);
	if (ret >= 0)
		ret = wm_timer__init(&hops->keep, event, on_keep, hops);
	if (ret >= 0)
		ret = wm_timer__init(&hops->settle, event, on_settled, hops);
	if (ret >= 0)
		ret = sd_event_add_io(event, &hops->io, wm_neigh__fd(hops->neigh), EPOLLIN,
				      on_readable, hops);
	if (ret < 0) {
		wm_err__sys(err, ret, "cannot wait for neighbours");
		goto err_free;
	}
	*out = hops;
	return 0;

err_free:
	wm_hops__free(hops);
	return ret;
}

void wm_hops__free(struct wm_hops *hops)
{
	if (!hops)
		return;
	sd_event_source_disable_unref(hops->io);
	wm_timer__free(&hops->ask);
	wm_timer__free(&hops->retry);
	wm_timer__free(&hops->keep);
	wm_timer__free(&hops->settle);
	wm_neigh__close(hops->neigh);
	free(hops->entry);
	free(hops);
}

int wm_hops__learn(struct wm_hops *hops, const struct wm_addr *real, const uint8_t mac[6])
{
	if (real->family == WM_LOCAL)
		return 0;
	if (reserve(hops, 1))
		return -ENOMEM;
	append(hops, real);
	hops->entry[hops->n - 1].known = true;
	memcpy(hops->entry[hops->n - 1].mac, mac, sizeof(hops->entry->mac));
	return 0;
}

int wm_hops__add(struct wm_hops *hops, const struct wm_config *config)
{
	size_t more = 0;

	if (!config->gateway_auto)
		return 0;
	for (size_t i = 0; i < config->n_vips; i++)
		more += config->vips[i].n_reals;
	if (reserve(hops, more))
		return -ENOMEM;
	for (size_t i = 0; i < config->n_vips; i++)
		for (size_t k = 0; k < config->vips[i].n_reals; k++)
			append(hops, &config->vips[i].reals[k].address);
	sort(hops);
	for (size_t i = 0; i < hops->n; i++)
		hops->entry[i].asked &= hops->entry[i].routed;
	hops->unasked = 0;
	wm_timer__arm(&hops->ask, 0);
	wm_timer__arm_within(&hops->keep, KEEP_US);
	if (unknown(hops))
		wm_timer__arm_within(&hops->retry, RETRY_US);
	return 0;
}

static int by_address(const void *a, const void *b)
{
	return wm_addr__compare(a, b);
}

void wm_hops__keep(struct wm_hops *hops, const struct wm_config *config)
{
	size_t n = 0, kept = 0;
	struct wm_addr *wanted;

	for (size_t i = 0; i < config->n_vips; i++)
		n += config->vips[i].n_reals;
	wanted = calloc(n + 1, sizeof(*wanted));
	if (!wanted)
		return; /* following too many does no harm */
	n = 0;
	for (size_t i = 0; config->gateway_auto && i < config->n_vips; i++)
		for (size_t k = 0; k < config->vips[i].n_reals; k++)
			wanted[n++] = config->vips[i].reals[k].address;
	qsort(wanted, n, sizeof(*wanted), by_address);
	for (size_t i = 0; i < hops->n; i++)
		if (bsearch(&hops->entry[i].real, wanted, n, sizeof(*wanted), by_address))
			hops->entry[kept++] = hops->entry[i];
	hops->n = kept;
	hops->unasked = 0;
	free(wanted);
}

/* --- ask --- */

/* Not for those that were waited for before. */
bool wm_hops__waiting(const struct wm_hops *hops)
{
	for (size_t i = 0; i < hops->n; i++)
		if (!hops->entry[i].asked || (hops->entry[i].routed && !hops->entry[i].known &&
					      !hops->entry[i].warned))
			return true;
	return false;
}

void wm_hops__wait(struct wm_hops *hops, int ms)
{
	struct pollfd heard = { .fd = wm_neigh__fd(hops->neigh), .events = POLLIN };
	uint64_t now = wm_now_ns(), end = now + ms * 1000000ull;

	ask(hops, hops->n);
	for (; wm_hops__waiting(hops) && now < end; now = wm_now_ns()) {
		if (poll(&heard, 1, (end - now) / 1000000 + 1) <= 0)
			continue;
		hear(hops);
		ask(hops, hops->n); /* what was missed */
	}
}

void wm_hops__warn(struct wm_hops *hops)
{
	char real[WM_ADDR_TEXT], via[WM_ADDR_TEXT];

	for (size_t i = 0; i < hops->n; i++) {
		struct entry *e = &hops->entry[i];

		if (e->known || e->warned)
			continue;
		e->warned = true;
		wm_addr__format(&e->real, real);
		if (e->error == -EADDRNOTAVAIL)
			wm_warn("real %s is an address of this machine: it gets no packets", real);
		else if (!e->routed)
			wm_warn("real %s gets no packets before there is a way to it: %s", real,
				strerror(-e->error));
		else
			wm_warn("real %s gets no packets before its next hop %s answers%s", real,
				wm_addr__format(&e->hop.via, via), e->detour ?
				" (the route leads through another interface)" : "");
	}
}

bool wm_hops__mac(const struct wm_hops *hops, const struct wm_config *config,
		  const struct wm_addr *real, uint8_t mac[6])
{
	const struct entry *e;

	if (real->family == WM_LOCAL) {
		memset(mac, 0, 6);
		return true;
	}
	if (!config->gateway_auto) {
		memcpy(mac, config->gateway_mac, sizeof(config->gateway_mac));
		return true;
	}
	e = find(hops, real);
	if (!e || !e->known)
		return false;
	memcpy(mac, e->mac, sizeof(e->mac));
	return true;
}
