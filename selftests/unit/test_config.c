// SPDX-License-Identifier: GPL-2.0
/*
 * The configuration file. config/NAME.yaml must read as the canonical form in
 * NAME.ok, or fail with the text in NAME.err; `WM_UPDATE=1 test_config` writes
 * these files anew. Single mistakes stand in tables below, one line each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "config_inside.h"
#include "units.h"

#define HEAD "interface: eth0\nvips: []\n" /* what follows begins in line 3 */
#define VIPS "interface: eth0\nvips:\n"    /* likewise */
/* A vip with this check. */
#define CHECK(keys) "- { address: 10.0.0.1, port: 80, check: { " keys " }, reals: [] }"

struct heard {
	int n;
	char last[512];
};

static void hear(const char *text, void *arg)
{
	struct heard *heard = arg;

	heard->n++;
	snprintf(heard->last, sizeof(heard->last), "%s", text);
}

static int parse_bytes(const char *text, size_t len, struct wm_config **config, struct wm_err *err)
{
	err->text[0] = '\0';
	return wm_config__parse("f", text, len, config, err, NULL, NULL);
}

/* A good one; its last line's end may be left out. */
static struct wm_config *parse(const char *text)
{
	struct wm_config *config;
	struct wm_err err;
	char *lines;
	int len = asprintf(&lines, "%s\n", text);

	assert_true(len > 0);
	if (parse_bytes(lines, len, &config, &err))
		fail_msg("%s\n%s", text, err.text);
	free(lines);
	return config;
}

static char *print(const struct wm_config *config)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	wm_config__print(config, out);
	fclose(out);
	return text;
}

/* --- golden files --- */

/* The file's text, NULL if there is none. */
static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t len = 0;

	if (!file)
		return NULL;
	if (getdelim(&text, &len, '\0', file) < 0)
		text[0] = '\0';
	fclose(file);
	return text;
}

static void check_golden(const char *path, const char *text, bool wanted)
{
	char *golden = slurp(path);

	if (getenv("WM_UPDATE")) {
		FILE *file = wanted ? fopen(path, "w") : NULL;

		if (file) {
			fputs(text, file);
			fclose(file);
		} else {
			unlink(path);
		}
	} else if (wanted && !golden) {
		fail_msg("%s: missing; got:\n%s", path, text);
	} else if (!wanted && golden) {
		fail_msg("%s: this outcome was expected, got:\n%s", path, text);
	} else if (wanted) {
		assert_string_equal(text, golden);
	}
	free(golden);
}

static void check_file(const char *name)
{
	char path[512], line[sizeof(struct wm_err) + 1];
	struct wm_config *config;
	struct wm_err err = {};
	char *text, *canonical = NULL;
	int ret;

	snprintf(path, sizeof(path), WM_SELFTESTS "/unit/config/%s.yaml", name);
	text = slurp(path);
	assert_non_null(text);
	ret = wm_config__parse(strrchr(path, '/') + 1, text, strlen(text), &config, &err, NULL,
			       NULL);
	assert_true(ret == 0 || ret == -EINVAL);
	assert_true(!ret == !!config);
	if (config)
		canonical = print(config);
	snprintf(line, sizeof(line), "%s\n", err.text);
	snprintf(path, sizeof(path), WM_SELFTESTS "/unit/config/%s.ok", name);
	check_golden(path, canonical ? canonical : line, config);
	snprintf(path, sizeof(path), WM_SELFTESTS "/unit/config/%s.err", name);
	check_golden(path, line, !config);
	wm_config__free(config);
	free(canonical);
	free(text);
}

static void golden_files(void **state)
{
	DIR *dir = opendir(WM_SELFTESTS "/unit/config");
	const struct dirent *entry;
	int seen = 0;

	(void)state;
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		const char *dot = strrchr(entry->d_name, '.');
		char name[256];

		if (!dot || strcmp(dot, ".yaml"))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(dot - entry->d_name), entry->d_name);
		check_file(name);
		seen++;
	}
	closedir(dir);
	assert_true(seen >= 10);
}

/* --- what is right --- */

static void assert_prints_and_reads_back(const struct wm_config *config)
{
	char *text = print(config);
	struct wm_config *again = parse(text);
	char *text_again = print(again);

	assert_true(wm_config__equal(config, again));
	assert_string_equal(text, text_again);
	wm_config__free(again);
	free(text_again);
	free(text);
}

static void printed_reads_back(void **state)
{
	static const char *const files[] = {
		WM_SELFTESTS "/../Documentation/examples/waymark.yaml",
		WM_SELFTESTS "/unit/config/minimal.yaml",
		WM_SELFTESTS "/unit/config/full.yaml",
		WM_SELFTESTS "/unit/config/aliases.yaml",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct wm_config *config;
		struct wm_err err = {};

		if (wm_config__load(files[i], &config, &err, NULL, NULL))
			fail_msg("%s", err.text);
		assert_prints_and_reads_back(config);
		wm_config__free(config);
	}
}

static void defaults(void **state)
{
	struct wm_config *c =
		parse(VIPS
		      "- { address: 10.200.1.1, port: any, reals: [ { address: 10.0.0.1 } ] }");
	struct wm_addr v4, v6;

	(void)state;
	wm_addr__parse("172.16.0.0", &v4);
	wm_addr__parse("100::", &v6);
	assert_int_equal(c->n_interfaces, 1);
	assert_string_equal(c->interfaces[0], "eth0");
	assert_int_equal(c->mode, WM_XDP_AUTO);
	assert_string_equal(c->pin, "/sys/fs/bpf/waymark/%i");
	assert_string_equal(c->control, "/run/waymark/control.sock");
	assert_true(c->gateway_auto);
	assert_true(wm_addr__equal(&c->source4, &v4) && wm_addr__equal(&c->source6, &v6));
	assert_false(c->trust_marks);
	assert_false(c->copy_df);
	assert_int_equal(c->ring_seed_v4, 33554944);
	assert_int_equal(c->ring_seed_v6, 512);
	assert_int_equal(c->offload.backend, WM_BACKEND_AUTO);
	assert_int_equal(c->offload.lane, WM_LANE_AUTO);
	assert_int_equal(c->offload.events, WM_EVENTS_RING);
	assert_int_equal(c->offload.promote_after, 8);
	assert_int_equal(c->offload.max_rules, 60000);
	assert_int_equal(c->offload.installs_per_second, 5000);
	assert_int_equal(c->offload.idle_ns, 15000000000);
	assert_null(c->offload.sim_pin);
	assert_int_equal(c->flows, 1000000);
	assert_int_equal(c->udp_idle_ns, 30000000000);
	assert_int_equal(c->max_vips, 0);
	assert_int_equal(c->max_dests, 0);
	assert_string_equal(c->vips[0].name, "10.200.1.1:*/tcp");
	assert_int_equal(c->vips[0].port, 0);
	assert_int_equal(c->vips[0].proto, IPPROTO_TCP);
	assert_int_equal(c->vips[0].hash, WM_HASH_MAGLEV);
	assert_true(c->vips[0].offload);
	assert_int_equal(c->vips[0].line, 3);
	assert_int_equal(c->vips[0].reals[0].weight, 100);
	wm_config__free(c);
}

static void design_example(void **state)
{
	static const char text[] =
		"interface: eth0            # or a list\n"
		"offload: { backend: auto, lane: auto, promote-after: 8, max-rules: 60000, "
		"installs-per-second: 5000, idle: 15s }\n"
		"flow-table: { flows: 8M, udp-idle: 30s }\n"
		"gateway: auto              # or a MAC address\n"
		"metrics: { listen: 127.0.0.1:9550 }\n"
		"vips:\n"
		"  - name: web\n"
		"    address: 10.200.1.1\n"
		"    port: 80\n"
		"    protocol: tcp\n"
		"    hash: maglev\n"
		"    check: { type: http, path: /healthz, interval: 2s }\n"
		"    reals:\n"
		"      - { address: 10.200.2.11, weight: 100 }\n"
		"      - { address: 10.200.2.12, weight: 100 }\n"
		"      - { address: 10.200.2.13, weight: 50 }\n";
	struct heard heard = {};
	struct wm_config *c;
	struct wm_err err;

	(void)state;
	assert_int_equal(wm_config__parse("f", text, strlen(text), &c, &err, hear, &heard), 0);
	assert_int_equal(c->flows, 8000000);
	assert_int_equal(c->vips[0].port, htons(80));
	assert_int_equal(c->vips[0].n_reals, 3);
	assert_int_equal(c->vips[0].reals[2].weight, 50);
	assert_int_equal(c->vips[0].reals[2].line, 16);
	assert_int_equal(c->vips[0].check.type, WM_CHECK_HTTP);
	assert_string_equal(c->vips[0].check.path, "/healthz");
	assert_int_equal(c->vips[0].check.interval_ns, 2000000000);
	assert_int_equal(c->vips[0].check.fall, 3);
	assert_int_equal(c->metrics.port, htons(9550));
	assert_int_equal(heard.n, 0);
	wm_config__free(c);
}

