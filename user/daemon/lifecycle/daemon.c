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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/hash.h>

#include "adopt.h"
#include "apply.h"
#include "control.h"
#include "log.h"
#include "notify.h"
#include "own.h"
#include "sizes.h"
#include "steer.h"

enum {
	HOPS_WAIT_MS = 3000,  /* at start, for the next hops of all reals */
	DETACH_WAIT_MS = 2000, /* at the end, for the NIC to give up its rules */
	SETTLE_WAIT_MS = 500,  /* at start, for it to give up those that are stale */
};

/* What puts a new program in the place of the running one. */
#define NEW_PROGRAM "start waymarkd once with --new-program (its flow table begins empty)"

/* For log and sd_notify's STATUS. */
enum { DESCRIPTION = 768 };

static void describe(const struct wm_daemon *d, char *text, size_t size)
{
	const struct wm_config *config = d->running.config;
	size_t reals = 0;

	for (size_t i = 0; i < config->n_vips; i++)
		reals += config->vips[i].n_reals;
	snprintf(text, size, "serving %zu vips with %zu reals on %s%s (%s), offload %s",
		 config->n_vips, reals, d->links.name[0],
		 config->n_interfaces > 1 ? " and others" : "", wm_attached__mode(&d->attached),
		 d->nic.ops->name);
	wm_attached__append(&d->attached, text, size);
}

static bool reload_failed(const struct wm_daemon *d)
{
	return d->reload.last_ns && d->reload.error;
}

/* How we do has changed. */
static void on_status(void *arg)
{
	const struct wm_daemon *d = arg;
	char text[DESCRIPTION];

	describe(d, text, sizeof(text));
	wm_notify__status(text, reload_failed(d));
}

/* We serve, or a reload has ended. */
static void tell_ready(const struct wm_daemon *d)
{
	char text[DESCRIPTION];

	describe(d, text, sizeof(text));
	wm_notify__ready(text, reload_failed(d));
}

/* --- start --- */

static int open_control(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_config *config = d->running.config;
	const char *template = d->options->control ? d->options->control : config->control;
	char *path = wm_config__path(config, template);
	int ret;

	if (!path)
		return wm_err__sys(err, -ENOMEM, "control socket");
	ret = wm_control__open(&d->control, path, d->options->answers, err);
	free(path);
	return ret;
}

/* Those that are there; linkwatch.c locks one that comes. */
static int lock_interfaces(struct wm_daemon *d, struct wm_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < d->running.config->n_interfaces && !ret; i++)
		if (d->links.ifindex[i])
			ret = wm_lock__interface(&d->lock, d->running.config->interfaces[i], err);
	return ret;
}

static int check_queues(const struct wm_daemon *d, struct wm_err *err)
{
	int ret = 0;

	for (size_t i = 0; i < d->running.config->n_interfaces && !ret; i++)
		if (d->links.ifindex[i])
			ret = wm_dp__check_queues(d->running.config->interfaces[i],
						  &d->running.config->queues[i], err);
	return ret;
}

/* From here on there is something to leave in order. */
static void hold_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What can be refused without touching anything. */
static int prepare(struct wm_daemon *d, struct wm_err *err)
{
	int ret;

	ret = sd_event_new(&d->event);
	if (ret < 0)
		return wm_err__sys(err, ret, "cannot make an event loop");
	/* A file system may let us wait for as long as it likes. */
	ret = wm_config__load(d->options->config, &d->running.config, err, wm_reload__warn, NULL);
	hold_signals();
	if (!ret)
		ret = wm_links__open(&d->links, d->running.config, err);
	if (!ret)
		ret = lock_interfaces(d, err);
	if (!ret)
		ret = check_queues(d, err);
	if (!ret)
		ret = wm_nic__open(&d->nic, d->running.config, err);
	if (!ret)
		ret = open_control(d, err);
	return ret;
}

