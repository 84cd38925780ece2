// SPDX-License-Identifier: GPL-2.0
/*
 * What speaks for another interface: its neighbour has the same link address. A frame to
 * that address arrives there, whatever the routes say.
 *
 * What speaks against it: the neighbour has another one; or it is not heard of, and the
 * route by that interface names another neighbour, or there is none although the interface
 * has an IP address. An interface without one has no routes either, and one without a
 * carrier has nobody to ask: nothing follows from that.
 *
 * Neighbours move and answer late. So what speaks against an interface has to do so for
 * DOUBT_NS; and what was found to be the same stays so while the neighbour is forgotten.
 */
#include "crossing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOUBT_NS 2000000000ull

struct wm_port wm_crossing__port(const struct wm_netdev *dev)
{
	struct wm_port port = {};

	if (!dev)
		return port;
	port.ifindex = dev->ifindex;
	port.master = dev->master;
	port.addressed = dev->addressed;
	port.running = dev->running;
	memcpy(port.name, dev->name, sizeof(port.name));
	return port;
}

static bool leads_through(const struct wm_port *port, int ifindex)
{
	return ifindex && (port->ifindex == ifindex || port->master == ifindex);
}

const struct wm_port *wm_crossing__port_of(const struct wm_port *port, size_t n, int ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (leads_through(&port[i], ifindex))
			return &port[i];
	return NULL;
}

/* The neighbour on the way to the real by this port. false: nobody knows of any, and the
 * next hop itself is the one to ask for. */
static bool way_by(struct wm_neigh *neigh, const struct wm_port *port, const struct wm_addr *real,
		   const struct wm_hop *hop, struct wm_hop *there)
{
	if (!wm_neigh__route_by(neigh, real, port->ifindex, there))
		return true;
	*there = (struct wm_hop){ .via = hop->via, .ifindex = port->ifindex };
	return false;
}

enum verdict { NOTHING, FOR, AGAINST, DIFFERS };

static enum verdict judge(const struct wm_crossing *c, uint64_t bit, bool routed,
			  const struct wm_hop *hop, const uint8_t mac[6],
			  const struct wm_hop *there, const uint8_t *found)
{
	bool elsewhere = !wm_addr__equal(&there->via, &hop->via);

	if (found)
		return memcmp(found, mac, 6) ? DIFFERS : FOR;
	if (c->same & bit && !elsewhere)
		return FOR;
	return elsewhere || !routed ? AGAINST : NOTHING;
}

static enum verdict look_at(const struct wm_crossing *c, struct wm_neigh *neigh,
			    const struct wm_port *port, uint64_t bit, const struct wm_addr *real,
			    const struct wm_hop *hop, const uint8_t mac[6],
			    struct wm_crossing_ask *ask)
{
	struct wm_hop there;
	uint8_t found[6];
	bool routed, known;

	if (!port->ifindex || leads_through(port, hop->ifindex) || !port->running)
		return NOTHING;
	routed = way_by(neigh, port, real, hop, &there);
	if (!routed && !port->addressed)
		return NOTHING;
	known = !wm_neigh__find(neigh, &there, found);
	ask->hop[ask->n++] = there;
	return judge(c, bit, routed, hop, mac, &there, known ? found : NULL);
}

void wm_crossing__look(struct wm_crossing *c, struct wm_neigh *neigh, const struct wm_port *port,
		       size_t n, const struct wm_addr *real, const struct wm_hop *hop,
		       const uint8_t mac[6], uint64_t now_ns, struct wm_crossing_ask *ask)
{
	struct wm_crossing is = { .since_ns = c->since_ns };

	ask->n = 0;
	for (size_t i = 0; i < n && i < WM_PORTS_MAX; i++) {
		uint64_t bit = 1ull << i;
		enum verdict verdict = look_at(c, neigh, &port[i], bit, real, hop, mac, ask);

		is.same |= verdict == FOR ? bit : 0;
		is.against |= verdict >= AGAINST ? bit : 0;
		is.differs |= verdict == DIFFERS ? bit : 0;
	}
	if (!c->against)
		is.since_ns = now_ns;
	is.apart = is.against & c->apart;
	if (now_ns - is.since_ns >= DOUBT_NS)
		is.apart |= is.against & c->against;
	*c = is;
}

