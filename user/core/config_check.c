// SPDX-License-Identifier: GPL-2.0
/*
 * The key `check` of a vip. Its keys count their offsets from the vip, like those of any nested
 * table; what the reals are checked with when nothing is said is in healthcheck.h and in the
 * column of defaults here.
 */
#include <stdlib.h>
#include <string.h>

#include "config_inside.h"
#include "units.h"

enum { HOST_MAX = 253, PATH_MAX_BYTES = 1023, BODY_MAX = 255, SEND_MAX_TEXT = 2047,
	SCRIPT_MAX = 1023 };

#define MS 1000000ull
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)

static const char *const fail_words[] = { "open", "closed", NULL };

/* --- types --- */

/* As a request or a header line can have it. */
static bool visible(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static void read_path(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char what[] = "what stands behind the host in a URL, such as /healthz";
	const char *text = wm_read__scalar(r, key, value, what);

	if (!text)
		return;
	if (*text == '/' && visible(text) && !strchr(text, '#') && strlen(text) <= key->max)
		wm_read__copy(r, text, into);
	else
		wm_read__expected(r, key, value, "%s, at most %llu printable ASCII characters "
				  "without blanks", what, (unsigned long long)key->max);
}

static void read_host(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char what[] = "the name of a host, or an address";
	const char *text = wm_read__scalar(r, key, value, what);

	if (!text)
		return;
	if (*text && visible(text) && !strpbrk(text, "/\"\\@?#") && strlen(text) <= key->max)
		wm_read__copy(r, text, into);
	else
		wm_read__expected(r, key, value, "%s, at most %llu characters", what,
				  (unsigned long long)key->max);
}

static void read_body(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char what[] = "a text that the answer contains";
	const char *text = wm_read__scalar(r, key, value, what);

	if (!text)
		return;
	if (*text && strlen(text) <= key->max)
		wm_read__copy(r, text, into);
	else
		wm_read__expected(r, key, value, "%s, 1 to %llu bytes", what,
				  (unsigned long long)key->max);
}

static void read_send(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char what[] =
		"what to send, of which \\xNN, \\n, \\r, \\t and \\\\ are one byte";
	const char *text = wm_read__scalar(r, key, value, what);
	uint8_t bytes[WM_CHECK_SEND_MAX];

	if (!text)
		return;
	if (strlen(text) <= key->max && wm_check__unescape(text, bytes) > 0)
		wm_read__copy(r, text, into);
	else
		wm_read__expected(r, key, value, "%s, 1 to %d of them", what, WM_CHECK_SEND_MAX);
}

static size_t count_words(const char *text)
{
	size_t n = 0;

	for (; *text; text += strcspn(text, " ")) {
		text += strspn(text, " ");
		n += *text != '\0';
	}
	return n;
}

static void read_script(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			void *into)
{
	static const char what[] = "an absolute path and arguments, with blanks between them";
	const char *text = wm_read__scalar(r, key, value, what);
	bool good = text && *text == '/' && strlen(text) <= key->max &&
		    count_words(text) <= WM_CHECK_SCRIPT_WORDS;

	if (!text)
		return;
	for (const char *p = text; *p; p++)
		good = good && *p >= ' ' && *p <= '~';
	if (good)
		wm_read__copy(r, text, into);
	else
		wm_read__expected(r, key, value, "%s, at most %d of them with %llu printable ASCII "
				  "characters", what, WM_CHECK_SCRIPT_WORDS,
				  (unsigned long long)key->max);
}

/* "200" or "200-399" */
static bool parse_status(const char *text, struct wm_check *check)
{
	char *end;
	long min, max;

	if (strspn(text, "0123456789-") != strlen(text) || *text == '-')
		return false;
	min = max = strtol(text, &end, 10);
	if (*end == '-')
		max = strtol(end + 1, &end, 10);
	if (*end || min < 100 || max > 599 || min > max)
		return false;
	check->status_min = min;
	check->status_max = max;
	return true;
}

static void read_status(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			void *into)
{
	static const char what[] = "a status from 100 to 599, or two with a hyphen between them";
	const char *text = wm_read__scalar(r, key, value, what);
	struct wm_config_vip *vip = into;

	if (text && !parse_status(text, &vip->check))
		wm_read__expected(r, key, value, "%s", what);
}

static void print_status(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config_vip *vip = value;

	(void)key;
	fprintf(out, "%u", vip->check.status_min);
	if (vip->check.status_max != vip->check.status_min)
		fprintf(out, "-%u", vip->check.status_max);
}

static bool same_status(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config_vip *a = left, *b = right;

	(void)key;
	return a->check.status_min == b->check.status_min &&
	       a->check.status_max == b->check.status_max;
}

static bool no_status(const struct wm_key *key, const void *value)
{
	const struct wm_config_vip *vip = value;

	(void)key;
	return !vip->check.status_min;
}

/* A number that is not there unless it was given. */
static void read_port(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	wm_key_count.read(r, key, value, into);
}

static void print_port(const struct wm_key *key, const void *value, FILE *out)
{
	wm_key_count.print(key, value, out);
}

static bool no_port(const struct wm_key *key, const void *value)
{
	return !wm_number__of(key, value);
}

/* Only its being off has to be said. */
static void read_verify(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			void *into)
{
	wm_key_bool.read(r, key, value, into);
}

static void print_verify(const struct wm_key *key, const void *value, FILE *out)
{
	wm_key_bool.print(key, value, out);
}

static bool verifies(const struct wm_key *key, const void *value)
{
	return wm_number__of(key, value);
}

static const struct wm_key_type verify_type = {
	read_verify, .print = print_verify, .absent = verifies, WM_NUMBER,
};
static const struct wm_key_type path_type = { read_path, WM_TEXT };
static const struct wm_key_type host_type = { read_host, WM_TEXT };
static const struct wm_key_type body_type = { read_body, WM_TEXT };
static const struct wm_key_type send_type = { read_send, WM_TEXT };
static const struct wm_key_type script_type = { read_script, WM_TEXT };
static const struct wm_key_type status_type = {
	read_status, NULL, print_status, same_status, no_status,
};
static const struct wm_key_type port_type = {
	read_port, .print = print_port, .same = wm_number__same, .absent = no_port,
};

/* --- the table --- */

#define OF(member) WM_MEMBER(struct wm_config_vip, check.member)

const struct wm_key wm_config_check_keys[] = {
	{ "type", &wm_key_choice, OF(type), .words = wm_check_words, .required = true },
	{ "port", &port_type, OF(port), .min = 1, .max = UINT16_MAX },
	{ "path", &path_type, OF(path), .max = PATH_MAX_BYTES },
	{ "host", &host_type, OF(host), .max = HOST_MAX },
	{ "status", &status_type, WM_WHOLE },
	{ "verify", &verify_type, OF(verify), true },
	{ "ca", &wm_config_path, OF(ca), .max = 4095 },
	{ "send", &send_type, OF(send), .max = SEND_MAX_TEXT },
	{ "body", &body_type, OF(body), .max = BODY_MAX },
	{ "script", &script_type, OF(script), .max = SCRIPT_MAX },
	{ "interval", &wm_key_duration, OF(interval_ns), 5 * SECOND, .min = 100 * MS,
	  .max = 60 * MINUTE },
	{ "timeout", &wm_key_duration, OF(timeout_ns), 2 * SECOND, .min = 10 * MS,
	  .max = MINUTE },
	{ "jitter", &wm_config_percent, OF(jitter), 10 },
	{ "rise", &wm_key_count, OF(rise), 2, .min = 1, .max = 100 },
	{ "fall", &wm_key_count, OF(fall), 3, .min = 1, .max = 100 },
	{ "hold-down", &wm_key_duration, OF(hold_ns), 10 * SECOND, .max = 60 * MINUTE },
	{ "max-down", &wm_config_percent, OF(max_down), 100 },
	{ "fail", &wm_key_choice, OF(fail), WM_CHECK_FAIL_OPEN, .words = fail_words },
	{},
};

/* --- the whole --- */

/* A key that not every type has. */
struct some {
	const char *name;
	bool given;
	unsigned int types; /* 1 << type */
};

#define HTTP (1 << WM_CHECK_HTTP | 1 << WM_CHECK_HTTPS)

static void check_types(struct wm_reader *r, const yaml_node_t *node,
			const struct wm_check *check)
{
	const struct some keys[] = {
		{ "port", check->port, ~(1u << WM_CHECK_ICMP) },
		{ "path", check->path, HTTP },
		{ "host", check->host, HTTP },
		{ "status", check->status_min, HTTP },
		{ "verify", !check->verify, 1 << WM_CHECK_HTTPS },
		{ "ca", check->ca, 1 << WM_CHECK_HTTPS },
		{ "send", check->send, 1 << WM_CHECK_UDP },
		{ "body", check->body, HTTP | 1 << WM_CHECK_UDP },
		{ "script", check->script, 1 << WM_CHECK_SCRIPT },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && check->type; i++)
		if (keys[i].given && !(keys[i].types & 1 << check->type))
			wm_read__error(r, node, "check: a check of type %s has no key \"%s\"",
				       wm_check_words[check->type], keys[i].name);
	if (check->type == WM_CHECK_UDP && !check->send)
		wm_read__error(r, node, "check: expected the key \"send\": a server answers a "
			       "datagram");
	if (check->type == WM_CHECK_SCRIPT && !check->script)
		wm_read__error(r, node, "check: expected the key \"script\": the program to run");
	if (check->type == WM_CHECK_HTTPS && check->host && strpbrk(check->host, ":["))
		wm_read__error(r, node, "check: host: expected the name in a certificate, without "
			       "a port, found \"%s\"", check->host);
}

/* The next check of a real follows when the one before has ended. */
static void check_times(struct wm_reader *r, const yaml_node_t *node,
			const struct wm_check *check)
{
	char timeout[WM_UNITS_TEXT], interval[WM_UNITS_TEXT];

	if (check->timeout_ns > check->interval_ns)
		wm_read__error(r, node, "check: expected a timeout that is not longer than the "
			       "interval, found %s and %s",
			       wm_duration__format(check->timeout_ns, timeout),
			       wm_duration__format(check->interval_ns, interval));
}

static void read_check(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		       void *into)
{
	struct wm_config_vip *vip = into;
	size_t errors = r->report->errors;

	wm_read__table(r, key->name, wm_config_check_keys, value, into);
	if (errors != r->report->errors)
		return;
	check_types(r, value, &vip->check);
	check_times(r, value, &vip->check);
}

static bool init_check(const struct wm_key *key, void *into)
{
	return wm_key__init(key->keys, into);
}

static void print_check(const struct wm_key *key, const void *value, FILE *out)
{
	wm_key__print_flow(key->keys, value, out);
}

static bool no_check(const struct wm_key *key, const void *value)
{
	const struct wm_config_vip *vip = value;

	(void)key;
	return vip->check.type == WM_CHECK_NONE;
}

/* Two of type none are the same, whatever their other keys are. */
static bool same_check(const struct wm_key *key, const void *a, const void *b)
{
	return (no_check(key, a) && no_check(key, b)) || wm_key__same(key->keys, a, b);
}

const struct wm_key_type wm_config_check = {
	read_check, init_check, print_check, same_check, no_check,
};

void wm_config__check_ports(struct wm_reader *r, const yaml_node_t *node,
			    const struct wm_config_vip *vip)
{
	if (wm_check__needs_port(&vip->check) && !vip->check.port && !vip->port)
		wm_read__error(r, node, "check: expected the key \"port\": the vip has every port, "
			       "and a check needs one");
}
