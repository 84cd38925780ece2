/* SPDX-License-Identifier: GPL-2.0 */
/* Work in many independent pieces, on as many CPUs as this process may use. */
#ifndef WM_POOL_H
#define WM_POOL_H

#include <stddef.h>

/*
 * Call work(arg, i) once for each i below n, from several threads at a time, in
 * no order; returns when all are done. The pieces must not depend on each other.
 * 0, or the error (-errno) of the first piece, by number, that had one: all are
 * tried whatever becomes of others. Fewer threads than wanted, even none, is no
 * error: the caller's own works too.
 */
int wm_pool__run(size_t n, int (*work)(void *arg, size_t i), void *arg);

#endif
