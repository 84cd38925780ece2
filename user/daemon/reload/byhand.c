// SPDX-License-Identifier: GPL-2.0
/*
 * Orders stand in a line; the first one is carried out:
 *
 *   begin     names are looked up, and what it would leave is judged;
 *   saving    a worker writes the file: a disk may be slow;
 *   applying  the table holds, and apply.c plans and carries out, after a change that may be
 *             under way;
 *   undoing   that failed: the file is written as it was. That this fails too is told.
 *
 * If the daemon ends in between, the file is what the next one goes by.
 */
#include "byhand.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apply.h"
#include "distance.h"
#include "health.h"
#include "log.h"
#include "running.h"

enum {
	ORDERS_MAX = 64,
	NOTES_MAX = 32, /* lines that are told one by one */
	LOOK_US = 5 * WM_TIMER_MS,
	NEAR = 2,       /* a name that differs by so much may have been meant */
};

struct wm_byhand_order {
	struct wm_byhand_order *next;
	uint64_t number;
	bool forget; /* reals that are gone, and nothing else */
	char *real, *vip;
	enum wm_admin_state state;
	bool force;
	size_t n; /* reals that it changes */
	/* What was said of it so far. */
	FILE *notes; /* into `text` */
	char *text;
	size_t n_notes, text_size;
};

static const struct wm_config *config_of(const struct wm_byhand *b)
{
	return b->with.running->config;
}

static struct wm_service service_of(const struct wm_config_vip *vip)
{
	return (struct wm_service){ vip->address, vip->port, vip->proto };
}

/* --- names --- */

/* "10.0.0.1", "local:dns", "dns". */
static bool is_called(const struct wm_config_real *real, const char *name)
{
	static const char local[] = "local:";
	char text[WM_ADDR_TEXT];
	struct wm_addr address;

	if (!wm_addr__parse(name, &address))
		return wm_addr__equal(&address, &real->address);
	wm_addr__format(&real->address, text);
	return real->address.family == WM_LOCAL &&
	       (!strcmp(text, name) || !strcmp(text + sizeof(local) - 1, name));
}

static const struct wm_config_vip *find_vip(const struct wm_config *config, const char *name)
{
	for (size_t i = 0; i < config->n_vips; i++)
		if (!strcmp(config->vips[i].name, name))
			return &config->vips[i];
	return NULL;
}

static const struct wm_config_real *find_real(const struct wm_config_vip *vip, const char *name)
{
	for (size_t i = 0; i < vip->n_reals; i++)
		if (is_called(&vip->reals[i], name))
			return &vip->reals[i];
	return NULL;
}

static const struct wm_config_vip *next_vip_of(const struct wm_config *config,
					       const struct wm_byhand_order *o, size_t *i,
					       const struct wm_config_real **real)
{
	for (; *i < config->n_vips; ++*i) {
		const struct wm_config_vip *vip = &config->vips[*i];

		if (o->vip && strcmp(vip->name, o->vip))
			continue;
		*real = find_real(vip, o->real);
		if (*real) {
			++*i;
			return vip;
		}
	}
	return NULL;
}

static const char *nearest(const struct wm_config *config, const char *name,
			   char text[WM_ADDR_TEXT])
{
	char candidate[WM_ADDR_TEXT];
	unsigned int best = NEAR + 1;

	for (size_t i = 0; i < config->n_vips; i++) {
		for (size_t k = 0; k < config->vips[i].n_reals; k++) {
			unsigned int d;

			wm_addr__format(&config->vips[i].reals[k].address, candidate);
			d = wm_distance(name, candidate);
			if (d >= best)
				continue;
			best = d;
			strcpy(text, candidate);
		}
	}
	return best <= NEAR ? text : NULL;
}

/* No vip that is meant has this real. */
static int no_real(const struct wm_config *config, const struct wm_byhand_order *o,
		   struct wm_err *err)
{
	const struct wm_byhand_order anywhere = { .real = o->real };
	const struct wm_config_vip *other;
	const struct wm_config_real *real;
	char text[WM_ADDR_TEXT];
	size_t i = 0;

	other = o->vip ? next_vip_of(config, &anywhere, &i, &real) : NULL;
	if (other)
		return wm_err__set(err, -ENOENT, "vip %.64s has no real %.64s; vip %s has it",
				   o->vip, o->real, other->name);
	if (nearest(config, o->real, text))
		return wm_err__set(err, -ENOENT, "no vip has a real %.64s; did you mean %s?",
				   o->real, text);
	return wm_err__set(err, -ENOENT, "no vip has a real %.64s (`waymark real` lists them)",
			   o->real);
}