/* An adopted program keeps its sizes; say where they fall short of the file. */
static void compare_sizes(const struct wm_daemon *d, const struct wm_sizes *want)
{
	const struct wm_params *is = wm_dp__params(d->running.dp);

	if (is->flow_buckets != want->flow_buckets)
		wm_warn("the running program has room for %llu flows, the configuration asks for "
			"%llu; its sizes change only with a new one: " NEW_PROGRAM,
			(unsigned long long)wm_flow_buckets_hold(is->flow_buckets),
			(unsigned long long)d->running.config->flows);
	if (d->running.config->max_dests >= 1u << is->dest_bits)
		wm_warn("the running program has room for %u destinations, the configuration asks "
			"for %u; its sizes change only with a new one: " NEW_PROGRAM,
			(1u << is->dest_bits) - 1, d->running.config->max_dests);
}

static int check_mark_bits(const struct wm_daemon *d, struct wm_err *err)
{
	uint32_t dest_bits = wm_dp__params(d->running.dp)->dest_bits;

	if (!d->nic.mark_bits || d->nic.mark_bits > dest_bits)
		return 0;
	return wm_err__set(err, -ERANGE, "offload %s: the NIC's marks have %u bits, and the "
			   "program's destination ids alone have %u: %s", d->nic.ops->name,
			   d->nic.mark_bits, dest_bits, wm_dp__adopted(d->running.dp) ?
			   NEW_PROGRAM :
			   "lower limits.dests or use backend none");
}

/* The program was loaded for marks or for locations, and takes nothing else. */
static int check_locations(const struct wm_daemon *d, struct wm_err *err)
{
	bool has = wm_dp__params(d->running.dp)->locations, wants = wm_nic__locations(&d->nic);

	if (!wm_nic__works(&d->nic) || has == wants)
		return 0;
	return wm_err__set(err, -EBUSY, "offload %s: packets arrive with %s, and the running "
			   "program was loaded for %s: " NEW_PROGRAM, d->nic.ops->name,
			   wants ? "the location of their rule" : "marks",
			   has ? "locations of rules" : "marks");
}

/* `fn` with the data plane's options, which point into the configuration. */
static int with_options(struct wm_daemon *d, const struct wm_sizes *sizes,
			int (*fn)(struct wm_daemon *d, const struct wm_dp_options *options,
				  struct wm_err *err), struct wm_err *err)
{
	struct wm_dp_options options = {
		.interfaces = (const char *const *)d->running.config->interfaces,
		.n_interfaces = d->running.config->n_interfaces,
		.queues = d->running.config->queues,
		.mode = d->options->mode_given ? d->options->mode : d->running.config->mode,
		.locations = wm_nic__locations(&d->nic),
		.mac_lane = wm_nic__mac_lane(&d->nic),
		.perf_events = d->running.config->offload.events == WM_EVENTS_PERF,
		.no_kfunc = d->nic.lane == WM_LANE_MAC || d->nic.lane == WM_LANE_META,
		.dest_bits = sizes->dest_bits,
		.flow_buckets = sizes->flow_buckets,
		.vip_bits = sizes->vip_bits,
		.rings = sizes->rings,
		.fresh = d->fresh,
	};
	char *pin = wm_config__path(d->running.config, d->running.config->pin);
	int ret;

	if (!pin)
		return wm_err__sys(err, -ENOMEM, "data plane");
	options.pin = pin;
	ret = fn(d, &options, err);
	free(pin);
	return ret;
}

static int open_dp(struct wm_daemon *d, const struct wm_dp_options *options, struct wm_err *err)
{
	return wm_dp__open(&d->running.dp, options, err);
}

static int switch_dp(struct wm_daemon *d, const struct wm_dp_options *options, struct wm_err *err)
{
	return wm_dp__switch(d->running.dp, options, err);
}

/* Why another program has to take the place of the running one; NULL: it suits. */
static const char *misfit(const struct wm_daemon *d, const struct wm_sizes *sizes)
{
	const struct wm_params *is = wm_dp__params(d->running.dp);
	bool lane = wm_nic__mac_lane(&d->nic);

	if (!wm_sizes__suffice(is, d->running.config))
		return "has no room for this file: a larger one";
	if ((d->running.config->offload.events == WM_EVENTS_PERF) != !!is->perf_events)
		return "tells of events in another way: one that does as this file says";
	if (lane && !is->mac_prefix)
		return "takes no marks from source addresses: one that does";
	/* That costs each packet a compare, and is no reason to lose flows. */
	if (!lane && is->mac_prefix && sizes->flow_buckets == is->flow_buckets)
		return "takes marks from source addresses: one that does not";
	return NULL;
}

