// SPDX-License-Identifier: GPL-2.0
/*
 * The list of vips and their reals. A vip or real with an error keeps an
 * address of family 0 and takes no further part: one mistake, one message.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <waymark/limits.h>

#include "config_inside.h"
#include "units.h"

enum {
	REALS_MAX = (1 << WM_DEST_BITS_MAX) - 1, /* of all vips: ids are 16 bits, 0 is none */
	NAME_MAX_BYTES = 63,
};

/* --- addresses --- */

static const char *flaw_v4(const struct wm_addr *addr)
{
	uint32_t a = ntohl(addr->word[0]);

	if (!a)
		return "the unspecified address";
	if (a == 0xffffffff)
		return "the broadcast address";
	return a >> 28 == 0xe ? "a multicast address" : NULL;
}

static const char *flaw_v6(const struct wm_addr *addr)
{
	struct in6_addr a;

	memcpy(&a, addr->word, sizeof(a));
	if (IN6_IS_ADDR_UNSPECIFIED(&a))
		return "the unspecified address";
	if (IN6_IS_ADDR_MULTICAST(&a))
		return "a multicast address";
	return IN6_IS_ADDR_V4MAPPED(&a) ? "an IPv4 address in IPv6 form (write it as IPv4)" : NULL;
}

const char *wm_config__address_flaw(const struct wm_addr *addr)
{
	return addr->family == WM_IPV4 ? flaw_v4(addr) : flaw_v6(addr);
}

static void read_address(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			 void *into)
{
	static const char what[] = "an IPv4 or IPv6 address";
	const char *text = wm_read__scalar(r, key, value, what);
	struct wm_addr addr;
	const char *flaw;

	if (!text)
		return;
	if (wm_addr__parse(text, &addr)) {
		wm_read__expected(r, key, value, "%s", what);
		return;
	}
	flaw = wm_config__address_flaw(&addr);
	if (flaw)
		wm_read__error(r, value, "%s: expected the address of one machine, %s is %s",
			       key->name, text, flaw);
	else
		memcpy(into, &addr, sizeof(addr));
}

static void print_address(const struct wm_key *key, const void *value, FILE *out)
{
	char text[WM_ADDR_TEXT];

	(void)key;
	fprintf(out, "\"%s\"", wm_addr__format(value, text));
}

static bool same_address(const struct wm_key *key, const void *a, const void *b)
{
	(void)key;
	return wm_addr__equal(a, b);
}

static const struct wm_key_type address_type = {
	read_address, .print = print_address, .same = same_address,
};

/* --- what is there twice --- */

/* Something that may be there once: sorted, twins are neighbours. */
struct entry {
	const void *what;
	size_t index; /* in the list of the file */
	int line;
};

typedef int compare_fn(const void *a, const void *b);

struct twins {
	struct wm_reader *r;
	const yaml_node_t *list;
	compare_fn *compare; /* of what the entries point to */
	void (*report)(const struct twins *twins, const yaml_node_t *node,
		       const struct entry *first, const struct entry *later);
};

static int in_order(const void *left, const void *right, void *compare)
{
	const struct entry *a = left, *b = right;
	int order = ((compare_fn *)compare)(a->what, b->what);

	if (order)
		return order;
	return a->index < b->index ? -1 : a->index > b->index;
}

static void find_twins(const struct twins *twins, struct entry *entries, size_t n)
{
	size_t first = 0;

	qsort_r(entries, n, sizeof(*entries), in_order, (void *)twins->compare);
	for (size_t i = 1; i < n; i++) {
		if (twins->compare(entries[first].what, entries[i].what))
			first = i;
		else
			twins->report(twins, wm_read__item(twins->r, twins->list, entries[i].index),
				      &entries[first], &entries[i]);
	}
}

static int compare_reals(const void *left, const void *right)
{
	const struct wm_config_real *a = left, *b = right;

	return wm_addr__compare(&a->address, &b->address);
}

static void report_real(const struct twins *twins, const yaml_node_t *node,
			const struct entry *first, const struct entry *later)
{
	const struct wm_config_real *real = later->what;
	char text[WM_ADDR_TEXT];

	wm_read__error(twins->r, node,
		       "real %s was given in line %d already; expected it once a vip",
		       wm_addr__format(&real->address, text), first->line);
}

