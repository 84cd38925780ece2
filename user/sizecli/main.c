// SPDX-License-Identifier: GPL-2.0
/*
 * waymark-size: `waymark size` as a program of its own, so that nothing else needs libpcap.
 * Its command line is that command's, without the command; --help and --version find theirs
 * in the table.
 */
#include <locale.h>

#include "args.h"
#include "help.h"
#include "run.h"
#include "size_command.h"
#include "stdfd.h"

const char cli_name[] = "waymark-size";
const char cli_summary[] = "what a NIC with a rule table would bring";

const struct command commands[] = {
	SIZE_COMMAND("", run__size),
	{ .name = "help", .view = &view_help, .run = help__run },
	{ .name = "version", .view = &view_version, .run = help__version },
	{ .name = NULL },
};

int main(int argc, char **argv)
{
	struct invocation in;
	int code;

	wm_stdfd__hold();
	setlocale(LC_CTYPE, "");
	code = args__parse_only(argc, argv, commands, &in);
	return code ? code : invocation__run(&in);
}
