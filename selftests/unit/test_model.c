// SPDX-License-Identifier: GPL-2.0
/*
 * Plans from one model to the next. `apply` below does what a data plane would
 * and keeps its tables, so that each plan is checked against them: nothing that
 * packets may still use is overwritten, and in the end the tables say what the
 * configuration says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"

enum { RINGS = 12, VIPS = 8, IDS = 1 << WM_DEST_BITS_MAX };

static const struct wm_model_limits usual = { 12, 16, VIPS, RINGS };

/* --- configurations --- */

static struct wm_config *parse(const char *text)
{
	struct wm_config *config;
	struct wm_err err = {};

	if (wm_config__parse("f", text, strlen(text), &config, &err, NULL, NULL))
		fail_msg("%s\n%s", text, err.text);
	return config;
}

/* "10.0.0.1:80 11 12/50; 10.0.0.2:* 11": vips by address and port, behind each
 * its reals 10.9.0.N with a weight. A "u" behind the port: UDP; "n": no offload;
 * "1": hash V1. */
static struct wm_config *shorthand(const char *text)
{
	char *copy = strdup(text), *vip, *word, *rest, *rest_words, *yaml;
	struct wm_config *config;
	size_t len;
	FILE *out = open_memstream(&yaml, &len);

	fputs("interface: eth0\nvips:\n", out);
	for (vip = strtok_r(copy, ";", &rest); vip; vip = strtok_r(NULL, ";", &rest)) {
		char address[32], port[8], flags[8] = "";

		word = strtok_r(vip, " ", &rest_words);
		assert_true(sscanf(word, "%31[0-9.]:%7[0-9*]%7s", address, port, flags) >= 2);
		fprintf(out,
			"- { address: %s, port: %s, protocol: %s, offload: %s, hash: %s, reals: [",
			address, *port == '*' ? "any" : port, strchr(flags, 'u') ? "udp" : "tcp",
			strchr(flags, 'n') ? "false" : "true",
			strchr(flags, '1') ? "maglev-v1" : "maglev");
		while ((word = strtok_r(NULL, " ", &rest_words))) {
			unsigned int real, weight = 100;

			sscanf(word, "%u/%u", &real, &weight);
			fprintf(out, "{ address: 10.9.0.%u, weight: %u }, ", real, weight);
		}
		fputs("] }\n", out);
	}
	if (!*text)
		fputs("  []\n", out);
	fclose(out);
	config = parse(yaml);
	free(yaml);
	free(copy);
	return config;
}

/* --- a data plane to apply plans to --- */

struct plane {
	struct wm_model *model;
	struct wm_vip vip[VIPS]; /* published */
	size_t n_vips;
	struct wm_dest dest[IDS];
	uint16_t *ring[RINGS];
	uint32_t last_mark[IDS]; /* by id: of its last life */
};

static struct plane *plane_new(const struct wm_model_limits *limits)
{
	struct plane *p = calloc(1, sizeof(*p));

	p->model = wm_model__new(limits);
	assert_non_null(p->model);
	return p;
}

static void plane_free(struct plane *p)
{
	for (int i = 0; i < RINGS; i++)
		free(p->ring[i]);
	wm_model__free(p->model);
	free(p);
}

static bool ring_is_live(const struct plane *p, uint32_t ring)
{
	for (size_t i = 0; i < p->n_vips; i++)
		if (p->vip[i].ring == ring)
			return true;
	return false;
}

static void publish(struct plane *p)
{
	p->n_vips = wm_model__n_vips(p->model);
	assert_true(p->n_vips <= VIPS);
	for (size_t i = 0; i < p->n_vips; i++)
		wm_model__vip_entry(p->model, wm_model__vip(p->model, i), &p->vip[i]);
}

/* ... but for the order. */
static void assert_publish_would_change_nothing(struct plane *p)
{
	size_t n_before = p->n_vips, same = 0;
	struct wm_vip before[VIPS];

	memcpy(before, p->vip, sizeof(before));
	publish(p);
	assert_int_equal(p->n_vips, n_before);
	for (size_t i = 0; i < n_before; i++)
		for (size_t j = 0; j < n_before; j++)
			same += !memcmp(&before[i], &p->vip[j], sizeof(*before));
	assert_int_equal(same, n_before);
}

static void write_dest(struct plane *p, const struct wm_model *next, uint16_t id,
		       const struct wm_config *config)
{
	const struct wm_model_limits *limits = wm_model__limits(next);
	const struct wm_model_dest *dest = wm_model__dest(next, id);
	bool alive = p->dest[id].mark;
	struct wm_dest entry;

	assert_non_null(dest);
	assert_int_equal(dest->state, WM_DEST_LIVE);
	wm_model__dest_entry(next, dest, config, &entry);
	assert_int_not_equal(entry.mark, 0);
	if (alive) /* written again for its checksum: everything else stays */
		assert_int_equal(entry.mark, p->dest[id].mark);
	else if (limits->mark_bits > limits->dest_bits && p->last_mark[id])
		assert_int_not_equal(entry.mark, p->last_mark[id]);
	p->dest[id] = entry;
}

/* What the tables say must be what the model says. */
static void check_tables(const struct plane *p)
{
	uint16_t *ring = malloc(WM_RING_SLOTS * sizeof(*ring));

	for (size_t i = 0; i < p->n_vips; i++) {
		const struct wm_model_vip *vip = wm_model__vip(p->model, i);

		assert_true(p->vip[i].number == vip->number && vip->number);
		assert_true(wm_model__vip_by_number(p->model, vip->number) == vip);
		assert_non_null(p->ring[vip->ring]);
		assert_int_equal(wm_model__ring(p->model, vip, ring), 0);
		assert_memory_equal(p->ring[vip->ring], ring, WM_RING_SLOTS * sizeof(*ring));
		for (size_t d = 0; d < vip->n_dests; d++) {
			const struct wm_model_dest *dest = wm_model__dest(p->model, vip->dests[d]);

			assert_int_equal(dest->state, WM_DEST_LIVE);
			assert_int_equal(dest->vip, vip->number);
			assert_int_equal(p->dest[dest->id].mark,
					 wm_model__dest_mark(p->model, dest));
			assert_int_equal(p->dest[dest->id].vip, vip->number);
		}
	}
	free(ring);
}

static struct wm_plan *make_plan(struct plane *p, const struct wm_config *config)
{
	struct wm_plan *plan;
	struct wm_err err = {};

	if (wm_plan__make(p->model, config, &plan, &err))
		fail_msg("%s", err.text);
	return plan;
}

