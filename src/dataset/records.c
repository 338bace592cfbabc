#include "dataset/records.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_LINE_BYTES ((size_t)64 << 20)

/* str.strip() of Python. */
static bool is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Bytes of the white space that begins at p, 0 when none does. */
static size_t space_at(const char *p, size_t n) {
    uint32_t c;
    size_t used = tw_utf8_decode((const uint8_t *)p, n, &c);
    return used && is_space(c) ? used : 0;
}

static tw_record_line strip(tw_record_line line) {
    size_t used;
    while ((used = space_at(line.text, line.n_bytes)) > 0)
        line = (tw_record_line){line.text + used, line.n_bytes - used};
    for (size_t k = 1; k <= 3 && k <= line.n_bytes; k++) {
        if (space_at(line.text + line.n_bytes - k, k) != k) continue;
        line.n_bytes -= k;
        k = 0; /* and again */
    }
    return line;
}

bool tw_record_lines_next(tw_record_lines *lines, tw_record_line *out) {
    if (lines->at >= lines->n_bytes) return false;
    const uint8_t *p = lines->data + lines->at;
    size_t rest = lines->n_bytes - lines->at, n = rest, used = rest;
    const uint8_t *lf = memchr(p, '\n', rest);
    if (lf) {
        n = (size_t)(lf - p);
        used = n + 1;
    }
    const uint8_t *cr = memchr(p, '\r', n);
    if (cr) {
        n = (size_t)(cr - p);
        used = n + 1 < rest && p[n + 1] == '\n' ? n + 2 : n + 1;
    }
    lines->at += used;
    lines->number++;
    *out = strip((tw_record_line){(const char *)p, n});
    return true;
}

tw_status tw_record_fail(const tw_record_lines *lines, tw_error *err, const char *fmt, ...) {
    char what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    return tw_fail(err, TW_ERR_FORMAT, "%s: line %zu: %s", lines->name, lines->number, what);
}

tw_status tw_record_parse(const tw_record_lines *lines, tw_record_line line, tw_json_doc **out,
                          tw_error *err) {
    *out = NULL;
    if (line.n_bytes > MAX_LINE_BYTES)
        return tw_fail(err, TW_ERR_LIMIT, "%s: line %zu: %zu bytes, more than the limit of %zu",
                       lines->name, lines->number, line.n_bytes, MAX_LINE_BYTES);
    tw_error why = TW_ERROR_INIT;
    tw_status status = tw_json_parse_python(line.text, line.n_bytes, out, &why);
    if (status == TW_OK && tw_json_root(*out)->type != TW_JSON_OBJECT) {
        tw_json_free(*out);
        *out = NULL;
        return tw_record_fail(lines, err, "expected a json object");
    }
    if (status == TW_OK) return TW_OK;
    tw_fail(err, status, "%s", why.message);
    tw_error_context(err, "%s: line %zu", lines->name, lines->number);
    return status;
}

bool tw_record_int(const tw_json *v, int64_t *out) {
    if (!v || (v->type != TW_JSON_BOOL && !(v->type == TW_JSON_NUMBER && v->is_integer)))
        return false;
    *out = v->type == TW_JSON_BOOL ? v->boolean : v->integer;
    return true;
}

tw_status tw_record_id(const tw_record_lines *lines, const tw_json *object, const char *key,
                       int64_t *out, tw_error *err) {
    const tw_json *v = tw_json_get_last(object, key);
    if (tw_record_int(v, out)) return TW_OK;
    if (!v) return tw_record_fail(lines, err, "no \"%s\" in it", key);
    return tw_record_fail(lines, err, "\"%s\" is not an integer of 64 bits", key);
}

tw_status tw_record_list(const tw_record_lines *lines, const tw_json *object, const char *key,
                         const tw_json **out, tw_error *err) {
    *out = tw_json_get_last(object, key);
    if (*out && (*out)->type == TW_JSON_ARRAY) return TW_OK;
    if (!*out) return tw_record_fail(lines, err, "no \"%s\" in it", key);
    return tw_record_fail(lines, err, "\"%s\" is not a list", key);
}

tw_status tw_record_split(const tw_record_lines *lines, tw_record_line line, tw_record_line *first,
                          tw_record_line *second, tw_error *err) {
    const char *tab = line.n_bytes ? memchr(line.text, '\t', line.n_bytes) : NULL;
    if (!tab) return tw_record_fail(lines, err, "no tab in it");
    *first = (tw_record_line){line.text, (size_t)(tab - line.text)};
    *second = (tw_record_line){tab + 1, line.n_bytes - first->n_bytes - 1};
    if (memchr(second->text, '\t', second->n_bytes))
        return tw_record_fail(lines, err, "more than one tab in it");
    return TW_OK;
}

bool tw_record_decimal(const uint8_t *p, size_t n, int64_t *out) {
    bool negative = n && p[0] == '-';
    size_t i = n && (p[0] == '-' || p[0] == '+');
    if (i == n) return false;
    for (*out = 0; i < n; i++) {
        int digit = p[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(*out, 10, out)) return false;
        if (__builtin_add_overflow(*out, negative ? -digit : digit, out)) return false;
    }
    return true;
}
