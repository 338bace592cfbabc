#include "base/buffer.h"

#include "base/utf8.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(tw_buffer *b, size_t more) {
    if (b->failed) return false;
    if (more < b->capacity - b->n_bytes) return true;
    size_t want;
    if (__builtin_add_overflow(b->n_bytes, more, &want) || want > SIZE_MAX / 2 - 64) {
        b->failed = true;
        return false;
    }
    size_t grown = want + want / 2 + 64;
    char *p = realloc(b->data, grown);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->capacity = grown;
    return true;
}

void tw_buffer_append(tw_buffer *b, const void *data, size_t n_bytes) {
    if (!reserve(b, n_bytes + 1)) return;
    if (n_bytes) memcpy(b->data + b->n_bytes, data, n_bytes);
    b->n_bytes += n_bytes;
    b->data[b->n_bytes] = '\0';
}

void tw_buffer_puts(tw_buffer *b, const char *s) {
    tw_buffer_append(b, s, strlen(s));
}

void tw_buffer_replace(tw_buffer *b, const char *text, const char *hole, const char *by) {
    for (const char *found; (found = strstr(text, hole)) != NULL; text = found + strlen(hole)) {
        tw_buffer_append(b, text, (size_t)(found - text));
        tw_buffer_puts(b, by);
    }
    tw_buffer_puts(b, text);
}

void tw_buffer_printf(tw_buffer *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0 && reserve(b, (size_t)n + 1)) {
        vsnprintf(b->data + b->n_bytes, (size_t)n + 1, fmt, again);
        b->n_bytes += (size_t)n;
    }
    va_end(again);
}

void tw_buffer_json_string(tw_buffer *b, const char *s, size_t n_bytes) {
    tw_buffer_append(b, "\"", 1);
    const uint8_t *p = (const uint8_t *)s, *end = p + n_bytes;
    while (p < end) {
        uint32_t c;
        size_t len = tw_utf8_decode(p, (size_t)(end - p), &c);
        if (len == 0) {
            tw_buffer_puts(b, "\xEF\xBF\xBD");
            p++;
            continue;
        }
        if (c == '"' || c == '\\')
            tw_buffer_printf(b, "\\%c", (int)c);
        else if (c == '\n')
            tw_buffer_puts(b, "\\n");
        else if (c == '\t')
            tw_buffer_puts(b, "\\t");
        else if (c == '\r')
            tw_buffer_puts(b, "\\r");
        else if (c < 0x20 || c == 0x7f)
            tw_buffer_printf(b, "\\u%04x", (unsigned)c);
        else
            tw_buffer_append(b, p, len);
        p += len;
    }
    tw_buffer_append(b, "\"", 1);
}

void tw_buffer_json_float(tw_buffer *b, float v) {
    if (!isfinite(v)) {
        tw_buffer_puts(b, "null");
        return;
    }
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) break;
    }
    tw_buffer_puts(b, text);
}

void tw_buffer_python_float(tw_buffer *b, double v) {
    if (!isfinite(v)) {
        tw_buffer_puts(b, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity");
        return;
    }
    if (fabs(v) >= 1e15 && fabs(v) < 1e16) { /* %g has an exponent here, Python does not */
        tw_buffer_printf(b, "%.1f", v);
        return;
    }
    char text[32];
    /* What fewer than 15 digits say %.15g says in as few, but of subnormal numbers. */
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    tw_buffer_puts(b, text);
    if (!strpbrk(text, ".e")) tw_buffer_puts(b, ".0");
}

void tw_buffer_ascii_json_string(tw_buffer *b, const char *s, size_t n_bytes) {
    static const char escaped[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    tw_buffer_puts(b, "\"");
    for (size_t i = 0; i < n_bytes;) {
        uint32_t c;
        size_t used = tw_utf8_decode((const uint8_t *)s + i, n_bytes - i, &c);
        i += used ? used : 1;
        if (!used) c = 0xFFFD;
        const char *found = c && c < 0x80 ? strchr(escaped, (int)c) : NULL;
        if (found)
            tw_buffer_printf(b, "\\%c", letters[found - escaped]);
        else if (c >= 0x20 && c < 0x7F)
            tw_buffer_append(b, &s[i - 1], 1);
        else if (c < 0x10000)
            tw_buffer_printf(b, "\\u%04x", (unsigned)c);
        else
            tw_buffer_printf(b, "\\u%04x\\u%04x", 0xD800 + (unsigned)((c - 0x10000) >> 10),
                             0xDC00 + (unsigned)((c - 0x10000) & 0x3FF));
    }
    tw_buffer_puts(b, "\"");
}

void tw_buffer_clear(tw_buffer *b) {
    b->n_bytes = 0;
    b->failed = false;
    if (b->data) b->data[0] = '\0';
}

void tw_buffer_free(tw_buffer *b) {
    free(b->data);
    *b = (tw_buffer){0};
}
