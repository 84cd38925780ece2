/* SPDX-License-Identifier: GPL-2.0 */
/* What was logged, where a test has led stderr to a file. */
#ifndef WM_TEST_LOGFILE_H
#define WM_TEST_LOGFILE_H

#include <stdio.h>
#include <string.h>

/* How often the log has this text. */
static inline int log_count(FILE *log, const char *text)
{
	char all[16384];
	int n = 0;
	size_t len;

	rewind(log);
	len = fread(all, 1, sizeof(all) - 1, log);
	all[len] = '\0';
	for (const char *at = all; (at = strstr(at, text)); at++)
		n++;
	return n;
}

#endif
