// SPDX-License-Identifier: GPL-2.0
/*
 * libyaml finds what is no YAML; this file says where and in whose words.
 *
 * Anchors and aliases are YAML and stay allowed (several vips may share a list
 * of reals). libyaml makes an alias a second way to the same node, so a file
 * cannot grow in memory; what walks the nodes must bound its work itself, and
 * the schema does: it goes as deep as its tables and no further.
 *
 * libyaml's own work grows with the square of the depth of brackets and of the
 * number of anchors. So the events are counted first, and a file that nests too
 * deep or has too many anchors is refused before it costs hours.
 *
 * A file that was cut off (a full disk, a copy under way) is YAML as well, often:
 * 80 becomes 8, and a list loses its end. What can be seen of that is seen here: a
 * word that ends with the file and not with its line, and a document that began with
 * "---" and does not end with "...".
 */
#include "yaml_doc.h"

#include <stdbool.h>
#include <string.h>

enum {
	DEPTH_MAX = 64, /* the deepest table ends at 5 */
	ANCHORS_MAX = 256,
};

/* What some editors put in front of UTF-8. libyaml takes it away only where it
 * may guess the encoding, and then it may guess UTF-16. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

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

static bool open_parser(yaml_parser_t *parser, const char *text, size_t len,
			struct wm_report *report)
{
	if (!yaml_parser_initialize(parser)) {
		report->no_memory = true;
		return false;
	}
	yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(parser, (const unsigned char *)text, len);
	return true;
}

struct shape {
	unsigned int depth, anchors, documents;
	yaml_mark_t word; /* end of the last word that nothing but its line closes */
	bool begun, ended; /* by marker */
};

_Static_assert(DEPTH_MAX == 64 && ANCHORS_MAX == 256, "the messages below say so");

static const char *shape_flaw(struct shape *shape, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		return ++shape->documents > 1 ? "a second document begins; expected one per file"
					      : NULL;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		shape->depth++;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		shape->depth++;
		break;
	case YAML_SCALAR_EVENT:
		anchor = event->data.scalar.anchor;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		shape->depth--;
		break;
	default:
		break;
	}
	if (shape->depth > DEPTH_MAX)
		return "nested too deep; expected 64 levels at most";
	shape->anchors += anchor != NULL;
	return shape->anchors > ANCHORS_MAX ? "too many anchors; expected 256 at most" : NULL;
}

static void note_end(struct shape *shape, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		shape->begun = !event->data.document_start.implicit;
		break;
	case YAML_DOCUMENT_END_EVENT:
		shape->ended = !event->data.document_end.implicit;
		break;
	case YAML_ALIAS_EVENT:
		shape->word = event->end_mark;
		break;
	case YAML_SCALAR_EVENT:
		if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
			shape->word = event->end_mark;
		break;
	default:
		break;
	}
}

static void judge_end(const struct shape *shape, const yaml_mark_t *last, struct wm_yaml_end *end)
{
	const yaml_mark_t *at = last;

	if (shape->begun && !shape->ended) {
		end->flaw = "the document begins with \"---\" and does not end with \"...\"; "
			    "expected that as the last line (is the file cut off?)";
	} else if (shape->word.index == last->index) {
		at = &shape->word;
		end->flaw = "the file ends in the middle of this line; expected a line's end (is "
			    "the file cut off?)";
	}
	end->line = at->line + 1;
	end->column = at->column + 1;
}

/* Is it YAML, and of a size that libyaml copes with? Tells `report` if not. */
static void check_shape(const char *text, size_t len, struct wm_yaml_end *end,
			struct wm_report *report)
{
	struct shape shape = {};
	yaml_parser_t parser;
	yaml_event_t event;
	const char *flaw;
	bool more;

	if (!open_parser(&parser, text, len, report))
		return;
	do {
		if (!yaml_parser_parse(&parser, &event)) {
			report_failure(&parser, text, len, report);
			break;
		}
		flaw = shape_flaw(&shape, &event);
		if (flaw)
			wm_report__error(report, event.start_mark.line + 1,
					 event.start_mark.column + 1, "%s", flaw);
		note_end(&shape, &event);
		more = !flaw && event.type != YAML_STREAM_END_EVENT;
		if (event.type == YAML_STREAM_END_EVENT)
			judge_end(&shape, &event.start_mark, end);
		yaml_event_delete(&event);
	} while (more);
	yaml_parser_delete(&parser);
}

static bool is_sound(const struct wm_report *report)
{
	return !report->errors && !report->no_memory;
}

const yaml_node_t *wm_yaml__load(yaml_document_t *doc, const char *text, size_t len,
				 struct wm_yaml_end *end, struct wm_report *report)
{
	const size_t mark = strlen(BYTE_ORDER_MARK);
	const yaml_node_t *root = NULL;
	yaml_parser_t parser;

	memset(doc, 0, sizeof(*doc));
	if (len >= mark && !memcmp(text, BYTE_ORDER_MARK, mark)) {
		text += mark;
		len -= mark;
	}
	check_shape(text, len, end, report);
	if (!is_sound(report) || !open_parser(&parser, text, len, report))
		return NULL;
	if (yaml_parser_load(&parser, doc)) {
		root = yaml_document_get_root_node(doc);
		if (!root)
			wm_report__error(report, 1, 1,
					 "the file is empty; expected a configuration");
	} else {
		report_failure(&parser, text, len, report);
		memset(doc, 0, sizeof(*doc)); /* libyaml has deleted it */
	}
	yaml_parser_delete(&parser);
	return is_sound(report) ? root : NULL;
}
