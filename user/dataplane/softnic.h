/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Puts the softnic (bpf/softnic.bpf.c) on ports of a wire. A NIC is a
 * directory on a bpffs with its maps; each attach with that directory adds a port to
 * it. Programs and maps stay when the process ends. Needs root.
 */
#ifndef WM_DP_SOFTNIC_H
#define WM_DP_SOFTNIC_H

#include <stdint.h>
#include <linux/types.h>

#include "err.h"

/*
 * Make `port` (a device in this network namespace, native XDP) a port of the
 * NIC in `pin_dir`, made if missing. Frames that come in there for `mac`, the
 * balancer's address, leave through `to_device`.
 *
 * To a veth that means its peer's XDP program gets them; a peer with neither a
 * program nor GRO would drop them. The senders behind the port must not leave
 * checksums to the hardware (`ethtool -K DEV tx off`): a redirect forgets that.
 *
 * capacity: rules; mark_bits: 1..32; 0: the default, or what the NIC has. Other
 * values than an existing NIC's are refused with -EINVAL. A foreign program on
 * the port: -EBUSY; a port of this NIC is attached anew.
 */
int wm_softnic__attach(const char *port, const char *to_device, const __u8 mac[6],
		       uint32_t capacity, uint32_t mark_bits, const char *pin_dir,
		       struct wm_err *err);

/* Take the program off `port`; with the last port the NIC goes. 0 too when the
 * device itself is gone. -ENOENT: no port of this NIC. */
int wm_softnic__detach(const char *port, const char *pin_dir, struct wm_err *err);

/* Attach the program that passes everything to `device`, for the devices whose
 * peers transmit from XDP. A device that has a program keeps it. */
int wm_softnic__wire(const char *device, struct wm_err *err);

#endif
