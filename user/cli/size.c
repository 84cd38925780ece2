// SPDX-License-Identifier: GPL-2.0
/*
 * The command line was checked by the same table that waymark-size has (size_command.h), and
 * goes to it as it is. It stands beside this program, or wherever the shell would find it.
 */
#include "size.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "waymark-size"

/* All words but the command itself. NULL: no memory. */
static char **words_of(const struct invocation *in)
{
	char **words = calloc(in->n_before + in->n_own + 1, sizeof(*words));
	size_t n = 0;

	if (!words)
		return NULL;
	words[n++] = (char *)PROGRAM;
	for (size_t i = 1; i < in->n_before; i++)
		words[n++] = in->before[i];
	for (size_t i = 1; i < in->n_own; i++)
		words[n++] = in->own[i];
	return words;
}

/* Returns only if there is none. */
static void run_beside(char **words)
{
	char path[PATH_MAX + sizeof(PROGRAM)];
	ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
	char *name;

	if (len <= 0)
		return;
	path[len] = '\0';
	name = strrchr(path, '/');
	if (!name)
		return;
	strcpy(name + 1, PROGRAM);
	execv(path, words);
}

int size__run(struct invocation *in)
{
	char **words = words_of(in);
	char text[256];
	int error = ENOMEM;

	if (words) {
		run_beside(words);
		if (errno == ENOENT)
			execvp(PROGRAM, words);
		error = errno;
		free(words);
	}
	if (error == ENOENT)
		return invocation__fail(in, WM_EXIT_UNSUPPORTED,
					"size: this is done by the program " PROGRAM ", which is "
					"not installed (it needs libpcap, and waymark does not; "
					"see INSTALL in waymark-size(8))");
	snprintf(text, sizeof(text), "size: cannot run " PROGRAM ": %s", strerror(error));
	return invocation__fail(in, WM_EXIT_FAILED, text);
}