static int compare_names(const void *left, const void *right)
{
	const struct wm_config_vip *a = left, *b = right;

	return strcmp(a->name, b->name);
}

static void report_name(const struct twins *twins, const yaml_node_t *node,
			const struct entry *first, const struct entry *later)
{
	const struct wm_config_vip *vip = later->what;

	wm_read__error(twins->r, node, "name \"%s\" is taken by the vip in line %d", vip->name,
		       first->line);
}

static int compare_services(const void *left, const void *right)
{
	const struct wm_service a = wm_config__service(left), b = wm_config__service(right);

	return wm_service__compare(&a, &b);
}

static void report_service(const struct twins *twins, const yaml_node_t *node,
			   const struct entry *first, const struct entry *later)
{
	const struct wm_service service = wm_config__service(later->what);
	char text[WM_SERVICE_TEXT];

	wm_read__error(twins->r, node, "vip %s was given in line %d already; expected it once",
		       wm_service__format(&service, text), first->line);
}

static void find_twin_reals(struct wm_reader *r, const yaml_node_t *list,
			    const struct wm_config_vip *vip)
{
	struct twins twins = { r, list, compare_reals, report_real };
	struct entry *entries = calloc(vip->n_reals, sizeof(*entries));
	size_t n = 0;

	if (!entries) {
		r->report->no_memory = true;
		return;
	}
	for (size_t i = 0; i < vip->n_reals; i++)
		if (vip->reals[i].address.family)
			entries[n++] = (struct entry){ &vip->reals[i], i, vip->reals[i].line };
	find_twins(&twins, entries, n);
	free(entries);
}

/* By what the vips serve, then by the names that they were given (a name with a
 * slash says what is served). */
static void find_twin_vips(struct wm_reader *r, const yaml_node_t *list)
{
	struct twins services = { r, list, compare_services, report_service };
	struct twins names = { r, list, compare_names, report_name };
	const struct wm_config *config = r->root;
	struct entry *entries = calloc(config->n_vips, sizeof(*entries));
	size_t n = 0;

	if (!entries) {
		r->report->no_memory = true;
		return;
	}
	for (size_t i = 0; i < config->n_vips; i++)
		if (config->vips[i].address.family)
			entries[n++] = (struct entry){ &config->vips[i], i, config->vips[i].line };
	find_twins(&services, entries, n);
	n = 0;
	for (size_t i = 0; i < config->n_vips; i++)
		if (config->vips[i].name && !strchr(config->vips[i].name, '/'))
			entries[n++] = (struct entry){ &config->vips[i], i, config->vips[i].line };
	find_twins(&names, entries, n);
	free(entries);
}

/* --- reals --- */

/* Either key says who the real is: the second one to come is an error. */
static bool name_once(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      struct wm_config_real *real)
{
	if (real->named)
		wm_read__error(r, value, "%s: expected either \"address\" or \"local\", not both",
			       key->name);
	else
		real->named = true;
	return real->address.family == 0;
}

static void read_real_address(struct wm_reader *r, const struct wm_key *key,
			      const yaml_node_t *value, void *into)
{
	struct wm_config_real *real = into;

	if (name_once(r, key, value, real))
		read_address(r, key, value, &real->address);
}

static void read_local(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		       void *into)
{
	struct wm_config_real *real = into;
	char *name = NULL;

	if (!name_once(r, key, value, real))
		return;
	wm_config__read_word(r, key, value, &name);
	if (name)
		wm_addr__local(name, &real->address);
	free(name);
}

static void print_real_address(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config_real *real = value;

	print_address(key, &real->address, out);
}

static void print_local(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config_real *real = value;

	(void)key;
	fprintf(out, "\"%.15s\"", (const char *)real->address.word);
}

static bool same_real(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config_real *a = left, *b = right;

	(void)key;
	return wm_addr__equal(&a->address, &b->address);
}

static bool is_local(const struct wm_key *key, const void *value)
{
	const struct wm_config_real *real = value;

	(void)key;
	return real->address.family == WM_LOCAL;
}

static bool is_not_local(const struct wm_key *key, const void *value)
{
	return !is_local(key, value);
}

static const struct wm_key_type real_address_type = {
	read_real_address, NULL, print_real_address, same_real, is_local,
};
static const struct wm_key_type real_local_type = {
	read_local, NULL, print_local, same_real, is_not_local,
};

