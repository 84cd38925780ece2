// SPDX-License-Identifier: GPL-2.0
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "plot.h"
#include "sizing.h"
#include "trace.h"
#include "units.h"
#include "views.h"

static int failed(const struct invocation *in, int error, const struct wm_err *err)
{
	return invocation__fail(in, WM_EXIT_FAILED, *err->text ? err->text : strerror(-error));
}

/* --- options; their forms were checked --- */

/* A number with a unit; too large for its place becomes the largest, which is
 * out of range everywhere. */
static void take_amount(const struct invocation *in, const char *name, uint64_t *into,
			uint64_t largest)
{
	const char *text = invocation__option(in, name);

	if (!text)
		return;
	if (wm_count__parse(text, into) || *into > largest)
		*into = largest;
}

static void take_amount32(const struct invocation *in, const char *name, uint32_t *into)
{
	uint64_t value = *into;

	take_amount(in, name, &value, UINT32_MAX);
	*into = value;
}

static void take_decimal(const struct invocation *in, const char *name, double *into)
{
	const char *text = invocation__option(in, name);

	if (text)
		*into = strtod(text, NULL);
}

static void take_duration(const struct invocation *in, const char *name, uint64_t *into)
{
	const char *text = invocation__option(in, name);

	if (text)
		wm_duration__parse(text, into);
}

/* "1k,4k". More than there is room for: n_rules says so. */
static void take_rules(const struct invocation *in, struct wm_sizing *o)
{
	const char *text = invocation__option(in, "rules");
	uint64_t rules;
	char one[32];

	if (!text)
		return;
	for (o->n_rules = 0;; text++) {
		size_t len = strcspn(text, ",");

		snprintf(one, sizeof(one), "%.*s", (int)len, text);
		if (wm_count__parse(one, &rules) || rules > UINT32_MAX)
			rules = UINT32_MAX;
		if (o->n_rules < WM_SIZING_SIZES_MAX)
			o->rules[o->n_rules] = rules;
		o->n_rules++;
		text += len;
		if (!*text)
			return;
	}
}

static void take_traffic(const struct invocation *in, struct wm_sizing *o)
{
	const char *proto = invocation__option(in, "protocol");
	uint64_t pps = 0;

	take_amount(in, "flows", &o->flows, UINT64_MAX);
	take_amount(in, "pps", &pps, UINT64_MAX);
	o->pps = pps;
	take_decimal(in, "zipf", &o->zipf);
	take_duration(in, "lifetime", &o->lifetime_ns);
	if (proto)
		o->proto = wm_proto__parse(proto);
	take_decimal(in, "seconds", &o->seconds);
	if (invocation__option(in, "seed"))
		o->seed = invocation__number(in, "seed");
}

static void take_options(const struct invocation *in, struct wm_sizing *o)
{
	wm_sizing__defaults(o);
	take_traffic(in, o);
	take_rules(in, o);
	take_amount32(in, "installs-per-second", &o->installs_per_second);
	take_duration(in, "install-delay", &o->install_delay_ns);
	if (invocation__option(in, "promote-after"))
		o->promote_after = invocation__number(in, "promote-after");
	take_duration(in, "idle", &o->idle_ns);
	take_duration(in, "udp-idle", &o->udp_idle_ns);
	take_amount(in, "flow-table", &o->table_flows, UINT64_MAX);
	o->cpus = invocation__number(in, "cpus");
	take_decimal(in, "ns-hit", &o->ns_hit);
	take_decimal(in, "ns-marked", &o->ns_marked);
}

/* Options of the model go with the model, and so on. */
static int check_together(const struct invocation *in)
{
	static const char *const model[] = { "flows", "pps", "zipf", "lifetime", "protocol",
					     "seconds", "seed" };
	const char *plot = invocation__option(in, "plot");
	bool pcap = invocation__option(in, "pcap");

	if (plot && !wm_plot__knows(plot))
		return invocation__usage(in, "--plot '%s': wants a name that ends in .svg or .png",
					 plot);
	if (!pcap && invocation__option(in, "filter"))
		return invocation__usage(in, "--filter goes with --pcap");
	if (!pcap && (!invocation__option(in, "flows") || !invocation__option(in, "pps")))
		return invocation__usage(in, "what traffic: --pcap, or --flows and --pps");
	for (size_t i = 0; pcap && i < sizeof(model) / sizeof(*model); i++)
		if (invocation__option(in, model[i]))
			return invocation__usage(in, "--%s goes with the model, not with --pcap",
						 model[i]);
	return 0;
}

