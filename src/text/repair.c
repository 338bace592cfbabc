/* Source: ftfy 6.3.1, fix_text and fixes. Surrogates need no repair here: UTF-8 has none. */
#include "text/repair.h"

#include "base/size.h"
#include "base/utf8.h"
#include "text/entities.h"
#include "text/mojibake.h"
#include "text/unicode.h"

#include <string.h>
#include <utf8proc.h>

/* ftfy repeats its steps until nothing changes, which hostile text ("&amp;amp;amp;…") can make
 * quadratic. Ordinary text takes two or three rounds. */
#define WORK_FIXED ((size_t)1 << 24)
#define WORK_PER_CODE_POINT ((size_t)32)
#define LONGEST_SEGMENT ((size_t)1000000)

typedef struct fixer {
    tw_codepoints text, before, scratch;
    bool unescape;
    size_t work;
} fixer;

/* --------------------------------------------------------------------------- one character */

static const char *ligature(uint32_t c) {
    switch (c) {
    case 0x132:
        return "IJ";
    case 0x133:
        return "ij";
    case 0x149:
        return "'n"; /* by way of U+02BC, a quotation mark made straight */
    case 0x1C4:
        return "D\xC5\xBD";
    case 0x1C5:
        return "D\xC5\xBE";
    case 0x1C6:
        return "d\xC5\xBE";
    case 0x1C7:
        return "LJ";
    case 0x1C8:
        return "Lj";
    case 0x1C9:
        return "lj";
    case 0x1CA:
        return "NJ";
    case 0x1CB:
        return "Nj";
    case 0x1CC:
        return "nj";
    case 0x1F1:
        return "DZ";
    case 0x1F2:
        return "Dz";
    case 0x1F3:
        return "dz";
    case 0xFB00:
        return "ff";
    case 0xFB01:
        return "fi";
    case 0xFB02:
        return "fl";
    case 0xFB03:
        return "ffi";
    case 0xFB04:
        return "ffl";
    case 0xFB05:
        return "\xC5\xBFt";
    case 0xFB06:
        return "st";
    default:
        return NULL;
    }
}

static void put_utf8(tw_codepoints *out, const char *s) {
    size_t n = strlen(s), length;
    uint32_t c;
    for (; (length = tw_utf8_decode((const uint8_t *)s, n, &c)) != 0; s += length, n -= length)
        tw_codepoints_put(out, c);
}

static uint32_t straight_quote(uint32_t c) {
    if (c == 0x2BC || (c >= 0x2018 && c <= 0x201B)) return '\'';
    if (c >= 0x201C && c <= 0x201F) return '"';
    return c;
}

/* C1 controls, ligatures, widths, quotes; each result is no input of a later one of these. */
static void put_replaced(tw_codepoints *out, uint32_t c) {
    if (c < 0x80) {
        tw_codepoints_put(out, c);
        return;
    }
    c = straight_quote(tw_c1_meaning(c));
    const char *letters = ligature(c);
    if (letters) {
        put_utf8(out, letters);
    } else if (c >= 0xFF01 && c <= 0xFFEF) {
        uint32_t parts[TW_NFD_MAX];
        int n = tw_decompose_width(c, parts);
        tw_codepoints_append(out, parts, (size_t)n);
    } else {
        tw_codepoints_put(out, c == 0x3000 ? ' ' : c);
    }
}

static bool is_line_break(uint32_t c) {
    return c == '\r' || c == 0x2028 || c == 0x2029; /* U+0085 is a C1 control */
}

static void replace_characters(const tw_codepoints *in, tw_codepoints *out) {
    out->n = 0;
    for (size_t i = 0; i < in->n; i++) {
        uint32_t c = tw_c1_meaning(in->c[i]);
        if (c == '\r' && i + 1 < in->n && in->c[i + 1] == '\n') continue;
        if (is_line_break(c))
            tw_codepoints_put(out, '\n');
        else
            put_replaced(out, c);
    }
}

/* --------------------------------------------------------------------------------- controls */

static bool is_decimal_digit(uint32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND;
}

/* Length of a terminal's escape sequence, ESC [ digits and semicolons, letter; 0 for none. */
static size_t escape_at(const tw_codepoints *t, size_t i) {
    size_t at = i + 2;
    if (at >= t->n || t->c[i] != 0x1B || t->c[i + 1] != '[') return 0;
    while (at < t->n && (is_decimal_digit(t->c[at]) || t->c[at] == ';'))
        at++;
    return at < t->n && (t->c[at] | 32) >= 'a' && (t->c[at] | 32) <= 'z' ? at + 1 - i : 0;
}