static const struct wm_key real_keys[] = {
	{ "address", &real_address_type, WM_WHOLE },
	{ "local", &real_local_type, WM_WHOLE, .max = WM_LOCAL_NAME - 1 },
	{ "weight", &wm_key_count, WM_MEMBER(struct wm_config_real, weight), 100,
	  .max = WM_WEIGHT_MAX },
	{},
};

static bool room_for_reals(struct wm_reader *r, const yaml_node_t *value, size_t n)
{
	const struct wm_config *config = r->root;
	size_t sum = n;

	for (size_t i = 0; i < config->n_vips; i++)
		sum += config->vips[i].n_reals;
	if (sum <= REALS_MAX)
		return true;
	wm_read__error(r, value, "reals: expected at most %d in all vips, found %zu up to here",
		       REALS_MAX, sum);
	return false;
}

static void read_real(struct wm_reader *r, const yaml_node_t *node, struct wm_config_real *real)
{
	size_t errors = r->report->errors;

	wm_key__init(real_keys, real);
	real->line = node->start_mark.line + 1;
	wm_read__table(r, "a real", real_keys, node, real);
	/* Not if that is what a misspelt key was to say. */
	if (!real->named && errors == r->report->errors)
		wm_read__error(r, node, "a real: expected the key \"address\" (or \"local\"), "
			       "which is missing");
}

static void read_reals(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		       void *into)
{
	size_t n = wm_read__list(r, key, value, "a list of reals ([] for none)");
	struct wm_config_vip *vip = into;

	if (!n || !room_for_reals(r, value, n))
		return;
	vip->reals = calloc(n, sizeof(*vip->reals));
	if (!vip->reals) {
		r->report->no_memory = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const yaml_node_t *node = wm_read__item(r, value, i);
		struct wm_config_real *real = &vip->reals[i];

		read_real(r, node, real);
	}
	vip->n_reals = n;
	find_twin_reals(r, value, vip);
}

/* --- one vip --- */

/* Every port is a word: neither a number that was left out nor one that a template did
 * not fill in may mean it. */
static void read_port(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char what[] = "a port from 1 to 65535, or any for every port";
	const char *text = wm_read__scalar(r, key, value, what);
	uint64_t port = 0;

	if (!text)
		return;
	if (strcmp(text, "any") && (wm_count__parse(text, &port) || !port || port > 65535))
		wm_read__expected(r, key, value, "%s", what);
	else
		*(__be16 *)into = htons(port);
}

static void print_port(const struct wm_key *key, const void *value, FILE *out)
{
	unsigned int port = ntohs(wm_number__of(key, value));

	if (port)
		fprintf(out, "%u", port);
	else
		fputs("any", out);
}

static void read_protocol(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			  void *into)
{
	const char *text = wm_read__scalar(r, key, value, "tcp or udp");
	int proto;

	if (!text)
		return;
	proto = wm_proto__parse(text);
	if (proto < 0)
		wm_read__expected(r, key, value, "tcp or udp");
	else
		*(uint8_t *)into = proto;
}

static void print_protocol(const struct wm_key *key, const void *value, FILE *out)
{
	fputs(wm_proto__name(wm_number__of(key, value)), out);
}

static void read_name(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	static const char what[] = "a name of 1 to 63 printable ASCII characters without spaces";
	const char *name = wm_read__scalar(r, key, value, what);
	size_t len;

	if (!name)
		return;
	for (len = 0; name[len] > ' ' && name[len] < 0x7f; len++)
		;
	if (name[len] || !len || len > NAME_MAX_BYTES || strpbrk(name, "\"\\"))
		wm_read__expected(r, key, value, "%s, \" and \\", what);
	else
		wm_read__copy(r, name, into);
}

static void print_reals(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config_vip *vip = value;

	(void)key;
	fputs(vip->n_reals ? "\n" : " []\n", out);
	for (size_t i = 0; i < vip->n_reals; i++) {
		fputs("      - ", out);
		wm_key__print_flow(real_keys, &vip->reals[i], out);
		putc('\n', out);
	}
}

static bool same_reals(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config_vip *a = left, *b = right;

	(void)key;
	return wm_key__same_list(real_keys, a->reals, a->n_reals, b->reals, b->n_reals,
				 sizeof(*a->reals));
}

