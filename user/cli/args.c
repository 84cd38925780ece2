// SPDX-License-Identifier: GPL-2.0
/*
 * Two passes of getopt_long(): the first stops at the first word that is no
 * option, which names the command; the second takes the rest with the command's
 * options added, in any order. Both get their options from the tables.
 */
#include "args.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/sockets.h>

#include "addr.h"
#include "distance.h"
#include "queueset.h"
#include "units.h"

enum {
	GLOBAL_CODE = 0x100, /* getopt's code of a global option: this and its index */
	OPTION_CODE = 0x200, /* of a command's own */
	ALL_OPTIONS_MAX = 48,
	NEAR_MAX = 8,
};

/* --- finding commands --- */

static size_t first_word(const char *name)
{
	return strcspn(name, " ");
}

struct choices {
	char text[NEAR_MAX][32];
	size_t n;
};

/* One word that names something: which of the candidates is it? */
struct word_search {
	const char *word;
	char exact[32];
	struct choices prefixed; /* begin with the word */
	struct choices near;     /* are much like it */
};

static void consider(struct word_search *search, const char *candidate, size_t len)
{
	size_t wordlen = strlen(search->word);
	struct choices *list = NULL;
	char text[32];

	snprintf(text, sizeof(text), "%.*s", (int)len, candidate);
	if (!strcmp(text, search->word))
		strcpy(search->exact, text);
	if (wordlen && !strncmp(text, search->word, wordlen))
		list = &search->prefixed;
	else if (wm_distance(search->word, text) <= 2 ||
		 (wordlen > 2 && strstr(text, search->word)))
		list = &search->near;
	for (size_t i = 0; list && i < list->n; i++)
		if (!strcmp(list->text[i], text))
			return; /* "decap" of two commands is one word */
	if (list && list->n < NEAR_MAX)
		strcpy(list->text[list->n++], text);
}

static char *join(const struct choices *list, char *buf, size_t size)
{
	*buf = '\0';
	for (size_t i = 0; i < list->n; i++) {
		size_t used = strlen(buf);

		snprintf(buf + used, size - used, "%s%s", i ? ", " : "", list->text[i]);
	}
	return buf;
}

static const char *found_word(const struct word_search *search, const char *what,
			      struct wm_err *err)
{
	char list[NEAR_MAX * 34];

	if (*search->exact)
		return search->exact;
	if (search->prefixed.n == 1)
		return search->prefixed.text[0];
	if (search->prefixed.n)
		wm_err__set(err, -EINVAL, "%s '%s' is ambiguous: %s", what, search->word,
			    join(&search->prefixed, list, sizeof(list)));
	else if (search->near.n)
		wm_err__set(err, -EINVAL, "no %s '%s'; near: %s", what, search->word,
			    join(&search->near, list, sizeof(list)));
	else
		wm_err__set(err, -EINVAL, "no %s '%s'", what, search->word);
	return NULL;
}

static bool begins(const struct command *command, const char *first)
{
	size_t len = first_word(command->name);

	return strlen(first) == len && !memcmp(command->name, first, len);
}

/* "decap" alone, or with a word that is like none of its second words. */
static void explain_seconds(const char *first, const char *word, struct wm_err *err)
{
	const char *format = word ? "no %s '%s'; there are:" : "%s what:";
	size_t used = snprintf(err->text, sizeof(err->text), format, first, word);

	for (const struct command *c = commands; c->name; c++)
		if (begins(c, first) && used < sizeof(err->text))
			used += snprintf(err->text + used, sizeof(err->text) - used, " %s",
					 c->name + first_word(c->name) + 1);
}

/* `first` is one word of the table; the commands that begin with it have a second one, or
 * it is a command alone, whose argument may stand there: then the second one is written out. */