/* What is open to others than this machine is written out. */
static void metrics_listen(void **state)
{
	static const struct {
		const char *text, *canonical;
	} list[] = {
		{ HEAD, "metrics: { listen: off }\n" },
		{ HEAD "metrics: {}\n", "metrics: { listen: off }\n" },
		{ HEAD "metrics: { listen: off }\n", "metrics: { listen: off }\n" },
		{ HEAD "metrics: { listen: 9799 }\n",
		  "metrics: { listen: \"127.0.0.1:9799\" }\n" },
		{ HEAD "metrics: { listen: 0.0.0.0:1 }\n", "metrics: { listen: \"0.0.0.0:1\" }\n" },
		{ HEAD "metrics: { listen: '[::1]:65535' }\n",
		  "metrics: { listen: \"[::1]:65535\" }\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		struct wm_config *config;
		struct wm_err err;
		char *text;

		assert_int_equal(parse_bytes(list[i].text, strlen(list[i].text), &config, &err),
				 0);
		text = print(config);
		assert_non_null(strstr(text, list[i].canonical));
		free(text);
		wm_config__free(config);
	}
}

static void vips_without_weight_are_warned_of(void **state)
{
	static const char text[] =
		VIPS "- { address: 10.0.0.1, port: 80, reals: [ { address: 10.0.0.2 } ] }\n"
		"- { address: 10.0.0.2, port: 80, reals: [] }\n"
		"- { name: a, address: 10.0.0.3, port: 80,\n"
		"    reals: [ { address: 10.0.0.2, weight: 0 },\n"
		"             { address: 10.0.0.4, weight: 0 } ] }\n"
		"- { address: 10.0.0.4, port: 80, reals: [ { address: 10.0.0.2, weight: 0 } ] }\n";
	struct heard heard = {};
	struct wm_config *c;
	struct wm_err err;

	(void)state;
	assert_int_equal(wm_config__parse("f", text, strlen(text), &c, &err, hear, &heard), 0);
	assert_int_equal(heard.n, 1);
	assert_string_equal(heard.last, "f:5:1: vip a (and 1 more): all reals have weight 0: new "
			    "flows are dropped");
	wm_config__free(c);
}

/* For the log: which key it was. */
static void differing_keys_are_named(void **state)
{
	struct wm_config *a = parse(HEAD "offload: { idle: 9s }\nlimits: { vips: 9 }");
	struct wm_config *b = parse(HEAD "gateway: 02:00:00:00:00:01\n"
				    "limits: { vips: 9, dests: 8 }");
	char text[128], few[8];

	(void)state;
	wm_config__differences(a, b, text, sizeof(text));
	assert_string_equal(text, "gateway, offload: idle, limits: dests");
	wm_config__differences(a, b, few, sizeof(few));
	assert_string_equal(few, "gateway");
	wm_config__differences(a, a, text, sizeof(text));
	assert_string_equal(text, "");
	wm_config__free(a);
	wm_config__free(b);
}

static void shared_lists_are_copies(void **state)
{
	struct wm_config *c;
	struct wm_err err = {};

	(void)state;
	assert_int_equal(wm_config__load(WM_SELFTESTS "/unit/config/aliases.yaml", &c, &err, NULL,
					 NULL), 0);
	assert_int_equal(c->n_vips, 3);
	assert_int_equal(c->vips[1].n_reals, 2);
	assert_true(c->vips[0].reals != c->vips[1].reals);
	assert_int_equal(c->vips[2].reals[0].weight, 1);
	wm_config__free(c);
}

/* Spellings that mean the same. */
static void same_meaning(void **state)
{
	static const char *const pairs[][2] = {
		{ HEAD "flow-table: { flows: 8M }", HEAD "flow-table: { flows: '8000000' }" },
		{ HEAD "flow-table: { flows: 64k }", HEAD "flow-table: { flows: 64000 }" },
		{ HEAD "offload: { idle: 15s }", HEAD "offload: { idle: 15000ms }" },
		{ HEAD "offload: { idle: 2m }", HEAD "offload: { idle: 120s }" },
		{ HEAD "offload: { idle: 1h }", HEAD "offload: { idle: 60m }" },
		{ HEAD "marks: checked", HEAD }, { HEAD "outer-df: zero", HEAD },
		{ HEAD, "interface: [eth0]\nvips: []\n" },
		{ HEAD, "\xef\xbb\xbf---\nvips: []\ninterface: eth0\n...\n" },
		{ HEAD, "{\"interface\": \"eth0\", \"vips\": []}" },
		{ VIPS "- { address: 10.0.0.1, offload: off, port: any, reals: [] }",
		  VIPS "- { address: 10.0.0.1, offload: false, port: any, reals: [] }" },
		{ VIPS "- { address: 10.0.0.1, protocol: UDP, port: any, reals: [] }",
		  VIPS "- { address: 10.0.0.1, protocol: udp, port: any, reals: [] }" },
		{ "interface: { name: eth0, queues: [0-3, 6] }\nvips: []",
		  "interface: [ { queues: '6,0,1,2-3', name: eth0 } ]\nvips: []" },
		{ HEAD, "interface: { name: eth0 }\nvips: []" },
		{ VIPS "- { address: 'fc00:0::1', port: 'any', reals: [] }",
		  VIPS "- { address: fc00::1, port: any, reals: [] }" },
		{ VIPS "- { address: fc00::1, port: 080, reals: [] }",
		  VIPS "- { address: fc00::1, port: 80, reals: [] }" },
		{ HEAD "max-removal: 050%", HEAD },
		{ VIPS CHECK("type: none, interval: 9s, path: /a"),
		  VIPS "- { address: 10.0.0.1, port: 80, reals: [] }" },
		{ VIPS CHECK("type: http, status: 204-204"),
		  VIPS CHECK("type: http, status: 204") },
		{ VIPS CHECK("type: tcp, hold-down: 60s"), VIPS CHECK("type: tcp, hold-down: 1m") },
		{ VIPS "- address: 10.0.0.1\r\n  port: any\r\n  reals: []\r\n",
		  VIPS "- address: 10.0.0.1\n  port: any\n  reals: []\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		struct wm_config *a = parse(pairs[i][0]), *b = parse(pairs[i][1]);

		if (!wm_config__equal(a, b))
			fail_msg("%s\n%s", pairs[i][0], pairs[i][1]);
		wm_config__free(a);
		wm_config__free(b);
	}
}

/* Each differs from HEAD, in one key. */
static const char *const variants[] = {
	"mode: native", "pin: /p", "control: /c", "gateway: 02:00:00:00:00:01",
	"source: { ipv4: 10.0.0.0/16 }", "source: { ipv6: 'fc00::/96' }", "marks: trusted",
	"outer-df: copy",
	"ring-seeds: { ipv4: 1 }", "ring-seeds: { ipv6: 1 }", "offload: { backend: none }",
	"offload: { lane: mac }", "offload: { events: perf }",
	"offload: { promote-after: 9 }", "offload: { max-rules: 9 }",
	"offload: { installs-per-second: 9 }", "offload: { idle: 9s }",
	"offload: { sim: { pin: /s } }", "flow-table: { flows: 1k }",
	"flow-table: { udp-idle: 9s }", "limits: { vips: 9 }", "limits: { dests: 9 }",
	"max-removal: 51%",
	"local: { name: a }", "local: { name: b }", "local: { name: a, socket: /l }",
	"local: { name: a, mode: 0660 }", "local: { name: a, group: g }",
	"local: { name: a, ring: 64 }", "local: { name: a, zero-copy: auto }",
	"local: [ { name: a }, { name: b, socket: /l } ]",
	"local: [ { name: a }, { name: c, socket: /l } ]",
	"local: [ { name: a } , { name: b, socket: /m } ]",
	"pin: '/a\"b\\c'", "interface: eth1\nvips: []", "interface: [eth0, eth1]\nvips: []",
	"interface: { name: eth0, queues: [0] }\nvips: []",
	"interface: { name: eth0, queues: [0-1] }\nvips: []",
	"interface: [{ name: eth0, queues: [0] }, eth1]\nvips: []",
	"interface: [eth0, { name: eth1, queues: [0] }]\nvips: []",
};

/* Each differs from VIPS with one vip, in one key. */
static const char *const variant_vips[] = {
	"- { address: 10.0.0.1, port: any, reals: [] }",
	"- { address: 10.0.0.2, port: any, reals: [] }",
	"- { address: 10.0.0.1, port: 1, reals: [] }",
	"- { address: 10.0.0.1, protocol: udp, port: any, reals: [] }",
	"- { address: 10.0.0.1, hash: maglev-v1, port: any, reals: [] }",
	"- { address: 10.0.0.1, offload: false, port: any, reals: [] }",
	"- { address: 10.0.0.1, name: x, port: any, reals: [] }",
	CHECK("type: tcp"), CHECK("type: tcp, port: 2"), CHECK("type: http"),
	CHECK("type: http, path: /a"), CHECK("type: http, host: a"),
	CHECK("type: http, status: 200"), CHECK("type: http, status: 200-201"),
	CHECK("type: http, body: a"), CHECK("type: https"),
	CHECK("type: https, verify: no"), CHECK("type: https, ca: /a"),
	CHECK("type: udp, send: a"), CHECK("type: udp, send: b"),
	CHECK("type: udp, send: '\\x0a'"), CHECK("type: tcp, interval: 6s"),
	CHECK("type: script, script: /a"), CHECK("type: script, script: /a b"),
	CHECK("type: tcp, timeout: 1s"), CHECK("type: tcp, jitter: 0%"),
	CHECK("type: tcp, rise: 1"), CHECK("type: tcp, fall: 1"),
	CHECK("type: tcp, hold-down: 0s"), CHECK("type: tcp, max-down: 0%"),
	CHECK("type: tcp, fail: closed"),
	"- { address: 10.0.0.1, reals: [ { address: 10.0.0.2 } ], port: any }",
	"- { address: 10.0.0.1, reals: [ { address: 10.0.0.2, weight: 1 } ], port: any }",
	"- { address: 10.0.0.1, reals: [ { address: 10.0.0.3 } ], port: any }",
	"- { address: 10.0.0.1, reals: [ { local: a } ], port: any }\nlocal: { name: a }",
};

static void equal_sees_every_key(void **state)
{
	struct wm_config *c[96];
	size_t n = 0;
	char text[256];

	(void)state;
	c[n++] = parse(HEAD);
	for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++) {
		snprintf(text, sizeof(text), "%s%s", strstr(variants[i], "interface") ? "" : HEAD,
			 variants[i]);
		c[n++] = parse(text);
	}
	for (size_t i = 0; i < sizeof(variant_vips) / sizeof(*variant_vips); i++) {
		snprintf(text, sizeof(text), VIPS "%s", variant_vips[i]);
		c[n++] = parse(text);
	}
	for (size_t i = 0; i < n; i++) {
		assert_prints_and_reads_back(c[i]);
		for (size_t j = 0; j < n; j++)
			assert_true(wm_config__equal(c[i], c[j]) == (i == j));
	}
	while (n)
		wm_config__free(c[--n]);
}

/* --- what is wrong --- */

struct mistake {
	const char *text, *message;
};

static const struct mistake mistakes[] = {
	/* keys */
	{ "vips: []",
	  "f:1:1: the configuration: expected the key \"interface\", which is missing" },
	{ "interface: eth0",
	  "f:1:1: the configuration: expected the key \"vips\", which is missing" },
	{ HEAD "flow_table: {}",
	  "f:3:1: unknown key \"flow_table\" in the configuration; did you mean \"flow-table\"?" },
	{ HEAD "ofload: {}",
	  "f:3:1: unknown key \"ofload\" in the configuration; did you mean \"offload\"?" },
	{ HEAD "offload: { ilde: 1s }",
	  "f:3:12: unknown key \"ilde\" in offload; did you mean \"idle\"?" },
	{ HEAD "pni: /a",
	  "f:3:1: unknown key \"pni\" in the configuration; did you mean \"pin\"?" },
	{ HEAD "limits: { reals: 1 }",
	  "f:3:11: unknown key \"reals\" in limits; expected one of: vips, dests" },
	{ HEAD "marks: checked\nmarks: checked",
	  "f:4:1: key \"marks\" was given in line 3 already; expected it once" },
	{ HEAD "[a]: b", "f:3:1: expected a key of the configuration, found a list" },
	{ "- a", "f:1:1: the configuration: expected a mapping (key: value), found a list" },
	{ "text", "f:1:1: the configuration: expected a mapping (key: value), found \"text\"" },
	{ "---\n", "f:2:1: the configuration: expected a mapping (key: value), found nothing" },
	{ VIPS "- { addressx: 10.0.0.1, port: any, reals: [] }",
	  "f:3:5: unknown key \"addressx\" in a vip; did you mean \"address\"?" },
	{ VIPS "- { name: a, port: 1, reals: [] }",
	  "f:3:3: a vip: expected the key \"address\", which is missing" },
	{ VIPS "- { address: 10.0.0.1, reals: [] }",
	  "f:3:3: a vip: expected the key \"port\", which is missing; write its number, or port: "
	  "any for every port" },
	{ VIPS "- { address: 10.0.0.1, port: 80 }",
	  "f:3:3: a vip: expected the key \"reals\", which is missing; write a list of reals, or "
	  "reals: [] for none" },
	{ VIPS "- { address: 10.0.0.1, port: 80, real: [] }",
	  "f:3:34: unknown key \"real\" in a vip; did you mean \"reals\"?" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { weight: 1 } ], port: any }",
	  "f:3:33: a real: expected the key \"address\" (or \"local\"), which is missing" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { adress: 10.0.0.2 } ], port: any }",
	  "f:3:35: unknown key \"adress\" in a real; did you mean \"address\"?" },

	/* the local consumer */
	{ VIPS "- { address: 10.0.0.1, reals: [ { local: a, address: 10.0.0.2 } ], port: any }\n"
	  "local: { name: a }",
	  "f:3:54: address: expected either \"address\" or \"local\", not both" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { local: a } ], port: any }",
	  "f:1:1: real local:a in line 3: there is no local consumer; expected local: { name: "
	  "... }" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { local: a } ], port: any }\nlocal: { name: b }",
	  "f:1:1: real local:a in line 3: the local consumer is called \"b\"" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { local: a }, { local: a } ], port: any }\n"
	  "local: { name: a }",
	  "f:3:47: real local:a was given in line 3 already; expected it once a vip" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { local: c } ], port: any }\n"
	  "local: [ { name: a }, { name: b, socket: /b } ]",
	  "f:1:1: real local:c in line 3: there is no such local consumer among those of "
	  "\"local\"; expected local: { name: ... }" },
	{ "interface: [a, b, c, d, e]\nvips: []\nlocal: { name: a }",
	  "f:1:1: local: expected at most 4 interfaces, found 5" },
	{ HEAD "local: [ { name: a }, { name: a, socket: /b } ]",
	  "f:1:1: local: two consumers are called \"a\"" },
	{ HEAD "local: [ { name: a }, { name: b } ]",
	  "f:1:1: local: consumers 1 and 2 have the same socket, /run/waymark/local.sock" },
	{ HEAD "local: [ { name: a }, { name: b, socket: /b, zero-copy: always } ]",
	  "f:1:1: local: zero-copy is for a single consumer: a queue has its packets in one "
	  "memory" },
	{ HEAD "local: [ { name: a }, { name: b }, { name: c }, { name: d }, { name: e } ]",
	  "f:3:8: local: expected at most 4 consumers, found 5" },
	{ HEAD "local: { name: a, zero-copy: perhaps }",
	  "f:3:30: zero-copy: expected never, auto or always, found \"perhaps\"" },
	{ "interface: { name: a, queues: [0-3] }\nvips: []\nlocal: { name: a }",
	  "f:1:1: local: its sockets take every queue, and \"queues\" leaves some to the host: "
	  "leave one of them out" },
	{ HEAD "local: { name: 0123456789abcdef }",
	  "f:3:16: name: expected a name of letters, digits, \"-\", \"_\" and \".\", at most 15, "
	  "found \"0123456789abcdef\"" },
	{ HEAD "local: { name: .a }",
	  "f:3:16: name: expected a name of letters, digits, \"-\", \"_\" and \".\", at most 15, "
	  "found \".a\"" },
	{ HEAD "local: { ring: 64 }",
	  "f:3:8: local: expected the key \"name\", which is missing" },
	{ HEAD "local: { name: a, mode: 0888 }",
	  "f:3:25: mode: expected permissions in octal, 0600 to 0777, found \"0888\"" },
	{ HEAD "local: { name: a, mode: 0066 }",
	  "f:3:25: mode: expected permissions in octal, 0600 to 0777, found \"0066\"" },
	{ HEAD "local: { name: a, ring: 32 }",
	  "f:3:25: ring: expected a whole number from 64 to 32768, found \"32\"" },
	{ HEAD "local: { name: a, socket: run }",
	  "f:3:27: socket: expected an absolute path of at most 107 bytes, with %i for the "
	  "interface, found \"run\"" },

	/* types */
	{ "interface: eth0\nvips: web",
	  "f:2:7: vips: expected a list of vips ([] for none), found \"web\"" },
	{ "interface: eth0\nvips:",
	  "f:2:6: vips: expected a list of vips ([] for none), found nothing" },
	{ VIPS "- web", "f:3:3: a vip: expected a mapping (key: value), found \"web\"" },
	{ VIPS "- { address: [10.0.0.1], port: any, reals: [] }",
	  "f:3:14: address: expected an IPv4 or IPv6 address, found a list" },
	{ VIPS "- { address: 10.0.0.1, reals: { a: b }, port: any }",
	  "f:3:31: reals: expected a list of reals ([] for none), found a mapping" },
	{ VIPS "- { address: 10.0.0.1, offload: maybe, port: any, reals: [] }",
	  "f:3:33: offload: expected true or false, found \"maybe\"" },
	{ HEAD "offload: true",
	  "f:3:10: offload: expected a mapping (key: value), found \"true\"" },
	{ HEAD "mode: ~", "f:3:7: mode: expected auto, native or generic, found nothing" },
	{ HEAD "metrics: 1", "f:3:10: metrics: expected a mapping (key: value), found \"1\"" },
	{ HEAD "pin: !env PIN", "f:3:6: pin: tags such as !env are not known here" },
	{ HEAD "limits: !x { vips: 1 }", "f:3:9: limits: tags such as !x are not known here" },

	/* numbers and times */
	{ VIPS "- { address: 10.0.0.1, port: 65536, reals: [] }",
	  "f:3:30: port: expected a port from 1 to 65535, or any for every port, found \"65536\"" },
	{ VIPS "- { address: 10.0.0.1, port: 0, reals: [] }",
	  "f:3:30: port: expected a port from 1 to 65535, or any for every port, found \"0\"" },
	{ VIPS "- { address: 10.0.0.1, port: , reals: [] }",
	  "f:3:30: port: expected a port from 1 to 65535, or any for every port, found nothing" },
	{ VIPS "- { address: 10.0.0.1, port: -1, reals: [] }",
	  "f:3:30: port: expected a port from 1 to 65535, or any for every port, found \"-1\"" },
	{ VIPS "- { address: 10.0.0.1, port: 0x50, reals: [] }",
	  "f:3:30: port: expected a port from 1 to 65535, or any for every port, found \"0x50\"" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { address: 10.0.0.2, weight: 65536 } ],\n"
	  "port: any }",
	  "f:3:62: weight: expected a whole number from 0 to 65535, found \"65536\"" },
	{ HEAD "flow-table: { flows: 8.5M }",
	  "f:3:22: flows: expected a whole number from 128 to 429496729, found \"8.5M\"" },
	{ HEAD "flow-table: { flows: 8MB }",
	  "f:3:22: flows: expected a whole number from 128 to 429496729, found \"8MB\"" },
	{ HEAD "flow-table: { flows: 99999999999999999999 }",
	  "f:3:22: flows: expected a whole number from 128 to 429496729, found "
	  "\"99999999999999999999\"" },
	{ HEAD "flow-table: { udp-idle: 30 }",
	  "f:3:25: udp-idle: expected a time from 1s to 20m, with its unit (ms, s, m, h), found "
	  "\"30\"" },
	{ HEAD "flow-table: { udp-idle: 21m }",
	  "f:3:25: udp-idle: expected a time from 1s to 20m, with its unit (ms, s, m, h), found "
	  "\"21m\"" },
	{ HEAD "offload: { promote-after: 201 }",
	  "f:3:27: promote-after: expected a whole number from 0 to 200, found \"201\"" },
	{ HEAD "limits: { dests: 65536 }",
	  "f:3:18: dests: expected a whole number from 0 to 65535, found \"65536\"" },

	/* words */
	{ HEAD "outer-df: yes", "f:3:11: outer-df: expected zero or copy, found \"yes\"" },
	{ HEAD "marks: trust", "f:3:8: marks: expected checked or trusted, found \"trust\"" },
	{ HEAD "offload: { backend: tc }",
	  "f:3:21: backend: expected auto, none, sim, flower or ntuple, found \"tc\"" },
	{ VIPS "- { address: 10.0.0.1, hash: rr, port: any, reals: [] }",
	  "f:3:30: hash: expected maglev or maglev-v1, found \"rr\"" },
	{ VIPS "- { address: 10.0.0.1, protocol: sctp, port: any, reals: [] }",
	  "f:3:34: protocol: expected tcp or udp, found \"sctp\"" },

	/* checks */
	{ VIPS CHECK("interval: 1s"),
	  "f:3:41: check: expected the key \"type\", which is missing" },
	{ VIPS CHECK("http: /healthz"), "f:3:41: check: expected the key \"type\", which is "
	  "missing\nf:3:43: unknown key \"http\" in check; expected one of: type, port, path, "
	  "host, status, verify, ca, send, body, script, interval, timeout, jitter, rise, fall, "
	  "hold-down, max-down, fail" },
	{ VIPS CHECK("type: ping"),
	  "f:3:49: type: expected none, tcp, http, https, udp, icmp or script, found \"ping\"" },
	{ VIPS CHECK("type: script"),
	  "f:3:41: check: expected the key \"script\": the program to run" },
	{ VIPS CHECK("type: script, script: a b"),
	  "f:3:65: script: expected an absolute path and arguments, with blanks between them, at "
	  "most 32 of them with 1023 printable ASCII characters, found \"a b\"" },
	{ VIPS CHECK("type: tcp, script: /a"),
	  "f:3:41: check: a check of type tcp has no key \"script\"" },
	{ VIPS CHECK("type: icmp, port: 7"),
	  "f:3:41: check: a check of type icmp has no key \"port\"" },
	{ VIPS CHECK("type: tcp, port: 0"),
	  "f:3:60: port: expected a whole number from 1 to 65535, found \"0\"" },
	{ VIPS CHECK("type: tcp, path: /x"),
	  "f:3:41: check: a check of type tcp has no key \"path\"" },
	{ VIPS CHECK("type: tcp, body: x"),
	  "f:3:41: check: a check of type tcp has no key \"body\"" },
	{ VIPS CHECK("type: http, verify: no"),
	  "f:3:41: check: a check of type http has no key \"verify\"" },
	{ VIPS CHECK("type: udp"),
	  "f:3:41: check: expected the key \"send\": a server answers a datagram" },
	{ VIPS CHECK("type: https, send: a"),
	  "f:3:41: check: a check of type https has no key \"send\"" },
	{ VIPS CHECK("type: https, host: 'a:1'"),
	  "f:3:41: check: host: expected the name in a certificate, without a port, found "
	  "\"a:1\"" },
	{ VIPS CHECK("type: udp, send: 'a\\x0'"),
	  "f:3:60: send: expected what to send, of which \\xNN, \\n, \\r, \\t and \\\\ are one "
	  "byte, 1 to 512 of them, found \"a\\x0\"" },
	{ VIPS CHECK("type: http, path: healthz"),
	  "f:3:61: path: expected what stands behind the host in a URL, such as /healthz, at most "
	  "1023 printable ASCII characters without blanks, found \"healthz\"" },
	{ VIPS CHECK("type: http, path: /a b"),
	  "f:3:61: path: expected what stands behind the host in a URL, such as /healthz, at most "
	  "1023 printable ASCII characters without blanks, found \"/a b\"" },
	{ VIPS CHECK("type: http, host: a/b"),
	  "f:3:61: host: expected the name of a host, or an address, at most 253 characters, found "
	  "\"a/b\"" },
	{ VIPS CHECK("type: http, host: \"a\\r\\nb: c\""),
	  "f:3:61: host: expected the name of a host, or an address, found a control character "
	  "(0x0d)" },
	{ VIPS CHECK("type: http, status: 99"), "f:3:63: status: expected a status from 100 to "
	  "599, or two with a hyphen between them, found \"99\"" },
	{ VIPS CHECK("type: http, status: 300-200"),
	  "f:3:63: status: expected a status from 100 to 599, or two with a hyphen between them, "
	  "found \"300-200\"" },
	{ VIPS CHECK("type: http, status: 200-"), "f:3:63: status: expected a status from 100 to "
	  "599, or two with a hyphen between them, found \"200-\"" },
	{ VIPS CHECK("type: http, body: ''"), "f:3:61: body: expected a text that the answer "
	  "contains, 1 to 255 bytes, found \"\"" },
	{ VIPS CHECK("type: tcp, interval: 50ms"),
	  "f:3:64: interval: expected a time from 100ms to 1h, with its unit (ms, s, m, h), found "
	  "\"50ms\"" },
	{ VIPS CHECK("type: tcp, interval: 1s"),
	  "f:3:41: check: expected a timeout that is not longer than the interval, found 2s and "
	  "1s" },
	{ VIPS CHECK("type: tcp, rise: 0"),
	  "f:3:60: rise: expected a whole number from 1 to 100, found \"0\"" },
	{ VIPS CHECK("type: tcp, fail: half"),
	  "f:3:60: fail: expected open or closed, found \"half\"" },
	{ VIPS "- { address: 10.0.0.1, port: any, reals: [], check: { type: tcp } }",
	  "f:3:3: check: expected the key \"port\": the vip has every port, and a check needs "
	  "one" },

	/* where to listen */
	{ HEAD "metrics: { listen: 0 }", "f:3:20: listen: expected off, a port, or an address and "
	  "a port such as 127.0.0.1:9799, found \"0\"" },
	{ HEAD "metrics: { listen: 127.0.0.1 }", "f:3:20: listen: expected off, a port, or an "
	  "address and a port such as 127.0.0.1:9799, found \"127.0.0.1\"" },
	{ HEAD "metrics: { listen: '::1:9799' }", "f:3:20: listen: expected off, a port, or an "
	  "address and a port such as 127.0.0.1:9799, found \"::1:9799\"" },
	{ HEAD "metrics: { listen: '127.0.0.1:*' }", "f:3:20: listen: expected off, a port, or an "
	  "address and a port such as 127.0.0.1:9799, found \"127.0.0.1:*\"" },
	{ HEAD "metrics: { listen: localhost:9799 }", "f:3:20: listen: expected off, a port, or "
	  "an address and a port such as 127.0.0.1:9799, found \"localhost:9799\"" },

	/* addresses */
	{ VIPS "- { address: 10.0.0.256, port: any, reals: [] }",
	  "f:3:14: address: expected an IPv4 or IPv6 address, found \"10.0.0.256\"" },
	{ VIPS "- { address: 10.0.0.1:80, port: any, reals: [] }",
	  "f:3:14: address: expected an IPv4 or IPv6 address, found \"10.0.0.1:80\"" },
	{ VIPS "- { address: 0.0.0.0, port: any, reals: [] }",
	  "f:3:14: address: expected the address of one machine, "
	  "0.0.0.0 is the unspecified address" },
	{ VIPS "- { address: 255.255.255.255, port: any, reals: [] }",
	  "f:3:14: address: expected the address of one machine, 255.255.255.255 is the broadcast "
	  "address" },
	{ VIPS "- { address: 239.1.2.3, port: any, reals: [] }",
	  "f:3:14: address: expected the address of one machine, "
	  "239.1.2.3 is a multicast address" },
	{ VIPS "- { address: '::', port: any, reals: [] }",
	  "f:3:14: address: expected the address of one machine, :: is the unspecified address" },
	{ VIPS "- { address: ff02::1, port: any, reals: [] }",
	  "f:3:14: address: expected the address of one machine, ff02::1 is a multicast address" },
	{ VIPS "- { address: '::ffff:10.0.0.1', port: any, reals: [] }",
	  "f:3:14: address: expected the address of one machine, ::ffff:10.0.0.1 is an IPv4 "
	  "address in IPv6 form (write it as IPv4)" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { address: 10.0.0.1 } ], port: any }",
	  "f:3:3: real 10.0.0.1 has the address of its own vip" },
	{ HEAD "gateway: 01:00:5e:00:00:01",
	  "f:3:10: gateway: expected auto or the MAC address of one machine, found "
	  "\"01:00:5e:00:00:01\"" },
	{ HEAD "gateway: 00:00:00:00:00:00",
	  "f:3:10: gateway: expected auto or the MAC address of one machine, found "
	  "\"00:00:00:00:00:00\"" },
	{ HEAD "gateway: 10.0.0.1",
	  "f:3:10: gateway: expected auto or the MAC address of one machine, found \"10.0.0.1\"" },
	{ HEAD "max-removal: 50",
	  "f:3:14: max-removal: expected a share from 0% to 100%, with its sign, found \"50\"" },
	{ HEAD "max-removal: 101%",
	  "f:3:14: max-removal: expected a share from 0% to 100%, with its sign, found \"101%\"" },
	{ HEAD "max-removal: -1%",
	  "f:3:14: max-removal: expected a share from 0% to 100%, with its sign, found \"-1%\"" },
	{ HEAD "source: { ipv4: 172.16.0.0/12 }",
	  "f:3:17: ipv4: expected a prefix of 16 bits such as 172.16.0.0/16, no bits behind it, "
	  "found \"172.16.0.0/12\"" },
	{ HEAD "source: { ipv4: 172.16.1.0/16 }",
	  "f:3:17: ipv4: expected a prefix of 16 bits such as 172.16.0.0/16, no bits behind it, "
	  "found \"172.16.1.0/16\"" },
	{ HEAD "source: { ipv4: 100::/96 }",
	  "f:3:17: ipv4: expected a prefix of 16 bits such as 172.16.0.0/16, no bits behind it, "
	  "found \"100::/96\"" },
	{ HEAD "source: { ipv6: 100::1/96 }",
	  "f:3:17: ipv6: expected a prefix of 96 bits such as 100::/96, no bits behind it, found "
	  "\"100::1/96\"" },
	{ HEAD "source: { ipv6: 172.16.0.0/96 }",
	  "f:3:17: ipv6: expected a prefix of 96 bits such as 100::/96, no bits behind it, found "
	  "\"172.16.0.0/96\"" },

	/* names and paths */
	{ "interface: eth0/1\nvips: []",
	  "f:1:12: interface: expected the name of a network interface, found \"eth0/1\"" },
	{ "interface: abcdefghijklmnop\nvips: []",
	  "f:1:12: interface: expected the name of a network interface, found "
	  "\"abcdefghijklmnop\"" },
	{ "interface: []\nvips: []", "f:1:12: interface: expected at least one name" },
	{ "interface: [a, b, a]\nvips: []", "f:1:19: interface: \"a\" is in the list already" },
	{ "interface: { a: b }\nvips: []",
	  "f:1:12: an interface: expected the key \"name\", which is missing\n"
	  "f:1:14: unknown key \"a\" in an interface; expected one of: name, queues" },
	{ "interface: [[a]]\nvips: []",
	  "f:1:13: interface: expected the name of a network interface, found a list" },
	{ "interface: [a, { name: a }]\nvips: []",
	  "f:1:24: interface: \"a\" is in the list already" },
	{ "interface: { name: a, queues: [] }\nvips: []",
	  "f:1:31: queues: expected at least one number" },
	{ "interface: { name: a, queues: [0, 1024] }\nvips: []",
	  "f:1:35: queues: expected a queue's number below 1024, or a range such as 0-3, found "
	  "\"1024\"" },
	{ "interface: { name: a, queues: [3-1] }\nvips: []",
	  "f:1:32: queues: expected a queue's number below 1024, or a range such as 0-3, found "
	  "\"3-1\"" },
	{ "interface: { name: a, queues: [0-3, 2] }\nvips: []",
	  "f:1:37: queues: \"2\" names a queue that is in the list already" },
	{ "interface: { name: a, queues: { b: c } }\nvips: []",
	  "f:1:31: queues: expected a list of queues' numbers, such as [0-3], found a mapping" },
	{ "interface: { name: a, queues: 1 }\nmode: generic\nvips: []",
	  "f:1:1: interface: a: queues: a queue's own program runs in the driver, and mode is "
	  "generic: leave one of them out" },
	{ HEAD "pin: sys/fs/bpf",
	  "f:3:6: pin: expected an absolute path of at most 4095 bytes, with %i for the interface, "
	  "found \"sys/fs/bpf\"" },
	{ HEAD "pin: /sys/%n",
	  "f:3:6: pin: expected an absolute path of at most 4095 bytes, with %i for the interface, "
	  "found \"/sys/%n\"" },
	{ HEAD "pin: \"/a\\x07b\"",
	  "f:3:6: pin: expected an absolute path, found a control character (0x07)" },
	{ HEAD "pin: \"/a\\0b\"",
	  "f:3:6: pin: expected an absolute path, found a control character (0x00)" },
	{ VIPS "- { name: 'a b', address: 10.0.0.1, port: any, reals: [] }",
	  "f:3:11: name: expected a name of 1 to 63 printable ASCII characters without spaces, \" "
	  "and \\, found \"a b\"" },
	{ VIPS "- { name: '', address: 10.0.0.1, port: any, reals: [] }",
	  "f:3:11: name: expected a name of 1 to 63 printable ASCII characters without spaces, \" "
	  "and \\, found \"\"" },
	{ VIPS "- { name: 'b\xc3\xa4r', address: 10.0.0.1, port: any, reals: [] }",
	  "f:3:11: name: expected a name of 1 to 63 printable ASCII characters without spaces, \" "
	  "and \\, found \"b??r\"" },
	{ VIPS "- { name: 10.0.0.2:*/tcp, address: 10.0.0.1, port: any, reals: [] }",
	  "f:3:3: name: expected one without \"/\" (or 10.0.0.1:*/tcp), found \"10.0.0.2:*/tcp\"" },

	/* the whole */
	{ VIPS "- { address: 10.0.0.1, reals: [ { address: 10.0.0.2 }, { address: 10.0.0.3 },\n "
	  "{ address: 10.0.0.2 } ], port: any }",
	  "f:4:2: real 10.0.0.2 was given in line 3 already; expected it once a vip" },
	{ VIPS "- { address: 10.0.0.1, port: any, reals: [] }\n"
	  "- { address: 10.0.0.1, port: any, protocol: tcp, reals: [] }",
	  "f:4:3: vip 10.0.0.1:*/tcp was given in line 3 already; expected it once" },
	{ VIPS "- { address: 10.0.0.1, name: a, port: any, reals: [] }\n"
	  "- { address: 10.0.0.2, name: a, port: any, reals: [] }",
	  "f:4:3: name \"a\" is taken by the vip in line 3" },
	{ VIPS "- { address: 10.0.0.1, port: any, reals: [] }\n"
	  "- { address: 10.0.0.2, port: any, reals: [] }\nlimits: { vips: 1 }",
	  "f:1:1: 2 vips, but \"limits\" allows 1" },
	{ VIPS "- { address: 10.0.0.1, reals: [ { address: 10.0.0.2 }, { address: 10.0.0.3 } ],\n"
	  "port: any }\nlimits: { dests: 1 }",
	  "f:1:1: 2 reals in all vips, but \"limits\" allows 1 dests" },
	{ HEAD "offload: { backend: sim }",
	  "f:1:1: offload: backend sim: expected the directory "
	  "of its maps, sim: { pin: DIRECTORY }" },
	{ HEAD "marks: trusted\noffload: { lane: mac }",
	  "f:1:1: marks: trusted: with offload: lane: mac anybody on the link can make a mark up: "
	  "expected checked" },

	/* cut off */
	{ HEAD "mode: auto", "f:3:11: the file ends in the middle of this line; expected a line's "
	  "end (is the file cut off?)" },
	{ "a: &a { flows: 1k }\nflow-table: *a",
	  "f:1:1: the configuration: expected the key \"interface\", which is missing\n"
	  "f:1:1: the configuration: expected the key \"vips\", which is missing\n"
	  "f:1:1: unknown key \"a\" in the configuration; expected one of: interface, mode, "
	  "attach, pin, control, state, gateway, source, marks, outer-df, ring-seeds, "
	  "max-removal, offload, flow-table, limits, local, metrics, vips" },
	{ HEAD "limits: &l { vips: 1 }\nlimit: *l",
	  "f:4:1: unknown key \"limit\" in the configuration; did you mean \"limits\"?" },
	{ "---\n" HEAD, "f:4:1: the document begins with \"---\" and does not end with \"...\"; "
	  "expected that as the last line (is the file cut off?)" },

	/* no YAML */
	{ "", "f:1:1: the file is empty; expected a configuration" },
	{ "# nothing\n\n", "f:1:1: the file is empty; expected a configuration" },
	{ HEAD "a: [",
	  "f:4:1: not YAML: while parsing a flow node in line 4: did not find "
	  "expected node content" },
	{ HEAD "mode: *nobody", "f:3:7: not YAML: found undefined alias" },
	{ "\tinterface: eth0", "f:1:1: a tab; YAML is indented by spaces" },
	{ HEAD "---\n" HEAD, "f:3:1: a second document begins; expected one per file" },
	{ HEAD "mode: \xff", "f:3:7: not text: invalid leading UTF-8 octet (0xff)" },
	{ HEAD "mode: \x01", "f:3:7: not text: control characters are not allowed (0x01)" },
};

