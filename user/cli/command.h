/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The table of commands. Dispatch, checks of arguments, help, bash completion,
 * the manual page and `help --json` are all made from it; there is no second
 * list of commands or options anywhere. What a command may send to the daemon, and
 * the keys of what comes back, are the request's row in protocol.c.
 */
#ifndef WM_COMMAND_H
#define WM_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "exitcode.h"
#include "view.h"

/* What an argument or an option's value is: checked before the command runs,
 * and known to completion. */
enum kind {
	KIND_NONE, /* an option without a value */
	KIND_TEXT,
	KIND_VIP,
	KIND_PROTOCOL,
	KIND_ENDPOINT,
	KIND_ADDRESS,
	KIND_MARK,
	KIND_COUNT,
	KIND_AMOUNT,   /* a count that may have a unit */
	KIND_AMOUNTS,  /* several, by commas */
	KIND_DECIMAL,
	KIND_DURATION, /* a time with its unit */
	KIND_SECONDS,
	KIND_FILE,
	KIND_DIRECTORY,
	KIND_DEVICE,
	KIND_QUEUES, /* numbers of queues: "2", "0-3,6" */
	KIND_MAC,
	KIND_CHOICE, /* one of `choices` */
	KIND_COLUMNS,
	KIND_COMMAND,
};

enum { ARGUMENTS_MAX = 3, OPTIONS_MAX = 24, GLOBAL_OPTIONS_MAX = 16 };

/* Of a command that asks the daemon: the request's argument at the same place of its row. */
struct argument {
	const char *name; /* as the help shows it; NULL ends an array */
	enum kind kind;
	bool optional;
};

struct option_desc {
	const char *name; /* without dashes; NULL ends an array */
	char letter;      /* 0: none */
	const char *value; /* as the help shows it */
	enum kind kind;
	const char *choices; /* by blanks */
	bool required;
	const char *help; /* NULL: it is called as an argument of the request, whose text says it */
};

struct invocation;

struct command {
	const char *name; /* one word or two; "": the program's only one; NULL ends the table */
	struct argument arguments[ARGUMENTS_MAX + 1];
	bool all_or_none; /* of the arguments that are optional */
	struct option_desc options[OPTIONS_MAX + 1];
	const char *help; /* one line */
	const char *text; /* paragraphs, an empty line between */
	const char *example;
	const struct view *view; /* what it shows, and asks for */
	const struct view *view_bare; /* when no argument is given; NULL: no difference */
	int (*run)(struct invocation *in); /* returns the exit code */
};

extern const struct command commands[];
extern const struct option_desc global_options[];
extern const char cli_name[];    /* "waymark", "waymark-size" */
extern const char cli_summary[]; /* one line, for help and the manual */

/* A command line that was understood. */
struct invocation {
	const struct command *command;
	const char *argument[ARGUMENTS_MAX];
	size_t n_arguments;
	/* Values of the options, "" for a flag; NULL: not given. */
	const char *global[GLOBAL_OPTIONS_MAX];
	const char *option[OPTIONS_MAX];
	/* The words as they came: those before the command (the first is the program), and the
	 * command's last one with what follows. Options may be in another order. */
	char **before, **own;
	size_t n_before, n_own;
	const char *socket;
	int timeout_ms;
	struct output out;
};

/* What it shows: depends on whether arguments were given. */
const struct view *invocation__view(const struct invocation *in);

/* The request that an option of this command is an argument of, or NULL. */
const struct wm_argument *command__sends(const struct command *command,
					 const struct option_desc *option);
/* The text of a command's option, or with `command` NULL of one that all take. */
const char *command__option_help(const struct command *command, const struct option_desc *option);

/* Value of an option, "" for a flag; NULL: not given. */
const char *invocation__option(const struct invocation *in, const char *name);

/* Value of an option that is a number; 0: not given. */
unsigned int invocation__number(const struct invocation *in, const char *name);

/* Run the command and see that its answer gets out; returns the exit code. */
int invocation__run(struct invocation *in);

/* Say what is wrong with the command line; returns its exit code. */
int invocation__usage(const struct invocation *in, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Say what went wrong on standard error, with --json as an object; returns `code`. */
int invocation__fail(const struct invocation *in, int code, const char *text);
/* The same for what is no reason to fail. */
void invocation__warn(const struct invocation *in, const char *text);

/* What an error of source.h or of showing means for the exit code; says it. */
int invocation__error(const struct invocation *in, int error, const struct wm_err *err);

/* Show a reply as the view says; returns the exit code. */
int invocation__show(const struct invocation *in, const struct view *view, const json_t *data);

#endif
