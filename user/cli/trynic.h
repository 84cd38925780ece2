/* SPDX-License-Identifier: GPL-2.0 */
/* `waymark nic`: what a NIC and its driver take, found out by rules; no daemon. */
#ifndef TRYNIC_H
#define TRYNIC_H

#include "command.h"

enum { NIC_COUNT_DEFAULT = 100, NIC_COUNT_MAX = 100000 };

int trynic__run(struct invocation *in);

#endif