static void mistakes_are_named(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		const struct mistake *m = &mistakes[i];
		struct wm_config *config = (void *)-1;
		struct wm_err err;
		int ret = parse_bytes(m->text, strlen(m->text), &config, &err);

		if (ret == -EINVAL && !config && !strcmp(err.text, m->message))
			continue;
		wrong++;
		print_error("--- %s\nexpected %s\ngot (%d)  %s\n", m->text, m->message, ret,
			    err.text);
		if (!ret)
			wm_config__free(config);
	}
	assert_int_equal(wrong, 0);
}

static void nul_bytes(void **state)
{
	static const char text[] = HEAD "mode: au\0to\n";
	struct wm_config *config;
	struct wm_err err;

	(void)state;
	assert_int_equal(parse_bytes(text, sizeof(text) - 1, &config, &err), -EINVAL);
	assert_string_equal(err.text, "f:3:9: a NUL byte; expected text");
}

/* More than fits: the first lines in full, then how many there are. */
static void assert_rest_is_counted(const char *name, const char *text, size_t len)
{
	struct wm_config *config;
	int shown = 0, left = 0;
	struct wm_err err = {};
	const char *more;

	assert_int_equal(wm_config__parse(name, text, len, &config, &err, NULL, NULL), -EINVAL);
	assert_true(strlen(err.text) < sizeof(err.text));
	assert_int_equal(strncmp(err.text, name, strlen(name)), 0);
	for (const char *p = err.text; (p = strchr(p, '\n')); p++)
		shown++; /* every line but the last ends so */
	more = strrchr(err.text, '\n');
	assert_non_null(more);
	assert_int_equal(sscanf(more, "\nand %d more errors", &left), 1);
	assert_int_equal(shown + left, 200);
	assert_true(shown >= 1);
}

