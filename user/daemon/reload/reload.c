// SPDX-License-Identifier: GPL-2.0
/*
 * Check everything that can be refused, then change. What was fixed when the
 * program was loaded or attached, or would change the way of every flow, is
 * refused while it runs.
 *
 *   idle -> reading -> finding -> changing -> [leaving ->] idle
 *
 *   reading    a worker reads the file; a large one takes a while, and a file may
 *              be slow to come. Nothing else depends on it yet
 *   finding    the loop goes on, and new next hops have a moment to answer
 *   changing   apply.c plans, on a worker, and carries the plan out
 *   leaving    the NIC gives up rules: all if the queues are others, and the program is on
 *              the old ones still; some where they make way for steering rules. Nothing can
 *              be refused any more
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
#include "attached.h"
#include "health.h"
#include "hops.h"
#include "links.h"
#include "log.h"
#include "monotonic.h"
#include "nic.h"
#include "notify.h"
#include "own.h"
#include "running.h"
#include "steer.h"

#define HOPS_WAIT_NS 500000000ull /* for the next hops of new reals */

enum { LOOK_US = 5 * WM_TIMER_MS };

/* What a worker reads: its own, so that it can be left alone with it. */
struct wm_reading {
	struct wm_reload *reload;
	char *path;
	struct wm_config *config;
	struct wm_own own;
	int error;
	struct wm_err err;
};

/* What a message names when a file would do what has to be confirmed. */
#define FORCE "waymark reload --force"

void wm_reload__warn(const char *text, void *arg)
{
	(void)arg;
	wm_warn("%s", text);
}

static struct wm_dp *dp_of(const struct wm_reload *r)
{
	return r->with.running->dp;
}

/* The one that runs. */
static const struct wm_config *present(const struct wm_reload *r)
{
	return r->with.running->config;
}

/* If next hops are to be found out from now on, begin with what is in use. */
static int follow(const struct wm_reload *r, const struct wm_config *config)
{
	int ret = 0;

	if (config->gateway_auto && !present(r)->gateway_auto)
		ret = wm_adopt__hops(r->with.running, r->with.hops);
	return ret ? ret : wm_hops__add(r->with.hops, config);
}

/* --- queues --- */

static bool same_queues(const struct wm_config *a, const struct wm_config *b)
{
	return !memcmp(a->queues, b->queues, a->n_interfaces * sizeof(*a->queues));
}

/* The program to the queues that it gets; those that it loses it keeps for now. */
static int move_in(const struct wm_reload *r, const struct wm_config *config, struct wm_err *err)
{
	const struct wm_links *links = r->with.links;
	int ret = 0;

	if (same_queues(present(r), config))
		return 0;
	for (size_t i = 0; i < config->n_interfaces && !ret; i++)
		if (links->ifindex[i])
			ret = wm_dp__check_queues(links->name[i], &config->queues[i], err);
	return ret ? ret : wm_dp__place(dp_of(r), config->queues, err);
}

static void move_back(const struct wm_reload *r, const struct wm_config *config)
{
	if (!same_queues(present(r), config) &&
	    !wm_dp__place(dp_of(r), present(r)->queues, NULL))
		wm_dp__vacate(dp_of(r));
}

/* --- the end --- */

static void start(struct wm_reload *reload);

static void finish(struct wm_reload *reload, int ret, const char *text, const char *changes)
{
	wm_apply__hold(reload->with.apply, false);
	reload->state = WM_RELOAD_IDLE;
	reload->count++;
	reload->last_ns = wm_now_ns();
	reload->error = ret;
	snprintf(reload->text, sizeof(reload->text), "%s", text);
	free(reload->changes);
	reload->changes = strdup(changes); /* no memory: the summary has to do */
	if (ret)
		wm_error("configuration not changed: %s", text);
	else
		wm_info("%s read again: %s", reload->with.file, text);
	wm_apply__tell(changes);
	reload->with.ended(reload->with.arg);
	if (reload->again)
		start(reload);
	wm_apply__catch_up(reload->with.apply);
}

