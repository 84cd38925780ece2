/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading a YAML mapping into a struct by a table of keys. The tables stand in
 * config.c and config_vip.c; this is the machine that walks them.
 */
#ifndef WM_SCHEMA_H
#define WM_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "report.h"

struct wm_reader {
	yaml_document_t *doc;
	struct wm_report *report;
	void *root; /* what the outermost table fills */
};

struct wm_key {
	const char *name; /* NULL ends a table */
	/* Check `value` and store it; `into` is the base of the struct plus `offset`. */
	void (*read)(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		     void *into);
	size_t offset, size;     /* of the member; WM_MEMBER() */
	uint64_t min, max;       /* numbers and times */
	const char *const *words; /* wm_read__choice(): by value, ends with NULL */
	const struct wm_key *keys; /* wm_read__mapping() */
	bool required;
};

#define WM_MEMBER(type, member) \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define WM_WHOLE .offset = 0 /* the reader fills more than one member */

/* An error at `node`; the text says what was expected. */
void wm_read__error(struct wm_reader *r, const yaml_node_t *node, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "key: expected WHAT, found ..." */
void wm_read__expected(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		       const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The text of a scalar that has one, without control characters; NULL after an
 * error that says `what` was expected. */
const char *wm_read__scalar(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
			    const char *what);
/* The items of a list; their number, 0 after an error. */
size_t wm_read__list(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		     const char *what);
const yaml_node_t *wm_read__item(struct wm_reader *r, const yaml_node_t *list, size_t index);

/* Read a mapping by a table; members of keys that are absent stay as they are. */
void wm_read__table(struct wm_reader *r, const char *what, const struct wm_key *keys,
		    const yaml_node_t *node, void *base);

/* Readers for tables. Store into a member of any integer size ... */
void wm_read__count(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		    void *into);
void wm_read__duration(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		       void *into);
void wm_read__bool(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		   void *into);
void wm_read__choice(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		     void *into);
/* ... a nested table, whose offsets count from `into` ... */
void wm_read__mapping(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into);
/* ... and what this version accepts without acting on it. */
void wm_read__ignored(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *value,
		      void *into);

/* strdup() that reports that memory is out. Frees what *into held. */
void wm_read__copy(struct wm_reader *r, const char *text, char **into);

#endif