void wm_crossing__why(struct wm_neigh *neigh, const struct wm_port *port,
		      const struct wm_addr *real, const struct wm_hop *hop,
		      char text[WM_CROSSING_TEXT])
{
	char via[WM_ADDR_TEXT], name[WM_ADDR_TEXT];
	struct wm_hop there;
	uint8_t mac[6];
	bool routed = way_by(neigh, port, real, hop, &there);

	wm_addr__format(&there.via, via);
	if (!wm_neigh__find(neigh, &there, mac))
		snprintf(text, WM_CROSSING_TEXT, "%s by %s has the link address "
			 "%02x:%02x:%02x:%02x:%02x:%02x", via, port->name, mac[0], mac[1], mac[2],
			 mac[3], mac[4], mac[5]);
	else if (routed)
		snprintf(text, WM_CROSSING_TEXT, "by %s it is %s", port->name, via);
	else
		snprintf(text, WM_CROSSING_TEXT, "%s has an address, no route to %s, and %s does "
			 "not answer there", port->name, wm_addr__format(real, name), via);
}

/* --- a configuration that is not served --- */

struct survey {
	struct wm_neigh *neigh;
	struct wm_port port[WM_PORTS_MAX];
	size_t n;
};

static int find_ports(struct survey *s, const struct wm_config *config, struct wm_err *err)
{
	struct wm_netdev *list;
	size_t n;
	int ret = wm_netdev__list(&list, &n, err);

	if (ret)
		return ret;
	ret = wm_netdev__addresses(list, n, err);
	for (size_t i = 0; i < config->n_interfaces && !ret; i++)
		s->port[i] = wm_crossing__port(wm_netdev__named(list, n, config->interfaces[i]));
	s->n = config->n_interfaces;
	free(list);
	return ret;
}

/* What is wrong with the way to this real; empty: nothing is known. true: it is sure. */
static bool survey_real(struct survey *s, const struct wm_addr *real, struct wm_err *what)
{
	char text[WM_ADDR_TEXT], why[WM_CROSSING_TEXT];
	struct wm_crossing_ask nobody;
	struct wm_crossing c = {};
	const struct wm_port *port;
	struct wm_hop hop;
	uint8_t mac[6];
	size_t i;

	if (wm_neigh__route(s->neigh, real, 0, &hop))
		return false;
	port = wm_crossing__port_of(s->port, s->n, hop.ifindex);
	if (!port || wm_neigh__find(s->neigh, &hop, mac))
		return false;
	wm_crossing__look(&c, s->neigh, s->port, s->n, real, &hop, mac, 0, &nobody);
	if (!c.against)
		return false;
	i = __builtin_ctzll(c.differs ? c.differs : c.against);
	wm_crossing__why(s->neigh, &s->port[i], real, &hop, why);
	wm_err__set(what, -EXDEV, "interface: the next hop of real %s is found by %s, and %s: "
		    "packets leave by the interface that they came in by, so on this machine %s "
		    "does not belong here if it is another link", wm_addr__format(real, text),
		    port->name, why, s->port[i].name);
	return c.differs;
}

static int survey_all(struct survey *s, const struct wm_config *config,
		      void (*warn)(const char *text, void *arg), void *arg, struct wm_err *err)
{
	struct wm_err doubt = {}, what = {};

	for (size_t i = 0; i < config->n_vips; i++) {
		for (size_t k = 0; k < config->vips[i].n_reals; k++) {
			const struct wm_addr *real = &config->vips[i].reals[k].address;

			if (real->family == WM_LOCAL)
				continue;
			if (survey_real(s, real, &what)) {
				*err = what;
				return -EXDEV;
			}
			if (*what.text && !*doubt.text)
				doubt = what;
		}
	}
	if (*doubt.text)
		warn(doubt.text, arg); /* one is enough */
	return 0;
}

static void nothing_heard(void *arg, const struct wm_hop *hop, const uint8_t mac[6])
{
	(void)arg;
	(void)hop;
	(void)mac;
}

int wm_crossing__check(const struct wm_config *config, void (*warn)(const char *text, void *arg),
		       void *arg, struct wm_err *err)
{
	struct survey s = {};
	int ret = 0;

	/* Where there is no rtnetlink, as in a sandbox, nothing can be told. */
	if (config->n_interfaces < 2 || !config->gateway_auto || find_ports(&s, config, NULL) ||
	    wm_neigh__open(&s.neigh, nothing_heard, NULL, NULL))
		return 0;
	ret = survey_all(&s, config, warn, arg, err);
	wm_neigh__close(s.neigh);
	return ret;
}
