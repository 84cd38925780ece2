/* SPDX-License-Identifier: GPL-2.0 */
/* Checks a configuration without serving it; needs no root and changes nothing. */
#ifndef WM_CHECK_H
#define WM_CHECK_H

#include <stdbool.h>

/* 0 or -errno after saying on standard error what is wrong. `print`: its canonical
 * form to standard output. */
int wm_check__config(const char *path, bool print);

#endif