static void errors_that_do_not_fit(void **state)
{
	static char text[1 << 16] = HEAD, name[1024];
	size_t len = strlen(text);

	(void)state;
	for (int i = 0; i < 200; i++)
		len += snprintf(text + len, sizeof(text) - len, "unheard-of-%d: 1\n", i);
	for (size_t i = 0; i < sizeof(name) - 1; i++) {
		name[i] = 'f';
		if (i < 600) /* one line fits */
			assert_rest_is_counted(name, text, len);
	}
}

static void paths_that_are_too_long(void **state)
{
	char text[256], path[128] = "/";
	struct wm_config *config;
	struct wm_err err;

	(void)state;
	memset(path + 1, 'p', 107);
	snprintf(text, sizeof(text), HEAD "control: %s\n", path);
	assert_int_equal(parse_bytes(text, strlen(text), &config, &err), -EINVAL);
	assert_non_null(strstr(err.text, "f:3:10: control: expected an absolute path of at most "
			       "107 bytes"));
	path[107] = '\0'; /* a socket's path takes 107 bytes and a NUL */
	snprintf(text, sizeof(text), HEAD "control: %s\n", path);
	wm_config__free(parse(text));
}

/* --- size --- */

/* One list of 16 reals under 4096 vips: 65536 reals, one more than ids. */
static void too_many_reals(void **state)
{
	struct wm_config *config;
	struct wm_err err;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("interface: eth0\nvips:\n- { address: 10.0.0.0, reals: &r [", out);
	for (int i = 0; i < 16; i++)
		fprintf(out, "%s{ address: 10.9.0.%d }", i ? ", " : "", i + 1);
	fputs("], port: any }\n", out);
	for (int i = 1; i < 4096; i++)
		fprintf(out, "- { address: 10.0.%d.%d, reals: *r, port: any }\n", i / 256, i % 256);
	fclose(out);
	assert_int_equal(parse_bytes(text, len, &config, &err), -EINVAL);
	assert_string_equal(err.text, "f:3:31: reals: expected at most 65535 in all vips, "
			    "found 65536 up to here");
	free(text);
}

