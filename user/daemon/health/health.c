// SPDX-License-Identifier: GPL-2.0
/*
 * A group is a vip that has a check, an entry one of its reals. Entries stand in one list, those
 * of a group together, by address; ids are given out in the order in which reals come to be
 * checked, and stay while they are.
 *
 * What happened is told in the log a moment later, so that a switch that takes a hundred servers
 * along is one line.
 */
#include "health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "checker.h"
#include "dataplane.h"
#include "log.h"
#include "model.h"
#include "monotonic.h"
#include "timer.h"
#include "wire.h"

enum {
	LOG_AFTER_US = 200 * WM_TIMER_MS,
	LOG_LINES = 3, /* more at once are one line, which names as many */
	LOG_TEXT = 640,
};

struct entry {
	struct wm_addr real;
	uint32_t group;
	uint32_t id;
	enum wm_health_state state;
	bool was_out;  /* of the ring that was taken over */
	bool judged;
	bool to_log;
	uint64_t since_ns, said_ns;
	char said[WM_SAID];
};

/* What the log said last of a vip as a whole. */
enum told { TOLD_NOTHING, TOLD_ALL_DOWN, TOLD_MOST_DOWN };

struct group {
	struct wm_service service;
	char *name;
	struct wm_check check;
	size_t first, n, n_judged; /* entries */
	bool settled;        /* what is known decides, and not the ring that was taken over */
	uint64_t settle_ns;  /* it does from then on in any case */
	enum told told;
	bool to_log;
};

struct table {
	struct group *group; /* by service */
	struct entry *entry;
	uint32_t *by_id;     /* indices of entries */
	size_t n_groups, n;
};

struct wm_health {
	struct table table;
	uint32_t next_id;
	struct wm_checker *checker;
	const struct wm_admin *admin;
	struct wm_timer log;
	bool differs; /* from what was judged last */
	void (*changed)(void *arg);
	void *arg;
};

/* --- finding --- */

static int compare_groups(const void *left, const void *right)
{
	const struct group *a = left, *b = right;

	return wm_service__compare(&a->service, &b->service);
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;

	return wm_addr__compare(&a->real, &b->real);
}

static struct group *find_group(const struct table *t, const struct wm_service *service)
{
	const struct group wanted = { .service = *service };

	if (!t->n_groups)
		return NULL;
	return bsearch(&wanted, t->group, t->n_groups, sizeof(*t->group), compare_groups);
}

static struct entry *find_entry(const struct table *t, const struct group *g,
				const struct wm_addr *real)
{
	const struct entry wanted = { .real = *real };

	if (!g || !g->n)
		return NULL;
	return bsearch(&wanted, &t->entry[g->first], g->n, sizeof(*t->entry), compare_entries);
}

static struct entry *find_id(const struct table *t, uint32_t id)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (t->entry[t->by_id[middle]].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->n && t->entry[t->by_id[low]].id == id ? &t->entry[t->by_id[low]] : NULL;
}

/* --- the log --- */

static void log_entry(const struct table *t, const struct entry *e)
{
	char real[WM_ADDR_TEXT];

	wm_log(e->state == WM_HEALTH_DOWN ? WM_LOG_WARN : WM_LOG_INFO, "vip %s: real %s is %s: %s",
	       t->group[e->group].name, wm_addr__format(&e->real, real), wm_health_words[e->state],
	       e->said);
}

struct many {
	char text[LOG_TEXT];
	size_t used, n, down;
};

static void add_to_line(struct many *m, const struct table *t, const struct entry *e)
{
	char real[WM_ADDR_TEXT];

	m->down += e->state == WM_HEALTH_DOWN;
	if (m->n++ >= LOG_LINES || m->used >= sizeof(m->text))
		return;
	m->used += snprintf(m->text + m->used, sizeof(m->text) - m->used,
			    "%s%s of %s is %s (%.80s)", m->used ? ", " : "",
			    wm_addr__format(&e->real, real), t->group[e->group].name,
			    wm_health_words[e->state], e->said);
}

static void log_line(const struct many *m)
{
	wm_log(m->down ? WM_LOG_WARN : WM_LOG_INFO,
	       "health checks: %zu reals are down, %zu are up: %s and %zu more", m->down,
	       m->n - m->down, m->text, m->n - LOG_LINES);
}

static void log_entries(struct table *t)
{
	struct many many = {};
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		n += t->entry[i].to_log;
	for (size_t i = 0; i < t->n; i++) {
		struct entry *e = &t->entry[i];

		if (e->to_log && n <= LOG_LINES)
			log_entry(t, e);
		else if (e->to_log)
			add_to_line(&many, t, e);
		e->to_log = false;
	}
	if (many.n)
		log_line(&many);
}

