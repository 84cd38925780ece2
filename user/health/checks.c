// SPDX-License-Identifier: GPL-2.0
#include "checks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "monotonic.h"
#include "run.h"
#include "track.h"

enum {
	ACCURACY_US = 1000,      /* timers so close together fire together */
	FIRST_SPREAD_US = 500,   /* for each check of a list, its first runs are that far apart */
	REFRESH_S = 10,          /* a result like the one before is told that often */
};

#define SECOND 1000000000ull
#define US 1000ull

enum phase { IDLE, WAITING, RUNNING };

struct check {
	struct wm_checks *all;
	struct wm_probe probe;
	struct wm_track track;
	struct wm_run run;
	sd_event_source *timer;
	uint64_t due_us;     /* when the run was to begin, of CLOCK_MONOTONIC */
	enum phase phase;
	struct check *next;  /* of those that wait for their turn */
	struct check *next_news;
	bool has_news;
	int why;             /* of the last result; see wm_run_done */
	enum wm_outcome outcome;
	uint64_t told_ns;
	char said[WM_SAID];
};

struct list {
	struct check **check; /* by ascending id */
	size_t n, size;
};

struct wm_checks {
	sd_event *event;
	struct wm_web *web;
	struct wm_echo *echo;
	struct list list, next; /* `next`: between begin and end */
	size_t running, most;
	bool starting; /* those that waited */
	struct check *turn, **turn_end; /* due, and there is no room to run */
	struct check *told, **told_end; /* have news */
	void (*news)(void *arg);
	void *arg;
	uint64_t random;
};

/* --- chance --- */

/* 0 .. below; not for secrets. */
static uint64_t chance(struct wm_checks *c, uint64_t below)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return below ? c->random % below : 0;
}

static uint64_t next_due_us(struct check *k)
{
	uint64_t interval_us = k->probe.check.interval_ns / US;
	uint64_t swing = interval_us * k->probe.check.jitter / 100;

	return k->due_us + interval_us - swing + chance(k->all, 2 * swing + 1);
}

/* --- news --- */

static void tell(struct check *k)
{
	struct wm_checks *c = k->all;

	if (k->has_news)
		return;
	k->has_news = true;
	k->next_news = NULL;
	*c->told_end = k;
	c->told_end = &k->next_news;
	c->news(c->arg);
}

static struct check *take_news(struct wm_checks *c)
{
	struct check *k = c->told;

	if (!k)
		return NULL;
	c->told = k->next_news;
	if (!c->told)
		c->told_end = &c->told;
	k->has_news = false;
	return k;
}

bool wm_checks__next(struct wm_checks *c, struct wm_result *result)
{
	struct check *k = take_news(c);

	if (!k)
		return false;
	*result = (struct wm_result){
		.id = k->probe.id, .state = k->track.state, .judged = k->track.judged,
	};
	strcpy(result->said, k->said);
	k->told_ns = wm_now_ns();
	return true;
}

/* --- runs --- */

static void start_waiting(struct wm_checks *c);

static void arm(struct check *k, uint64_t at_us)
{
	sd_event_source_set_time(k->timer, at_us);
	sd_event_source_set_enabled(k->timer, SD_EVENT_ONESHOT);
}

/* A run that began late does not make the next ones early. */
static void wait_for_next(struct check *k)
{
	uint64_t now_us = wm_now_ns() / US;

	k->phase = IDLE;
	k->due_us = next_due_us(k);
	if (k->due_us < now_us)
		k->due_us = now_us;
	arm(k, k->due_us);
}

static void take_result(struct check *k, enum wm_outcome outcome, int why, const char *said)
{
	uint64_t now_ns = wm_now_ns();
	bool news = !k->told_ns || outcome != k->outcome || why != k->why ||
		    now_ns >= k->told_ns + REFRESH_S * SECOND;

	k->outcome = outcome;
	k->why = why;
	snprintf(k->said, sizeof(k->said), "%s", said);
	if (outcome != WM_OUTCOME_UNKNOWN)
		news |= wm_track__result(&k->track, &k->probe.check, outcome == WM_OUTCOME_GOOD,
					 now_ns);
	if (news)
		tell(k);
}

static struct check *check_of(struct wm_run *run)
{
	return (struct check *)((char *)run - offsetof(struct check, run));
}

static void on_done(struct wm_run *run, enum wm_outcome outcome, int why, const char *said)
{
	struct check *k = check_of(run);

	k->all->running--;
	take_result(k, outcome, why, said);
	wait_for_next(k);
	start_waiting(k->all);
}

static void start(struct check *k)
{
	k->phase = RUNNING;
	k->all->running++;
	k->run = (struct wm_run){
		.event = k->all->event, .web = k->all->web, .echo = k->all->echo,
		.probe = &k->probe, .done = on_done,
	};
	arm(k, (wm_now_ns() + k->probe.check.timeout_ns) / US);
	wm_run__start(&k->run);
}

static struct check *take_turn(struct wm_checks *c)
{
	struct check *k = c->turn;

	if (!k)
		return NULL;
	c->turn = k->next;
	if (!c->turn)
		c->turn_end = &c->turn;
	return k;
}

/* A run may end at once, and comes back here: the loop that began it goes on. */
static void start_waiting(struct wm_checks *c)
{
	struct check *k;

	if (c->starting)
		return;
	c->starting = true;
	while (c->running < c->most && (k = take_turn(c)))
		start(k);
	c->starting = false;
}

