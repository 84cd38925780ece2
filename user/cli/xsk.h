/* SPDX-License-Identifier: GPL-2.0 */
/* Commands that receive packets through AF_XDP themselves: they need root and no
 * daemon. */
#ifndef WM_XSK_H
#define WM_XSK_H

#include "command.h"

int xsk__dump(struct invocation *in);
int xsk__count(struct invocation *in);
int xsk__echo(struct invocation *in);

#endif
