// SPDX-License-Identifier: GPL-2.0
/*
 * Check everything that can be refused, then change. What was fixed when the
 * program was loaded or attached, or would change the way of every flow, is
 * refused while it runs.
 *
 *   idle -> reading -> finding -> changing -> idle
 *
 *   reading    a worker reads the file; a large one takes a while, and a file may
 *              be slow to come. Nothing else depends on it yet
 *   finding    the loop goes on, and new next hops have a moment to answer
 *   changing   apply.c plans, on a worker, and carries the plan out
 *
 * A reload that is asked for meanwhile comes after: the file may have changed since
 * it was read. One is enough for all who ask. Each attempt has a number, the count
 * of attempts when it has ended, so whoever asked knows which one was theirs.
 */
#include "reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adopt.h"
#include "apply.h"
#include "control.h"
#include "daemon.h"
#include "log.h"
#include "notify.h"
#include "steer.h"

#define HOPS_WAIT_NS 500000000ull /* for the next hops of new reals */

enum { LOOK_US = 5 * WM_TIMER_MS };

/* What a worker reads: its own, so that it can be left alone with it. */
struct wm_reading {
	struct wm_daemon *daemon;
	char *path;
	struct wm_config *config;
	int error;
	struct wm_err err;
};

void wm_reload__warn(const char *text, void *arg)
{
	(void)arg;
	wm_warn("%s", text);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_interfaces(const struct wm_config *a, const struct wm_config *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++)
		if (strcmp(a->interfaces[i], b->interfaces[i]))
			return false;
	return true;
}

/* The key that differs and must not; NULL: none. */
static const char *fixed_key(const struct wm_config *is, const struct wm_config *will)
{
	if (!same_interfaces(is, will))
		return "interface";
	if (is->mode != will->mode)
		return "mode";
	if (!same_text(is->pin, will->pin))
		return "pin";
	if (!same_text(is->control, will->control))
		return "control";
	if (is->offload.backend != will->offload.backend)
		return "offload: backend";
	if (!same_text(is->offload.sim_pin, will->offload.sim_pin))
		return "offload: sim: pin";
	if (is->flows != will->flows)
		return "flow-table: flows";
	if (!wm_config__same_local(is, will))
		return "local";
	if (is->max_vips != will->max_vips)
		return "limits: vips";
	if (is->max_dests != will->max_dests)
		return "limits: dests";
	if (!wm_addr__equal(&is->source4, &will->source4) ||
	    !wm_addr__equal(&is->source6, &will->source6))
		return "source";
	if (is->ring_seed_v4 != will->ring_seed_v4 || is->ring_seed_v6 != will->ring_seed_v6)
		return "ring-seeds";
	return NULL;
}

/* If next hops are to be found out from now on, begin with what is in use. */
static int follow(struct wm_daemon *d, const struct wm_config *config)
{
	int ret = 0;

	if (config->gateway_auto && !d->config->gateway_auto)
		ret = wm_adopt__hops(d);
	return ret ? ret : wm_hops__add(d->hops, config);
}

/* --- queues --- */

static bool same_queues(const struct wm_config *a, const struct wm_config *b)
{
	return !memcmp(a->queues, b->queues, a->n_interfaces * sizeof(*a->queues));
}

/* The program to the queues that it gets; those that it loses it keeps for now. */
static int move_in(struct wm_daemon *d, const struct wm_config *config, struct wm_err *err)
{
	int ret = 0;

	if (same_queues(d->config, config))
		return 0;
	for (size_t i = 0; i < config->n_interfaces && !ret; i++)
		ret = wm_dp__check_queues(config->interfaces[i], &config->queues[i], err);
	return ret ? ret : wm_dp__place(d->dp, config->queues, err);
}

static void move_back(struct wm_daemon *d, const struct wm_config *config)
{
	if (!same_queues(d->config, config) && !wm_dp__place(d->dp, d->config->queues, NULL))
		wm_dp__vacate(d->dp);
}

/* The rules, and then the program, off the queues that it loses. Says what there is to
 * say of that, to be put in front of the summary. */
static const char *move_out(struct wm_daemon *d, const struct wm_config *config)
{
	bool moves = !same_queues(d->config, config);

	if (moves)
		wm_nic__move(&d->nic, config);
	wm_steer__configure(&d->nic, config);
	if (!moves)
		return "";
	wm_dp__vacate(d->dp);
	return "on other queues; ";
}

/* --- the end --- */

static void start(struct wm_daemon *d);

static void finish(struct wm_daemon *d, int ret, const char *text)
{
	struct wm_reload *reload = &d->reload;

	reload->state = WM_RELOAD_IDLE;
	reload->count++;
	reload->last_ns = wm_now_ns();
	reload->error = ret;
	snprintf(reload->text, sizeof(reload->text), "%s", text);
	if (ret)
		wm_error("configuration not changed: %s", text);
	else
		wm_info("%s read again: %s", d->options->config, text);
	wm_notify__ready(d);
	wm_control__reloaded(d->control);
	if (reload->again)
		start(d);
	wm_apply__catch_up(d);
}

