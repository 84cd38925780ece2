/* SPDX-License-Identifier: GPL-2.0 */
/* waymark size: a program of its own does it. */
#ifndef WM_CLI_SIZE_H
#define WM_CLI_SIZE_H

#include "command.h"

int size__run(struct invocation *in);

#endif
