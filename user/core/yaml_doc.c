// SPDX-License-Identifier: GPL-2.0
/*
 * libyaml finds what is no YAML; this file says where and in whose words.
 *
 * Anchors and aliases are YAML and stay allowed (several vips may share a list
 * of reals). libyaml makes an alias a second way to the same node, so a file
 * cannot grow in memory; what walks the nodes must bound its work itself, and
 * the schema does: it goes as deep as its tables and no further.
 */
#include "yaml_doc.h"

#include <string.h>

static void place_of(const char *text, size_t len, size_t offset, size_t *line, size_t *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < offset && i < len; i++) {
		if (text[i] == '\n') {
			++*line;
			*column = 0;
		}
		/* Continuation bytes of UTF-8 are no column of their own. */
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			++*column;
	}
}

/* Characters that no YAML may hold: libyaml knows their offset only. */
static void report_bytes(const yaml_parser_t *parser, const char *text, size_t len,
			 struct wm_report *report)
{
	size_t line, column;

	place_of(text, len, parser->problem_offset, &line, &column);
	if (parser->problem_value == 0)
		wm_report__error(report, line, column, "a NUL byte; expected text");
	else if (parser->problem_value > 0)
		wm_report__error(report, line, column, "not text: %s (0x%02x)", parser->problem,
				 parser->problem_value);
	else
		wm_report__error(report, line, column, "not text: %s", parser->problem);
}

/* The byte at a mark; libyaml counts characters, not bytes. */
static char byte_at(const char *text, size_t len, const yaml_mark_t *mark)
{
	size_t line = 0, column = 0;

	for (size_t i = 0; i < len; i++) {
		if (line == mark->line && column == mark->column)
			return text[i];
		if (text[i] == '\n') {
			line++;
			column = 0;
		} else if (i + 1 < len && ((unsigned char)text[i + 1] & 0xc0) != 0x80) {
			column++;
		}
	}
	return '\0';
}

static void report_syntax(const yaml_parser_t *parser, const char *text, size_t len,
			  struct wm_report *report)
{
	const yaml_mark_t *at = &parser->problem_mark;

	if (byte_at(text, len, at) == '\t')
		wm_report__error(report, at->line + 1, at->column + 1,
				 "a tab; YAML is indented by spaces");
	else if (parser->context)
		wm_report__error(report, at->line + 1, at->column + 1,
				 "not YAML: %s in line %zu: %s", parser->context,
				 parser->context_mark.line + 1, parser->problem);
	else
		wm_report__error(report, at->line + 1, at->column + 1, "not YAML: %s",
				 parser->problem);
}

static void report_failure(const yaml_parser_t *parser, const char *text, size_t len,
			   struct wm_report *report)
{
	switch (parser->error) {
	case YAML_MEMORY_ERROR:
		report->no_memory = true;
		break;
	case YAML_READER_ERROR:
		report_bytes(parser, text, len, report);
		break;
	default:
		report_syntax(parser, text, len, report);
	}
}

static void refuse_second(yaml_parser_t *parser, const char *text, size_t len,
			  struct wm_report *report)
{
	yaml_document_t second;
	yaml_node_t *root;

	if (!yaml_parser_load(parser, &second)) {
		report_failure(parser, text, len, report);
		return;
	}
	root = yaml_document_get_root_node(&second);
	if (root)
		wm_report__error(report, second.start_mark.line + 1, second.start_mark.column + 1,
				 "a second document begins; expected one a file");
	yaml_document_delete(&second);
}

const yaml_node_t *wm_yaml__load(yaml_document_t *doc, const char *text, size_t len,
				 struct wm_report *report)
{
	const yaml_node_t *root = NULL;
	yaml_parser_t parser;

	memset(doc, 0, sizeof(*doc));
	if (!yaml_parser_initialize(&parser)) {
		report->no_memory = true;
		return NULL;
	}
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	if (!yaml_parser_load(&parser, doc)) {
		report_failure(&parser, text, len, report);
		memset(doc, 0, sizeof(*doc)); /* libyaml has deleted it */
		goto delete_parser;
	}
	root = yaml_document_get_root_node(doc);
	if (root)
		refuse_second(&parser, text, len, report);
	else
		wm_report__error(report, 1, 1, "the file is empty; expected a configuration");
delete_parser:
	yaml_parser_delete(&parser);
	return report->errors || report->no_memory ? NULL : root;
}