/* In the order of model.h. Retired ids stay so until release() is called. */
static void apply_plan(struct plane *p, struct wm_plan *plan, const struct wm_config *config)
{
	for (size_t i = 0; i < plan->n_add; i++)
		write_dest(p, plan->next, plan->add[i], config);
	for (size_t i = 0; i < plan->n_rings; i++) {
		assert_true(plan->rings[i].ring < RINGS);
		assert_false(ring_is_live(p, plan->rings[i].ring));
		free(p->ring[plan->rings[i].ring]);
		p->ring[plan->rings[i].ring] = plan->rings[i].slot;
		plan->rings[i].slot = NULL;
	}
	wm_model__free(p->model);
	p->model = plan->next;
	plan->next = NULL;
	if (plan->publish) {
		publish(p);
	} else {
		assert_publish_would_change_nothing(p);
	}
	for (size_t i = 0; i < plan->n_retire; i++) {
		uint16_t id = plan->retire[i];

		assert_int_equal(wm_model__dest(p->model, id)->state, WM_DEST_RETIRING);
		if (p->dest[id].mark)
			p->last_mark[id] = p->dest[id].mark;
		p->dest[id].mark = 0;
	}
	check_tables(p);
}

struct change {
	size_t added, retired, rings;
	bool published;
	char summary[256], changes[4096];
};

static struct change apply_config(struct plane *p, const struct wm_config *config)
{
	struct wm_plan *plan = make_plan(p, config);
	struct change change = { plan->n_add, plan->n_retire, plan->n_rings, plan->publish, "",
				 "" };

	strcpy(change.summary, plan->summary);
	assert_true(strlen(plan->changes) < sizeof(change.changes));
	strcpy(change.changes, plan->changes);
	apply_plan(p, plan, config);
	wm_plan__free(plan);
	return change;
}

static struct change apply(struct plane *p, const char *text)
{
	struct wm_config *config = shorthand(text);
	struct change change = apply_config(p, config);

	wm_config__free(config);
	return change;
}

static void release_all(struct plane *p)
{
	for (uint32_t id = 1; id < IDS; id++) {
		const struct wm_model_dest *dest = wm_model__dest(p->model, id);

		if (dest && dest->state == WM_DEST_RETIRING)
			wm_model__release_dest(p->model, id);
	}
}

/* The id of real 10.9.0.N in vip number `index` of the configuration. */
static uint16_t id_of(const struct plane *p, size_t index, unsigned int real)
{
	const struct wm_model_vip *vip = wm_model__vip(p->model, index);

	for (size_t i = 0; i < vip->n_dests; i++)
		if (wm_model__dest(p->model, vip->dests[i])->real.word[0] ==
		    htonl(0x0a090000 + real))
			return vip->dests[i];
	return 0;
}

static void assert_change(struct change c, size_t added, size_t retired, size_t rings,
			  bool published)
{
	assert_int_equal(c.added, added);
	assert_int_equal(c.retired, retired);
	assert_int_equal(c.rings, rings);
	assert_int_equal(c.published, published);
}

/* --- what a change touches --- */

static void from_nothing(void **state)
{
	struct plane *p = plane_new(&usual);
	struct change c;

	(void)state;
	assert_change(apply(p, ""), 0, 0, 0, false);
	c = apply(p, "10.0.0.1:80 11 12; 10.0.0.2:* 11");
	assert_change(c, 3, 0, 2, true);
	assert_string_equal(c.summary, "2 vips added, 3 reals added, 2 rings filled");
	plane_free(p);
}

static void same_again(void **state)
{
	struct plane *p = plane_new(&usual);
	struct change c;

	(void)state;
	apply(p, "10.0.0.1:80 11 12; 10.0.0.2:* 11");
	c = apply(p, "10.0.0.1:80 11 12; 10.0.0.2:* 11");
	assert_change(c, 0, 0, 0, false);
	assert_string_equal(c.summary, "nothing to change");
	/* another order is the same */
	assert_change(apply(p, "10.0.0.2:* 11; 10.0.0.1:80 12 11"), 0, 0, 0, false);
	plane_free(p);
}

static void there_and_back(void **state)
{
	static const char one[] = "10.0.0.1:80 11 12; 10.0.0.2:* 11";
	static const char two[] = "10.0.0.1:80 12 13/7; 10.0.0.3:53u 11";
	struct plane *p = plane_new(&usual);
	uint32_t mark;
	uint16_t id;

	(void)state;
	apply(p, one);
	id = id_of(p, 0, 12);
	mark = p->dest[id].mark;
	assert_change(apply(p, two), 2, 2, 2, true);
	assert_int_equal(id_of(p, 0, 12), id);
	assert_change(apply(p, one), 2, 2, 2, true);
	assert_int_equal(id_of(p, 0, 12), id);
	assert_int_equal(p->dest[id].mark, mark); /* it was there all the time */
	assert_change(apply(p, one), 0, 0, 0, false);
	plane_free(p);
}

static void weight_touches_one_ring(void **state)
{
	struct plane *p = plane_new(&usual);
	uint32_t ring0, ring1;
	struct change c;

	(void)state;
	apply(p, "10.0.0.1:80 11 12; 10.0.0.2:* 11 12");
	ring0 = wm_model__vip(p->model, 0)->ring;
	ring1 = wm_model__vip(p->model, 1)->ring;
	c = apply(p, "10.0.0.1:80 11 12; 10.0.0.2:* 11 12/99");
	assert_change(c, 0, 0, 1, true);
	assert_string_equal(c.summary, "1 real reweighted, 1 ring filled");
	assert_int_equal(wm_model__vip(p->model, 0)->ring, ring0);
	assert_int_not_equal(wm_model__vip(p->model, 1)->ring, ring1);
	plane_free(p);
}

/* V2 rings are made of proportions. */
static void same_proportions_same_ring(void **state)
{
	struct plane *p = plane_new(&usual);

	(void)state;
	apply(p, "10.0.0.1:80 11/10 12/20");
	assert_change(apply(p, "10.0.0.1:80 11/30 12/60"), 0, 0, 0, false);
	assert_int_equal(wm_model__dest(p->model, id_of(p, 0, 11))->weight, 30);
	assert_change(apply(p, "10.0.0.1:80 11/60 12/30"), 0, 0, 1, true);
	plane_free(p);
}

static void removal_moves_slots_as_maglev_says(void **state)
{
	uint16_t *before = malloc(WM_RING_SLOTS * 2);
	struct plane *p = plane_new(&usual);
	uint32_t moved = 0, owned = 0;
	uint16_t gone;

	(void)state;
	apply(p, "10.0.0.1:80 11 12 13 14 15 16 17 18 19 20");
	gone = id_of(p, 0, 15);
	memcpy(before, p->ring[wm_model__vip(p->model, 0)->ring], WM_RING_SLOTS * 2);
	assert_change(apply(p, "10.0.0.1:80 11 12 13 14 16 17 18 19 20"), 0, 1, 1, true);
	for (uint32_t i = 0; i < WM_RING_SLOTS; i++) {
		uint16_t now = p->ring[wm_model__vip(p->model, 0)->ring][i];

		assert_int_not_equal(now, gone);
		owned += before[i] == gone;
		moved += before[i] != gone && before[i] != now;
	}
	assert_in_range(owned, 6553, 6554);
	assert_in_range(moved, 0, WM_RING_SLOTS / 100);
	free(before);
	plane_free(p);
}

