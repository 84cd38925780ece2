/* SPDX-License-Identifier: GPL-2.0 */
/* What waymark-size does: see user/size/sizing.h. */
#ifndef WM_SIZECLI_RUN_H
#define WM_SIZECLI_RUN_H

#include "command.h"

int run__size(struct invocation *in);

#endif