/* Nothing has changed. */
static void give_up(struct wm_reload *reload, int ret, const char *text)
{
	move_back(reload, reload->config);
	wm_hops__keep(reload->with.hops, present(reload));
	wm_config__free(reload->config);
	reload->config = NULL;
	finish(reload, ret, text, "");
}

/* --- changing --- */

/* "offload: idle changed; 1 real added". The plan knows vips and reals. */
static void summarise(const struct wm_reload *reload, const char *moved, const char *plan,
		      char *text, size_t size)
{
	char keys[256];

	wm_config__differences(present(reload), reload->config, keys, sizeof(keys));
	if (!*keys)
		snprintf(text, size, "%s%s", moved, plan);
	else if (!strcmp(plan, WM_PLAN_NOTHING))
		snprintf(text, size, "%s%s changed", moved, keys);
	else
		snprintf(text, size, "%s%s changed; %s", moved, keys, plan);
}

static void end_well(void *arg)
{
	struct wm_reload *reload = arg;

	if (reload->moves)
		wm_dp__vacate(dp_of(reload));
	wm_nic__configure(reload->with.nic, present(reload));
	wm_attached__renew(reload->with.attached);
	wm_attached__append(reload->with.attached, reload->summary, sizeof(reload->summary));
	finish(reload, 0, reload->summary, reload->news ? reload->news : "");
}

/* The NIC has no rule any more that leads to a queue that we lose. */
static void take_effect(void *arg)
{
	struct wm_reload *reload = arg;

	wm_steer__configure(reload->with.nic, present(reload));
	wm_nic__when_quiet(reload->with.nic, end_well, reload);
}

/* What plan->summary says, and what is not in the plan: other checks. */
static void change_checks(struct wm_reload *reload, const char *plan, char *text, size_t size)
{
	int n = wm_health__configure(reload->with.health, reload->config);
	bool only = !strcmp(plan, WM_PLAN_NOTHING);

	if (n < 0)
		wm_error("reals are checked as they were before: %s", strerror(-n));
	if (n > 0)
		snprintf(text, size, "%s%schecks of %d vip%s changed", only ? "" : plan,
			 only ? "" : "; ", n, n == 1 ? "" : "s");
	else
		snprintf(text, size, "%s", plan);
}

static void applied(void *arg, int ret, const char *text, const char *changes)
{
	struct wm_reload *reload = arg;
	struct wm_running *running = reload->with.running;
	char done[sizeof(((struct wm_plan *)0)->summary) + 64];

	if (ret) {
		give_up(reload, ret, text);
		return;
	}
	wm_hops__keep(reload->with.hops, reload->config);
	wm_hops__warn(reload->with.hops);
	reload->moves = !same_queues(running->config, reload->config);
	change_checks(reload, text, done, sizeof(done));
	summarise(reload, reload->moves ? "on other queues; " : "", done, reload->summary,
		  sizeof(reload->summary));
	free(reload->news);
	reload->news = strdup(changes);
	wm_config__free(running->config);
	running->config = reload->config;
	reload->config = NULL;
	reload->state = WM_RELOAD_LEAVING;
	if (reload->moves)
		wm_nic__move(reload->with.nic, running->config, take_effect, reload);
	else
		take_effect(reload);
}

/* --- finding --- */

/* The running configuration's word counts: the new one may be somebody else's. */
static const struct wm_guard *guard(struct wm_reload *reload)
{
	reload->guard = (struct wm_guard){ present(reload)->max_removal, FORCE };
	return reload->force ? NULL : &reload->guard;
}