static void too_many_vips(void **state)
{
	struct wm_config *config;
	struct wm_err err;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs(VIPS, out);
	for (int i = 0; i <= 4096; i++)
		fprintf(out, "- { address: 10.0.0.1, port: %d, reals: [] }\n", i + 1);
	fclose(out);
	assert_int_equal(parse_bytes(text, len, &config, &err), -EINVAL);
	assert_string_equal(err.text, "f:3:1: vips: expected at most 4096, found 4097");
	free(text);
}

/* libyaml would need minutes, then hours for these. */
static void deep_nesting(void **state)
{
	enum { DEPTH = 1000000 };
	struct wm_config *config;
	char *text = malloc(DEPTH);
	struct wm_err err;

	(void)state;
	memset(text, '[', DEPTH);
	assert_int_equal(parse_bytes(text, DEPTH, &config, &err), -EINVAL);
	assert_string_equal(err.text, "f:1:65: nested too deep; expected 64 levels at most");
	memset(text, '{', DEPTH);
	assert_int_equal(parse_bytes(text, DEPTH, &config, &err), -EINVAL);
	for (int i = 0; i < DEPTH; i++)
		text[i] = "- "[i % 2];
	assert_int_equal(parse_bytes(text, DEPTH, &config, &err), -EINVAL);
	assert_string_equal(err.text, "f:1:129: nested too deep; expected 64 levels at most");
	free(text);
}