static int check_names(const struct wm_config *config, const struct wm_byhand_order *o,
		       struct wm_err *err)
{
	const struct wm_config_real *real;
	size_t i = 0;

	if (o->vip && !find_vip(config, o->vip))
		return wm_err__set(err, -ENOENT, "no vip is called \"%.64s\"", o->vip);
	return next_vip_of(config, o, &i, &real) ? 0 : no_real(config, o, err);
}

/* --- who is left --- */

struct left {
	size_t takes;   /* reals that take new flows, whatever their checks say */
	size_t healthy; /* of these, those that are not down */
	bool one_took, one_healthy; /* the one who goes was among them */
};

static void look_at(const struct wm_byhand *b, const struct wm_config_vip *vip,
		    const struct wm_config_real *goes, struct left *left)
{
	const struct wm_service service = service_of(vip);

	for (size_t i = 0; i < vip->n_reals; i++) {
		const struct wm_config_real *real = &vip->reals[i];
		struct wm_health_of health;
		bool down;

		if (!real->weight || wm_admin__find(b->with.admin, &service, &real->address) ||
		    !wm_apply__is_there(b->with.apply, config_of(b), &real->address))
			continue;
		down = wm_health__of(b->with.health, &service, &real->address, &health) &&
		       health.state == WM_HEALTH_DOWN;
		if (real == goes) {
			left->one_took = true;
			left->one_healthy = !down;
			continue;
		}
		left->takes++;
		left->healthy += !down;
	}
}

__attribute__((format(printf, 2, 3)))
static void note(struct wm_byhand_order *o, const char *fmt, ...)
{
	va_list args;

	if (++o->n_notes > NOTES_MAX)
		return;
	va_start(args, fmt);
	vfprintf(o->notes, fmt, args);
	va_end(args);
	putc('\n', o->notes);
}

/* New flows of this vip would be dropped from now on. */
static int nobody_left(struct wm_byhand_order *o, const struct wm_config_vip *vip,
		       const char *real, const char *why, struct wm_err *err)
{
	if (!o->force)
		return wm_err__set(err, -EPERM, "real %s is the last one of vip %s that takes new "
				   "flows%s: they would be dropped. If that is meant: --force",
				   real, vip->name, why);
	note(o, "vip %s: nobody is left who takes new flows%s: they are dropped", vip->name, why);
	return 0;
}

static int judge(const struct wm_byhand *b, struct wm_byhand_order *o,
		 const struct wm_config_vip *vip, const struct wm_config_real *real,
		 struct wm_err *err)
{
	struct left left = {};
	char text[WM_ADDR_TEXT];

	look_at(b, vip, real, &left);
	wm_addr__format(&real->address, text);
	if (left.one_took && !left.takes)
		return nobody_left(o, vip, text, "", err);
	if (!left.one_healthy || left.healthy)
		return 0;
	if (vip->check.fail == WM_CHECK_FAIL_CLOSED)
		return nobody_left(o, vip, text,
				   " (the others are down by their checks, and fail is closed)",
				   err);
	note(o, "vip %s: the others are down by their checks, and are served all the same "
	     "(fail: open)", vip->name);
	return 0;
}

/* --- what is to hold --- */

static bool holds(const struct wm_byhand *b, const struct wm_service *service,
		  const struct wm_config_real *real, enum wm_admin_state state)
{
	const struct wm_admin_entry *is = wm_admin__find(b->with.admin, service, &real->address);

	return (is ? is->state : WM_ADMIN_ENABLED) == state;
}

static int set_one(struct wm_byhand *b, struct wm_byhand_order *o,
		   const struct wm_config_vip *vip, const struct wm_config_real *real,
		   struct wm_err *err)
{
	const struct wm_service service = service_of(vip);
	char text[WM_ADDR_TEXT];
	int ret = 0;

	if (holds(b, &service, real, o->state))
		return 0;
	note(o, "vip %s: real %s is %s", vip->name, wm_addr__format(&real->address, text),
	     wm_admin_words[o->state]);
	if (o->state != WM_ADMIN_ENABLED)
		ret = judge(b, o, vip, real, err);
	if (ret)
		return ret;
	o->n++;
	ret = wm_admin__set(&b->other, &service, &real->address, o->state, time(NULL));
	return ret ? wm_err__sys(err, ret, "cannot keep the reals' states") : 0;
}

