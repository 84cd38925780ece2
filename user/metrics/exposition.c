// SPDX-License-Identifier: GPL-2.0
/*
 * A family of metrics is a row of a table, and a function that writes its samples. The names are
 * those of Prometheus' conventions: base units, counters end in _total, one label for one
 * thing. No label names a flow: their number has no bound.
 *
 * The two formats differ in the lines that describe a family. In OpenMetrics a counter's family
 * has no _total, an information has a type of its own, and the text has an end.
 *
 * Families of destinations are most of the text. Their lines are put together from parts that
 * are there already (facts.h) and a number; memory is asked for once a family.
 */
#include "exposition.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX "waymark_"

enum kind { COUNTER, GAUGE, INFO };

struct family {
	const char *name; /* without prefix, _total and _info */
	enum kind kind;
	const char *unit; /* that the name ends with; NULL: none */
	const char *help;
};

struct writer {
	const struct wm_exposition *of;
	enum wm_format format;
	struct wm_page *page;
};

/* --- lines --- */

static const char *suffix_of(enum kind kind)
{
	return kind == COUNTER ? "_total" : kind == INFO ? "_info" : "";
}

static const char *type_of(enum kind kind, enum wm_format format)
{
	if (kind == INFO && format == WM_FORMAT_OPENMETRICS)
		return "info";
	return kind == COUNTER ? "counter" : "gauge";
}

static void describe(struct writer *w, const char *what, const struct family *family,
		     const char *text)
{
	wm_page__text(w->page, what);
	wm_page__text(w->page, PREFIX);
	wm_page__text(w->page, family->name);
	if (w->format == WM_FORMAT_TEXT)
		wm_page__text(w->page, suffix_of(family->kind));
	wm_page__text(w->page, " ");
	wm_page__text(w->page, text);
	wm_page__text(w->page, "\n");
}

static void begin(struct writer *w, const struct family *family)
{
	describe(w, "# HELP ", family, family->help);
	describe(w, "# TYPE ", family, type_of(family->kind, w->format));
	if (family->unit && w->format == WM_FORMAT_OPENMETRICS)
		describe(w, "# UNIT ", family, family->unit);
}

/* `labels`: with braces and a blank, or a blank */
static void sample(struct writer *w, const struct family *family, const char *labels, size_t len,
		   uint64_t value)
{
	wm_page__text(w->page, PREFIX);
	wm_page__text(w->page, family->name);
	wm_page__text(w->page, suffix_of(family->kind));
	wm_page__put(w->page, labels, len);
	wm_page__number(w->page, value);
	wm_page__text(w->page, "\n");
}

static void single(struct writer *w, const struct family *family, uint64_t value)
{
	begin(w, family);
	sample(w, family, " ", 1, value);
}

/* One label; name: with its brace and equals sign, "{reason=" */
static void labelled(struct writer *w, const struct family *family, const char *name,
		     const char *text, uint64_t value)
{
	struct wm_page label = {};

	wm_page__text(&label, name);
	wm_page__text(&label, "\"");
	wm_page__label(&label, text);
	wm_page__text(&label, "\"} ");
	if (label.failed)
		w->page->failed = true;
	else
		sample(w, family, label.data, label.len, value);
	wm_page__free(&label);
}

/* --- the whole program --- */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void write_build(struct writer *w)
{
	static const struct family build = {
		"build", INFO, NULL, "Versions of waymarkd and of the program that packets meet, "
		"and how that is attached."
	};
	const json_t *texts = json_object_get(w->of->state, "texts");
	struct wm_page labels = {};

	wm_page__named_label(&labels, "{version", text_of(texts, "version"));
	wm_page__named_label(&labels, ",program", text_of(texts, "program"));
	wm_page__named_label(&labels, ",mode", text_of(texts, "mode"));
	wm_page__named_label(&labels, ",lane", text_of(texts, "lane"));
	wm_page__named_label(&labels, ",backend", text_of(texts, "backend"));
	wm_page__text(&labels, "} ");
	begin(w, &build);
	if (labels.failed)
		w->page->failed = true;
	else
		sample(w, &build, labels.data, labels.len, 1);
	wm_page__free(&labels);
}

/* Single numbers that the daemon sends, by their names; those that it does not know are not
 * there. */