/* Another program beside the running one, with its flows. */
static int replace(struct wm_daemon *d, struct wm_sizes *sizes, const char *why,
		   struct wm_err *err)
{
	const struct wm_params is = *wm_dp__params(d->running.dp);
	bool same_marks;
	int ret;

	if (sizes->flow_buckets != is.flow_buckets)
		return wm_err__set(err, -ENOSPC, "the running program %s has to take its place, "
				   "which can take its flows over only if flow-table: flows "
				   "stays as it was: leave that (room for %llu), or " NEW_PROGRAM,
				   why, (unsigned long long)wm_flow_buckets_hold(is.flow_buckets));
	wm_sizes__grow(sizes, &is);
	wm_dp__close(d->running.dp);
	d->running.dp = NULL;
	d->fresh = true;
	ret = with_options(d, sizes, open_dp, err);
	if (ret)
		return ret;
	if (wm_dp__carried(d->running.dp, &same_marks))
		wm_info("the running program %s takes its place, and flows stay", why);
	else
		wm_warn("the running program %s takes its place, with an empty flow table", why);
	return 0;
}

static int open_data_plane(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_sizes sizes;
	const char *why;
	int ret;

	d->fresh = d->options->new_program;
	wm_sizes__choose(&sizes, d->running.config, wm_nic__mark_bits(&d->nic));
	ret = with_options(d, &sizes, open_dp, err);
	if (ret)
		return ret;
	why = d->fresh || !wm_dp__adopted(d->running.dp) ? NULL : misfit(d, &sizes);
	ret = why ? replace(d, &sizes, why, err) : 0;
	if (ret)
		return ret;
	if (wm_dp__adopted(d->running.dp))
		compare_sizes(d, &sizes);
	ret = check_mark_bits(d, err);
	return ret ? ret : check_locations(d, err);
}

/* The new program's tables are as configured: now it may have packets. */
static int switch_program(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_sizes sizes;

	if (!d->fresh)
		return 0;
	wm_sizes__choose(&sizes, d->running.config, wm_nic__mark_bits(&d->nic));
	return with_options(d, &sizes, switch_dp, err);
}

/* Other next hops, local consumers or results of checks, or other entries for all of them. */
static void on_entries(void *arg)
{
	struct wm_daemon *d = arg;

	wm_apply__again(&d->apply);
}

static void on_network(void *arg)
{
	struct wm_daemon *d = arg;

	wm_ownaddr__look(&d->ownaddr);
	wm_hops__look_again(d->hops, d->uplinks.vrf);
}

static int open_uplinks(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_uplinks_parts with = {
		.running = &d->running, .links = &d->links, .vlan = &d->vlan,
		.mtu_changed = on_entries, .changed = on_network, .arg = d,
	};

	return wm_uplinks__open(&d->uplinks, d->event, &with, !d->options->force, err);
}

/* What packets of the machine itself the vips would take. */
static int judge_own(struct wm_daemon *d, struct wm_err *err)
{
	struct wm_own own;
	int ret = wm_own__look(&own, d->running.config, err);

	if (!ret)
		ret = wm_own__judge(&own, d->running.config, d->running.model,
				    d->options->force ? NULL : "waymarkd --force", err);
	wm_own__free(&own);
	return ret;
}

static void on_counted(void *arg)
{
	const struct wm_daemon *d = arg;

	wm_control__counted(d->control, d->live.number);
}

static void on_by_hand(void *arg, uint64_t number)
{
	const struct wm_daemon *d = arg;

	wm_control__changed(d->control, number);
}

static void on_reloaded(void *arg)
{
	struct wm_daemon *d = arg;

	wm_byhand__forget(&d->byhand);
	wm_metrics__configure(d->metrics, &d->running.config->metrics);
	tell_ready(d);
	wm_control__reloaded(d->control, d->reload.count);
}