/* b->other, from what holds and the order. */
static int prepare(struct wm_byhand *b, struct wm_byhand_order *o, struct wm_err *err)
{
	const struct wm_config_vip *vip;
	const struct wm_config_real *real;
	size_t i = 0;
	int ret;

	if (!o->forget) {
		ret = check_names(config_of(b), o, err);
		if (ret)
			return ret;
	}
	if (wm_admin__copy(&b->other, b->with.admin))
		return wm_err__sys(err, -ENOMEM, "cannot keep the reals' states");
	if (o->forget) {
		o->n = wm_admin__keep(&b->other, config_of(b));
		return 0;
	}
	for (ret = 0; !ret && (vip = next_vip_of(config_of(b), o, &i, &real));)
		ret = set_one(b, o, vip, real, err);
	return ret;
}

/* --- the end --- */

static void begin(struct wm_byhand *b);

static void end_notes(struct wm_byhand_order *o)
{
	if (o->notes && o->n_notes > NOTES_MAX)
		fprintf(o->notes, "and %zu more\n", o->n_notes - NOTES_MAX);
	if (o->notes)
		fclose(o->notes);
	o->notes = NULL;
}

static void free_order(struct wm_byhand_order *o)
{
	end_notes(o);
	free(o->text);
	free(o->real);
	free(o->vip);
	free(o);
}

static void swap(struct wm_byhand *b)
{
	const struct wm_admin was = *b->with.admin;

	*b->with.admin = b->other;
	b->other = was;
}

static char *summary_of(const struct wm_byhand_order *o)
{
	char *text;

	if (asprintf(&text, "%s %s %s%s", o->real, o->n ? "is" : "was", wm_admin_words[o->state],
		     o->n ? "" : " already: nothing to change") < 0)
		return NULL;
	return text;
}

/* To who asked. */
static void tell_outcome(struct wm_byhand *b, struct wm_byhand_order *o, int error)
{
	if (o->forget)
		return;
	free(b->summary);
	free(b->notes);
	b->error = error;
	b->summary = summary_of(o);
	b->notes = o->text;
	o->text = NULL;
	b->with.ended(b->with.arg, o->number);
}

static void finish(struct wm_byhand *b, int error)
{
	struct wm_byhand_order *o = b->first;

	b->first = o->next;
	if (!b->first)
		b->last = &b->first;
	b->n--;
	b->busy = false;
	wm_admin__free(&b->other);
	end_notes(o);
	if (error)
		wm_error("%s", b->why.text);
	else
		wm_apply__tell(o->text);
	tell_outcome(b, o, error);
	free_order(o);
	begin(b);
}

/* --- undoing --- */

static void save(void *arg)
{
	struct wm_byhand *b = arg;

	b->save_error = wm_admin__save(&b->other, b->path, &b->saved);
}

static void undone(void *arg)
{
	struct wm_byhand *b = arg;

	if (b->save_error)
		wm_error("%s", b->saved.text);
	finish(b, b->error);
}

static void undo(struct wm_byhand *b, int error, const char *text)
{
	struct wm_admin was;

	b->error = wm_err__set(&b->why, error, "%s", text);
	swap(b);
	wm_admin__free(&b->other);
	if (wm_admin__copy(&was, b->with.admin)) {
		wm_error("%s is not as it was: %s", b->path, strerror(ENOMEM));
		finish(b, error);
		return;
	}
	b->other = was;
	wm_worker__start(b->worker, save, undone, b);
}

/* --- applying --- */

static void applied(void *arg, int ret, const char *text, const char *changes)
{
	struct wm_byhand *b = arg;

	(void)changes; /* we have told what was done */
	if (ret) {
		undo(b, ret, text);
		return;
	}
	wm_health__look_again(b->with.health);
	finish(b, 0);
}

static void apply(struct wm_byhand *b)
{
	int ret = wm_apply__start(b->with.apply, config_of(b), NULL, applied, b);

	b->waits = ret == -EBUSY;
	if (b->waits)
		wm_timer__arm(&b->timer, LOOK_US);
	else if (ret)
		undo(b, ret, strerror(-ret));
}

/* --- saving --- */

static void is_saved(void *arg)
{
	struct wm_byhand *b = arg;

	if (b->save_error) {
		b->why = b->saved;
		finish(b, b->save_error);
		return;
	}
	swap(b);
	if (b->first->forget)
		finish(b, 0);
	else
		apply(b);
}