/* --- the answer --- */

static json_t *row_json(const struct wm_sizing_row *r)
{
	return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f,"
			 " s:f, s:f, s:f, s:I, s:I}",
			 "rules", (json_int_t)r->rules, "marked", r->marked,
			 "rules_mean", r->rules_mean, "rules_max", r->rules_max,
			 "installs", r->installs, "evicted", r->evicted, "idle", r->idle,
			 "closed", r->closed, "full", r->full, "held", r->held,
			 "events", r->events, "events_held", r->events_held,
			 "missed", r->missed, "cores_software", r->cores_software,
			 "cores_saved", r->cores_saved, "pps", r->pps, "seconds", r->seconds,
			 "scale", (json_int_t)r->scale, "played", (json_int_t)r->played);
}

/* The traffic in words: a title. */
static void describe(const struct invocation *in, const struct wm_sizing *o, char *text,
		     size_t size)
{
	const char *life = invocation__option(in, "lifetime");

	if (o->trace)
		snprintf(text, size, "%s: %zu packets of %u flows in %.1f s",
			 invocation__option(in, "pcap"), o->trace->n, o->trace->n_flows,
			 o->trace->duration_ns / 1e9);
	else
		snprintf(text, size, "%s %s flows, %s packets per second, Zipf %g%s%s",
			 invocation__option(in, "flows"), wm_proto__name(o->proto),
			 invocation__option(in, "pps"), o->zipf, life ? ", lifetime " : "",
			 life ?: "");
}

static int show(const struct invocation *in, const struct wm_sizing *o, const char *title,
		const struct wm_sizing_row *rows)
{
	json_int_t flows = o->trace ? o->trace->n_flows : o->flows;
	json_t *sizes = json_array(), *passed, *data;
	int ret;

	for (uint32_t i = 0; i < o->n_rules; i++)
		json_array_append_new(sizes, row_json(&rows[i]));
	passed = o->trace ? json_integer(o->trace->passed) : json_null();
	data = json_pack("{s:s, s:I, s:o, s:f, s:f, s:o}", "traffic", title, "flows", flows,
			 "not_balanced", passed, "ns_hit", o->ns_hit, "ns_marked", o->ns_marked,
			 "sizes", sizes);
	ret = data ? invocation__show(in, &view_size, data) : WM_EXIT_FAILED;
	json_decref(data);
	return ret;
}

static int run(const struct invocation *in, const struct wm_sizing *o)
{
	const char *plot = invocation__option(in, "plot");
	struct wm_sizing_row rows[WM_SIZING_SIZES_MAX];
	struct wm_err err = { "" };
	char title[512];
	int ret;

	ret = wm_sizing__check(o, &err);
	if (ret)
		return invocation__usage(in, "%s", err.text);
	describe(in, o, title, sizeof(title));
	ret = wm_sizing__run(o, rows, &err);
	if (!ret && plot)
		ret = wm_plot__write(plot, title, rows, o->n_rules, &err);
	return ret ? failed(in, ret, &err) : show(in, o, title, rows);
}

int run__size(struct invocation *in)
{
	const char *pcap = invocation__option(in, "pcap");
	struct wm_err err = { "" };
	struct wm_trace trace;
	struct wm_sizing o;
	int ret;

	ret = check_together(in);
	if (ret)
		return ret;
	take_options(in, &o);
	if (!pcap)
		return run(in, &o);
	ret = wm_trace__open(&trace, pcap, invocation__option(in, "filter"), &err);
	if (ret)
		return failed(in, ret, &err);
	o.trace = &trace;
	ret = run(in, &o);
	wm_trace__close(&trace);
	return ret;
}