static void options_publish_without_rings(void **state)
{
	struct plane *p = plane_new(&usual);
	struct change c;

	(void)state;
	apply(p, "10.0.0.1:80 11 12/300");
	assert_int_equal(p->vip[0].flags, 0);
	c = apply(p, "10.0.0.1:80n 11 12/300");
	assert_change(c, 0, 0, 0, true);
	assert_string_equal(c.summary, "options of vips changed");
	assert_int_equal(p->vip[0].flags, WM_VIP_NO_OFFLOAD);
	assert_change(apply(p, "10.0.0.1:80n1 11 12/300"), 0, 0, 1, true);
	plane_free(p);
}

static void name_alone_changes_nothing(void **state)
{
	static const char a[] = "interface: e\nvips: [ { name: a, address: 10.0.0.1, "
				"port: any, reals: [] } ]";
	static const char b[] = "interface: e\nvips: [ { name: b, address: 10.0.0.1, "
				"port: any, reals: [] } ]";
	struct plane *p = plane_new(&usual);
	struct wm_config *one = parse(a), *two = parse(b);

	(void)state;
	apply_config(p, one);
	assert_change(apply_config(p, two), 0, 0, 0, false);
	assert_null(wm_model__vip_by_name(p->model, "a"));
	assert_non_null(wm_model__vip_by_name(p->model, "b"));
	wm_config__free(one);
	wm_config__free(two);
	plane_free(p);
}

static void vip_without_reals(void **state)
{
	struct plane *p = plane_new(&usual);
	const uint16_t *ring;

	(void)state;
	assert_change(apply(p, "10.0.0.1:80"), 0, 0, 1, true);
	ring = p->ring[p->vip[0].ring];
	for (uint32_t i = 0; i < WM_RING_SLOTS; i++)
		assert_int_equal(ring[i], 0);
	assert_change(apply(p, "10.0.0.1:80 11/0"), 1, 0, 0, false); /* nobody is nobody */
	assert_change(apply(p, "10.0.0.1:80 11/1"), 0, 0, 1, true);
	assert_change(apply(p, "10.0.0.1:80 11/0"), 0, 0, 1, true);
	plane_free(p);
}

/* --- ids, generations, numbers --- */

static void ids_are_reused_in_order(void **state)
{
	static const struct wm_model_limits few = { 4, 8, VIPS, RINGS }; /* ids 1 to 15 */
	struct plane *p = plane_new(&few);

	(void)state;
	apply(p, "10.0.0.1:80 1 2 3");
	assert_int_equal(id_of(p, 0, 1), 1);
	assert_int_equal(id_of(p, 0, 3), 3);
	apply(p, "10.0.0.1:80 3");
	wm_model__release_dest(p->model, 2); /* first 2, then 1 */
	wm_model__release_dest(p->model, 1);
	/* 4 to 15 first, then those freed, in the order they were freed */
	apply(p, "10.0.0.1:80 3 11 12 13 14 15 16 17 18 19 20 21 22 23");
	assert_int_equal(id_of(p, 0, 11), 4);
	assert_int_equal(id_of(p, 0, 22), 15);
	assert_int_equal(id_of(p, 0, 23), 2);
	apply(p, "10.0.0.1:80 3 11 12 13 14 15 16 17 18 19 20 21 22 23 24");
	assert_int_equal(id_of(p, 0, 24), 1);
	plane_free(p);
}

static void generations_wrap_and_skip_none(void **state)
{
	static const struct wm_model_limits one = { 1, 4, VIPS, RINGS }; /* id 1, 8 generations */
	struct plane *p = plane_new(&one);

	(void)state;
	for (uint32_t life = 0; life < 20; life++) {
		const struct wm_model_dest *dest;

		apply(p, "10.0.0.1:80 11");
		dest = wm_model__dest(p->model, 1);
		assert_int_equal(dest->generation, life % 8);
		assert_int_equal(wm_model__dest_mark(p->model, dest), life % 8 << 1 | 1);
		apply(p, "10.0.0.1:80");
		release_all(p);
	}
	plane_free(p);
}

static void no_bits_for_generations(void **state)
{
	(void)state;
	for (uint32_t mark_bits = 2; mark_bits <= 4; mark_bits++) {
		struct wm_model_limits narrow = { 4, mark_bits, VIPS, RINGS };
		struct plane *p = plane_new(&narrow);

		for (uint16_t id = 1; id < 16; id++) {
			apply(p, "10.0.0.1:80 11");
			apply(p, "10.0.0.1:80");
			release_all(p);
		}
		apply(p, "10.0.0.1:80 12");
		assert_int_equal(id_of(p, 0, 12), 1); /* its second life */
		assert_int_equal(wm_model__dest(p->model, 1)->generation, 0);
		plane_free(p);
	}
}

static void all_32_bits_of_a_mark(void **state)
{
	static const struct wm_model_limits wide = { 16, 32, VIPS, RINGS };
	struct wm_vip vip = {
		.addr = { htonl(0x0a000001) }, .proto = IPPROTO_TCP, .family = WM_IPV4, .number = 1
	};
	struct wm_dest dest = { .mark = 0xffff0001, .vip = 1, .encap = WM_ENCAP_4IN4,
				.proto = IPPROTO_TCP, .vip_addr = { htonl(0x0a000001) },
				.real = { htonl(0x0a09000b) } };
	struct plane *p = plane_new(&wide);

	(void)state;
	assert_int_equal(wm_model__adopt_vip(p->model, &vip), 0);
	assert_int_equal(wm_model__adopt_dest(p->model, 1, &dest), 0);
	assert_int_equal(wm_model__dest(p->model, 1)->generation, 0xffff);
	assert_int_equal(wm_model__dest_mark(p->model, wm_model__dest(p->model, 1)), 0xffff0001);
	plane_free(p);
}

static void returning_real_gets_a_new_id(void **state)
{
	struct plane *p = plane_new(&usual);
	uint16_t old, new;

	(void)state;
	apply(p, "10.0.0.1:80 11 12");
	old = id_of(p, 0, 11);
	apply(p, "10.0.0.1:80 12");
	assert_change(apply(p, "10.0.0.1:80 11 12"), 1, 0, 1, true);
	new = id_of(p, 0, 11);
	assert_int_not_equal(old, new);
	assert_int_equal(wm_model__dest(p->model, old)->state, WM_DEST_RETIRING);
	/* a plan names each retired id once */
	assert_change(apply(p, "10.0.0.1:80 11 12"), 0, 0, 0, false);
	wm_model__release_dest(p->model, old);
	assert_null(wm_model__dest(p->model, old));
	wm_model__release_dest(p->model, old); /* no effect */
	wm_model__release_dest(p->model, new); /* no effect: it lives */
	assert_int_equal(wm_model__dest(p->model, new)->state, WM_DEST_LIVE);
	wm_model__release_dest(p->model, 0);
	wm_model__release_dest(p->model, 65535);
	plane_free(p);
}

