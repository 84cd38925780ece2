/* SPDX-License-Identifier: GPL-2.0 */
/* Commands that attach programs of this machine themselves: they need root and
 * no daemon. */
#ifndef WM_DEVICE_H
#define WM_DEVICE_H

#include "command.h"

int device__decap_attach(struct invocation *in);
int device__decap_detach(struct invocation *in);
int device__decap_stats(struct invocation *in);
int device__softnic_attach(struct invocation *in);
int device__softnic_detach(struct invocation *in);
int device__softnic_wire(struct invocation *in);

#endif
