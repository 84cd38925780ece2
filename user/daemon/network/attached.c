// SPDX-License-Identifier: GPL-2.0
/*
 * Anybody with the right to may take the program off an interface or put another one in
 * its place, and packets do not complain. So what is attached is never taken from memory:
 * the kernel is asked when it tells of a link, and every two seconds besides, because
 * notifications can be lost. What has changed goes into the log and to the service manager;
 * `waymark status` says it, and ends with an exit code of its own.
 *
 * A program that was taken off is attached again (`attach: keep`), at once the first time
 * and at most once a second after that: there may be somebody who takes it off each time.
 * With `attach: once` it stays off until a reload or a restart. Another program that was put
 * there is somebody's: it stays, and ours comes back when it has gone. The same holds where
 * libxdp's dispatcher called ours, since xdp-loader attaches there, and for single queues.
 */
#include "attached.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "links.h"
#include "log.h"
#include "monotonic.h"
#include "running.h"
#include "veth.h"

enum {
	LOOK_US = 2000 * WM_TIMER_MS,
	AGAIN_NS = 1000000000, /* between two attempts */
};

static const char *name_of(const struct wm_attached *attached, size_t i)
{
	return attached->links->name[i];
}

static const struct wm_config *config_of(const struct wm_attached *attached)
{
	return attached->running->config;
}

/* --- in words --- */

static void describe(const struct wm_dp_state *is, char *text, size_t size)
{
	switch (is->service) {
	case WM_DP_SERVED:
		*text = '\0';
		break;
	case WM_DP_ABSENT:
		snprintf(text, size, "there is no such interface");
		break;
	case WM_DP_BARE:
		snprintf(text, size, "no XDP program is attached");
		break;
	case WM_DP_FOREIGN:
		snprintf(text, size, "XDP program %s (id %u) is attached in place of this daemon's",
			 *is->prog_name ? is->prog_name : "?", is->prog_id);
		break;
	case WM_DP_UNCALLED:
		snprintf(text, size, "libxdp's dispatcher does not call waymark any more");
		break;
	}
}

void wm_attached__text(const struct wm_attached *attached, size_t i, char *text, size_t size)
{
	const struct wm_attached_port *port = &attached->port[i];
	char what[128];

	describe(&port->is, what, sizeof(what));
	if (!*what)
		*text = '\0';
	else if (port->is.service == WM_DP_BARE && *port->why.text)
		snprintf(text, size, "%s: %s, and attaching it again failed: %s",
			 name_of(attached, i), what, port->why.text);
	else
		snprintf(text, size, "%s: %s", name_of(attached, i), what);
}

void wm_attached__append(const struct wm_attached *attached, char *text, size_t size)
{
	const char *before = "; NOT SERVED: ";
	char one[WM_ATTACHED_TEXT];
	size_t len = strlen(text);

	for (size_t i = 0; i < attached->n && len < size; i++) {
		wm_attached__text(attached, i, one, sizeof(one));
		if (!*one)
			continue;
		len += snprintf(text + len, size - len, "%s%s", before, one);
		before = ", ";
	}
}

const char *wm_attached__mode(const struct wm_attached *attached)
{
	size_t generic = 0, served = 0;

	for (size_t i = 0; i < attached->n; i++) {
		const struct wm_dp_state *is = &attached->port[i].is;

		served += is->service == WM_DP_SERVED;
		generic += is->service == WM_DP_SERVED && is->generic;
	}
	if (!served)
		return "none";
	if (!generic)
		return wm_xdp_mode_words[WM_XDP_NATIVE];
	return generic == served ? wm_xdp_mode_words[WM_XDP_GENERIC] : "mixed";
}

uint64_t wm_attached__times(const struct wm_attached *attached)
{
	uint64_t times = 0;

	for (size_t i = 0; i < attached->n; i++)
		times += attached->port[i].times;
	return times;
}

/* --- what has changed --- */

static bool keeps(const struct wm_attached *attached)
{
	return config_of(attached)->attach == WM_ATTACH_KEEP;
}

/* linkwatch.c speaks of interfaces that come and go, and queuewatch.c of queues. */
static void tell(const struct wm_attached *attached, size_t i)
{
	const struct wm_dp_state *is = &attached->port[i].is;
	const char *name = name_of(attached, i);

	switch (is->service) {
	case WM_DP_SERVED:
		wm_info("interface %s is served again (program %u)", name, is->prog_id);
		break;
	case WM_DP_ABSENT:
		break;
	case WM_DP_BARE:
		if (!wm_queueset__count(&config_of(attached)->queues[i]))
			wm_error("somebody took the program off %s: nothing is balanced there%s",
				 name, keeps(attached) ? "" :
				 " (waymark reload attaches it again)");
		break;
	case WM_DP_FOREIGN:
		wm_error("somebody put XDP program %s (id %u) on %s in place of this daemon's: "
			 "nothing is balanced there (ip link set dev %s xdp off takes it off%s)",
			 is->prog_name, is->prog_id, name, name,
			 keeps(attached) ? "" : "; then waymark reload");
		break;
	case WM_DP_UNCALLED:
		wm_error("libxdp's dispatcher on %s does not call waymark any more: nothing is "
			 "balanced there (put it back with xdp-loader, or take the dispatcher off "
			 "and restart waymarkd)", name);
		break;
	}
}

