/* What goes to standard output: JSON members, and text aligned for people. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/buffer.h"

/* ", \"KEY\": \"VALUE\"" (without the comma after a brace or at the start). */
void cli_json_member(tw_buffer *b, const char *key, const char *value);
/* Up to 12 significant digits, null when not finite. */
void cli_json_number(tw_buffer *b, const char *key, double value);
/* An f32 in its shortest form. */
void cli_json_float(tw_buffer *b, const char *key, float value);
void cli_json_floats(tw_buffer *b, const float *v, size_t n);

/* Columns a text takes on a terminal: 2 for wide characters (CJK), 0 for combining ones. */
size_t cli_text_width(const char *text);

/* The text in exactly `width` columns: cut with "…" at its end (at its beginning for `keep_end`)
 * or padded. Control characters become "?". */
void cli_put_cell(tw_buffer *b, const char *text, size_t width, bool right, bool keep_end);

/* "  label   value" with the label padded. */
void cli_put_field(tw_buffer *b, const char *label, const char *fmt, ...) TW_PRINTF(3, 4);

/* Writes the buffer through to standard output and empties it; out of memory while it was filled
 * counts as an error of the output. Returns CLI_CONTINUE or a status. */
int cli_print(tw_buffer *b);

#endif
