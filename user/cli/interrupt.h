/* SPDX-License-Identifier: GPL-2.0 */
/* Commands that go on until somebody ends them. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

/* SIGINT, SIGTERM and SIGHUP are noted from now on, those that are not ignored. They end a
 * sleep (no SA_RESTART). */
void interrupt__catch(void);
bool interrupt__came(void);
/* As if one had come: nobody reads what would follow. */
void interrupt__pretend(void);

/* Seconds of CLOCK_MONOTONIC. */
double interrupt__now_s(void);

#endif
