/* SPDX-License-Identifier: GPL-2.0 */
/* Keeps the descriptors 0 to 2 occupied, so that no socket of ours becomes one of them. */
#ifndef WM_STDFD_H
#define WM_STDFD_H

/*
 * To be called first of all in main(): takes those of the numbers 0 to 2 that are free, so
 * that no socket or map gets one of them and has output written into it. Reading and writing
 * there fails as before (EBADF).
 */
void wm_stdfd__hold(void);

#endif