/* Of those that are not out by hand. */
static size_t count_down(const struct wm_health *h, const struct group *g, size_t *all)
{
	size_t down = 0;

	*all = 0;
	for (size_t i = 0; i < g->n; i++) {
		const struct entry *e = &h->table.entry[g->first + i];

		if (wm_admin__find(h->admin, &g->service, &e->real))
			continue;
		++*all;
		down += e->state == WM_HEALTH_DOWN;
	}
	return down;
}

/* Where the down ones are more than checks may take out. */
static void log_group(const struct wm_health *h, struct group *g)
{
	bool open = g->check.fail == WM_CHECK_FAIL_OPEN;
	size_t all, down = count_down(h, g, &all);
	enum told told = down && down == all ? TOLD_ALL_DOWN :
		down > all * g->check.max_down / 100 ? TOLD_MOST_DOWN : TOLD_NOTHING;

	g->to_log = false;
	if (told == g->told)
		return;
	g->told = told;
	if (told == TOLD_ALL_DOWN)
		wm_warn("vip %s: all of its %zu reals that are checked are down: %s", g->name, all,
			open ? "they are served as if they were up (fail: open)"
			     : "they get no new flows (fail: closed)");
	else if (told == TOLD_MOST_DOWN)
		wm_warn("vip %s: %zu of its %zu reals that are checked are down, and max-down is "
			"%u%%: those that went down last are served all the same", g->name, down,
			all, g->check.max_down);
}

static void on_log(void *arg)
{
	struct wm_health *h = arg;

	log_entries(&h->table);
	for (size_t i = 0; i < h->table.n_groups; i++)
		if (h->table.group[i].to_log)
			log_group(h, &h->table.group[i]);
}

void wm_health__look_again(struct wm_health *h)
{
	for (size_t i = 0; i < h->table.n_groups; i++)
		h->table.group[i].to_log = true;
	if (h->table.n_groups)
		wm_timer__arm_within(&h->log, LOG_AFTER_US);
}

/* --- results --- */

static void settle(struct wm_health *h, struct group *g)
{
	if (g->settled || (g->n_judged < g->n && wm_now_ns() < g->settle_ns))
		return;
	g->settled = true;
	h->differs = true;
}

static void change_state(struct wm_health *h, struct group *g, struct entry *e,
			 enum wm_health_state state)
{
	/* That one who was taken to be up is up is no news. */
	e->to_log = state == WM_HEALTH_DOWN || e->state == WM_HEALTH_DOWN;
	e->state = state;
	e->since_ns = wm_now_ns();
	g->to_log = true;
	h->differs = true;
	wm_timer__arm_within(&h->log, LOG_AFTER_US);
}

static void on_result(void *arg, const struct wm_result *r)
{
	struct wm_health *h = arg;
	struct entry *e = find_id(&h->table, r->id);
	struct group *g;

	if (!e)
		return; /* of a list that was sent before the present one */
	g = &h->table.group[e->group];
	e->said_ns = wm_now_ns();
	memcpy(e->said, r->said, sizeof(e->said));
	if (r->state != e->state)
		change_state(h, g, e, r->state);
	if (r->judged && !e->judged) {
		e->judged = true;
		g->n_judged++;
	}
	settle(h, g);
}

static void on_results_end(void *arg)
{
	struct wm_health *h = arg;

	if (!h->differs)
		return;
	h->differs = false;
	h->changed(h->arg);
}

static bool give_probe(void *arg, size_t i, struct wm_probe *probe)
{
	const struct wm_health *h = arg;
	const struct table *t = &h->table;
	const struct entry *e;
	const struct group *g;

	if (i >= t->n)
		return false;
	e = &t->entry[t->by_id[i]];
	g = &t->group[e->group];
	*probe = (struct wm_probe){
		.id = e->id, .address = e->real, .check = g->check, .state = e->state,
	};
	return true;
}

static const struct wm_checker_ops checker_ops = { give_probe, on_result, on_results_end };

/* --- the table --- */

static void free_table(struct table *t)
{
	for (size_t i = 0; i < t->n_groups; i++) {
		free(t->group[i].name);
		wm_check__clear(&t->group[i].check);
	}
	free(t->group);
	free(t->entry);
	free(t->by_id);
	*t = (struct table){};
}

static bool is_checked(const struct wm_config_real *real)
{
	return real->address.family == WM_IPV4 || real->address.family == WM_IPV6;
}

static void count(const struct wm_config *config, size_t *groups, size_t *entries)
{
	*groups = *entries = 0;
	for (size_t i = 0; i < config->n_vips; i++) {
		const struct wm_config_vip *vip = &config->vips[i];

		if (!vip->check.type)
			continue;
		++*groups;
		for (size_t k = 0; k < vip->n_reals; k++)
			*entries += is_checked(&vip->reals[k]);
	}
}

