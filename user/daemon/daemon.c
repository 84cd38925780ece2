// SPDX-License-Identifier: GPL-2.0
/*
 * Start and stop. The order of starting: first what can be refused without
 * touching anything (configuration, lock, control socket, backend), then the data
 * plane, and only when all of it is as configured do we listen to anybody. The
 * control socket takes connections early; they wait until the loop runs.
 *
 * Stopping leaves the program, its maps and the rules in place: packets do not
 * need us. The next start finds them.
 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <waymark/hash.h>

#include "adopt.h"
#include "apply.h"
#include "control.h"
#include "log.h"
#include "notify.h"
#include "sizes.h"
#include "steer.h"

enum {
	HOPS_WAIT_MS = 3000,  /* at start, for the next hops of all reals */
	DETACH_WAIT_MS = 2000, /* at the end, for the NIC to give up its rules */
	SETTLE_WAIT_MS = 500,  /* at start, for it to give up those that are stale */
};

/* What takes the program and its pins away, so that the next start loads anew. */
#define NEW_PROGRAM "run waymarkd --detach, end it, and start again"

uint64_t wm_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

char *wm_daemon__path(const struct wm_config *config, const char *template)
{
	const char *interface = config->interfaces[0], *from;
	size_t size = strlen(template) + 1, len = strlen(interface);
	char *path, *to;

	for (from = template; (from = strstr(from, "%i")); from += 2)
		size += len;
	to = path = malloc(size);
	if (!path)
		return NULL;
	for (from = template; *from;) {
		if (from[0] == '%' && from[1] == 'i') {
			to = stpcpy(to, interface);
			from += 2;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return path;
}

void wm_daemon__fail(struct wm_daemon *d, int code, const char *fmt, ...)
{
	va_list args;

	if (*d->fatal.text)
		return; /* the first reason counts */
	va_start(args, fmt);
	vsnprintf(d->fatal.text, sizeof(d->fatal.text), fmt, args);
	va_end(args);
	sd_event_exit(d->event, code);
}

void wm_daemon__describe(const struct wm_daemon *d, char *text, size_t size)
{
	size_t reals = 0;

	for (size_t i = 0; i < d->config->n_vips; i++)
		reals += d->config->vips[i].n_reals;
	snprintf(text, size, "serving %zu vips with %zu reals on %s%s (%s), offload %s",
		 d->config->n_vips, reals, d->config->interfaces[0],
		 d->config->n_interfaces > 1 ? " and others" : "", wm_dp__mode_name(d->dp),
		 d->nic.ops->name);
}

/* --- start --- */

static enum wm_dp_mode mode_of(const struct wm_daemon *d)
{
	switch (d->options->mode_given ? d->options->mode : d->config->mode) {
	case WM_MODE_NATIVE:
		return WM_DP_NATIVE;
	case WM_MODE_GENERIC:
		return WM_DP_GENERIC;
	case WM_MODE_AUTO:
		break;
	}
	return WM_DP_AUTO;
}

static int open_control(struct wm_daemon *d, struct wm_err *err)
{
	const char *template = d->options->control ? d->options->control : d->config->control;
	char *path = wm_daemon__path(d->config, template);
	int ret;

	if (!path)
		return wm_err__sys(err, -ENOMEM, "control socket");
	ret = wm_control__open(&d->control, path, err);
	free(path);
	return ret;
}

static int check_queues(const struct wm_daemon *d, struct wm_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < d->config->n_interfaces && !ret; i++)
		ret = wm_dp__check_queues(d->config->interfaces[i], &d->config->queues[i], err);
	return ret;
}

/* What can be refused without touching anything. */
static int prepare(struct wm_daemon *d, struct wm_err *err)
{
	int ret;

	ret = sd_event_new(&d->event);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot make an event loop");
	ret = wm_config__load(d->options->config, &d->config, err, wm_reload__warn, NULL);
	if (!ret)
		ret = wm_links__open(&d->links, d->config, err);
	if (!ret)
		ret = wm_lock__take(&d->lock, d->config->interfaces, d->config->n_interfaces, err);
	if (!ret)
		ret = check_queues(d, err);
	if (!ret)
		ret = wm_nic__open(&d->nic, d->config, err);
	if (!ret)
		ret = open_control(d, err);
	return ret;
}

/* An adopted program keeps its sizes; say where they fall short of the file. */
static void compare_sizes(const struct wm_daemon *d, const struct wm_sizes *want)
{
	const struct wm_params *is = wm_dp__params(d->dp);

	if (is->flow_buckets != want->flow_buckets)
		wm_warn("the running program has room for %llu flows, the configuration asks for "
			"%llu; its sizes change only with a new one: " NEW_PROGRAM,
			(unsigned long long)wm_flow_buckets_hold(is->flow_buckets),
			(unsigned long long)d->config->flows);
	if (d->config->max_dests >= 1u << is->dest_bits)
		wm_warn("the running program has room for %u destinations, the configuration asks "
			"for %u; its sizes change only with a new one: " NEW_PROGRAM,
			(1u << is->dest_bits) - 1, d->config->max_dests);
}

static int check_mark_bits(const struct wm_daemon *d, struct wm_err *err)
{
	uint32_t dest_bits = wm_dp__params(d->dp)->dest_bits;

	if (!d->nic.mark_bits || d->nic.mark_bits > dest_bits)
		return 0;
	return wm_err__set(err, -ERANGE, "offload %s: the NIC's marks have %u bits, and the "
			   "program's destination ids alone have %u: %s", d->nic.ops->name,
			   d->nic.mark_bits, dest_bits, wm_dp__adopted(d->dp) ?
			   NEW_PROGRAM :
			   "lower limits.dests or use backend none");
}

/* The program was loaded for marks or for locations, and takes nothing else. */
static int check_locations(const struct wm_daemon *d, struct wm_err *err)
{
	bool has = wm_dp__params(d->dp)->locations, wants = wm_nic__locations(&d->nic);

	if (!wm_nic__works(&d->nic) || has == wants)
		return 0;
	return wm_err__set(err, -EBUSY, "offload %s: packets arrive with %s, and the running "
			   "program was loaded for %s: " NEW_PROGRAM, d->nic.ops->name,
			   wants ? "the location of their rule" : "marks",
			   has ? "locations of rules" : "marks");
}

static int open_data_plane(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_dp_options options = {
		.interfaces = (const char *const *)d->config->interfaces,
		.n_interfaces = d->config->n_interfaces,
		.queues = d->config->queues,
		.mode = mode_of(d),
		.locations = wm_nic__locations(&d->nic),
	};
	struct wm_sizes sizes;
	char *pin;
	int ret;

	wm_sizes__choose(&sizes, d->config, wm_nic__mark_bits(&d->nic));
	options.dest_bits = sizes.dest_bits;
	options.flow_buckets = sizes.flow_buckets;
	options.vip_bits = sizes.vip_bits;
	options.rings = sizes.rings;
	pin = wm_daemon__path(d->config, d->config->pin);
	if (!pin)
		return wm_err__sys(err, -ENOMEM, "data plane");
	options.pin = pin;
	ret = wm_dp__open(&d->dp, &options, err);
	free(pin);
	if (ret)
		return ret;
	if (wm_dp__adopted(d->dp))
		compare_sizes(d, &sizes);
	ret = check_mark_bits(d, err);
	return ret ? ret : check_locations(d, err);
}

static void on_hops(void *arg)
{
	wm_apply__hops(arg);
}

/* The data plane as the configuration says. */
static int make_true(struct wm_daemon *d, struct wm_err *err)
{
	char summary[256];
	int ret;

	ret = wm_hops__new(&d->hops, d->event, d->links.ifindex, d->links.n, on_hops, d, err);
	if (!ret)
		ret = wm_nic__start(d, err);
	if (!ret)
		ret = wm_adopt__model(d, err);
	if (ret)
		return ret;
	if (wm_apply__init(d) < 0 || wm_reload__init(d) < 0)
		return wm_err__sys(err, -ENOMEM, "cannot prepare for changes");
	if (wm_retire__init(d) < 0 || wm_hops__add(d->hops, d->config))
		return wm_err__sys(err, -ENOMEM, "cannot follow the next hops");
	wm_hops__wait(d->hops, HOPS_WAIT_MS);
	wm_hops__warn(d->hops);
	if (!wm_model__n_vips(d->model))
		wm_apply__control_page(d, d->config);
	ret = wm_apply__config(d, d->config, summary, sizeof(summary), err);
	if (ret)
		return ret;
	wm_hops__keep(d->hops, d->config);
	wm_info("%s: %s", d->options->config, summary);
	ret = wm_nic__reconcile(d, err);
	if (ret)
		return ret;
	/* The running program may be where it does not belong any more; rules that lead
	 * there go first. */
	wm_nic__settle(&d->nic, SETTLE_WAIT_MS);
	wm_steer__configure(&d->nic, d->config);
	wm_dp__vacate(d->dp);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
	(void)source;
	(void)info;
	wm_reload__request(arg); /* the log will say how that went */
	return 0;
}

static int listen_to_signals(struct wm_daemon *d, struct wm_err *err)
{
	int ret;

	/* No function: the loop ends. The signals are blocked, see main(). */
	ret = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL);
	if (ret >= 0)
		ret = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL);
	if (ret >= 0)
		ret = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
	if (ret >= 0)
		ret = sd_event_set_watchdog(d->event, true);
	return ret < 0 ? wm_err__sys(err, ret, "cannot wait for signals") : 0;
}

