/* SPDX-License-Identifier: GPL-2.0 */
/* The command line: which command, which arguments and options; all checked. */
#ifndef WM_ARGS_H
#define WM_ARGS_H

#include "command.h"

/*
 * Fill `in` from the command line. `argv` is permuted. Returns 0, or the exit
 * code of a usage error, which was said already. --help and --version give the
 * commands of those names. No command: the first of the table.
 */
int args__parse(int argc, char **argv, struct invocation *in);
/* The same for a program that has this one command, which is not named. */
int args__parse_only(int argc, char **argv, const struct command *command, struct invocation *in);

/* Find a command by one word or two: exact, or a prefix that only one has. On
 * failure NULL, and `err` names near ones. *words: how many were used. */
const struct command *args__find(const char *const *word, size_t n, size_t *words,
				 struct wm_err *err);

/* Why `text` is not of this kind; NULL: it is. */
const char *args__objection(enum kind kind, const char *choices, const char *text);

#endif