static int init_changes(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_apply_parts apply = {
		.running = &d->running, .file = d->options->config, .uplinks = &d->uplinks,
		.hops = d->hops, .local = d->local, .health = d->health, .admin = &d->admin,
		.nic = &d->nic,
		.retire = &d->retire, .ownaddr = &d->ownaddr,
	};
	const struct wm_reload_parts reload = {
		.running = &d->running, .file = d->options->config, .links = &d->links,
		.hops = d->hops, .nic = &d->nic, .attached = &d->attached, .apply = &d->apply,
		.health = d->health, .ended = on_reloaded, .arg = d,
	};
	const struct wm_byhand_parts byhand = {
		.running = &d->running, .apply = &d->apply, .health = d->health,
		.admin = &d->admin, .ended = on_by_hand, .arg = d,
	};
	int ret = wm_apply__init(&d->apply, d->event, &apply);

	if (ret >= 0)
		ret = wm_byhand__init(&d->byhand, d->event, &byhand);
	if (ret >= 0)
		ret = wm_reload__init(&d->reload, d->event, &reload);
	if (ret >= 0)
		ret = wm_retire__init(&d->retire, d->event, &d->running, &d->nic);
	if (ret >= 0)
		ret = wm_live__init(&d->live, d->event, &d->running, &d->nic, on_counted, d);
	if (ret >= 0)
		ret = wm_ownaddr__init(&d->ownaddr, d->event, &d->running, d->hops);
	return ret < 0 ? wm_err__sys(err, ret, "cannot prepare for changes") : 0;
}

/* The running ring says what is known before the first results come. */
static int start_checks(struct wm_daemon *d, struct wm_err *err)
{
	int ret = wm_health__configure(d->health, d->running.config);

	if (ret >= 0)
		ret = wm_health__adopt(d->health, d->running.model, d->running.dp);
	return ret < 0 ? wm_err__sys(err, ret, "cannot check the health of reals") : 0;
}

/* The parts that the model and its tables are made for, and the model of what runs. */
static int open_parts(struct wm_daemon *d, struct wm_err *err)
{
	int ret = open_uplinks(d, err);

	if (!ret)
		ret = wm_hops__new(&d->hops, d->event, d->links.ifindex, d->uplinks.port,
				   d->links.n, d->uplinks.vrf, on_entries, d, err);
	if (!ret)
		ret = wm_nic__start(&d->nic, d->event, &d->running, err);
	if (!ret)
		ret = wm_adopt__model(&d->running, wm_nic__mark_bits(&d->nic), d->hops, err);
	if (!ret)
		ret = judge_own(d, err);
	if (ret)
		return ret;
	ret = wm_health__new(&d->health, d->event, &d->admin, on_entries, d);
	if (ret)
		return wm_err__sys(err, ret, "cannot check the health of reals");
	return init_changes(d, err);
}

/* Which reals can be reached, before one of them gets a packet. */
static int look_around(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_config *config = d->running.config;
	int ret;

	if (wm_hops__add(d->hops, config))
		return wm_err__sys(err, -ENOMEM, "cannot follow the next hops");
	wm_hops__wait(d->hops, HOPS_WAIT_MS);
	wm_hops__warn(d->hops);
	ret = wm_hops__check(d->hops, config, d->options->force ? NULL : "waymarkd --force",
			     err);
	if (ret)
		return ret;
	wm_uplinks__tell(&d->uplinks);
	return start_checks(d, err);
}

/* The configuration takes the place of what runs, in tables and NIC. */
static int apply_config(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_config *config = d->running.config;
	const struct wm_guard guard = {
		config->max_removal, "waymarkd --force, or max-removal: 100% in the file",
	};
	int ret;

	if (!wm_model__n_vips(d->running.model))
		wm_apply__control_page(&d->apply, config);
	ret = wm_apply__config(&d->apply, config, d->options->force ? NULL : &guard, err);
	if (ret)
		return ret;
	wm_hops__keep(d->hops, config);
	return wm_nic__reconcile(&d->nic, err);
}

