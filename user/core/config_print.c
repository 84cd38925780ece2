// SPDX-License-Identifier: GPL-2.0
/*
 * A configuration as text: the canonical form, one order of keys, every key
 * that this version acts on. All free text is quoted, so nothing in it can mean
 * anything in YAML.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

#include "config_keys.h"
#include "units.h"

static void print_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putc('\\', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void print_pair(FILE *out, const char *key, const char *text)
{
	fprintf(out, "%s: ", key);
	print_text(out, text);
	putc('\n', out);
}

static void print_interface(const char *name, const struct wm_queueset *queues, FILE *out)
{
	char text[WM_QUEUESET_TEXT];

	if (!wm_queueset__count(queues)) {
		print_text(out, name);
		return;
	}
	fputs("{ name: ", out);
	print_text(out, name);
	fprintf(out, ", queues: [%s] }",
		wm_queueset__format(queues, ", ", text, sizeof(text)));
}

static void print_top(const struct wm_config *c, FILE *out)
{
	char v4[WM_ADDR_TEXT], v6[WM_ADDR_TEXT];
	const uint8_t *m = c->gateway_mac;

	fputs("interface: [", out);
	for (size_t i = 0; i < c->n_interfaces; i++) {
		fputs(i ? ", " : "", out);
		print_interface(c->interfaces[i], &c->queues[i], out);
	}
	fprintf(out, "]\nmode: %s\n", wm_mode_words[c->mode]);
	print_pair(out, "pin", c->pin);
	print_pair(out, "control", c->control);
	if (c->gateway_auto)
		fputs("gateway: auto\n", out);
	else
		fprintf(out, "gateway: \"%02x:%02x:%02x:%02x:%02x:%02x\"\n", m[0], m[1], m[2], m[3],
			m[4], m[5]);
	fprintf(out, "source: { ipv4: \"%s/16\", ipv6: \"%s/96\" }\n",
		wm_addr__format(&c->source4, v4), wm_addr__format(&c->source6, v6));
	fprintf(out, "marks: %s\n", wm_marks_words[c->trust_marks]);
	fprintf(out, "ring-seeds: { ipv4: %u, ipv6: %u }\n", c->ring_seed_v4, c->ring_seed_v6);
}

static void print_sizes(const struct wm_config *c, FILE *out)
{
	char idle[WM_UNITS_TEXT];

	fprintf(out, "offload:\n  backend: %s\n  promote-after: %u\n  max-rules: %u\n",
		wm_backend_words[c->offload.backend], c->offload.promote_after,
		c->offload.max_rules);
	fprintf(out, "  installs-per-second: %u\n  idle: %s\n", c->offload.installs_per_second,
		wm_duration__format(c->offload.idle_ns, idle));
	if (c->offload.sim_pin) {
		fputs("  sim: { pin: ", out);
		print_text(out, c->offload.sim_pin);
		fputs(" }\n", out);
	}
	fprintf(out, "flow-table: { flows: %" PRIu64 ", udp-idle: %s }\n", c->flows,
		wm_duration__format(c->udp_idle_ns, idle));
	fprintf(out, "limits: { vips: %u, dests: %u }\n", c->max_vips, c->max_dests);
}

static void print_local(const struct wm_config_local *local, FILE *out)
{
	print_pair(out, "  - name", local->name);
	print_pair(out, "    socket", local->socket);
	fprintf(out, "    mode: \"%04o\"\n", local->mode);
	if (local->group)
		print_pair(out, "    group", local->group);
	fprintf(out, "    ring: %u\n    zero-copy: %s\n", local->ring,
		wm_zero_copy_words[local->zero_copy]);
}

static void print_vip(const struct wm_config_vip *vip, FILE *out)
{
	char text[WM_ADDR_TEXT];

	print_pair(out, "  - name", vip->name);
	fprintf(out, "    address: \"%s\"\n    port: %u\n    protocol: %s\n    hash: %s\n",
		wm_addr__format(&vip->address, text), ntohs(vip->port), wm_proto__name(vip->proto),
		wm_hash_words[vip->hash]);
	fprintf(out, "    offload: %s\n    reals:%s\n", vip->offload ? "true" : "false",
		vip->n_reals ? "" : " []");
	for (size_t i = 0; i < vip->n_reals; i++)
		if (vip->reals[i].address.family == WM_LOCAL)
			fprintf(out, "      - { local: \"%.15s\", weight: %u }\n",
				(const char *)vip->reals[i].address.word, vip->reals[i].weight);
		else
			fprintf(out, "      - { address: \"%s\", weight: %u }\n",
				wm_addr__format(&vip->reals[i].address, text),
				vip->reals[i].weight);
}

void wm_config__print(const struct wm_config *config, FILE *out)
{
	print_top(config, out);
	print_sizes(config, out);
	if (config->n_locals)
		fputs("local:\n", out);
	for (size_t i = 0; i < config->n_locals; i++)
		print_local(&config->locals[i], out);
	fprintf(out, "vips:%s\n", config->n_vips ? "" : " []");
	for (size_t i = 0; i < config->n_vips; i++)
		print_vip(&config->vips[i], out);
}

/* --- equality --- */

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_vip(const struct wm_config_vip *a, const struct wm_config_vip *b)
{
	if (!same_text(a->name, b->name) || !wm_addr__equal(&a->address, &b->address) ||
	    a->port != b->port || a->proto != b->proto || a->hash != b->hash ||
	    a->offload != b->offload || a->n_reals != b->n_reals)
		return false;
	for (size_t i = 0; i < a->n_reals; i++)
		if (!wm_addr__equal(&a->reals[i].address, &b->reals[i].address) ||
		    a->reals[i].weight != b->reals[i].weight)
			return false;
	return true;
}

