// SPDX-License-Identifier: GPL-2.0
/*
 * From a file to a checked struct wm_config.
 *
 *   bytes -> yaml_doc.c: nodes with positions -> schema.c walks the tables
 *   below (vips: config_vip.c, interface: config_interface.c) -> struct wm_config,
 *   or a report of all errors.
 *
 * Defaults are set first; a key of the file overwrites its member. What spans
 * several keys is checked at the end (check_whole()), when all are known.
 *
 * Keys, their meaning and their bounds are documented in
 * Documentation/man/waymark.yaml.5; a test holds both against each other.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>
#include <waymark/ctl.h>
#include <waymark/limits.h>

#include "config_keys.h"
#include "yaml_doc.h"

enum {
	FILE_MAX_BYTES = 16 << 20, /* 65535 reals take about 4 MiB */
	MAX_RULES_DEFAULT = 60000,
	MAX_RULES_MAX = 1 << 24,
	INSTALLS_DEFAULT = 20000,
	INSTALLS_MAX = 10000000,
	FLOWS_DEFAULT = 1000000,
};

#define MS 1000000ull
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)

/* The flow table's clock has 12 bits of ticks (about a second each): an age of
 * more than half of them could not be told from a young one. */
#define UDP_IDLE_MAX (20 * MINUTE)

const char *const wm_mode_words[] = { "auto", "native", "generic", NULL };
const char *const wm_backend_words[] = { "auto", "none", "sim", "flower", "ntuple", NULL };
const char *const wm_hash_words[] = { "maglev", "maglev-v1", NULL };
const char *const wm_marks_words[] = { "checked", "trusted", NULL };
const char *const wm_zero_copy_words[] = { "never", "auto", "always", NULL };

/* --- readers of single keys --- */

/* A path may hold %i, the first interface's name, and no other %. */
static bool good_path(const char *path)
{
	if (*path != '/')
		return false;
	for (const char *p = strchr(path, '%'); p; p = strchr(p + 1, '%'))
		if (p[1] != 'i')
			return false;
	return true;
}

static void read_path(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	const char *path = wm_read__scalar(r, key, value, "an absolute path");

	if (!path)
		return;
	if (!good_path(path) || strlen(path) > key->max)
		wm_read__expected(r, key, value,
				  "an absolute path of at most %llu bytes, with %%i for the "
				  "interface", (unsigned long long)key->max);
	else
		wm_read__copy(r, path, into);
}

static void read_gateway(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			 void *into)
{
	const char *text = wm_read__scalar(r, key, value, "auto or a MAC address");
	static const uint8_t zero[6];
	struct wm_config *config = into;
	uint8_t mac[6];

	if (!text)
		return;
	config->gateway_auto = !strcmp(text, "auto");
	if (config->gateway_auto)
		return;
	if (wm_mac__parse(text, mac) || mac[0] & 1 || !memcmp(mac, zero, sizeof(mac)))
		wm_read__expected(r, key, value, "auto or the MAC address of one machine");
	else
		memcpy(config->gateway_mac, mac, sizeof(mac));
}

/* "address/len" with len = key->min bits and nothing set behind them; the
 * family follows from the length. */
static bool parse_prefix(const char *text, unsigned int len, struct wm_addr *prefix)
{
	uint8_t family = len == 16 ? WM_IPV4 : WM_IPV6;
	size_t size = family == WM_IPV4 ? 4 : 16;
	char host[WM_ADDR_TEXT], tail[8];
	const char *slash = strchr(text, '/');
	const uint8_t *byte = (const uint8_t *)prefix->word;

	snprintf(tail, sizeof(tail), "/%u", len);
	if (!slash || strcmp(slash, tail) || (size_t)(slash - text) >= sizeof(host))
		return false;
	memcpy(host, text, slash - text);
	host[slash - text] = '\0';
	if (wm_addr__parse(host, prefix) || prefix->family != family)
		return false;
	for (size_t i = len / 8; i < size; i++)
		if (byte[i])
			return false;
	return !wm_config__address_flaw(prefix);
}

static void read_prefix(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			void *into)
{
	const char *example = key->min == 16 ? "172.16.0.0/16" : "100::/96";
	const char *text = wm_read__scalar(r, key, value, "a prefix");
	struct wm_addr prefix;

	if (!text)
		return;
	if (parse_prefix(text, key->min, &prefix))
		memcpy(into, &prefix, sizeof(prefix));
	else
		wm_read__expected(r, key, value,
				  "a prefix of %u bits such as %s, no bits behind it",
				  (unsigned int)key->min, example);
}

static bool good_word(const char *text, size_t max)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz" "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "0123456789-_.");

	return len && !text[len] && len <= max && !strchr("-_.", *text);
}