static const struct family numbers[] = {
	{ "start_time_seconds", GAUGE, "seconds", "When waymarkd started, since the epoch." },
	{ "flow_table_capacity", GAUGE, NULL, "Flows that the flow table has room for." },
	{ "destinations_limit", GAUGE, NULL, "Destinations that the program has room for." },
	{ "retiring_destinations", GAUGE, NULL, "Destinations out of the configuration that rules "
	  "or flows may still name." },
	{ "program_reattached", COUNTER, NULL, "Times that the program was attached again." },
	{ "events_read", COUNTER, NULL, "Events of flows that waymarkd has read." },
	{ "reloads", COUNTER, NULL, "Reloads of the configuration that have ended, failed ones "
	  "included." },
	{ "last_reload_successful", GAUGE, NULL, "Whether the last reload succeeded (1) or "
	  "failed and changed nothing (0)." },
	{ "last_reload_timestamp_seconds", GAUGE, "seconds", "When the last reload ended, since "
	  "the epoch." },
	{ "rules_limit", GAUGE, NULL, "Rules that may be in the NIC." },
	{ "rules_backing_off", GAUGE, NULL, "Whether no rule is installed for a while because the "
	  "NIC refused some (1)." },
	{ "rule_candidates", COUNTER, NULL, "Flows that were offered for a rule." },
	{ "rules_installed", COUNTER, NULL, "Rules that the NIC took." },
	{ "rules_refused", COUNTER, NULL, "Rules that the NIC refused." },
	{ "rules_table_full", COUNTER, NULL, "Rules that the NIC had no room for." },
	{ "rules_held", COUNTER, NULL, "Offers that were not taken: over the budget, table full, "
	  "or backing off." },
	{ "rule_removals_failed", COUNTER, NULL, "Removals of rules that the NIC refused." },
	{ "rule_packets", COUNTER, NULL, "Packets of all rules, as the NIC counted them." },
	{ "rule_bytes", COUNTER, "bytes", "Bytes of all rules, as the NIC counted them." },
	{ "nic_table_size", GAUGE, NULL, "Rules that the NIC says it has room for." },
	{ "nic_table_used", GAUGE, NULL, "Rules in the NIC's table, whoever's they are." },
	{ "steering_rules", GAUGE, NULL, "Rules that lead packets to waymark's receive queues." },
	{ "steering_vips", GAUGE, NULL, "Vips that steering rules are to lead." },
	{ "steered_vips", GAUGE, NULL, "Vips that steering rules lead." },
	{},
};

static const json_t *find_number(const struct wm_exposition *of, const char *name)
{
	const json_t *number = json_object_get(json_object_get(of->state, "numbers"), name);

	return number ? number : json_object_get(json_object_get(of->facts->root, "numbers"), name);
}

static void write_numbers(struct writer *w)
{
	static const struct family responsive = {
		"daemon_responsive", GAUGE, NULL, "Whether waymarkd answered when this was asked "
		"for (1); if not, all but what packets count is old."
	};

	single(w, &responsive, w->of->responsive);
	for (const struct family *family = numbers; family->name; family++) {
		const json_t *number = find_number(w->of, family->name);

		if (json_is_integer(number))
			single(w, family, json_integer_value(number));
	}
}

static void write_interfaces(struct writer *w)
{
	static const struct family served = {
		"interface_served", GAUGE, NULL, "Whether the program gets the interface's packets "
		"(1)."
	};
	const json_t *list = json_object_get(w->of->state, "interfaces");

	if (!json_array_size(list))
		return;
	begin(w, &served);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		const char *name = json_string_value(json_array_get(row, 0));

		labelled(w, &served, "{interface=", name ? name : "",
			 json_is_true(json_array_get(row, 1)));
	}
}

/* An object of numbers, its keys as a label. */
static void write_object(struct writer *w, const struct family *family, const char *label,
			 const char *key)
{
	const json_t *object = json_object_get(w->of->state, key), *number;
	const char *name;

	if (!json_object_size(object))
		return;
	begin(w, family);
	json_object_foreach((json_t *)object, name, number)
		labelled(w, family, label, name, json_integer_value(number));
}

static void write_rules(struct writer *w)
{
	static const struct family rules = { "rules", GAUGE, NULL, "Rules now, by their state." };
	static const struct family ended = {
		"rules_ended", COUNTER, NULL, "Rules that have ended, by the reason."
	};

	write_object(w, &rules, "{state=", "rules");
	write_object(w, &ended, "{reason=", "ended");
}

/* --- what packets count --- */

/* tx_, pass_ and drop_ are verdicts: every packet has one. */
static const char *action_of(const char *counter)
{
	if (!strncmp(counter, "tx_", 3))
		return "{action=\"tx\",verdict=";
	if (!strncmp(counter, "pass_", 5))
		return "{action=\"pass\",verdict=";
	if (!strncmp(counter, "drop_", 5))
		return "{action=\"drop\",verdict=";
	return NULL;
}

