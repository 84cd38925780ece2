// SPDX-License-Identifier: GPL-2.0
/*
 * waymark: the command. args.c finds out what is wanted (from the table in
 * commands.c), the command's handler fetches it, view.c shows it.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <waymark/ctl.h>

#include "args.h"

int main(int argc, char **argv)
{
	struct invocation in;
	int code;

	/* Widths of letters in tables; numbers stay as every script reads them. */
	setlocale(LC_CTYPE, "");
	code = args__parse(argc, argv, &in);
	if (code)
		return code;
	code = in.command->run(&in);
	if ((fflush(stdout) || ferror(stdout)) && !code) {
		fprintf(stderr, "%s: cannot write the answer: %s\n", cli_name, strerror(errno));
		code = WM_EXIT_FAILED;
	}
	return code;
}
