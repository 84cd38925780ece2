// SPDX-License-Identifier: GPL-2.0
/*
 * From a file to a checked struct wm_config.
 *
 *   bytes -> yaml_doc.c: nodes with positions -> schema.c walks the tables
 *   below (those of vips, interface and local: config_KEY.c) -> struct wm_config, or a
 *   report of all errors.
 *
 * Defaults are set first; a key of the file overwrites its member. What spans
 * several keys is checked at the end (check_whole()), when all are known.
 *
 * Keys, their meaning, defaults and bounds are documented in
 * Documentation/man/waymark.yaml.5; unit/test_config holds both against each other.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <waymark/sockets.h>
#include <waymark/limits.h>

#include "config_inside.h"
#include "yaml_doc.h"

enum {
	FILE_MAX_BYTES = 16 << 20, /* 65535 reals take about 4 MiB */
};

#define MS 1000000ull
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)

/* The flow table's clock has 12 bits of ticks (about a second each): an age of
 * more than half of them could not be told from a young one. */
#define UDP_IDLE_MAX (20 * MINUTE)

const char *const wm_attach_words[] = { "keep", "once", NULL };
const char *const wm_backend_words[] = { "auto", "none", "sim", "flower", "ntuple", NULL };
const char *const wm_lane_words[] = { "auto", "kfunc", "mac", "meta", NULL };
const char *const wm_events_words[] = { "ring", "perf", NULL };
const char *const wm_hash_words[] = { "maglev", "maglev-v1", NULL };
const char *const wm_marks_words[] = { "checked", "trusted", NULL };
const char *const wm_outer_df_words[] = { "zero", "copy", NULL };
const char *const wm_zero_copy_words[] = { "never", "auto", "always", NULL };

/* --- types of single keys --- */

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

