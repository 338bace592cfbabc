/* A growable byte buffer and string builder. Errors stick: check `failed` once at the end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/status.h"

typedef struct tw_buffer {
    char *data; /* NUL-terminated when not NULL */
    size_t n_bytes, capacity;
    bool failed; /* an allocation failed; later appends do nothing */
} tw_buffer;

void tw_buffer_append(tw_buffer *b, const void *data, size_t n_bytes);
void tw_buffer_puts(tw_buffer *b, const char *s);
void tw_buffer_printf(tw_buffer *b, const char *fmt, ...) TW_PRINTF(2, 3);
/* `text` with every `hole` (not empty) replaced by `by`. */
void tw_buffer_replace(tw_buffer *b, const char *text, const char *hole, const char *by);
/* A JSON string with its quotes; UTF-8 passes, control characters and quotes are escaped, invalid
 * bytes become U+FFFD. */
void tw_buffer_json_string(tw_buffer *b, const char *s, size_t n_bytes);
/* A float in the shortest form that reads back as the same f32; NaN and infinities as null. */
void tw_buffer_json_float(tw_buffer *b, float v);
/* A double as Python writes it: the shortest form that reads back as the same double, with a
 * fraction or an exponent; NaN, Infinity and -Infinity, as Python's json has them. */
void tw_buffer_python_float(tw_buffer *b, double v);
/* A JSON string of ASCII alone, as Python's json writes it: \uXXXX for the rest, pairs of them
 * above U+FFFF; invalid bytes become U+FFFD. */
void tw_buffer_ascii_json_string(tw_buffer *b, const char *s, size_t n_bytes);
void tw_buffer_clear(tw_buffer *b); /* keeps the memory */
void tw_buffer_free(tw_buffer *b);

#endif
