/* SPDX-License-Identifier: GPL-2.0 */
/* Running the data plane on single frames (BPF_PROG_RUN), with small tables
 * written by hand. */
#ifndef SELFTEST_PROG_H
#define SELFTEST_PROG_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane.h"
#include "packet.h"

/* Run `fd` on a frame; a mark other than 0 goes in front of it, as a NIC's
 * would. Returns the verdict; `out` is the frame afterwards. Fails the test on
 * an error of the system call. */
int prog_run(int fd, const struct frame *in, uint32_t mark, struct frame *out);

/* Where BPF programs cannot be loaded a fixture of cmocka has nothing to set up, and a
 * test is skipped with the reason. */
bool prog_may_load(void);
void prog_need_root(void);

/* A data plane of its own, and its vips; an error fails the test. prog_open() returns NULL
 * where BPF programs cannot be loaded. */
struct wm_dp *prog_open(const struct wm_dp_options *options);
void prog_publish(struct wm_dp *dp, const struct wm_vip *vips, size_t n);
/* Every slot of a ring leads to this destination. */
void prog_ring(struct wm_dp *dp, uint32_t ring, uint16_t dest);

/* A destination entry, complete. Addresses as text; `vip` is "addr port proto"
 * split in arguments. */
struct wm_dest prog_dest(uint32_t mark, uint16_t vip, const char *vip_addr, uint16_t vip_port,
			 uint8_t proto, const char *real);
struct wm_vip prog_vip(const char *addr, uint16_t port, uint8_t proto, uint16_t number,
		       uint32_t ring);
/* The flow of a packet description. */
struct wm_flow prog_flow(const struct packet_spec *spec);

/* Instructions of the program after verification, which has taken out what is off. */
uint32_t prog_instructions(const struct wm_dp *dp);

/* Fails unless exactly the counters in `want` (ended by -1) went up by 1 each
 * since the last call. */
void prog_expect_counters(struct wm_dp *dp, const int *want, const char *what);

#endif