static void begin(struct wm_byhand *b)
{
	struct wm_byhand_order *o = b->first;
	int ret;

	if (!o || b->busy)
		return;
	b->busy = true;
	o->notes = open_memstream(&o->text, &o->text_size);
	if (!o->notes) {
		finish(b, wm_err__sys(&b->why, -ENOMEM, "cannot change the reals' states"));
		return;
	}
	ret = prepare(b, o, &b->why);
	if (ret || !o->n)
		finish(b, ret);
	else
		wm_worker__start(b->worker, save, is_saved, b);
}

/* --- orders --- */

static void append(struct wm_byhand *b, struct wm_byhand_order *o)
{
	o->number = ++b->number;
	*b->last = o;
	b->last = &o->next;
	b->n++;
	if (!b->busy)
		wm_timer__arm(&b->timer, 0);
}

static struct wm_byhand_order *new_order(const struct wm_byhand_wish *wish)
{
	struct wm_byhand_order *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->real = strdup(wish->real);
	o->vip = wish->vip ? strdup(wish->vip) : NULL;
	o->state = wish->state;
	o->force = wish->force;
	if (o->real && (o->vip || !wish->vip))
		return o;
	free(o->real);
	free(o->vip);
	free(o);
	return NULL;
}

uint64_t wm_byhand__order(struct wm_byhand *b, const struct wm_byhand_wish *wish, int *ret,
			  struct wm_err *err)
{
	const struct wm_byhand_order asked = {
		.real = (char *)wish->real, .vip = (char *)wish->vip,
	};
	struct wm_byhand_order *o;

	*ret = check_names(config_of(b), &asked, err);
	if (*ret)
		return 0;
	if (b->n >= ORDERS_MAX) {
		*ret = wm_err__set(err, -EBUSY, "%d changes are waiting already", ORDERS_MAX);
		return 0;
	}
	o = new_order(wish);
	if (!o) {
		*ret = wm_err__sys(err, -ENOMEM, "cannot change the reals' states");
		return 0;
	}
	append(b, o);
	return o->number;
}

void wm_byhand__forget(struct wm_byhand *b)
{
	struct wm_byhand_order *o;

	if (!b->with.admin->n && !b->first)
		return;
	if (b->n > ORDERS_MAX) /* one of them is this one */
		return;
	o = calloc(1, sizeof(*o)); /* no memory: at the next reload or start */
	if (!o)
		return;
	o->forget = true;
	append(b, o);
}

/* --- all of it --- */

/* So that nobody wonders, months later. */
static void tell(const struct wm_admin *admin)
{
	for (size_t i = 0; i < admin->n && i < NOTES_MAX; i++) {
		const struct wm_admin_entry *e = &admin->entry[i];
		char vip[WM_SERVICE_TEXT], real[WM_ADDR_TEXT];

		wm_info("vip %s: real %s is still %s, by hand",
			wm_service__format(&e->service, vip), wm_addr__format(&e->real, real),
			wm_admin_words[e->state]);
	}
	if (admin->n > NOTES_MAX)
		wm_info("and %zu more reals are drained or disabled by hand",
			admin->n - NOTES_MAX);
}

static void on_timer(void *arg)
{
	struct wm_byhand *b = arg;

	if (b->waits)
		apply(b);
	else
		begin(b);
}

int wm_byhand__init(struct wm_byhand *b, sd_event *event, const struct wm_byhand_parts *with)
{
	struct wm_err err;
	int ret;

	b->with = *with;
	b->last = &b->first;
	b->path = wm_config__path(config_of(b), config_of(b)->state);
	if (!b->path)
		return -ENOMEM;
	ret = wm_worker__new(&b->worker, event);
	if (!ret)
		ret = wm_timer__init(&b->timer, event, on_timer, b);
	if (ret < 0)
		return ret;
	if (wm_admin__load(b->with.admin, b->path, &err))
		wm_error("who was drained or disabled by hand is not known, and all reals are "
			 "taken to be enabled: %s", err.text);
	wm_admin__keep(b->with.admin, config_of(b));
	tell(b->with.admin);
	return 0;
}

void wm_byhand__free(struct wm_byhand *b)
{
	wm_worker__free(b->worker);
	wm_timer__free(&b->timer);
	while (b->first) {
		struct wm_byhand_order *o = b->first;

		b->first = o->next;
		free_order(o);
	}
	wm_admin__free(&b->other);
	free(b->summary);
	free(b->notes);
	free(b->path);
	*b = (struct wm_byhand){};
}