static void many_anchors(void **state)
{
	struct wm_config *config;
	struct wm_err err;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	fputs("metrics:\n", out);
	for (int i = 0; i < 100000; i++)
		fprintf(out, "  k%d: &a%d x\n", i, i);
	fclose(out);
	assert_int_equal(parse_bytes(text, len, &config, &err), -EINVAL);
	assert_string_equal(err.text, "f:258:9: too many anchors; expected 256 at most");
	free(text);
}

/* Any prefix of a good file, and a good file with any byte changed, ends in a
 * configuration or a message: never in a crash or in silence. */
static void mangled_files(void **state)
{
	char *good = slurp(WM_SELFTESTS "/unit/config/full.yaml");
	size_t len = strlen(good);
	struct wm_config *config;
	struct wm_err err;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		if (parse_bytes(good, i, &config, &err))
			assert_true(err.text[0] && !config);
		wm_config__free(config);
	}
	for (size_t i = 0; i < 4 * len; i++) {
		char old = good[i / 4];

		good[i / 4] = "\0:[\xff"[i % 4];
		if (parse_bytes(good, len, &config, &err))
			assert_true(err.text[0] && !config);
		wm_config__free(config);
		good[i / 4] = old;
	}
	free(good);
}

/* --- a file that was cut off --- */

