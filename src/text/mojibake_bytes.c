/* Source: ftfy 6.3.1, fixes.restore_byte_a0, fixes.replace_lossy_sequences and
 * bad_codecs.utf8_variants. */
#include "text/mojibake_bytes.h"

#include "base/size.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

bool tw_bytes_reserve(tw_bytes *b, size_t n) {
    if (n <= b->capacity && b->data) return true;
    uint8_t *data = realloc(b->data, TW_MAX(n, (size_t)16));
    if (!data) return false;
    b->data = data;
    b->capacity = TW_MAX(n, (size_t)16);
    return true;
}

static void swap(tw_bytes *a, tw_bytes *b) {
    tw_bytes held = *a;
    *a = *b;
    *b = held;
}

static bool in_range(uint8_t b, uint8_t first, uint8_t last) {
    return b >= first && b <= last;
}

static bool is_continuation(uint8_t b) {
    return in_range(b, 0x80, 0xBF);
}

/* ------------------------------------------------------------------------------- lost spaces */

/* "à" as a word: C3 and a space that stands for A0 and is a space as well. Not before the ends of
 * Portuguese contractions. */
static bool is_a_grave_word(const uint8_t *p, size_t n) {
    static const char *const endings[] = {" ", "quele", "quela", "quilo", "s "};
    if (n < 2 || p[0] != 0xC3 || p[1] != ' ') return false;
    for (size_t i = 0; i < TW_COUNT(endings); i++) {
        size_t k = strlen(endings[i]);
        if (n - 2 >= k && memcmp(p + 2, endings[i], k) == 0) return false;
    }
    return true;
}

static bool is_tail_but_a0(uint8_t b) {
    return is_continuation(b) && b != 0x85 && b != 0xA0;
}

static bool is_tail_or_space(const uint8_t *p, size_t at, size_t space) {
    return at == space ? p[at] == ' ' : is_continuation(p[at]);
}

/* Length of a sequence at p that would be UTF-8 if its one space were A0; 0 for none. */
static size_t altered_at(const uint8_t *p, size_t n) {
    if (n >= 2 && p[0] && strchr("\xC2\xC3\xC5\xCE\xD0\xD9", p[0]) && p[1] == ' ') return 2;
    if (n >= 3 && (p[0] == 0xE2 || p[0] == 0xE3) && p[1] == ' ' && is_tail_but_a0(p[2])) return 3;
    if (n >= 3 && in_range(p[0], 0xE0, 0xE3) && is_tail_but_a0(p[1]) && p[2] == ' ') return 3;
    if (n >= 4 && p[0] == 0xF0)
        for (size_t space = 1; space <= 3; space++)
            if (is_tail_or_space(p, 1, space) && is_tail_or_space(p, 2, space) &&
                is_tail_or_space(p, 3, space))
                return 4;
    return 0;
}

bool tw_restore_a0(tw_bytes *bytes, tw_bytes *scratch) {
    const uint8_t *p = bytes->data;
    size_t n = bytes->n, i = 0;
    if (!memchr(p, ' ', n)) return true;
    if (!tw_bytes_reserve(scratch, n + n / 2 + 1)) return false;
    scratch->n = 0;
    for (i = 0; i < n;) {
        if (is_a_grave_word(p + i, n - i)) {
            memcpy(scratch->data + scratch->n, "\xC3\xA0 ", 3);
            scratch->n += 3;
            i += 2;
        } else {
            scratch->data[scratch->n++] = p[i++];
        }
    }
    swap(bytes, scratch);
    for (i = 0; i < bytes->n;) {
        size_t length = altered_at(bytes->data + i, bytes->n - i);
        for (size_t k = 0; k < length; k++)
            if (bytes->data[i + k] == ' ') bytes->data[i + k] = 0xA0;
        i += length ? length : 1;
    }
    return true;
}

/* -------------------------------------------------------------------------------- lost bytes */