/* Next hops that are found now or were before come along. */
static void look(void *arg)
{
	struct wm_reload *reload = arg;
	struct wm_hops *hops = reload->with.hops;
	struct wm_err err = {};
	int ret = -EBUSY;

	if (!wm_hops__waiting(hops) || wm_now_ns() >= reload->deadline_ns) {
		if (wm_hops__check(hops, reload->config, reload->force ? NULL : FORCE, &err)) {
			give_up(reload, -EXDEV, err.text);
			return;
		}
		ret = wm_apply__start(reload->with.apply, reload->config, guard(reload), applied,
				      reload);
	}
	if (ret == -EBUSY)
		wm_timer__arm(&reload->timer, LOOK_US);
	else if (ret)
		give_up(reload, ret, "out of memory");
	else
		reload->state = WM_RELOAD_CHANGING;
}

static void find(struct wm_reload *reload)
{
	struct wm_err err = {};
	int ret = move_in(reload, reload->config, &err);

	if (!ret) {
		ret = follow(reload, reload->config);
		if (ret)
			wm_err__sys(&err, ret, "cannot follow the next hops");
	}
	if (ret) {
		give_up(reload, ret, err.text);
		return;
	}
	reload->state = WM_RELOAD_FINDING;
	wm_apply__hold(reload->with.apply, true);
	reload->deadline_ns = wm_now_ns() + HOPS_WAIT_NS;
	look(reload);
}

/* --- reading --- */

static void free_reading(struct wm_reading *reading)
{
	if (!reading)
		return;
	wm_config__free(reading->config);
	wm_own__free(&reading->own);
	free(reading->path);
	free(reading);
}

static void read_file(void *arg)
{
	struct wm_reading *r = arg;

	r->error = wm_config__load(r->path, &r->config, &r->err, wm_reload__warn, NULL);
	if (!r->error)
		r->error = wm_own__look(&r->own, r->config, &r->err);
}

static void was_read(void *arg)
{
	struct wm_reading *r = arg;
	struct wm_reload *reload = r->reload;

	reload->reading = NULL;
	if (!r->error)
		r->error = wm_config__may_follow(r->config, present(reload), reload->with.file,
						 &r->err);
	if (!r->error)
		r->error = wm_own__judge(&r->own, r->config, reload->with.running->model,
					 reload->force ? NULL : FORCE, &r->err);
	if (r->error) {
		finish(reload, r->error, r->err.text, "");
	} else {
		reload->config = r->config;
		r->config = NULL;
		find(reload);
	}
	free_reading(r);
}

static void start(struct wm_reload *reload)
{
	struct wm_reading *r = calloc(1, sizeof(*r));
	int ret;

	reload->again = false;
	reload->force = reload->force_again;
	reload->force_again = false;
	wm_notify__reloading();
	if (r) {
		r->reload = reload;
		r->path = strdup(reload->with.file);
	}
	if (!r || !r->path) {
		free_reading(r);
		finish(reload, -ENOMEM, "out of memory", "");
		return;
	}
	reload->state = WM_RELOAD_READING;
	reload->reading = r;
	ret = wm_worker__try(reload->worker, read_file, was_read, r);
	if (ret) {
		reload->reading = NULL;
		free_reading(r);
		finish(reload, ret, "no thread can be had to read the file", "");
	}
}

/* --- from outside --- */

uint64_t wm_reload__request(struct wm_reload *reload, bool force)
{
	bool idle = reload->state == WM_RELOAD_IDLE;
	uint64_t number = reload->count + (idle ? 1 : 2);

	reload->force_again |= force;
	if (idle)
		start(reload);
	else
		reload->again = true;
	return number;
}

int wm_reload__init(struct wm_reload *reload, sd_event *event,
		    const struct wm_reload_parts *with)
{
	int ret = wm_worker__new(&reload->worker, event);

	reload->with = *with;
	return ret ? ret : wm_timer__init(&reload->timer, event, look, reload);
}

void wm_reload__free(struct wm_reload *reload)
{
	bool reading = wm_worker__busy(reload->worker);

	wm_timer__free(&reload->timer);
	wm_worker__abandon(reload->worker);
	if (!reading)
		free_reading(reload->reading);
	wm_config__free(reload->config);
	free(reload->changes);
	free(reload->news);
	*reload = (struct wm_reload){};
}