#define TWO_VIPS \
	"interface: eth0   # what the clients reach\n" \
	"limits: { vips: 16 }\n" \
	"vips:\n" \
	"  - name: web\n" \
	"    address: 10.200.1.1\n" \
	"    port: 8080\n" \
	"    protocol: tcp\n" \
	"    hash: maglev-v1\n" \
	"    offload: false\n" \
	"    reals:            # half of them\n" \
	"      - { address: 10.200.2.11, weight: 100 }\n" \
	"      - address: 10.200.2.12\n" \
	"      - address: 10.200.2.13\n" \
	"  # and names\n" \
	"  - { name: dns, address: 'fc00::1', port: any, protocol: udp, reals: [ { address: " \
	"10.200.2.112, weight: 55 } ] }\n" \
	"  - { name: none, address: fc00::11, port: 53, reals: [] }\n" \
	"  - address: fc00::12\n" \
	"    port: 53\n" \
	"    reals: [ { address: fc00::2:11 }, { address: fc00::2:12 } ]\n"

#define FLOW \
	"{ \"interface\": \"eth0\", \"max-removal\": \"0%\", \"vips\": [\n" \
	"  { \"address\": \"10.200.1.1\", \"port\": 8080, \"reals\": [ { \"address\": " \
	"\"10.200.2.11\", \"weight\": 100 }, { address: 10.200.2.12 } ] }, # one\n" \
	"  { address: 10.200.1.1, port: any, protocol: udp, reals: [] } ] }"

/* What a cut between two lines leaves: the same vips as far as they go, of the last one the
 * reals as far as they go. */
static bool is_beginning(const struct wm_config *part, const struct wm_config *whole)
{
	if (part->n_vips > whole->n_vips || strcmp(part->interfaces[0], whole->interfaces[0]))
		return false;
	for (size_t i = 0; i < part->n_vips; i++) {
		const struct wm_config_vip *a = &part->vips[i], *b = &whole->vips[i];

		if (!wm_addr__equal(&a->address, &b->address) || a->port != b->port ||
		    a->n_reals > b->n_reals || (i + 1 < part->n_vips && a->n_reals < b->n_reals))
			return false;
		for (size_t k = 0; k < a->n_reals; k++)
			if (!wm_addr__equal(&a->reals[k].address, &b->reals[k].address) ||
			    a->reals[k].weight != b->reals[k].weight)
				return false;
	}
	return true;
}

