/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the configuration reader: what its files share. */
#ifndef WM_CONFIG_INSIDE_H
#define WM_CONFIG_INSIDE_H

#include <sys/un.h>

#include "config.h"
#include "schema.h"
#include "service.h"

/* As those in config.h. */
extern const char *const wm_attach_words[];
extern const char *const wm_hash_words[];
extern const char *const wm_marks_words[];
extern const char *const wm_outer_df_words[];
extern const char *const wm_zero_copy_words[];

/* An absolute path, and a name of letters, digits and "-_."; at most key->max bytes. */
extern const struct wm_key_type wm_config_path, wm_config_word;
/* A share, 0% to 100%, with its sign. */
extern const struct wm_key_type wm_config_percent;
/* Of `interface`, `local` and `vips`: the value is the whole struct wm_config. */
extern const struct wm_key_type wm_config_interfaces, wm_config_locals, wm_config_vips;
extern const struct wm_key wm_config_interface_keys[], wm_config_local_keys[],
	wm_config_vip_keys[];
/* Of `check`: the value is the struct wm_config_vip. */
extern const struct wm_key_type wm_config_check;
extern const struct wm_key wm_config_check_keys[];
/* A check of a vip that has every port says which one it means. */
void wm_config__check_ports(struct wm_reader *r, const yaml_node_t *node,
			    const struct wm_config_vip *vip);
/* The interfaces have the same names, whatever their queues are. */
bool wm_config__same_names(const struct wm_key *key, const void *a, const void *b);

/* Reals that are local get their consumer's number; consumers are distinct, and can have their
 * sockets on the interfaces. */
void wm_config__check_locals(struct wm_reader *r, const yaml_node_t *root);

/* Longest path of a socket, without its end. */
#define WM_SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* The keys of the whole file. */
const struct wm_key *wm_config__keys(void);

/* A name of 1 to `max` letters, digits, and -_. that begins with a letter or digit. */
void wm_config__read_word(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
			  void *into);

/* NULL, or what is wrong with an address as somebody's address. */
const char *wm_config__address_flaw(const struct wm_addr *addr);

static inline struct wm_service wm_config__service(const struct wm_config_vip *vip)
{
	return (struct wm_service){ vip->address, vip->port, vip->proto };
}

#endif
