// SPDX-License-Identifier: GPL-2.0
/*
 * The key `interface`: a name, a mapping { name, queues }, or a list of these.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "config_inside.h"

enum { INTERFACES_MAX = 64 };

#define ONE "the name of a network interface"
#define MANY "the name of a network interface, or a list of names"

/* One of them, while it is read. */
struct port {
	char *name;
	struct wm_queueset queues;
};

static bool good_name(const char *name)
{
	if (strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	return *name && !strpbrk(name, "/: \t%");
}

static void read_name(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		      void *into)
{
	const struct wm_config *config = r->root;
	const char *name = wm_read__scalar(r, key, node, ONE);

	if (!name)
		return;
	if (!good_name(name)) {
		wm_read__expected(r, key, node, ONE);
		return;
	}
	for (size_t i = 0; i < config->n_interfaces; i++)
		if (!strcmp(config->interfaces[i], name)) {
			wm_read__error(r, node, "interface: \"%s\" is in the list already", name);
			return;
		}
	wm_read__copy(r, name, into);
}

static void add_queues(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		       struct wm_queueset *set)
{
	const char *text = wm_read__scalar(r, key, node, "a queue's number");
	int ret = text ? wm_queueset__parse(set, text) : 0;

	if (ret == -EEXIST)
		wm_read__error(r, node, "queues: \"%s\" names a queue that is in the list already",
			       text);
	else if (ret)
		wm_read__expected(r, key, node, "a queue's number below %d, or a range such as 0-3",
				  WM_QUEUES_MAX);
}

static void read_queues(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			void *into)
{
	size_t n;

	if (value->type == YAML_SCALAR_NODE) {
		add_queues(r, key, value, into);
		return;
	}
	n = wm_read__list(r, key, value, "a list of queues' numbers, such as [0-3]");
	if (!n && value->type == YAML_SEQUENCE_NODE)
		wm_read__error(r, value, "queues: expected at least one number");
	for (size_t i = 0; i < n; i++)
		add_queues(r, key, wm_read__item(r, value, i), into);
}

static void print_queues(const struct wm_key *key, const void *value, FILE *out)
{
	char text[WM_QUEUESET_TEXT];

	(void)key;
	fprintf(out, "[%s]", wm_queueset__format(value, ", ", text, sizeof(text)));
}

static bool same_queues(const struct wm_key *key, const void *a, const void *b)
{
	(void)key;
	return !memcmp(a, b, sizeof(struct wm_queueset));
}

static const struct wm_key_type name_type = { read_name, WM_TEXT };
static const struct wm_key_type queues_type = {
	read_queues, .print = print_queues, .same = same_queues,
};

const struct wm_key wm_config_interface_keys[] = {
	{ "name", &name_type, WM_MEMBER(struct port, name), .required = true },
	{ "queues", &queues_type, WM_MEMBER(struct port, queues) },
	{},
};

static void add(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node)
{
	struct wm_config *config = r->root;
	struct port port = {};

	if (node->type == YAML_MAPPING_NODE)
		wm_read__table(r, "an interface", wm_config_interface_keys, node, &port);
	else
		read_name(r, key, node, &port.name);
	if (!port.name)
		return;
	config->interfaces[config->n_interfaces] = port.name;
	config->queues[config->n_interfaces++] = port.queues;
}

static void read_interfaces(struct wm_reader *r, const struct wm_key *key,
			    const yaml_node_t *value, void *into)
{
	struct wm_config *config = into;
	size_t n;

	config->interfaces = calloc(INTERFACES_MAX, sizeof(*config->interfaces));
	config->queues = calloc(INTERFACES_MAX, sizeof(*config->queues));
	if (!config->interfaces || !config->queues) {
		r->report->no_memory = true;
		return;
	}
	if (value->type != YAML_SEQUENCE_NODE) {
		add(r, key, value);
		return;
	}
	n = wm_read__list(r, key, value, MANY);
	if (n > INTERFACES_MAX)
		wm_read__error(r, value, "interface: expected at most %d names, found %zu",
			       INTERFACES_MAX, n);
	else if (!n)
		wm_read__error(r, value, "interface: expected at least one name");
	else
		for (size_t i = 0; i < n; i++)
			add(r, key, wm_read__item(r, value, i));
}

static struct port port_of(const struct wm_config *config, size_t i)
{
	return (struct port){ config->interfaces[i], config->queues[i] };
}

static void print_interfaces(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config *config = value;

	(void)key;
	putc('[', out);
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct port port = port_of(config, i);

		fputs(i ? ", " : "", out);
		if (wm_queueset__count(&port.queues))
			wm_key__print_flow(wm_config_interface_keys, &port, out);
		else
			wm_print__text(port.name, out);
	}
	putc(']', out);
}

static bool same_interfaces(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config *a = left, *b = right;

	(void)key;
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++) {
		const struct port x = port_of(a, i), y = port_of(b, i);

		if (!wm_key__same(wm_config_interface_keys, &x, &y))
			return false;
	}
	return true;
}

bool wm_config__same_names(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config *a = left, *b = right;

	(void)key;
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++)
		if (strcmp(a->interfaces[i], b->interfaces[i]))
			return false;
	return true;
}

const struct wm_key_type wm_config_interfaces = {
	read_interfaces, NULL, print_interfaces, same_interfaces, NULL,
};