static const struct command *find_second(const char *first, const char *const *word, size_t n,
					 size_t *words, struct wm_err *err)
{
	struct word_search search = { .word = n > 1 ? word[1] : "" };
	const struct command *alone = NULL;
	const char *second;

	for (const struct command *c = commands; c->name; c++) {
		size_t len = first_word(c->name);

		if (!begins(c, first))
			continue;
		if (c->name[len])
			consider(&search, c->name + len + 1, 31);
		else
			alone = c;
	}
	*words = 1;
	if (alone && !*search.exact)
		return alone;
	second = n > 1 ? found_word(&search, first, err) : NULL;
	if (!second && !search.prefixed.n && !search.near.n)
		explain_seconds(first, n > 1 ? word[1] : NULL, err);
	*words = 2;
	for (const struct command *c = commands; second && c->name; c++)
		if (begins(c, first) && !strcmp(c->name + first_word(c->name) + 1, second))
			return c;
	return NULL;
}

const struct command *args__find(const char *const *word, size_t n, size_t *words,
				 struct wm_err *err)
{
	struct word_search search = { .word = word[0] };
	const char *first;

	for (const struct command *c = commands; c->name; c++)
		consider(&search, c->name, first_word(c->name));
	first = found_word(&search, "command", err);
	return first ? find_second(first, word, n, words, err) : NULL;
}

/* --- what arguments may be --- */

static bool is_number(const char *text, unsigned long long low, unsigned long long high)
{
	int base = !strncasecmp(text, "0x", 2) ? 16 : 10;
	unsigned long long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoull(text, &end, base);
	return !errno && !*end && value >= low && value <= high;
}

static bool is_seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	return end != text && !*end && isfinite(value) && value >= 0.01 && value <= 1e6;
}

static bool is_decimal(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	return end != text && !*end && isfinite(value) && value >= 0;
}

static bool is_amount(const char *text)
{
	uint64_t count;

	return !wm_count__parse(text, &count);
}

static bool are_amounts(const char *text)
{
	size_t len;
	char one[32];

	for (;; text += len + 1) {
		len = strcspn(text, ",");
		snprintf(one, sizeof(one), "%.*s", (int)len, text);
		if (len >= sizeof(one) || !is_amount(one))
			return false;
		if (!text[len])
			return true;
	}
}

static bool is_duration(const char *text)
{
	uint64_t ns;

	return !wm_duration__parse(text, &ns);
}

static bool is_endpoint(const char *text)
{
	struct wm_addr addr;
	__be16 port;

	return !wm_endpoint__parse(text, &addr, &port) && port;
}

static bool is_device(const char *text)
{
	size_t len = strlen(text);

	if (!len || len >= IFNAMSIZ || strpbrk(text, "/ \t\n"))
		return false;
	return strcmp(text, ".") && strcmp(text, "..");
}

static bool are_queues(const char *text)
{
	struct wm_queueset set = {};

	return !wm_queueset__parse(&set, text);
}

static bool is_choice(const char *choices, const char *text)
{
	size_t len;

	for (; *choices; choices += len + (choices[len] == ' ')) {
		len = strcspn(choices, " ");
		if (strlen(text) == len && !memcmp(choices, text, len))
			return true;
	}
	return false;
}

const char *args__objection(enum kind kind, const char *choices, const char *text)
{
	struct wm_addr address;
	__u8 mac[6];

	switch (kind) {
	case KIND_PROTOCOL:
		return wm_proto__parse(text) < 0 ? "tcp or udp" : NULL;
	case KIND_ENDPOINT:
		if (is_endpoint(text))
			return NULL;
		return "an address and a port, as 10.0.0.3:4711 or [fc00::3]:4711";
	case KIND_ADDRESS:
		return wm_addr__parse(text, &address) ? "an address" : NULL;
	case KIND_MARK:
		if (is_number(text, 0, UINT32_MAX))
			return NULL;
		return "a number below 2^32, as 4099 or 0x1003";
	case KIND_COUNT:
		return is_number(text, 1, 1000000000) ? NULL : "a number from 1 to 1000000000";
	case KIND_AMOUNT:
		return is_amount(text) ? NULL : "a number, as 64000, 64k or 1M";
	case KIND_AMOUNTS:
		return are_amounts(text) ? NULL : "numbers by commas, as 1k,4k,16k";
	case KIND_DECIMAL:
		return is_decimal(text) ? NULL : "a number, as 1.1";
	case KIND_DURATION:
		return is_duration(text) ? NULL : "a time with its unit, as 15s or 200ms";
	case KIND_SECONDS:
		return is_seconds(text) ? NULL : "seconds, 0.01 to 1000000";
	case KIND_DEVICE:
		return is_device(text) ? NULL : "a network device's name";
	case KIND_QUEUES:
		return are_queues(text) ? NULL : "numbers of queues below 1024, as 2 or 0-3,6";
	case KIND_MAC:
		return wm_mac__parse(text, mac) ? "a MAC address, as 02:00:00:00:00:01" : NULL;
	case KIND_CHOICE:
		return choices && is_choice(choices, text) ? NULL : choices;
	default:
		return *text ? NULL : "not empty";
	}
}

