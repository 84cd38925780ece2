/* SPDX-License-Identifier: GPL-2.0 */
/* One YAML document from memory, whose nodes know where they stand. */
#ifndef WM_YAML_DOC_H
#define WM_YAML_DOC_H

#include <yaml.h>

#include "report.h"

/* Why a document may be the first part of a longer one. NULL: it is whole, or nobody
 * can tell. */
struct wm_yaml_end {
	const char *flaw;
	size_t line, column;
};

/*
 * Parse exactly one document. Returns its first node, or NULL after telling
 * `report` why not. The caller deletes the document in any case. `end` is an error
 * for the caller to report if it finds no other: what is cut off has others, mostly.
 */
const yaml_node_t *wm_yaml__load(yaml_document_t *doc, const char *text, size_t len,
				 struct wm_yaml_end *end, struct wm_report *report);

#endif
