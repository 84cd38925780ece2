/* SPDX-License-Identifier: GPL-2.0 */
/* From facts, state and counters to the text that Prometheus reads. */
#ifndef WM_EXPOSITION_H
#define WM_EXPOSITION_H

#include <jansson.h>
#include <stdbool.h>

#include "counters.h"
#include "facts.h"
#include "page.h"

enum wm_format {
	WM_FORMAT_TEXT,        /* text/plain; version=0.0.4 */
	WM_FORMAT_OPENMETRICS, /* application/openmetrics-text; version=1.0.0 */
	WM_FORMATS,
};

/* The format to answer with, by an Accept header of HTTP; NULL: there was none. */
enum wm_format wm_format__choose(const char *accept);
const char *wm_format__content_type(enum wm_format format);

struct wm_exposition {
	const struct wm_facts *facts;
	const json_t *state;                /* NULL: none yet */
	const struct wm_counters *counters;
	bool responsive;                    /* the daemon sent the state when it was asked */
};

/* Append all of it to the page; page->failed: memory ran out. The text is that of one moment, as
 * far as counters are that packets change. */
void wm_exposition__write(const struct wm_exposition *exposition, enum wm_format format,
			  struct wm_page *page);

#endif
