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
 *
 * When routes change all are looked up again, a slice every PACE_US, and no pass begins
 * before the one that goes on has ended: a full table that comes in does not load the loop.
 * Only neighbours that are new are used then.
 *
 * There is one next hop for all interfaces. Where one of several does not lead to it, the
 * data plane is told of the one that does (crossing.h).
 */
#include "hops.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "log.h"
#include "monotonic.h"
#include "neigh.h"
#include "timer.h"

enum {
	RETRY_US = 1000 * WM_TIMER_MS,
	KEEP_US = 15 * 1000 * WM_TIMER_MS, /* half of the time in which an entry goes stale */
	SETTLE_US = 20 * WM_TIMER_MS,      /* several neighbours answer together */
	SLICE = 512,                       /* entries looked up again in one go */
	NAMED_MAX = 4,                     /* reals that a line of the log names */
	PACE_US = 20 * WM_TIMER_MS,        /* between slices when routes change */
};

/* What happened to an entry that the log does not have yet. */
enum news { OLD, MOVED, FOUND };

struct entry {
	struct wm_addr real;
	struct wm_hop hop;
	int error;     /* of the route: -errno */
	bool asked;    /* its turn to be looked up has been */
	bool kept;     /* asked because of a change of routes: its neighbour need not be used */
	bool routed;   /* hop is set */
	bool known;    /* mac is set */
	bool detour;   /* the machine itself would take another interface */
	bool warned;
	bool served;   /* it belongs to a configuration that was accepted */
	enum news news;
	uint8_t mac[6];
	struct wm_crossing crossing;
	uint64_t told; /* interfaces that the log says are apart */
};

