#include "base/json.h"

#include "base/utf8.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64
#define MAX_VALUES ((size_t)4 << 20)

/* Values live in blocks, so that pointers to them stay good while the document grows. */
typedef struct block {
    struct block *next;
    size_t n, capacity;
    tw_json values[];
} block;

struct tw_json_doc {
    tw_json *root;
    block *blocks; /* newest first */
    /* All decoded strings and number texts, each with a NUL. A string's quotes and a number's
     * delimiter make room for it, so one byte more than the input is always enough. */
    char *text;
};

typedef struct parser {
    const uint8_t *data;
    size_t n, at;
    tw_json_doc *doc;
    size_t n_text, n_values;
    bool python;       /* as its json module reads, see tw_json_parse_python() */
    locale_t c_locale; /* made when first needed; (locale_t)0 before */
    tw_error *err;
} parser;

/* -------------------------------------------------------------------------------- small parts */

static tw_status fail_at(parser *p, size_t at, const char *what) {
    return tw_fail(p->err, TW_ERR_FORMAT, "json: byte %zu: %s", at, what);
}

/* "expected WHAT, got the byte that is there". */
static tw_status fail_expected(parser *p, const char *what) {
    if (p->at >= p->n)
        return tw_fail(p->err, TW_ERR_FORMAT, "json: byte %zu: expected %s, got the end", p->at,
                       what);
    uint8_t c = p->data[p->at];
    if (c > 0x20 && c < 0x7f)
        return tw_fail(p->err, TW_ERR_FORMAT, "json: byte %zu: expected %s, got '%c'", p->at, what,
                       c);
    return tw_fail(p->err, TW_ERR_FORMAT, "json: byte %zu: expected %s, got byte 0x%02x", p->at,
                   what, c);
}

static int peek(const parser *p) {
    return p->at < p->n ? p->data[p->at] : -1;
}

static bool accept(parser *p, char c) {
    if (peek(p) != c) return false;
    p->at++;
    return true;
}

static void skip_space(parser *p) {
    while (p->at < p->n) {
        uint8_t c = p->data[p->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        p->at++;
    }
}

static tw_status new_value(parser *p, tw_json **out) {
    if (p->n_values == MAX_VALUES)
        return tw_fail(p->err, TW_ERR_LIMIT, "json: byte %zu: more than %zu values", p->at,
                       MAX_VALUES);
    block *b = p->doc->blocks;
    if (!b || b->n == b->capacity) {
        size_t capacity = b ? (b->capacity < 4096 ? b->capacity * 4 : 4096) : 16;
        size_t n_bytes = sizeof *b + capacity * sizeof *b->values;
        block *grown = malloc(n_bytes);
        if (!grown) return tw_fail_no_memory(p->err, n_bytes);
        *grown = (block){.next = b, .capacity = capacity};
        p->doc->blocks = b = grown;
    }
    *out = &b->values[b->n++];
    **out = (tw_json){0};
    p->n_values++;
    return TW_OK;
}

/* ------------------------------------------------------------------------------------ strings */

static tw_status parse_hex4(parser *p, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(p);
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A' + 10);
        else
            return fail_expected(p, "four hexadecimal digits after \\u");
        *out = *out << 4 | digit;
        p->at++;
    }
    return TW_OK;
}

/* After "\u": one code point, from two escapes when it lies above U+FFFF. */
static tw_status parse_unicode_escape(parser *p, uint32_t *out) {
    size_t at = p->at;
    TW_TRY(parse_hex4(p, out));
    if (*out >= 0xDC00 && *out <= 0xDFFF) return fail_at(p, at, "lone low surrogate in a string");
    if (*out < 0xD800 || *out > 0xDBFF) return TW_OK;
    uint32_t low;
    if (!accept(p, '\\') || !accept(p, 'u'))
        return fail_at(p, at, "lone high surrogate in a string");
    TW_TRY(parse_hex4(p, &low));
    if (low < 0xDC00 || low > 0xDFFF) return fail_at(p, at, "lone high surrogate in a string");
    *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
    return TW_OK;
}

static tw_status parse_escape(parser *p, char *text, size_t *n) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = peek(p);
    const char *found = c > 0 ? strchr(from, c) : NULL;
    if (found) {
        p->at++;
        text[(*n)++] = to[found - from];
        return TW_OK;
    }
    if (c != 'u') return fail_expected(p, "one of \"\\/bfnrtu after a backslash");
    p->at++;
    uint32_t code;
    TW_TRY(parse_unicode_escape(p, &code));
    *n += tw_utf8_encode(code, (uint8_t *)text + *n);
    return TW_OK;
}