static bool same_top(const struct wm_config *a, const struct wm_config *b)
{
	if (a->n_interfaces != b->n_interfaces)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++)
		if (!same_text(a->interfaces[i], b->interfaces[i]) ||
		    memcmp(&a->queues[i], &b->queues[i], sizeof(a->queues[i])))
			return false;
	return a->mode == b->mode && same_text(a->pin, b->pin) &&
	       same_text(a->control, b->control) && a->gateway_auto == b->gateway_auto &&
	       !memcmp(a->gateway_mac, b->gateway_mac, sizeof(a->gateway_mac)) &&
	       wm_addr__equal(&a->source4, &b->source4) &&
	       wm_addr__equal(&a->source6, &b->source6) && a->trust_marks == b->trust_marks &&
	       a->ring_seed_v4 == b->ring_seed_v4 && a->ring_seed_v6 == b->ring_seed_v6;
}

static bool same_sizes(const struct wm_config *a, const struct wm_config *b)
{
	return a->offload.backend == b->offload.backend &&
	       a->offload.promote_after == b->offload.promote_after &&
	       a->offload.max_rules == b->offload.max_rules &&
	       a->offload.installs_per_second == b->offload.installs_per_second &&
	       a->offload.idle_ns == b->offload.idle_ns &&
	       same_text(a->offload.sim_pin, b->offload.sim_pin) && a->flows == b->flows &&
	       a->udp_idle_ns == b->udp_idle_ns && a->max_vips == b->max_vips &&
	       a->max_dests == b->max_dests;
}

static bool same_consumer(const struct wm_config_local *a, const struct wm_config_local *b)
{
	return same_text(a->name, b->name) && same_text(a->socket, b->socket) &&
	       a->mode == b->mode && same_text(a->group, b->group) && a->ring == b->ring &&
	       a->zero_copy == b->zero_copy;
}

bool wm_config__same_local(const struct wm_config *a, const struct wm_config *b)
{
	if (a->n_locals != b->n_locals)
		return false;
	for (size_t i = 0; i < a->n_locals; i++)
		if (!same_consumer(&a->locals[i], &b->locals[i]))
			return false;
	return true;
}

bool wm_config__equal(const struct wm_config *a, const struct wm_config *b)
{
	if (!same_top(a, b) || !same_sizes(a, b) || !wm_config__same_local(a, b) ||
	    a->n_vips != b->n_vips)
		return false;
	for (size_t i = 0; i < a->n_vips; i++)
		if (!same_vip(&a->vips[i], &b->vips[i]))
			return false;
	return true;
}