/* --- options --- */

struct options {
	struct option longs[ALL_OPTIONS_MAX + 1];
	char shorts[2 * ALL_OPTIONS_MAX + 3];
	size_t n;
};

static void add_options(struct options *all, const struct option_desc *desc, size_t max, int code)
{
	size_t len = strlen(all->shorts);

	for (size_t i = 0; i < max && desc[i].name; i++) {
		all->longs[all->n++] = (struct option){
			.name = desc[i].name,
			.has_arg = desc[i].value ? required_argument : no_argument,
			.val = code + i,
		};
		if (!desc[i].letter)
			continue;
		all->shorts[len++] = desc[i].letter;
		if (desc[i].value)
			all->shorts[len++] = ':';
	}
}

/* Codes are letters when the letter was used. */
static const struct option_desc *option_of(struct invocation *in, int code, const char ***value)
{
	const struct option_desc *own = in->command ? in->command->options : NULL;

	for (int i = 0; global_options[i].name; i++) {
		*value = &in->global[i];
		if (code == GLOBAL_CODE + i || code == global_options[i].letter)
			return &global_options[i];
	}
	for (int i = 0; own && i < OPTIONS_MAX && own[i].name; i++) {
		*value = &in->option[i];
		if (code == OPTION_CODE + i || code == own[i].letter)
			return &own[i];
	}
	return NULL;
}

static int take_option(struct invocation *in, int code, const char *word)
{
	const struct option_desc *desc;
	const char **value, *wanted;

	if (code == '?')
		return invocation__usage(in, "unknown or ambiguous option '%s'", word);
	if (code == ':')
		return invocation__usage(in, "option '%s' wants a value", word);
	desc = option_of(in, code, &value);
	*value = desc->value ? optarg : "";
	wanted = desc->value ? args__objection(desc->kind, desc->choices, optarg) : NULL;
	if (wanted)
		return invocation__usage(in, "--%s '%s': wants %s", desc->name, optarg, wanted);
	return 0;
}

/* Options up to the command (`mode` "+:"), or all that are left (":"). */
static int take_options(struct invocation *in, int argc, char **argv, const char *mode)
{
	struct options all = { .n = 0 };
	int code, ret;

	strcpy(all.shorts, mode);
	add_options(&all, global_options, GLOBAL_OPTIONS_MAX, GLOBAL_CODE);
	if (in->command)
		add_options(&all, in->command->options, OPTIONS_MAX, OPTION_CODE);
	optind = 0; /* start anew, with a new order */
	opterr = 0;
	while ((code = getopt_long(argc, argv, all.shorts, all.longs, NULL)) != -1) {
		ret = take_option(in, code, argv[optind - 1]);
		if (ret)
			return ret;
	}
	return 0;
}

/* --- arguments --- */

static int count_arguments(const struct invocation *in, int n)
{
	const struct command *command = in->command;
	int all = 0, required = 0;

	for (; command->arguments[all].name; all++)
		required += !command->arguments[all].optional;
	if (n > all && !all)
		return invocation__usage(in, "takes no argument");
	if (n > all)
		return invocation__usage(in, "too many arguments: wants %d", all);
	if (n < required)
		return invocation__usage(in, "%s is missing", command->arguments[n].name);
	if (command->all_or_none && n > required && n < all)
		return invocation__usage(in, "%s is missing", command->arguments[n].name);
	return 0;
}

