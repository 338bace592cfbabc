#include "text/entities.h"

#include "text/mojibake.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_NAME = 31, LONGEST_MATCH = 32, LONGEST_CLOSED = 24, DELETED = -1 };

static int compare_name(const void *key, const void *entity) {
    return strcmp(key, ((const tw_entity *)entity)->name);
}

/* The entity named by code points [c, c + n) when it has one of the flags. */
static const tw_entity *find_named(const uint32_t *c, size_t n, int flags) {
    char name[LONGEST_NAME + 1];
    if (n == 0 || n > LONGEST_NAME) return NULL;
    for (size_t i = 0; i < n; i++) {
        if (c[i] == 0 || c[i] >= 0x80) return NULL;
        name[i] = (char)c[i];
    }
    name[n] = '\0';
    const tw_entity *found =
        bsearch(name, tw_entities, tw_n_entities, sizeof *tw_entities, compare_name);
    return found && (found->flags & flags) ? found : NULL;
}

static void put_entity(const tw_entity *e, tw_codepoints *out) {
    for (int i = 0; i < 3 && e->c[i] != 0; i++)
        tw_codepoints_put(out, e->c[i]);
}

/* What a number stands for by HTML5's rules: Windows-1252 for C1, nothing for what is not a
 * character. */
static int32_t numbered(uint32_t n) {
    if (n == 0 || n > 0x10FFFF || (n >= 0xD800 && n <= 0xDFFF)) return 0xFFFD;
    if (n >= 0x80 && n <= 0x9F) return (int32_t)tw_c1_meaning(n);
    if (n < 0x20) return n == '\t' || n == '\n' || n == '\f' || n == '\r' ? (int32_t)n : DELETED;
    if (n == 0x7F || (n >= 0xFDD0 && n <= 0xFDEF) || (n & 0xFFFE) == 0xFFFE) return DELETED;
    return (int32_t)n;
}

static int digit_value(uint32_t c, int base) {
    if (c >= '0' && c <= '9') return (int)(c - '0');
    if (base == 16 && c >= 'a' && c <= 'f') return (int)(c - 'a') + 10;
    if (base == 16 && c >= 'A' && c <= 'F') return (int)(c - 'A') + 10;
    return -1;
}

/* Reads `#123` or `#x7B` at in[i]; the place after its digits, or i when there is no number. */
static size_t read_number(const tw_codepoints *in, size_t i, uint32_t *number) {
    size_t at = i + 1;
    int base = 10, digit;
    if (at < in->n && (in->c[at] == 'x' || in->c[at] == 'X')) {
        base = 16;
        at++;
    }
    size_t first = at;
    *number = 0;
    for (; at < in->n && (digit = digit_value(in->c[at], base)) >= 0; at++)
        if (*number <= 0x10FFFF) *number = *number * (uint32_t)base + (uint32_t)digit;
    return at > first ? at : i;
}

static void put_number(uint32_t number, tw_codepoints *out) {
    int32_t c = numbered(number);
    if (c != DELETED) tw_codepoints_put(out, (uint32_t)c);
}

/* ---------------------------------------------------------------------------- html.unescape */

static bool ends_name(uint32_t c) {
    return c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' ||
           c == ';';
}

/* Resolves the name at in[i]: with its semicolon, else the longest one that needs none. */
static size_t put_named(const tw_codepoints *in, size_t i, tw_codepoints *out) {
    size_t n = 0;
    while (n < LONGEST_MATCH && i + n < in->n && !ends_name(in->c[i + n]))
        n++;
    if (i + n < in->n && in->c[i + n] == ';') {
        const tw_entity *e = find_named(in->c + i, n, TW_ENTITY_CLOSED);
        if (e) {
            put_entity(e, out);
            return i + n + 1;
        }
    }
    for (; n >= 2; n--) {
        const tw_entity *e = find_named(in->c + i, n, TW_ENTITY_OPEN);
        if (e) {
            put_entity(e, out);
            return i + n;
        }
    }
    tw_codepoints_put(out, '&');
    return i;
}

void tw_unescape_html(const tw_codepoints *in, tw_codepoints *out) {
    uint32_t number;
    out->n = 0;
    for (size_t i = 0; i < in->n;) {
        uint32_t c = in->c[i++];
        if (c != '&' || i == in->n) {
            tw_codepoints_put(out, c);
        } else if (in->c[i] == '#') {
            size_t end = read_number(in, i, &number);
            if (end > i) {
                put_number(number, out);
                i = end < in->n && in->c[end] == ';' ? end + 1 : end;
            } else {
                tw_codepoints_put(out, c);
            }
        } else {
            i = put_named(in, i, out);
        }
    }
}

/* ------------------------------------------------------------------------------------- ftfy */

/* Resolves the reference at in[i], after its &; the place after it, or i when there is none. */
static size_t put_closed(const tw_codepoints *in, size_t i, tw_codepoints *out) {
    bool numeric = i < in->n && in->c[i] == '#';
    size_t begin = numeric ? i + 1 : i, n = 0;
    while (n < LONGEST_CLOSED && begin + n < in->n) {
        uint32_t c = in->c[begin + n];
        if (digit_value(c, 10) < 0 && !((c | 32) >= 'a' && (c | 32) <= 'z')) break;
        n++;
    }
    size_t end = begin + n;
    if (n == 0 || end >= in->n || in->c[end] != ';') return i;
    if (!numeric) {
        const tw_entity *e = find_named(in->c + i, n, TW_ENTITY_CLOSED | TW_ENTITY_UPPER);
        if (!e) return i;
        put_entity(e, out);
        return end + 1;
    }
    uint32_t number;
    if (read_number(in, i, &number) != end || number == ';') return i;
    put_number(number, out);
    return end + 1;
}

void tw_unescape_html_closed(const tw_codepoints *in, tw_codepoints *out) {
    out->n = 0;
    for (size_t i = 0; i < in->n;) {
        uint32_t c = in->c[i++];
        size_t end = c == '&' ? put_closed(in, i, out) : i;
        if (end == i) tw_codepoints_put(out, c);
        i = end;
    }
}
