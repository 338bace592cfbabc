/* Source: ftfy 6.3.1, fix_encoding, badness and chardata. */
#include "text/mojibake.h"

#include "base/size.h"
#include "text/mojibake_bytes.h"
#include "text/unicode.h"

#include <stdlib.h>

/* Mojibake within mojibake: each level is shorter than the one around it. */
enum { DEEPEST = 32 };

/* ------------------------------------------------------------------------------------- sets */

typedef struct mask {
    uint64_t sets[2];
} mask;

static mask find_mask(uint32_t c) {
    size_t low = 0, high = tw_n_mojibake_ranges;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > tw_mojibake_ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    const tw_mojibake_range *r = &tw_mojibake_ranges[low];
    if (low == tw_n_mojibake_ranges || c < r->first) return (mask){{0, 0}};
    return (mask){{r->sets[0], r->sets[1]}};
}

static bool is_in(const mask *m, int set) {
    return m->sets[set >> 6] >> (set & 63) & 1;
}

static bool is_ascii_letter(uint32_t c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool matches_set(uint32_t c, int set) {
    switch (set) {
    case TW_SET_SPACE:
        return tw_is_python_space(c);
    case TW_SET_WORD:
        return c == '_' || tw_is_letter(c) || tw_is_number(c);
    case TW_SET_NOT_LETTER:
        return !is_ascii_letter(c);
    case TW_SET_ANY:
        return c != '\n';
    default: {
        mask m = find_mask(c);
        return is_in(&m, set);
    }
    }
}

static bool rule_matches(const tw_mojibake_rule *r, const uint32_t *c, size_t n, size_t i) {
    if (r->n > n - i || (r->at_start && i > 0)) return false;
    for (int k = 1; k < r->n; k++)
        if (!matches_set(c[i + (size_t)k], r->sets[k])) return false;
    return true;
}

bool tw_looks_like_mojibake(const uint32_t *c, size_t n) {
    for (size_t i = 0; i < n; i++) {
        mask m = find_mask(c[i]);
        if ((m.sets[0] | m.sets[1]) == 0 && !tw_is_python_space(c[i])) continue;
        for (size_t k = 0; k < tw_n_mojibake_rules; k++) {
            const tw_mojibake_rule *r = &tw_mojibake_rules[k];
            bool first =
                r->sets[0] == TW_SET_SPACE ? tw_is_python_space(c[i]) : is_in(&m, r->sets[0]);
            if (first && rule_matches(r, c, n, i)) return true;
        }
    }
    return false;
}

/* -------------------------------------------------------------------------------- encodings */

static int to_byte(const tw_mojibake_encoding *e, uint32_t c) {
    size_t low = 0, high = e->n;
    if (c < 0x80 && !(c == 0x1A && e->sloppy)) return (int)c;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > e->pairs[middle].c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < e->n && e->pairs[low].c == c ? e->pairs[low].byte : -1;
}

uint32_t tw_c1_meaning(uint32_t c) {
    static const uint16_t meanings[32] = {
        0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
        0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
        0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
    return c >= 0x80 && c <= 0x9F ? meanings[c - 0x80] : c;
}

static bool is_encodable(const tw_mojibake_encoding *e, const tw_codepoints *t) {
    for (size_t i = 0; i < t->n; i++)
        if (to_byte(e, t->c[i]) < 0) return false;
    return true;
}

/* Takes the text for bytes of this encoding that were UTF-8; false when they are not. */
static tw_status reinterpret(const tw_mojibake_encoding *e, const tw_codepoints *text,
                             tw_codepoints *out, bool *fits, tw_error *err) {
    tw_status status = TW_OK;
    tw_bytes bytes = {0}, scratch = {0};
    *fits = false;
    if (!tw_bytes_reserve(&bytes, text->n)) {
        status = tw_fail_no_memory(err, text->n);
        goto done;
    }
    for (size_t i = 0; i < text->n; i++)
        bytes.data[bytes.n++] = (uint8_t)to_byte(e, text->c[i]);
    bool done = (e->keeps_spaces || tw_restore_a0(&bytes, &scratch)) &&
                (!e->sloppy || tw_replace_lossy(&bytes, &scratch));
    if (!done) {
        status = tw_fail_no_memory(err, 3 * text->n);
        goto done;
    }
    out->n = 0;
    *fits = tw_decode_utf8_variants(bytes.data, bytes.n, out);
    if (out->failed) status = tw_fail_no_memory(err, 4 * text->n);
done:
    free(scratch.data);
    free(bytes.data);
    return status;
}

/* ------------------------------------------------------------------------- embedded mojibake */

/* How many code points from `i` on look like one UTF-8 sequence; 0 for none. */
static size_t sequence_at(const tw_codepoints *t, size_t i) {
    mask m = find_mask(t->c[i]);
    size_t n_more = 0;
    for (size_t k = i + 1; k < t->n && n_more < 3; k++, n_more++) {
        mask next = find_mask(t->c[k]);
        if (!is_in(&next, TW_SET_CONTINUATION)) break;
    }
    if (n_more >= 1 && is_in(&m, TW_SET_FIRST_OF_2)) return 2;
    if (n_more >= 2 && is_in(&m, TW_SET_FIRST_OF_3)) return 3;
    if (n_more >= 3 && is_in(&m, TW_SET_FIRST_OF_4)) return 4;
    return 0;
}

static size_t run_at(const tw_codepoints *t, size_t i) {
    size_t end = i, n;
    if (i > 0) {
        mask before = find_mask(t->c[i - 1]);
        if (is_in(&before, TW_SET_CONTINUATION_STRICT)) return 0;
    }
    while (end < t->n && (n = sequence_at(t, end)) != 0)
        end += n;
    return end - i;
}

static tw_status fix(tw_codepoints *text, int depth, size_t *work, tw_error *err);

/* Repairs the runs that look like UTF-8, each by itself. A run that is all of the text was tried
 * already. */
static tw_status fix_runs(const tw_codepoints *text, tw_codepoints *out, int depth, size_t *work,
                          tw_error *err) {
    tw_status status = TW_OK;
    tw_codepoints run = {0};
    out->n = 0;
    for (size_t i = 0; i < text->n;) {
        size_t n = run_at(text, i);
        if (n == 0) {
            tw_codepoints_put(out, text->c[i++]);
            continue;
        }
        run.n = 0;
        tw_codepoints_append(&run, text->c + i, n);
        if (n < text->n && tw_looks_like_mojibake(text->c + i, n))
            TW_CHECK(fix(&run, depth + 1, work, err));
        tw_codepoints_append(out, run.c, run.n);
        out->failed |= run.failed;
        i += n;
    }
    if (out->failed) status = tw_fail_no_memory(err, 4 * text->n);
done:
    tw_codepoints_free(&run);
    return status;
}

/* ------------------------------------------------------------------------------------- steps */

static bool is_same(const tw_codepoints *a, const tw_codepoints *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->c[i] != b->c[i]) return false;
    return true;
}

static bool is_ascii(const tw_codepoints *t) {
    for (size_t i = 0; i < t->n; i++)
        if (t->c[i] >= 0x80) return false;
    return true;
}

/* The last resort: C1 controls are Windows-1252. ftfy first tries the text as a whole and then each
 * character, which comes to the same. */
static void fix_c1(const tw_codepoints *text, tw_codepoints *out) {
    out->n = 0;
    for (size_t i = 0; i < text->n; i++)
        tw_codepoints_put(out, tw_c1_meaning(text->c[i]));
}

/* One step; `out` equals `text` when there is nothing to repair. */
static tw_status fix_once(const tw_codepoints *text, tw_codepoints *out, int depth, size_t *work,
                          tw_error *err) {
    for (int i = 0; i < TW_N_MOJIBAKE_ENCODINGS; i++) {
        bool fits = false;
        if (is_encodable(&tw_mojibake_encodings[i], text))
            TW_TRY(reinterpret(&tw_mojibake_encodings[i], text, out, &fits, err));
        if (fits) return TW_OK;
    }
    TW_TRY(fix_runs(text, out, depth, work, err));
    if (!is_same(text, out)) return TW_OK;
    fix_c1(text, out);
    return out->failed ? tw_fail_no_memory(err, 4 * text->n) : TW_OK;
}

static tw_status fix(tw_codepoints *text, int depth, size_t *work, tw_error *err) {
    tw_status status = TW_OK;
    tw_codepoints out = {0};
    for (;;) {
        if (*work < text->n || depth > DEEPEST) {
            status =
                tw_fail(err, TW_ERR_LIMIT, "text: mojibake within mojibake, more than is repaired");
            goto done;
        }
        *work -= text->n;
        if (text->n == 0 || is_ascii(text) || !tw_looks_like_mojibake(text->c, text->n)) break;
        TW_CHECK(fix_once(text, &out, depth, work, err));
        if (is_same(text, &out)) break;
        tw_codepoints_swap(text, &out);
    }
done:
    tw_codepoints_free(&out);
    return status;
}

tw_status tw_fix_encoding(tw_codepoints *text, size_t *work, tw_error *err) {
    return fix(text, 0, work, err);
}
