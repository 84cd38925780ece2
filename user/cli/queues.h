/* SPDX-License-Identifier: GPL-2.0 */
/* `waymark queue`: queues of this machine's devices, asked from its kernel: no daemon. */
#ifndef WM_QUEUES_H
#define WM_QUEUES_H

#include "command.h"

int queue__list(struct invocation *in);
int queue__stop(struct invocation *in);
int queue__start(struct invocation *in);
int queue__restart(struct invocation *in);
int queue__monitor(struct invocation *in);

#endif
