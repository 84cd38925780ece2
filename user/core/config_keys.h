/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the configuration reader: what its files share. */
#ifndef WM_CONFIG_KEYS_H
#define WM_CONFIG_KEYS_H

#include "config.h"
#include "schema.h"
#include "service.h"

/* Names of enum values, by value, as the file spells them; NULL at the end. */
extern const char *const wm_mode_words[];
extern const char *const wm_backend_words[];
extern const char *const wm_hash_words[];
extern const char *const wm_marks_words[];
extern const char *const wm_zero_copy_words[];

/* Reads `interface`; `into` is the whole struct wm_config. */
void wm_config__read_interfaces(struct wm_reader *r, const struct wm_key *key,
				const yaml_node_t *value, void *into);

/* A name of 1 to `max` letters, digits, and -_. that begins with a letter or digit. */
void wm_config__read_word(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			  void *into);

/* Reads the list under `vips`; `into` is the whole struct wm_config. */
void wm_config__read_vips(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			  void *into);

/* NULL, or what is wrong with an address as somebody's address. */
const char *wm_config__address_flaw(const struct wm_addr *addr);

static inline struct wm_service wm_config__service(const struct wm_config_vip *vip)
{
	return (struct wm_service){ vip->address, vip->port, vip->proto };
}

#endif