/* The service manager hears of all that the log is told. */
static void look(struct wm_attached *attached, size_t i)
{
	struct wm_attached_port *port = &attached->port[i];
	struct wm_dp_state is = port->is, was = port->is;

	if (wm_dp__look(attached->running->dp, i, &is))
		return; /* asked again soon */
	if (is.service == was.service && is.prog_id == was.prog_id && is.generic == was.generic)
		return;
	port->is = is;
	if (was.service != WM_DP_ABSENT || is.service > WM_DP_BARE)
		tell(attached, i);
	attached->changed(attached->arg);
}

/* --- attach again --- */

static bool lacks(const struct wm_attached *attached, size_t i)
{
	return attached->port[i].is.service == WM_DP_BARE &&
	       !wm_queueset__count(&config_of(attached)->queues[i]);
}

int wm_attached__again(struct wm_attached *attached, size_t i, struct wm_err *err)
{
	struct wm_attached_port *port = &attached->port[i];
	int ret;

	port->next_ns = wm_now_ns() + AGAIN_NS;
	ret = wm_dp__attach_again(attached->running->dp, i, name_of(attached, i), err);
	if (!ret)
		*err = (struct wm_err){};
	port->why = *err;
	look(attached, i);
	return ret;
}

/* Where it fails, one line a cause is enough. */
static void attach(struct wm_attached *attached, size_t i)
{
	struct wm_attached_port *port = &attached->port[i];
	struct wm_err before = port->why, err = {};

	if (!wm_attached__again(attached, i, &err))
		port->times++;
	else if (port->is.service == WM_DP_BARE && strcmp(err.text, before.text))
		wm_error("interface %s is not served: %s", name_of(attached, i), err.text);
}

void wm_attached__check(struct wm_attached *attached, size_t i)
{
	struct wm_attached_port *port = &attached->port[i];
	uint64_t now = wm_now_ns();

	look(attached, i);
	if (!lacks(attached, i) || !keeps(attached))
		return;
	if (now >= port->next_ns)
		attach(attached, i);
	else
		wm_timer__arm_within(&attached->timer, (port->next_ns - now) / 1000 + 1);
}

void wm_attached__check_all(struct wm_attached *attached)
{
	for (size_t i = 0; i < attached->n; i++)
		wm_attached__check(attached, i);
}

void wm_attached__renew(struct wm_attached *attached)
{
	for (size_t i = 0; i < attached->n; i++) {
		look(attached, i);
		if (lacks(attached, i))
			attach(attached, i);
	}
}

static void on_time(void *arg)
{
	struct wm_attached *attached = arg;

	wm_attached__check_all(attached);
	wm_timer__arm_within(&attached->timer, LOOK_US);
}

static void warn_of_veth(const struct wm_attached *attached, size_t i)
{
	const struct wm_dp_state *is = &attached->port[i].is;

	if (is->service == WM_DP_SERVED)
		wm_veth__warn(name_of(attached, i), !is->generic);
}

int wm_attached__start(struct wm_attached *attached, sd_event *event,
		       const struct wm_running *running, const struct wm_links *links,
		       void (*changed)(void *arg), void *arg, struct wm_err *err)
{
	size_t n = running->config->n_interfaces;
	int ret;

	*attached = (struct wm_attached){ .running = running, .links = links, .changed = changed,
					  .arg = arg };
	attached->port = calloc(n, sizeof(*attached->port));
	if (!attached->port)
		return wm_err__sys(err, -ENOMEM, "cannot watch the program");
	attached->n = n;
	for (size_t i = 0; i < attached->n; i++) {
		ret = wm_dp__look(attached->running->dp, i, &attached->port[i].is);
		if (ret)
			return wm_err__sys(err, ret, "cannot ask %s for its XDP program",
					   name_of(attached, i));
		warn_of_veth(attached, i);
	}
	ret = wm_timer__init(&attached->timer, event, on_time, attached);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot make a timer");
	wm_timer__arm(&attached->timer, LOOK_US);
	return 0;
}

void wm_attached__stop(struct wm_attached *attached)
{
	wm_timer__free(&attached->timer);
	free(attached->port);
	*attached = (struct wm_attached){};
}