/* Numbers go round, and past those of live vips and of retiring destinations. */
static void numbers_rest(void **state)
{
	struct wm_vip low = { .addr = { htonl(0x0a000001) }, .proto = IPPROTO_TCP,
			      .family = WM_IPV4, .number = 2 };
	struct wm_vip high = { .addr = { htonl(0x0a000002) }, .proto = IPPROTO_TCP,
			       .family = WM_IPV4, .number = 65534, .ring = 1 };
	struct wm_dest cleared = { .vip = 1, .encap = WM_ENCAP_4IN4 };
	struct plane *p = plane_new(&usual);

	(void)state;
	assert_int_equal(wm_model__adopt_vip(p->model, &low), 0);
	assert_int_equal(wm_model__adopt_vip(p->model, &high), 0);
	assert_int_equal(wm_model__adopt_dest(p->model, 1, &cleared), 0);
	apply(p, "10.0.0.2:*; 10.0.0.3:*; 10.0.0.4:*; 10.0.0.5:*");
	assert_int_equal(p->vip[0].number, 65534);
	assert_int_equal(p->vip[1].number, 65535);
	assert_int_equal(p->vip[2].number, 3); /* 1 retires, 2 was live until now */
	assert_int_equal(p->vip[3].number, 4);
	apply(p, "10.0.0.6:*");
	assert_int_equal(p->vip[0].number, 5); /* not yet again those that just went */
	/* vips that stay do not turn the round back */
	apply(p, "10.0.0.7:*; 10.0.0.6:*");
	assert_int_equal(p->vip[0].number, 6);
	apply(p, "10.0.0.6:*");
	apply(p, "10.0.0.8:*; 10.0.0.6:*");
	assert_int_equal(p->vip[0].number, 7);
	plane_free(p);
}

/* Any order of changes: no mark is given twice while its id's generations last,
 * and the tables are right after each (apply checks that). */
static void random_changes(void **state)
{
	static const struct wm_model_limits limits = { 7, 15, VIPS, RINGS };
	static uint8_t seen[1 << 15];
	struct plane *p = plane_new(&limits);
	uint64_t chance = 7;

	(void)state;
	for (int round = 0; round < 120; round++) {
		char text[256] = "";
		size_t len = 0;

		for (int vip = 1; vip <= 3; vip++) {
			chance = chance * 6364136223846793005u + 1442695040888963407u;
			if (chance >> 60 == 0)
				continue;
			len += sprintf(text + len, "%s10.0.0.%d:80", len ? ";" : "", vip);
			for (int real = 1; real <= 10; real++)
				if (chance >> (20 + 2 * real) & 3)
					len += sprintf(text + len, " %d/%d", real,
						       (int)(chance >> (21 + 2 * real) & 1) + 1);
		}
		apply(p, text);
		for (uint32_t id = 1; id < 128; id++) {
			const struct wm_model_dest *dest = wm_model__dest(p->model, id);

			if (dest)
				assert_int_equal(wm_model__dest_mark(p->model, dest) & 127, id);
		}
		if (chance >> 50 & 1)
			release_all(p);
	}
	for (uint32_t id = 1; id < 128; id++)
		seen[p->dest[id].mark & 0x7fff] = 1;
	assert_int_equal(seen[0], 1); /* cleared ones; a live mark is never 0: write_dest() */
	plane_free(p);
}

/* --- not enough room --- */

static void assert_refused(struct plane *p, const char *text, const char *why)
{
	struct wm_config *config = shorthand(text);
	struct wm_plan *plan = (void *)-1;
	struct wm_err err = {};

	assert_int_equal(wm_plan__make(p->model, config, &plan, &err), -ENOSPC);
	assert_null(plan);
	if (!strstr(err.text, why))
		fail_msg("%s", err.text);
	wm_config__free(config);
	check_tables(p);
}

static void no_room_changes_nothing(void **state)
{
	static const struct wm_model_limits small = { 2, 16, 2, 3 }; /* 3 ids, 2 vips, 3 rings */
	struct plane *p = plane_new(&small);

	(void)state;
	apply(p, "10.0.0.1:80 11; 10.0.0.2:80 12");
	assert_refused(p, "10.0.0.1:80 11 13 14; 10.0.0.2:80 12", "no destination id is free");
	assert_refused(p, "10.0.0.1:80 11; 10.0.0.2:80 12; 10.0.0.3:80", "room for 2 vips");
	assert_refused(p, "10.0.0.1:80 11 13; 10.0.0.2:80 12/3 13", "no destination id is free");
	assert_refused(p, "10.0.0.1:80 ; 10.0.0.2:80 ", "no ring is free");
	assert_change(apply(p, "10.0.0.1:80 11; 10.0.0.2:80 12"), 0, 0, 0, false);
	assert_change(apply(p, "10.0.0.1:80 11 13; 10.0.0.2:80 12"), 1, 0, 1, true);
	/* a retiring id is not free */
	apply(p, "10.0.0.1:80 13; 10.0.0.2:80 12");
	assert_refused(p, "10.0.0.1:80 13 14; 10.0.0.2:80 12", "no destination id is free");
	release_all(p);
	assert_change(apply(p, "10.0.0.1:80 13 14; 10.0.0.2:80 12"), 1, 0, 1, true);
	plane_free(p);
}

/* --- adopting --- */

/* A new model from the tables alone, as a daemon does that comes back. */
static void adopt(struct plane *p, const struct wm_model_limits *limits, bool rings)
{
	struct wm_model *model = wm_model__new(limits);

	for (size_t i = p->n_vips; i-- > 0;) /* any order */
		assert_int_equal(wm_model__adopt_vip(model, &p->vip[i]), 0);
	for (uint32_t id = 1; id < 1u << limits->dest_bits; id++)
		if (p->dest[id].encap != WM_ENCAP_NONE)
			assert_int_equal(wm_model__adopt_dest(model, id, &p->dest[id]), 0);
	for (size_t i = 0; rings && i < p->n_vips; i++)
		assert_int_equal(wm_model__adopt_ring(model, p->vip[i].number,
						      p->ring[p->vip[i].ring]), 0);
	wm_model__free(p->model);
	p->model = model;
}

static const char adopted[] = "10.0.0.1:80 11 12/50; 10.0.0.2:*u 11; 10.0.0.3:80n";