/* The program that belongs to it, and no other: where marks that the old one knows may mean
 * something else to the new one, their rules go first. */
static int change_program(struct wm_daemon *d, struct wm_err *err)
{
	bool same_marks, begin_anew;
	int ret;

	wm_dp__carried(d->running.dp, &same_marks);
	begin_anew = d->fresh && !same_marks;
	if (begin_anew && wm_nic__retire_all(&d->nic, DETACH_WAIT_MS))
		wm_warn("offload %s: the NIC kept some rules", d->nic.ops->name);
	ret = switch_program(d, err);
	if (ret)
		return ret;
	if (begin_anew) { /* flows may have rules again, by their new marks */
		wm_dp__flow_release(d->running.dp, NULL);
		wm_nic__configure(&d->nic, d->running.config);
	}
	return 0;
}

/* The data plane as the configuration says. */
static int make_true(struct wm_daemon *d, struct wm_err *err)
{
	int ret = open_parts(d, err);

	if (!ret)
		ret = look_around(d, err);
	if (!ret)
		ret = apply_config(d, err);
	if (!ret)
		ret = change_program(d, err);
	if (ret)
		return ret;
	/* The running program may be where it does not belong any more; rules that lead
	 * there go first. */
	wm_nic__settle(&d->nic, SETTLE_WAIT_MS);
	wm_steer__configure(&d->nic, d->running.config);
	wm_nic__settle(&d->nic, SETTLE_WAIT_MS); /* where rules make way for those */
	wm_dp__vacate(d->running.dp);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
	struct wm_daemon *d = arg;

	(void)source;
	(void)info;
	wm_reload__request(&d->reload, false); /* the log will say how that went */
	return 0;
}

/* The first reason counts. */
static void on_none_left(void *arg, const char *name)
{
	struct wm_daemon *d = arg;

	if (*d->fatal.text)
		return;
	wm_err__set(&d->fatal, -ENODEV, "interface %s is gone: nothing is left to serve", name);
	sd_event_exit(d->event, -ENODEV);
}

static int watch_links(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_linkwatch_parts with = {
		.running = &d->running, .links = &d->links, .lock = &d->lock, .nic = &d->nic,
		.attached = &d->attached, .uplinks = &d->uplinks, .local = d->local,
		.none_left = on_none_left, .arg = d,
	};

	return wm_linkwatch__start(&d->linkwatch, d->event, &with, err);
}

/* Whatever woke the loop up: there may be room in the log again. */
static int on_woken(sd_event_source *source, void *arg)
{
	(void)source;
	(void)arg;
	wm_log__catch_up();
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
		ret = sd_event_add_post(d->event, NULL, on_woken, NULL);
	if (ret >= 0)
		ret = sd_event_set_watchdog(d->event, true);
	return ret < 0 ? wm_err__sys(err, ret, "cannot wait for signals") : 0;
}

/* --- for the metrics --- */

static void look(void *arg, struct wm_metrics_view *view)
{
	const struct wm_daemon *d = arg;

	*view = (struct wm_metrics_view){
		.model = d->running.model,
		.dp = d->running.dp,
		.nic = &d->nic,
		.mode = wm_attached__mode(&d->attached),
		.started_ns = d->started_ns,
		.reattached = wm_attached__times(&d->attached),
		.events_read = d->events.read,
		.reloads = d->reload.count,
		.reloaded_ns = d->reload.last_ns,
		.reload_failed = d->reload.error,
		.n_interfaces = d->links.n,
	};
}

static const char *interface_served(void *arg, size_t i, bool *served)
{
	const struct wm_daemon *d = arg;
	char text[WM_ATTACHED_TEXT];

	wm_attached__text(&d->attached, i, text, sizeof(text));
	*served = !*text;
	return d->links.name[i];
}

static bool flows_counted(void *arg)
{
	struct wm_daemon *d = arg;

	return !wm_live__want(&d->live);
}

static bool flows_of(void *arg, uint16_t dest, uint32_t *flows)
{
	const struct wm_daemon *d = arg;

	return wm_live__of(&d->live, dest, flows);
}