int wm_daemon__start(struct wm_daemon *d, const struct wm_daemon_options *options,
		     struct wm_err *err)
{
	char text[256];
	int ret;

	*d = (struct wm_daemon){ .options = options, .started_ns = wm_now_ns() };
	ret = prepare(d, err);
	if (!ret)
		ret = open_data_plane(d, err);
	if (!ret)
		ret = wm_local__prepare(d, err);
	if (!ret)
		ret = make_true(d, err);
	if (!ret)
		ret = wm_events__start(d, err);
	if (!ret)
		ret = wm_links__start(d, err);
	if (!ret)
		wm_queuewatch__start(d);
	if (!ret)
		ret = wm_local__open(d, &d->local, err);
	if (!ret)
		ret = listen_to_signals(d, err);
	if (!ret)
		ret = wm_control__serve(d->control, d, err);
	if (ret) {
		/* Nothing that did not run before shall run because of us. */
		if (d->dp && !wm_dp__adopted(d->dp)) {
			wm_steer__off(&d->nic);
			wm_dp__detach(d->dp, NULL);
		}
		return ret;
	}
	wm_daemon__describe(d, text, sizeof(text));
	wm_info("%s", text);
	wm_notify__ready(d);
	return 0;
}

int wm_daemon__run(struct wm_daemon *d)
{
	int ret = sd_event_loop(d->event);

	if (ret < 0 && !*d->fatal.text)
		wm_err__sys(&d->fatal, ret, "the event loop failed");
	wm_notify__stopping();
	if (!d->options->detach || ret < 0)
		return ret;
	if (wm_nic__retire_all(&d->nic, DETACH_WAIT_MS))
		wm_warn("offload %s: the NIC kept some rules", d->nic.ops->name);
	wm_steer__off(&d->nic);
	ret = wm_dp__detach(d->dp, &d->fatal);
	if (!ret)
		wm_info("the data plane is detached");
	return ret;
}

void wm_daemon__stop(struct wm_daemon *d)
{
	wm_control__close(d->control);
	wm_local__close(d->local);
	wm_reload__free(&d->reload);
	wm_apply__free(&d->apply);
	wm_queuewatch__stop(&d->queuewatch);
	wm_links__close(&d->links);
	wm_events__stop(&d->events);
	wm_retire__free(&d->retire);
	wm_nic__stop(&d->nic);
	wm_hops__free(d->hops);
	wm_model__free(d->model);
	wm_dp__close(d->dp);
	wm_lock__release(&d->lock);
	wm_config__free(d->config);
	sd_event_unref(d->event);
	*d = (struct wm_daemon){};
}
