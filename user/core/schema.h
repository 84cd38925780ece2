/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A YAML mapping and the struct that it fills, by a table of keys: one row has all that there
 * is to say of a key. The tables stand in config.c and config_vip.c; this is the machine that
 * walks them, to set defaults, to read, to print and to compare.
 */
#ifndef WM_SCHEMA_H
#define WM_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <yaml.h>

#include "report.h"

struct wm_reader {
	yaml_document_t *doc;
	struct wm_report *report;
	void *root; /* what the outermost table fills */
};

struct wm_key;

/* What kind of value a key has. `into` and `value` are the base of the struct plus the key's
 * offset. */
struct wm_key_type {
	/* Check `node` and store it. */
	void (*read)(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		     void *into);
	/* Store the key's default; false: out of memory. NULL: it is all zeros. */
	bool (*init)(const struct wm_key *key, void *into);
	/* The canonical form, in one line; with key->block the rest of the line "key:" and those
	 * that follow, with their ends. */
	void (*print)(const struct wm_key *key, const void *value, FILE *out);
	bool (*same)(const struct wm_key *key, const void *a, const void *b);
	/* There is nothing to print. NULL: there always is. */
	bool (*absent)(const struct wm_key *key, const void *value);
};

struct wm_key {
	const char *name; /* NULL ends a table */
	const struct wm_key_type *type;
	size_t offset, size;      /* of the member; WM_MEMBER() */
	uint64_t number;          /* default of what is a number */
	const char *text;         /* default of what is a text; NULL: none */
	uint64_t min, max;        /* numbers and times; of texts, their longest */
	const char *const *words; /* wm_key_choice: by value, ends with NULL */
	const struct wm_key *keys;  /* wm_key_mapping */
	const struct wm_key *items; /* of each item, where the value is a list of mappings */
	bool block;                /* its value has lines of its own */
	bool required;
	const char *write; /* instead of a required key that is missing; NULL: its value */
	/* A reload cannot change it: what to do instead, and what that means. NULL: it can. */
	const char *fixed;
	/* Of such a key: whether what cannot change is the same. NULL: as its type says. */
	bool (*stays)(const struct wm_key *key, const void *a, const void *b);
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

/* Whether the node is of this kind, with no tag of its own; if not, `what` was expected. */
bool wm_read__has_type(struct wm_reader *r, const struct wm_key *key, const yaml_node_t *node,
		       yaml_node_type_t type, const char *what);

/* Read a mapping by a table; members of keys that are absent stay as they are. */
void wm_read__table(struct wm_reader *r, const char *what, const struct wm_key *keys,
		    const yaml_node_t *node, void *base);

/* Set the defaults of a table's keys; false: out of memory. */
bool wm_key__init(const struct wm_key *keys, void *base);
/* The canonical form: a line for each key, with `first` before that of the first one and
 * `next` before the others. */
void wm_key__print(const struct wm_key *keys, const void *base, const char *first,
		   const char *next, FILE *out);
/* A list of mappings that have these keys: `n` structs of `size` bytes each. As above for each of
 * them, and whether two lists are the same. */
void wm_key__print_list(const struct wm_key *keys, const void *list, size_t n, size_t size,
			FILE *out);
bool wm_key__same_list(const struct wm_key *keys, const void *a, size_t n_a, const void *b,
		       size_t n_b, size_t size);
/* "{ key: value, ... }" of these keys, on one line. */
void wm_key__print_flow(const struct wm_key *keys, const void *base, FILE *out);
/* There is nothing to print of any of them. */
bool wm_key__absent(const struct wm_key *keys, const void *base);
bool wm_key__same(const struct wm_key *keys, const void *a, const void *b);
/* Call `fn` for each key whose values differ, with its name as "offload: idle"; those of
 * nested tables one by one. */
void wm_key__differ(const struct wm_key *keys, const void *a, const void *b,
		    void (*fn)(void *arg, const struct wm_key *key, const char *name), void *arg);
/* A text in quotes, in which nothing can mean anything to YAML. */
void wm_print__text(const char *text, FILE *out);

/* Types. Of members of any integer size ... */
extern const struct wm_key_type wm_key_count, wm_key_duration, wm_key_bool, wm_key_choice;
/* ... and a nested table, whose offsets count from the same base. */
extern const struct wm_key_type wm_key_mapping;

/* For types of texts, whose member is a char *: all but their reader. */
bool wm_text__init(const struct wm_key *key, void *into);
void wm_text__print(const struct wm_key *key, const void *value, FILE *out);
bool wm_text__same(const struct wm_key *key, const void *a, const void *b);
bool wm_text__absent(const struct wm_key *key, const void *value);
#define WM_TEXT .init = wm_text__init, .print = wm_text__print, .same = wm_text__same, \
	.absent = wm_text__absent

/* For types of numbers that are spelt in their own way: all but reader and printer. */
bool wm_number__init(const struct wm_key *key, void *into);
bool wm_number__same(const struct wm_key *key, const void *a, const void *b);
uint64_t wm_number__of(const struct wm_key *key, const void *value);
#define WM_NUMBER .init = wm_number__init, .same = wm_number__same

/* strdup() that reports that memory is out. Frees what *into held. */
void wm_read__copy(struct wm_reader *r, const char *text, char **into);

#endif
