/* SPDX-License-Identifier: GPL-2.0 */
/* A picture of rows: what table size brings how much. */
#ifndef WM_PLOT_H
#define WM_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "sizing.h"

/* Does the name end in .svg or .png? */
bool wm_plot__knows(const char *path);

/* Draw with gnuplot. `title`: what the traffic is. 0, or -errno and a text; the
 * file is not there then. */
int wm_plot__write(const char *path, const char *title, const struct wm_sizing_row *rows,
		   uint32_t n, struct wm_err *err);

#endif