static void adopted_and_same(void **state)
{
	struct plane *p = plane_new(&usual);

	(void)state;
	apply(p, adopted);
	adopt(p, &usual, true);
	assert_change(apply(p, adopted), 0, 0, 0, false);
	adopt(p, &usual, false); /* rings not seen: all are made anew */
	assert_change(apply(p, adopted), 0, 0, 3, true);
	adopt(p, &usual, true);
	assert_change(apply(p, adopted), 0, 0, 0, false);
	plane_free(p);
}

static void adopted_and_changed(void **state)
{
	struct plane *p = plane_new(&usual);
	uint16_t kept, number;

	(void)state;
	apply(p, adopted);
	kept = id_of(p, 0, 12);
	number = p->vip[0].number;
	adopt(p, &usual, true);
	/* a vip and a real go, weights change, a real comes */
	assert_change(apply(p, "10.0.0.1:80 12/7 13; 10.0.0.2:*u 11"), 1, 1, 1, true);
	assert_int_equal(id_of(p, 0, 12), kept);
	assert_int_equal(p->vip[0].number, number);
	plane_free(p);
}

static void adopted_without_configuration_goes(void **state)
{
	struct plane *p = plane_new(&usual);

	(void)state;
	apply(p, adopted);
	adopt(p, &usual, true);
	assert_change(apply(p, ""), 0, 3, 0, true);
	assert_int_equal(p->n_vips, 0);
	plane_free(p);
}

/* An id that was cleared before the daemon died comes back with the next
 * generation, and not before it was released. */
static void adopted_generations(void **state)
{
	static const struct wm_model_limits one = { 1, 8, VIPS, RINGS }; /* one id */
	struct plane *p = plane_new(&one);

	(void)state;
	for (int life = 0; life < 3; life++) {
		apply(p, "10.0.0.1:80 11");
		apply(p, "10.0.0.1:80");
		release_all(p);
	}
	apply(p, "10.0.0.1:80 11");
	assert_int_equal(wm_model__dest(p->model, 1)->generation, 3);
	apply(p, "10.0.0.1:80");
	adopt(p, &one, true);
	assert_int_equal(wm_model__dest(p->model, 1)->state, WM_DEST_RETIRING);
	assert_int_equal(wm_model__dest(p->model, 1)->generation, 3);
	/* the first plan announces it, for release; no other does */
	assert_change(apply(p, "10.0.0.1:80"), 0, 1, 0, false);
	assert_change(apply(p, "10.0.0.1:80"), 0, 0, 0, false);
	adopt(p, &one, true); /* a plan has written nothing that would forget it */
	assert_change(apply(p, "10.0.0.1:80"), 0, 1, 0, false);
	release_all(p);
	apply(p, "10.0.0.1:80 11");
	assert_int_equal(wm_model__dest(p->model, 1)->generation, 4);
	plane_free(p);
}

static void contradictions_are_refused(void **state)
{
	struct plane *p = plane_new(&usual);
	struct wm_model *m = wm_model__new(&usual);
	struct wm_dest dest;
	struct wm_vip vip;

	(void)state;
	apply(p, "10.0.0.1:80 11 12");
	vip = p->vip[0];
	dest = p->dest[id_of(p, 0, 11)];

	vip.number = 0;
	assert_int_equal(wm_model__adopt_vip(m, &vip), -EINVAL);
	vip = p->vip[0];
	vip.family = 5;
	assert_int_equal(wm_model__adopt_vip(m, &vip), -EINVAL);
	vip = p->vip[0];
	vip.proto = 1;
	assert_int_equal(wm_model__adopt_vip(m, &vip), -EINVAL);
	vip = p->vip[0];
	vip.ring = RINGS;
	assert_int_equal(wm_model__adopt_vip(m, &vip), -EINVAL);
	vip = p->vip[0];
	assert_int_equal(wm_model__adopt_vip(m, &vip), 0);
	vip.port = htons(81);
	assert_int_equal(wm_model__adopt_vip(m, &vip), -EEXIST); /* number */
	vip = p->vip[0];
	vip.number = 7;
	assert_int_equal(wm_model__adopt_vip(m, &vip), -EEXIST); /* service */
	assert_int_equal(wm_model__adopt_ring(m, 7, p->ring[vip.ring]), -EINVAL);

	assert_int_equal(wm_model__adopt_dest(m, 0, &dest), -EINVAL);
	assert_int_equal(wm_model__adopt_dest(m, 4096, &dest), -EINVAL);
	assert_int_equal(wm_model__adopt_dest(m, 1, &(struct wm_dest){}), -EINVAL);
	assert_null(wm_model__dest(m, 1));
	assert_int_equal(wm_model__adopt_dest(m, 1, &dest), 0);
	assert_int_equal(wm_model__adopt_dest(m, 1, &dest), -EEXIST);
	assert_int_equal(wm_model__adopt_dest(m, 2, &dest), -EINVAL); /* mark of id 1 */
	dest = p->dest[id_of(p, 0, 12)];
	dest.mark = 3;
	dest.vip = 9;
	assert_int_equal(wm_model__adopt_dest(m, 3, &dest), -EINVAL); /* no such vip */
	dest.vip = p->vip[0].number;
	dest.mark = 4;
	dest.vip_port = htons(81);
	assert_int_equal(wm_model__adopt_dest(m, 4, &dest), -EINVAL); /* not that vip's port */
	dest.vip_port = htons(80);
	dest.mark = 0x10005; /* 17 bits */
	assert_int_equal(wm_model__adopt_dest(m, 5, &dest), -EINVAL);
	/* all of these ids rest until they are released */
	for (uint16_t id = 2; id <= 5; id++)
		assert_int_equal(wm_model__dest(m, id)->state, WM_DEST_RETIRING);
	wm_model__free(m);
	plane_free(p);
}

/* Two ids for one real of one vip: one stays, one retires. */
static void adopted_twins(void **state)
{
	struct plane *p = plane_new(&usual);

	(void)state;
	apply(p, "10.0.0.1:80 11");
	p->dest[2] = p->dest[1];
	p->dest[2].mark = 2;
	adopt(p, &usual, true);
	assert_int_equal(apply(p, "10.0.0.1:80 11").retired, 1);
	assert_int_equal(wm_model__vip(p->model, 0)->n_dests, 1);
	plane_free(p);
}

/* --- entries --- */

