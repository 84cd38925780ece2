// SPDX-License-Identifier: GPL-2.0
/* Options that every command takes, and those of waymark-size. */
#include "command.h"

const struct option_desc global_options[] = {
	{ .name = "json", .letter = 'j',
	  .help = "print the answer as JSON; keys are stable. An error is an object as well, on "
		  "one line of standard error: ok (false), error, exit" },
	{ .name = "raw", .letter = 'r',
	  .help = "for scripts: plain numbers, no alignment; \"key value\" lines; JSON on one "
		  "line" },
	{ .name = "no-headings", .help = "leave out the headings of tables" },
	{ .name = "columns", .letter = 'o', .value = "KEYS", .kind = KIND_COLUMNS,
	  .help = "show these columns, by JSON key, separated by commas" },
	{ .name = "socket", .letter = 's', .value = "PATH", .kind = KIND_FILE,
	  .help = "control socket of the daemon (also: WAYMARK_SOCKET)" },
	{ .name = "timeout", .letter = 't', .value = "SECONDS", .kind = KIND_SECONDS,
	  .help = "how long to wait for an answer (default 5)" },
	{ .name = "help", .letter = 'h', .help = "help on the command" },
	{ .name = "version", .letter = 'V', .help = "print the version" },
	{ .name = NULL },
};