static bool is_lost(uint8_t b) {
    return b == 0x1A;
}
static bool is_lost_or_question(uint8_t b) {
    return b == 0x1A || b == '?';
}
static bool is_tail_or_lost(uint8_t b) {
    return is_continuation(b) || is_lost(b);
}

/* A lead byte and `n_tail` bytes, of which number `k` is lost and the others may be. */
static bool lost_tail(const uint8_t *p, int n_tail) {
    for (int k = 1; k <= n_tail; k++) {
        bool all = is_lost_or_question(p[k]);
        for (int i = 1; i <= n_tail; i++)
            all = all && (i == k || is_tail_or_lost(p[i]));
        if (all) return true;
    }
    return false;
}

static bool lost_surrogates(const uint8_t *p) {
    if (p[0] != 0xED || !in_range(p[1], 0xA0, 0xAF) || p[3] != 0xED || !in_range(p[4], 0xB0, 0xBF))
        return false;
    bool third = is_lost_or_question(p[2]), sixth = is_lost_or_question(p[5]);
    return (third && (sixth || is_continuation(p[5]))) || (sixth && is_continuation(p[2]));
}

/* Length of a sequence at p that lost a byte; 0 for none. */
static size_t lossy_at(const uint8_t *p, size_t n) {
    if (n >= 2 && in_range(p[0], 0xC2, 0xDF) && is_lost(p[1])) return 2;
    if (n >= 2 && in_range(p[0], 0xC2, 0xC3) && p[1] == '?') return 2;
    if (n >= 6 && lost_surrogates(p)) return 6;
    if (n >= 3 && in_range(p[0], 0xE0, 0xEF) && lost_tail(p, 2)) return 3;
    if (n >= 4 && in_range(p[0], 0xF0, 0xF4) && lost_tail(p, 3)) return 4;
    return is_lost(p[0]) ? 1 : 0;
}

bool tw_replace_lossy(tw_bytes *bytes, tw_bytes *scratch) {
    const uint8_t *p = bytes->data;
    size_t n = bytes->n, room;
    if (!memchr(p, 0x1A, n) && !memchr(p, '?', n)) return true;
    if (!tw_mul_size(n, 3, &room) || !tw_bytes_reserve(scratch, room)) return false;
    scratch->n = 0;
    for (size_t i = 0; i < n;) {
        size_t length = lossy_at(p + i, n - i);
        if (length) {
            memcpy(scratch->data + scratch->n, "\xEF\xBF\xBD", 3);
            scratch->n += 3;
            i += length;
        } else {
            scratch->data[scratch->n++] = p[i++];
        }
    }
    swap(bytes, scratch);
    return true;
}

/* ---------------------------------------------------------------------------------- decoding */

/* A pair of surrogates at p; 0 when there is none. The reference's expression ends in `$`, which
 * also matches before a line feed that is the last byte. */
static size_t decode_surrogates(const uint8_t *p, size_t n, uint32_t *c) {
    if (n < 6 || p[0] != 0xED || !in_range(p[1], 0xA0, 0xAF) || !is_continuation(p[2]) ||
        p[3] != 0xED || !in_range(p[4], 0xB0, 0xBF) ||
        !(is_continuation(p[5]) || (n == 6 && p[5] == '\n')))
        return 0;
    *c = ((uint32_t)(p[1] & 15) << 16) + ((uint32_t)(p[2] & 63) << 10) +
         ((uint32_t)(p[4] & 15) << 6) + (p[5] & 63) + 0x10000;
    return 6;
}

bool tw_decode_utf8_variants(const uint8_t *p, size_t n, tw_codepoints *out) {
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t length = tw_utf8_decode(p + i, n - i, &c);
        if (!length) length = decode_surrogates(p + i, n - i, &c);
        if (!length && n - i >= 2 && p[i] == 0xC0 &&
            (p[i + 1] == 0x80 || (p[i + 1] == '\n' && n - i == 2)))
            length = 2; /* NUL */
        if (!length) return false;
        tw_codepoints_put(out, c);
        i += length;
    }
    return true;
}