void wm_config__read_word(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			  void *into)
{
	static const char what[] = "a name of letters, digits, \"-\", \"_\" and \".\"";
	const char *text = wm_read__scalar(r, key, value, what);

	if (!text)
		return;
	if (good_word(text, key->max))
		wm_read__copy(r, text, into);
	else
		wm_read__expected(r, key, value, "%s, at most %llu", what,
				  (unsigned long long)key->max);
}

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

/* --- tables --- */

#define AT(member) WM_MEMBER(struct wm_config, member)

static const struct wm_key source_keys[] = {
	{ "ipv4", read_prefix, AT(source4), .min = 16 },
	{ "ipv6", read_prefix, AT(source6), .min = 96 },
	{},
};

static const struct wm_key ring_seed_keys[] = {
	{ "ipv4", wm_read__count, AT(ring_seed_v4), .max = UINT32_MAX },
	{ "ipv6", wm_read__count, AT(ring_seed_v6), .max = UINT32_MAX },
	{},
};

static const struct wm_key sim_keys[] = {
	{ "pin", read_path, AT(offload.sim_pin), .max = 4095 },
	{},
};

static const struct wm_key offload_keys[] = {
	{ "backend", wm_read__choice, AT(offload.backend), .words = wm_backend_words },
	{ "promote-after", wm_read__count, AT(offload.promote_after), .max = WM_PROMOTE_AFTER_MAX },
	{ "max-rules", wm_read__count, AT(offload.max_rules), .min = 1, .max = MAX_RULES_MAX },
	{ "installs-per-second", wm_read__count, AT(offload.installs_per_second), .min = 1,
	  .max = INSTALLS_MAX },
	{ "idle", wm_read__duration, AT(offload.idle_ns), .min = 100 * MS, .max = 1440 * MINUTE },
	{ "sim", wm_read__mapping, .keys = sim_keys },
	{},
};

static const struct wm_key flow_table_keys[] = {
	{ "flows", wm_read__count, AT(flows), .min = WM_FLOWS_MIN, .max = WM_FLOWS_MAX },
	{ "udp-idle", wm_read__duration, AT(udp_idle_ns), .min = SECOND, .max = UDP_IDLE_MAX },
	{},
};

static const struct wm_key limits_keys[] = {
	{ "vips", wm_read__count, AT(max_vips), .max = WM_VIPS_MAX },
	{ "dests", wm_read__count, AT(max_dests), .max = (1 << WM_DEST_BITS_MAX) - 1 },
	{},
};

#define OF(member) WM_MEMBER(struct wm_config_local, member)

static const struct wm_key local_keys[] = {
	{ "name", wm_config__read_word, OF(name), .max = WM_LOCAL_NAME - 1, .required = true },
	{ "socket", read_path, OF(socket),
	  .max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 },
	{ "mode", read_mode, OF(mode) },
	{ "group", wm_config__read_word, OF(group), .max = 31 },
	{ "ring", wm_read__count, OF(ring), .min = 64, .max = 32768 },
	{ "zero-copy", wm_read__choice, OF(zero_copy), .words = wm_zero_copy_words },
	{},
};