/* The checksum of the outer header as RFC 791 says, byte by byte. */
static uint16_t header_sum(const uint8_t header[20])
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += header[i] | header[i + 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void dest_entries(void **state)
{
	static const char text[] =
		"interface: e\nsource: { ipv4: 10.77.0.0/16 }\nvips:\n"
		"- { address: 10.0.0.1, port: 80,\n"
		"    reals: &both [ { address: 10.9.8.7 }, { address: 'fc00::9' } ] }\n"
		"- { address: 'fc00::1', port: any, protocol: udp, reals: *both }\n";
	static const uint8_t encaps[2][2] = { { WM_ENCAP_4IN4, WM_ENCAP_4IN6 },
					      { WM_ENCAP_6IN4, WM_ENCAP_6IN6 } };
	struct plane *p = plane_new(&usual);
	struct wm_config *config = parse(text);

	(void)state;
	apply_config(p, config);
	for (size_t v = 0; v < 2; v++) {
		const struct wm_model_vip *vip = wm_model__vip(p->model, v);

		for (size_t d = 0; d < 2; d++) {
			const struct wm_dest *e = &p->dest[vip->dests[d]];
			const struct wm_model_dest *dest = wm_model__dest(p->model, vip->dests[d]);
			uint8_t header[20] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, v ? 41 : 4, 0, 0,
					       10, 77, 0, 0, 10, 9, 8, 7 };

			assert_int_equal(e->encap, encaps[v][d]);
			assert_int_equal(e->proto, v ? IPPROTO_UDP : IPPROTO_TCP);
			assert_int_equal(e->vip, vip->number);
			assert_int_equal(e->vip_port, v ? 0 : htons(80));
			assert_int_equal(e->port_mask, v ? 0 : 0xffff);
			assert_memory_equal(e->vip_addr, vip->address.word, 16);
			assert_memory_equal(e->real, dest->real.word, 16);
			assert_int_equal(e->csum4, d ? 0 : header_sum(header));
		}
	}
	wm_config__free(config);
	plane_free(p);
}

/* The prepared sum holds half of the outer source: a new source prefix writes
 * the entries again, and only those with an outer IPv4 header. */
static void new_source_rewrites_entries(void **state)
{
	static const char text[] =
		"interface: e\nsource: { ipv4: %s }\nvips:\n- { address: 10.0.0.1, "
		"port: any, reals: [ { address: 10.9.8.7 }, { address: 'fc00::9' } ] }\n";
	struct wm_config *one, *two;
	struct plane *p = plane_new(&usual);
	char buf[512];
	uint16_t sum;

	(void)state;
	snprintf(buf, sizeof(buf), text, "10.77.0.0/16");
	one = parse(buf);
	snprintf(buf, sizeof(buf), text, "10.78.0.0/16");
	two = parse(buf);
	apply_config(p, one);
	sum = p->dest[1].csum4;
	assert_change(apply_config(p, two), 1, 0, 0, false);
	assert_int_not_equal(p->dest[1].csum4, sum);
	assert_change(apply_config(p, two), 0, 0, 0, false);
	adopt(p, &usual, true);
	assert_change(apply_config(p, one), 1, 0, 0, false);
	assert_int_equal(p->dest[1].csum4, sum);
	wm_config__free(one);
	wm_config__free(two);
	plane_free(p);
}

/* --- what changes is named --- */

static void assert_named(const struct change change, const char *summary, const char *changes)
{
	assert_string_equal(change.summary, summary);
	assert_string_equal(change.changes, changes);
}

static void changes_are_named(void **state)
{
	struct plane *p = plane_new(&usual);

	(void)state;
	assert_named(apply(p, "10.0.0.1:80 11 12/300; 10.0.0.2:* 11"),
		     "2 vips added, 3 reals added, 2 rings filled", "");
	assert_named(apply(p, "10.0.0.1:80 11/50 12/300 13; 10.0.0.3:53u 11 12"),
		     "1 vip added, 1 vip removed, 3 reals added, 1 real removed, "
		     "1 real reweighted, 2 rings filled",
		     "vip 10.0.0.1:80/tcp: real 10.9.0.11 has weight 50 instead of 100\n"
		     "vip 10.0.0.1:80/tcp: real 10.9.0.13 added\n"
		     "vip 10.0.0.3:53/udp added, with 2 reals\n"
		     "vip 10.0.0.2:*/tcp removed, with 1 reals\n");
	assert_named(apply(p, "10.0.0.1:80n1 11/50 13; 10.0.0.3:53u 11 12"),
		     "1 real removed, 1 ring filled",
		     "vip 10.0.0.1:80/tcp: offload is off\n"
		     "vip 10.0.0.1:80/tcp: its ring is filled in another way\n"
		     "vip 10.0.0.1:80/tcp: real 10.9.0.12 removed\n");
	assert_named(apply(p, "10.0.0.1:80n1 11/50 13; 10.0.0.3:53u 11 12"),
		     "nothing to change", "");
	plane_free(p);
}

/* What reals weighed is not in the data plane: a daemon that comes back must not make
 * news of that. */
static void a_restart_is_no_change(void **state)
{
	struct plane *p = plane_new(&usual);

	(void)state;
	apply(p, "10.0.0.1:80 11/7 12/300; 10.0.0.2:* 11 12/0; 10.0.0.3:1 11 12");
	adopt(p, &usual, true);
	assert_named(apply(p, "10.0.0.1:80 11/7 12/300; 10.0.0.2:* 11 12/0; 10.0.0.3:1 11 12"),
		     "nothing to change", "");
	adopt(p, &usual, true);
	assert_named(apply(p, "10.0.0.1:80 11/8 12/300; 10.0.0.2:* 12/5; 10.0.0.3:1n 11 12"),
		     "1 real removed, 2 rings filled",
		     "vip 10.0.0.3:1/tcp: offload is off\n"
		     "vip 10.0.0.2:*/tcp: real 10.9.0.11 removed\n"
		     "vip 10.0.0.1:80/tcp: its ring was another one\n"
		     "vip 10.0.0.2:*/tcp: its ring was another one\n");
	plane_free(p);
}

static void many_changes_are_counted(void **state)
{
	char text[2048] = "10.0.0.1:80";
	struct plane *p = plane_new(&usual);
	struct change c;
	size_t lines = 0;

	(void)state;
	apply(p, "10.0.0.1:80 200");
	for (int i = 1; i <= 100; i++)
		sprintf(text + strlen(text), " %d", i);
	c = apply(p, text);
	for (const char *at = c.changes; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 33);
	assert_non_null(strstr(c.changes, "\nand 69 more changes\n"));
	plane_free(p);
}

/* Out of reach is no weight: it is told apart, and the weight stays what it was. */
static void reals_out_of_reach_have_no_slots(void **state)
{
	struct wm_config *config = shorthand("10.0.0.1:80 11 12/300");
	struct plane *p = plane_new(&usual);
	const struct wm_model_vip *vip;

	(void)state;
	apply_config(p, config);
	config->vips[0].reals[1].away = true;
	assert_named(apply_config(p, config), "1 real out of reach, 1 ring filled",
		     "vip 10.0.0.1:80/tcp: real 10.9.0.12 is out of reach\n");
	vip = wm_model__vip(p->model, 0);
	assert_int_equal(wm_model__dest(p->model, vip->dests[1])->slots, 0);
	assert_int_equal(wm_model__dest(p->model, vip->dests[1])->weight, 300);
	assert_named(apply_config(p, config), "nothing to change", "");
	config->vips[0].reals[1].away = false;
	assert_named(apply_config(p, config), "1 real in reach again, 1 ring filled",
		     "vip 10.0.0.1:80/tcp: real 10.9.0.12 can be reached\n");
	wm_config__free(config);
	plane_free(p);
}