static const struct wm_key_type name_type = { read_name, WM_TEXT };
static const struct wm_key_type port_type = { read_port, .print = print_port, WM_NUMBER };
static const struct wm_key_type protocol_type = {
	read_protocol, .print = print_protocol, WM_NUMBER,
};
static const struct wm_key_type reals_type = {
	read_reals, .print = print_reals, .same = same_reals,
};

#define AT(member) WM_MEMBER(struct wm_config_vip, member)

const struct wm_key wm_config_vip_keys[] = {
	{ "name", &name_type, AT(name) },
	{ "address", &address_type, AT(address), .required = true },
	{ "port", &port_type, AT(port), .required = true,
	  .write = "its number, or port: any for every port" },
	{ "protocol", &protocol_type, AT(proto), IPPROTO_TCP },
	{ "hash", &wm_key_choice, AT(hash), WM_HASH_MAGLEV, .words = wm_hash_words },
	{ "offload", &wm_key_bool, AT(offload), true },
	{ "check", &wm_config_check, WM_WHOLE, .keys = wm_config_check_keys },
	{ "reals", &reals_type, WM_WHOLE, .items = real_keys, .block = true, .required = true,
	  .write = "a list of reals, or reals: [] for none" },
	{},
};

/*
 * The text "address:port/protocol" finds a vip wherever a name does, so no
 * other vip may be called like that.
 */
static void settle_name(struct wm_reader *r, const yaml_node_t *node, struct wm_config_vip *vip)
{
	const struct wm_service service = wm_config__service(vip);
	char text[WM_SERVICE_TEXT];

	wm_service__format(&service, text);
	if (!vip->name)
		wm_read__copy(r, text, &vip->name);
	else if (strchr(vip->name, '/') && strcmp(vip->name, text))
		wm_read__error(r, node, "name: expected one without \"/\" (or %s), found \"%s\"",
			       text, vip->name);
}

/* A packet to such a real would come back to the balancer. */
static void refuse_own_address(struct wm_reader *r, const yaml_node_t *node,
			       const struct wm_config_vip *vip)
{
	char text[WM_ADDR_TEXT];

	for (size_t i = 0; i < vip->n_reals; i++)
		if (wm_addr__equal(&vip->reals[i].address, &vip->address))
			wm_read__error(r, node, "real %s has the address of its own vip",
				       wm_addr__format(&vip->address, text));
}

static void read_vip(struct wm_reader *r, const yaml_node_t *node, struct wm_config_vip *vip)
{
	wm_key__init(wm_config_vip_keys, vip);
	vip->line = node->start_mark.line + 1;
	wm_read__table(r, "a vip", wm_config_vip_keys, node, vip);
	if (!vip->address.family)
		return;
	settle_name(r, node, vip);
	refuse_own_address(r, node, vip);
	wm_config__check_ports(r, node, vip);
}

/* --- the list --- */

static void read_vips(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into)
{
	size_t n = wm_read__list(r, key, value, "a list of vips ([] for none)");
	struct wm_config *config = into;

	if (!n)
		return;
	if (n > WM_VIPS_MAX) {
		wm_read__error(r, value, "vips: expected at most %d, found %zu", WM_VIPS_MAX, n);
		return;
	}
	config->vips = calloc(n, sizeof(*config->vips));
	if (!config->vips) {
		r->report->no_memory = true;
		return;
	}
	/* Counted one by one: reading reals adds up those of the vips before. */
	for (; config->n_vips < n; config->n_vips++)
		read_vip(r, wm_read__item(r, value, config->n_vips), &config->vips[config->n_vips]);
	find_twin_vips(r, value);
}

static void print_vips(const struct wm_key *key, const void *value, FILE *out)
{
	const struct wm_config *config = value;

	(void)key;
	wm_key__print_list(wm_config_vip_keys, config->vips, config->n_vips,
			   sizeof(*config->vips), out);
}

static bool same_vips(const struct wm_key *key, const void *left, const void *right)
{
	const struct wm_config *a = left, *b = right;

	(void)key;
	return wm_key__same_list(wm_config_vip_keys, a->vips, a->n_vips, b->vips, b->n_vips,
				 sizeof(*a->vips));
}

const struct wm_key_type wm_config_vips = {
	read_vips, .print = print_vips, .same = same_vips,
};
