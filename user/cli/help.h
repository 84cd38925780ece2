/* SPDX-License-Identifier: GPL-2.0 */
/* What the table of commands says of itself: help, completion, manual, JSON. */
#ifndef WM_HELP_H
#define WM_HELP_H

#include <stdio.h>

#include "command.h"

int help__run(struct invocation *in);
int help__version(struct invocation *in);

/* "flow [PROTO SRC:PORT DST:PORT] [--max N]" into a stream. */
void help__synopsis(FILE *file, const struct command *command);
/* -m, --max N */
void help__option_name(FILE *file, const struct option_desc *option);

/* completion.c, manual.c and protocol_page.c */
void help__completion(FILE *file);
void help__manual(FILE *file);
void help__protocol(FILE *file);
/* Of the last change to what the manual pages say. */
extern const char help_date[];

struct exit_code {
	int code;
	const char *text;
};
extern const struct exit_code exit_codes[];
extern const size_t n_exit_codes;

/* Calls `each` for every JSON key that a view promises, as "rules.packets". */
typedef void help_key(void *arg, const char *key, const struct wm_field *field);
void help__each_key(const struct view *view, help_key *each, void *arg);

#endif