/* Nothing has changed. */
static void give_up(struct wm_daemon *d, int ret, const char *text)
{
	move_back(d, d->reload.config);
	wm_hops__keep(d->hops, d->config);
	wm_config__free(d->reload.config);
	d->reload.config = NULL;
	finish(d, ret, text);
}

/* --- changing --- */

static void applied(struct wm_daemon *d, int ret, const char *text)
{
	struct wm_config *config = d->reload.config;
	char summary[512];

	if (ret) {
		give_up(d, ret, text);
		return;
	}
	wm_hops__keep(d->hops, config);
	wm_hops__warn(d->hops);
	snprintf(summary, sizeof(summary), "%s%s", move_out(d, config), text);
	wm_nic__configure(&d->nic, config);
	wm_config__free(d->config);
	d->config = config;
	d->reload.config = NULL;
	finish(d, 0, summary);
}

/* --- finding --- */

/* Next hops that are found now or were before come along. */
static void look(void *arg)
{
	struct wm_daemon *d = arg;
	struct wm_reload *reload = &d->reload;
	int ret = -EBUSY;

	if (!wm_hops__waiting(d->hops) || wm_now_ns() >= reload->deadline_ns)
		ret = wm_apply__start(d, reload->config, applied);
	if (ret == -EBUSY)
		wm_timer__arm(&reload->timer, LOOK_US);
	else if (ret)
		give_up(d, ret, "out of memory");
	else
		reload->state = WM_RELOAD_CHANGING;
}

static void find(struct wm_daemon *d)
{
	struct wm_err err = {};
	int ret = move_in(d, d->reload.config, &err);

	if (!ret) {
		ret = follow(d, d->reload.config);
		if (ret)
			wm_err__sys(&err, ret, "cannot follow the next hops");
	}
	if (ret) {
		give_up(d, ret, err.text);
		return;
	}
	d->reload.state = WM_RELOAD_FINDING;
	d->reload.deadline_ns = wm_now_ns() + HOPS_WAIT_NS;
	look(d);
}

/* --- reading --- */

static void free_reading(struct wm_reading *reading)
{
	if (!reading)
		return;
	wm_config__free(reading->config);
	free(reading->path);
	free(reading);
}

static void read_file(void *arg)
{
	struct wm_reading *r = arg;

	r->error = wm_config__load(r->path, &r->config, &r->err, wm_reload__warn, NULL);
}

static int check_fixed(const struct wm_daemon *d, const struct wm_config *config,
		       struct wm_err *err)
{
	const char *key = fixed_key(d->config, config);

	if (!key)
		return 0;
	return wm_err__set(err, -EINVAL, "%s: \"%s\" differs from what waymarkd runs with; that is "
			   "fixed while it runs: restart waymarkd (for other sizes of flow-table "
			   "or limits, end one that was started with --detach first)",
			   d->options->config, key);
}

static void was_read(void *arg)
{
	struct wm_reading *r = arg;
	struct wm_daemon *d = r->daemon;

	d->reload.reading = NULL;
	if (!r->error)
		r->error = check_fixed(d, r->config, &r->err);
	if (r->error) {
		finish(d, r->error, r->err.text);
	} else {
		d->reload.config = r->config;
		r->config = NULL;
		find(d);
	}
	free_reading(r);
}

static void start(struct wm_daemon *d)
{
	struct wm_reading *r = calloc(1, sizeof(*r));

	d->reload.again = false;
	wm_notify__reloading();
	if (r) {
		r->daemon = d;
		r->path = strdup(d->options->config);
	}
	if (!r || !r->path) {
		free_reading(r);
		finish(d, -ENOMEM, "out of memory");
		return;
	}
	d->reload.state = WM_RELOAD_READING;
	d->reload.reading = r;
	wm_worker__start(d->reload.worker, read_file, was_read, r);
}

/* --- from outside --- */

uint64_t wm_reload__request(struct wm_daemon *d)
{
	struct wm_reload *reload = &d->reload;
	bool idle = reload->state == WM_RELOAD_IDLE;
	uint64_t number = reload->count + (idle ? 1 : 2);

	if (idle)
		start(d);
	else
		reload->again = true;
	return number;
}

bool wm_reload__changes(const struct wm_daemon *d)
{
	return d->reload.state == WM_RELOAD_FINDING || d->reload.state == WM_RELOAD_CHANGING;
}

int wm_reload__init(struct wm_daemon *d)
{
	int ret = wm_worker__new(&d->reload.worker, d->event);

	return ret ? ret : wm_timer__init(&d->reload.timer, d->event, look, d);
}

void wm_reload__free(struct wm_reload *reload)
{
	bool reading = wm_worker__busy(reload->worker);

	wm_timer__free(&reload->timer);
	wm_worker__abandon(reload->worker);
	if (!reading)
		free_reading(reload->reading);
	wm_config__free(reload->config);
	*reload = (struct wm_reload){};
}
