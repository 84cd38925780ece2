// SPDX-License-Identifier: GPL-2.0
#include "fetch.h"

#include <errno.h>

#include "source.h"
#include "stats.h"
#include "views.h"

/* One request, one reply. Returns 0 and *data, or an exit code. */
static int ask(const struct invocation *in, json_t **data)
{
	struct source *source = NULL;
	struct wm_err err = { "" };
	json_t *request = NULL;
	int ret;

	*data = NULL;
	ret = source__open(&source, in, &err) ?: source__request(source, in, &request, &err) ?:
	      source__call(source, request, data, &err);
	json_decref(request);
	source__close(source);
	return ret ? invocation__error(in, ret, &err) : 0;
}

int fetch__run(struct invocation *in)
{
	json_t *data;
	int ret = ask(in, &data);

	if (!ret)
		ret = invocation__show(in, invocation__view(in), data);
	json_decref(data);
	return ret;
}

int fetch__status(struct invocation *in)
{
	json_t *data;
	int ret = ask(in, &data);

	if (!ret)
		ret = invocation__show(in, invocation__view(in), data);
	if (!ret && json_array_size(json_object_get(data, "unserved")))
		ret = WM_EXIT_UNSERVED;
	json_decref(data);
	return ret;
}

int fetch__flow(struct invocation *in)
{
	const json_t *shown;
	json_int_t total;
	json_t *data;
	int ret;

	if (in->n_arguments && invocation__option(in, "max"))
		return invocation__usage(in, "--max goes with the list of flows");
	ret = ask(in, &data);
	if (!ret)
		ret = invocation__show(in, invocation__view(in), data);
	shown = json_object_get(data, "rules");
	total = json_integer_value(json_object_get(data, "total"));
	/* On standard error: a list that is cut must not look whole to a script. */
	if (!ret && shown && (json_int_t)json_array_size(shown) < total)
		invocation__warn(in, "there are more flows than shown; see --max");
	json_decref(data);
	return ret;
}

/* {vip, reals, slot} as rows of slot and real. */
static json_t *ring_rows(const json_t *data)
{
	const json_t *reals = json_object_get(data, "reals"), *index;
	json_t *rows = json_array();
	size_t slot;

	json_array_foreach(json_object_get(data, "slot"), slot, index) {
		json_t *real = json_array_get(reals, json_integer_value(index));
		json_t *row = json_pack("{s:I, s:O?}", "slot", (json_int_t)slot, "real", real);

		if (json_array_append_new(rows, row)) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}

static int show_ring(const struct invocation *in, const json_t *data)
{
	struct wm_err err = { "" };
	json_t *rows;
	int ret;

	if (in->out.json || !json_is_array(json_object_get(data, "slot")))
		return invocation__show(in, in->command->view, data);
	rows = ring_rows(data);
	ret = rows ? view__show_rows(in->command->view, rows, &in->out, &err) : -ENOMEM;
	json_decref(rows);
	return ret ? invocation__error(in, ret, &err) : WM_EXIT_OK;
}

int fetch__ring(struct invocation *in)
{
	json_t *data;
	int ret = ask(in, &data);

	if (!ret)
		ret = show_ring(in, data);
	json_decref(data);
	return ret;
}

int fetch__stats(struct invocation *in)
{
	struct source *source = NULL;
	struct wm_err err = { "" };
	json_t *request = NULL;
	int ret;

	if (invocation__option(in, "count") && !invocation__option(in, "watch"))
		return invocation__usage(in, "--count goes with --watch");
	ret = source__open(&source, in, &err) ?: source__request(source, in, &request, &err);
	if (!ret)
		ret = stats__show(in, source, request, &err);
	json_decref(request);
	source__close(source);
	return ret ? invocation__error(in, ret, &err) : WM_EXIT_OK;
}