static tw_status parse_string(parser *p, const char **out, size_t *n_out) {
    size_t start = p->at++, n = 0;
    char *text = p->doc->text + p->n_text;
    for (;;) {
        if (p->at >= p->n) return fail_at(p, start, "string without an end");
        uint8_t c = p->data[p->at];
        if (c == '"') break;
        if (c < 0x20) return fail_at(p, p->at, "control character in a string");
        if (c == '\\') {
            p->at++;
            TW_TRY(parse_escape(p, text, &n));
            continue;
        }
        uint32_t code;
        size_t len = tw_utf8_decode(p->data + p->at, p->n - p->at, &code);
        if (len == 0) return fail_at(p, p->at, "invalid UTF-8 in a string");
        memcpy(text + n, p->data + p->at, len);
        n += len;
        p->at += len;
    }
    p->at++;
    text[n] = '\0';
    p->n_text += n + 1;
    *out = text;
    *n_out = n;
    return TW_OK;
}

/* ------------------------------------------------------------------------------------ numbers */

static size_t skip_digits(parser *p) {
    size_t start = p->at;
    while (p->at < p->n && p->data[p->at] >= '0' && p->data[p->at] <= '9')
        p->at++;
    return p->at - start;
}

static bool read_int64(const char *s, size_t n, int64_t *out) {
    bool negative = n > 0 && s[0] == '-';
    uint64_t magnitude = 0, limit = (uint64_t)INT64_MAX + negative;
    for (size_t i = negative; i < n; i++) {
        uint64_t digit = (uint64_t)(s[i] - '0');
        if (magnitude > (limit - digit) / 10) return false;
        magnitude = magnitude * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* strtod rounds correctly but reads the decimal point of the program's locale, which is the
 * caller's to choose; so it is called under the C locale of this thread. */
static tw_status read_double(parser *p, const char *text, double *out) {
    if (!p->c_locale) p->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!p->c_locale) return tw_fail_no_memory(p->err, sizeof(locale_t));
    locale_t before = uselocale(p->c_locale);
    *out = strtod(text, NULL);
    uselocale(before);
    return TW_OK;
}

static tw_status parse_number(parser *p, tw_json *v) {
    size_t start = p->at;
    bool integral = true;
    accept(p, '-');
    if (accept(p, '0')) {
        if (peek(p) >= '0' && peek(p) <= '9')
            return fail_at(p, start, "number with a leading zero");
    } else if (skip_digits(p) == 0) {
        return fail_expected(p, "a digit");
    }
    if (accept(p, '.')) {
        integral = false;
        if (skip_digits(p) == 0) return fail_expected(p, "a digit after the decimal point");
    }
    if (accept(p, 'e') || accept(p, 'E')) {
        integral = false;
        if (!accept(p, '+')) accept(p, '-');
        if (skip_digits(p) == 0) return fail_expected(p, "a digit in the exponent");
    }
    char *text = p->doc->text + p->n_text;
    v->type = TW_JSON_NUMBER;
    v->string = text;
    v->n_string = p->at - start;
    memcpy(text, p->data + start, v->n_string);
    text[v->n_string] = '\0';
    p->n_text += v->n_string + 1;
    if (integral && read_int64(text, v->n_string, &v->integer)) {
        v->is_integer = true;
        v->number = text[0] == '-' && v->integer == 0 ? -0.0 : (double)v->integer;
        return TW_OK;
    }
    TW_TRY(read_double(p, text, &v->number));
    if (!isfinite(v->number) && !p->python)
        return fail_at(p, start, "number beyond the range of a double");
    return TW_OK;
}

/* ----------------------------------------------------------------------------- the whole value */

static int compare_keys(const void *a, const void *b) {
    const tw_json *x = *(tw_json *const *)a, *y = *(tw_json *const *)b;
    size_t n = x->n_key < y->n_key ? x->n_key : y->n_key;
    int order = memcmp(x->key, y->key, n);
    return order ? order : (x->n_key > y->n_key) - (x->n_key < y->n_key);
}

/* How much of a key a message shows: whole characters. */
static int shown_bytes(const tw_json *member) {
    size_t n = member->n_key < 80 ? member->n_key : 80;
    while (n > 0 && n < member->n_key && ((uint8_t)member->key[n] & 0xC0) == 0x80)
        n--;
    return (int)n;
}

/* Sorted, so that an object of a million members costs no more than its size. */
static tw_status refuse_duplicates(parser *p, const tw_json *object) {
    if (object->n_items < 2 || p->python) return TW_OK;
    tw_json *few[32], **members = few;
    if (object->n_items > sizeof few / sizeof *few) {
        size_t n_bytes = object->n_items * sizeof *members;
        members = malloc(n_bytes);
        if (!members) return tw_fail_no_memory(p->err, n_bytes);
    }
    size_t n = 0;
    for (tw_json *m = object->first; m; m = m->next)
        members[n++] = m;
    qsort(members, n, sizeof *members, compare_keys);
    tw_status status = TW_OK;
    for (size_t i = 1; i < n && status == TW_OK; i++)
        if (compare_keys(&members[i - 1], &members[i]) == 0)
            status = tw_fail(p->err, TW_ERR_FORMAT,
                             "json: object ending at byte %zu: key \"%.*s\" occurs twice", p->at,
                             shown_bytes(members[i]), members[i]->key);
    if (members != few) free(members);
    return status;
}

static tw_status parse_literal(parser *p, const char *word, tw_json *v, tw_json_type type,
                               bool boolean) {
    size_t n = strlen(word);
    if (p->n - p->at < n || memcmp(p->data + p->at, word, n) != 0)
        return fail_expected(p, "a value");
    p->at += n;
    v->type = type;
    v->boolean = boolean;
    return TW_OK;
}

/* NaN, Infinity, -Infinity. */
static tw_status parse_no_number(parser *p, tw_json *v) {
    bool negative = accept(p, '-');
    bool is_nan = peek(p) == 'N';
    TW_TRY(parse_literal(p, is_nan && !negative ? "NaN" : "Infinity", v, TW_JSON_NUMBER, false));
    v->number = is_nan ? NAN : negative ? -INFINITY : INFINITY;
    v->string = is_nan ? "NaN" : negative ? "-Infinity" : "Infinity";
    v->n_string = strlen(v->string);
    return TW_OK;
}

static bool is_no_number(const parser *p, int c) {
    bool minus = c == '-' && p->n - p->at > 1 && p->data[p->at + 1] == 'I';
    return p->python && (c == 'N' || c == 'I' || minus);
}

/* A scalar whole; of a container the opening bracket only. */
static tw_status parse_value_start(parser *p, tw_json *v) {
    int c = peek(p);
    switch (c) {
    case '"':
        v->type = TW_JSON_STRING;
        return parse_string(p, &v->string, &v->n_string);
    case '{':
    case '[':
        v->type = c == '{' ? TW_JSON_OBJECT : TW_JSON_ARRAY;
        p->at++;
        return TW_OK;
    case 't':
        return parse_literal(p, "true", v, TW_JSON_BOOL, true);
    case 'f':
        return parse_literal(p, "false", v, TW_JSON_BOOL, false);
    case 'n':
        return parse_literal(p, "null", v, TW_JSON_NULL, false);
    default:
        if (is_no_number(p, c)) return parse_no_number(p, v);
        if (c == '-' || (c >= '0' && c <= '9')) return parse_number(p, v);
        return fail_expected(p, "a value");
    }
}

static tw_status parse_key(parser *p, tw_json *v) {
    if (peek(p) != '"') return fail_expected(p, "a key in quotes");
    TW_TRY(parse_string(p, &v->key, &v->n_key));
    skip_space(p);
    if (!accept(p, ':')) return fail_expected(p, "':' after a key");
    skip_space(p);
    return TW_OK;
}

/* An open container and the last of its items so far. */
typedef struct level {
    tw_json *container, *last;
} level;

static tw_status parse_item(parser *p, level *parent, tw_json **out) {
    TW_TRY(new_value(p, out));
    tw_json *v = *out;
    if (parent) {
        if (parent->container->type == TW_JSON_OBJECT) TW_TRY(parse_key(p, v));
        if (parent->last)
            parent->last->next = v;
        else
            parent->container->first = v;
        parent->last = v;
        parent->container->n_items++;
    }
    return parse_value_start(p, v);
}

/* Closes the containers that end here; afterwards another item of levels[*depth - 1] follows, or
 * *depth is 0 and the root is complete. */
static tw_status close_levels(parser *p, level *levels, int *depth, bool just_opened) {
    while (*depth > 0) {
        const tw_json *container = levels[*depth - 1].container;
        bool is_object = container->type == TW_JSON_OBJECT;
        skip_space(p);
        if (accept(p, is_object ? '}' : ']')) {
            if (is_object) TW_TRY(refuse_duplicates(p, container));
            (*depth)--;
            just_opened = false;
            continue;
        }
        if (!just_opened && !accept(p, ','))
            return fail_expected(p, is_object ? "',' or '}'" : "',' or ']'");
        skip_space(p);
        return TW_OK;
    }
    return TW_OK;
}

static tw_status parse_document(parser *p) {
    level levels[MAX_DEPTH];
    int depth = 0;
    skip_space(p);
    do {
        tw_json *v = NULL;
        TW_TRY(parse_item(p, depth ? &levels[depth - 1] : NULL, &v));
        if (!p->doc->root) p->doc->root = v;
        bool opened = v->type == TW_JSON_OBJECT || v->type == TW_JSON_ARRAY;
        if (opened) {
            if (depth == MAX_DEPTH)
                return tw_fail(p->err, TW_ERR_LIMIT, "json: byte %zu: nested deeper than %d",
                               p->at - 1, MAX_DEPTH);
            levels[depth++] = (level){v, NULL};
        }
        TW_TRY(close_levels(p, levels, &depth, opened));
    } while (depth > 0);
    skip_space(p);
    if (p->at < p->n) return fail_expected(p, "the end");
    return TW_OK;
}

static tw_status parse_as(const void *data, size_t n_bytes, bool python, tw_json_doc **out,
                          tw_error *err) {
    *out = NULL;
    tw_json_doc *doc = calloc(1, sizeof *doc);
    if (!doc) return tw_fail_no_memory(err, sizeof *doc);
    tw_status status;
    parser p = {.data = data, .n = n_bytes, .doc = doc, .python = python, .err = err};
    doc->text = n_bytes < SIZE_MAX ? malloc(n_bytes + 1) : NULL;
    status = doc->text ? parse_document(&p) : tw_fail_no_memory(err, n_bytes);
    if (p.c_locale) freelocale(p.c_locale);
    if (status != TW_OK) {
        tw_json_free(doc);
        return status;
    }
    *out = doc;
    return TW_OK;
}

tw_status tw_json_parse(const void *data, size_t n_bytes, tw_json_doc **out, tw_error *err) {
    return parse_as(data, n_bytes, false, out, err);
}

tw_status tw_json_parse_python(const void *data, size_t n_bytes, tw_json_doc **out, tw_error *err) {
    return parse_as(data, n_bytes, true, out, err);
}

void tw_json_free(tw_json_doc *doc) {
    if (!doc) return;
    for (block *b = doc->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(doc->text);
    free(doc);
}

/* ----------------------------------------------------------------------------------- look-ups */

const tw_json *tw_json_root(const tw_json_doc *doc) {
    return doc->root;
}

const tw_json *tw_json_get(const tw_json *object, const char *key) {
    if (!object || object->type != TW_JSON_OBJECT) return NULL;
    size_t n = strlen(key);
    for (const tw_json *m = object->first; m; m = m->next)
        if (m->n_key == n && memcmp(m->key, key, n) == 0) return m;
    return NULL;
}

const tw_json *tw_json_get_last(const tw_json *object, const char *key) {
    const tw_json *found = tw_json_get(object, key), *last = found;
    size_t n = strlen(key);
    for (; found; found = found->next)
        if (found->n_key == n && memcmp(found->key, key, n) == 0) last = found;
    return last;
}

static const char *describe(const tw_json *v) {
    static const char *const names[] = {"null",     "a boolean", "a number",
                                        "a string", "an array",  "an object"};
    return v->type == TW_JSON_NUMBER ? v->string : names[v->type];
}

tw_status tw_json_get_int(const tw_json *object, const char *key, int64_t min, int64_t max,
                          int64_t fallback, int64_t *out, tw_error *err) {
    const tw_json *v = tw_json_get(object, key);
    *out = fallback;
    if (!v || v->type == TW_JSON_NULL) return TW_OK;
    if (!v->is_integer || v->integer < min || v->integer > max)
        return tw_fail(err, TW_ERR_FORMAT, "\"%s\": expected an integer in [%lld, %lld], got %.60s",
                       key, (long long)min, (long long)max, describe(v));
    *out = v->integer;
    return TW_OK;
}

tw_status tw_json_get_string(const tw_json *object, const char *key, const char *fallback,
                             const char **out, tw_error *err) {
    const tw_json *v = tw_json_get(object, key);
    *out = fallback;
    if (!v || v->type == TW_JSON_NULL) return TW_OK;
    if (v->type != TW_JSON_STRING)
        return tw_fail(err, TW_ERR_FORMAT, "\"%s\": expected a string, got %.60s", key,
                       describe(v));
    *out = v->string;
    return TW_OK;
}
