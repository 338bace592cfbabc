#include "output.h"

#include "args.h"
#include "base/utf8.h"
#include "console.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* ------------------------------------------------------------------------------------- JSON */

static void separate(tw_buffer *b) {
    char last = b->n_bytes ? b->data[b->n_bytes - 1] : '{';
    if (last != '{' && last != '[') tw_buffer_puts(b, ", ");
}

void cli_json_member(tw_buffer *b, const char *key, const char *value) {
    separate(b);
    tw_buffer_printf(b, "\"%s\": ", key);
    tw_buffer_json_string(b, value, strlen(value));
}

void cli_json_number(tw_buffer *b, const char *key, double value) {
    separate(b);
    if (isfinite(value))
        tw_buffer_printf(b, "\"%s\": %.12g", key, value);
    else
        tw_buffer_printf(b, "\"%s\": null", key);
}

void cli_json_float(tw_buffer *b, const char *key, float value) {
    separate(b);
    tw_buffer_printf(b, "\"%s\": ", key);
    tw_buffer_json_float(b, value);
}

void cli_json_floats(tw_buffer *b, const float *v, size_t n) {
    tw_buffer_puts(b, "[");
    for (size_t i = 0; i < n; i++) {
        if (i) tw_buffer_puts(b, ", ");
        tw_buffer_json_float(b, v[i]);
    }
    tw_buffer_puts(b, "]");
}

/* ------------------------------------------------------------------------------------- text */

/* One character of a text as it is shown: its bytes and its columns. */
typedef struct glyph {
    const char *bytes;
    size_t n_bytes, width;
} glyph;

static glyph next_glyph(const char *text, size_t n) {
    uint32_t c;
    size_t used = tw_utf8_decode((const uint8_t *)text, n, &c);
    if (used == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0)) return (glyph){"?", 1, 1};
    int width = utf8proc_charwidth((utf8proc_int32_t)c);
    return (glyph){text, used, width > 0 ? (size_t)width : 0};
}

/* Bytes of the text that next_glyph() looked at. */
static size_t step(const char *text, size_t n) {
    uint32_t c;
    size_t used = tw_utf8_decode((const uint8_t *)text, n, &c);
    return used ? used : 1;
}

static size_t width_of(const char *text, size_t n) {
    size_t width = 0;
    for (size_t i = 0; i < n; i += step(text + i, n - i))
        width += next_glyph(text + i, n - i).width;
    return width;
}

size_t cli_text_width(const char *text) {
    return width_of(text, strlen(text));
}

static size_t put_glyphs(tw_buffer *b, const char *text, size_t n, size_t room) {
    size_t width = 0;
    for (size_t i = 0; i < n; i += step(text + i, n - i)) {
        glyph g = next_glyph(text + i, n - i);
        if (width + g.width > room) break;
        tw_buffer_append(b, g.bytes, g.n_bytes);
        width += g.width;
    }
    return width;
}

static void put_spaces(tw_buffer *b, size_t n) {
    while (n-- > 0)
        tw_buffer_append(b, " ", 1);
}

void cli_put_cell(tw_buffer *b, const char *text, size_t width, bool right, bool keep_end) {
    size_t n = strlen(text), whole = width_of(text, n);
    if (whole <= width) {
        if (right) put_spaces(b, width - whole);
        put_glyphs(b, text, n, width);
        if (!right) put_spaces(b, width - whole);
        return;
    }
    if (width == 0) return;
    size_t used;
    if (keep_end) {
        while (whole > width - 1) { /* drop from the front */
            whole -= next_glyph(text, n).width;
            size_t dropped = step(text, n);
            text += dropped;
            n -= dropped;
        }
        tw_buffer_puts(b, "…");
        used = put_glyphs(b, text, n, width - 1);
    } else {
        used = put_glyphs(b, text, n, width - 1);
        tw_buffer_puts(b, "…");
    }
    put_spaces(b, width - 1 - used);
}

void cli_put_field(tw_buffer *b, const char *label, const char *fmt, ...) {
    char value[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(value, sizeof value, fmt, args);
    va_end(args);
    cli_put_cell(b, label, 16, false, false);
    tw_buffer_puts(b, " ");
    cli_put_cell(b, value, cli_text_width(value), false, false);
    tw_buffer_puts(b, "\n");
}

int cli_print(tw_buffer *b) {
    int status = CLI_CONTINUE;
    if (b->failed) {
        cli_error("out of memory");
        status = CLI_FAILED;
    } else if (b->n_bytes &&
               (fwrite(b->data, 1, b->n_bytes, stdout) != b->n_bytes || fflush(stdout) != 0)) {
        cli_output_failed();
        status = CLI_FAILED;
    }
    tw_buffer_clear(b);
    return status;
}