static bool is_removed_control(uint32_t c) {
    if (c < 0x20) return c != '\t' && c != '\n' && c != '\f' && c != '\r';
    return c == 0x7F || (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

static void remove_controls(tw_codepoints *t) {
    size_t n = 0;
    for (size_t i = 0; i < t->n;) {
        size_t length = escape_at(t, i);
        if (length) {
            i += length;
            continue;
        }
        if (!is_removed_control(t->c[i])) t->c[n++] = t->c[i];
        i++;
    }
    t->n = n;
}

/* ---------------------------------------------------------------------------------- segments */

/* Nothing of what ftfy repairs is in it. */
static bool is_plain(const uint32_t *c, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (c[i] >= 0x7F || c[i] == '&' ||
            (c[i] < ' ' && c[i] != '\n' && c[i] != '\t' && c[i] != '\f'))
            return false;
    return true;
}

static bool contains(const uint32_t *c, size_t n, uint32_t wanted) {
    for (size_t i = 0; i < n; i++)
        if (c[i] == wanted) return true;
    return false;
}

static void replace(tw_codepoints *to, const uint32_t *c, size_t n) {
    to->n = 0;
    tw_codepoints_append(to, c, n);
}

static tw_status check_memory(const fixer *f, tw_error *err) {
    if (!f->text.failed && !f->before.failed && !f->scratch.failed) return TW_OK;
    return tw_fail_no_memory(err, f->text.n * sizeof *f->text.c);
}

static tw_status fix_round(fixer *f, tw_error *err) {
    if (f->work < f->text.n)
        return tw_fail(err, TW_ERR_LIMIT, "text: damage upon damage, more than is repaired");
    f->work -= f->text.n;
    if (f->unescape && contains(f->text.c, f->text.n, '&')) {
        tw_unescape_html_closed(&f->text, &f->scratch);
        tw_codepoints_swap(&f->text, &f->scratch);
        TW_TRY(check_memory(f, err));
    }
    TW_TRY(tw_fix_encoding(&f->text, &f->work, err));
    replace_characters(&f->text, &f->scratch);
    tw_codepoints_swap(&f->text, &f->scratch);
    TW_TRY(check_memory(f, err));
    remove_controls(&f->text);
    tw_codepoints_nfc(&f->text, &f->scratch);
    return check_memory(f, err);
}

static tw_status fix_segment(fixer *f, const uint32_t *c, size_t n, tw_codepoints *out,
                             tw_error *err) {
    if (is_plain(c, n)) {
        tw_codepoints_append(out, c, n);
        return TW_OK;
    }
    replace(&f->text, c, n);
    for (;;) {
        replace(&f->before, f->text.c, f->text.n);
        TW_TRY(check_memory(f, err));
        TW_TRY(fix_round(f, err));
        if (f->text.n == f->before.n &&
            (f->text.n == 0 || memcmp(f->text.c, f->before.c, f->text.n * sizeof *f->text.c) == 0))
            break;
    }
    tw_codepoints_append(out, f->text.c, f->text.n);
    return TW_OK;
}

static size_t segment_length(const uint32_t *c, size_t n) {
    size_t length = 0;
    n = TW_MIN(n, LONGEST_SEGMENT);
    while (length < n && c[length++] != '\n') {
    }
    return length;
}

tw_status tw_fix_text(const tw_codepoints *text, tw_codepoints *out, tw_error *err) {
    tw_status status = TW_OK;
    fixer f = {.unescape = true, .work = WORK_FIXED + WORK_PER_CODE_POINT * text->n};
    for (size_t i = 0; i < text->n;) {
        size_t n = segment_length(text->c + i, text->n - i);
        /* What contains a `<` is taken for HTML, and all after it. */
        if (f.unescape && contains(text->c + i, n, '<')) f.unescape = false;
        TW_CHECK(fix_segment(&f, text->c + i, n, out, err));
        i += n;
    }
    if (out->failed) status = tw_fail_no_memory(err, text->n * sizeof *text->c);
done:
    tw_codepoints_free(&f.text);
    tw_codepoints_free(&f.before);
    tw_codepoints_free(&f.scratch);
    return status;
}