/* --- what has to be confirmed --- */

static int guarded(struct plane *p, const char *text, uint32_t percent, struct wm_err *err)
{
	const struct wm_guard guard = { percent, "nod" };
	struct wm_config *config = shorthand(text);
	struct wm_plan *plan;
	int ret;

	assert_int_equal(wm_plan__make(p->model, config, &plan, err), 0);
	assert_int_equal(wm_plan__guard(plan, NULL, err), 0);
	ret = wm_plan__guard(plan, &guard, err);
	wm_plan__free(plan);
	wm_config__free(config);
	return ret;
}

static void large_removals_are_refused(void **state)
{
	static const struct {
		const char *text;
		uint32_t percent; /* that it takes */
	} files[] = {
		{ "10.0.0.1:80 11 12 13; 10.0.0.2:80 11 12; 10.0.0.3:80 11; 10.0.0.4:80", 0 },
		{ "10.0.0.1:80 11 12 13; 10.0.0.2:80 11 12; 10.0.0.3:80; 10.0.0.4:80", 17 },
		{ "10.0.0.1:80 11 12; 10.0.0.2:80 11; 10.0.0.3:80 11; 10.0.0.4:80", 34 },
		{ "10.0.0.1:80 11 12 13; 10.0.0.2:80 11 12; 10.0.0.3:80 11", 25 },
		{ "10.0.0.1:80 11 12 13; 10.0.0.2:80 11 12; 10.0.0.5:80 11; 10.0.0.4:80", 25 },
		{ "10.0.0.1:80 11 12 13; 10.0.0.4:80", 50 },
		{ "10.0.0.1:80 21 22 23; 10.0.0.2:80 11 12; 10.0.0.3:80 11; 10.0.0.4:80", 50 },
		{ "10.0.0.1:80 11 12 13", 75 },
		{ "10.0.0.1:80; 10.0.0.2:80; 10.0.0.3:80 11; 10.0.0.4:80; 10.0.0.5:80 1 2", 84 },
		{ "", 100 },
	};
	struct plane *p = plane_new(&usual);
	struct wm_err err = {};

	(void)state;
	assert_int_equal(guarded(p, files[0].text, 0, &err), 0); /* nothing is there to go */
	apply(p, files[0].text);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		for (uint32_t percent = 0; percent <= 100; percent++)
			assert_int_equal(guarded(p, files[i].text, percent, &err),
					 percent < files[i].percent ? -EPERM : 0);
	assert_int_equal(guarded(p, "10.0.0.1:80 11 12 13", 50, &err), -EPERM);
	assert_string_equal(err.text, "3 of 4 vips would be removed, max-removal is 50%: is the "
			    "file whole? If this is meant, nod");
	plane_free(p);
}

/* --- readers --- */

static void vips_by_all_they_are_called(void **state)
{
	static const char text[] =
		"interface: e\nvips:\n- { name: web, address: 10.0.0.1, port: 80, reals: [] }\n"
		"- { address: 10.0.0.1, port: any, reals: [] }\n"
		"- { address: 'fc00::1', port: 53, protocol: udp, reals: [] }\n";
	struct plane *p = plane_new(&usual);
	struct wm_config *config = parse(text);
	const struct wm_model_vip *web, *any, *dns;
	struct wm_addr a;

	(void)state;
	apply_config(p, config);
	web = wm_model__vip(p->model, 0);
	any = wm_model__vip(p->model, 1);
	dns = wm_model__vip(p->model, 2);
	assert_null(wm_model__vip(p->model, 3));
	assert_ptr_equal(wm_model__vip_by_name(p->model, "web"), web);
	assert_ptr_equal(wm_model__vip_by_name(p->model, "10.0.0.1:80/tcp"), web);
	assert_ptr_equal(wm_model__vip_by_name(p->model, "10.0.0.1:*/tcp"), any);
	assert_ptr_equal(wm_model__vip_by_name(p->model, "10.0.0.1:0/tcp"), any);
	assert_ptr_equal(wm_model__vip_by_name(p->model, "[fc00:0:0::1]:53/udp"), dns);
	assert_null(wm_model__vip_by_name(p->model, "[fc00::1]:53/tcp"));
	assert_null(wm_model__vip_by_name(p->model, "10.0.0.1:81/tcp"));
	assert_null(wm_model__vip_by_name(p->model, ""));

	wm_addr__parse("10.0.0.1", &a);
	assert_ptr_equal(wm_model__vip_of(p->model, &a, htons(80), IPPROTO_TCP), web);
	assert_ptr_equal(wm_model__vip_of(p->model, &a, htons(81), IPPROTO_TCP), any);
	assert_null(wm_model__vip_of(p->model, &a, htons(80), IPPROTO_UDP));
	wm_addr__parse("fc00::1", &a);
	assert_null(wm_model__vip_of(p->model, &a, htons(54), IPPROTO_UDP));
	assert_null(wm_model__vip_by_number(p->model, 0));
	assert_null(wm_model__vip_by_number(p->model, 65535));
	assert_null(wm_model__dest(p->model, 0));
	wm_config__free(config);
	plane_free(p);
}

/* --- many rings at once --- */

/* Several vips with the same reals, in other orders, with other weights, and by
 * the other hash: each ring is what it is when built alone, and is counted. */