static const char *counter_text(const struct wm_exposition *of, size_t i, size_t column)
{
	const json_t *list = json_object_get(of->facts->root, "counters");
	const char *text = json_string_value(json_array_get(json_array_get(list, i), column));

	return text ? text : "";
}

static void write_counters(struct writer *w)
{
	static const struct family packets = {
		"packets", COUNTER, NULL, "Packets that the program has seen, by their verdict."
	};
	static const struct family sent = {
		"sent_bytes", COUNTER, "bytes", "Bytes of the packets that were sent to reals, "
		"without the outer header."
	};
	size_t n = json_array_size(json_object_get(w->of->facts->root, "counters"));
	uint64_t counter[WM_COUNTERS_MAX], bytes;

	wm_counters__all(w->of->counters, counter, &bytes);
	begin(w, &packets);
	for (size_t i = 0; i < n; i++) {
		const char *name = counter_text(w->of, i, 0);

		if (action_of(name))
			labelled(w, &packets, action_of(name), name, counter[i]);
	}
	single(w, &sent, bytes);
	for (size_t i = 0; i < n; i++) {
		const struct family other = { counter_text(w->of, i, 0), COUNTER, NULL,
					      counter_text(w->of, i, 1) };

		if (!action_of(other.name))
			single(w, &other, counter[i]);
	}
}

/* --- vips --- */

static const char *label_text(const struct wm_facts *facts, const struct wm_facts_label *label)
{
	return facts->labels.data + label->start;
}

static void write_vips(struct writer *w)
{
	static const struct family info = {
		"vip", INFO, NULL, "Address, port and protocol of a vip."
	};
	static const struct family reals = { "vip_reals", GAUGE, NULL, "Reals of a vip." };
	static const struct family dropped = {
		"vip_dropped_packets", COUNTER, NULL, "Packets for a vip that had no real to give."
	};
	const json_t *list = json_object_get(w->of->state, "dropped");
	const struct wm_facts *facts = w->of->facts;

	begin(w, &info);
	for (size_t i = 0; i < facts->n_vips; i++)
		sample(w, &info, label_text(facts, &facts->vips[i].info), facts->vips[i].info.len,
		       1);
	begin(w, &reals);
	for (size_t i = 0; i < facts->n_vips; i++)
		sample(w, &reals, label_text(facts, &facts->vips[i].name),
		       facts->vips[i].name.len, facts->vips[i].reals);
	if (json_array_size(list) != facts->n_vips)
		return;
	begin(w, &dropped);
	for (size_t i = 0; i < facts->n_vips; i++)
		sample(w, &dropped, label_text(facts, &facts->vips[i].name),
		       facts->vips[i].name.len, json_integer_value(json_array_get(list, i)));
}

/* --- destinations --- */

struct dest_view {
	const struct wm_facts_dest *dest;
	const struct wm_dest_stats *stats;
	uint64_t listed; /* of the list of the state that the family goes by */
};

static uint64_t packets_of(const struct dest_view *view)
{
	return view->stats->packets;
}

static uint64_t marked_of(const struct dest_view *view)
{
	return view->stats->marked;
}

static uint64_t bytes_of(const struct dest_view *view)
{
	return view->stats->bytes;
}

static uint64_t flows_of(const struct dest_view *view)
{
	return view->stats->flows;
}

static uint64_t weight_of(const struct dest_view *view)
{
	return view->dest->weight;
}

static uint64_t slots_of(const struct dest_view *view)
{
	return view->dest->slots;
}

static uint64_t reachable_of(const struct dest_view *view)
{
	return view->dest->reachable;
}

static uint64_t live_of(const struct dest_view *view)
{
	return view->listed;
}

/* See facts.h for the numbers. */
static uint64_t healthy_of(const struct dest_view *view)
{
	return view->listed == 1;
}

static bool has_health(const struct dest_view *view)
{
	return view->listed;
}

static uint64_t drained_of(const struct dest_view *view)
{
	return view->listed == 1;
}

static uint64_t disabled_of(const struct dest_view *view)
{
	return view->listed == 2;
}

