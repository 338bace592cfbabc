#include "text/codepoints.h"

#include "base/size.h"
#include "text/unicode.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum {
    CAPITAL_SIGMA = 0x3A3,
    SMALL_SIGMA = 0x3C3,
    FINAL_SIGMA = 0x3C2,
    CAPITAL_DOTTED_I = 0x130,
    COMBINING_DOT_ABOVE = 0x307
};

bool tw_codepoints_reserve(tw_codepoints *t, size_t n_more) {
    size_t n, n_bytes;
    if (t->failed) return false;
    if (!tw_add_size(t->n, n_more, &n)) goto failed;
    if (n <= t->capacity) return true;
    n = TW_MAX(n, TW_MAX((size_t)64, t->capacity + t->capacity / 2));
    if (!tw_mul_size(n, sizeof *t->c, &n_bytes)) goto failed;
    uint32_t *c = realloc(t->c, n_bytes);
    if (!c) goto failed;
    t->c = c;
    t->capacity = n;
    return true;
failed:
    t->failed = true;
    return false;
}

void tw_codepoints_append(tw_codepoints *t, const uint32_t *c, size_t n) {
    if (n == 0 || !tw_codepoints_reserve(t, n)) return;
    memcpy(t->c + t->n, c, n * sizeof *c);
    t->n += n;
}

void tw_codepoints_free(tw_codepoints *t) {
    free(t->c);
    *t = (tw_codepoints){0};
}

void tw_codepoints_swap(tw_codepoints *a, tw_codepoints *b) {
    tw_codepoints held = *a;
    *a = *b;
    *b = held;
}

/* ------------------------------------------------------------------------------- lower case */

/* Whether a cased letter follows. Each look ahead ends at the next capital sigma at the latest, so
 * that together they read the text once more at most. */
static bool cased_follows(const tw_codepoints *t, size_t i) {
    for (; i < t->n; i++) {
        tw_case_context context = tw_case_context_of(t->c[i]);
        if (context != TW_CASE_IGNORABLE) return context == TW_CASE_CASED;
    }
    return false;
}

void tw_codepoints_lower(const tw_codepoints *in, tw_codepoints *out) {
    bool after_cased = false;
    out->n = 0;
    if (!tw_codepoints_reserve(out, in->n)) return;
    for (size_t i = 0; i < in->n; i++) {
        uint32_t c = in->c[i];
        if (c == CAPITAL_SIGMA) {
            bool final = after_cased && !cased_follows(in, i + 1);
            tw_codepoints_put(out, final ? FINAL_SIGMA : SMALL_SIGMA);
        } else if (c == CAPITAL_DOTTED_I) {
            tw_codepoints_put(out, 'i');
            tw_codepoints_put(out, COMBINING_DOT_ABOVE);
        } else {
            tw_codepoints_put(out, tw_simple_lower(c));
        }
        tw_case_context context = tw_case_context_of(c);
        if (context != TW_CASE_IGNORABLE) after_cased = context == TW_CASE_CASED;
    }
}

/* ------------------------------------------------------------------------------------ NFC */

static uint8_t combining_class(uint32_t c) {
    if (c < 0x300) return 0;
    return (uint8_t)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

/* Below U+0300 everything is its own NFC and starts a new run. */
static bool is_nfc_for_certain(const tw_codepoints *t) {
    for (size_t i = 0; i < t->n; i++)
        if (t->c[i] >= 0x300) return false;
    return true;
}

/* Stable sort of a run of marks by combining class: one count for each of the 255. */
static void sort_marks(uint32_t *marks, size_t n, tw_codepoints *scratch) {
    size_t starts[256] = {0}, at = 0;
    scratch->n = 0;
    if (!tw_codepoints_reserve(scratch, n)) return;
    for (size_t i = 0; i < n; i++)
        starts[combining_class(marks[i])]++;
    for (int k = 0; k < 256; k++) {
        size_t count = starts[k];
        starts[k] = at;
        at += count;
    }
    for (size_t i = 0; i < n; i++)
        scratch->c[starts[combining_class(marks[i])]++] = marks[i];
    memcpy(marks, scratch->c, n * sizeof *marks);
}

static bool is_sorted(const uint32_t *marks, size_t n) {
    for (size_t i = 1; i < n; i++)
        if (combining_class(marks[i - 1]) > combining_class(marks[i])) return false;
    return true;
}

static void reorder(tw_codepoints *t, tw_codepoints *scratch) {
    for (size_t i = 0; i < t->n;) {
        size_t end = i;
        while (end < t->n && combining_class(t->c[end]) != 0)
            end++;
        if (!is_sorted(t->c + i, end - i)) sort_marks(t->c + i, end - i, scratch);
        i = end + 1;
    }
}

void tw_codepoints_nfc(tw_codepoints *text, tw_codepoints *scratch) {
    uint32_t parts[TW_NFD_MAX];
    if (text->failed || is_nfc_for_certain(text)) return;
    scratch->n = 0;
    for (size_t i = 0; i < text->n; i++) {
        int n = tw_decompose(text->c[i], parts);
        tw_codepoints_append(scratch, parts, (size_t)n);
    }
    tw_codepoints_swap(text, scratch);
    text->failed |= scratch->failed;
    if (text->failed) return;
    reorder(text, scratch);
    text->failed |= scratch->failed;
    if (text->failed) return;
    utf8proc_ssize_t n = utf8proc_normalize_utf32(
        (utf8proc_int32_t *)text->c, (utf8proc_ssize_t)text->n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n >= 0) text->n = (size_t)n;
}
