/* SPDX-License-Identifier: GPL-2.0 */
/* "Did you mean ...?" */
#ifndef WM_DISTANCE_H
#define WM_DISTANCE_H

enum { WM_DISTANCE_MAX = 64 }; /* letters of a word; longer ones are that far from any other */

/* How many letters must be inserted, removed, changed or swapped with their neighbour to get
 * from a to b (optimal string alignment). */
unsigned int wm_distance(const char *a, const char *b);

#endif