struct wm_hops {
	struct wm_neigh *neigh;
	sd_event_source *io;
	struct wm_timer ask, retry, keep, settle;
	const int *ifindex;
	const struct wm_port *port;
	size_t n_ifindex;
	struct entry *entry;
	size_t n;
	size_t unasked; /* no entry before this one waits for its turn */
	size_t next;   /* the first of the next slice */
	bool paced;    /* a pass because of changed routes goes on */
	bool again;    /* and they have changed since */
	int vrf;       /* that the interfaces are in; 0: none */
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

/* The port that a route by this interface leads through; NULL: it is none of ours. */
static const struct wm_port *port_of(const struct wm_hops *hops, int ifindex)
{
	return wm_crossing__port_of(hops->port, hops->n_ifindex, ifindex);
}

/* Do packets that take this route leave by one of ours? */
static bool is_ours(const struct wm_hops *hops, int ifindex)
{
	for (size_t i = 0; i < hops->n_ifindex; i++)
		if (hops->ifindex[i] == ifindex)
			return true;
	return port_of(hops, ifindex);
}

/* The first one that is there. */
static int first_of(const struct wm_hops *hops)
{
	for (size_t i = 0; i < hops->n_ifindex; i++)
		if (hops->ifindex[i])
			return hops->ifindex[i];
	return 0;
}

/* Packets leave by the interface that they came in by: another way is of no use. */
static void look_up_route(struct wm_hops *hops, struct entry *e)
{
	struct wm_hop hop;
	int error;

	error = wm_neigh__route(hops->neigh, &e->real, hops->vrf, &hop);
	e->detour = !error && !is_ours(hops, hop.ifindex);
	if (e->detour)
		error = wm_neigh__route(hops->neigh, &e->real, first_of(hops), &hop);
	e->error = error;
	if (error)
		return; /* with an older route this goes on as before */
	if (e->hop.mtu != hop.mtu)
		wm_timer__arm_within(&hops->settle, SETTLE_US);
	e->hop = hop;
	e->routed = true;
}

/* --- in the log: a line, however many there are --- */

struct names {
	size_t n;
	char text[NAMED_MAX * WM_ADDR_TEXT + 64];
	size_t used;
};

static void add_name(struct names *names, const struct wm_addr *real)
{
	char text[WM_ADDR_TEXT];

	if (names->n++ < NAMED_MAX)
		names->used += snprintf(names->text + names->used,
					sizeof(names->text) - names->used, "%s%s",
					names->used ? ", " : "", wm_addr__format(real, text));
}

static const struct names *end_names(struct names *names)
{
	if (names->n > NAMED_MAX)
		snprintf(names->text + names->used, sizeof(names->text) - names->used,
			 " and %zu more", names->n - NAMED_MAX);
	return names;
}

static void tell_one(const struct entry *e)
{
	char real[WM_ADDR_TEXT];

	wm_addr__format(&e->real, real);
	if (e->news == MOVED)
		wm_info("the next hop of real %s is now %02x:%02x:%02x:%02x:%02x:%02x", real,
			e->mac[0], e->mac[1], e->mac[2], e->mac[3], e->mac[4], e->mac[5]);
	else
		wm_info("the next hop of real %s answers: it gets packets", real);
}

/* Good news for those who were warned, and what explains a moment of loss. */
static void tell(struct wm_hops *hops, enum news news)
{
	const struct entry *last = NULL;
	struct names names = {};

	for (size_t i = 0; i < hops->n; i++) {
		if (hops->entry[i].news != news)
			continue;
		last = &hops->entry[i];
		add_name(&names, &last->real);
	}
	if (names.n == 1)
		tell_one(last);
	else if (names.n)
		wm_info("the next hops of %zu reals %s: %s", names.n, news == MOVED ?
			"have other addresses now" : "answer, and they get packets",
			end_names(&names)->text);
	for (size_t i = 0; i < hops->n; i++)
		if (hops->entry[i].news == news)
			hops->entry[i].news = OLD;
}

/* Of those of which it was not said before, to this interface. */
static void tell_port(struct wm_hops *hops, size_t port)
{
	uint64_t bit = 1ull << port;
	struct names lost = {}, found = {};
	char why[WM_CROSSING_TEXT] = "";

	for (size_t i = 0; i < hops->n; i++) {
		struct entry *e = &hops->entry[i];
		bool apart = e->crossing.apart & bit;

		if (apart == !!(e->told & bit))
			continue;
		e->told ^= bit;
		add_name(apart ? &lost : &found, &e->real);
		if (apart)
			wm_crossing__why(hops->neigh, &hops->port[port], &e->real, &e->hop, why);
	}
	if (lost.n)
		wm_error("%s is on another link than the next hop of %s (%s): packets for %s that "
			 "come in there are dropped (drop_uplink)", hops->port[port].name,
			 end_names(&lost)->text, why, lost.n == 1 ? "it" : "them");
	if (found.n)
		wm_info("%s leads to %s now: packets that come in there are sent",
			hops->port[port].name, end_names(&found)->text);
}

static void tell_apart(struct wm_hops *hops)
{
	for (size_t i = 0; i < hops->n_ifindex && hops->n_ifindex > 1; i++)
		tell_port(hops, i);
}

static void take_mac(struct wm_hops *hops, struct entry *e, const uint8_t mac[6])
{
	if (e->known && !memcmp(e->mac, mac, sizeof(e->mac)))
		return;
	if (e->known)
		e->news = MOVED;
	else if (e->warned)
		e->news = FOUND;
	memcpy(e->mac, mac, sizeof(e->mac));
	e->known = true;
	wm_timer__arm_within(&hops->settle, SETTLE_US);
}

/* Something speaks against an interface, and not for long. */
static bool doubtful(const struct entry *e)
{
	return e->crossing.against & ~e->crossing.apart;
}

/* By which interfaces can it be reached? */
static void look_across(struct wm_hops *hops, struct entry *e)
{
	uint64_t before = e->crossing.apart;
	struct wm_crossing_ask others;

	wm_crossing__look(&e->crossing, hops->neigh, hops->port, hops->n_ifindex, &e->real,
			  &e->hop, e->mac, wm_now_ns(), &others);
	if (!e->kept || doubtful(e))
		wm_neigh__use(hops->neigh, others.hop, others.n);
	if (doubtful(e))
		wm_timer__arm_within(&hops->retry, RETRY_US);
	if (e->crossing.apart != before)
		wm_timer__arm_within(&hops->settle, SETTLE_US);
}

static void look_up(struct wm_hops *hops, struct entry *e)
{
	uint8_t mac[6];

	look_up_route(hops, e);
	if (e->routed && !wm_neigh__find(hops->neigh, &e->hop, mac))
		take_mac(hops, e, mac);
	if (hops->n_ifindex > 1 && e->routed && e->known)
		look_across(hops, e);
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

/* It has to be asked for again before long. */
static bool is_open(const struct entry *e)
{
	return !e->known || doubtful(e);
}

static bool any_open(const struct wm_hops *hops)
{
	for (size_t i = 0; i < hops->n; i++)
		if (is_open(&hops->entry[i]))
			return true;
	return false;
}

/* Up to `most` of those whose turn has not been. false: none is left. */
static bool ask(struct wm_hops *hops, size_t most)
{
	struct wm_hop *list = calloc(most + 1, sizeof(*list)), before;
	size_t i, n = 0;

	for (i = hops->unasked; i < hops->n && most; i++) {
		struct entry *e = &hops->entry[i];

		if (e->asked)
			continue;
		e->asked = true;
		before = e->hop;
		look_up(hops, e);
		if (list && e->routed && /* no memory: used next time */
		    !(e->kept && e->known && !by_hop(&before, &e->hop)))
			list[n++] = e->hop;
		e->kept = false;
		most--;
	}
	if (n)
		use(hops, list, n);
	free(list);
	hops->unasked = i;
	return i < hops->n;
}

/* Look these up again: all, or those that are open. */
static void ask_again(struct wm_hops *hops, bool only_open)
{
	for (size_t i = 0; i < hops->n; i++)
		if (!only_open || is_open(&hops->entry[i]))
			hops->entry[i].asked = false;
	hops->unasked = 0;
	wm_timer__arm(&hops->ask, 0);
}

/* --- in the loop --- */

static void begin_paced(struct wm_hops *hops)
{
	hops->again = false;
	hops->paced = true;
	for (size_t i = 0; i < hops->n; i++)
		hops->entry[i].kept = hops->entry[i].asked;
	ask_again(hops, false);
}

/* A slice at a time: thousands take longer than others should wait. */
static void on_ask(void *arg)
{
	struct wm_hops *hops = arg;

	if (ask(hops, SLICE)) {
		wm_timer__arm(&hops->ask, hops->paced ? PACE_US : 0);
		return;
	}
	hops->paced = false;
	if (hops->again) {
		begin_paced(hops);
		wm_timer__arm(&hops->ask, PACE_US);
	}
}

void wm_hops__look_again(struct wm_hops *hops, int vrf)
{
	hops->vrf = vrf;
	if (hops->paced)
		hops->again = true;
	else
		begin_paced(hops);
}

/* Is this neighbour, on another interface, the entry's next hop there? */
static bool concerns(const struct wm_hops *hops, const struct entry *e, const struct wm_hop *hop)
{
	return hops->n_ifindex > 1 && e->known && is_ours(hops, hop->ifindex) &&
	       hop->ifindex != e->hop.ifindex &&
	       (e->crossing.against || wm_addr__equal(&e->hop.via, &hop->via));
}

/* This one is looked up again. */
static void ask_for(struct wm_hops *hops, size_t i)
{
	struct entry *e = &hops->entry[i];

	e->kept |= e->asked;
	e->asked = false;
	if (i < hops->unasked)
		hops->unasked = i;
	wm_timer__arm_within(&hops->ask, SETTLE_US);
}

static void on_neighbour(void *arg, const struct wm_hop *hop, const uint8_t mac[6])
{
	struct wm_hops *hops = arg;

	for (size_t i = 0; i < hops->n; i++) {
		struct entry *e = &hops->entry[i];

		if (e->routed && !by_hop(&e->hop, hop))
			take_mac(hops, e, mac);
		else if (!concerns(hops, e, hop))
			continue;
		if (hops->n_ifindex > 1)
			ask_for(hops, i);
	}
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

	if (!any_open(hops))
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

	tell(hops, MOVED);
	tell(hops, FOUND);
	tell_apart(hops);
	hops->changed(hops->arg);
}

/* --- set up --- */

int wm_hops__new(struct wm_hops **out, sd_event *event, const int *ifindex,
		 const struct wm_port *port, size_t n, int vrf, void (*changed)(void *arg),
		 void *arg, struct wm_err *err)
{
	struct wm_hops *hops = calloc(1, sizeof(*hops));
	int ret;

	*out = NULL;
	if (!hops)
		return wm_err__sys(err, -ENOMEM, "next hops");
	hops->ifindex = ifindex;
	hops->port = port;
	hops->n_ifindex = n;
	hops->vrf = vrf;
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
	if (any_open(hops))
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
	for (size_t i = 0; i < kept; i++)
		hops->entry[i].served = true;
	hops->n = kept;
	hops->unasked = 0;
	free(wanted);
}

/* --- ask --- */

/* Not for those that were waited for before. */
bool wm_hops__waiting(const struct wm_hops *hops)
{
	for (size_t i = 0; i < hops->n; i++) {
		const struct entry *e = &hops->entry[i];

		if (!e->asked || (e->routed && !e->known && !e->warned) ||
		    (!e->served && (e->crossing.against & ~e->crossing.differs)))
			return true;
	}
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

/* Why nothing goes to an entry. */
enum reason { OWN, NO_ROUTE, SILENT };

static enum reason reason_of(const struct entry *e)
{
	if (e->error == -EADDRNOTAVAIL)
		return OWN;
	return e->routed ? SILENT : NO_ROUTE;
}

static const char *detour_text(const struct entry *e)
{
	return e->detour ? " (the route leads through another interface)" : "";
}

static void warn_of_one(const struct entry *e)
{
	char real[WM_ADDR_TEXT], via[WM_ADDR_TEXT];

	wm_addr__format(&e->real, real);
	switch (reason_of(e)) {
	case OWN:
		wm_warn("real %s is an address of this machine: it gets no packets", real);
		break;
	case NO_ROUTE:
		wm_warn("real %s gets no packets before there is a way to it: %s", real,
			strerror(-e->error));
		break;
	case SILENT:
		wm_warn("real %s gets no packets before its next hop %s answers%s", real,
			wm_addr__format(&e->hop.via, via), detour_text(e));
	}
}

static void warn_of_many(enum reason reason, const struct names *names)
{
	static const char *const why[] = {
		[OWN] = "are addresses of this machine and get no packets",
		[NO_ROUTE] = "get no packets before there is a way to them",
		[SILENT] = "get no packets before their next hops answer",
	};

	wm_warn("%zu reals %s: %s; waymark real shows all", names->n, why[reason], names->text);
}

void wm_hops__warn(struct wm_hops *hops)
{
	for (enum reason reason = OWN; reason <= SILENT; reason++) {
		const struct entry *last = NULL;
		struct names names = {};

		for (size_t i = 0; i < hops->n; i++) {
			struct entry *e = &hops->entry[i];

			if (e->known || e->warned || reason_of(e) != reason)
				continue;
			e->warned = true;
			last = e;
			add_name(&names, &e->real);
		}
		if (names.n == 1)
			warn_of_one(last);
		else if (names.n)
			warn_of_many(reason, end_names(&names));
	}
}

bool wm_hops__why(const struct wm_hops *hops, const struct wm_addr *real, char text[WM_HOPS_WHY])
{
	const struct entry *e = find(hops, real);
	char via[WM_ADDR_TEXT];

	if (!e || e->known)
		return false;
	switch (reason_of(e)) {
	case OWN:
		snprintf(text, WM_HOPS_WHY, "it is an address of this machine");
		break;
	case NO_ROUTE:
		snprintf(text, WM_HOPS_WHY, "no way to it: %s", e->error ? strerror(-e->error) :
			 "not looked up yet");
		break;
	case SILENT:
		snprintf(text, WM_HOPS_WHY, "its next hop %s does not answer%s",
			 wm_addr__format(&e->hop.via, via), detour_text(e));
	}
	return true;
}

/* --- several interfaces --- */

static int refuse(const struct wm_hops *hops, const struct entry *e, const char *confirm,
		  struct wm_err *err)
{
	const struct wm_port *port = &hops->port[__builtin_ctzll(e->crossing.apart)];
	const struct wm_port *by = port_of(hops, e->hop.ifindex);
	const char *first = by ? by->name : "another interface";
	char why[WM_CROSSING_TEXT], real[WM_ADDR_TEXT];

	wm_crossing__why(hops->neigh, port, &e->real, &e->hop, why);
	return wm_err__set(err, -EXDEV, "%s and %s are on different links: the next hop of real %s "
			   "is found by %s, and %s. A packet leaves by the interface that it came "
			   "in by, and there is one next hop for all. Take %s out of `interface` "
			   "(a waymarkd of its own can serve it), or if it is the same link give "
			   "it a route to the real. To serve it without these packets, %s",
			   first, port->name,
			   wm_addr__format(&e->real, real), first, why,
			   port->name, confirm);
}

/* There was time enough to answer. NULL: nothing speaks against an interface, or the real is
 * served already. */
static const struct entry *settle_doubt(struct wm_hops *hops, const struct wm_addr *real)
{
	struct entry *e = find(hops, real);

	if (!e || e->served || !e->crossing.against)
		return NULL;
	e->crossing.apart = e->crossing.against;
	return e;
}

int wm_hops__check(struct wm_hops *hops, const struct wm_config *config, const char *confirm,
		   struct wm_err *err)
{
	const struct entry *bad = NULL, *e;

	for (size_t i = 0; config->gateway_auto && i < config->n_vips; i++) {
		for (size_t k = 0; k < config->vips[i].n_reals; k++) {
			e = settle_doubt(hops, &config->vips[i].reals[k].address);
			bad = bad ? bad : e;
		}
	}
	if (bad && confirm)
		return refuse(hops, bad, confirm, err);
	tell_apart(hops);
	return 0;
}

int wm_hops__only(const struct wm_hops *hops, const struct wm_config *config,
		  const struct wm_addr *real)
{
	const struct entry *e = config->gateway_auto ? find(hops, real) : NULL;
	const struct wm_port *port = e && e->crossing.apart ? port_of(hops, e->hop.ifindex) : NULL;

	return port ? port->ifindex : 0;
}

bool wm_hops__apart(const struct wm_hops *hops, size_t port, char text[WM_HOPS_APART])
{
	char why[WM_CROSSING_TEXT] = "";
	struct names names = {};

	for (size_t i = 0; i < hops->n; i++) {
		const struct entry *e = &hops->entry[i];

		if (!(e->crossing.apart >> port & 1))
			continue;
		if (!names.n)
			wm_crossing__why(hops->neigh, &hops->port[port], &e->real, &e->hop, why);
		add_name(&names, &e->real);
	}
	if (names.n)
		snprintf(text, WM_HOPS_APART, "%s: packets for %s are dropped, it is on another "
			 "link: %s", hops->port[port].name, end_names(&names)->text, why);
	return names.n;
}

bool wm_hops__is_local(const struct wm_hops *hops, const struct wm_addr *addr)
{
	struct wm_hop hop;

	return wm_neigh__route(hops->neigh, addr, hops->vrf, &hop) == -EADDRNOTAVAIL;
}

uint32_t wm_hops__mtu(const struct wm_hops *hops, const struct wm_config *config,
		      const struct wm_addr *real)
{
	const struct entry *e = config->gateway_auto ? find(hops, real) : NULL;

	return e ? e->hop.mtu : 0;
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