static void wait_for_turn(struct check *k)
{
	struct wm_checks *c = k->all;

	k->phase = WAITING;
	k->next = NULL;
	*c->turn_end = k;
	c->turn_end = &k->next;
}

static void run_late(struct check *k)
{
	char said[WM_SAID];

	wm_run__late(&k->run, said);
	wm_run__stop(&k->run);
	on_done(&k->run, WM_OUTCOME_BAD, ETIME, said);
}

static int on_time(sd_event_source *source, uint64_t us, void *arg)
{
	struct check *k = arg;

	(void)source;
	(void)us;
	if (k->phase == RUNNING)
		run_late(k);
	else if (k->all->running < k->all->most)
		start(k);
	else
		wait_for_turn(k);
	return 0;
}

/* --- lists --- */

static void remove_from_turn(struct check *k)
{
	struct check **at = &k->all->turn;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	if (!k->next)
		k->all->turn_end = at;
}

static void remove_from_news(struct check *k)
{
	struct check **at = &k->all->told;

	while (*at != k)
		at = &(*at)->next_news;
	*at = k->next_news;
	if (!k->next_news)
		k->all->told_end = at;
}

static void free_check(struct check *k)
{
	if (k->phase == RUNNING) {
		wm_run__stop(&k->run);
		k->all->running--;
	}
	if (k->phase == WAITING)
		remove_from_turn(k);
	if (k->has_news)
		remove_from_news(k);
	sd_event_source_disable_unref(k->timer);
	wm_check__clear(&k->probe.check);
	free(k);
}

static void free_list(struct list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->check[i])
			free_check(list->check[i]);
	free(list->check);
	*list = (struct list){};
}

void wm_checks__begin(struct wm_checks *c)
{
	free_list(&c->next);
}

static struct check *new_check(struct wm_checks *c, struct wm_probe *probe)
{
	struct check *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	k->all = c;
	k->probe = *probe;
	k->track.state = probe->state;
	if (sd_event_add_time(c->event, &k->timer, CLOCK_MONOTONIC, UINT64_MAX, ACCURACY_US,
			      on_time, k) >= 0)
		return k;
	free(k);
	return NULL;
}

int wm_checks__add(struct wm_checks *c, struct wm_probe *probe)
{
	struct list *list = &c->next;
	struct check *k, **grown;

	k = new_check(c, probe);
	if (!k) {
		wm_check__clear(&probe->check);
		return -ENOMEM;
	}
	if (list->n == list->size) {
		grown = realloc(list->check, (2 * list->size + 16) * sizeof(*grown));
		if (!grown) {
			free_check(k);
			return -ENOMEM;
		}
		list->check = grown;
		list->size = 2 * list->size + 16;
	}
	if (list->n && list->check[list->n - 1]->probe.id >= k->probe.id) {
		free_check(k);
		return -EINVAL;
	}
	list->check[list->n++] = k;
	return 0;
}

static bool goes_on(const struct check *old, const struct check *new)
{
	return old->probe.id == new->probe.id &&
	       wm_addr__equal(&old->probe.address, &new->probe.address) &&
	       wm_check__same(&old->probe.check, &new->probe.check);
}

/* Those of the present list that go on take their places in the next one. */
static void keep(struct list *now, struct list *next)
{
	size_t i = 0;

	for (size_t k = 0; k < next->n; k++) {
		while (i < now->n && now->check[i]->probe.id < next->check[k]->probe.id)
			i++;
		if (i == now->n || !goes_on(now->check[i], next->check[k]))
			continue;
		free_check(next->check[k]);
		next->check[k] = now->check[i];
		now->check[i] = NULL;
		i++;
	}
}

/* The first runs come soon, and not all at once. */
static void begin_new(struct wm_checks *c)
{
	uint64_t now_us = wm_now_ns() / US, spread = c->list.n * FIRST_SPREAD_US;

	for (size_t i = 0; i < c->list.n; i++) {
		struct check *k = c->list.check[i];
		uint64_t interval_us = k->probe.check.interval_ns / US;

		if (k->due_us)
			continue;
		k->due_us = now_us + chance(c, spread < interval_us ? spread : interval_us);
		arm(k, k->due_us);
	}
}

void wm_checks__end(struct wm_checks *c)
{
	struct list before = c->list;

	keep(&before, &c->next);
	c->list = c->next;
	c->next = (struct list){};
	free_list(&before);
	begin_new(c);
	start_waiting(c);
}

/* --- all of it --- */

int wm_checks__new(struct wm_checks **out, sd_event *event, size_t most, const int raw[2],
		   void (*news)(void *arg), void *arg)
{
	struct wm_checks *c = calloc(1, sizeof(*c));
	int ret;

	*out = c;
	if (!c)
		return -ENOMEM;
	c->event = event;
	c->most = most;
	c->news = news;
	c->arg = arg;
	c->turn_end = &c->turn;
	c->told_end = &c->told;
	if (getrandom(&c->random, sizeof(c->random), GRND_NONBLOCK) != sizeof(c->random))
		c->random = wm_now_ns();
	c->random |= 1;
	ret = wm_web__new(&c->web, event);
	return ret < 0 ? ret : wm_echo__new(&c->echo, event, raw);
}

void wm_checks__free(struct wm_checks *c)
{
	if (!c)
		return;
	free_list(&c->list);
	free_list(&c->next);
	wm_web__free(c->web);
	wm_echo__free(c->echo);
	free(c);
}
