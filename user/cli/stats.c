// SPDX-License-Identifier: GPL-2.0
/*
 * Rows come from the keys that view_stats promises, in that order, and counters
 * that only the daemon knows (it is newer) come last. A rate is the difference
 * of two answers over the time between them. With --watch the first table has
 * no rates: there is nothing yet to compare with.
 */
#include "stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "interrupt.h"
#include "views.h"

/* Ends early when interrupted. */
static void sleep_until(double when)
{
	struct timespec until = { .tv_sec = when };

	until.tv_nsec = (when - until.tv_sec) * 1e9;
	while (!interrupt__came() &&
	       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* One answer and, for rates, the one before. */
struct sample {
	const json_t *data, *before;
	double seconds; /* between them */
	bool all;       /* zeros too */
	json_t *rows;
};

/* What is there now goes up and down: a change a second would say nothing. */
static bool is_gauge(const char *key)
{
	return !strcmp(key, "offload.active") || !strcmp(key, "offload.installing") ||
	       !strcmp(key, "offload.deleting");
}

static const char *short_name(const char *key)
{
	return strncmp(key, "counters.", 9) ? key : key + 9;
}

static int add_row(struct sample *sample, const char *key, const json_t *value,
		   const json_t *before, const char *text)
{
	json_t *rate = NULL, *row;

	if (!json_is_number(value) || (!sample->all && !json__is_true(value)))
		return 0;
	if (before && !is_gauge(key))
		rate = json_real((json_number_value(value) - json_number_value(before)) /
				 sample->seconds);
	row = json_pack("{s:s, s:O, s:o?, s:s}", "counter", short_name(key), "value", value, "rate",
			rate, "text", text);
	return json_array_append_new(sample->rows, row) ? -ENOMEM : 0;
}

static int add_known(struct sample *sample)
{
	const struct wm_field *c;
	int ret = 0;

	for (c = view__keys(&view_stats); c->key && !ret; c++)
		ret = add_row(sample, c->key, json__at(sample->data, c->key),
			      sample->before ? json__at(sample->before, c->key) : NULL, c->text);
	return ret;
}

static int add_unknown(struct sample *sample)
{
	json_t *counters = json_object_get(sample->data, "counters"), *value;
	const char *name;
	int ret = 0;

	json_object_foreach(counters, name, value) {
		const json_t *before = json_object_get(sample->before, "counters");
		char key[80];

		snprintf(key, sizeof(key), "counters.%s", name);
		if (!ret && !column__find(view__keys(&view_stats), key, strlen(key)))
			ret = add_row(sample, key, value, json_object_get(before, name),
				      "(this command is older than the daemon)");
	}
	return ret;
}

static int show_rows(const struct invocation *in, struct sample *sample, struct wm_err *err)
{
	struct output out = in->out;
	int ret;

	if (!out.columns && !invocation__option(in, "watch"))
		out.columns = "counter,value,text";
	sample->rows = json_array();
	ret = sample->rows ? add_known(sample) ?: add_unknown(sample) : -ENOMEM;
	if (!ret)
		ret = view__show_rows(&view_stats, sample->rows, &out, err);
	json_decref(sample->rows);
	return ret;
}

static int show(const struct invocation *in, struct sample *sample, struct wm_err *err)
{
	if (!json_is_object(json_object_get(sample->data, "counters")) || in->out.json)
		return view__show(&view_stats, sample->data, &in->out, err);
	return show_rows(in, sample, err);
}

/* On a terminal each table takes the last one's place. */
static void separate(const struct invocation *in, unsigned int table)
{
	if (in->out.json)
		return;
	if (isatty(fileno(in->out.file)))
		fputs("\033[H\033[J", in->out.file);
	else if (table)
		fputc('\n', in->out.file);
}

static int watch(const struct invocation *in, struct source *source, const json_t *request,
		 double period, struct wm_err *err)
{
	unsigned int tables = invocation__number(in, "count"); /* 0: no end */
	struct invocation lines = *in;
	json_t *data, *before = NULL;
	double then = 0;
	int ret = 0;

	lines.out.raw |= in->out.json;
	interrupt__catch();
	for (unsigned int n = 0; !ret && !interrupt__came() && (!tables || n < tables); n++) {
		double start = interrupt__now_s();
		struct sample sample = { .before = before, .seconds = start - then,
					 .all = invocation__option(in, "all") };

		ret = source__call(source, request, &data, err);
		if (ret)
			break;
		sample.data = data;
		separate(in, n);
		ret = show(&lines, &sample, err);
		if (fflush(in->out.file))
			interrupt__pretend(); /* nobody reads; main says why */
		json_decref(before);
		before = data;
		then = start;
		if (!tables || n + 1 < tables)
			sleep_until(start + period);
	}
	json_decref(before);
	return ret;
}

int stats__show(const struct invocation *in, struct source *source, const json_t *request,
		struct wm_err *err)
{
	const char *period = invocation__option(in, "watch");
	struct sample sample = { .all = invocation__option(in, "all") };
	json_t *data;
	int ret;

	if (period)
		return watch(in, source, request, strtod(period, NULL), err);
	ret = source__call(source, request, &data, err);
	if (ret)
		return ret;
	sample.data = data;
	ret = show(in, &sample, err);
	json_decref(data);
	return ret;
}
