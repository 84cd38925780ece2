/* SPDX-License-Identifier: GPL-2.0 */
/* One YAML document from memory, whose nodes know where they stand. */
#ifndef WM_YAML_DOC_H
#define WM_YAML_DOC_H

#include <yaml.h>

#include "report.h"

/*
 * Parse exactly one document. Returns its first node, or NULL after telling
 * `report` why not. The caller deletes the document in any case.
 */
const yaml_node_t *wm_yaml__load(yaml_document_t *doc, const char *text, size_t len,
				 struct wm_report *report);

#endif
