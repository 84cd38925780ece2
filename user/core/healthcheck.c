// SPDX-License-Identifier: GPL-2.0
#include "healthcheck.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const wm_check_words[] = {
	"none", "tcp", "http", "https", "udp", "icmp", "script", NULL,
};
const char *const wm_health_words[] = { "unchecked", "up", "down", NULL };

/* --- checks --- */

bool wm_check__needs_port(const struct wm_check *check)
{
	return check->type != WM_CHECK_NONE && check->type != WM_CHECK_ICMP &&
	       check->type != WM_CHECK_SCRIPT;
}

void wm_check__clear(struct wm_check *check)
{
	free(check->path);
	free(check->host);
	free(check->ca);
	free(check->send);
	free(check->body);
	free(check->script);
	check->path = check->host = check->ca = check->send = check->body = NULL;
	check->script = NULL;
}

static int copy_text(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

int wm_check__copy(struct wm_check *to, const struct wm_check *from)
{
	int ret = 0;

	*to = *from;
	ret |= copy_text(&to->path, from->path);
	ret |= copy_text(&to->host, from->host);
	ret |= copy_text(&to->ca, from->ca);
	ret |= copy_text(&to->send, from->send);
	ret |= copy_text(&to->body, from->body);
	ret |= copy_text(&to->script, from->script);
	if (ret)
		wm_check__clear(to);
	return ret;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

bool wm_check__same(const struct wm_check *a, const struct wm_check *b)
{
	return a->type == b->type && a->port == b->port && same_text(a->path, b->path) &&
	       same_text(a->host, b->host) && same_text(a->body, b->body) &&
	       same_text(a->script, b->script) &&
	       a->verify == b->verify && same_text(a->ca, b->ca) && same_text(a->send, b->send) &&
	       a->status_min == b->status_min && a->status_max == b->status_max &&
	       a->interval_ns == b->interval_ns && a->timeout_ns == b->timeout_ns &&
	       a->jitter == b->jitter && a->rise == b->rise && a->fall == b->fall &&
	       a->hold_ns == b->hold_ns;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind a backslash: how many characters it takes, 0: it is none that we know. */
static int escape(const char *text, uint8_t *byte)
{
	static const char names[] = "nrt\\", bytes[] = "\n\r\t\\";
	const char *name = *text ? strchr(names, *text) : NULL;

	if (name) {
		*byte = bytes[name - names];
		return 1;
	}
	if (*text != 'x' || hex_digit(text[1]) < 0 || hex_digit(text[2]) < 0)
		return 0;
	*byte = hex_digit(text[1]) << 4 | hex_digit(text[2]);
	return 3;
}

int wm_check__unescape(const char *text, uint8_t *to)
{
	int n, taken;

	for (n = 0; *text; n++, text += taken) {
		if (n == WM_CHECK_SEND_MAX)
			return -EINVAL;
		to[n] = *text;
		taken = *text == '\\' ? escape(text + 1, &to[n]) + 1 : 1;
		if (*text == '\\' && taken == 1)
			return -EINVAL;
	}
	return n ? n : -EINVAL;
}

/* --- standings --- */

static int first_down_first(const void *left, const void *right)
{
	const struct wm_standing *a = left, *b = right;

	if (a->since_ns != b->since_ns)
		return a->since_ns < b->since_ns ? -1 : 1;
	return a->place < b->place ? -1 : a->place > b->place;
}

size_t wm_standing__judge(const struct wm_check *check, struct wm_standing *list, size_t n)
{
	size_t eligible = 0, down = 0, most, out = 0;

	for (size_t i = 0; i < n; i++) {
		eligible += list[i].eligible;
		down += list[i].eligible && list[i].down;
	}
	most = eligible * check->max_down / 100;
	if (down == eligible)
		most = check->fail == WM_CHECK_FAIL_CLOSED ? eligible : 0;
	qsort(list, n, sizeof(*list), first_down_first);
	for (size_t i = 0; i < n; i++) {
		list[i].out = list[i].eligible && list[i].down && out < most;
		out += list[i].out;
	}
	return out;
}
