// SPDX-License-Identifier: GPL-2.0
/*
 * waymark: the command. args.c finds out what is wanted (from the table in
 * commands.c), the command's handler fetches it, view.c shows it.
 */
#include <locale.h>

#include "args.h"
#include "stdfd.h"

int main(int argc, char **argv)
{
	struct invocation in;
	int code;

	wm_stdfd__hold();
	/* Widths of letters in tables; numbers stay as every script reads them. */
	setlocale(LC_CTYPE, "");
	code = args__parse(argc, argv, &in);
	return code ? code : invocation__run(&in);
}