static const struct dest_family {
	struct family family;
	uint64_t (*value)(const struct dest_view *view);
	const char *list; /* of the state; without it the family is not written. NULL: none */
	bool (*has)(const struct dest_view *view); /* NULL: all have it */
} dest_families[] = {
	{ { "real_packets", COUNTER, NULL, "Packets of a vip that were sent to a real." },
	  .value = packets_of },
	{ { "real_marked_packets", COUNTER, NULL, "Of these, packets that were sent by their mark "
	    "alone." }, .value = marked_of },
	{ { "real_bytes", COUNTER, "bytes", "Bytes of a vip that were sent to a real, without the "
	    "outer header." }, .value = bytes_of },
	{ { "real_flows", COUNTER, NULL, "Flows that were entered in the flow table for a real." },
	  .value = flows_of },
	{ { "real_weight", GAUGE, NULL, "Weight of a real, as configured." }, .value = weight_of },
	{ { "real_slots", GAUGE, NULL, "Slots of its vip's ring that a real has, of 65537: its "
	    "share of new flows." }, .value = slots_of },
	{ { "real_reachable", GAUGE, NULL, "Whether new flows may be sent to a real now (1)." },
	  .value = reachable_of },
	{ { "real_live_flows", GAUGE, NULL, "Flows that a real has now." },
	  .value = live_of, .list = "live" },
	{ { "real_healthy", GAUGE, NULL, "Whether a real is up (1) or down (0) by its health "
	    "check; not there without a result of one." },
	  .value = healthy_of, .list = "health", .has = has_health },
	{ { "real_drained", GAUGE, NULL, "Whether a real was drained by hand (1)." },
	  .value = drained_of, .list = "by_hand" },
	{ { "real_disabled", GAUGE, NULL, "Whether a real was disabled by hand (1)." },
	  .value = disabled_of, .list = "by_hand" },
};

enum { DEST_FAMILIES = sizeof(dest_families) / sizeof(dest_families[0]) };

/* Where nobody has it there is nothing to describe. */
static bool anybody_has(const struct dest_family *of, const json_t *list)
{
	size_t i;
	json_t *n;

	if (!of->has)
		return true;
	json_array_foreach((json_t *)list, i, n) {
		const struct dest_view view = { .listed = json_integer_value(n) };

		if (of->has(&view))
			return true;
	}
	return false;
}

static char *append(char *to, const char *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

/* Room for all lines at once, so that none of them asks for it. */
static void write_dest_family(struct writer *w, const struct dest_family *of,
			      const struct wm_dest_stats *stats, const json_t *list)
{
	const struct wm_facts *facts = w->of->facts;
	char name[64], *to;
	size_t len;

	begin(w, &of->family);
	len = stpcpy(stpcpy(stpcpy(name, PREFIX), of->family.name),
		     suffix_of(of->family.kind)) - name;
	to = wm_page__room(w->page, facts->labels.len +
			   facts->n_dests * (len + WM_NUMBER_DIGITS + 1));
	if (!to)
		return;
	for (size_t i = 0; i < facts->n_dests; i++) {
		const struct wm_facts_dest *dest = &facts->dests[i];
		struct dest_view view = { dest, &stats[i], 0 };

		if (list)
			view.listed = json_integer_value(json_array_get(list, i));
		if (of->has && !of->has(&view))
			continue;
		to = append(to, name, len);
		to = append(to, label_text(facts, &dest->label), dest->label.len);
		to = wm_number__write(to, of->value(&view));
		*to++ = '\n';
	}
	w->page->len = to - w->page->data;
}

static void write_dests(struct writer *w)
{
	const struct wm_facts *facts = w->of->facts;
	struct wm_dest_stats *stats = calloc(facts->n_dests + 1, sizeof(*stats));

	if (!stats) {
		w->page->failed = true;
		return;
	}
	wm_counters__dests(w->of->counters, facts, stats);
	for (int i = 0; i < DEST_FAMILIES; i++) {
		const struct dest_family *of = &dest_families[i];
		const json_t *list = of->list ? json_object_get(w->of->state, of->list) : NULL;

		if (!of->list || (json_is_array(list) && json_array_size(list) == facts->n_dests &&
				  anybody_has(of, list)))
			write_dest_family(w, of, stats, list);
	}
	free(stats);
}

void wm_exposition__write(const struct wm_exposition *exposition, enum wm_format format,
			  struct wm_page *page)
{
	struct writer w = { exposition, format, page };

	write_build(&w);
	write_numbers(&w);
	write_interfaces(&w);
	write_rules(&w);
	write_counters(&w);
	write_vips(&w);
	write_dests(&w);
	if (format == WM_FORMAT_OPENMETRICS)
		wm_page__text(page, "# EOF\n");
}