static int add_group(struct table *t, const struct wm_config_vip *vip)
{
	struct group *g = &t->group[t->n_groups];

	g->service = (struct wm_service){ vip->address, vip->port, vip->proto };
	g->name = strdup(vip->name);
	if (!g->name || wm_check__copy(&g->check, &vip->check)) {
		free(g->name);
		return -ENOMEM;
	}
	if (!g->check.port)
		g->check.port = ntohs(vip->port);
	g->settled = true;
	g->first = t->n;
	for (size_t i = 0; i < vip->n_reals; i++) {
		if (!is_checked(&vip->reals[i]))
			continue;
		t->entry[t->n + g->n] = (struct entry){ .real = vip->reals[i].address };
		g->n++;
	}
	qsort(&t->entry[g->first], g->n, sizeof(*t->entry), compare_entries);
	t->n += g->n;
	t->n_groups++;
	return 0;
}

/* What was known of this vip. */
static void take_over_group(struct table *t, struct group *g, const struct table *before)
{
	const struct group *old = find_group(before, &g->service);

	if (old) {
		g->settled = old->settled;
		g->settle_ns = old->settle_ns;
		g->told = old->told;
	}
	for (size_t i = 0; i < g->n; i++) {
		struct entry *e = &t->entry[g->first + i];
		const struct entry *known = find_entry(before, old, &e->real);

		if (known)
			*e = *known;
		e->group = g - t->group;
		g->n_judged += e->judged;
	}
}

static int by_id(const void *left, const void *right, void *arg)
{
	const struct entry *entry = arg;
	uint32_t a = entry[*(const uint32_t *)left].id, b = entry[*(const uint32_t *)right].id;

	return a < b ? -1 : a > b;
}

static void give_ids(struct wm_health *h, struct table *t)
{
	uint64_t now_ns = wm_now_ns();

	for (size_t i = 0; i < t->n; i++) {
		struct entry *e = &t->entry[i];

		t->by_id[i] = i;
		if (e->id)
			continue;
		e->id = ++h->next_id;
		e->since_ns = now_ns;
	}
	qsort_r(t->by_id, t->n, sizeof(*t->by_id), by_id, t->entry);
}

static int make_table(struct table *t, const struct wm_config *config)
{
	size_t n_groups, n;
	int ret = 0;

	count(config, &n_groups, &n);
	t->group = calloc(n_groups + 1, sizeof(*t->group));
	t->entry = calloc(n + 1, sizeof(*t->entry));
	t->by_id = calloc(n + 1, sizeof(*t->by_id));
	if (!t->group || !t->entry || !t->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_vips && !ret; i++)
		if (config->vips[i].check.type)
			ret = add_group(t, &config->vips[i]);
	if (!ret)
		qsort(t->group, t->n_groups, sizeof(*t->group), compare_groups);
	return ret;
}

static bool has_like(const struct table *t, const struct group *g)
{
	const struct group *other = find_group(t, &g->service);

	return other && wm_check__same(&other->check, &g->check) &&
	       other->check.fail == g->check.fail && other->check.max_down == g->check.max_down;
}

static int count_differences(const struct table *now, const struct table *next)
{
	int n = 0;

	for (size_t i = 0; i < next->n_groups; i++)
		n += !has_like(now, &next->group[i]);
	for (size_t i = 0; i < now->n_groups; i++)
		n += !find_group(next, &now->group[i].service);
	return n;
}

int wm_health__configure(struct wm_health *h, const struct wm_config *config)
{
	struct table next = {};
	int ret = make_table(&next, config);

	if (ret) {
		free_table(&next);
		return ret;
	}
	ret = count_differences(&h->table, &next);
	for (size_t i = 0; i < next.n_groups; i++)
		take_over_group(&next, &next.group[i], &h->table);
	give_ids(h, &next);
	free_table(&h->table);
	h->table = next;
	wm_checker__renew(h->checker, h->table.n > 0);
	return ret;
}

/* --- what was there before --- */

/* So long results may take at most until they have confirmed or changed a state. */
static uint64_t settling_ns(const struct wm_check *check)
{
	uint32_t results = check->rise > check->fall ? check->rise : check->fall;

	return (results + 1ull) * 2 * check->interval_ns;
}

static void count_slots(struct wm_dp *dp, const struct wm_model_vip *vip, uint32_t *slots)
{
	const struct wm_ring *ring = wm_dp__ring(dp, vip->ring);

	memset(slots, 0, sizeof(*slots) << WM_DEST_BITS_MAX);
	for (uint32_t i = 0; i < WM_RING_SLOTS; i++)
		slots[ring->slot[i]]++;
	slots[0] = 0; /* nobody's */
}