static int take_arguments(struct invocation *in, int n, char **argv)
{
	int ret = count_arguments(in, n);

	for (int i = 0; i < n && !ret; i++) {
		const struct argument *argument = &in->command->arguments[i];
		const char *wanted = args__objection(argument->kind, NULL, argv[i]);

		if (wanted)
			ret = invocation__usage(in, "%s '%s': wants %s", argument->name, argv[i],
						wanted);
		in->argument[in->n_arguments++] = argv[i];
	}
	return ret;
}

static int check_required(const struct invocation *in)
{
	const struct option_desc *own = in->command->options;

	for (int i = 0; i < OPTIONS_MAX && own[i].name; i++)
		if (own[i].required && !in->option[i])
			return invocation__usage(in, "--%s %s is missing", own[i].name,
						 own[i].value);
	return 0;
}

static const struct command *command_named(const char *name)
{
	const struct command *c = commands;

	while (strcmp(c->name, name))
		c++;
	return c;
}

static int take_globals(struct invocation *in)
{
	const char *seconds = invocation__option(in, "timeout");
	struct wm_err err;

	in->timeout_ms = seconds ? 1000 * strtod(seconds, NULL) : 5000;
	in->socket = invocation__option(in, "socket") ?: getenv("WAYMARK_SOCKET");
	if (!in->socket || !*in->socket)
		in->socket = WM_CONTROL_SOCKET;
	in->out = (struct output){
		.file = stdout,
		.json = invocation__option(in, "json"),
		.raw = invocation__option(in, "raw"),
		.no_headings = invocation__option(in, "no-headings"),
		.columns = invocation__option(in, "columns"),
	};
	if (in->out.columns && view__check_columns(invocation__view(in), in->out.columns, &err))
		return invocation__usage(in, "--columns: %s", err.text);
	return 0;
}

/* --help and --version are commands in disguise. */
static bool disguised(struct invocation *in)
{
	if (invocation__option(in, "help")) {
		if (in->command && *in->command->name)
			in->argument[in->n_arguments++] = in->command->name;
		in->command = command_named("help");
	} else if (invocation__option(in, "version")) {
		in->command = command_named("version");
	} else {
		return false;
	}
	memset(in->option, 0, sizeof(in->option));
	in->out = (struct output){ .file = stdout, .json = invocation__option(in, "json") };
	return true;
}

/* Also where what is wrong with the command line comes before the option. */
static bool wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--json") || !strcmp(argv[i], "-j"))
			return true;
	return false;
}

/* What follows the command; argv[0] is the command's last word, or the program: getopt
 * wants a name in front. */
static int parse_own(int argc, char **argv, struct invocation *in)
{
	int ret = take_options(in, argc, argv, ":");

	if (ret || disguised(in))
		return ret;
	in->own = argv;
	in->n_own = argc;
	return take_arguments(in, argc - optind, argv + optind) ?: check_required(in) ?:
	       take_globals(in);
}

int args__parse_only(int argc, char **argv, const struct command *command, struct invocation *in)
{
	*in = (struct invocation){ .out = { .file = stdout, .json = wants_json(argc, argv) } };
	in->command = command;
	return parse_own(argc, argv, in);
}

int args__parse(int argc, char **argv, struct invocation *in)
{
	struct wm_err err = { "" };
	size_t words = 0;
	int ret;

	*in = (struct invocation){ .out = { .file = stdout, .json = wants_json(argc, argv) } };
	ret = take_options(in, argc, argv, "+:");
	if (ret || disguised(in))
		return ret;
	in->before = argv;
	in->n_before = optind;
	argv += optind;
	argc -= optind;
	in->command = argc ? args__find((const char *const *)argv, argc, &words, &err) : commands;
	if (!in->command)
		return invocation__usage(in, "%s", err.text);
	return parse_own(argc - ((int)words - 1), argv + ((int)words - 1), in);
}