static void rings_of_a_group(void **state)
{
	static const char text[] = "interface: eth0\nvips:\n"
		"- { address: 10.1.0.1, port: 80, reals: [ { address: 10.9.0.1 },"
		"    { address: 10.9.0.2, weight: 3 }, { address: 10.9.0.3 } ] }\n"
		"- { address: 10.1.0.1, port: 443, reals: [ { address: 10.9.0.3 },"
		"    { address: 10.9.0.1 }, { address: 10.9.0.2, weight: 3 } ] }\n"
		"- { address: 10.1.0.2, port: 80, reals: [ { address: 10.9.0.4, weight: 0 },"
		"    { address: 10.9.0.2, weight: 3 }, { address: 10.9.0.3 }, "
		"    { address: 10.9.0.1 } ] }\n"
		"- { address: 10.1.0.3, port: 80, reals: [ { address: 10.9.0.1 },"
		"    { address: 10.9.0.2, weight: 2 }, { address: 10.9.0.3 } ] }\n"
		"- { address: 10.1.0.4, port: 80, hash: maglev-v1, reals: [ { address: 10.9.0.1 },"
		"    { address: 10.9.0.2, weight: 3 }, { address: 10.9.0.3 } ] }\n"
		"- { address: 10.1.0.5, port: 80, reals: [ { address: 10.9.0.1 } ] }\n"
		"- { address: 10.1.0.6, port: 80, reals: [ { address: 10.9.0.1 } ] }\n"
		"- { address: 10.1.0.7, port: 80, reals: [] }\n"
		"- { address: 10.1.0.8, port: 80, reals: [] }\n";
	static const struct wm_model_limits limits = { 8, 16, 16, 32 };
	uint16_t *alone = malloc(WM_RING_SLOTS * sizeof(*alone));
	struct wm_model *model = wm_model__new(&limits);
	struct wm_config *config = parse(text);
	struct wm_plan *plan;
	struct wm_err err;

	(void)state;
	assert_int_equal(wm_plan__make(model, config, &plan, &err), 0);
	assert_int_equal(plan->n_rings, 9);
	for (size_t i = 0; i < 9; i++) {
		const struct wm_model_vip *vip = wm_model__vip(plan->next, i);
		uint32_t count[256] = {};

		assert_int_equal(plan->rings[i].ring, vip->ring);
		assert_int_equal(wm_model__ring(plan->next, vip, alone), 0);
		assert_memory_equal(plan->rings[i].slot, alone, WM_RING_SLOTS * sizeof(*alone));
		for (uint32_t k = 0; k < WM_RING_SLOTS; k++)
			count[alone[k]]++;
		for (size_t k = 0; k < vip->n_dests; k++)
			assert_int_equal(wm_model__dest(plan->next, vip->dests[k])->slots,
					 count[vip->dests[k]]);
	}
	free(alone);
	wm_plan__free(plan);
	wm_model__free(model);
	wm_config__free(config);
}

static void assert_same_rings(const struct wm_plan *a, const struct wm_plan *b)
{
	assert_int_equal(a->n_rings, b->n_rings);
	for (size_t i = 0; i < a->n_rings; i++) {
		assert_int_equal(a->rings[i].ring, b->rings[i].ring);
		assert_memory_equal(a->rings[i].slot, b->rings[i].slot,
				    WM_RING_SLOTS * sizeof(uint16_t));
	}
}

/* The same plan from one CPU as from all. */
static void rings_on_one_cpu(void **state)
{
	static const struct wm_model_limits limits = { 12, 16, 64, 128 };
	struct wm_model *model = wm_model__new(&limits);
	struct wm_plan *many, *one;
	struct wm_config *config;
	cpu_set_t all, first;
	struct wm_err err;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("interface: eth0\nvips:\n", out);
	for (int v = 0; v < 40; v++)
		fprintf(out, "- { address: 10.1.0.%d, port: 80, reals: [ { address: 10.9.%d.1 },"
			" { address: 10.9.%d.2 }, { address: 10.9.%d.3, weight: %d } ] }\n", v + 1,
			v % 30, v % 30, v % 30, 1 + v % 5);
	fclose(out);
	config = parse(text);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&first);
	for (int cpu = 0; !CPU_COUNT(&first); cpu++)
		if (CPU_ISSET(cpu, &all))
			CPU_SET(cpu, &first);
	assert_int_equal(wm_plan__make(model, config, &many, &err), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(first), &first), 0);
	assert_int_equal(wm_plan__make(model, config, &one, &err), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(many->n_rings, 40);
	assert_same_rings(many, one);
	wm_plan__free(many);
	wm_plan__free(one);
	wm_model__free(model);
	wm_config__free(config);
	free(text);
}

/* --- size --- */

/* 512 vips with 100 reals each: ids, vips and rings suffice, and the plan comes
 * to an end; what it costs is printed. */
static void many_vips_and_reals(void **state)
{
	static const struct wm_model_limits large = { 16, 32, 512, 1024 };
	struct wm_config *config;
	struct timespec a, b, c;
	struct wm_plan *plan, *again;
	struct wm_model *model = wm_model__new(&large);
	struct wm_err err = {};
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("interface: eth0\nvips:\n", out);
	for (int v = 0; v < 512; v++) {
		fprintf(out, "- address: 10.1.%d.%d\n  port: 80\n  reals:\n", v / 256, v % 256);
		for (int r = 0; r < 100; r++)
			fprintf(out, "  - { address: 10.9.%d.%d, weight: %d }\n", v % 200, r + 1,
				1 + r % 3);
	}
	fclose(out);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	config = parse(text);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	assert_int_equal(wm_plan__make(model, config, &plan, &err), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &c);
	assert_int_equal(plan->n_add, 51200);
	assert_int_equal(plan->n_rings, 512);
	print_message("51,200 destinations: read %.0f ms, planned %.0f ms\n",
		      (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6,
		      (c.tv_sec - b.tv_sec) * 1e3 + (c.tv_nsec - b.tv_nsec) / 1e6);
	assert_int_equal(wm_plan__make(plan->next, config, &again, &err), 0);
	assert_true(!again->n_add && !again->n_rings && !again->n_retire && !again->publish);
	wm_plan__free(again);
	wm_plan__free(plan);
	wm_model__free(model);
	wm_config__free(config);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_nothing),
		cmocka_unit_test(same_again),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(weight_touches_one_ring),
		cmocka_unit_test(same_proportions_same_ring),
		cmocka_unit_test(removal_moves_slots_as_maglev_says),
		cmocka_unit_test(options_publish_without_rings),
		cmocka_unit_test(name_alone_changes_nothing),
		cmocka_unit_test(vip_without_reals),
		cmocka_unit_test(ids_are_reused_in_order),
		cmocka_unit_test(generations_wrap_and_skip_none),
		cmocka_unit_test(no_bits_for_generations),
		cmocka_unit_test(all_32_bits_of_a_mark),
		cmocka_unit_test(returning_real_gets_a_new_id),
		cmocka_unit_test(numbers_rest),
		cmocka_unit_test(random_changes),
		cmocka_unit_test(no_room_changes_nothing),
		cmocka_unit_test(adopted_and_same),
		cmocka_unit_test(adopted_and_changed),
		cmocka_unit_test(adopted_without_configuration_goes),
		cmocka_unit_test(adopted_generations),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(adopted_twins),
		cmocka_unit_test(dest_entries),
		cmocka_unit_test(new_source_rewrites_entries),
		cmocka_unit_test(changes_are_named),
		cmocka_unit_test(a_restart_is_no_change),
		cmocka_unit_test(many_changes_are_counted),
		cmocka_unit_test(reals_out_of_reach_have_no_slots),
		cmocka_unit_test(large_removals_are_refused),
		cmocka_unit_test(vips_by_all_they_are_called),
		cmocka_unit_test(rings_of_a_group),
		cmocka_unit_test(rings_on_one_cpu),
		cmocka_unit_test(many_vips_and_reals),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
