// SPDX-License-Identifier: GPL-2.0
/*
 * The key `local`: one local consumer, or a list of them.
 */
#include <stdlib.h>
#include <string.h>
#include <waymark/sockets.h>
#include <waymark/limits.h>

#include "config_inside.h"

/* Permissions as chmod takes them: octal digits. */
static void read_mode(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char what[] = "permissions in octal, 0600 to 0777";
	const char *text = wm_read__scalar(r, key, value, what);
	unsigned long mode;

	if (!text)
		return;
	mode = strtoul(text, NULL, 8);
	if (strspn(text, "01234567") != strlen(text) || mode > 0777 || mode < 0600)
		wm_read__expected(r, key, value, "%s", what);
	else
		*(uint32_t *)into = mode;
}

static void print_mode(const struct wm_key *key, const void *value, FILE *out)
{
	fprintf(out, "\"%04o\"", (unsigned int)wm_number__of(key, value));
}

static const struct wm_key_type mode_type = { read_mode, .print = print_mode, WM_NUMBER };

#define OF(member) WM_MEMBER(struct wm_config_local, member)

const struct wm_key wm_config_local_keys[] = {
	{ "name", &wm_config_word, OF(name), .max = WM_LOCAL_NAME - 1, .required = true },
	{ "socket", &wm_config_path, OF(socket), .text = WM_LOCAL_SOCKET,
	  .max = WM_SOCKET_PATH_MAX },
	{ "mode", &mode_type, OF(mode), 0600 },
	{ "group", &wm_config_word, OF(group), .max = 31 },
	{ "ring", &wm_key_count, OF(ring), 2048, .min = 64, .max = 32768 },
	{ "zero-copy", &wm_key_choice, OF(zero_copy), WM_ZERO_COPY_NEVER,
	  .words = wm_zero_copy_words },
	{},
};

static void read_local(struct wm_reader *r, const yaml_node_t *node, struct wm_config_local *local)
{
	r->report->no_memory |= !wm_key__init(wm_config_local_keys, local);
	wm_read__table(r, "local", wm_config_local_keys, node, local);
}

/* One, or a list of them. */
static void read_locals(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			void *into)
{
	struct wm_config *config = into;
	bool list = value->type == YAML_SEQUENCE_NODE;
	size_t n = 1;

	if (list)
		n = wm_read__list(r, key, value, "a list of local consumers");
	if (n > WM_LOCALS_MAX) {
		wm_read__error(r, value, "local: expected at most %d consumers, found %zu",
			       WM_LOCALS_MAX, n);
		return;
	}
	config->locals = calloc(WM_LOCALS_MAX, sizeof(*config->locals));
	if (!config->locals) {
		r->report->no_memory = true;
		return;
	}
	for (config->n_locals = 0; config->n_locals < n; config->n_locals++)
		read_local(r, list ? wm_read__item(r, value, config->n_locals) : value,
			   &config->locals[config->n_locals]);
}

static void print_locals(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config *config = value;

	(void)key;
	wm_key__print_list(wm_config_local_keys, config->locals, config->n_locals,
			   sizeof(*config->locals), out);
}

static bool no_locals(const struct wm_key *key, const void *value)
{
	const struct wm_config *config = value;

	(void)key;
	return !config->n_locals;
}

static bool same_locals(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config *a = left, *b = right;

	(void)key;
	return wm_key__same_list(wm_config_local_keys, a->locals, a->n_locals, b->locals,
				 b->n_locals, sizeof(*a->locals));
}

const struct wm_key_type wm_config_locals = {
	read_locals, NULL, print_locals, same_locals, no_locals,
};

/* --- what no single key can tell --- */

/* A real that is local: which consumer is it? */
static void number_real(struct wm_reader *r, const yaml_node_t *root, struct wm_config_real *real)
{
	const struct wm_config *config = r->root;
	char text[WM_ADDR_TEXT];
	struct wm_addr local;

	if (real->address.family != WM_LOCAL)
		return;
	for (size_t i = 0; i < config->n_locals; i++) {
		if (!config->locals[i].name)
			return; /* that was said */
		wm_addr__local(config->locals[i].name, &local);
		if (wm_addr__equal(&real->address, &local)) {
			((uint8_t *)real->address.word)[WM_LOCAL_NUMBER] = i;
			return;
		}
	}
	wm_addr__format(&real->address, text);
	if (config->n_locals == 1)
		wm_read__error(r, root, "real %s in line %d: the local consumer is called \"%s\"",
			       text, real->line, config->locals[0].name);
	else
		wm_read__error(r, root, "real %s in line %d: there is no %slocal consumer%s; "
			       "expected local: { name: ... }", text, real->line,
			       config->n_locals ? "such " : "",
			       config->n_locals ? " among those of \"local\"" : "");
}

static void check_local(struct wm_reader *r, const yaml_node_t *root, size_t i)
{
	const struct wm_config *config = r->root;
	const struct wm_config_local *local = &config->locals[i];

	for (size_t k = 0; k < i; k++) {
		if (local->name && config->locals[k].name &&
		    !strcmp(local->name, config->locals[k].name))
			wm_read__error(r, root, "local: two consumers are called \"%s\"",
				       local->name);
		if (local->socket && config->locals[k].socket &&
		    !strcmp(local->socket, config->locals[k].socket))
			wm_read__error(r, root, "local: consumers %zu and %zu have the same "
				       "socket, %s", k + 1, i + 1, local->socket);
	}
	if (local->zero_copy != WM_ZERO_COPY_NEVER && config->n_locals > 1)
		wm_read__error(r, root, "local: zero-copy is for a single consumer: a queue has "
			       "its packets in one memory");
}

void wm_config__check_locals(struct wm_reader *r, const yaml_node_t *root)
{
	const struct wm_config *config = r->root;

	for (size_t i = 0; i < config->n_vips; i++)
		for (size_t k = 0; k < config->vips[i].n_reals; k++)
			number_real(r, root, &config->vips[i].reals[k]);
	for (size_t i = 0; i < config->n_locals; i++)
		check_local(r, root, i);
	for (size_t i = 0; i < config->n_interfaces && config->n_locals; i++)
		if (wm_queueset__count(&config->queues[i]))
			wm_read__error(r, root, "local: its sockets take every queue, and "
				       "\"queues\" leaves some to the host: leave one of them out");
	if (config->n_locals && config->n_interfaces > WM_LOCAL_PORTS_MAX)
		wm_read__error(r, root, "local: expected at most %d interfaces, found %zu",
			       WM_LOCAL_PORTS_MAX, config->n_interfaces);
}
