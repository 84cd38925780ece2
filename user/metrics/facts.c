// SPDX-License-Identifier: GPL-2.0
/*
 * Labels are written once, when the facts come, and copied with each scrape. Whoever sends
 * the facts is trusted, and checked all the same: an id beyond the memory of the counters must
 * not be read.
 */
#include "facts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/abi.h>

static int broken(struct wm_err *err, const char *what)
{
	return wm_err__set(err, -EINVAL, "waymarkd sent facts without good %s", what);
}

static uint64_t count_of(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? n : 0;
}

static uint64_t count_at(const json_t *list, size_t i)
{
	json_int_t n = json_integer_value(json_array_get(list, i));

	return n > 0 ? n : 0;
}

/* "" for what is no text */
static const char *text_at(const json_t *list, size_t i)
{
	const char *text = json_string_value(json_array_get(list, i));

	return text ? text : "";
}

static void end_label(struct wm_facts *facts, struct wm_facts_label *label)
{
	wm_page__text(&facts->labels, "} ");
	label->len = facts->labels.len - label->start;
}

static void label_vip(struct wm_facts *facts, struct wm_facts_vip *vip, const json_t *row)
{
	char port[WM_NUMBER_DIGITS + 1];

	vip->name.start = facts->labels.len;
	wm_page__named_label(&facts->labels, "{vip", text_at(row, 0));
	end_label(facts, &vip->name);
	vip->info.start = facts->labels.len;
	wm_page__named_label(&facts->labels, "{vip", text_at(row, 0));
	wm_page__named_label(&facts->labels, ",address", text_at(row, 1));
	*wm_number__write(port, count_at(row, 2)) = '\0';
	wm_page__named_label(&facts->labels, ",port", count_at(row, 2) ? port : "any");
	wm_page__named_label(&facts->labels, ",protocol", text_at(row, 3));
	end_label(facts, &vip->info);
}

static int take_vips(struct wm_facts *facts, struct wm_err *err)
{
	const json_t *list = json_object_get(facts->root, "vips");

	if (!json_is_array(list))
		return broken(err, "vips");
	facts->vips = calloc(json_array_size(list) + 1, sizeof(*facts->vips));
	if (!facts->vips)
		return wm_err__sys(err, -ENOMEM, "cannot keep the vips");
	facts->n_vips = json_array_size(list);
	for (size_t i = 0; i < facts->n_vips; i++) {
		const json_t *row = json_array_get(list, i);

		facts->vips[i].reals = count_at(row, 4);
		label_vip(facts, &facts->vips[i], row);
	}
	return 0;
}

static int take_dest(struct wm_facts *facts, struct wm_facts_dest *dest, const json_t *row,
		     uint32_t dest_bits, struct wm_err *err)
{
	uint64_t vip = count_at(row, 0), id = count_at(row, 1);
	const json_t *vips = json_object_get(facts->root, "vips");

	if (vip >= facts->n_vips || !id || id >> dest_bits)
		return broken(err, "destinations");
	*dest = (struct wm_facts_dest){ .id = id, .weight = count_at(row, 3),
					.slots = count_at(row, 4),
					.reachable = json_is_true(json_array_get(row, 5)) };
	dest->label.start = facts->labels.len;
	wm_page__named_label(&facts->labels, "{vip", text_at(json_array_get(vips, vip), 0));
	wm_page__named_label(&facts->labels, ",real", text_at(row, 2));
	end_label(facts, &dest->label);
	return 0;
}

static int take_dests(struct wm_facts *facts, uint32_t dest_bits, struct wm_err *err)
{
	const json_t *list = json_object_get(facts->root, "dests");
	int ret = 0;

	if (!json_is_array(list))
		return broken(err, "destinations");
	facts->dests = calloc(json_array_size(list) + 1, sizeof(*facts->dests));
	if (!facts->dests)
		return wm_err__sys(err, -ENOMEM, "cannot keep the destinations");
	for (size_t i = 0; i < json_array_size(list) && !ret; i++) {
		ret = take_dest(facts, &facts->dests[i], json_array_get(list, i), dest_bits, err);
		facts->n_dests++;
	}
	return ret;
}

static int take(struct wm_facts *facts, uint32_t dest_bits, struct wm_err *err)
{
	uint64_t abi = count_of(facts->root, "abi");
	int ret;

	if (abi != WM_ABI_VERSION)
		return wm_err__set(err, -EPROTO, "waymarkd is of another version (abi %llu, this "
				   "program's is %d): restart it", (unsigned long long)abi,
				   WM_ABI_VERSION);
	if (json_array_size(json_object_get(facts->root, "counters")) > WM_COUNTERS_MAX)
		return broken(err, "counters");
	ret = take_vips(facts, err);
	if (!ret)
		ret = take_dests(facts, dest_bits, err);
	if (!ret && facts->labels.failed)
		ret = wm_err__sys(err, -ENOMEM, "cannot keep the labels");
	/* All that is used of them is in the arrays now. */
	json_object_del(facts->root, "vips");
	json_object_del(facts->root, "dests");
	return ret;
}

int wm_facts__new(struct wm_facts **out, json_t *root, uint32_t dest_bits, struct wm_err *err)
{
	struct wm_facts *facts = calloc(1, sizeof(*facts));
	int ret;

	*out = NULL;
	if (!facts) {
		json_decref(root);
		return wm_err__sys(err, -ENOMEM, "cannot keep the facts");
	}
	facts->root = root;
	ret = take(facts, dest_bits, err);
	if (ret)
		wm_facts__free(facts);
	else
		*out = facts;
	return ret;
}

void wm_facts__free(struct wm_facts *facts)
{
	if (!facts)
		return;
	json_decref(facts->root);
	free(facts->vips);
	free(facts->dests);
	wm_page__free(&facts->labels);
	free(facts);
}