/* Without a slot, in a ring that has somebody; or in one that has nobody because all are down. */
static void adopt_entry(struct group *g, struct entry *e, uint32_t slots, bool anybody)
{
	if (slots || (!anybody && g->check.fail == WM_CHECK_FAIL_OPEN))
		return;
	e->was_out = true;
	e->state = WM_HEALTH_DOWN;
	e->since_ns = 0;
	strcpy(e->said, "it had no slots when waymarkd started");
}

static void adopt_group(struct wm_health *h, struct group *g, const struct wm_model *model,
			const struct wm_model_vip *vip, const uint32_t *slots)
{
	bool anybody = false;

	for (size_t i = 0; i < vip->n_dests; i++)
		anybody |= slots[vip->dests[i]] > 0;
	for (size_t i = 0; i < vip->n_dests; i++) {
		const struct wm_model_dest *dest = wm_model__dest(model, vip->dests[i]);
		struct entry *e = find_entry(&h->table, g, &dest->real);

		/* That one who is out by hand has no slots says nothing of its health. */
		if (e && !wm_admin__find(h->admin, &g->service, &dest->real))
			adopt_entry(g, e, slots[dest->id], anybody);
	}
	g->settled = false;
	g->settle_ns = wm_now_ns() + settling_ns(&g->check);
}

int wm_health__adopt(struct wm_health *h, const struct wm_model *model, struct wm_dp *dp)
{
	uint32_t *slots = calloc(1 << WM_DEST_BITS_MAX, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < wm_model__n_vips(model); i++) {
		const struct wm_model_vip *vip = wm_model__vip(model, i);
		const struct wm_service service = { vip->address, vip->port, vip->proto };
		struct group *g = find_group(&h->table, &service);

		if (!g)
			continue;
		count_slots(dp, vip, slots);
		adopt_group(h, g, model, vip, slots);
	}
	free(slots);
	/* The list that is on its way begins with other states. */
	wm_checker__renew(h->checker, h->table.n > 0);
	return 0;
}

/* --- judging --- */

static void stand(const struct table *t, const struct group *g, const struct wm_config_real *real,
		  size_t place, struct wm_standing *s)
{
	const struct entry *e = find_entry(t, g, &real->address);

	*s = (struct wm_standing){
		.eligible = real->weight && !real->away && !real->drained, .place = place,
	};
	if (!e)
		return;
	s->down = e->state == WM_HEALTH_DOWN;
	s->since_ns = e->since_ns;
}

static void keep_out(const struct table *t, const struct group *g,
		     const struct wm_config_vip *vip, struct wm_config_real *reals)
{
	for (size_t i = 0; i < vip->n_reals; i++) {
		const struct entry *e = find_entry(t, g, &reals[i].address);

		reals[i].away |= e && e->was_out;
	}
}

int wm_health__judge(const struct wm_health *h, const struct wm_config_vip *vip,
		     struct wm_config_real *reals)
{
	const struct wm_service service = { vip->address, vip->port, vip->proto };
	const struct group *g = h ? find_group(&h->table, &service) : NULL;
	struct wm_standing *list;

	if (!vip->check.type || !g)
		return 0;
	if (!g->settled) {
		keep_out(&h->table, g, vip, reals);
		return 0;
	}
	list = calloc(vip->n_reals + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < vip->n_reals; i++)
		stand(&h->table, g, &reals[i], i, &list[i]);
	wm_standing__judge(&vip->check, list, vip->n_reals);
	for (size_t i = 0; i < vip->n_reals; i++)
		reals[list[i].place].away |= list[i].out;
	free(list);
	return 0;
}

bool wm_health__of(const struct wm_health *h, const struct wm_service *service,
		   const struct wm_addr *real, struct wm_health_of *of)
{
	const struct entry *e = find_entry(&h->table, find_group(&h->table, service), real);

	if (!e)
		return false;
	*of = (struct wm_health_of){ e->state, e->since_ns, e->said_ns, e->said };
	return true;
}

/* --- all of it --- */

int wm_health__new(struct wm_health **out, sd_event *event, const struct wm_admin *admin,
		   void (*changed)(void *arg), void *arg)
{
	struct wm_health *h = calloc(1, sizeof(*h));
	int ret;

	*out = h;
	if (!h)
		return -ENOMEM;
	h->admin = admin;
	h->changed = changed;
	h->arg = arg;
	ret = wm_timer__init(&h->log, event, on_log, h);
	return ret < 0 ? ret : wm_checker__new(&h->checker, event, &checker_ops, h);
}

void wm_health__free(struct wm_health *h)
{
	if (!h)
		return;
	wm_checker__free(h->checker);
	wm_timer__free(&h->log);
	free_table(&h->table);
	free(h);
}