static void read_local(struct wm_reader *r, const yaml_node_t *node, struct wm_config_local *local)
{
	local->mode = 0600;
	local->ring = 2048;
	wm_read__copy(r, WM_CTL_LOCAL_PATH, &local->socket);
	wm_read__table(r, "local", local_keys, node, local);
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

static const struct wm_key root_keys[] = {
	{ "interface", wm_config__read_interfaces, .required = true },
	{ "mode", wm_read__choice, AT(mode), .words = wm_mode_words },
	{ "pin", read_path, AT(pin), .max = 4095 },
	{ "control", read_path, AT(control),
	  .max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 },
	{ "gateway", read_gateway, WM_WHOLE },
	{ "source", wm_read__mapping, .keys = source_keys },
	{ "marks", wm_read__choice, AT(trust_marks), .words = wm_marks_words },
	{ "ring-seeds", wm_read__mapping, .keys = ring_seed_keys },
	{ "offload", wm_read__mapping, .keys = offload_keys },
	{ "flow-table", wm_read__mapping, .keys = flow_table_keys },
	{ "limits", wm_read__mapping, .keys = limits_keys },
	{ "local", read_locals, WM_WHOLE },
	{ "metrics", wm_read__ignored, WM_WHOLE },
	{ "vips", wm_config__read_vips, .required = true },
	{},
};

/* --- the whole --- */

static struct wm_config *defaults(void)
{
	struct wm_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->pin = strdup("/sys/fs/bpf/waymark/%i");
	config->control = strdup(WM_CTL_PATH);
	if (!config->pin || !config->control) {
		wm_config__free(config);
		return NULL;
	}
	config->gateway_auto = true;
	wm_addr__parse("172.16.0.0", &config->source4);
	wm_addr__parse("100::", &config->source6);
	config->ring_seed_v4 = WM_RING_SEED_V4;
	config->ring_seed_v6 = WM_RING_SEED_V6;
	config->offload.promote_after = WM_PROMOTE_AFTER_DEFAULT;
	config->offload.max_rules = MAX_RULES_DEFAULT;
	config->offload.installs_per_second = INSTALLS_DEFAULT;
	config->offload.idle_ns = 15 * SECOND;
	config->flows = FLOWS_DEFAULT;
	config->udp_idle_ns = 30 * SECOND;
	return config;
}

/* A real that is local: which consumer is it? */
static void number_local(struct wm_reader *r, const yaml_node_t *root, struct wm_config_real *real)
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

/* Consumers and the interfaces that they are to have sockets on. */
static void check_locals(struct wm_reader *r, const yaml_node_t *root)
{
	const struct wm_config *config = r->root;

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

/* What no single key can tell. */
static void check_whole(struct wm_reader *r, const yaml_node_t *root)
{
	const struct wm_config *config = r->root;
	size_t reals = 0;

	for (size_t i = 0; i < config->n_interfaces; i++)
		if (config->mode == WM_MODE_GENERIC && wm_queueset__count(&config->queues[i]))
			wm_read__error(r, root, "interface: %s: queues: a queue's own program runs "
				       "in the driver, and mode is generic: leave one of them out",
				       config->interfaces[i]);
	for (size_t i = 0; i < config->n_vips; i++) {
		reals += config->vips[i].n_reals;
		for (size_t k = 0; k < config->vips[i].n_reals; k++)
			number_local(r, root, &config->vips[i].reals[k]);
	}
	check_locals(r, root);
	if (config->max_vips && config->n_vips > config->max_vips)
		wm_read__error(r, root, "%zu vips, but \"limits\" allows %u", config->n_vips,
			       config->max_vips);
	if (config->max_dests && reals > config->max_dests)
		wm_read__error(r, root, "%zu reals in all vips, but \"limits\" allows %u dests",
			       reals, config->max_dests);
	if (config->offload.backend == WM_BACKEND_SIM && !config->offload.sim_pin)
		wm_read__error(r, root,
			       "offload: backend sim: expected the directory of its maps, "
			       "sim: { pin: DIRECTORY }");
}

int wm_config__parse(const char *name, const char *text, size_t len, struct wm_config **out,
		     struct wm_err *err, void (*warn)(const char *text, void *arg), void *arg)
{
	struct wm_report report = { .file = name, .warn = warn, .arg = arg };
	struct wm_config *config = defaults();
	struct wm_reader r = { .report = &report, .root = config };
	const yaml_node_t *root;
	yaml_document_t doc;
	int ret;

	*out = NULL;
	if (!config)
		return wm_err__sys(err, -ENOMEM, "cannot read %s", name);
	r.doc = &doc;
	root = wm_yaml__load(&doc, text, len, &report);
	if (root) {
		wm_read__table(&r, "the configuration", root_keys, root, config);
		check_whole(&r, root);
	}
	yaml_document_delete(&doc);
	ret = wm_report__finish(&report, err);
	wm_report__clear(&report);
	if (ret)
		wm_config__free(config);
	else
		*out = config;
	return ret;
}

static int read_all(int fd, char *buf, size_t size, size_t *len)
{
	ssize_t n;

	for (*len = 0; *len < size; *len += n) {
		n = read(fd, buf + *len, size - *len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
		else if (!n)
			return 0;
	}
	return -EFBIG;
}

int wm_config__load(const char *path, struct wm_config **out, struct wm_err *err,
		    void (*warn)(const char *text, void *arg), void *arg)
{
	char *text;
	size_t len;
	int fd, ret;

	*out = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return wm_err__sys(err, -errno, "cannot read the configuration %s", path);
	text = malloc(FILE_MAX_BYTES + 1);
	ret = text ? read_all(fd, text, FILE_MAX_BYTES + 1, &len) : -ENOMEM;
	if (ret)
		wm_err__sys(err, ret, "cannot read the configuration %s", path);
	else
		ret = wm_config__parse(path, text, len, out, err, warn, arg);
	free(text);
	close(fd);
	return ret;
}

static void free_vip(struct wm_config_vip *vip)
{
	free(vip->name);
	free(vip->reals);
}

void wm_config__free(struct wm_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->n_interfaces; i++)
		free(config->interfaces[i]);
	for (size_t i = 0; i < config->n_vips; i++)
		free_vip(&config->vips[i]);
	free(config->interfaces);
	free(config->queues);
	free(config->vips);
	free(config->pin);
	free(config->control);
	free(config->offload.sim_pin);
	for (size_t i = 0; i < config->n_locals; i++) {
		free(config->locals[i].name);
		free(config->locals[i].socket);
		free(config->locals[i].group);
	}
	free(config->locals);
	free(config);
}