static void standing_of(void *arg, const struct wm_model_vip *vip,
			const struct wm_model_dest *dest, struct wm_metrics_standing *standing)
{
	const struct wm_service service = { vip->address, vip->port, vip->proto };
	const struct wm_daemon *d = arg;
	const struct wm_admin_entry *e = wm_admin__find(&d->admin, &service, &dest->real);
	struct wm_health_of health = {};

	wm_health__of(d->health, &service, &dest->real, &health);
	*standing = (struct wm_metrics_standing){
		.health = health.state,
		.drained = e && e->state == WM_ADMIN_DRAINED,
		.disabled = e && e->state == WM_ADMIN_DISABLED,
	};
}

static int start_metrics(struct wm_daemon *d, struct wm_err *err)
{
	const struct wm_metrics_source source = {
		look, interface_served, flows_counted, flows_of, standing_of, d,
	};

	d->metrics = wm_metrics__new(d->event, &source);
	if (!d->metrics)
		return wm_err__sys(err, -ENOMEM, "cannot serve metrics");
	wm_metrics__configure(d->metrics, &d->running.config->metrics);
	return 0;
}

int wm_daemon__start(struct wm_daemon *d, const struct wm_daemon_options *options,
		     struct wm_err *err)
{
	char text[DESCRIPTION];
	struct wm_dp *dp;
	bool same_marks;
	int ret;

	*d = (struct wm_daemon){ .options = options, .started_ns = wm_now_ns() };
	ret = prepare(d, err);
	if (!ret)
		ret = open_data_plane(d, err);
	if (!ret)
		ret = wm_local__prepare(&d->local, d->event, &d->running, on_entries, d, err);
	if (!ret)
		ret = make_true(d, err);
	if (!ret)
		ret = wm_events__start(&d->events, d->event, d->running.dp, &d->nic, err);
	if (!ret)
		ret = wm_attached__start(&d->attached, d->event, &d->running, &d->links,
					 on_status, d, err);
	if (!ret)
		ret = watch_links(d, err);
	if (!ret)
		wm_queuewatch__start(&d->queuewatch, d->event, &d->links, &d->running);
	if (!ret)
		ret = wm_local__open(d->local, err);
	if (!ret)
		ret = listen_to_signals(d, err);
	if (!ret)
		ret = start_metrics(d, err);
	if (!ret)
		ret = wm_control__serve(d->control, d->event, d, err);
	if (ret) {
		/* Nothing that did not run before shall run because of us. */
		dp = d->running.dp;
		if (dp && !wm_dp__adopted(dp) && !wm_dp__carried(dp, &same_marks)) {
			wm_steer__off(&d->nic);
			wm_vlan__put_back(&d->vlan);
			wm_dp__detach(dp, NULL);
		}
		return ret;
	}
	describe(d, text, sizeof(text));
	wm_info("%s", text);
	tell_ready(d);
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
	wm_vlan__put_back(&d->vlan);
	ret = wm_dp__detach(d->running.dp, &d->fatal);
	if (!ret)
		wm_info("the data plane is detached");
	return ret;
}

void wm_daemon__stop(struct wm_daemon *d)
{
	wm_metrics__free(d->metrics);
	wm_control__close(d->control);
	wm_local__close(d->local);
	wm_reload__free(&d->reload);
	wm_byhand__free(&d->byhand);
	wm_apply__free(&d->apply);
	wm_queuewatch__stop(&d->queuewatch);
	wm_uplinks__close(&d->uplinks);
	wm_ownaddr__free(&d->ownaddr);
	wm_linkwatch__stop(&d->linkwatch);
	wm_links__close(&d->links);
	wm_attached__stop(&d->attached);
	wm_events__stop(&d->events);
	wm_retire__free(&d->retire);
	wm_health__free(d->health);
	wm_admin__free(&d->admin);
	wm_live__free(&d->live);
	wm_nic__stop(&d->nic);
	wm_hops__free(d->hops);
	wm_model__free(d->running.model);
	wm_dp__close(d->running.dp);
	wm_lock__release(&d->lock);
	wm_config__free(d->running.config);
	sd_event_unref(d->event);
	*d = (struct wm_daemon){};
}