/* Returns how many prefixes are good files of another meaning. */
static int cut_everywhere(const char *text, size_t len)
{
	struct wm_config *whole, *part;
	struct wm_err err;
	int others = 0;

	if (parse_bytes(text, len, &whole, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < len; i++) {
		if (parse_bytes(text, i, &part, &err))
			continue;
		if (!wm_config__equal(part, whole)) {
			others++;
			if (!is_beginning(part, whole))
				fail_msg("taken for whole: %.*s", (int)i, text);
		}
		wm_config__free(part);
	}
	wm_config__free(whole);
	return others;
}

static int cut_string(const char *text)
{
	char *crlf = malloc(2 * strlen(text) + 1), *to = crlf;
	int others = cut_everywhere(text, strlen(text));

	for (const char *from = text; *from; from++) {
		if (*from == '\n')
			*to++ = '\r';
		*to++ = *from;
	}
	others += cut_everywhere(crlf, to - crlf);
	free(crlf);
	return others;
}

/* With a marker at its end or a closing bracket no part of a file is a file. Without,
 * lists may end early, whole lines and no more: that is for max-removal to find. */
static void no_part_is_taken_for_the_whole(void **state)
{
	static const char *const files[] = {
		WM_SELFTESTS "/../Documentation/examples/waymark.yaml",
		WM_SELFTESTS "/unit/config/full.yaml",
	};

	(void)state;
	assert_int_equal(cut_string(FLOW), 0);
	assert_int_equal(cut_string(FLOW "\n# the end\n"), 0);
	assert_int_equal(cut_string("---\n" TWO_VIPS "...\n"), 0);
	assert_int_equal(cut_string("# ours\n--- # go\n" TWO_VIPS "mode: auto\n... # end\n"), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *text = slurp(files[i]);

		assert_non_null(text);
		assert_int_equal(cut_string(text), 0);
		free(text);
	}
	assert_true(cut_string(TWO_VIPS) > 0);
	assert_int_equal(cut_string("interface: eth0\nvips: []\n"), 0);
}

static void files_that_cannot_be_read(void **state)
{
	int fd = memfd_create("large", MFD_CLOEXEC);
	struct wm_config *config;
	char path[64];
	struct wm_err err = {};

	(void)state;
	assert_int_equal(wm_config__load("/nowhere/f.yaml", &config, &err, NULL, NULL), -ENOENT);
	assert_string_equal(err.text, "cannot read the configuration /nowhere/f.yaml: "
			    "No such file or directory");
	assert_int_equal(wm_config__load("/", &config, &err, NULL, NULL), -EISDIR);
	assert_int_equal(wm_config__load("/dev/zero", &config, &err, NULL, NULL), -EINVAL);
	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(wm_config__load(path, &config, &err, NULL, NULL), -EFBIG);
	assert_int_equal(wm_config__load(path, &config, NULL, NULL, NULL), -EFBIG);
	assert_null(config);
	close(fd);
}

/* --- the man page --- */

/* Every key that an unknown key is answered with stands in the man page. */
static void man_page_names_every_key(void **state)
{
	static const char *const asked[] = {
		HEAD "zzzzzzzz: 1",
		"interface: { zzzzzzzz: 1 }\nvips: []",
		HEAD "offload: { zzzzzzzz: 1 }",
		HEAD "flow-table: { zzzzzzzz: 1 }",
		HEAD "limits: { zzzzzzzz: 1 }",
		HEAD "source: { zzzzzzzz: 1 }",
		HEAD "ring-seeds: { zzzzzzzz: 1 }",
		HEAD "offload: { sim: { zzzzzzzz: 1 } }",
		VIPS "- { address: 10.0.0.1, zzzzzzzz: 1, port: any, reals: [] }",
		VIPS "- { address: 10.0.0.1, reals: [ { address: 10.0.0.2, zzzzzzzz: 1 } ],\n"
		     "port: any }",
	};
	char *man = slurp(WM_SELFTESTS "/../Documentation/man/waymark.yaml.5");
	int keys = 0;

	(void)state;
	assert_non_null(man);
	for (size_t i = 0; i < sizeof(asked) / sizeof(*asked); i++) {
		struct wm_config *config;
		struct wm_err err;
		char *list, *key, *rest;

		assert_int_equal(parse_bytes(asked[i], strlen(asked[i]), &config, &err), -EINVAL);
		list = strstr(err.text, "one of: ");
		assert_non_null(list);
		for (key = strtok_r(list + 8, ", \n", &rest); key;
		     key = strtok_r(NULL, ", \n", &rest)) {
			char item[64];

			snprintf(item, sizeof(item), ".It Cm %s", key);
			if (!strstr(man, item))
				fail_msg("waymark.yaml.5 does not describe the key \"%s\"", key);
			keys++;
		}
	}
	assert_true(keys > 30);
	free(man);
}

/* From the item of this key to the next one, in a buffer of its own. */
static char *man_section(const char **man, const char *key)
{
	const char *next;
	char item[64];

	snprintf(item, sizeof(item), ".It Cm %s", key);
	*man = strstr(*man, item);
	if (!*man)
		fail_msg("waymark.yaml.5 does not describe the key \"%s\" in its place", key);
	*man += strlen(item);
	next = strstr(*man, "\n.It Cm ");
	return strndup(*man, next ? (size_t)(next - *man) : strlen(*man));
}

static void says(const char *section, const struct wm_key *key, uint64_t bound)
{
	char text[WM_UNITS_TEXT];

	if (key->type == &wm_key_duration)
		wm_duration__format(bound, text);
	else
		snprintf(text, sizeof(text), "%llu", (unsigned long long)bound);
	if (!strstr(section, text))
		fail_msg("waymark.yaml.5: \"%s\" has a bound that is not told, %s", key->name,
			 text);
}

/* What stands behind "Default:", without macro, quotes and full stop. */
static void man_default(const char *section, char *word, size_t size)
{
	const char *at = strstr(section, "Default:");
	size_t len;

	*word = '\0';
	if (!at)
		return;
	at += strlen("Default:");
	at += strspn(at, " \n");
	if (!strncmp(at, ".Cm ", 4) || !strncmp(at, ".Pa ", 4))
		at += 4;
	len = strcspn(at, " \n,");
	if (len && at[len - 1] == '.')
		len--;
	snprintf(word, size, "%.*s", (int)len, at);
}

static void check_default(const char *section, const struct wm_key *key, const void *value)
{
	char man[80], text[80] = "", *end;
	FILE *out = fmemopen(text, sizeof(text), "w");
	uint64_t n;

	man_default(section, man, sizeof(man));
	key->type->print(key, value, out);
	fclose(out);
	end = strrchr(text, '"');
	if (end)
		*end = '\0';
	if (!strcmp(man, text + (end != NULL)))
		return;
	if (key->type != &wm_key_count || wm_count__parse(man, &n) || n != key->number)
		fail_msg("waymark.yaml.5: the default of \"%s\" is %s, and not \"%s\"", key->name,
			 text, man);
}

static void check_fixed(const char *section, const struct wm_key *key)
{
	if (!strstr(section, "\nFixed") != !key->fixed)
		fail_msg("waymark.yaml.5: \"%s\" is %s and the page says otherwise", key->name,
			 key->fixed ? "fixed" : "not fixed");
}

static int check_man(const struct wm_key *keys, const char **man)
{
	int n = 0;

	for (const struct wm_key *key = keys; key->name; key++) {
		static char base[4096];
		char *section = man_section(man, key->name);
		void *value = base + key->offset;
		bool number = key->type == &wm_key_count || key->type == &wm_key_duration;

		memset(base, 0, sizeof(base));
		if (key->type->init)
			assert_true(key->type->init(key, value));
		if (number && key->max != UINT32_MAX)
			says(section, key, key->max);
		if (number && key->min > 1)
			says(section, key, key->min);
		if (key->type->init && key->type->print && !key->keys && !key->required &&
		    !(key->type->absent && key->type->absent(key, value)))
			check_default(section, key, value);
		check_fixed(section, key);
		if (key->type->init == wm_text__init)
			free(*(char **)value);
		free(section);
		n++;
		if (key->keys)
			n += check_man(key->keys, man);
		if (key->items)
			n += check_man(key->items, man);
	}
	return n;
}

/* The tables and the man page say the same, in the same order. */
static void man_page_has_defaults_and_bounds(void **state)
{
	char *text = slurp(WM_SELFTESTS "/../Documentation/man/waymark.yaml.5");
	const char *man = strstr(text, ".Sh KEYS");

	(void)state;
	assert_non_null(man);
	assert_true(check_man(wm_config__keys(), &man) > 45);
	free(text);
}

static void units(void **state)
{
	char buf[WM_UNITS_TEXT];
	uint64_t n;

	(void)state;
	assert_int_equal(wm_count__parse("18446744073709551615", &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(wm_count__parse("18446744073709551616", &n), -ERANGE);
	assert_int_equal(wm_count__parse("18446744073709551615k", &n), -ERANGE);
	assert_int_equal(wm_count__parse("k", &n), -EINVAL);
	assert_int_equal(wm_count__parse("8 k", &n), -EINVAL);
	assert_int_equal(wm_count__parse("2G", &n), 0);
	assert_int_equal(n, 2000000000);
	assert_int_equal(wm_duration__parse("5", &n), -EINVAL);
	assert_int_equal(wm_duration__parse("5us", &n), -EINVAL);
	assert_int_equal(wm_duration__parse("5124096h", &n), -ERANGE);
	assert_string_equal(wm_duration__format(0, buf), "0ms");
	assert_string_equal(wm_duration__format(1500000000, buf), "1500ms");
	assert_string_equal(wm_duration__format(90000000000, buf), "90s");
	assert_string_equal(wm_duration__format(7200000000000, buf), "2h");
}

static void test_paths(void **state)
{
	char first[] = "eth0", second[] = "eth1", *interfaces[] = { first, second };
	const struct wm_config config = { .interfaces = interfaces, .n_interfaces = 2 };
	static const char *const cases[][2] = {
		{ "/run/waymark/ctl", "/run/waymark/ctl" }, { "/run/%i", "/run/eth0" },
		{ "/a-%i/%i%i", "/a-eth0/eth0eth0" }, { "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *path = wm_config__path(&config, cases[i][0]);

		assert_string_equal(path, cases[i][1]);
		free(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(golden_files),
		cmocka_unit_test(printed_reads_back),
		cmocka_unit_test(defaults),
		cmocka_unit_test(design_example),
		cmocka_unit_test(metrics_listen),
		cmocka_unit_test(vips_without_weight_are_warned_of),
		cmocka_unit_test(differing_keys_are_named),
		cmocka_unit_test(shared_lists_are_copies),
		cmocka_unit_test(same_meaning),
		cmocka_unit_test(equal_sees_every_key),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(errors_that_do_not_fit),
		cmocka_unit_test(paths_that_are_too_long),
		cmocka_unit_test(too_many_reals),
		cmocka_unit_test(too_many_vips),
		cmocka_unit_test(deep_nesting),
		cmocka_unit_test(many_anchors),
		cmocka_unit_test(mangled_files),
		cmocka_unit_test(no_part_is_taken_for_the_whole),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(man_page_names_every_key),
		cmocka_unit_test(man_page_has_defaults_and_bounds),
		cmocka_unit_test(units),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