char *wm_config__path(const struct wm_config *config, const char *template)
{
	const char *interface = config->interfaces[0], *from;
	size_t size = strlen(template) + 1, len = strlen(interface);
	char *path, *to;

	for (from = template; (from = strstr(from, "%i")); from += 2)
		size += len;
	to = path = malloc(size);
	if (!path)
		return NULL;
	for (from = template; *from;) {
		if (from[0] == '%' && from[1] == 'i') {
			to = stpcpy(to, interface);
			from += 2;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
	return path;
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

/* A share, with its sign: 50 might be half, or fifty vips. */
static void read_percent(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			 void *into)
{
	static const char what[] = "a share from 0% to 100%, with its sign";
	const char *text = wm_read__scalar(r, key, value, what);
	size_t digits;

	if (!text)
		return;
	digits = strspn(text, "0123456789");
	if (!digits || digits > 3 || strcmp(text + digits, "%") || atoi(text) > 100)
		wm_read__expected(r, key, value, "%s", what);
	else
		*(uint32_t *)into = atoi(text);
}

/* A port alone is one of the loopback device: what is open to others is written out. */
static bool parse_listen(const char *text, struct wm_config_metrics *metrics)
{
	const char *loopback = "127.0.0.1:";
	char endpoint[WM_ENDPOINT_TEXT];

	*metrics = (struct wm_config_metrics){};
	if (!strcmp(text, "off"))
		return true;
	snprintf(endpoint, sizeof(endpoint), "%s%s", strchr(text, ':') ? "" : loopback, text);
	return strlen(text) < sizeof(endpoint) - strlen(loopback) &&
	       !wm_endpoint__parse(endpoint, &metrics->address, &metrics->port) && metrics->port;
}

static void read_listen(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			void *into)
{
	static const char what[] = "off, a port, or an address and a port such as 127.0.0.1:9799";
	const char *text = wm_read__scalar(r, key, value, what);
	struct wm_config_metrics metrics;

	if (!text)
		return;
	if (parse_listen(text, &metrics))
		*(struct wm_config_metrics *)into = metrics;
	else
		wm_read__expected(r, key, value, "%s", what);
}

static void print_listen(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config_metrics *metrics = value;
	char text[WM_ENDPOINT_TEXT];

	(void)key;
	if (metrics->port)
		fprintf(out, "\"%s\"",
			wm_endpoint__format(&metrics->address, metrics->port, text));
	else
		fputs("off", out);
}

static bool same_listen(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config_metrics *a = left, *b = right;

	(void)key;
	return a->port == b->port && wm_addr__equal(&a->address, &b->address);
}

static void print_gateway(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config *config = value;
	const uint8_t *m = config->gateway_mac;

	(void)key;
	if (config->gateway_auto)
		fputs("auto", out);
	else
		fprintf(out, "\"%02x:%02x:%02x:%02x:%02x:%02x\"", m[0], m[1], m[2], m[3], m[4],
			m[5]);
}

static bool init_gateway(const struct wm_key *key, void *into)
{
	struct wm_config *config = into;

	(void)key;
	config->gateway_auto = true;
	return true;
}

static bool same_gateway(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config *a = left, *b = right;

	(void)key;
	return a->gateway_auto == b->gateway_auto &&
	       !memcmp(a->gateway_mac, b->gateway_mac, sizeof(a->gateway_mac));
}

static bool init_prefix(const struct wm_key *key, void *into)
{
	return !wm_addr__parse(key->text, into);
}

static void print_prefix(const struct wm_key *key, const void *value, FILE *out)
{
	char text[WM_ADDR_TEXT];

	fprintf(out, "\"%s/%u\"", wm_addr__format(value, text), (unsigned int)key->min);
}

static bool same_address(const struct wm_key *key, const void *a, const void *b)
{
	(void)key;
	return wm_addr__equal(a, b);
}

static void print_percent(const struct wm_key *key, const void *value, FILE *out)
{
	fprintf(out, "%u%%", (unsigned int)wm_number__of(key, value));
}

const struct wm_key_type wm_config_path = { read_path, WM_TEXT };
const struct wm_key_type wm_config_word = { wm_config__read_word, WM_TEXT };
const struct wm_key_type wm_config_percent = { read_percent, .print = print_percent, WM_NUMBER };
static const struct wm_key_type prefix_type = {
	read_prefix, init_prefix, print_prefix, same_address, NULL,
};
static const struct wm_key_type listen_type = {
	read_listen, NULL, print_listen, same_listen, NULL,
};
static const struct wm_key_type gateway_type = {
	read_gateway, init_gateway, print_gateway, same_gateway, NULL,
};

/* --- tables: one row a key, in the order of the canonical form --- */

/* What to do about a key that is fixed. */
#define RESTART "restart waymarkd"
#define LARGER "restart waymarkd, which puts larger tables in the place of these, and flows stay"
#define ANEW "restart waymarkd once with --new-program (its flow table begins empty)"

#define AT(member) WM_MEMBER(struct wm_config, member)

static const struct wm_key source_keys[] = {
	{ "ipv4", &prefix_type, AT(source4), .text = "172.16.0.0", .min = 16, .fixed = RESTART },
	{ "ipv6", &prefix_type, AT(source6), .text = "100::", .min = 96, .fixed = RESTART },
	{},
};

static const struct wm_key ring_seed_keys[] = {
	{ "ipv4", &wm_key_count, AT(ring_seed_v4), WM_RING_SEED_V4, .max = UINT32_MAX,
	  .fixed = RESTART },
	{ "ipv6", &wm_key_count, AT(ring_seed_v6), WM_RING_SEED_V6, .max = UINT32_MAX,
	  .fixed = RESTART },
	{},
};

static const struct wm_key sim_keys[] = {
	{ "pin", &wm_config_path, AT(offload.sim_pin), .max = 4095, .fixed = RESTART },
	{},
};

static const struct wm_key offload_keys[] = {
	{ "backend", &wm_key_choice, AT(offload.backend), WM_BACKEND_AUTO,
	  .words = wm_backend_words, .fixed = RESTART },
	{ "lane", &wm_key_choice, AT(offload.lane), WM_LANE_AUTO, .words = wm_lane_words,
	  .fixed = RESTART },
	{ "events", &wm_key_choice, AT(offload.events), WM_EVENTS_RING, .words = wm_events_words,
	  .fixed = RESTART },
	{ "promote-after", &wm_key_count, AT(offload.promote_after), WM_PROMOTE_AFTER_DEFAULT,
	  .max = WM_PROMOTE_AFTER_MAX },
	{ "max-rules", &wm_key_count, AT(offload.max_rules), 60000, .min = 1, .max = 1 << 24 },
	{ "installs-per-second", &wm_key_count, AT(offload.installs_per_second), 5000, .min = 1,
	  .max = 10000000 },
	{ "idle", &wm_key_duration, AT(offload.idle_ns), 15 * SECOND, .min = 100 * MS,
	  .max = 1440 * MINUTE },
	{ "sim", &wm_key_mapping, .keys = sim_keys },
	{},
};

static const struct wm_key flow_table_keys[] = {
	{ "flows", &wm_key_count, AT(flows), 1000000, .min = WM_FLOWS_MIN, .max = WM_FLOWS_MAX,
	  .fixed = ANEW },
	{ "udp-idle", &wm_key_duration, AT(udp_idle_ns), 30 * SECOND, .min = SECOND,
	  .max = UDP_IDLE_MAX },
	{},
};

static const struct wm_key limits_keys[] = {
	{ "vips", &wm_key_count, AT(max_vips), .max = WM_VIPS_MAX, .fixed = LARGER },
	{ "dests", &wm_key_count, AT(max_dests), .max = (1 << WM_DEST_BITS_MAX) - 1,
	  .fixed = LARGER },
	{},
};

static const struct wm_key metrics_keys[] = {
	{ "listen", &listen_type, AT(metrics) },
	{},
};

static const struct wm_key root_keys[] = {
	{ "interface", &wm_config_interfaces, .items = wm_config_interface_keys, .required = true,
	  .fixed = RESTART, .stays = wm_config__same_names },
	{ "mode", &wm_key_choice, AT(mode), WM_XDP_AUTO, .words = wm_xdp_mode_words,
	  .fixed = RESTART },
	{ "attach", &wm_key_choice, AT(attach), WM_ATTACH_KEEP, .words = wm_attach_words },
	{ "pin", &wm_config_path, AT(pin), .text = "/sys/fs/bpf/waymark/%i", .max = 4095,
	  .fixed = RESTART },
	{ "control", &wm_config_path, AT(control), .text = WM_CONTROL_SOCKET,
	  .max = WM_SOCKET_PATH_MAX, .fixed = RESTART },
	{ "state", &wm_config_path, AT(state), .text = "/var/lib/waymark/%i.json",
	  .max = 4000, .fixed = RESTART },
	{ "gateway", &gateway_type, WM_WHOLE },
	{ "source", &wm_key_mapping, .keys = source_keys },
	{ "marks", &wm_key_choice, AT(trust_marks), .words = wm_marks_words },
	{ "outer-df", &wm_key_choice, AT(copy_df), .words = wm_outer_df_words },
	{ "ring-seeds", &wm_key_mapping, .keys = ring_seed_keys },
	{ "max-removal", &wm_config_percent, AT(max_removal), 50 },
	{ "offload", &wm_key_mapping, .keys = offload_keys, .block = true },
	{ "flow-table", &wm_key_mapping, .keys = flow_table_keys },
	{ "limits", &wm_key_mapping, .keys = limits_keys },
	{ "local", &wm_config_locals, WM_WHOLE, .items = wm_config_local_keys, .block = true,
	  .fixed = RESTART },
	{ "metrics", &wm_key_mapping, .keys = metrics_keys },
	{ "vips", &wm_config_vips, .items = wm_config_vip_keys, .required = true, .block = true },
	{},
};

const struct wm_key *wm_config__keys(void)
{
	return root_keys;
}

/* --- the whole --- */

static struct wm_config *defaults(void)
{
	struct wm_config *config = calloc(1, sizeof(*config));

	if (config && !wm_key__init(root_keys, config)) {
		wm_config__free(config);
		return NULL;
	}
	return config;
}

/* What no single key can tell. */
static void check_whole(struct wm_reader *r, const yaml_node_t *root)
{
	const struct wm_config *config = r->root;
	size_t reals = 0;

	for (size_t i = 0; i < config->n_interfaces; i++)
		if (config->mode == WM_XDP_GENERIC && wm_queueset__count(&config->queues[i]))
			wm_read__error(r, root, "interface: %s: queues: a queue's own program runs "
				       "in the driver, and mode is generic: leave one of them out",
				       config->interfaces[i]);
	for (size_t i = 0; i < config->n_vips; i++)
		reals += config->vips[i].n_reals;
	wm_config__check_locals(r, root);
	if (config->max_vips && config->n_vips > config->max_vips)
		wm_read__error(r, root, "%zu vips, but \"limits\" allows %u", config->n_vips,
			       config->max_vips);
	if (config->max_dests && reals > config->max_dests)
		wm_read__error(r, root, "%zu reals in all vips, but \"limits\" allows %u dests",
			       reals, config->max_dests);
	if (config->offload.lane == WM_LANE_MAC && config->trust_marks)
		wm_read__error(r, root, "marks: trusted: with offload: lane: mac anybody on the "
			       "link can make a mark up: expected checked");
	if (config->offload.backend == WM_BACKEND_SIM && !config->offload.sim_pin)
		wm_read__error(r, root,
			       "offload: backend sim: expected the directory of its maps, "
			       "sim: { pin: DIRECTORY }");
}

/* New flows of such a vip are dropped; while it is drained that is meant, and else it is not. */
static void warn_of_weights(struct wm_reader *r, const struct wm_config *config)
{
	const struct wm_config_vip *first = NULL;
	char more[40] = "";
	size_t n = 0;

	for (size_t i = 0; i < config->n_vips; i++) {
		const struct wm_config_vip *vip = &config->vips[i];
		uint32_t all = 0;

		for (size_t k = 0; k < vip->n_reals; k++)
			all |= vip->reals[k].weight;
		if (vip->n_reals && !all && !n++)
			first = vip;
	}
	if (n > 1)
		snprintf(more, sizeof(more), " (and %zu more)", n - 1);
	if (n)
		wm_report__warning(r->report, first->line, 1, "vip %s%s: all reals have weight 0: "
				   "new flows are dropped", first->name, more);
}

int wm_config__parse(const char *name, const char *text, size_t len, struct wm_config **out,
		     struct wm_err *err, void (*warn)(const char *text, void *arg), void *arg)
{
	struct wm_report report = { .file = name, .warn = warn, .arg = arg };
	struct wm_config *config = defaults();
	struct wm_reader r = { .report = &report, .root = config };
	struct wm_yaml_end end = {};
	const yaml_node_t *root;
	yaml_document_t doc;
	int ret;

	*out = NULL;
	if (!config)
		return wm_err__sys(err, -ENOMEM, "cannot read %s", name);
	r.doc = &doc;
	root = wm_yaml__load(&doc, text, len, &end, &report);
	if (root) {
		wm_read__table(&r, "the configuration", root_keys, root, config);
		check_whole(&r, root);
	}
	if (end.flaw && !report.errors)
		wm_report__error(&report, end.line, end.column, "%s", end.flaw);
	yaml_document_delete(&doc);
	if (!report.errors)
		warn_of_weights(&r, config);
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

/* A pipe or a device may keep who opens or reads it for ever, and gives nothing the second
 * time: a daemon reads its file again. */
static int open_file(const char *path, struct wm_err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	/* A file that another process has a lease on waits after all, for a bounded time. */
	if (fd < 0 && errno == EWOULDBLOCK)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return wm_err__sys(err, -errno, "cannot read the configuration %s", path);
	if (!fstat(fd, &st) && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return wm_err__set(err, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL,
			   "cannot read the configuration %s: it is %s, not a file",
			   path, S_ISFIFO(st.st_mode) ? "a pipe" :
			   S_ISDIR(st.st_mode) ? "a directory" : "a device or a socket");
}

int wm_config__load(const char *path, struct wm_config **out, struct wm_err *err,
		    void (*warn)(const char *text, void *arg), void *arg)
{
	char *text;
	size_t len;
	int fd, ret;

	*out = NULL;
	fd = open_file(path, err);
	if (fd < 0)
		return fd;
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
	wm_check__clear(&vip->check);
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
	free(config->state);
	free(config->offload.sim_pin);
	for (size_t i = 0; i < config->n_locals; i++) {
		free(config->locals[i].name);
		free(config->locals[i].socket);
		free(config->locals[i].group);
	}
	free(config->locals);
	free(config);
}
